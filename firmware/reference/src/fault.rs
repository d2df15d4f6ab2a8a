//! The last thing a lost program does: bolt and lamps off, one line on the console, and wait for the
//! watchdog.

#![expect(
    unsafe_code,
    reason = "the handler's signature and stolen peripherals ask for it"
)]

use core::panic::PanicInfo;

use cortex_m::asm;
use cortex_m_rt::{ExceptionFrame, exception};
use nrf51_pac::Peripherals;

use crate::pins::{BEEPER, DRIVE_A, DRIVE_B, DRIVE_ENABLE, GREEN, RED, YELLOW};
use crate::registers::{clear, put};

/// More than the time of a byte on the console.
const BYTE_LOOKS_MAX: u32 = 1_000;
/// For a byte under way to leave.
const BYTE_CYCLES: u32 = 1_600;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    stop("fault panic\r\n")
}

#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    stop("fault hardfault\r\n")
}

fn stop(line: &str) -> ! {
    cortex_m::interrupt::disable();
    // SAFETY: nobody else runs any more, and interrupts are off.
    let peripherals = unsafe { Peripherals::steal() };
    let outputs = [DRIVE_A, DRIVE_B, RED, GREEN, YELLOW, BEEPER];
    let mask = outputs.iter().fold(0, |mask, pin| mask | 1 << pin.0);
    put(&peripherals.GPIO.outset, 1 << DRIVE_ENABLE.0);
    put(&peripherals.GPIO.outclr, mask);
    put(&peripherals.GPIOTE.config[0], 0);
    asm::delay(BYTE_CYCLES);
    for byte in line.bytes() {
        clear(&peripherals.UART0.events_txdrdy);
        put(&peripherals.UART0.txd, u32::from(byte));
        for _ in 0..BYTE_LOOKS_MAX {
            if peripherals.UART0.events_txdrdy.read().bits() != 0 {
                break;
            }
        }
    }
    loop {
        asm::nop();
    }
}
