//! Values in this product's terms: holds, waits, codes, contacts, voltages.

use super::expand::{Expansion, Scope, lacks};
use super::{CodeUse, Contact, Doing, SUPPLY_MARGIN, TIME_MARGIN};
use crate::event::Nanos;
use crate::profile::codes::{Code, Declared, Right};
use crate::profile::{
    Button, CodeRules, Fact, HoldWindow, LearnsHanding, OTHER_BUTTON, Parameter, Relock,
};
use crate::quantity::Millivolts;
use crate::source::{Problem, Read, Span, Spanned};
use crate::step::{
    Ability, Arg, Bound, CodeKind, CodeWord, HoldFor, KnownCode, SupplyLevel, Times, Wait, WaitFor,
};

impl Expansion<'_> {
    /// A hold in the terms of the profile's window.
    pub(super) fn hold_length(
        &mut self,
        length: HoldFor,
        name: Option<&Spanned<String>>,
        scope: &Scope<'_>,
    ) -> Option<Nanos> {
        let id = self.profile.id();
        let hold = self.profile.reset.as_ref().and_then(|reset| reset.hold);
        let range = match (hold.unwrap_or(HoldWindow::Tap), length) {
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
    pub(super) fn wait(&mut self, wait: &Wait, scope: &Scope<'_>) -> Option<Option<Doing>> {
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
            WaitFor::Handing if self.profile.bolt.learns_handing == LearnsHanding::No => {
                return Some(None);
            }
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

    /// A code and the key that ends its entry.
    pub(super) fn code(
        &mut self,
        word: &CodeWord,
        scope: &Scope<'_>,
    ) -> Option<(CodeUse, Option<String>)> {
        let bound = word.resolve(scope.bindings, self.problems)?;
        self.bound_code(&bound, word.span())
    }

    pub(super) fn bound_code(
        &mut self,
        bound: &Bound,
        span: Span,
    ) -> Option<(CodeUse, Option<String>)> {
        let rules: &CodeRules = &self.profile.codes;
        let label = |submit: Option<&Spanned<String>>| {
            submit.and_then(|key| self.profile.keypad.key(key).map(str::to_owned))
        };
        let user = label(rules.user.submit.as_ref());
        match bound {
            Bound::Code(name) => {
                let declared = self.scenario.codes.get(name).map(|code| &code.0);
                if let Some(Declared::Near { like, right, .. }) = declared {
                    // It is entered like the code that it is to be taken for.
                    let (_, submit) = self.bound_code(&Bound::Code(like.clone()), span)?;
                    self.has_digits(name, like, *right)?;
                    return Some((CodeUse::Named(name.clone()), submit));
                }
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
            Bound::Known(known) => {
                if self.profile.known_code(*known).is_none() {
                    let id = self.profile.id();
                    return self.skip(match known {
                        KnownCode::Factory => lacks(self.profile, &Ability::FactoryCode),
                        KnownCode::ResetCode | KnownCode::ResetCodeInTurn => {
                            lacks(self.profile, &Ability::PairedResetCode)
                        }
                        weak => format!("no code of '{id}' is a {weak}"),
                    });
                }
                let submit = match known {
                    KnownCode::ResetCode | KnownCode::ResetCodeInTurn => {
                        let reset = rules.reset.as_ref();
                        label(reset.and_then(|reset| reset.submit.as_ref()))
                    }
                    _ => user,
                };
                Some((CodeUse::Known(*known), submit))
            }
            Bound::Key(name) => self.problems.add(Problem::new(
                span,
                format!("'${name}' is a key, and a code is needed"),
            )),
            Bound::Written(node) => self.problems.expected("a code", node),
        }
    }

    /// Whether the code that another is like is always long enough for it.
    fn has_digits(&mut self, name: &str, like: &str, right: Right) -> Option<()> {
        let Right::Exactly(right) = right else {
            return Some(());
        };
        let rules = &self.profile.codes;
        let fewest = match self.scenario.codes.get(like).map(|code| &code.0)? {
            Declared::Made(CodeKind::Master) => rules.master.as_ref()?.digits.fewest_made().into(),
            Declared::Made(_) => rules.user.digits.fewest_made().into(),
            Declared::Literal(code) => code.digit_count(),
            Declared::Factory => self.profile.factory_code()?.digit_count(),
            // Refused when the file was read.
            Declared::Near { .. } => return None,
        };
        if usize::from(right) < fewest {
            return Some(());
        }
        let id = self.profile.id();
        self.skip(format!(
            "'{like}' may have {fewest} digits on '{id}', and '{name}' has {right} of them right"
        ))
    }

    pub(super) fn times(&mut self, times: &Arg<Times>, scope: &Scope<'_>) -> Option<Times> {
        let times = times.resolve(scope.bindings, self.problems)?;
        let counted = matches!(times, Times::UntilLockout | Times::OneBeforeLockout);
        if counted && self.profile.lockout.is_none() {
            return self.skip(lacks(self.profile, &Ability::Lockout));
        }
        Some(times)
    }

    /// A number of times where nothing else makes sense.
    pub(super) fn count(
        &mut self,
        times: &Arg<Times>,
        span: Span,
        scope: &Scope<'_>,
    ) -> Option<u32> {
        match times.resolve(scope.bindings, self.problems)? {
            Times::Count(count) => Some(count),
            _ => self.problems.add(Problem::new(
                span,
                "only wrong codes that are entered can be counted up to the lockout",
            )),
        }
    }

    pub(super) fn contact(&mut self, name: &str) -> Option<Contact> {
        let button = match name {
            OTHER_BUTTON => match self.profile.other_button() {
                Some(button) => Some(button),
                None => {
                    let id = self.profile.id();
                    return self.skip(format!("'{id}' has a use for every button"));
                }
            },
            name => Button::ALL
                .iter()
                .find(|button| button.word() == name)
                .copied(),
        };
        match (button, self.profile.keypad.key(name)) {
            (Some(button), _) => Some(Contact::Button(button)),
            (None, Some(label)) => Some(Contact::Key(label.to_owned())),
            // An unknown name was reported with the names that there are.
            (None, None) => None,
        }
    }

    /// The terminal voltage of a level.
    pub(super) fn millivolts(&mut self, level: SupplyLevel) -> Option<Option<Millivolts>> {
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
            SupplyLevel::NoChanges => below(self.profile.refuses_changes_below()),
            SupplyLevel::Critical => below(self.profile.refuses_opening_below()),
        };
        if found.is_none() {
            let id = self.profile.id();
            return self.skip(format!("nobody knows the level '{level}' of '{id}'"));
        }
        found
    }
}
