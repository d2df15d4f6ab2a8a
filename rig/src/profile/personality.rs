//! The reference firmware's personality: a profile's facts, and its choices in the silent places,
//! in the firmware's terms. What the firmware cannot do is a problem of the profile, not a guess.

use code_entry::personality::{
    BoltRules, Change, CodeRules, EntryRules, FactoryRule, Guard, Kind, LockoutKeys,
    LockoutPowerCycle, LockoutRules, LockoutStage, MAX_CHANGES, MAX_STAGES, MAX_STEPS, MasterRule,
    Overflow, Parts, ResetRules, ResetTrigger, Step, SupplyRules, Target, Trigger, Zeros,
};
use code_entry::{Code, Colour, Key, Light, Pattern, Personality, SignalTable, Train};

use super::{
    Asked, Button, CountedFrom, CountedWithin, Erased, Fact, Factory, FactoryStays, HoldWindow,
    KeysDuring, Lamp, LearnsHanding, MasterState, OnPowerCycle, ProductKind, Profile, Relock,
    Requires, Signal, Stores, WindowFrom, ZeroCodes,
};
use crate::event::Nanos;
use crate::quantity::Millivolts;
use crate::source::{Problem, Problems, Refused, Span, Spanned};
use crate::step::DoorState;

/// How long the reference firmware lights and pauses in a signal, unless the signal's ranges say
/// otherwise or the pattern would take too long.
const PULSE: Nanos = Nanos(150_000_000);

impl Profile {
    /// The personality that makes the reference firmware behave as this profile says.
    pub fn personality(&self) -> Result<Personality, Refused> {
        let mut making = Making {
            profile: self,
            problems: Problems::default(),
        };
        let personality = making.personality();
        let mut problems = making.problems.into_vec();
        if let Some(Err(error)) = personality.as_ref().map(Personality::check) {
            problems.push(Problem::new(
                self.profile.span,
                format!("the reference firmware cannot be this product: {error}"),
            ));
        }
        match personality {
            Some(personality) if problems.is_empty() => Ok(personality),
            _ => Err(self.source().refuse(problems)),
        }
    }
}

struct Making<'p> {
    profile: &'p Profile,
    problems: Problems,
}

impl Making<'_> {
    fn personality(&mut self) -> Option<Personality> {
        let profile = self.profile;
        let product = profile.id().try_into().ok();
        let product = product.or_else(|| {
            self.cannot(
                profile.profile.span,
                "has no room for a name of more than 32 letters",
            )
        });
        let (entry, codes) = (self.entry(), self.codes());
        let (changes, lockout) = (self.changes(), self.lockout());
        let (reset, bolt) = (self.reset(), self.bolt());
        let (supply, signals) = (self.supply(), self.signals());
        Some(Personality {
            product: product?,
            kind: match profile.kind {
                ProductKind::Safe => Kind::Safe,
                ProductKind::SmartLock => Kind::SmartLock,
            },
            entry: entry?,
            codes: codes?,
            changes: changes?.into_iter().collect(),
            lockout: lockout?,
            reset: reset?,
            bolt: bolt?,
            supply: supply?,
            signals: signals?,
        })
    }

    /// What the firmware cannot do.
    fn cannot<T>(&mut self, span: Span, what: &str) -> Option<T> {
        self.problems
            .add(Problem::new(span, format!("the reference firmware {what}")))
    }

    /// A value that no source gives and nobody chose.
    fn needed<T>(&mut self, value: Option<T>, path: &str) -> Option<T> {
        let span = self.profile.profile.span;
        value.or_else(|| {
            self.problems.add(
                Problem::new(
                    span,
                    format!("the reference firmware needs '{path}', which is unknown"),
                )
                .hint("choose it in the section 'reference'"),
            )
        })
    }

    fn millis(&mut self, time: Nanos) -> Option<u32> {
        let millis = u32::try_from(time.as_millis()).ok();
        millis.or_else(|| {
            let span = self.profile.profile.span;
            self.cannot(span, &format!("cannot count {time}"))
        })
    }

    fn key(&mut self, name: &Spanned<String>) -> Option<Key> {
        let label = self.profile.keypad.key(name)?;
        let mut letters = label.chars();
        let key = match (letters.next(), letters.next()) {
            (Some(letter), None) => Key::from_label(letter),
            _ => None,
        };
        key.or_else(|| self.cannot(name.span, &format!("has no key '{label}'")))
    }

    fn entry(&mut self) -> Option<EntryRules> {
        let codes = &self.profile.codes;
        let submit = match &codes.user.submit {
            Some(key) => Some(self.key(key)?),
            None => None,
        };
        let clear = match &codes.clear {
            Some(key) => Some(self.key(key)?),
            None => None,
        };
        let idle = self.needed(self.profile.idle_time_out(), "codes.idle-time-out")?;
        let chord_ms = match &codes.reset {
            Some(_) => {
                let together = self.profile.together_within();
                let together = self.needed(together, "codes.reset.together-within")?;
                self.millis(together)?
            }
            None => 0,
        };
        Some(EntryRules {
            digits_min: codes.user.digits.from,
            digits_max: codes.user.digits.to,
            submit: submit.into_iter().collect(),
            clear,
            idle_ms: self.millis(idle)?,
            overflow: Overflow::Wrong,
            chord_ms: u16::try_from(chord_ms).unwrap_or(u16::MAX),
            long_press_ms: 0,
        })
    }

    fn codes(&mut self) -> Option<CodeRules> {
        let slots = self.needed(self.profile.slots(), "codes.user.slots")?;
        let factory = self.needed(self.profile.factory(), "codes.factory")?;
        let (factory, factory_rule) = match factory {
            Factory::None => (None, FactoryRule::None),
            Factory::Code(factory) => {
                let stays = factory.stays;
                let code = self.profile.factory_code();
                let code = self.needed(code, "codes.factory.code")?;
                let code = Code::parse(code.digits_to_press()).ok()?;
                let rule = match stays {
                    FactoryStays::UntilFirstChange => FactoryRule::RevokedOnFirstChange,
                    FactoryStays::UntilOverwritten | FactoryStays::UntilDeleted => {
                        FactoryRule::Works
                    }
                    FactoryStays::Always => FactoryRule::Permanent,
                };
                (Some(code), rule)
            }
        };
        let reset_code = match &self.profile.codes.reset {
            Some(_) => {
                let code = self.profile.reset_code();
                let code = self.needed(code, "codes.reset.code")?;
                Code::parse(code.digits_to_press()).ok()?
            }
            None => Code::BLANK,
        };
        let master = self.profile.codes.master.as_ref();
        let factory_master = match master.and_then(|master| master.factory.as_ref()) {
            Some(code) => Code::parse(code.digits_to_press()).ok()?,
            None => Code::BLANK,
        };
        Some(CodeRules {
            user_slots: u8::try_from(slots).unwrap_or(u8::MAX),
            factory: factory.into_iter().collect(),
            factory_rule,
            factory_master,
            reset_code,
            zeros: match self.profile.codes.zeros {
                Fact::Known(ZeroCodes::Deletes) => Zeros::Deletes,
                _ => Zeros::Refused,
            },
        })
    }

    fn changes(&mut self) -> Option<Vec<Change>> {
        let window = self.needed(self.profile.change_window(), "codes.change-window")?;
        let window_ms = self.millis(window)?;
        let mut changes = Vec::new();
        for change in &self.profile.changes {
            let trigger = self.trigger(change)?;
            let function = change.function.map(Step::Function);
            let asks = change.asks.iter().map(|asked| match asked {
                Asked::Old => Step::Old,
                Asked::Master => Step::Master,
                Asked::Factory => Step::Factory,
                Asked::ResetCode => Step::ResetCode,
                Asked::New => Step::New,
                Asked::Again => Step::Again,
            });
            let steps: Vec<Step> = function.into_iter().chain(asks).collect();
            let at = change.from.as_slice().first();
            let at = at.map_or(self.profile.profile.span, |from| from.span);
            if steps.len() > MAX_STEPS {
                return self.cannot(at, "asks for at most 4 codes in one change");
            }
            if changes.len() == MAX_CHANGES {
                return self.cannot(at, "knows at most 6 ways of changing a code");
            }
            changes.push(Change {
                trigger,
                guard: guard(change.requires),
                master: match change.master {
                    None => MasterRule::Any,
                    Some(MasterState::Set) => MasterRule::Set,
                    Some(MasterState::Unset) => MasterRule::Unset,
                },
                steps: steps.into_iter().collect(),
                target: match change.stores {
                    Stores::FirstSlot => Target::Slot(1),
                    Stores::TappedSlot => Target::Tapped,
                    Stores::OwnSlot | Stores::Nothing => Target::Own,
                    Stores::FreeSlot => Target::Free,
                    Stores::Handing => Target::Hand,
                    Stores::Master => Target::Master,
                },
                window_ms,
                window_restarts: self.profile.codes.change_window_from == WindowFrom::LastInput,
            });
        }
        Some(changes)
    }

    fn trigger(&mut self, change: &super::Change) -> Option<Trigger> {
        if let Some(button) = change.tap {
            return Some(Trigger::Tap(self::button(button.value)));
        }
        if let (Some(button), Some(time)) = (change.hold, change.r#for) {
            return Some(Trigger::Hold {
                button: self::button(button.value),
                hold_ms: self.millis(time)?,
            });
        }
        if change.code.is_some() {
            return Some(Trigger::Master);
        }
        let keys = change.keys.as_ref()?;
        if keys.chars().count() > 8 {
            return self.cannot(keys.span, "begins a change with at most 8 keys");
        }
        keys.chars()
            .map(Key::from_label)
            .collect::<Option<_>>()
            .map(Trigger::Keys)
    }

    fn lockout(&mut self) -> Option<LockoutRules> {
        let Some(lockout) = &self.profile.lockout else {
            return Some(LockoutRules {
                stages: Default::default(),
                within_ms: 0,
                keys: LockoutKeys::Ignored,
                power_cycle: LockoutPowerCycle::Resumes,
            });
        };
        if let Some(stage) = lockout.stages.get(MAX_STAGES) {
            return self.cannot(stage.wrong.span, "knows at most 4 stages of a lockout");
        }
        let mut stages = Vec::new();
        for stage in &lockout.stages {
            stages.push(LockoutStage {
                wrong: u8::try_from(stage.wrong.value).unwrap_or(u8::MAX),
                duration_ms: self.millis(stage.lasts.value)?,
            });
        }
        let keys = self.profile.keys_during_lockout();
        let power_cycle = self.profile.lockout_on_power_cycle();
        let (keys, power_cycle) = (
            self.needed(keys, "lockout.keys-during"),
            self.needed(power_cycle, "lockout.on-power-cycle"),
        );
        Some(LockoutRules {
            stages: stages.into_iter().collect(),
            within_ms: match lockout.counted_within {
                CountedWithin::Unlimited => 0,
                CountedWithin::Time(time) => self.millis(time)?,
            },
            keys: match keys? {
                KeysDuring::Ignored => LockoutKeys::Ignored,
                KeysDuring::Answered => LockoutKeys::Answered,
                KeysDuring::Restart => LockoutKeys::Restart,
            },
            power_cycle: match power_cycle? {
                OnPowerCycle::Resumes => LockoutPowerCycle::Resumes,
                OnPowerCycle::Restarts => LockoutPowerCycle::Restarts,
                OnPowerCycle::Clears => LockoutPowerCycle::Clears,
                OnPowerCycle::Extends => {
                    // By as much as one lockout of the first stage: no manual says by how much.
                    let first = lockout.stages.first()?.lasts.value;
                    LockoutPowerCycle::Extends {
                        by_ms: self.millis(first)?,
                    }
                }
            },
        })
    }

    fn reset(&mut self) -> Option<ResetRules> {
        let nothing = ResetRules {
            trigger: ResetTrigger::None,
            guard: Guard::default(),
            erases: Parts::NONE,
            keeps: Parts::NONE,
        };
        let Some(reset) = &self.profile.reset else {
            return Some(nothing);
        };
        // Without a button it is a change that does all of it.
        let (Some(reset_button), Some(hold)) = (reset.button, reset.hold) else {
            return Some(nothing);
        };
        let button = self::button(reset_button);
        let is_change = self
            .profile
            .changes
            .iter()
            .any(|change| change.tap.is_some_and(|tap| tap.value == reset_button));
        let span = self.profile.profile.span;
        let trigger = match (hold, reset.counted_from) {
            // The tap opens the window for a new code: the change does all of it.
            (HoldWindow::Tap, _) if is_change => ResetTrigger::None,
            (HoldWindow::Tap, _) => ResetTrigger::Tap { button },
            (HoldWindow::Range(range), CountedFrom::PowerOn) => {
                let tap_within = self.profile.second_tap_within();
                let tap_within = self.needed(tap_within, "reset.second-tap-within")?;
                ResetTrigger::PowerOnHold {
                    button,
                    hold_ms: self.millis(range.from)?,
                    tap_within_ms: self.millis(tap_within)?,
                }
            }
            (HoldWindow::Range(_), CountedFrom::Press)
                if reset.second_tap_within.known().is_some() =>
            {
                return self.cannot(span, "knows no second tap after a hold without power-on");
            }
            (HoldWindow::Range(range), CountedFrom::Press) => ResetTrigger::Hold {
                button,
                min_ms: self.millis(range.from)?,
                max_ms: match range.to {
                    Fact::Known(to) => Some(self.millis(to)?),
                    Fact::Unknown | Fact::Unspecified => None,
                },
            },
        };
        let parts = [
            (Some(reset.erases.user_codes), Parts::USER_CODES),
            (reset.erases.master_code, Parts::MASTER),
            (
                Some(reset.erases.counters),
                Parts::COUNTERS.and(Parts::LOCKOUT),
            ),
            (reset.erases.handing, Parts::HANDING),
            (reset.erases.settings, Parts::SETTINGS),
        ];
        let those = |wanted: Erased| {
            parts
                .iter()
                .filter(|(fact, _)| fact.is_some_and(|fact| fact == Fact::Known(wanted)))
                .fold(Parts::NONE, |all, (_, part)| all.and(*part))
        };
        Some(ResetRules {
            trigger,
            guard: guard(reset.requires),
            erases: those(Erased::AtOnce),
            keeps: those(Erased::Kept),
        })
    }

    fn bolt(&mut self) -> Option<BoltRules> {
        let bolt = &self.profile.bolt;
        let relock = self.needed(self.profile.relocks_after(), "bolt.relocks-after")?;
        Some(BoltRules {
            relock_ms: match relock {
                Relock::Never => 0,
                Relock::After(time) => self.millis(time)?,
            },
            travel_ms: self.millis(bolt.withdraws_within)?,
            learns_hand: bolt.learns_handing == LearnsHanding::Yes,
        })
    }

    fn supply(&mut self) -> Option<SupplyRules> {
        let level = |level: Option<Millivolts>| {
            level.map_or(0, |level| u16::try_from(level.0).unwrap_or(u16::MAX))
        };
        Some(SupplyRules {
            warn_below_mv: level(self.profile.warns_below()),
            programming_below_mv: level(self.profile.refuses_changes_below()),
            opening_below_mv: level(self.profile.refuses_opening_below()),
        })
    }

    fn signals(&mut self) -> Option<SignalTable> {
        let mut table = SignalTable::default();
        let mut complete = true;
        for signal in code_entry::Signal::ALL {
            if let Some(shown) = self.profile.signal(signal.name()) {
                match self.pattern(signal.name(), shown) {
                    Some(pattern) => table.set(signal, pattern),
                    None => complete = false,
                }
            }
        }
        complete.then_some(table)
    }

    fn pattern(&mut self, name: &str, signal: &Signal) -> Option<Pattern> {
        let span = self.signal_span(name);
        let lamps: Vec<(&str, Lamp)> = signal
            .lamps()
            .filter(|(_, lamp)| *lamp != Lamp::Dark)
            .collect();
        let light = match lamps[..] {
            [] => None,
            [(line, lamp)] => {
                let colour = match line {
                    "red" => Colour::Red,
                    "green" => Colour::Green,
                    "yellow" => Colour::Yellow,
                    other => {
                        return self.cannot(span, &format!("has no {other} lamp for '{name}'"));
                    }
                };
                let train = match lamp {
                    Lamp::Flashes(count) => self.train(name, signal, count)?,
                    // It is lit as long as a new code is taken; the next signal ends it.
                    _ => Train {
                        count: 1,
                        on_ms: self.lit_ms()?,
                        off_ms: 0,
                    },
                };
                Some(Light { colour, train })
            }
            _ => {
                return self.cannot(
                    span,
                    &format!("lights one lamp at a time, '{name}' has two"),
                );
            }
        };
        let sound = match signal.beeper {
            Some(count) => Some(self.train(name, signal, count)?),
            None => None,
        };
        Some(Pattern { light, sound })
    }

    fn signal_span(&self, name: &str) -> Span {
        let mut names = self.profile.signals.iter().map(|(name, _)| name);
        names
            .find(|known| known.value == name)
            .map_or(self.profile.profile.span, |name| name.span)
    }

    fn lit_ms(&mut self) -> Option<u16> {
        let window = self.needed(self.profile.change_window(), "codes.change-window")?;
        let millis = self.millis(window)?;
        Some(u16::try_from(millis).unwrap_or(u16::MAX))
    }

    /// Equal pulses that fit into the signal's time and ranges.
    fn train(&mut self, name: &str, signal: &Signal, count: u32) -> Option<Train> {
        let span = self.signal_span(name);
        let pulses = u64::from(count) * 2;
        // A quarter of the time is left for the lock to think.
        let fits = Nanos(signal.within.0 / 4 * 3 / pulses.max(1));
        let within = |range: super::Window| PULSE.min(fits).max(range.from).min(range.to);
        let (on, off) = (within(signal.on()), within(signal.off()));
        let lasts = u64::from(count) * (on.0 + off.0) - off.0;
        let count = u8::try_from(count).ok();
        match count {
            Some(count) if lasts <= signal.within.0 => Some(Train {
                count,
                on_ms: u16::try_from(on.as_millis()).ok()?,
                off_ms: u16::try_from(off.as_millis()).ok()?,
            }),
            _ => self.cannot(
                span,
                &format!("cannot show '{name}' within {}", signal.within),
            ),
        }
    }
}

fn button(button: Button) -> code_entry::Button {
    match button {
        Button::Reset => code_entry::Button::Reset,
        Button::Program => code_entry::Button::Program,
    }
}

fn guard(requires: Requires) -> Guard {
    Guard {
        door_open: requires.door == Some(DoorState::Open),
        bolt_withdrawn: false,
    }
}
