//! A trace that is written while it is compared with another, line by line; and the bench as it was
//! when one of its lines was written.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::port::sim::Handle;
use crate::serve::VirtualBench;

/// See the head of the file.
pub struct Comparison {
    recorded: Vec<String>,
    /// The line that is being written.
    line: Vec<u8>,
    /// How many lines have been written.
    written: usize,
    differs: Option<usize>,
    stop: Option<u64>,
    bench: Option<Handle>,
    moment: Option<VirtualBench>,
}

impl Comparison {
    /// Compares with `recorded`, and keeps the bench as it is at line `stop`.
    pub fn new(recorded: &[String], stop: Option<u64>, bench: Option<Handle>) -> Comparison {
        Comparison {
            recorded: recorded.to_vec(),
            line: Vec::new(),
            written: 0,
            differs: None,
            stop,
            bench,
            moment: None,
        }
    }

    /// The first line that is not the same; one that is missing in the end is not.
    pub fn first_difference(&self) -> Option<usize> {
        let missing = self.written < self.recorded.len();
        self.differs.or(missing.then_some(self.written))
    }

    /// The bench as it was.
    pub fn take_moment(&mut self) -> Option<VirtualBench> {
        self.moment.take()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let recorded = self.recorded.get(self.written);
        let same = recorded.is_some_and(|recorded| recorded.as_bytes() == line);
        if !same && self.differs.is_none() {
            self.differs = Some(self.written);
        }
        if self.stop == Some(self.written as u64) {
            // A fact is written when it is found: the bench stands where it happened.
            self.moment = self.bench.as_ref().map(Handle::fork);
        }
        self.written += 1;
    }
}

/// Where the run writes its trace to.
pub struct Writer(pub Arc<Mutex<Comparison>>);

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut comparison = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            match byte {
                b'\n' => comparison.end_line(),
                byte => comparison.line.push(*byte),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
