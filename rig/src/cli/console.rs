//! `lockrig console`: lines to the board's console, and what it prints.

use std::io::BufRead;

use super::board::{Board, broken, to_rest};
use super::error::Failure;
use super::press::watch;
use super::quantity::duration;
use crate::bench::Feed;
use crate::event::Nanos;

/// Talk to the board's console
///
/// Sends every line of standard input, and prints what the board says and does. Bench time passes
/// between the lines; with a virtual bench that takes no time of yours.
#[derive(clap::Args, Debug)]
pub struct Console {
    /// How long to watch after power-on and after each line
    #[arg(long, value_name = "TIME", default_value = "1 s", value_parser = duration)]
    watch: Nanos,
    /// What ends a line for the board
    #[arg(long, value_enum, default_value_t = LineEnd::Crlf)]
    line_end: LineEnd,
    /// Firmware to flash in place of the bench's own
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    #[command(flatten)]
    board: Board,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum LineEnd {
    /// Carriage return
    Cr,
    /// Line feed
    Lf,
    /// Both
    Crlf,
}

impl Console {
    pub fn execute(self) -> Result<u8, Failure> {
        let (group, mut prepared) = self.board.prepare(self.image.as_deref())?;
        let bench = &mut prepared.bench;
        let Some(profile) = group.profile.lock() else {
            return Err(Failure::usage("a mechanical cylinder has no console"));
        };
        let voltage = profile.supply.fresh.value;
        let talked = bench
            .feed(Feed::On {
                voltage,
                resistance: None,
            })
            .map_err(broken)
            .and_then(|()| watch(bench, self.watch))
            .and_then(|()| self.talk(bench));
        to_rest(bench)?;
        talked.map(|()| 0)
    }

    fn talk(&self, bench: &mut crate::bench::Bench) -> Result<(), Failure> {
        let end: &[u8] = match self.line_end {
            LineEnd::Cr => b"\r",
            LineEnd::Lf => b"\n",
            LineEnd::Crlf => b"\r\n",
        };
        for line in std::io::stdin().lock().lines() {
            let line =
                line.map_err(|why| Failure::usage(format!("reading standard input: {why}")))?;
            let mut bytes = line.into_bytes();
            bytes.extend_from_slice(end);
            bench.send(&bytes).map_err(broken)?;
            watch(bench, self.watch)?;
        }
        Ok(())
    }
}
