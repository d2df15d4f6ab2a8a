//! Writing whole registers.

use nrf51_pac::generic::{Reg, RegisterSpec, Resettable, Writable};

/// Writes all bits of a register.
#[expect(
    unsafe_code,
    reason = "the crate of registers marks every raw write so"
)]
pub fn put<R>(register: &Reg<R>, bits: u32)
where
    R: RegisterSpec<Ux = u32> + Writable + Resettable,
{
    // SAFETY: none of the registers that this program writes names memory for a peripheral to access; the
    // chip's DMA (radio, AES, SPI slave) stays off.
    register.write(|writer| unsafe { writer.bits(bits) });
}

/// Starts a task: every task register is triggered by a 1.
pub fn start<R>(task: &Reg<R>)
where
    R: RegisterSpec<Ux = u32> + Writable + Resettable,
{
    put(task, 1);
}

/// Clears an event.
pub fn clear<R>(event: &Reg<R>)
where
    R: RegisterSpec<Ux = u32> + Writable + Resettable,
{
    put(event, 0);
}
