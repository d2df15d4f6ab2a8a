//! `lockrig console`: lines to the board's console, and what it prints.

use std::io::{self, BufRead};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use super::board::{Board, broken, to_rest};
use super::error::Failure;
use super::press::show;
use super::quantity::duration;
use crate::bench::{Bench, Feed, Happening, What};
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::Nanos;
use crate::port::{Interrupt, Waited};

/// How often to look whether a console that went away is there again.
const LOOK: Nanos = Nanos::from_millis(200);

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
            .and_then(|()| self.talk(bench));
        to_rest(bench)?;
        talked.map(|()| 0)
    }

    fn talk(&self, bench: &mut Bench) -> Result<(), Failure> {
        let end = match self.line_end {
            LineEnd::Cr => "\r",
            LineEnd::Lf => "\n",
            LineEnd::Crlf => "\r\n",
        };
        let mut conversation = Conversation::begin(bench);
        conversation.listen(self.watch)?;
        while let Some(line) = conversation.typed()? {
            conversation.say(&(line + end))?;
            conversation.listen(self.watch)?;
        }
        conversation.end()
    }
}

/// A conversation with the board that outlives its port.
struct Conversation<'b> {
    bench: &'b mut Bench,
    typed: Receiver<io::Result<String>>,
    away: Option<Away>,
}

/// A console whose port went away, as was said.
struct Away {
    device: String,
    /// When to look for it next.
    look: Nanos,
    /// Why it could not be opened the last time.
    why: Trouble,
}

impl Conversation<'_> {
    fn begin(bench: &mut Bench) -> Conversation<'_> {
        let typed = type_into(bench.interrupt());
        Conversation {
            bench,
            typed,
            away: None,
        }
    }

    /// The next line of standard input, once there is one; none when it has ended.
    fn typed(&mut self) -> Result<Option<String>, Failure> {
        let typed = loop {
            if self.bench.file().emulates.is_some() {
                break self.typed.recv().ok();
            }
            match self.typed.try_recv() {
                Ok(typed) => break Some(typed),
                Err(TryRecvError::Disconnected) => break None,
                Err(TryRecvError::Empty) => self.pass(Nanos::NEVER)?,
            }
        };
        let failed = |why| Failure::usage(format!("reading standard input: {why}"));
        typed.transpose().map_err(failed)
    }

    /// Sends this as soon as there is a console.
    fn say(&mut self, line: &str) -> Result<(), Failure> {
        loop {
            while self.bench.console_lost().is_some() {
                self.pass(Nanos::NEVER)?;
            }
            self.bench.send(line.as_bytes()).map_err(broken)?;
            // Else its port refused the line: nothing of it was sent.
            if self.bench.console_lost().is_none() {
                return Ok(());
            }
        }
    }

    fn listen(&mut self, span: Nanos) -> Result<(), Failure> {
        let until = self.bench.now() + span;
        while self.bench.now() < until {
            self.pass(until)?;
        }
        Ok(())
    }

    /// Lets time pass until then at most, until something happened, or until something was typed.
    fn pass(&mut self, until: Nanos) -> Result<(), Failure> {
        let look = self.away.as_ref().map_or(until, |away| away.look);
        if let Waited::Saw(happening) = self.bench.wait(until.min(look)) {
            self.see(happening)?;
        }
        self.look();
        Ok(())
    }

    fn see(&mut self, happening: Happening) -> Result<(), Failure> {
        match &happening.what {
            What::Trouble(trouble) if self.bench.console_lost() == Some(trouble) => {
                anstream::eprintln!(
                    "{trouble}\nhint: the board stays powered, and what is typed waits until the port is back; \
                     Ctrl-C brings the bench to rest"
                );
                self.away = Some(Away {
                    device: trouble.device.clone(),
                    look: self.bench.now() + LOOK,
                    why: Trouble::Absent,
                });
                Ok(())
            }
            _ => show(happening),
        }
    }

    /// Looks for a console that is away, if it is time to, and says when it is back.
    fn look(&mut self) {
        let now = self.bench.now();
        let Some(away) = self.away.as_mut().filter(|away| away.look <= now) else {
            return;
        };
        let Err(trouble) = self.bench.reopen_console() else {
            anstream::eprintln!("{}: its port is back", away.device);
            self.away = None;
            return;
        };
        // That it is not there was said.
        if trouble.what != away.why && trouble.what != Trouble::Absent {
            anstream::eprintln!("{}", explained(&trouble));
        }
        away.why = trouble.what;
        away.look = now + LOOK;
    }

    /// Nobody can say what the board answered to the last line if its console is away.
    fn end(self) -> Result<(), Failure> {
        let lost = self.bench.console_lost().cloned();
        lost.map_or(Ok(()), |trouble| Err(broken(trouble)))
    }
}

fn explained(trouble: &DeviceTrouble) -> String {
    format!("{trouble}\nhint: {}", trouble.hint)
}

/// Reads standard input beside the bench; each line that comes, and the end, ends a wait.
fn type_into(interrupt: Interrupt) -> Receiver<io::Result<String>> {
    let (lines, typed) = sync_channel(1);
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            if lines.send(line).is_err() {
                return;
            }
            interrupt.raise();
        }
        drop(lines);
        interrupt.raise();
    });
    typed
}
