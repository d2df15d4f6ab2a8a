//! `lockrig watch`: a bench live on the terminal, with keys to work it by hand.

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::board::{self, Board, broken, to_rest};
use super::error::Failure;
use super::quantity::voltage;
use crate::bench::{Bench, Contact, Feed, What};
use crate::event::Nanos;
use crate::port::{Interrupt, Waited};
use crate::quantity::Millivolts;
use crate::watch::Watch;

/// Show every line, contact and the supply live, and work the bench by hand
///
/// Keys of the keypad tap themselves; r, p, d and j close or open the reset button, the program button,
/// the door and the jam; s switches the supply; q leaves, and the bench goes to rest. A virtual board is
/// flashed first, and time passes as fast as yours.
#[derive(clap::Args, Debug)]
pub struct WatchCommand {
    /// What the supply gives when it is switched on [default: the product's fresh battery]
    #[arg(long, value_name = "VOLTAGE", value_parser = voltage)]
    voltage: Option<Millivolts>,
    /// Firmware to flash onto a virtual board in place of the bench's own
    #[arg(long, value_name = "FILE|NAME")]
    image: Option<String>,
    #[command(flatten)]
    board: Board,
}

/// Time between two pictures.
const PICTURE: Duration = Duration::from_millis(50);
/// The supply is measured this often.
const MEASURED: Nanos = Nanos::from_secs(1);
/// How long a tap lasts.
const TAP: Nanos = Nanos::from_millis(150);
const KEYS: &str =
    " 0-9 * # tap   r reset   p program   d door   j jam   s supply   q quit, everything to rest";

impl WatchCommand {
    pub fn execute(self) -> Result<u8, Failure> {
        if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
            return Err(Failure::hinted(
                "'lockrig watch' draws on a terminal, and there is none",
                Some("'lockrig press' tells what a board does in plain lines".to_owned()),
            ));
        }
        let (library, file) = self.board.load()?;
        let product = library
            .profiles
            .iter()
            .find(|profile| board::fits(&file, &profile.value));
        let fresh = product
            .and_then(|profile| profile.value.lock())
            .map(|lock| lock.supply.fresh.value);
        let voltage = self.voltage.or(fresh);
        let mut bench = match file.emulates {
            Some(_) => self.board.prepare(self.image.as_deref())?.1.bench,
            None => {
                let ports = board::opener(None, "a person who watches it")(
                    &file,
                    self.board.seed,
                    Interrupt::default(),
                )
                .map_err(broken)?;
                Bench::connect(file.clone(), ports).map_err(broken)?
            }
        };
        let mut hand = Hand {
            watch: Watch::new(bench.file()),
            voltage,
            taps: Vec::new(),
            measured: bench.now(),
        };
        let mut terminal = ratatui::init();
        let outcome = hand.work(&mut bench, &mut terminal);
        ratatui::restore();
        to_rest(&mut bench)?;
        outcome.map(|()| 0)
    }
}

struct Hand {
    watch: Watch,
    voltage: Option<Millivolts>,
    /// Keys that are down, and until when.
    taps: Vec<(char, Nanos)>,
    measured: Nanos,
}

impl Hand {
    fn work(&mut self, bench: &mut Bench, terminal: &mut DefaultTerminal) -> Result<(), Failure> {
        let no_terminal = |why: std::io::Error| Failure::broken(format!("drawing: {why}"));
        let is_virtual = bench.file().emulates.is_some();
        for line in bench.lines().map(str::to_owned).collect::<Vec<_>>() {
            let on = bench.level(&line).map_err(broken)?;
            self.watch.level(&line, on);
        }
        loop {
            let now = bench.now();
            terminal
                .draw(|frame| self.watch.draw(frame, now, KEYS))
                .map_err(no_terminal)?;
            // On a virtual bench no time passes of itself: it goes by the clock of who looks.
            let patience = if is_virtual { PICTURE } else { Duration::ZERO };
            while event::poll(patience).map_err(no_terminal)? {
                let Event::Key(key) = event::read().map_err(no_terminal)? else {
                    continue;
                };
                if key.kind == KeyEventKind::Press && self.key(bench, key)? {
                    return Ok(());
                }
                break;
            }
            let span = Nanos::from_millis(PICTURE.as_millis() as u64);
            self.pass(bench, now + span)?;
        }
    }

    /// Does what a key stands for; true, if it is the end.
    fn key(&mut self, bench: &mut Bench, key: KeyEvent) -> Result<bool, Failure> {
        let toggled = match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Ok(true),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(true),
            KeyCode::Char('s') => {
                let feed = match self.voltage {
                    Some(voltage) if !self.watch.is_fed() => Feed::On {
                        voltage,
                        resistance: None,
                    },
                    _ => Feed::Off,
                };
                if bench.file().supply.is_some() {
                    bench.feed(feed).map_err(broken)?;
                }
                return Ok(false);
            }
            KeyCode::Char('r') => Contact::Button("reset".to_owned()),
            KeyCode::Char('p') => Contact::Button("program".to_owned()),
            KeyCode::Char('d') => Contact::Door,
            KeyCode::Char('j') => Contact::Jam,
            KeyCode::Char(label) => {
                if bench.file().wired(&Contact::Key(label)).is_some() {
                    bench.press(label, true).map_err(broken)?;
                    self.taps.push((label, bench.now() + TAP));
                }
                return Ok(false);
            }
            _ => return Ok(false),
        };
        if bench.file().wired(&toggled).is_some() {
            let closed = self.watch.is_closed(&toggled);
            bench.switch(&toggled, !closed).map_err(broken)?;
        }
        Ok(false)
    }

    /// Lets time pass, lifts fingers, and measures now and then.
    fn pass(&mut self, bench: &mut Bench, until: Nanos) -> Result<(), Failure> {
        let now = bench.now();
        let due = self.taps.extract_if(.., |(_, end)| *end <= now);
        for (label, _) in due.collect::<Vec<_>>() {
            bench.press(label, false).map_err(broken)?;
        }
        let is_measured = self.watch.is_fed() && bench.file().has_meter();
        if is_measured && bench.now() >= self.measured + MEASURED {
            self.measured = bench.now();
            bench.measure().map_err(broken)?;
        }
        loop {
            match bench.wait(until) {
                Waited::Saw(happening) => {
                    self.watch.see(&happening);
                    if let What::Trouble(trouble) = happening.what {
                        return Err(broken(trouble));
                    }
                }
                Waited::Deadline | Waited::Interrupted => return Ok(()),
            }
        }
    }
}
