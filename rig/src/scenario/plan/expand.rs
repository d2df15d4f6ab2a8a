//! Steps to acts: names are looked up, procedures written out, conditions decided.

use std::collections::BTreeSet;

use super::{
    Act, CodeUse, Contact, Doing, Effect, Expected, ResolvedSet, SUPPLY_MARGIN, Script, TIME_MARGIN,
};
use crate::event::Nanos;
use crate::profile::codes::{Code, Declared};
use crate::profile::{
    Button, CodeRules, EffectOf, Fact, HoldWindow, Parameter, Procedure, Profile, Relock, names_in,
};
use crate::quantity::Millivolts;
use crate::scenario::Scenario;
use crate::source::{Node, Problem, Problems, Read, Source, Span, Spanned, Value};
use crate::step::{
    Ability, Action, Arg, Bindings, Bound, CodeKind, CodeSet, CodeWord, Do, DoorState,
    ExpectedSignal, Hold, HoldFor, Interrupt, Phase, Step, SupplyLevel, Times, Wait, WaitFor,
    YesNo,
};

/// What a product lacks, in words.
pub(super) fn lacks(profile: &Profile, ability: &Ability) -> String {
    let id = profile.id();
    match ability {
        Ability::Procedure(name) => format!("'{id}' has no procedure '{name}'"),
        Ability::Signal(name) => format!("'{id}' has no known signal '{name}'"),
        Ability::Lockout => format!("the sources of '{id}' document no lockout"),
        Ability::Relock => {
            format!("the sources of '{id}' give no time after which the bolt relocks")
        }
        Ability::HoldWindow => format!("the sources of '{id}' give no hold window for the reset"),
        Ability::FactoryCode => format!("the sources of '{id}' give no factory code"),
        Ability::RevokedFactoryCode => {
            format!("the sources of '{id}' give no factory code that a change revokes")
        }
        Ability::OpenDoorReset => format!("the reset of '{id}' works with any door"),
        Ability::LowBattery => format!("the sources of '{id}' give no low-battery level"),
        Ability::Keypad | Ability::Bolt | Ability::Supply | Ability::Door => {
            format!("'{id}' has no {ability}")
        }
    }
}

/// The expansion of one variant. A function that returns `None` has noted why: a problem of the
/// scenario, or a reason to skip this variant.
pub(super) struct Expansion<'e> {
    scenario: &'e Scenario,
    profile: &'e Profile,
    abilities: &'e BTreeSet<Ability>,
    problems: &'e mut Problems,
    skipped: Option<String>,
}

/// Where steps stand and what their names mean.
struct Scope<'s> {
    source: &'s Source,
    bindings: &'s Bindings,
    /// The default values of the procedure that the steps belong to.
    procedure: Option<&'s Procedure>,
}

impl<'e> Expansion<'e> {
    pub(super) fn new(
        scenario: &'e Scenario,
        profile: &'e Profile,
        abilities: &'e BTreeSet<Ability>,
        problems: &'e mut Problems,
    ) -> Self {
        Self {
            scenario,
            profile,
            abilities,
            problems,
            skipped: None,
        }
    }

    /// Why the variant is skipped.
    pub(super) fn skipped(self) -> Option<String> {
        self.skipped
    }

    pub(super) fn script(&mut self, bindings: &Bindings) -> Option<Script> {
        let scope = Scope {
            source: self.scenario.source(),
            bindings,
            procedure: None,
        };
        for steps in [&self.scenario.steps, &self.scenario.finally] {
            self.check_names(steps);
        }
        let setup = self.setup(&scope);
        let steps = self.acts(&self.scenario.steps, &scope);
        let finally = self.acts(&self.scenario.finally, &scope);
        let (setup, steps, finally) = (setup?, steps?, finally?);
        let mut used = BTreeSet::new();
        for acts in [&setup, &steps, &finally] {
            names_of_codes(acts, &mut used);
        }
        let mut codes = self.scenario.declared_codes();
        codes.retain(|name, _| used.contains(name));
        Some(Script {
            codes,
            setup,
            steps,
            finally,
        })
    }

    fn skip<T>(&mut self, reason: String) -> Option<T> {
        self.skipped.get_or_insert(reason);
        None
    }

    /// Names in steps that are done on this product.
    fn check_names(&mut self, steps: &[Step]) {
        for step in steps {
            if self.applies(step) {
                names_in(self.profile, step, self.problems);
                self.check_names(step.inner());
            }
        }
    }

    fn applies(&self, step: &Step) -> bool {
        step.action
            .condition()
            .is_none_or(|condition| self.abilities.contains(&condition.value))
    }

    /// Brings about what is given: door, supply, and the codes in the documented way.
    fn setup(&mut self, scope: &Scope<'_>) -> Option<Vec<Act>> {
        let given = &self.scenario.given;
        let at = self.scenario.scenario.span;
        let door = given.door.unwrap_or(DoorState::Open);
        let millivolts = self.millivolts(given.supply.unwrap_or(SupplyLevel::Fresh))?;
        let mut acts = vec![
            plain(scope, at, Doing::Door(door)),
            plain(
                scope,
                at,
                Doing::Supply {
                    millivolts,
                    lasts: None,
                },
            ),
        ];
        if given.user_codes.is_empty() {
            return Some(acts);
        }
        let Some(procedure) = self.profile.procedures.get("set-code") else {
            return self.skip(lacks(self.profile, &Ability::Procedure("set-code".into())));
        };
        for (index, code) in given.user_codes.iter().enumerate() {
            let slot = index as u32 + 1;
            if self.profile.slots().is_some_and(|slots| slot > slots) {
                let slots = self.profile.slots().unwrap_or(0);
                let (id, wanted) = (self.profile.id(), given.user_codes.len());
                return self.skip(format!(
                    "{wanted} user codes are given, '{id}' has room for {slots}"
                ));
            }
            let mut arguments = Bindings::new();
            arguments.insert("code".into(), code.resolve(scope.bindings, self.problems)?);
            if procedure.with.get("slot").is_some() {
                let written = Node {
                    span: code.span(),
                    value: Value::Scalar {
                        text: slot.to_string(),
                        quoted: false,
                    },
                };
                arguments.insert("slot".into(), Bound::Written(written));
            }
            let call = Call {
                name: "set-code",
                span: code.span(),
                arguments,
                refused: false,
                expect: None,
            };
            self.call(&call, scope, &mut acts)?;
        }
        Some(acts)
    }

    /// All steps, also after one of them gave no act: each problem is to be found.
    fn acts(&mut self, steps: &[Step], scope: &Scope<'_>) -> Option<Vec<Act>> {
        let mut acts = Vec::new();
        let mut complete = true;
        for step in steps {
            if self.applies(step) {
                complete &= self.act(step, scope, &mut acts).is_some();
            }
        }
        complete.then_some(acts)
    }

    fn act(&mut self, step: &Step, scope: &Scope<'_>, acts: &mut Vec<Act>) -> Option<()> {
        let bindings = scope.bindings;
        let doing = match &step.action {
            Action::Do(call) => return self.call_step(step, call, scope, acts),
            Action::Enter(enter) => {
                let (code, submit) = self.code(&enter.enter, scope)?;
                let times = self.times(&enter.times, scope)?;
                Doing::Enter {
                    code,
                    submit,
                    times,
                }
            }
            Action::Press(press) => Doing::Press {
                contact: self.contact(&press.press)?,
                lasts: match &press.r#for {
                    Some(lasts) => lasts.resolve(bindings, self.problems)?,
                    None => self.profile.keypad.press,
                },
                times: self.count(&press.times, step.span, scope)?,
            },
            Action::Hold(hold) => self.hold(hold, scope)?,
            Action::Supply(supply) => {
                let level = supply.supply.resolve(bindings, self.problems)?;
                let lasts = match &supply.r#for {
                    Some(lasts) => Some(lasts.resolve(bindings, self.problems)?),
                    None => None,
                };
                Doing::Supply {
                    millivolts: self.millivolts(level)?,
                    lasts,
                }
            }
            Action::Door(door) => Doing::Door(door.door.resolve(bindings, self.problems)?),
            Action::Wait(wait) => match self.wait(wait, scope)? {
                Some(doing) => doing,
                None => return Some(()),
            },
            Action::Opens(opens) => {
                let (code, submit) = self.code(&opens.opens, scope)?;
                let times = self.count(&opens.times, step.span, scope)?;
                Doing::Opens {
                    code,
                    submit,
                    times,
                }
            }
            Action::Refuses(refuses) => {
                let (code, submit) = self.code(&refuses.refuses, scope)?;
                let times = self.count(&refuses.times, step.span, scope)?;
                Doing::Refuses {
                    code,
                    submit,
                    times,
                }
            }
            Action::Interrupt(interrupt) => self.interrupt(interrupt, scope)?,
            Action::Settles(settles) => Doing::Settles(
                settles
                    .settles
                    .iter()
                    .map(|(name, set)| self.code_set(&name.value, set, scope))
                    .collect::<Option<_>>()?,
            ),
            Action::Expect(_) => Doing::Expect,
        };
        acts.push(Act {
            expect: self.expected(step),
            ..plain(scope, step.span, doing)
        });
        if let Some(act) = acts.last_mut() {
            act.phase = step.action.phase();
        }
        Some(())
    }

    fn expected(&self, step: &Step) -> Option<Expected> {
        let name = match &step.expect()?.value {
            ExpectedSignal::Signal(name) => name,
            ExpectedSignal::Nothing => {
                return Some(Expected::Nothing {
                    within: step.within()?,
                });
            }
        };
        let pattern = self.profile.signal(name).copied();
        Some(Expected::Signal {
            name: name.clone(),
            pattern,
            within: step
                .within()
                .or(pattern.map(|pattern| pattern.within))
                .unwrap_or_default(),
            promised: self.profile.promises_signal(name),
            seen: true,
        })
    }

    fn hold(&mut self, hold: &Hold, scope: &Scope<'_>) -> Option<Doing> {
        let contact = self.contact(&hold.hold);
        let during = self.acts(&hold.r#while, scope);
        let length = hold.r#for.resolve(scope.bindings, self.problems)?;
        let lasts = self.hold_length(length, hold.r#for.name(), scope)?;
        Some(Doing::Hold {
            contact: contact?,
            lasts,
            during: during?,
        })
    }

    /// A hold in the terms of the profile's window.
    fn hold_length(
        &mut self,
        length: HoldFor,
        name: Option<&Spanned<String>>,
        scope: &Scope<'_>,
    ) -> Option<Nanos> {
        let id = self.profile.id();
        let range = match (self.profile.reset.hold, length) {
            (_, HoldFor::Exactly(time)) => return Some(time),
            (HoldWindow::Range(range), _) => range,
            // The product's own press is the only one that its manual knows.
            (HoldWindow::Tap, HoldFor::Shortest) => {
                let parameter = name.and_then(|name| scope.procedure?.with.get(name));
                return match parameter {
                    Some(Parameter::Value(written)) => Nanos::read(&written.0, self.problems),
                    _ => Some(self.profile.keypad.press),
                };
            }
            (HoldWindow::Tap, _) => {
                return self.skip(format!(
                    "the manual of '{id}' gives no hold window, so there is no '{length}'"
                ));
            }
        };
        // Of a window that is narrower than two margins, both ends are its middle.
        let half = |to: Nanos| Nanos(to.since(range.from).0 / 2);
        let margin = match range.to {
            Fact::Known(to) => TIME_MARGIN.min(half(to)),
            Fact::Unknown | Fact::Unspecified => TIME_MARGIN,
        };
        match (length, range.to) {
            (HoldFor::Shortest, _) => Some(range.from + margin),
            (HoldFor::TooShort, _) if range.from > TIME_MARGIN => {
                Some(range.from.since(TIME_MARGIN))
            }
            (HoldFor::TooShort, _) => self.skip(format!(
                "the hold window of '{id}' begins at {}, so nothing is too short",
                range.from
            )),
            (HoldFor::Longest, Fact::Known(to)) => Some(to.since(margin)),
            (HoldFor::Middle, Fact::Known(to)) => Some(range.from + half(to)),
            (word, _) => self.skip(format!(
                "the manual of '{id}' gives no end of the hold window, so there is no '{word}'"
            )),
        }
    }

    /// `None` inside for a wait that this product does not need.
    fn wait(&mut self, wait: &Wait, scope: &Scope<'_>) -> Option<Option<Doing>> {
        let share = match &wait.share {
            Some(share) => Some(share.resolve(scope.bindings, self.problems)?),
            None => None,
        };
        let until = wait.wait.resolve(scope.bindings, self.problems)?;
        let id = self.profile.id();
        let bound = match until {
            WaitFor::Time(time) => Some(time),
            // Twice, because a power cycle may start it over.
            WaitFor::Lockout => self.profile.lockout.as_ref().and_then(|lockout| {
                let stages = lockout.stages.iter().map(|stage| stage.lasts.value);
                stages.max().map(|longest| longest + longest)
            }),
            WaitFor::Relock => match self.profile.relocks_after() {
                Some(Relock::After(time)) => Some(time + self.profile.bolt.withdraws_within),
                Some(Relock::Never) => return Some(None),
                None => None,
            },
            WaitFor::Handing if self.profile.bolt.learns_handing == YesNo::No => return Some(None),
            WaitFor::Handing => self.profile.handing_lasts(),
            WaitFor::EntryTimeOut => self.profile.idle_time_out().map(|time| time + TIME_MARGIN),
            WaitFor::ChangeWindow => self.profile.change_window().map(|time| time + TIME_MARGIN),
            WaitFor::Idle => wait.within,
        };
        let Some(at_most) = wait.within.or(bound) else {
            let reason = format!("nobody knows how long '{until}' lasts on '{id}'");
            return self.skip(reason);
        };
        Some(Some(Doing::Wait {
            until,
            share,
            at_most,
        }))
    }

    fn interrupt(&mut self, interrupt: &Interrupt, scope: &Scope<'_>) -> Option<Doing> {
        let bindings = scope.bindings;
        let acts = self.acts(&interrupt.steps, scope);
        let at = interrupt.interrupt.at.resolve(bindings, self.problems);
        let how = interrupt.interrupt.supply.resolve(bindings, self.problems);
        let lasts = interrupt.interrupt.r#for.resolve(bindings, self.problems);
        let (acts, at, how, lasts) = (acts?, at?, how?, lasts?);
        if !acts.iter().any(|act| has_phase(act, at)) {
            let id = self.profile.id();
            return self.skip(format!("'{id}' has no phase {at} in this flow"));
        }
        Some(Doing::Interrupt {
            at,
            how,
            lasts,
            acts,
        })
    }

    fn code_set(&mut self, name: &str, set: &CodeSet, scope: &Scope<'_>) -> Option<ResolvedSet> {
        let codes = match set {
            CodeSet::Codes(codes) => codes
                .iter()
                .map(|code| self.code(code, scope).map(|(code, _)| code))
                .collect::<Option<_>>()?,
            CodeSet::Factory => self
                .profile
                .factory_code()
                .map(|_| CodeUse::Factory)
                .into_iter()
                .collect(),
        };
        Some(ResolvedSet {
            name: name.to_owned(),
            codes,
        })
    }

    /// A code and the key that ends its entry.
    fn code(&mut self, word: &CodeWord, scope: &Scope<'_>) -> Option<(CodeUse, Option<String>)> {
        let bound = word.resolve(scope.bindings, self.problems)?;
        self.bound_code(&bound, word.span())
    }

    fn bound_code(&mut self, bound: &Bound, span: Span) -> Option<(CodeUse, Option<String>)> {
        let rules: &CodeRules = &self.profile.codes;
        let label = |submit: Option<&Spanned<String>>| {
            submit.and_then(|key| self.profile.keypad.key(key).map(str::to_owned))
        };
        let user = label(rules.user.submit.as_ref());
        match bound {
            Bound::Code(name) => {
                let declared = self.scenario.codes.get(name).map(|code| &code.0);
                match declared {
                    Some(Declared::Made(CodeKind::Master)) => match &rules.master {
                        Some(master) => {
                            Some((CodeUse::Named(name.clone()), label(master.submit.as_ref())))
                        }
                        None => {
                            let id = self.profile.id();
                            self.skip(format!("'{id}' has no master code"))
                        }
                    },
                    Some(Declared::Factory) if self.profile.factory_code().is_none() => {
                        self.skip(lacks(self.profile, &Ability::FactoryCode))
                    }
                    _ => Some((CodeUse::Named(name.clone()), user)),
                }
            }
            Bound::Digits(digits) => match Code::from_digits(digits) {
                Some(code) => Some((CodeUse::Literal(code), user)),
                None => self.problems.add(Problem::new(
                    span,
                    format!(
                        "a code of {} digits: at most {} are supported",
                        digits.len(),
                        Code::DIGITS_MAX
                    ),
                )),
            },
            Bound::Written(node) => self.problems.expected("a code", node),
        }
    }

    fn times(&mut self, times: &Arg<Times>, scope: &Scope<'_>) -> Option<Times> {
        let times = times.resolve(scope.bindings, self.problems)?;
        let counted = matches!(times, Times::UntilLockout | Times::OneBeforeLockout);
        if counted && self.profile.lockout.is_none() {
            return self.skip(lacks(self.profile, &Ability::Lockout));
        }
        Some(times)
    }

    /// A number of times where nothing else makes sense.
    fn count(&mut self, times: &Arg<Times>, span: Span, scope: &Scope<'_>) -> Option<u32> {
        match times.resolve(scope.bindings, self.problems)? {
            Times::Count(count) => Some(count),
            _ => self.problems.add(Problem::new(
                span,
                "only wrong codes that are entered can be counted up to the lockout",
            )),
        }
    }

    fn contact(&mut self, name: &str) -> Option<Contact> {
        let button = Button::ALL.iter().find(|button| button.word() == name);
        match (button, self.profile.keypad.key(name)) {
            (Some(button), _) => Some(Contact::Button(*button)),
            (None, Some(label)) => Some(Contact::Key(label.to_owned())),
            // An unknown name was reported with the names that there are.
            (None, None) => None,
        }
    }

    /// The terminal voltage of a level.
    fn millivolts(&mut self, level: SupplyLevel) -> Option<Option<Millivolts>> {
        let below = |level: Option<Millivolts>| {
            level.map(|level| Some(Millivolts(level.0.saturating_sub(SUPPLY_MARGIN.0))))
        };
        let supply = &self.profile.supply;
        let found = match level {
            SupplyLevel::Off => Some(None),
            SupplyLevel::Fresh => Some(Some(supply.fresh.value)),
            SupplyLevel::Sag => Some(Some(supply.sag.value)),
            SupplyLevel::Volts(voltage) => Some(Some(voltage)),
            SupplyLevel::Low => below(self.profile.warns_below()),
            SupplyLevel::Critical => below(self.profile.refuses_opening_below()),
        };
        if found.is_none() {
            let id = self.profile.id();
            return self.skip(format!("nobody knows the level '{level}' of '{id}'"));
        }
        found
    }

    fn call_step(
        &mut self,
        step: &Step,
        call: &Do,
        scope: &Scope<'_>,
        acts: &mut Vec<Act>,
    ) -> Option<()> {
        let mut arguments = Bindings::new();
        for (name, written) in call.with.iter() {
            let bound = match written.name() {
                Ok(reference) => scope.bindings.get(&reference.value)?.clone(),
                Err(node) => match &node.value {
                    Value::Scalar { text, quoted: true } => Bound::Digits(text.clone()),
                    _ => Bound::Written(node.clone()),
                },
            };
            arguments.insert(name.value.clone(), bound);
        }
        let call = Call {
            name: &call.r#do.value,
            span: step.span,
            arguments,
            refused: call.refused == YesNo::Yes,
            expect: self.expected(step),
        };
        self.call(&call, scope, acts)?;
        if let Some(act) = acts.last_mut() {
            act.phase = step.action.phase();
        }
        Some(())
    }

    /// Adds a procedure, and before it the one that it comes after, unless that was just done.
    fn call(&mut self, call: &Call<'_>, scope: &Scope<'_>, acts: &mut Vec<Act>) -> Option<()> {
        let profile = self.profile;
        // An unknown procedure was reported with the names that there are.
        let procedure = profile.procedures.get(call.name)?;
        if let Some(after) = &procedure.after {
            let just_done = matches!(
                acts.last(),
                Some(Act { doing: Doing::Do { procedure, .. }, .. }) if *procedure == after.value
            );
            if !just_done {
                let first = Call {
                    name: &after.value,
                    span: call.span,
                    arguments: Bindings::new(),
                    refused: false,
                    expect: None,
                };
                self.call(&first, scope, acts)?;
            }
        }
        let bindings = self.arguments(call, procedure)?;
        let inner = Scope {
            source: profile.source(),
            bindings: &bindings,
            procedure: Some(procedure),
        };
        // A problem inside the profile's steps comes from what this call gives them.
        let mut own = Problems::default();
        std::mem::swap(self.problems, &mut own);
        let expanded = self.acts(&procedure.steps, &inner);
        std::mem::swap(self.problems, &mut own);
        for problem in own.into_vec() {
            let message = format!(
                "in '{}' of '{}': {}",
                call.name,
                profile.id(),
                problem.message
            );
            self.problems.add::<()>(Problem {
                span: call.span,
                message,
                hint: problem.hint,
            });
        }
        let mut expanded = expanded?;
        let usual = last_expected(&mut expanded).and_then(|act| act.expect.clone());
        let as_usual = call.expect.is_none() || call.expect == usual;
        let effect = if call.refused || !as_usual {
            Effect::None
        } else {
            self.effect(procedure.effect, &bindings, call.span)?
        };
        let mut expect = None;
        if let Some(wanted) = &call.expect {
            match last_expected(&mut expanded) {
                Some(act) => act.expect = Some(wanted.clone()),
                None => expect = Some(wanted.clone()),
            }
        }
        if call.refused {
            until_unanswered(&mut expanded);
        }
        let doing = Doing::Do {
            procedure: call.name.to_owned(),
            acts: expanded,
            refused: call.refused,
            effect,
        };
        acts.push(Act {
            expect,
            ..plain(scope, call.span, doing)
        });
        Some(())
    }

    /// What the names in a procedure mean in this call.
    fn arguments(&mut self, call: &Call<'_>, procedure: &Procedure) -> Option<Bindings> {
        let mut bindings = Bindings::new();
        for (name, parameter) in procedure.with.iter() {
            let given = call.arguments.get(&name.value);
            let bound = match (given, parameter) {
                (Some(bound), Parameter::Value(default)) => {
                    self.slot_number(bound, default.0.scalar())?
                }
                (Some(bound @ Bound::Written(_)), Parameter::Code(_)) => {
                    let Bound::Written(node) = bound else {
                        return None;
                    };
                    let found = node.describe();
                    return self.problems.add(Problem::new(
                        call.span,
                        format!("expected a code as '{}', found {found}", name.value),
                    ));
                }
                (Some(bound), Parameter::Code(_)) => bound.clone(),
                (None, Parameter::Value(default)) => Bound::Written(default.0.clone()),
                // It was reported that a code is missing.
                (None, Parameter::Code(_)) => return None,
            };
            bindings.insert(name.value.clone(), bound);
        }
        Some(bindings)
    }

    /// `first` and `last` for a parameter that is a number are slots.
    fn slot_number(&mut self, bound: &Bound, default: Option<&str>) -> Option<Bound> {
        let is_number = default.is_some_and(|default| default.parse::<u32>().is_ok());
        let Bound::Written(node) = bound else {
            return Some(bound.clone());
        };
        let slot = match node.scalar() {
            Some("first") if is_number => 1,
            Some("last") if is_number => match self.profile.slots() {
                Some(slots) => slots,
                None => {
                    let id = self.profile.id();
                    return self.skip(format!("nobody knows how many codes '{id}' holds"));
                }
            },
            _ => return Some(bound.clone()),
        };
        Some(Bound::Written(Node {
            span: node.span,
            value: Value::Scalar {
                text: slot.to_string(),
                quoted: false,
            },
        }))
    }

    fn effect(&mut self, effect: EffectOf, bindings: &Bindings, span: Span) -> Option<Effect> {
        let code = |expansion: &mut Self| {
            let bound = bindings.get("code")?;
            expansion.bound_code(bound, span).map(|(code, _)| code)
        };
        Some(match effect {
            EffectOf::Nothing => Effect::None,
            EffectOf::Resets => Effect::Resets,
            EffectOf::StoresMasterCode => Effect::StoresMasterCode { code: code(self)? },
            EffectOf::StoresUserCode => Effect::StoresUserCode {
                code: code(self)?,
                slot: match bindings.get("slot") {
                    Some(Bound::Written(node)) => node.scalar()?.parse().ok()?,
                    _ => 1,
                },
            },
        })
    }
}

/// A procedure that is to be carried out.
struct Call<'c> {
    name: &'c str,
    span: Span,
    arguments: Bindings,
    refused: bool,
    expect: Option<Expected>,
}

fn plain(scope: &Scope<'_>, span: Span, doing: Doing) -> Act {
    Act {
        place: scope.source.line(span),
        doing,
        phase: Default::default(),
        expect: None,
    }
}

fn names_of_codes(acts: &[Act], names: &mut BTreeSet<String>) {
    for act in acts {
        for code in act.codes() {
            if let CodeUse::Named(name) = code {
                names.insert(name.clone());
            }
        }
        names_of_codes(act.inner(), names);
    }
}

fn has_phase(act: &Act, phase: Phase) -> bool {
    act.phase.during == Some(phase)
        || act.phase.after == Some(phase)
        || act.inner().iter().any(|act| has_phase(act, phase))
}

/// The last act that expects something, in the procedures inside too.
fn last_expected(acts: &mut [Act]) -> Option<&mut Act> {
    for act in acts.iter_mut().rev() {
        if act.expect.is_some() {
            return Some(act);
        }
        if let Doing::Do { acts, .. } = &mut act.doing {
            if let Some(found) = last_expected(acts) {
                return Some(found);
            }
        }
    }
    None
}

/// A procedure that the lock must not carry out ends with the first act that it would answer, and
/// there the answer must not come: what follows might mean something else to a lock at rest.
fn until_unanswered(acts: &mut Vec<Act>) -> bool {
    for at in 0..acts.len() {
        let mut ends = false;
        if let Some(expected) = &mut acts[at].expect {
            if let Expected::Signal { seen, .. } = expected {
                *seen = false;
            }
            ends = true;
        } else if let Doing::Do { acts, .. } = &mut acts[at].doing {
            ends = until_unanswered(acts);
        }
        if ends {
            acts.truncate(at + 1);
            return true;
        }
    }
    false
}
