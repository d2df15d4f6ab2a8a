//! The loop under the steps: act, let time pass, record what is seen.

use std::collections::BTreeMap;

use crate::bench::operator::Answer;
use crate::bench::{self, Bench, Contact, Feed, Happening, Via};
use crate::driver::stage::Motion;
use crate::driver::{DeviceTrouble, Trouble};
use crate::event::{FlashChange, Meter, Nanos, What};
use crate::oracle::Oracles;
use crate::port::{Change, Terminal, Waited};
use crate::profile::codes::Code;
use crate::profile::{Fact, KeysDuring, OnPowerCycle, Profile, Signal};
use crate::quantity::Millivolts;
use crate::scenario::{Act, Doing, Script};
use crate::step::Phase;
use crate::trace::Recorder;

use super::credentials::Credentials;
use super::cut::{CodeChange, Cutting};
use super::cylinder::{Keys, Moved};
use super::glitch::Glitching;
use super::pattern::{Progress, Track, Wanted};
use super::penalty::{Penalty, Stage};
use super::presses::Presses;
use super::steps::is_signal;
use super::store::{AtStores, Write};
pub use crate::judge::Stop;

/// Ends early with [`Stop`].
pub type Step<T = ()> = Result<T, Stop>;

/// A supply loss that waits for its phase.
#[derive(Clone, Debug)]
pub struct Armed {
    pub phase: Phase,
    /// The voltage to sag to; none for a clean loss.
    pub sag: Option<Millivolts>,
    /// When it strikes, once its phase has begun.
    pub strikes: Option<(Nanos, Nanos)>,
}

/// What the steps of a kind of product mean. The loop around them is the same for all.
pub trait CarryOut {
    /// The whole scenario, from the state that it begins in to its last step.
    fn carry_out(&mut self) -> Step;
    /// One act.
    fn act(&mut self, act: &Act) -> Step;
}

/// One run under way, on a product with the profile `P`.
pub struct Runner<'a, P = Profile> {
    pub script: &'a Script,
    pub profile: &'a P,
    pub codes: &'a BTreeMap<String, Code>,
    pub seed: u64,
    pub bench: &'a mut Bench,
    pub recorder: Recorder,
    oracles: Oracles,
    pub credentials: Credentials,
    pub penalty: Penalty,
    pub armed: Option<Armed>,
    /// Whether cut points are counted, and what for.
    pub cutting: Option<Cutting>,
    /// The writes to flash of the script's interruption, as they were rehearsed.
    pub rehearsal: &'a [Write],
    /// Breakpoints at the instructions that begin them, while one is waited for.
    pub at_stores: Option<AtStores>,
    /// Whether entries are counted, and what for.
    pub glitching: Option<Glitching>,
    /// The change of codes that is under way.
    pub change: Option<CodeChange>,
    /// What is watched for the signal that is expected.
    pub tracks: Vec<Track>,
    /// Number of the last step that began.
    pub step: u32,
    /// Steps that have begun and not ended, and whether each carries out a procedure.
    pub inside: Vec<(u32, bool)>,
    /// A procedure is under way that the lock may refuse: what is typed may then be tried as a code.
    pub may_be_refused: bool,
    /// The procedure that is being carried out stores a master code.
    pub stores_master: bool,
    /// Contacts that are closed, so that they can be opened on every way out.
    pub closed: Vec<Contact>,
    presses: Presses,
    /// From when until when pins closed each contact last.
    pub driven: BTreeMap<Contact, (Nanos, Nanos)>,
    /// When the supply confirmed that it is on; none while it is off.
    pub power_on: Option<Nanos>,
    /// The keys of a cylinder.
    pub keys: Keys,
    /// What came of the stage's last move, until it is taken.
    pub moved: Option<Moved>,
    /// When the board's terminal was last looked at, and the charge that it had drawn by then.
    charge: Option<(Nanos, u64)>,
    /// Writes to flash that are not recorded yet, because more may follow.
    burst: Option<Burst>,
    /// When the firmware's log was looked at last.
    log_read: Nanos,
}

/// Writes to flash at addresses that follow each other.
struct Burst {
    at: Nanos,
    kind: FlashChange,
    address: Option<u32>,
    count: u32,
    ends: Nanos,
}

/// How long lamps and beeper must be quiet before a pattern counts as over: longer than the pause
/// between two flashes of one signal.
pub const QUIET: Nanos = Nanos::from_millis(700);

/// Firmware takes less than this between two words of one record.
const BURST: Nanos = Nanos::from_millis(1);
/// How long a phase is taken to last that has no length of its own: a lock that answers a key
/// writes its record and moves its bolt within this time.
pub const PHASE: Nanos = Nanos::from_millis(300);

/// How often it is looked whether a person has answered, where time passes.
const ASKED_EVERY: Nanos = Nanos::from_millis(50);

/// How long a supply may take to confirm; its driver reports trouble well before.
const POWER_MAX: Nanos = Nanos::from_secs(2);

impl<'a> Runner<'a> {
    pub fn new(
        script: &'a Script,
        profile: &'a Profile,
        codes: &'a BTreeMap<String, Code>,
        seed: u64,
        bench: &'a mut Bench,
        recorder: Recorder,
        oracles: Oracles,
    ) -> Runner<'a> {
        let lockout = profile.lockout.as_ref();
        let stages = lockout.map_or(Vec::new(), |lockout| {
            let stage = |stage: &crate::profile::Stage| Stage {
                wrong: stage.wrong.value,
                lasts: stage.lasts.value,
            };
            lockout.stages.iter().map(stage).collect()
        });
        let counted_within = match lockout.map(|lockout| lockout.counted_within) {
            Some(crate::profile::CountedWithin::Time(window)) => Some(window),
            _ => None,
        };
        let factory = profile.factory_code();
        let permanent = profile.factory_code_stays();
        let grows = lockout
            .is_some_and(|lockout| lockout.on_power_cycle == Fact::Known(OnPowerCycle::Extends));
        let starts_over = profile.keys_during_lockout() == Some(KeysDuring::Restart);
        Runner {
            credentials: Credentials::from_factory(factory.is_some(), permanent),
            penalty: Penalty::new(stages, counted_within)
                .growing(grows)
                .starting_over(starts_over),
            ..Runner::without_codes(script, profile, codes, seed, bench, recorder, oracles)
        }
    }
}

impl<'a, P> Runner<'a, P> {
    /// A run on a product without codes and lockout.
    pub fn without_codes(
        script: &'a Script,
        profile: &'a P,
        codes: &'a BTreeMap<String, Code>,
        seed: u64,
        bench: &'a mut Bench,
        recorder: Recorder,
        oracles: Oracles,
    ) -> Runner<'a, P> {
        Runner {
            script,
            profile,
            codes,
            seed,
            presses: Presses::on(bench.file()),
            bench,
            recorder,
            oracles,
            credentials: Credentials::from_factory(false, false),
            penalty: Penalty::new(Vec::new(), None),
            armed: None,
            cutting: None,
            rehearsal: &[],
            at_stores: None,
            glitching: None,
            change: None,
            tracks: Vec::new(),
            step: 0,
            inside: Vec::new(),
            may_be_refused: false,
            stores_master: false,
            closed: Vec::new(),
            driven: BTreeMap::new(),
            power_on: None,
            charge: None,
            burst: None,
            log_read: Nanos::ZERO,
            keys: Keys::default(),
            moved: None,
        }
    }

    /// Records a fact, at the bench's time, and shows it to the oracles.
    pub fn record(&mut self, what: What) -> u64 {
        self.record_at(self.bench.now(), what)
    }

    fn record_at(&mut self, at: Nanos, what: What) -> u64 {
        self.record_burst();
        let seq = self.recorder.record(at, what);
        let breaches = match self.recorder.events().last() {
            Some(event) => self.oracles.see(event),
            None => Vec::new(),
        };
        for breach in breaches {
            self.recorder.record(at, breach);
        }
        seq
    }

    /// Records a decided expectation; one that was not met ends the steps.
    pub fn check(&mut self, wanted: String, got: String, held: bool) -> Step {
        self.record(What::Checked { wanted, got, held });
        if held { Ok(()) } else { Err(Stop::Failed) }
    }

    /// Takes what the firmware has logged, while nothing is held: it takes time.
    pub fn read_log(&mut self) -> Step {
        let Some(on) = self.power_on else {
            return Ok(());
        };
        // Whoever waits at a breakpoint has the probe.
        if self.at_stores.is_some() || !self.closed.is_empty() {
            return Ok(());
        }
        let since = self.log_read.max(on);
        let lines = self.bench.read_log();
        let lines = lines.or_else(|trouble| self.broken(trouble))?;
        self.log_read = self.bench.now();
        for text in lines {
            self.record(What::Logged { text, since });
        }
        Ok(())
    }

    /// Lets time pass until `until`.
    pub fn wait_until(&mut self, until: Nanos) -> Step {
        while self.bench.now() < until {
            self.wait_for_one(until)?;
        }
        Ok(())
    }

    /// Lets a span of time pass.
    pub fn wait(&mut self, span: Nanos) -> Step {
        self.wait_until(self.bench.now() + span)
    }

    /// Lets time pass until `until`, or until something happened.
    pub fn wait_for_one(&mut self, until: Nanos) -> Step {
        let strikes = self
            .armed
            .as_ref()
            .and_then(|armed| armed.strikes)
            .map(|(at, _)| at);
        let deadline = strikes.map_or(until, |strikes| strikes.min(until));
        let look_at = self.at_stores.as_ref().map(|at_stores| at_stores.look_at);
        let deadline = look_at.map_or(deadline, |look_at| look_at.min(deadline));
        match self.bench.wait(deadline) {
            Waited::Saw(happening) => self.note(happening),
            Waited::Interrupted => Err(Stop::Aborted),
            Waited::Deadline if look_at.is_some_and(|look_at| look_at <= self.bench.now()) => {
                self.look_at_core()
            }
            Waited::Deadline if strikes.is_some_and(|strikes| strikes <= self.bench.now()) => {
                self.strike()
            }
            Waited::Deadline => Ok(()),
        }
    }

    /// Records what came from the bench.
    fn note(&mut self, happening: Happening) -> Step {
        let at = happening.at;
        self.note_press(&happening);
        if self.cutting.is_some() {
            self.count_cut(&happening)?;
        }
        match happening.what {
            bench::What::Line { line, on, .. } => {
                self.note_sign(&line, on);
                for track in self.tracks.iter_mut().filter(|track| track.line == line) {
                    track.edge(at, on);
                }
                self.record_at(at, What::LineChanged { line, high: on });
            }
            bench::What::Printed { text, .. } => {
                self.record_at(at, What::Printed { text });
            }
            // The order is in the trace; what it did is on the sense lines.
            bench::What::Switched {
                contact, closed, ..
            } => self.note_driven(at, contact, closed),
            bench::What::Measured {
                voltage, current, ..
            } => {
                self.record_at(
                    at,
                    What::SupplyRead {
                        millivolts: voltage.0,
                        microamps: Some(u64::from(current.0)),
                        since: None,
                        by: Meter::Supply,
                    },
                );
            }
            bench::What::Terminal(terminal) => self.note_terminal(at, terminal),
            bench::What::Instruction(instruction) => return self.note_instruction(instruction),
            bench::What::CutPoint(point) => {
                let (kind, address) = match point.change {
                    Change::Word { address, .. } => (FlashChange::Word, Some(address)),
                    Change::Page { address } => (FlashChange::Page, Some(address)),
                    Change::Chip => (FlashChange::Chip, None),
                    Change::Settings => (FlashChange::Settings, None),
                };
                self.note_write(at, kind, address, point.ends);
            }
            bench::What::Moved {
                motion,
                stopped,
                stands,
                ..
            } => {
                let (axis, to, unit) = match motion {
                    Motion::Turn { to, .. } => ("turn", i64::from(to.0), "mdeg"),
                    Motion::Insert { to } => ("insert", i64::from(to.0), "um"),
                    Motion::Select { slot } => {
                        let stage = self.bench.file().stage.as_ref();
                        let pitch = stage.map_or(0, |stage| stage.settings.magazine.pitch.0);
                        let before = i64::from(slot.saturating_sub(1));
                        ("magazine", before * i64::from(pitch), "um")
                    }
                    Motion::Plunge { to } => ("plunge", i64::from(to.0), "um"),
                };
                self.moved = Some(Moved { stopped, stands });
                let (axis, unit) = (axis.to_owned(), unit.to_owned());
                let moved = What::Moved {
                    axis,
                    to,
                    unit,
                    stopped,
                    stands,
                };
                self.record_at(at, moved);
            }
            bench::What::Fed { feed, .. } => {
                if let Feed::On { .. } = feed {
                    self.power_on.get_or_insert(at);
                }
            }
            bench::What::Trouble(trouble) => return self.broken(trouble),
        }
        Ok(())
    }

    /// What a happening says about keys and buttons, whatever else follows from it.
    fn note_press(&mut self, happening: &Happening) {
        let at = happening.at;
        match &happening.what {
            bench::What::Line { line, on, .. } => self.presses.saw(at, line, *on),
            bench::What::Switched {
                contact, closed, ..
            } => self.presses.confirmed(at, contact, *closed),
            _ => {}
        }
    }

    /// Words that are written one after the other are one fact: a record of the lock, mostly.
    fn note_write(&mut self, at: Nanos, kind: FlashChange, address: Option<u32>, ends: Nanos) {
        if let Some(Burst {
            count,
            kind: FlashChange::Word,
            address: Some(first),
            ends: before,
            ..
        }) = &mut self.burst
            && kind == FlashChange::Word
            && address == first.checked_add(4 * *count)
            && at.since(*before) < BURST
        {
            *count += 1;
            *before = ends;
            return;
        }
        self.record_burst();
        self.burst = Some(Burst {
            at,
            kind,
            address,
            count: 1,
            ends,
        });
    }

    fn record_burst(&mut self) {
        let Some(burst) = self.burst.take() else {
            return;
        };
        let Burst {
            at,
            kind,
            address,
            count,
            ends,
        } = burst;
        self.record_at(
            at,
            What::FlashChanged {
                kind,
                address,
                count,
                ends,
            },
        );
    }

    /// Between two looks at the terminal the charge tells the mean current.
    fn note_terminal(&mut self, at: Nanos, terminal: Terminal) {
        let before = self.charge.replace((at, terminal.nanocoulombs));
        let mean = before.and_then(|(since, charge)| {
            let nanocoulombs = u128::from(terminal.nanocoulombs.saturating_sub(charge));
            let microamps =
                (nanocoulombs * 1_000_000).checked_div(u128::from(at.since(since).0))?;
            Some((u64::try_from(microamps).ok()?, since))
        });
        self.record_at(
            at,
            What::SupplyRead {
                millivolts: terminal.millivolts,
                microamps: mean.map(|(microamps, _)| microamps),
                since: mean.map(|(_, since)| since),
                by: Meter::Emulator,
            },
        );
    }

    /// An instrument failed: that ends the steps.
    pub fn broken<T>(&mut self, trouble: DeviceTrouble) -> Step<T> {
        let DeviceTrouble {
            device,
            doing,
            saw,
            hint,
            ..
        } = trouble;
        self.record(What::Trouble {
            device,
            doing,
            saw,
            hint,
        });
        Err(Stop::Broken)
    }

    /// A labelled phase begins; a supply loss that waits for it is timed from now.
    pub fn enter_phase(&mut self, phase: Option<Phase>, lasts: Nanos) -> Step {
        let Some(phase) = phase else { return Ok(()) };
        self.record(What::PhaseEntered {
            phase: phase.to_string(),
        });
        let now = self.bench.now();
        let offset = Nanos(draw(self.seed, phase.to_string().as_bytes()) % lasts.0.max(1));
        if let Some(armed) = self.armed.as_mut().filter(|armed| armed.phase == phase)
            && armed.strikes.is_none()
        {
            armed.strikes = Some((now + offset, offset));
        }
        Ok(())
    }

    /// The supply fails, now.
    fn strike(&mut self) -> Step {
        let Some(armed) = self.armed.take() else {
            return Ok(());
        };
        let after = armed.strikes.map_or(Nanos::ZERO, |(_, offset)| offset);
        let how = if armed.sag.is_some() { "sag" } else { "clean" };
        self.record(What::Interrupted {
            phase: armed.phase.to_string(),
            after,
            how: how.to_owned(),
        });
        self.set_supply(armed.sag)?;
        self.release_all()?;
        Err(Stop::Interrupted)
    }

    /// Sets the supply; none is off.
    pub fn set_supply(&mut self, voltage: Option<Millivolts>) -> Step {
        let feed = match voltage {
            Some(voltage) => Feed::On {
                voltage,
                resistance: None,
            },
            None => Feed::Off,
        };
        self.record(What::SupplySet {
            millivolts: voltage.map(|voltage| voltage.0),
        });
        if voltage.is_none() {
            self.power_on = None;
            self.penalty.power_lost(self.bench.now());
        }
        self.bench
            .feed(feed)
            .or_else(|trouble| self.broken(trouble))
    }

    /// Closes or opens a contact; `shown` is what the trace calls it.
    pub fn switch(&mut self, contact: &Contact, shown: &str, closed: bool) -> Step {
        self.closed.retain(|other| other != contact);
        if closed {
            // What may have been refused is not over before it was found out.
            let is_known = !self.credentials.is_unsettled();
            self.change.take_if(|change| change.is_over && is_known);
            self.closed.push(contact.clone());
            if let Contact::Key(_) = contact {
                self.penalty.key_pressed(self.bench.now());
            }
        }
        let now = self.bench.now();
        self.presses.ordered(now, contact, shown, closed);
        self.record(What::Switched {
            contact: shown.to_owned(),
            closed,
        });
        self.bench
            .switch(contact, closed)
            .or_else(|trouble| self.broken(trouble))
    }

    /// Says when a contact that is closed is to open; see [`Bench::open_at`].
    pub fn open_at(&mut self, contact: &Contact, at: Nanos) {
        self.bench.open_at(contact, at);
        self.presses.opens_at(contact, at);
    }

    /// Keeps when pins closed a contact last, and when they opened it; what other instruments confirm came
    /// later than it happened.
    fn note_driven(&mut self, at: Nanos, contact: Contact, closed: bool) {
        let relays = self.bench.file().relays.as_ref();
        if relays.is_some_and(|relays| matches!(relays.via, Via::Pins { .. })) {
            let (from, to) = self.driven.entry(contact).or_insert((at, at));
            match closed {
                true => (*from, *to) = (at, at),
                false => *to = at,
            }
        }
    }

    /// Opens every key and button that is closed.
    pub fn release_all(&mut self) -> Step {
        for contact in std::mem::take(&mut self.closed) {
            let shown = match &contact {
                Contact::Key(_) => "key".to_owned(),
                other => other.to_string(),
            };
            self.switch(&contact, &shown, false)?;
        }
        Ok(())
    }

    /// Whether a line is on now.
    pub fn level(&mut self, line: &str) -> Step<bool> {
        match self.bench.level(line) {
            Ok(level) => Ok(level),
            Err(trouble) => self.broken(trouble),
        }
    }

    /// Asks the person at the bench. Time passes as long as they take; on a virtual bench none does.
    pub fn ask(&mut self, question: &str, within: Nanos) -> Step {
        self.bench.ask(question, within);
        let answer = loop {
            if let Some(answer) = self.bench.answered() {
                break answer;
            }
            let pause = match self.bench.file().emulates {
                Some(_) => Nanos::ZERO,
                None => ASKED_EVERY,
            };
            self.wait_for_one(self.bench.now() + pause)?;
        };
        self.record(What::Asked {
            question: question.to_owned(),
            answer: answer.word().to_owned(),
        });
        let (what, saw, hint) = match answer {
            Answer::Yes => return Ok(()),
            Answer::No => (
                Trouble::Refused,
                "the answer was no".to_owned(),
                "put the bench right, then start the run again",
            ),
            Answer::None => (
                Trouble::Silent,
                format!("no answer within {within}"),
                "somebody has to attend; --unattended skips what asks for a person",
            ),
        };
        self.broken(DeviceTrouble {
            device: "the person at the bench".to_owned(),
            doing: format!("asked: {question}"),
            what,
            saw,
            hint: hint.to_owned(),
        })
    }

    /// Starts to watch for a signal.
    pub fn watch(&mut self, signal: &Signal) -> Step {
        self.tracks = self.tracks_of(signal)?;
        Ok(())
    }

    /// What a signal wants of each of its lines, from now on.
    pub fn tracks_of(&mut self, signal: &Signal) -> Step<Vec<Track>> {
        let lamps = signal.lamps().map(|(line, lamp)| {
            let wanted = match lamp {
                crate::profile::Lamp::Flashes(count) => Wanted::Pulses(count),
                crate::profile::Lamp::Lit => Wanted::Lit,
                crate::profile::Lamp::Dark => Wanted::Dark,
            };
            (line, wanted)
        });
        let beeper = signal.beeper.map(|count| ("beeper", Wanted::Pulses(count)));
        let wanted: Vec<(&str, Wanted)> = lamps.chain(beeper).collect();
        let mut tracks = Vec::new();
        for (line, wanted) in wanted {
            let level = self.level(line)?;
            tracks.push(Track::new(line, wanted, level));
        }
        Ok(tracks)
    }

    /// Waits until the signal that is watched for has been seen and is over, and checks it.
    pub fn await_signal(&mut self, name: &str, by: Nanos) -> Step {
        let quiet_by = by + QUIET;
        loop {
            let now = self.bench.now();
            let progress: Vec<Progress> = self
                .tracks
                .iter()
                .map(|track| track.progress(now, QUIET))
                .collect();
            let seen = progress.iter().all(|one| *one == Progress::Seen);
            let missed = progress.contains(&Progress::Missed) || now >= quiet_by;
            if seen || missed {
                let tracks = std::mem::take(&mut self.tracks);
                let wanted: Vec<String> = tracks.iter().map(Track::wanted_words).collect();
                let got: Vec<String> = tracks.iter().map(Track::words).collect();
                return self.check(
                    format!("signal '{name}' ({})", wanted.join(", ")),
                    got.join(", "),
                    seen,
                );
            }
            let settles = self.tracks.iter().filter_map(|track| track.settles(QUIET));
            let next = settles
                .filter(|at| *at > now)
                .fold(quiet_by, |next, at| next.min(at));
            self.wait_for_one(next)?;
        }
    }

    /// Waits until the whole of `by` has passed, and checks that the signal was not shown.
    pub fn await_no_signal(&mut self, name: &str, by: Nanos) -> Step {
        self.wait_until(by)?;
        let now = self.bench.now();
        let tracks = std::mem::take(&mut self.tracks);
        let shown = tracks
            .iter()
            .all(|track| track.progress(now, Nanos::ZERO) == Progress::Seen);
        let got: Vec<String> = tracks.iter().map(Track::words).collect();
        self.check(format!("no signal '{name}'"), got.join(", "), !shown)
    }

    /// Waits until the supply has confirmed that it is on.
    pub fn wait_for_power(&mut self) -> Step {
        let until = self.bench.now() + POWER_MAX;
        while self.power_on.is_none() && self.bench.now() < until {
            self.wait_for_one(until)?;
        }
        Ok(())
    }

    /// Waits until the supply has confirmed that it is off.
    pub fn wait_for_no_power(&mut self) -> Step {
        let until = self.bench.now() + POWER_MAX;
        while !self.bench.is_fed(Feed::Off) && self.bench.now() < until {
            self.wait_for_one(until)?;
        }
        Ok(())
    }

    /// Waits until lamps and beeper have been quiet, at most `bound`.
    pub fn wait_for_quiet(&mut self, bound: Nanos) -> Step {
        let end = self.bench.now() + bound;
        loop {
            let now = self.bench.now();
            let last = self
                .recorder
                .events()
                .iter()
                .rev()
                .find_map(|event| match &event.what {
                    What::LineChanged { line, .. } if is_signal(line) => Some(event.at),
                    _ => None,
                });
            let quiet = last.map_or(Nanos::ZERO, |at| at + QUIET);
            if now >= quiet || now >= end {
                return Ok(());
            }
            self.wait_for_one(quiet.min(end))?;
        }
    }

    /// The last line of the oracles, what is left for the verdict, and trouble if a press was not made as it was
    /// ordered.
    pub fn conclude(mut self) -> (Nanos, Recorder, Option<What>) {
        let now = self.bench.now();
        for judged in self.oracles.conclude() {
            self.recorder.record(now, judged);
        }
        let unproved = self.presses.unproved(now, self.bench.file());
        (now, self.recorder, unproved)
    }
}

impl<P> Runner<'_, P>
where
    Self: CarryOut,
{
    /// What happens on every way out: the scenario's `finally`, then rest. A broken bench goes to rest at once:
    /// what `finally` asks of it could not be trusted, and power least of all where an output is unknown.
    pub fn clean_up(&mut self, stopped: Option<Stop>) {
        let script = self.script;
        self.armed = None;
        self.tracks.clear();
        self.inside.clear();
        // A stop in here is recorded like any other, and rest comes all the same.
        if stopped != Some(Stop::Broken) {
            let released = self.release_all().and_then(|()| self.read_log());
            let _ = released.and_then(|()| self.all(&script.finally));
        }
        let rest = self.bench.to_rest();
        for happening in rest.happenings {
            self.note_press(&happening);
            if let bench::What::Trouble(trouble) = happening.what {
                // It ends no step any more; the verdict sees it.
                let _ = self.broken::<()>(trouble);
            }
        }
        self.record(What::WentToRest {
            outputs: rest.outputs,
            unknown: rest.unknown,
        });
    }

    pub fn all(&mut self, acts: &[Act]) -> Step {
        for act in acts {
            self.one(act)?;
        }
        Ok(())
    }

    fn one(&mut self, act: &Act) -> Step {
        self.step += 1;
        let number = self.step;
        let procedure = match &act.doing {
            Doing::Do { procedure, .. } => Some(procedure.clone()),
            _ => None,
        };
        self.record(What::StepStarted {
            step: number,
            inside: self.inside.last().map(|(step, _)| *step),
            place: act.place.clone(),
            doing: act.to_string(),
            procedure: procedure.clone(),
        });
        self.inside.push((number, procedure.is_some()));
        let outcome = self.act(act);
        self.inside.pop();
        outcome?;
        self.record(What::StepFinished { step: number });
        if self.inside.is_empty() {
            self.read_log()?;
        }
        self.enter_phase(act.phase.after, PHASE)
    }
}

/// A number from the seed and a label: the same for the same two, on every machine.
pub fn draw(seed: u64, label: &[u8]) -> u64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new()
        .chain_update(seed.to_le_bytes())
        .chain_update(label)
        .finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
}
