//! The plan of a scenario on a mechanical cylinder: keys in place of codes, turns in place of entries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::asking;
use super::show::often;
use super::{Act, Doing, Effect, PlannedRun, Script, each_variant};
use crate::event::Nanos;
use crate::profile::{Cylinder, EffectOf, Parameter, Procedure};
use crate::quantity::{Micrometres, Millidegrees, MillinewtonMetres, Percent};
use crate::scenario::Scenario;
use crate::source::{Problem, Problems, Refused, Source, Span};
use crate::step::{
    Ability, Action, Arg, Bindings, Bound, CodeSet, CodeWord, Do, Phase, Refusal, Step, Times,
    WaitFor, YesNo,
};

/// What is done with the keys of a cylinder.
#[derive(Clone, Debug, PartialEq)]
pub enum Handling {
    /// Pushes a key in.
    Insert {
        /// The key.
        key: String,
        /// How far it stays short of its shoulder.
        short: Micrometres,
        /// Whether it must be kept out.
        refused: Refusal,
    },
    /// Pulls the key out.
    Withdraw {
        /// By how much it is turned on the way.
        turning: Millidegrees,
        /// Whether it must be held.
        refused: Refusal,
    },
    /// Turns the key.
    Turn {
        /// To this angle.
        to: Millidegrees,
        /// The torque that stops it.
        torque: MillinewtonMetres,
        /// Whether it must be stopped.
        refused: Refusal,
    },
    /// Pushes the tool in and pulls it out.
    Plunge {
        /// How far, of the whole way.
        depth: Percent,
        /// How often.
        times: u32,
        /// It is left in.
        stays: bool,
        /// Whether the cylinder must not click.
        refused: Refusal,
    },
    /// The key must turn the plug, both ways.
    Opens {
        /// The key.
        key: String,
        /// How often.
        times: u32,
    },
    /// The key must not turn the plug.
    Refuses {
        /// The key.
        key: String,
        /// How often.
        times: u32,
    },
    /// Carries out acts and stops when those of a phase are done.
    StopAt {
        /// The phase.
        at: Phase,
        /// For so long.
        lasts: Nanos,
        /// The acts.
        acts: Vec<Act>,
    },
    /// Exactly one of these sets of keys must turn the plug.
    Settles(Vec<KeySet>),
}

/// A set of keys that may turn a cylinder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    /// Its name in the scenario.
    pub name: String,
    /// The keys; none for a cylinder that takes no key any more.
    pub keys: Vec<String>,
}

/// The runs of a scenario on a cylinder, in the order of its variants.
pub(super) fn plan(scenario: &Scenario, cylinder: &Cylinder) -> Result<Vec<PlannedRun>, Refused> {
    let abilities = cylinder.abilities();
    let lacks = |ability: &Ability| lacks(cylinder, ability);
    each_variant(
        scenario,
        cylinder.id(),
        &abilities,
        lacks,
        |bindings, problems| {
            let mut expansion = Expansion {
                scenario,
                cylinder,
                abilities: &abilities,
                problems,
                skipped: None,
            };
            let script = expansion.script(bindings);
            script.ok_or_else(|| expansion.skipped.unwrap_or_default())
        },
    )
}

/// What a cylinder lacks, in words.
fn lacks(cylinder: &Cylinder, ability: &Ability) -> String {
    let id = cylinder.id();
    match ability {
        Ability::Procedure(name) => format!("'{id}' has no procedure '{name}'"),
        Ability::Signal(_) | Ability::LowBattery => format!("'{id}' has no electronics"),
        other => format!("'{id}' is mechanical and has no {other}"),
    }
}

/// The expansion of one variant. A function that returns `None` has noted why.
struct Expansion<'e> {
    scenario: &'e Scenario,
    cylinder: &'e Cylinder,
    abilities: &'e BTreeSet<Ability>,
    problems: &'e mut Problems,
    skipped: Option<String>,
}

/// Where steps stand and what their names mean.
struct Scope<'s> {
    source: &'s Source,
    bindings: &'s Bindings,
    /// How deep inside procedures.
    depth: usize,
}

/// Procedures inside procedures; more is one that is a part of itself.
const DEPTH_MAX: usize = 8;

impl Expansion<'_> {
    fn script(&mut self, bindings: &Bindings) -> Option<Script> {
        let scenario = self.scenario;
        let scope = Scope {
            source: scenario.source(),
            bindings,
            depth: 0,
        };
        let steps = self.acts(&scenario.steps, &scope);
        let finally = self.acts(&scenario.finally, &scope);
        let keys = scenario.keys.iter();
        let keys: BTreeMap<_, _> = keys
            .map(|(name, kind)| (name.value.clone(), *kind))
            .collect();
        Some(Script {
            keys,
            steps: steps?,
            finally: finally?,
            ..Script::default()
        })
    }

    fn skip<T>(&mut self, reason: String) -> Option<T> {
        self.skipped.get_or_insert(reason);
        None
    }

    /// All steps, also after one of them gave no act: each problem is to be found.
    fn acts(&mut self, steps: &[Step], scope: &Scope<'_>) -> Option<Vec<Act>> {
        let mut acts = Vec::new();
        let mut complete = true;
        for step in steps {
            let condition = step.action.condition();
            if condition.is_none_or(|condition| self.abilities.contains(&condition.value)) {
                match self.doing(step, scope) {
                    Some(doing) => acts.push(Act {
                        place: scope.source.line(step.span),
                        doing,
                        phase: step.action.phase(),
                        expect: None,
                    }),
                    None => complete = false,
                }
            }
        }
        complete.then_some(acts)
    }

    fn doing(&mut self, step: &Step, scope: &Scope<'_>) -> Option<Doing> {
        let bindings = scope.bindings;
        Some(Doing::Handle(match &step.action {
            Action::Insert(insert) => Handling::Insert {
                key: insert.insert.resolve(bindings, self.problems)?,
                short: insert.short.resolve(bindings, self.problems)?,
                refused: insert.refused.resolve(bindings, self.problems)?,
            },
            Action::Withdraw(withdraw) => Handling::Withdraw {
                turning: withdraw.turning.resolve(bindings, self.problems)?,
                refused: withdraw.refused.resolve(bindings, self.problems)?,
            },
            Action::Turn(turn) => Handling::Turn {
                to: turn.turn.resolve(bindings, self.problems)?,
                torque: match &turn.torque {
                    Some(torque) => torque.resolve(bindings, self.problems)?,
                    None => self.cylinder.plug.stop.value,
                },
                refused: turn.refused.resolve(bindings, self.problems)?,
            },
            Action::Plunge(plunge) => Handling::Plunge {
                depth: match &plunge.depth {
                    Some(depth) => depth.resolve(bindings, self.problems)?,
                    None => Percent(100),
                },
                times: self.count(&plunge.times, step.span, scope)?,
                stays: plunge.stays == YesNo::Yes,
                refused: plunge.refused.resolve(bindings, self.problems)?,
            },
            Action::Opens(opens) => Handling::Opens {
                key: self.key(&opens.opens, scope)?,
                times: self.count(&opens.times, step.span, scope)?,
            },
            Action::Refuses(refuses) => Handling::Refuses {
                key: self.key(&refuses.refuses, scope)?,
                times: self.count(&refuses.times, step.span, scope)?,
            },
            Action::Settles(settles) => Handling::Settles(
                settles
                    .settles
                    .iter()
                    .map(|(name, set)| self.key_set(&name.value, set, scope))
                    .collect::<Option<_>>()?,
            ),
            Action::Interrupt(interrupt) => {
                let acts = self.acts(&interrupt.steps, scope);
                let Some(at) = &interrupt.interrupt.at else {
                    return self.skip("a cylinder has no supply that could be cut".to_owned());
                };
                let at = at.resolve(bindings, self.problems)?;
                let lasts = interrupt.interrupt.r#for.resolve(bindings, self.problems)?;
                if interrupt.interrupt.supply.is_some() {
                    return self.skip(lacks(self.cylinder, &Ability::Supply));
                }
                let acts = acts?;
                if !acts.iter().any(|act| has_phase(act, at)) {
                    let id = self.cylinder.id();
                    return self.skip(format!("'{id}' has no phase {at} in this flow"));
                }
                Handling::StopAt { at, lasts, acts }
            }
            Action::Wait(wait) => {
                return match wait.wait.resolve(bindings, self.problems)? {
                    until @ WaitFor::Time(time) => Some(Doing::Wait {
                        until,
                        share: None,
                        at_most: time,
                    }),
                    other => self.skip(format!("'{}' has no {other}", self.cylinder.id())),
                };
            }
            Action::Ask(ask) => return Some(asking(ask)),
            Action::Do(call) => return self.call(step, call, scope),
            Action::Enter(_) | Action::Press(_) | Action::Hold(_) | Action::Glitch(_) => {
                return self.skip(lacks(self.cylinder, &Ability::Keypad));
            }
            Action::Supply(_) => return self.skip(lacks(self.cylinder, &Ability::Supply)),
            Action::Door(_) => return self.skip(lacks(self.cylinder, &Ability::Door)),
            Action::Bolt(_) => return self.skip(lacks(self.cylinder, &Ability::Bolt)),
            Action::Readout(_) => return self.skip(lacks(self.cylinder, &Ability::Probe)),
            Action::Expect(_) => return self.skip(lacks(self.cylinder, &Ability::LowBattery)),
        }))
    }

    fn key(&mut self, word: &CodeWord, scope: &Scope<'_>) -> Option<String> {
        match word.resolve(scope.bindings, self.problems)? {
            Bound::Key(key) => Some(key),
            _ => self.problems.add(
                Problem::new(word.span(), "a cylinder takes keys, not codes")
                    .hint("declare it under keys: current, other, blank or unsupported"),
            ),
        }
    }

    fn key_set(&mut self, name: &str, set: &CodeSet, scope: &Scope<'_>) -> Option<KeySet> {
        let keys = match set {
            CodeSet::Codes(words) => words
                .iter()
                .map(|word| self.key(word, scope))
                .collect::<Option<_>>()?,
            CodeSet::Factory => {
                let id = self.cylinder.id();
                return self.skip(format!("'{id}' has no factory set"));
            }
        };
        Some(KeySet {
            name: name.to_owned(),
            keys,
        })
    }

    fn count(&mut self, times: &Arg<Times>, span: Span, scope: &Scope<'_>) -> Option<u32> {
        match times.resolve(scope.bindings, self.problems)? {
            Times::Count(count) => Some(count),
            _ => self.problems.add(Problem::new(
                span,
                "a cylinder has no lockout to count up to",
            )),
        }
    }

    fn call(&mut self, step: &Step, call: &Do, scope: &Scope<'_>) -> Option<Doing> {
        let cylinder = self.cylinder;
        let name = &call.r#do;
        let Some(procedure) = cylinder.procedures.get(name) else {
            return self.problems.add(
                Problem::new(
                    name.span,
                    format!("'{}' has no procedure '{}'", cylinder.id(), name.value),
                )
                .did_you_mean(name, cylinder.procedures.names()),
            );
        };
        if scope.depth >= DEPTH_MAX {
            return self.problems.add(Problem::new(
                name.span,
                format!("'{}' is a part of itself", name.value),
            ));
        }
        if call.refused != Refusal::No {
            return self.problems.add(
                Problem::new(
                    step.span,
                    "no procedure of a cylinder is refused as a whole",
                )
                .hint("write its steps out, and 'refused' on the one that is"),
            );
        }
        let bindings = self.arguments(call, procedure, scope)?;
        let inner = Scope {
            source: cylinder.source(),
            bindings: &bindings,
            depth: scope.depth + 1,
        };
        let acts = self.acts(&procedure.steps, &inner)?;
        let effect = match (procedure.effect, bindings.get("new")) {
            (EffectOf::LearnsKey, Some(Bound::Key(key))) => Effect::LearnsKey { key: key.clone() },
            _ => Effect::None,
        };
        Some(Doing::Do {
            procedure: name.value.clone(),
            acts,
            refused: Refusal::No,
            effect,
        })
    }

    fn arguments(
        &mut self,
        call: &Do,
        procedure: &Procedure,
        scope: &Scope<'_>,
    ) -> Option<Bindings> {
        let name = &call.r#do.value;
        for (argument, _) in call.with.iter() {
            if procedure.with.get(&argument.value).is_none() {
                let message = format!("'{name}' takes no '{}'", argument.value);
                self.problems.add::<()>(
                    Problem::new(argument.span, message)
                        .did_you_mean(&argument.value, procedure.with.names()),
                );
            }
        }
        let mut bindings = Bindings::new();
        for (parameter, kind) in procedure.with.iter() {
            let given = call.with.get(&parameter.value).map(|written| {
                match written.name() {
                    // An undeclared name was reported where the step was read.
                    Ok(reference) => scope.bindings.get(&reference.value).cloned(),
                    Err(node) => Some(Bound::Written(node.clone())),
                }
            });
            let bound = match (given, kind) {
                (Some(given), Parameter::Value(_)) => given?,
                (Some(Some(key @ Bound::Key(_))), _) => key,
                (None, Parameter::Value(default)) => Bound::Written(default.0.clone()),
                _ => {
                    let message = format!("'{name}' needs a key as its '{}'", parameter.value);
                    return self.problems.add(
                        Problem::new(call.r#do.span, message)
                            .hint(format!("with: {{ {}: $some-key }}", parameter.value)),
                    );
                }
            };
            bindings.insert(parameter.value.clone(), bound);
        }
        Some(bindings)
    }
}

fn has_phase(act: &Act, phase: Phase) -> bool {
    act.phase.during == Some(phase) || act.inner().iter().any(|act| has_phase(act, phase))
}

/// What follows an act in words, where something else than usual must come of it.
fn outcome(refused: Refusal, yes: &str) -> String {
    match refused {
        Refusal::No => String::new(),
        Refusal::Yes => format!(", {yes}"),
        Refusal::Either => ", whatever comes of it".to_owned(),
    }
}

impl fmt::Display for Handling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert {
                key,
                short,
                refused,
            } => {
                write!(f, "insert key {key}")?;
                if short.0 > 0 {
                    write!(f, " up to {short} from its shoulder")?;
                }
                f.write_str(&outcome(*refused, "which is kept out"))
            }
            Self::Withdraw { turning, refused } => {
                f.write_str("withdraw the key")?;
                if turning.0 != 0 {
                    write!(f, ", turning it by {turning} on the way")?;
                }
                f.write_str(&outcome(*refused, "which is held"))
            }
            Self::Turn {
                to,
                torque,
                refused,
            } => {
                write!(f, "turn the key to {to} with less than {torque}")?;
                f.write_str(&outcome(*refused, "which is stopped"))
            }
            Self::Plunge {
                depth,
                times,
                stays,
                refused,
            } => {
                f.write_str("push the tool in")?;
                if depth.0 < 100 {
                    write!(f, " for {depth} of the way")?;
                }
                write!(f, "{}", often(*times))?;
                if *stays {
                    f.write_str(" and leave it there")?;
                }
                f.write_str(&outcome(*refused, "without a click"))
            }
            Self::Opens { key, times } => write!(f, "turn with key {key}{}", often(*times)),
            Self::Refuses { key, times } => write!(f, "be refused with key {key}{}", often(*times)),
            Self::StopAt { at, lasts, .. } => write!(f, "stop in {at} for {lasts}"),
            Self::Settles(sets) => {
                f.write_str("find which keys turn the plug: ")?;
                for (at, set) in sets.iter().enumerate() {
                    let or = if at > 0 { " or " } else { "" };
                    let keys = match set.keys.is_empty() {
                        true => "none".to_owned(),
                        false => set.keys.join(", "),
                    };
                    write!(f, "{or}{} ({keys})", set.name)?;
                }
                Ok(())
            }
        }
    }
}
