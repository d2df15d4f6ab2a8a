//! Steps to acts: names are looked up, procedures written out, conditions decided.

use std::collections::BTreeSet;

use super::asking;
use super::call::Call;
use super::{Act, CodeUse, Doing, Expected, ResolvedSet, Script};
use crate::profile::codes::Declared;
use crate::profile::{EACH_KEY, Procedure, Profile, names_in};
use crate::scenario::Scenario;
use crate::source::{Node, Problems, Source, Span, Value};
use crate::step::{
    Ability, Action, Bindings, Bound, CodeSet, DoorState, ExpectedSignal, Hold, Interrupt,
    KnownCode, Phase, Refusal, Step, SupplyLevel,
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
        Ability::KeptUserCodes => format!("the sources of '{id}' keep no code through a reset"),
        Ability::LowBattery => format!("the sources of '{id}' give no low-battery level"),
        Ability::Parameter(name, parameter) if profile.procedures.get(name).is_some() => {
            format!("'{name}' of '{id}' takes no '{parameter}'")
        }
        Ability::Parameter(name, _) => format!("'{id}' has no procedure '{name}'"),
        Ability::PermanentFactoryCode => {
            format!("the sources of '{id}' give no factory code that stays")
        }
        Ability::FactoryCodeAfterReset => {
            format!("the sources of '{id}' give no factory code that a reset brings back")
        }
        Ability::SecondLockout => format!("the sources of '{id}' document no second lockout"),
        Ability::LockoutSurvives => {
            format!("a power cycle ends a lockout of '{id}', its manual says")
        }
        Ability::LockoutGrows => {
            format!("no source says that a power cycle makes a lockout of '{id}' longer")
        }
        Ability::KeysDuringLockout => {
            format!("the sources of '{id}' do not say what keys do during a lockout")
        }
        Ability::EntryTimeOut => {
            format!("the sources of '{id}' give no pause after which an entry is forgotten")
        }
        Ability::ZerosRefused => format!("no source says that '{id}' refuses a code of zeros"),
        Ability::ZerosDelete => format!("no source says that zeros delete a code of '{id}'"),
        Ability::WeakRefused => format!("no source says that '{id}' refuses weak codes"),
        Ability::ChangeByOldCode => format!("no change of '{id}' asks for the old code"),
        Ability::PairedResetCode => format!("the sources of '{id}' document no reset code"),
        Ability::Stage | Ability::KeyExchange => format!("'{id}' is no mechanical cylinder"),
        Ability::ClosedDebugPort => {
            format!("no source says that the debug port of '{id}' is closed")
        }
        Ability::Keypad | Ability::Bolt | Ability::Supply | Ability::Door | Ability::Probe => {
            format!("'{id}' has no {ability}")
        }
    }
}

/// The expansion of one variant. A function that returns `None` has noted why: a problem of the
/// scenario, or a reason to skip this variant.
pub(super) struct Expansion<'e> {
    pub(super) scenario: &'e Scenario,
    pub(super) profile: &'e Profile,
    abilities: &'e BTreeSet<Ability>,
    pub(super) problems: &'e mut Problems,
    skipped: Option<String>,
}

/// Where steps stand and what their names mean.
pub(super) struct Scope<'s> {
    pub(super) source: &'s Source,
    pub(super) bindings: &'s Bindings,
    /// The default values of the procedure that the steps belong to.
    pub(super) procedure: Option<&'s Procedure>,
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
        let lock = self.lock(&scope);
        let (setup, steps, finally, lock) = (setup?, steps?, finally?, lock?);
        let mut used = BTreeSet::new();
        for acts in [&setup, &steps, &finally] {
            names_of_codes(acts, &mut used);
        }
        let mut codes = self.scenario.declared_codes();
        for (name, declared) in &codes {
            if let Declared::Near { like, .. } = declared
                && used.contains(name)
            {
                used.insert(like.clone());
            }
        }
        codes.retain(|name, _| used.contains(name));
        Some(Script {
            codes,
            keys: Default::default(),
            setup,
            steps,
            finally,
            lock,
        })
    }

    /// The procedure that throws the bolt, where the product has one.
    fn lock(&mut self, scope: &Scope<'_>) -> Option<Vec<Act>> {
        let mut acts = Vec::new();
        if self.profile.procedures.get("lock").is_some() {
            let call = Call {
                name: "lock",
                span: self.scenario.scenario.span,
                arguments: Bindings::new(),
                refused: Refusal::No,
                expect: None,
            };
            self.call(&call, scope, &mut acts)?;
        }
        Some(acts)
    }

    pub(super) fn skip<T>(&mut self, reason: String) -> Option<T> {
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
            let names_slot = procedure.with.get("slot").is_some();
            if index > 0 && !names_slot {
                let wanted = Ability::Parameter("set-code".into(), "slot".into());
                return self.skip(lacks(self.profile, &wanted));
            }
            if names_slot {
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
                refused: Refusal::No,
                expect: None,
            };
            self.call(&call, scope, &mut acts)?;
        }
        Some(acts)
    }

    /// All steps, also after one of them gave no act: each problem is to be found.
    pub(super) fn acts(&mut self, steps: &[Step], scope: &Scope<'_>) -> Option<Vec<Act>> {
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
                contacts: press
                    .press
                    .as_slice()
                    .iter()
                    .map(|name| self.contact(name))
                    .collect::<Option<_>>()?,
                lasts: match &press.r#for {
                    Some(lasts) => lasts.resolve(bindings, self.problems)?,
                    None => self.profile.keypad.press,
                },
                times: self.count(&press.times, step.span, scope)?,
            },
            Action::Hold(hold) if hold.hold.value == EACH_KEY => {
                for label in self.profile.keypad.labels() {
                    let mut doing = self.hold(hold, label, scope)?;
                    // A battery is out before the key is down.
                    if let Doing::Hold { during, .. } = &mut doing
                        && let Some(Doing::Supply {
                            millivolts: None, ..
                        }) = during.first().map(|act| &act.doing)
                    {
                        acts.push(during.remove(0));
                    }
                    acts.push(Act {
                        expect: self.expected(step),
                        phase: step.action.phase(),
                        ..plain(scope, step.span, doing)
                    });
                }
                return Some(());
            }
            Action::Hold(hold) => self.hold(hold, &hold.hold, scope)?,
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
            Action::Bolt(bolt) => Doing::Bolt(bolt.bolt),
            Action::Ask(ask) => asking(ask),
            Action::Readout(readout) => Doing::Readout(readout.readout),
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
            Action::Glitch(glitch) => {
                let entry = match &glitch.glitch.entry {
                    Some(entry) => self.count(entry, step.span, scope)?,
                    None => 1,
                };
                Doing::Glitch {
                    entry,
                    at: glitch.glitch.at,
                    mode: glitch.glitch.mode,
                    acts: self.acts(&glitch.steps, scope)?,
                }
            }
            Action::Insert(_) | Action::Withdraw(_) | Action::Turn(_) | Action::Plunge(_) => {
                return self.skip(lacks(self.profile, &Ability::Stage));
            }
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

    pub(super) fn expected(&self, step: &Step) -> Option<Expected> {
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

    fn hold(&mut self, hold: &Hold, contact: &str, scope: &Scope<'_>) -> Option<Doing> {
        let contact = self.contact(contact);
        let during = self.acts(&hold.r#while, scope);
        let length = hold.r#for.resolve(scope.bindings, self.problems)?;
        let lasts = self.hold_length(length, hold.r#for.name(), scope)?;
        Some(Doing::Hold {
            contact: contact?,
            lasts,
            during: during?,
        })
    }

    fn interrupt(&mut self, interrupt: &Interrupt, scope: &Scope<'_>) -> Option<Doing> {
        let bindings = scope.bindings;
        let acts = self.acts(&interrupt.steps, scope);
        if let Some(cuts) = &interrupt.interrupt.cut {
            let lasts = interrupt.interrupt.r#for.resolve(bindings, self.problems);
            return Some(Doing::InterruptAt {
                cuts: cuts.as_slice().to_vec(),
                lasts: lasts?,
                acts: acts?,
            });
        }
        // The scenario was checked: it says when.
        let at = interrupt
            .interrupt
            .at
            .as_ref()?
            .resolve(bindings, self.problems);
        let how = match &interrupt.interrupt.supply {
            Some(how) => how.resolve(bindings, self.problems),
            None => self.skip(lacks(self.profile, &Ability::Stage)),
        };
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
        let factory = CodeUse::Known(KnownCode::Factory);
        let mut codes: Vec<CodeUse> = match set {
            CodeSet::Codes(codes) => codes
                .iter()
                .map(|code| self.code(code, scope).map(|(code, _)| code))
                .collect::<Option<_>>()?,
            CodeSet::Factory if self.profile.factory_code().is_some() => vec![factory.clone()],
            CodeSet::Factory => Vec::new(),
        };
        // One that stays belongs to every set.
        if self.profile.factory_code_stays() && !codes.contains(&factory) {
            codes.push(factory);
        }
        Some(ResolvedSet {
            name: name.to_owned(),
            codes,
        })
    }
}

pub(super) fn plain(scope: &Scope<'_>, span: Span, doing: Doing) -> Act {
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
