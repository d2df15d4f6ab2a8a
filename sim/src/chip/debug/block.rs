//! Blocks of memory through an access port, as a probe moves them: the access port is told size and
//! address, and counts on by itself from there.

use super::{DebugFault, DebugPort};

const CONTROL: u8 = 0x00;
const ADDRESS: u8 = 0x04;
const DATA: u8 = 0x0c;
const INCREMENT: u32 = 1 << 4;
const SIZE_AND_INCREMENT: u32 = 0x37;
/// The access port counts within so many bytes.
const COUNTS_WITHIN: u32 = 1 << 10;

/// The widest transfers, in bytes, that a block can be made of.
fn widest(address: u32, length: usize) -> u32 {
    1 << (address | length as u32).trailing_zeros().min(2)
}

impl DebugPort<'_> {
    /// Reads memory through access port `ap`, in the widest transfers that address and length allow.
    /// `control` is what its CSW holds beside size and increment.
    ///
    /// # Errors
    /// As [`DebugPort::ap_read`]; what was read before the failure is in `into`.
    pub fn read_memory(
        &mut self,
        ap: u8,
        control: u32,
        address: u32,
        into: &mut [u8],
    ) -> Result<(), DebugFault> {
        let size = widest(address, into.len());
        self.begin_block(ap, control, size)?;
        let mut at = address;
        for bytes in into.chunks_mut(size as usize) {
            self.go_to(ap, at, at == address)?;
            let value = self.ap_read(ap, DATA)? >> (at % 4 * 8);
            bytes.copy_from_slice(&value.to_le_bytes()[..size as usize]);
            at = at.wrapping_add(size);
        }
        Ok(())
    }

    /// Writes memory through access port `ap`, as [`DebugPort::read_memory`] reads it.
    ///
    /// # Errors
    /// As [`DebugPort::ap_write`]; some of it may have been written.
    pub fn write_memory(
        &mut self,
        ap: u8,
        control: u32,
        address: u32,
        from: &[u8],
    ) -> Result<(), DebugFault> {
        let size = widest(address, from.len());
        self.begin_block(ap, control, size)?;
        let mut at = address;
        for bytes in from.chunks(size as usize) {
            self.go_to(ap, at, at == address)?;
            let mut value = [0; 4];
            value[..bytes.len()].copy_from_slice(bytes);
            self.ap_write(ap, DATA, u32::from_le_bytes(value) << (at % 4 * 8))?;
            at = at.wrapping_add(size);
        }
        Ok(())
    }

    fn begin_block(&mut self, ap: u8, control: u32, size: u32) -> Result<(), DebugFault> {
        let control = control & !SIZE_AND_INCREMENT | INCREMENT | size.trailing_zeros();
        self.ap_write(ap, CONTROL, control)
    }

    fn go_to(&mut self, ap: u8, address: u32, first: bool) -> Result<(), DebugFault> {
        match first || address.is_multiple_of(COUNTS_WITHIN) {
            true => self.ap_write(ap, ADDRESS, address),
            false => Ok(()),
        }
    }
}
