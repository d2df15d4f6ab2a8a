//! The console: lines go out through a queue while the lock works, and one command comes in.

use core::fmt::{self, Write};

use heapless::Deque;
use nrf51_pac::UART0;

use crate::pins::{CONSOLE_IN, CONSOLE_OUT};
use crate::registers::{clear, put, start};

const QUEUE: usize = 512;
/// A byte takes 87 µs; a transmitter that does not finish one in this many looks is broken.
const LOOKS_MAX: u32 = 20_000;
const BAUD_115200: u32 = 0x01D7_E000;
const ENABLED: u32 = 4;
const RECEIVED: u32 = 1 << 2;
const SENT: u32 = 1 << 7;

/// What the host asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `?`: what is the lock doing?
    Status,
    /// The label of a key, which is pressed and released.
    #[cfg(feature = "tick-timer0")]
    Key(u8),
}

/// The console.
pub struct Console {
    uart: UART0,
    queue: Deque<u8, QUEUE>,
    is_sending: bool,
    /// The only byte of the line so far; none if there was not exactly one.
    line: Option<u8>,
    line_length: usize,
}

impl Console {
    /// Switches the transmitter and the receiver on.
    pub fn new(uart: UART0) -> Self {
        put(&uart.pseltxd, CONSOLE_OUT.0);
        put(&uart.pselrxd, CONSOLE_IN.0);
        put(&uart.baudrate, BAUD_115200);
        put(&uart.enable, ENABLED);
        put(&uart.intenset, RECEIVED | SENT);
        start(&uart.tasks_starttx);
        start(&uart.tasks_startrx);
        Console {
            uart,
            queue: Deque::new(),
            is_sending: false,
            line: None,
            line_length: 0,
        }
    }

    /// Queues a line. If the queue is full this waits for the transmitter; a broken one loses bytes.
    pub fn line(&mut self, line: impl fmt::Display) {
        #[cfg(feature = "log")]
        defmt::info!("{}", defmt::Display2Format(&line));
        // Writing to the queue cannot fail; a `Display` of ours does not.
        write!(self, "{line}\r\n").ok();
    }

    /// Whether the transmitter is ready for [`Console::pump`].
    pub fn has_sent(&self) -> bool {
        self.is_sending && self.uart.events_txdrdy.read().bits() != 0
    }

    /// Whether something came for [`Console::receive`].
    pub fn has_received(&self) -> bool {
        self.uart.events_rxdrdy.read().bits() != 0
    }

    /// Whether nothing is left to be sent.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.is_sending
    }

    /// Hands the next byte to the transmitter if it is free.
    pub fn pump(&mut self) {
        if self.has_sent() {
            clear(&self.uart.events_txdrdy);
            self.is_sending = false;
        }
        if !self.is_sending
            && let Some(byte) = self.queue.pop_front()
        {
            put(&self.uart.txd, u32::from(byte));
            self.is_sending = true;
        }
    }

    /// Takes what was received; says what it asks for once its line is complete.
    pub fn receive(&mut self) -> Option<Command> {
        while self.has_received() {
            clear(&self.uart.events_rxdrdy);
            match self.uart.rxd.read().bits() as u8 {
                b'\r' => {}
                b'\n' => {
                    self.line_length = 0;
                    match self.line.take() {
                        Some(b'?') => return Some(Command::Status),
                        #[cfg(feature = "tick-timer0")]
                        Some(label) => return Some(Command::Key(label)),
                        _ => {}
                    }
                }
                byte => {
                    self.line_length += 1;
                    self.line = (self.line_length == 1).then_some(byte);
                }
            }
        }
        None
    }

    fn push(&mut self, byte: u8) {
        let mut looks = 0;
        while self.queue.is_full() && looks < LOOKS_MAX {
            self.pump();
            looks += 1;
        }
        self.queue.push_back(byte).ok();
    }
}

impl Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.push(byte);
        }
        self.pump();
        Ok(())
    }
}
