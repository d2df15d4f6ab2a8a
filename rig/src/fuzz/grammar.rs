//! What is done to a lock, in a profile's words: every input of the fuzzer is a scenario of the same form as
//! those that people write, so that it is carried out and judged in the same way.
//!
//! An [`Input`] is a row of words of three bytes, of which each means something whatever it is: that is what
//! is mutated. Words leave the rig certain of what the lock knows, so that a breach is one: digits that are no
//! code are pressed only where what they lead to is asked at once, or where they are forgotten; a button that
//! begins something is pressed outside a procedure only where the manual says that it then does nothing.

use std::fmt::Write as _;

use crate::event::Nanos;
use crate::profile::{Button, EffectOf, HoldWindow, Parameter, Profile, Relock, Stores};
use crate::step::{CodeKind, DoorState};

/// The most words of an input.
pub const WORDS_MAX: usize = 12;

/// One thing that is done, and two choices of how; what is beyond the choices there are starts over.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Word(pub [u8; 3]);

/// What is done, in order.
pub type Input = Vec<Word>;

/// What can be done to one product.
pub struct Grammar {
    profile: String,
    forms: Vec<Form>,
    waits: Vec<Nanos>,
    levels: Vec<&'static str>,
    procedures: Vec<Procedure>,
    keys: Vec<String>,
    has_lockout: bool,
    moves_within: Nanos,
    /// By when a bolt that relocks by itself has done so.
    rests_within: Nanos,
    longest_lockout: Nanos,
    /// A code that is stored stands beside those that there are.
    adds: bool,
    /// What ends a window for a new code that nobody uses.
    window: &'static str,
    /// A button that does nothing while the door is closed.
    behind_door: Option<Button>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Enter,
    EnterThenOff,
    Behind,
    Short,
    Wait,
    WaitForLockout,
    Do,
    WrongOld,
    StillOpens,
    Interrupted,
    OtherProducts,
    HeldOverPowerOn,
    BehindDoor,
    TooShort,
    Door,
    Off,
    Level,
}

/// A procedure of the profile, and which codes it is given.
struct Procedure {
    name: String,
    old: bool,
    new: Option<(&'static str, CodeKind)>,
    effect: EffectOf,
    slots: bool,
    /// Another one comes right after it, in the window that it opens.
    opens_window: bool,
}

/// Codes that are entered as if to open.
const CODES: [&str; 5] = ["guess", "owner", "second", "third", "near"];
/// The same digits as the owner's code begins with, and no others.
const SHORT: [&str; 3] = ["first", "two", "all-but-last"];
/// Codes that are stored.
const STORED: [&str; 3] = ["second", "third", "owner"];
/// How often a wrong code is entered.
const TIMES: [&str; 6] = ["1", "2", "3", "one-before-lockout", "until-lockout", "1"];
/// How long the supply is away.
const OFF: [&str; 4] = ["300 ms", "1 s", "10 s", "120 s"];
/// How long something is held that is held on other products.
const HELD: [&str; 3] = ["2 s", "11 s", "31 s"];
/// Where a procedure loses its supply.
const PHASES: [&str; 6] = ["P1", "P2", "P3", "P4", "P5", "P6"];
/// What was begun is forgotten by then.
const FORGOTTEN: &str = "  - wait: 31 s\n";

impl Grammar {
    /// Of what a profile says.
    pub fn of(profile: &Profile) -> Grammar {
        let changes = &profile.changes;
        let begins = |button: Button| {
            changes.iter().filter(move |change| {
                let is = |of: &Option<crate::source::Spanned<Button>>| {
                    of.as_ref().is_some_and(|of| of.value == button)
                };
                is(&change.tap) || is(&change.hold)
            })
        };
        let reset = profile.reset.as_ref();
        let needs_open = |door: Option<DoorState>| door == Some(DoorState::Open);
        let behind_door = reset.and_then(|reset| {
            let button = reset.button?;
            let guarded = needs_open(reset.requires.door)
                && begins(button).all(|change| needs_open(change.requires.door));
            guarded.then_some(button)
        });
        let too_short = reset.is_some_and(|reset| {
            matches!(reset.hold, Some(HoldWindow::Range(_)))
                && reset
                    .button
                    .is_some_and(|button| begins(button).next().is_none())
        });
        let mut procedures = Vec::new();
        for (name, procedure) in profile.procedures.iter() {
            if name.value == "lock" {
                continue;
            }
            let code_of = |wanted: &str| {
                let mut parameters = procedure.with.iter();
                parameters.find_map(|(name, parameter)| match parameter {
                    Parameter::Code(kind) if name.value == wanted => Some(*kind),
                    _ => None,
                })
            };
            let new = code_of("new").map(|kind| ("new", kind));
            procedures.push(Procedure {
                name: name.value.clone(),
                old: code_of("old").is_some(),
                new: new.or_else(|| code_of("code").map(|kind| ("code", kind))),
                effect: procedure.effect,
                slots: procedure.with.names().any(|name| name == "slot"),
                opens_window: profile.procedures.iter().any(|(_, other)| {
                    other
                        .after
                        .as_ref()
                        .is_some_and(|after| after.value == name.value)
                }),
            });
        }
        let asks_old = procedures.iter().any(|procedure| procedure.old)
            && changes.iter().any(|change| {
                change.asks.contains(&crate::profile::Asked::Old)
                    && change.asks.contains(&crate::profile::Asked::New)
            });
        let has_lockout = profile.lockout.is_some();
        let levels = [
            (profile.warns_below().is_some(), "low"),
            (profile.refuses_changes_below().is_some(), "no-changes"),
            (profile.refuses_opening_below().is_some(), "critical"),
        ];
        let levels = levels.into_iter().filter(|(has, _)| *has);
        let levels: Vec<_> = levels.map(|(_, level)| level).chain(["fresh"]).collect();
        let has = |form, has: bool| has.then_some(form);
        let forms = [
            Some(Form::Enter),
            Some(Form::Enter),
            Some(Form::EnterThenOff),
            Some(Form::Behind),
            Some(Form::Short),
            Some(Form::Wait),
            has(Form::WaitForLockout, has_lockout),
            has(Form::Do, !procedures.is_empty()),
            has(Form::Do, !procedures.is_empty()),
            has(Form::WrongOld, asks_old),
            Some(Form::StillOpens),
            has(Form::Interrupted, !procedures.is_empty()),
            Some(Form::OtherProducts),
            Some(Form::HeldOverPowerOn),
            has(Form::BehindDoor, behind_door.is_some()),
            has(Form::TooShort, too_short),
            Some(Form::Door),
            Some(Form::Off),
            has(Form::Level, levels.len() > 1),
        ];
        let labels = profile.keypad.labels().map(str::to_owned);
        Grammar {
            profile: profile.id().to_owned(),
            forms: forms.into_iter().flatten().collect(),
            waits: waits(profile),
            levels,
            procedures,
            keys: labels.collect(),
            has_lockout,
            longest_lockout: profile
                .lockout
                .iter()
                .flat_map(|lockout| &lockout.stages)
                .map(|stage| stage.lasts.value)
                .max()
                .unwrap_or(Nanos::ZERO),
            adds: changes
                .iter()
                .any(|change| change.stores == Stores::FreeSlot),
            rests_within: profile.bolt.withdraws_within
                + match profile.relocks_after() {
                    Some(Relock::After(after)) => after + after,
                    _ => Nanos::ZERO,
                }
                + Nanos::from_secs(1),
            moves_within: profile.bolt.withdraws_within + Nanos::from_secs(1),
            window: match profile.change_window() {
                Some(_) => "  - wait: change-window\n",
                None => FORGOTTEN,
            },
            behind_door,
        }
    }

    /// An input as a scenario of this name; `because` is what was found by it. None where nothing is left to do.
    pub fn scenario(&self, input: &[Word], name: &str, because: Option<&str>) -> Option<String> {
        let mut steps = Steps {
            grammar: self,
            text: String::new(),
            opens: vec!["owner"],
            fresh: true,
            critical: false,
            erred: false,
            cycles: 0,
        };
        for word in input {
            steps.word(*word);
        }
        let steps = steps.text;
        if steps.is_empty() {
            return None;
        }
        let mut codes = vec!["owner: user".to_owned()];
        let declared = [
            ("second", "user"),
            ("third", "user"),
            ("boss", "master"),
            ("guess", "wrong"),
            ("near", "{ like: $owner, right: all-but-last }"),
            ("first", "{ like: $owner, right: 1, ends: yes }"),
            ("two", "{ like: $owner, right: 2, ends: yes }"),
            (
                "all-but-last",
                "{ like: $owner, right: all-but-last, ends: yes }",
            ),
        ];
        for (name, how) in declared {
            if steps.contains(&format!("${name}")) {
                codes.push(format!("{name}: {how}"));
            }
        }
        let intent = match because {
            Some(because) => format!("Found by 'lockrig fuzz' on {}: {because}.", self.profile),
            None => format!("Tried by 'lockrig fuzz' on {}.", self.profile),
        };
        Some(format!(
            "scenario: {name}\nversion: 1\nintent: >\n  {intent}\nneeds: [keypad, bolt, supply, \
             procedure.set-code]\ncovers: []\n\ncodes:\n  {}\ngiven: {{ door: open, supply: fresh, user-codes: \
             [$owner] }}\n\nsteps:\n{steps}",
            codes.join("\n  ")
        ))
    }
}

/// Pauses that this product may take note of: around every time that its profile gives, and some that many
/// manuals like.
fn waits(profile: &Profile) -> Vec<Nanos> {
    let lockouts = profile.lockout.iter().flat_map(|lockout| &lockout.stages);
    let own = [
        profile.idle_time_out(),
        profile.change_window(),
        profile.second_tap_within(),
        Some(profile.bolt.withdraws_within),
        match profile.relocks_after() {
            Some(Relock::After(after)) => Some(after),
            _ => None,
        },
    ];
    let own = own.into_iter().flatten();
    let own = own.chain(lockouts.map(|stage| stage.lasts.value));
    let around = own.flat_map(|time| {
        let margin = Nanos::from_millis(200);
        [time.since(margin), time + margin]
    });
    let usual = [100, 300, 1_000, 3_000, 5_000, 31_000].map(Nanos::from_millis);
    let mut waits: Vec<Nanos> = usual.into_iter().chain(around).collect();
    waits.retain(|wait| *wait > Nanos::ZERO);
    waits.sort_unstable();
    waits.dedup();
    waits
}

/// The steps that are being written, and what is known of the lock there.
struct Steps<'g> {
    grammar: &'g Grammar,
    text: String,
    /// The codes that open; none where that is not certain.
    opens: Vec<&'static str>,
    fresh: bool,
    critical: bool,
    /// Whether the lock may have counted a wrong code since one has opened, and how often its supply came back
    /// meanwhile: how long a lockout then lasts, the rig does not always know.
    erred: bool,
    cycles: u32,
}

impl Steps<'_> {
    fn word(&mut self, Word([form, one, two]): Word) {
        let grammar = self.grammar;
        let (one, two) = (usize::from(one), usize::from(two));
        match pick(&grammar.forms, usize::from(form)) {
            Form::Enter => self.enter(one, two),
            Form::EnterThenOff => {
                self.enter(one, 0);
                self.off(two);
            }
            Form::Behind => {
                let Some(current) = self.current() else {
                    return;
                };
                let before = 1 + two % 3;
                self.between_openings(&format!(
                    "  - press: \"5\"\n    times: {before}\n  - refuses: ${current}\n"
                ));
            }
            // Of another code that is stored they would be a part as well.
            Form::Short if self.opens == ["owner"] => {
                let short = pick(&SHORT, one);
                self.between_openings(&format!("  - refuses: ${short}\n"));
            }
            Form::Short => {}
            Form::Wait => {
                let wait = pick(&grammar.waits, one);
                self.write(format!("  - wait: {wait}\n"));
            }
            Form::WaitForLockout => {
                let share = pick(&["", "\n    share: 50 %", "\n    share: 95 %"], one);
                self.write(format!("  - wait: lockout{share}\n"));
            }
            Form::Do => self.procedure(one, two),
            Form::WrongOld => {
                let named = |procedure: &&Procedure| procedure.name == "change-code";
                let (Some(change), Some(current)) =
                    (grammar.procedures.iter().find(named), self.current())
                else {
                    return;
                };
                let stored = STORED.iter().find(|stored| **stored != current);
                let (Some((new, _)), Some(stored)) = (change.new, stored) else {
                    return;
                };
                if !self.is_forgiven() {
                    return;
                }
                self.make_fresh();
                let window = grammar.window;
                self.erred = true;
                self.write(format!(
                    "  - do: change-code\n    with: {{ old: $guess, {new}: ${stored} }}\n    refused: either\n{window}"
                ));
                self.still_open();
            }
            Form::StillOpens => self.still_open(),
            Form::Interrupted => {
                let procedure = pick_ref(&grammar.procedures, one);
                let Some(current) = self.current().filter(|_| {
                    procedure.effect == EffectOf::StoresUserCode || procedure.name == "change-code"
                }) else {
                    return;
                };
                let Some((new, CodeKind::User)) = procedure.new else {
                    return;
                };
                let stored = STORED.iter().find(|stored| **stored != current);
                let Some(stored) = stored.filter(|_| procedure.old || procedure.slots) else {
                    return;
                };
                if !self.is_forgiven() {
                    return;
                }
                self.make_fresh();
                let phase = pick(&PHASES, two);
                let how = pick(&["clean", "sag"], two / PHASES.len());
                let old = if procedure.old {
                    format!("old: ${current}, ")
                } else {
                    String::new()
                };
                let (name, window) = (&procedure.name, grammar.window);
                // A lock that lives through a sag may still be asking for the new code.
                self.write(format!(
                    "  - interrupt: {{ at: {phase}, supply: {how}, for: 1 s }}\n    steps:\n      - do: {name}\n        \
                     with: {{ {old}{new}: ${stored} }}\n{window}  - settles: {{ old: [${current}], new: \
                     [${stored}] }}\n"
                ));
                self.opens.clear();
            }
            Form::OtherProducts => {
                let what = pick(
                    &[
                        "  - press: other-button\n    times: 2\n",
                        "  - press: [\"0\", \"1\"]\n",
                        "  - hold: \"0\"\n    for: 3 s\n",
                        "  - hold: other-button\n    for: 6 s\n",
                    ],
                    one,
                );
                self.write(what.to_owned());
                self.write(FORGOTTEN.to_owned());
            }
            Form::HeldOverPowerOn => {
                let key = pick_ref(&grammar.keys, one);
                let held = pick(&HELD, two);
                self.write(format!(
                    "  - supply: off\n    for: 10 s\n  - hold: \"{key}\"\n    while: [{{ supply: fresh }}]\n    \
                     for: {held}\n{FORGOTTEN}"
                ));
                (self.fresh, self.critical) = (true, false);
                self.cycles += 1;
            }
            Form::BehindDoor => {
                let Some(button) = grammar.behind_door else {
                    return;
                };
                self.write(format!("  - door: closed\n  - press: {}\n", button.word()));
            }
            Form::TooShort => self.write("  - hold: reset\n    for: too-short\n".to_owned()),
            Form::Door => {
                let door = pick(&["open", "closed"], one);
                self.write(format!("  - door: {door}\n"));
            }
            Form::Off => self.off(one),
            Form::Level => {
                let level = pick(&grammar.levels, one);
                // A solenoid that a weak supply lets go is not to be drawn again after the next code.
                let rests = grammar.rests_within;
                self.write(format!(
                    "  - wait: {rests}\n  - supply: {level}\n    for: 1 s\n"
                ));
                self.fresh = level == "fresh";
                self.critical = level == "critical";
            }
        }
    }

    fn enter(&mut self, one: usize, two: usize) {
        let grammar = self.grammar;
        let code = pick(&CODES, one);
        let times = match grammar.has_lockout {
            true => pick(&TIMES, two),
            false => pick(&TIMES[..3], two),
        };
        let times = if code == "guess" { times } else { "1" };
        let is_wrong = !self.opens.contains(&code);
        // A lock that is too weak to open may count nothing.
        if self.critical && is_wrong {
            return;
        }
        self.erred |= is_wrong;
        // Nobody knows whether it opens: a bolt that is withdrawn already would not show it.
        let may_open = self.opens.is_empty() && STORED.contains(&code);
        let rests = grammar.rests_within;
        if may_open {
            self.make_fresh();
            self.write(format!("  - wait: {rests}\n"));
        }
        // How much of a lockout a power cycle leaves, few manuals say: what opens is entered when all is over.
        if grammar.has_lockout && (may_open || !is_wrong) && self.erred && self.cycles > 0 {
            let over = self.lockouts_over();
            self.write(format!("  - wait: {over}\n"));
        }
        self.write(format!("  - enter: ${code}\n"));
        if times != "1" {
            self.write(format!("    times: {times}\n"));
        }
    }

    fn off(&mut self, one: usize) {
        let off = pick(&OFF, one);
        self.write(format!(
            "  - supply: off\n    for: {off}\n  - supply: fresh\n"
        ));
        (self.fresh, self.critical) = (true, false);
        self.cycles += 1;
    }

    fn procedure(&mut self, one: usize, two: usize) {
        let procedure = pick_ref(&self.grammar.procedures, one);
        if !self.is_forgiven() {
            return;
        }
        // Of a lock that refuses the first step the rig does not know what it takes the others for.
        self.make_fresh();
        if self.grammar.behind_door.is_some() {
            self.write("  - door: open\n".to_owned());
        }
        let mut with = Vec::new();
        if procedure.old {
            with.push(format!("old: ${}", self.current().unwrap_or("owner")));
        }
        let mut stores = None;
        match procedure.new {
            Some((name, CodeKind::Master)) => with.push(format!("{name}: $boss")),
            Some((name, _)) if procedure.effect == EffectOf::DeletesUserCode => {
                let Some(current) = self.current() else {
                    return;
                };
                with.push(format!("{name}: ${current}"));
            }
            Some((name, _)) => {
                let code = pick(&STORED, two);
                if self.grammar.adds && self.opens.contains(&code) {
                    return;
                }
                with.push(format!("{name}: ${code}"));
                stores = Some(code);
            }
            None => {}
        }
        if procedure.slots && two >= 128 {
            with.push("slot: 1".to_owned());
        }
        self.write(format!("  - do: {}\n", procedure.name));
        if !with.is_empty() {
            self.write(format!("    with: {{ {} }}\n", with.join(", ")));
        }
        if procedure.opens_window {
            self.write(self.grammar.window.to_owned());
        }
        let adds = procedure.effect == EffectOf::StoresUserCode && self.grammar.adds;
        match (procedure.effect, stores) {
            (EffectOf::StoresMasterCode, _) => {}
            // Which codes there are now the rig is told by trying.
            (EffectOf::StoresUserCode, Some(code)) if adds && !self.opens.is_empty() => {
                self.opens.retain(|other| *other != code);
                self.opens.push(code);
                self.still_open();
            }
            (EffectOf::StoresUserCode | EffectOf::Nothing, Some(code)) if !adds => {
                self.opens = vec![code];
            }
            _ => self.opens.clear(),
        }
    }

    /// A code that opens.
    fn current(&self) -> Option<&'static str> {
        self.opens.first().copied()
    }

    fn make_fresh(&mut self) {
        self.critical = false;
        if !std::mem::replace(&mut self.fresh, true) {
            self.write("  - supply: fresh\n    for: 1 s\n".to_owned());
        }
    }

    /// The codes that are stored open, and so end what was counted before.
    fn still_open(&mut self) {
        if self.opens.is_empty() {
            return;
        }
        self.make_fresh();
        // A bolt that was told to move is not there yet.
        let mut wait = self.grammar.moves_within;
        if self.erred {
            wait += self.lockouts_over();
        }
        (self.erred, self.cycles) = (false, 0);
        let codes: Vec<String> = self.opens.iter().map(|code| format!("${code}")).collect();
        self.write(format!(
            "  - wait: {wait}\n  - settles: {{ unchanged: [{}] }}\n",
            codes.join(", ")
        ));
    }

    /// By when every lockout is over, also one that each power cycle has made longer.
    fn lockouts_over(&self) -> Nanos {
        Nanos(self.grammar.longest_lockout.0 * u64::from(1 + self.cycles))
    }

    /// Sees to it that no wrong code is counted: what a procedure makes of those, few manuals say. Not where it
    /// is not certain what opens.
    fn is_forgiven(&mut self) -> bool {
        if self.erred {
            self.still_open();
        }
        !self.erred
    }

    /// What the rig cannot count as the lock does: whether it is a wrong code, no manual says.
    fn between_openings(&mut self, steps: &str) {
        self.still_open();
        self.write(format!("{steps}{FORGOTTEN}"));
        self.erred = true;
        self.still_open();
    }

    fn write(&mut self, text: String) {
        // Writing to a string cannot fail.
        let _ = self.text.write_str(&text);
    }
}

fn pick<T: Copy>(from: &[T], which: usize) -> T {
    from[which % from.len()]
}

fn pick_ref<T>(from: &[T], which: usize) -> &T {
    &from[which % from.len()]
}
