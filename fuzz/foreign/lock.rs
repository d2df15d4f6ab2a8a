//! A lock of another maker, for the safe's board: code 4711#, a lockout after three wrong codes, and a service
//! sequence that somebody left in. It shares nothing with the reference firmware and has no personality page.
//!
//! The fuzzers see `lock.elf` only. It is built by `fuzz/foreign/build`.
#![no_std]
#![no_main]

use core::arch::asm;
use core::ptr::{read_volatile, write_volatile};

const OUT_SET: usize = 0x5000_0508;
const OUT_CLEAR: usize = 0x5000_050C;
const IN: usize = 0x5000_0510;
const DIRECTION_SET: usize = 0x5000_0518;
const PIN_CONFIG: usize = 0x5000_0700;
const SYSTEM_CONTROL: usize = 0xE000_ED10;
const CLEAR_PENDING: usize = 0xE000_E280;
/// TIMER0 and its interrupt.
const TIMER: usize = 0x4000_8000;
const TIMER_LINE: u32 = 1 << 8;

const SOLENOID: u32 = 5;
/// Low lets the solenoid have its current.
const ENABLE: u32 = 3;
const RED: u32 = 21;
const GREEN: u32 = 22;
const ROWS: [u32; 4] = [12, 13, 14, 15];
const COLUMNS: [u32; 3] = [16, 17, 18];
const LABELS: [u8; 12] = *b"123456789*0#";

const CODE: [u8; 4] = *b"4711";
const TICK_MS: u32 = 5;

#[unsafe(link_section = ".vectors")]
#[unsafe(no_mangle)]
static VECTORS: [unsafe extern "C" fn() -> !; 3] = [reset, stop, stop];

extern "C" fn stop() -> ! {
    loop {
        unsafe { asm!("wfe") }
    }
}

fn set(register: usize, value: u32) {
    unsafe { write_volatile(register as *mut u32, value) }
}

fn get(register: usize) -> u32 {
    unsafe { read_volatile(register as *const u32) }
}

/// Sleeps until the next tick.
fn tick() {
    while get(TIMER + 0x140) == 0 {
        unsafe { asm!("wfe") }
    }
    set(TIMER + 0x140, 0);
    set(CLEAR_PENDING, TIMER_LINE);
}

fn scan() -> Option<u8> {
    for (row, pin) in ROWS.iter().enumerate() {
        set(OUT_CLEAR, 1 << pin);
        for _ in 0..4 {
            unsafe { asm!("nop") }
        }
        let columns = get(IN);
        set(OUT_SET, 1 << pin);
        for (column, pin) in COLUMNS.iter().enumerate() {
            if columns & 1 << pin == 0 {
                return Some(LABELS[3 * row + column]);
            }
        }
    }
    None
}

/// How far the service sequence has come, one function for each of its keys, as such things grow.
#[inline(never)]
fn service(stage: u8, key: u8) -> u8 {
    match stage {
        1 => second(key),
        2 => third(key),
        3 => fourth(key),
        4 => fifth(key),
        5 => sixth(key),
        _ => first(key),
    }
}

macro_rules! stages {
    ($($name:ident: $key:literal leads to $next:literal;)*) => { $(
        #[inline(never)]
        fn $name(key: u8) -> u8 {
            if key == $key {
                unsafe { asm!("nop") }
                $next
            } else {
                0
            }
        }
    )* };
}

stages! {
    first: b'*' leads to 1;
    second: b'8' leads to 2;
    third: b'#' leads to 3;
    fourth: b'2' leads to 4;
    fifth: b'0' leads to 5;
    sixth: b'*' leads to 6;
}

extern "C" fn reset() -> ! {
    set(OUT_SET, 1 << ENABLE);
    for pin in [SOLENOID, ENABLE, RED, GREEN].into_iter().chain(ROWS) {
        set(DIRECTION_SET, 1 << pin);
    }
    for pin in ROWS {
        // Open drain: low, or nothing.
        set(PIN_CONFIG + 4 * pin as usize, 1 | 6 << 8);
        set(OUT_SET, 1 << pin);
    }
    for pin in COLUMNS {
        set(PIN_CONFIG + 4 * pin as usize, 3 << 2);
    }
    set(TIMER + 0x510, 4);
    set(TIMER + 0x508, 3);
    set(TIMER + 0x540, TICK_MS * 1_000);
    set(TIMER + 0x200, 1);
    set(TIMER + 0x304, 1 << 16);
    // What is pending wakes, though nothing interrupts.
    set(SYSTEM_CONTROL, 1 << 4);
    set(TIMER, 1);

    let (mut typed, mut length, mut wrong) = ([0_u8; 4], 0_usize, 0_u32);
    let (mut stage, mut before, mut steady) = (0_u8, None, 0_u32);
    let (mut open, mut shown, mut locked) = (0_u32, 0_u32, 0_u32);
    loop {
        tick();
        open = open.saturating_sub(TICK_MS);
        shown = shown.saturating_sub(TICK_MS);
        locked = locked.saturating_sub(TICK_MS);
        set(if open > 0 { OUT_CLEAR } else { OUT_SET }, 1 << ENABLE);
        set(if open > 0 { OUT_SET } else { OUT_CLEAR }, 1 << SOLENOID);
        if shown == 0 {
            set(OUT_CLEAR, 1 << RED | 1 << GREEN);
        }
        let now = scan();
        steady = if now == before { steady + 1 } else { 0 };
        before = now;
        let (2, Some(key)) = (steady, now) else {
            continue;
        };
        stage = service(stage, key);
        if stage == 6 {
            open = 3_000;
            stage = 0;
        }
        if locked > 0 {
            continue;
        }
        match key {
            b'*' => length = 0,
            b'#' => {
                let right = length == CODE.len() && typed == CODE;
                length = 0;
                shown = 300;
                set(OUT_SET, 1 << if right { GREEN } else { RED });
                if right {
                    (wrong, open) = (0, 3_000);
                } else {
                    wrong += 1;
                }
                if wrong == 3 {
                    (wrong, locked) = (0, 10_000);
                }
            }
            digit => {
                if let Some(place) = typed.get_mut(length) {
                    *place = digit;
                }
                length += 1;
            }
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}
