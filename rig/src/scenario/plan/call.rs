//! Procedures written out: what a call's arguments mean, what comes before it, what must be seen.

use super::expand::{Expansion, Scope, lacks, plain};
use super::{Act, Doing, Effect, Expected};
use crate::profile::{EffectOf, Parameter, Procedure, Stores};
use crate::source::{Node, Problem, Problems, Span, Value};
use crate::step::{Ability, Bindings, Bound, Do, Refusal, Step, known_code};

/// A procedure that is to be carried out.
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) span: Span,
    pub(super) arguments: Bindings,
    pub(super) refused: Refusal,
    pub(super) expect: Option<Expected>,
}

impl Expansion<'_> {
    pub(super) fn call_step(
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
                    _ => match known_code(node) {
                        Some(known) => Bound::Known(known),
                        None => Bound::Written(node.clone()),
                    },
                },
            };
            arguments.insert(name.value.clone(), bound);
        }
        let call = Call {
            name: &call.r#do.value,
            span: step.span,
            arguments,
            refused: call.refused,
            expect: self.expected(step),
        };
        self.call(&call, scope, acts)?;
        if let Some(act) = acts.last_mut() {
            act.phase = step.action.phase();
        }
        Some(())
    }

    /// Adds a procedure, and before it the one that it comes after, unless that was just done.
    pub(super) fn call(
        &mut self,
        call: &Call<'_>,
        scope: &Scope<'_>,
        acts: &mut Vec<Act>,
    ) -> Option<()> {
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
                    refused: Refusal::No,
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
        let effect = match call.refused {
            Refusal::No if as_usual => self.effect(procedure.effect, &bindings, call.span)?,
            Refusal::No | Refusal::Yes => Effect::None,
            Refusal::Either => {
                let mut at_most = Vec::new();
                effects(&expanded, &mut at_most);
                at_most.push(self.effect(procedure.effect, &bindings, call.span)?);
                at_most.retain(|effect| *effect != Effect::None);
                Effect::Unknown { at_most }
            }
        };
        if call.refused != Refusal::No || !as_usual {
            without_effects(&mut expanded);
        }
        let mut expect = None;
        if let Some(wanted) = &call.expect {
            match last_expected(&mut expanded) {
                Some(act) => act.expect = Some(wanted.clone()),
                None => expect = Some(wanted.clone()),
            }
        }
        match call.refused {
            Refusal::No => {}
            Refusal::Yes => {
                until_unanswered(&mut expanded);
            }
            Refusal::Either => without_answers(&mut expanded),
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
                (Some(Bound::Written(node)), Parameter::Code(_)) if known_code(node).is_some() => {
                    Bound::Known(known_code(node)?)
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
                (None, Parameter::Value(default)) => match default.name() {
                    Ok(other) => bindings.get(&other.value)?.clone(),
                    Err(node) => match known_code(node) {
                        Some(known) => Bound::Known(known),
                        None => Bound::Written(node.clone()),
                    },
                },
                // It was reported that a code is missing.
                (None, Parameter::Code(_)) => return None,
                (_, Parameter::Key) => return self.skip(lacks(self.profile, &Ability::Stage)),
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

    /// A new code goes into a free slot of this product.
    fn stores_beside(&self) -> bool {
        let mut changes = self.profile.changes.iter();
        changes.any(|change| change.stores == Stores::FreeSlot)
    }

    fn effect(&mut self, effect: EffectOf, bindings: &Bindings, span: Span) -> Option<Effect> {
        let code = |expansion: &mut Self| {
            let bound = bindings.get("code")?;
            expansion.bound_code(bound, span).map(|(code, _)| code)
        };
        Some(match effect {
            EffectOf::Nothing => Effect::None,
            EffectOf::Resets => Effect::Resets,
            EffectOf::DeletesUserCode => Effect::DeletesUserCode { code: code(self)? },
            EffectOf::LearnsKey => return self.skip(lacks(self.profile, &Ability::Stage)),
            EffectOf::StoresMasterCode => Effect::StoresMasterCode { code: code(self)? },
            EffectOf::StoresUserCode => Effect::StoresUserCode {
                code: code(self)?,
                slot: match bindings.get("slot") {
                    Some(Bound::Written(node)) => node.scalar()?.parse().ok()?,
                    _ if self.stores_beside() => 0,
                    _ => 1,
                },
            },
        })
    }
}

/// The last act that expects something, in the procedures inside too.
fn last_expected(acts: &mut [Act]) -> Option<&mut Act> {
    for act in acts.iter_mut().rev() {
        if act.expect.is_some() {
            return Some(act);
        }
        if let Doing::Do { acts, .. } = &mut act.doing
            && let Some(found) = last_expected(acts)
        {
            return Some(found);
        }
    }
    None
}

/// Nobody knows what a lock shows that may carry something out or not.
fn without_answers(acts: &mut [Act]) {
    for act in acts {
        act.expect = None;
        if let Doing::Do { acts, .. } = &mut act.doing {
            without_answers(acts);
        }
    }
}

/// What procedures change, those inside them first.
fn effects(acts: &[Act], found: &mut Vec<Effect>) {
    for act in acts {
        if let Doing::Do { acts, effect, .. } = &act.doing {
            effects(acts, found);
            found.push(effect.clone());
        }
    }
}

/// What does not come to its usual end does not change what the procedures inside it would.
fn without_effects(acts: &mut [Act]) {
    for act in acts {
        if let Doing::Do { acts, effect, .. } = &mut act.doing {
            *effect = Effect::None;
            without_effects(acts);
        }
    }
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
