//! What the steps of a scenario mean on a mechanical cylinder in a stage.
//!
//! What is checked is seen twice: by the stage, which says where it was stopped, and by the sense
//! lines of plug, tool and click.

use std::collections::{BTreeMap, BTreeSet};

use crate::bench::file::Stage;
use crate::bench::{Bench, Cut};
use crate::driver::stage::{Motion, Settings};
use crate::event::{Nanos, Standing, What};
use crate::oracle::{Facts, OnPowerCycle, Oracles};
use crate::profile::Cylinder;
use crate::profile::codes::Code;
use crate::quantity::{Micrometres, Millidegrees, MillinewtonMetres, Percent};
use crate::scenario::{Act, Doing, Effect, Handling, KeySet, Script};
use crate::step::{KeyKind, Phase, Refusal};
use crate::trace::Recorder;

use super::runner::{CarryOut, Runner, Step, Stop};

/// The plug is turned so far that the bolt is thrown over.
const TURNED: &str = "plug-turned";
/// The plug is where keys go in and out.
const AT_REST: &str = "plug-rest";
/// The cylinder clicked.
const CLICK: &str = "click";
/// How long a click may be heard after the tool has stopped, and a line may take to follow a move.
const SETTLES: Nanos = Nanos::from_millis(20);
/// Angles that differ by no more are the same place, in thousandths of a degree.
const SAME_ANGLE: i32 = 20;
/// How far a key is pulled before it is turned on its way out.
const HALF_OUT: Micrometres = Micrometres(3_000);
/// How long a move may take to be reported; the driver reports trouble well before.
const MOVE_MAX: Nanos = Nanos::from_secs(300);

/// What the rig knows about the keys: where they are, and which one turns the cylinder.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// Slots of the magazine, by the names of the scenario.
    slots: BTreeMap<String, u8>,
    /// The key that turns the cylinder; none while nobody knows.
    valid: Option<String>,
    /// It clicked: the next key that is turned back is learnt.
    learning: bool,
    /// The key that is in the keyway.
    inside: Option<String>,
    turned: Millidegrees,
    tool_in: bool,
    /// The phase at whose end whoever works on it stops.
    stops_at: Option<Phase>,
}

impl Keys {
    /// Gives each key of a scenario one of the magazine; none, if the magazine has too few.
    pub fn from_magazine(wanted: &BTreeMap<String, KeyKind>, magazine: &[Cut]) -> Option<Keys> {
        let mut slots = BTreeMap::new();
        for (name, kind) in wanted {
            let slot = (1_u8..).zip(magazine).find(|(slot, cut)| {
                cut.word() == kind.word() && !slots.values().any(|taken| taken == slot)
            });
            slots.insert(name.clone(), slot?.0);
        }
        let current = wanted.iter().find(|(_, kind)| **kind == KeyKind::Current);
        Some(Keys {
            slots,
            // A scenario without the key that turns has none that does.
            valid: Some(current.map_or(String::new(), |(name, _)| name.clone())),
            ..Keys::default()
        })
    }

    fn standing(&self, key: &str) -> Standing {
        match &self.valid {
            _ if self.learning => Standing::Offered,
            None => Standing::Unsettled,
            Some(valid) if valid == key => Standing::Valid,
            Some(_) => Standing::Invalid,
        }
    }
}

/// What a script asks of a stage that this one cannot do, each in words: `turns no further than …`.
pub fn beyond(script: &Script, stage: &Stage) -> Vec<String> {
    let Settings { turn, torque, .. } = &stage.settings;
    let mut beyond = BTreeSet::new();
    if Keys::from_magazine(&script.keys, &stage.keys).is_none() {
        let kinds: Vec<String> = script.keys.values().map(|kind| kind.word()).collect();
        beyond.insert(format!("has not all of these keys: {}", kinds.join(", ")));
    }
    let mut look = |act: &Act| {
        if let Doing::Handle(Handling::Turn {
            to, torque: asked, ..
        }) = &act.doing
        {
            if !(turn.from..=turn.to).contains(to) {
                beyond.insert(format!(
                    "turns from {} to {}, not to {to}",
                    turn.from, turn.to
                ));
            }
            if asked > torque {
                beyond.insert(format!("puts at most {torque} on a key, not {asked}"));
            }
        }
    };
    for acts in [&script.steps, &script.finally] {
        walk(acts, &mut look);
    }
    beyond.into_iter().collect()
}

fn walk(acts: &[Act], look: &mut impl FnMut(&Act)) {
    for act in acts {
        look(act);
        walk(act.inner(), look);
    }
}

/// What the oracles need to know: that there are no codes.
pub fn facts(bench: &Bench) -> Facts {
    Facts {
        senses_plug: bench.lines().any(|line| line == TURNED),
        senses_bolt: false,
        withdraws_within: Nanos::ZERO,
        stays_open: Nanos::ZERO,
        learns_handing: false,
        counted_within: None,
        on_power_cycle: OnPowerCycle::Unspecified,
        reset_erases_counters: false,
        reset_needs_open_door: false,
        answers_within: Nanos::ZERO,
        kept: Vec::new(),
        uncertainty: bench.file().uncertainty,
        resolution: bench.file().uncertainty,
    }
}

/// What came of a move.
#[derive(Clone, Copy, Debug)]
pub struct Moved {
    /// Where it was stopped, if it was.
    pub stopped: Option<i64>,
    /// Where the axis stands now.
    pub stands: i64,
}

/// What came of trying a key.
struct Tried {
    turned: bool,
    words: String,
}

impl<'a> Runner<'a, Cylinder> {
    pub fn on_cylinder(
        script: &'a Script,
        profile: &'a Cylinder,
        codes: &'a BTreeMap<String, Code>,
        seed: u64,
        bench: &'a mut Bench,
        recorder: Recorder,
        oracles: Oracles,
    ) -> Runner<'a, Cylinder> {
        let magazine = bench.file().stage.as_ref().map(|stage| stage.keys.clone());
        let keys = Keys::from_magazine(&script.keys, &magazine.unwrap_or_default());
        let mut runner =
            Runner::without_codes(script, profile, codes, seed, bench, recorder, oracles);
        runner.keys = keys.unwrap_or_default();
        runner
    }

    fn settings(&self) -> Settings {
        let stage = self.bench.file().stage.as_ref();
        stage
            .map(|stage| stage.settings.clone())
            .expect("a plan for a cylinder needs a stage")
    }

    /// Carries out a move; where it was stopped, if it was.
    fn go(&mut self, motion: Motion) -> Step<Option<i64>> {
        self.moved = None;
        if let Err(trouble) = self.bench.go(motion) {
            return self.broken(trouble);
        }
        let until = self.bench.now() + MOVE_MAX;
        while self.bench.now() < until {
            self.wait_for_one(until)?;
            if let Some(moved) = self.moved.take() {
                if let Motion::Turn { .. } = motion {
                    self.keys.turned = Millidegrees(moved.stands as i32);
                }
                // What the cylinder did with it is on the lines a moment later.
                self.wait(SETTLES)?;
                return Ok(moved.stopped);
            }
        }
        unreachable!("the stage's driver tells of every move, or of trouble")
    }

    fn turn_to(&mut self, to: Millidegrees, torque: MillinewtonMetres) -> Step<Option<i64>> {
        let stopped = self.go(Motion::Turn { to, torque })?;
        // A key that is all the way in and turned back has been learnt, or not: that is to be seen.
        self.keys.learning &= stopped.is_some() || to > Millidegrees(0);
        Ok(stopped)
    }

    /// Turns with the torque at which the profile has the rig stop.
    fn turn_gently(&mut self, to: Millidegrees) -> Step<Option<i64>> {
        self.turn_to(to, self.profile.plug.stop.value)
    }

    fn insert(&mut self, key: &str, short: Micrometres) -> Step<Option<i64>> {
        let slot = self.keys.slots.get(key).copied().unwrap_or_default();
        match self.keys.inside.clone() {
            Some(inside) if inside == key => {}
            Some(inside) => {
                let got = format!("key {inside} is in the keyway");
                self.check(format!("room for key {key}"), got, false)?;
            }
            None => {
                self.go(Motion::Select { slot })?;
            }
        }
        let standing = self.keys.standing(key);
        self.record(What::KeyInserted {
            key: key.to_owned(),
            standing,
        });
        let seated = self.settings().insert.seated;
        let to = Micrometres(seated.0.saturating_sub(short.0));
        let stopped = self.go(Motion::Insert { to })?;
        if stopped.is_none() {
            self.keys.inside = Some(key.to_owned());
        }
        Ok(stopped)
    }

    fn withdraw(&mut self) -> Step<Option<i64>> {
        let stopped = self.go(Motion::Insert { to: Micrometres(0) })?;
        if stopped.is_none() {
            self.keys.inside = None;
        }
        Ok(stopped)
    }

    /// How often a line came on since an event.
    fn rises(&self, line: &str, since: usize) -> usize {
        let events = &self.recorder.events()[since..];
        let rose = |what: &What| matches!(what, What::LineChanged { line: changed, high: true } if changed == line);
        events.iter().filter(|event| rose(&event.what)).count()
    }

    /// Checks what a move came to; `stopped` is where, in thousandths of `unit`.
    fn judge(&mut self, what: String, refused: Refusal, stopped: Option<i64>, unit: &str) -> Step {
        let got = match stopped {
            Some(at) => format!("it was stopped at {} {unit}", thousandths(at)),
            None => "it arrived".to_owned(),
        };
        match refused {
            Refusal::No => self.check(what, got, stopped.is_none()),
            Refusal::Yes => self.check(format!("{what} to be refused"), got, stopped.is_some()),
            Refusal::Either => Ok(()),
        }
    }

    fn handle(&mut self, handling: &Handling, during: Option<Phase>) -> Step {
        match handling {
            Handling::Insert {
                key,
                short,
                refused,
            } => {
                let stopped = self.insert(key, *short)?;
                self.judge(format!("key {key} to go in"), *refused, stopped, "mm")
            }
            Handling::Withdraw { turning, refused } => self.pull(*turning, *refused),
            Handling::Turn {
                to,
                torque,
                refused,
            } => {
                let stopped = self.turn_to(*to, *torque)?;
                let what = format!("the key to turn to {to} with less than {torque}");
                self.judge(what, *refused, stopped, "deg")?;
                self.follow(*to, stopped)
            }
            Handling::Plunge {
                depth,
                times,
                stays,
                refused,
            } => self.plunge(*depth, *times, *stays, *refused),
            Handling::Opens { key, times } => {
                for _ in 0..*times {
                    let tried = self.try_key(key)?;
                    self.check(
                        format!("key {key} to turn the plug both ways"),
                        tried.words,
                        tried.turned,
                    )?;
                }
                Ok(())
            }
            Handling::Refuses { key, times } => {
                for _ in 0..*times {
                    let tried = self.try_key(key)?;
                    self.check(
                        format!("key {key} not to turn the plug"),
                        tried.words,
                        !tried.turned,
                    )?;
                }
                Ok(())
            }
            Handling::StopAt { at, lasts, acts } => self.stop_at(*at, *lasts, acts),
            Handling::Settles(sets) => self.settles(sets),
        }?;
        // Phases of a cylinder are those of the hand that works on it.
        self.record_phase(during);
        Ok(())
    }

    fn record_phase(&mut self, phase: Option<Phase>) {
        if let Some(phase) = phase {
            self.record(What::PhaseEntered {
                phase: phase.to_string(),
            });
        }
    }

    /// A key that is in and arrived has taken the plug along, as far as the lines can tell.
    fn follow(&mut self, to: Millidegrees, stopped: Option<i64>) -> Step {
        if self.keys.inside.is_none() || stopped.is_some() {
            return Ok(());
        }
        let quarter = self.profile.plug.quarter_turn.value;
        let (line, place) = match to.0 {
            0 => (AT_REST, "at rest"),
            angle if angle.abs() == quarter.0 => (TURNED, "turned"),
            _ => return Ok(()),
        };
        let there = self.level(line)?;
        let got = if there { "it was" } else { "it was not" };
        self.check(format!("the plug to be {place}"), got.to_owned(), there)
    }

    fn pull(&mut self, turning: Millidegrees, refused: Refusal) -> Step {
        if turning.0 != 0 {
            let seated = self.settings().insert.seated;
            let to = Micrometres(seated.0.saturating_sub(HALF_OUT.0));
            let angle = self.keys.turned;
            let torque = self.settings().torque;
            self.go(Motion::Insert { to })?;
            for to in [Millidegrees(angle.0 + turning.0), angle] {
                self.go(Motion::Turn { to, torque })?;
            }
        }
        let stopped = self.withdraw()?;
        self.judge("the key to come out".to_owned(), refused, stopped, "mm")
    }

    fn plunge(&mut self, depth: Percent, times: u32, stays: bool, refused: Refusal) -> Step {
        let before = self.recorder.events().len();
        let seated = self.settings().plunge.seated;
        let to = Micrometres((u64::from(seated.0) * u64::from(depth.0) / 100) as u32);
        let mut stopped = None;
        for time in 0..times {
            stopped = self.go(Motion::Plunge { to })?.or(stopped);
            self.keys.tool_in = stays && time + 1 == times && stopped.is_none();
            if !self.keys.tool_in {
                self.go(Motion::Plunge { to: Micrometres(0) })?;
            }
        }
        let clicks = self.rises(CLICK, before);
        if clicks > 0 {
            // From here on it depends on what is done with it which key it knows.
            self.keys.learning = true;
            self.keys.valid = None;
        }
        let mut got = match clicks {
            0 => "no click".to_owned(),
            1 => "one click".to_owned(),
            clicks => format!("{clicks} clicks"),
        };
        if let Some(at) = stopped {
            got += &format!(", and it was stopped at {} mm", thousandths(at));
        }
        match refused {
            Refusal::No => {
                let clean = clicks == 1 && stopped.is_none();
                self.check("one click as the tool goes in".to_owned(), got, clean)
            }
            Refusal::Yes => self.check("no click as the tool goes in".to_owned(), got, clicks == 0),
            Refusal::Either => Ok(()),
        }
    }

    /// Takes out of the cylinder what is in it, as far as it lets go; false, if it holds a key.
    fn clear(&mut self) -> Step<bool> {
        if self.keys.tool_in {
            self.go(Motion::Plunge { to: Micrometres(0) })?;
            self.keys.tool_in = false;
        }
        if self.keys.inside.is_some() {
            if self.keys.turned.0.abs() > SAME_ANGLE {
                self.turn_gently(Millidegrees(0))?;
            }
            return Ok(self.withdraw()?.is_none());
        }
        Ok(true)
    }

    /// Tries a key: in, a quarter turn clockwise, one the other way, back and out. A plug that was left
    /// turned is first turned back with it.
    fn try_key(&mut self, key: &str) -> Step<Tried> {
        let not = |words: &str| Tried {
            turned: false,
            words: words.to_owned(),
        };
        if !self.clear()? {
            return Ok(not("the cylinder holds another key"));
        }
        if self.insert(key, Micrometres(0))?.is_some() {
            return Ok(not("it did not go in"));
        }
        let quarter = self.profile.plug.quarter_turn.value;
        let back = Millidegrees(-quarter.0);
        let mut words = "it turned both ways".to_owned();
        let mut turned = true;
        for (to, line) in [
            (Millidegrees(0), AT_REST),
            (quarter, TURNED),
            (back, TURNED),
            (Millidegrees(0), AT_REST),
        ] {
            if (to.0 - self.keys.turned.0).abs() <= SAME_ANGLE {
                continue;
            }
            let before = self.recorder.events().len();
            if let Some(at) = self.turn_gently(to)? {
                words = format!(
                    "on the way to {to} it was stopped at {} deg",
                    thousandths(at)
                );
                turned = false;
                break;
            }
            if self.rises(line, before) == 0 {
                words = format!("the key turned to {to}, and the plug did not follow");
                turned = false;
                break;
            }
        }
        self.clear()?;
        self.wait(self.profile.plug.pause)?;
        Ok(Tried { turned, words })
    }

    /// Carries acts out up to the end of the first that is labelled with the phase, and leaves it there.
    fn stop_at(&mut self, at: Phase, lasts: Nanos, acts: &[Act]) -> Step {
        self.keys.stops_at = Some(at);
        let depth = self.inside.len();
        let outcome = self.all(acts);
        self.keys.stops_at = None;
        match outcome {
            Err(Stop::Interrupted) => {}
            Err(other) => return Err(other),
            Ok(()) => {
                let got = "every step went through".to_owned();
                return self.check(format!("to stop in {at}"), got, false);
            }
        }
        self.inside.truncate(depth);
        self.wait(lasts)
    }

    /// Tries every key of the sets once, in the order in which they are written, and finds the one set
    /// of which all keys turn the plug, and no other.
    fn settles(&mut self, sets: &[KeySet]) -> Step {
        let mut tried: Vec<(&str, bool)> = Vec::new();
        for key in sets.iter().flat_map(|set| &set.keys) {
            if !tried.iter().any(|(other, _)| other == key) {
                let turned = self.try_key(key)?.turned;
                tried.push((key, turned));
            }
        }
        let set = sets.iter().find(|set| {
            tried
                .iter()
                .all(|(key, turned)| set.keys.iter().any(|known| known == key) == *turned)
        });
        let words: Vec<String> = tried
            .iter()
            .map(|(key, turned)| format!("{key} {}", if *turned { "turns" } else { "does not" }))
            .collect();
        let because = words.join(", ");
        self.record(What::Settled {
            set: set.map(|set| set.name.clone()),
            because: because.clone(),
        });
        if let Some(set) = set {
            self.keys.learning = false;
            self.keys.valid = Some(set.keys.first().cloned().unwrap_or_default());
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let got = set.map_or(because.clone(), |set| format!("'{}': {because}", set.name));
        self.check(
            format!("exactly one of the sets {}", names.join(", ")),
            got,
            set.is_some(),
        )
    }
}

impl CarryOut for Runner<'_, Cylinder> {
    fn carry_out(&mut self) -> Step {
        let script = self.script;
        self.all(&script.steps)
    }

    fn act(&mut self, act: &Act) -> Step {
        match &act.doing {
            Doing::Handle(handling) => self.handle(handling, act.phase.during)?,
            Doing::Wait { at_most, .. } => self.wait(*at_most)?,
            Doing::Ask { question, within } => self.ask(question, *within)?,
            Doing::Do {
                acts,
                effect,
                procedure,
                ..
            } => {
                self.all(acts)?;
                if let Effect::LearnsKey { key } = effect {
                    self.keys.learning = false;
                    self.keys.valid = Some(key.clone());
                    self.record(What::CodesChanged {
                        by: procedure.clone(),
                        valid: vec![key.clone()],
                    });
                }
            }
            other => unreachable!("no plan for a cylinder has {other}"),
        }
        if self.keys.stops_at.is_some() && self.keys.stops_at == act.phase.during {
            let phase = act.phase.during.map(|phase| phase.to_string());
            self.record(What::Interrupted {
                phase: phase.unwrap_or_default(),
                after: Nanos::ZERO,
                how: "stopped".to_owned(),
            });
            return Err(Stop::Interrupted);
        }
        Ok(())
    }
}

fn thousandths(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let size = value.unsigned_abs();
    let decimals = format!(".{:03}", size % 1_000);
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{}{decimals}", size / 1_000)
}
