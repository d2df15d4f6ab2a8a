//! What each verb of a scenario means on a bench.

use crate::bench::Contact;
use crate::event::{Against, Nanos, Standing, What};
use crate::oracle::{Keeps, word};
use crate::profile::codes::Code;
use crate::profile::{CountedFrom, Erased, Fact, HoldRange, HoldWindow, Relock};
use crate::quantity::{Millivolts, Percent};
use crate::scenario::{self, Act, CodeUse, Doing, Effect, Expected, ResolvedSet};
use crate::step::{
    BoltState, DoorState, Drop, KnownCode, Phase, PhaseLabel, Refusal, Times, WaitFor,
};

use super::pattern::{Progress, Track};
use super::runner::{Armed, CarryOut, PHASE, QUIET, Runner, Step, Stop};

/// How long a board may take from power to idle before the first key is pressed.
pub const BOOT_MAX: Nanos = Nanos::from_secs(1);
/// How long a finger leaves lamps and beeper to finish before it presses the next key.
pub const PATIENCE: Nanos = Nanos::from_secs(15);
/// How long a bolt may take to be thrown again where the manual gives no time.
const RELOCK_MAX: Nanos = Nanos::from_secs(15);
/// How much later than reckoned something is taken to be over: the lock's clock and ours differ.
pub const MARGIN: Nanos = Nanos::from_millis(500);

impl CarryOut for Runner<'_> {
    /// From a fresh battery on.
    fn carry_out(&mut self) -> Step {
        let script = self.script;
        self.set_supply(Some(self.profile.supply.fresh.value))?;
        self.wait(BOOT_MAX)?;
        self.all(&script.setup)?;
        self.watch_cuts();
        self.watch_entries();
        self.all(&script.steps)
    }

    fn act(&mut self, act: &Act) -> Step {
        let during = act.phase.during;
        let expect = &act.expect;
        match &act.doing {
            Doing::Enter {
                code,
                submit,
                times,
            } => {
                self.enter_often(code, submit.as_deref(), *times, expect, act.phase)?;
                match expect {
                    // The next key is a person's next movement.
                    None => self.wait(self.profile.keypad.pause),
                    Some(_) => Ok(()),
                }
            }
            Doing::Press {
                contacts,
                lasts,
                times,
            } => {
                let contacts: Vec<Contact> = contacts.iter().map(wired).collect();
                self.enter_phase(during, *lasts)?;
                for press in 0..*times {
                    if press > 0 {
                        self.wait(self.profile.keypad.pause)?;
                    }
                    self.expecting(expect, |run| {
                        run.press(&contacts, &|contact| contact.to_string(), *lasts)
                    })?;
                }
                // The next key is a person's next movement.
                self.wait(self.profile.keypad.pause)
            }
            Doing::Hold {
                contact,
                lasts,
                during: meanwhile,
            } => self.expecting(expect, |run| {
                run.hold(&wired(contact), *lasts, meanwhile, during)
            }),
            Doing::Supply { millivolts, lasts } => self.supply(*millivolts, *lasts, expect, during),
            Doing::Door(state) => {
                let closed = *state == DoorState::Closed;
                self.record(What::Switched {
                    contact: Contact::Door.to_string(),
                    closed,
                });
                self.bench
                    .door(closed)
                    .or_else(|trouble| self.broken(trouble))?;
                self.wait(PHASE)
            }
            Doing::Bolt(state) => {
                let withdrawn = self.level(WITHDRAWN)?;
                let is = match withdrawn {
                    true => BoltState::Withdrawn,
                    false => BoltState::Thrown,
                };
                let wanted = format!("the bolt {state}");
                self.check(wanted, format!("it was {is}"), is == *state)
            }
            Doing::Ask { question, within } => self.ask(question, *within),
            Doing::Readout(wanted) => self.read_out(*wanted),
            Doing::Wait {
                until,
                share,
                at_most,
            } => self.wait_for(*until, *share, *at_most, during),
            Doing::Do {
                acts,
                effect,
                procedure,
                refused,
            } => {
                self.wait_for_quiet(PATIENCE)?;
                let around = (self.stores_master, self.may_be_refused);
                self.stores_master = matches!(effect, Effect::StoresMasterCode { .. });
                let outer = self.change.clone().filter(|change| !change.is_over);
                self.change_begins(effect);
                self.may_be_refused |= *refused == Refusal::Either;
                let done = self.expecting(expect, |run| run.all(acts));
                (self.stores_master, self.may_be_refused) = around;
                done?;
                self.take_effect(effect, procedure);
                if let Some(outer) = outer {
                    self.change_goes_on(outer);
                }
                Ok(())
            }
            Doing::Opens {
                code,
                submit,
                times,
            } => {
                for _ in 0..*times {
                    self.opens(code, submit.as_deref(), act.phase)?;
                }
                Ok(())
            }
            Doing::Refuses {
                code,
                submit,
                times,
            } => {
                for _ in 0..*times {
                    self.refuses(code, submit.as_deref())?;
                }
                Ok(())
            }
            Doing::Interrupt {
                at,
                how,
                lasts,
                acts,
            } => self.interrupt(*at, *how, *lasts, acts),
            Doing::InterruptAt { cuts, lasts, acts } => self.interrupt_at(cuts, *lasts, acts),
            Doing::Glitch {
                entry,
                at,
                mode,
                acts,
            } => self.glitch(*entry, (*at, *mode), acts),
            Doing::Settles(sets) => self.settles(sets),
            Doing::Handle(_) => unreachable!("no plan for a lock with a keypad handles keys"),
            Doing::Expect => self.expecting(expect, |_| Ok(())),
        }
    }
}

impl Runner<'_> {
    /// Acts, and then waits for what the lock is to show, counted from the beginning of the action:
    /// a lock may answer while the last key is still down.
    fn expecting(
        &mut self,
        expect: &Option<Expected>,
        act: impl FnOnce(&mut Self) -> Step,
    ) -> Step {
        let before = self.recorder.events().len();
        match expect {
            None | Some(Expected::Signal { pattern: None, .. }) => act(self),
            Some(Expected::Signal {
                name,
                pattern: Some(pattern),
                within,
                seen,
                ..
            }) => {
                self.watch(pattern)?;
                act(self)?;
                let by = self.bench.now() + *within;
                if *seen {
                    self.await_signal(name, by)
                } else {
                    self.await_no_signal(name, by)
                }
            }
            Some(Expected::Nothing { within }) => {
                act(self)?;
                self.wait(*within)?;
                let shown = self.shown_since(before);
                let got = if shown.is_empty() {
                    "nothing".to_owned()
                } else {
                    shown.join(", ")
                };
                self.check(format!("nothing for {within}"), got, shown.is_empty())
            }
        }
    }

    /// Lamps and beeper that came on since an event.
    fn shown_since(&self, before: usize) -> Vec<String> {
        let mut shown: Vec<String> = Vec::new();
        for event in &self.recorder.events()[before..] {
            if let What::LineChanged { line, high: true } = &event.what
                && is_signal(line)
                && !shown.contains(line)
            {
                shown.push(line.clone());
            }
        }
        shown
    }

    fn supply(
        &mut self,
        voltage: Option<Millivolts>,
        lasts: Option<Nanos>,
        expect: &Option<Expected>,
        during: Option<Phase>,
    ) -> Step {
        let comes_back = self.power_on.is_none() && voltage.is_some();
        let held = !self.closed.is_empty();
        self.enter_phase(during, lasts.unwrap_or(PHASE))?;
        self.expecting(expect, |run| {
            run.set_supply(voltage)?;
            match lasts {
                Some(lasts) => run.wait(lasts),
                // A button that is held over power-on is a hold that is being counted already.
                None if held => run.wait_for_power(),
                None => run.wait(BOOT_MAX),
            }
        })?;
        if comes_back {
            self.penalty.power_came(self.bench.now(), false);
        }
        Ok(())
    }

    /// Presses contacts together; `shown` is what the trace calls each.
    fn press(
        &mut self,
        contacts: &[Contact],
        shown: &dyn Fn(&Contact) -> String,
        lasts: Nanos,
    ) -> Step {
        for contact in contacts {
            self.switch(contact, &shown(contact), true)?;
        }
        // A servo's horn gets there before it turns back, and is back before it presses again.
        let horns = contacts.iter().filter_map(|contact| self.horn(contact));
        let horn = horns.max();
        let lasts = horn.map_or(lasts, |arrives| lasts.max(arrives));
        for contact in contacts {
            self.open_at(contact, self.bench.now() + lasts);
        }
        self.wait(lasts)?;
        for contact in contacts {
            self.switch(contact, &shown(contact), false)?;
        }
        horn.map_or(Ok(()), |arrives| self.wait(arrives))
    }

    /// How long the servo's horn is under way that presses a contact, if one does.
    fn horn(&self, contact: &Contact) -> Option<Nanos> {
        let wired = self.bench.file().wired(contact)?;
        Some(wired.way.servo()?.arrives())
    }

    /// Holds a contact, and measures how long it really was closed: on its sense line, else by when the pins that
    /// close it were driven.
    fn hold(
        &mut self,
        contact: &Contact,
        lasts: Nanos,
        meanwhile: &[Act],
        during: Option<Phase>,
    ) -> Step {
        let before = self.recorder.events().len();
        let shown = contact.to_string();
        // What is counted from the press is counted from the touch, where it is known when that is.
        let latency = self
            .bench
            .file()
            .wired(contact)
            .and_then(|wired| wired.latency);
        let ordered = self.bench.now();
        let touches = ordered + latency.map_or(Nanos::ZERO, |latency| latency.closes);
        self.switch(contact, &shown, true)?;
        self.all(meanwhile)?;
        let reset = self.profile.reset.as_ref();
        let counted = match (
            reset.map_or(CountedFrom::Press, |reset| reset.counted_from),
            meanwhile.is_empty(),
            self.power_on,
        ) {
            (CountedFrom::PowerOn, false, Some(power_on)) => power_on,
            _ => self.bench.now().max(touches),
        };
        self.enter_phase(during, lasts)?;
        let lag = latency.map_or(Nanos::ZERO, |latency| latency.opens);
        let horn = self.horn(contact).unwrap_or_default();
        let opens = (counted + lasts).since(lag).max(ordered + horn);
        self.open_at(contact, opens);
        self.wait_until(opens)?;
        self.switch(contact, &shown, false)?;
        // The relay takes its time to open, or the servo to go back, and the contact bounces.
        self.wait(Nanos::from_millis(50) + horn)?;
        self.measure_hold(contact, lasts, before, counted);
        Ok(())
    }

    /// Records the time for which a contact was closed, and judges it by the documented window if
    /// the hold was meant to lie inside.
    fn measure_hold(&mut self, contact: &Contact, asked: Nanos, before: usize, counted: Nanos) {
        let wired = self.bench.file().wired(contact);
        let closings = match wired.and_then(|wired| wired.line.clone()) {
            Some(line) => self.closed_by_line(&line, before),
            None => self.driven.get(contact).copied(),
        };
        let Some((closed, opened)) = closings else {
            return;
        };
        let value = opened.since(closed.max(counted)).0;
        let uncertainty = self.bench.file().uncertainty_of(contact).0;
        let window = self
            .reset_window()
            .filter(|range| asked >= range.from && self.is_resetting());
        let from = window.map(|window| window.from.0);
        let to = window.and_then(|window| window.to.known().map(|to| to.0));
        self.record(What::Measured {
            quantity: format!("hold of {contact}"),
            asked: Some(asked.0),
            value,
            unit: "ns".to_owned(),
            uncertainty,
            from,
            to,
            stands: Against::judge(value, uncertainty, from, to),
        });
    }

    /// From when until when a sense line says that a contact was closed.
    fn closed_by_line(&self, line: &str, before: usize) -> Option<(Nanos, Nanos)> {
        let mut edges =
            self.recorder.events()[before..]
                .iter()
                .filter_map(|event| match &event.what {
                    What::LineChanged {
                        line: changed,
                        high,
                    } if changed == line => Some((event.at, *high)),
                    _ => None,
                });
        let (closed, _) = edges.find(|(_, high)| *high)?;
        let (opened, _) = edges.rfind(|(_, high)| !*high)?;
        Some((closed, opened))
    }

    fn reset_window(&self) -> Option<HoldRange> {
        match self.profile.reset.as_ref()?.hold? {
            HoldWindow::Range(range) => Some(range),
            HoldWindow::Tap => None,
        }
    }

    fn is_resetting(&self) -> bool {
        let innermost = self.inside.iter().rev().find(|(_, procedure)| *procedure);
        innermost.is_some_and(|(number, _)| {
            self.recorder
                .events()
                .iter()
                .any(|event| match &event.what {
                    What::StepStarted {
                        step,
                        procedure: Some(name),
                        ..
                    } => step == number && name == "reset",
                    _ => false,
                })
        })
    }

    pub(super) fn digits(&self, code: &CodeUse) -> Code {
        match code {
            CodeUse::Named(name) => self.codes[name].clone(),
            CodeUse::Literal(code) => code.clone(),
            CodeUse::Known(known) => self
                .profile
                .known_code(*known)
                .expect("the plan names it only where there is one"),
        }
    }

    /// Inside a procedure codes are stored or confirmed, not tried.
    fn is_changing(&self) -> bool {
        self.inside.iter().any(|(_, procedure)| *procedure)
    }

    pub(super) fn factory_digits(&self) -> Option<Code> {
        self.profile.known_code(KnownCode::Factory)
    }

    /// How a code stands, lockout aside. Digits decide: a literal may equal a code that has a name.
    fn standing(&self, code: &CodeUse) -> Standing {
        let digits = self.digits(code);
        if self.credentials.is_unsettled() {
            Standing::Unsettled
        } else if self
            .credentials
            .valid()
            .iter()
            .any(|valid| self.digits(valid) == digits)
        {
            Standing::Valid
        } else {
            Standing::Invalid
        }
    }

    /// Presses the digits and what ends an entry; returns when the last key is up again.
    fn enter(&mut self, code: &CodeUse, submit: Option<&str>, phase: PhaseLabel) -> Step {
        let digits = self.digits(code);
        let count = digits.digit_count();
        let (press, pause) = (self.profile.keypad.press, self.profile.keypad.pause);
        let keys: Vec<&str> = digits
            .strokes_to_press()
            .into_iter()
            .chain(submit)
            .collect();
        let last = keys.len() - 1;
        self.entry_begins()?;
        // The bolt moves when the last key is down; every other phase of an entry is in its middle.
        let strikes_at = if phase.during == Some(Phase::P6) {
            last
        } else {
            count / 2
        };
        // And the lock writes then, before it answers.
        let writes = phase.after.filter(|after| *after == Phase::P5);
        for (index, key) in keys.iter().enumerate() {
            if index == last {
                self.code_entered(code, &digits);
            }
            if index == strikes_at {
                self.enter_phase(phase.during, PHASE)?;
            }
            if index == last {
                self.enter_phase(writes, PHASE)?;
            }
            let shown = match index < count {
                true => format!("digit {} of {count}", index + 1),
                false => format!("key {key}"),
            };
            let together: Vec<Contact> = key.chars().map(Contact::Key).collect();
            if index == last {
                self.last_key(submit, &together)?;
            }
            self.press(&together, &|_| shown.clone(), press)?;
            if index != last {
                self.wait(pause)?;
            }
        }
        Ok(())
    }

    /// The last key of a code goes down: what the rig knows about it now.
    fn code_entered(&mut self, code: &CodeUse, digits: &Code) {
        let now = self.bench.now();
        let standing = match self.standing(code) {
            _ if self.is_changing() && !self.may_be_refused => Standing::Offered,
            Standing::Valid | Standing::Invalid if self.penalty.runs(now) => Standing::LockedOut,
            standing => standing,
        };
        let kept = self.credentials.kept().iter();
        let kept_by = kept
            .filter(|(code, _)| self.digits(code) == *digits)
            // A lock that changes codes does not open for one.
            .filter(|_| !self.may_be_refused)
            // A code that is becoming the master code is no proof that it was one.
            .find(|(_, keeps)| *keeps != Keeps::MasterCode || !self.stores_master)
            .map(|(_, keeps)| keeps.rule().to_owned());
        let valid = self.credentials.valid();
        let common = valid
            .iter()
            .map(|valid| self.digits(valid).leading_in_common(digits));
        let leading = common.max().unwrap_or(0);
        self.record(What::CodeEntered {
            code: code.to_string(),
            digits: digits.digit_count(),
            standing,
            leading,
            kept_by,
        });
    }

    fn enter_often(
        &mut self,
        code: &CodeUse,
        submit: Option<&str>,
        times: Times,
        expect: &Option<Expected>,
        phase: PhaseLabel,
    ) -> Step {
        let count = match times {
            Times::Count(count) => count,
            Times::UntilLockout => self.penalty.left(),
            Times::OneBeforeLockout => self.penalty.left().saturating_sub(1),
        };
        let is_tried = !self.is_changing();
        for _ in 0..count {
            // Inside a procedure the lock waits for the code, and forgets the change if it waits long;
            // where it may be refused, its answer is waited for all the same.
            if is_tried || self.may_be_refused {
                self.wait_for_quiet(PATIENCE)?;
            }
            let is_wrong = is_tried && self.standing(code) != Standing::Valid;
            // The code that is one too many is answered by the lockout's signal, where there is one.
            let lockout = (expect.is_some() && is_wrong && self.penalty.left() == 1)
                .then(|| self.signal("lockout-begins"))
                .flatten();
            let expect = lockout.map_or_else(|| expect.clone(), Some);
            self.expecting(&expect, |run| run.enter(code, submit, phase))?;
            if is_tried {
                self.reckon(code);
            }
        }
        Ok(())
    }

    fn signal(&self, name: &str) -> Option<Expected> {
        let pattern = *self.profile.signal(name)?;
        Some(Expected::Signal {
            name: name.to_owned(),
            pattern: Some(pattern),
            within: pattern.within,
            promised: self.profile.promises_signal(name),
            seen: true,
        })
    }

    /// Counts a code that was tried.
    fn reckon(&mut self, code: &CodeUse) {
        let now = self.bench.now();
        match self.standing(code) {
            Standing::Valid if !self.penalty.runs(now) => self.penalty.forgiven(),
            Standing::Invalid | Standing::Unsettled => {
                self.penalty.wrong(now);
            }
            Standing::Valid | Standing::LockedOut | Standing::Offered => {}
        }
    }

    /// Enters a code and tells whether the bolt was withdrawn.
    pub(super) fn try_code(
        &mut self,
        code: &CodeUse,
        submit: Option<&str>,
        phase: PhaseLabel,
    ) -> Step<bool> {
        let before = self.recorder.events().len();
        self.enter(code, submit, phase)?;
        let until = self.bench.now() + self.profile.bolt.withdraws_within;
        let mut looked = before;
        loop {
            let events = self.recorder.events();
            let withdrawn = events[looked..].iter().any(|event| {
                matches!(&event.what, What::LineChanged { line, high: true } if line == WITHDRAWN)
            });
            looked = events.len();
            if withdrawn || self.bench.now() >= until {
                return Ok(withdrawn);
            }
            self.wait_for_one(until)?;
        }
    }

    fn opens(&mut self, code: &CodeUse, submit: Option<&str>, phase: PhaseLabel) -> Step {
        self.wait_for_quiet(PATIENCE)?;
        let accepted = self.profile.signal("accepted").copied();
        if let Some(accepted) = &accepted {
            self.watch(accepted)?;
        }
        let opened = self.try_code(code, submit, phase)?;
        let got = if opened {
            "it was withdrawn"
        } else {
            "it stayed where it was"
        };
        self.check(
            format!("{code} to withdraw the bolt"),
            got.to_owned(),
            opened,
        )?;
        if let Some(accepted) = accepted {
            let by = self.bench.now() + accepted.within;
            self.await_signal("accepted", by)?;
        }
        self.penalty.forgiven();
        self.lock_again()
    }

    fn refuses(&mut self, code: &CodeUse, submit: Option<&str>) -> Step {
        self.wait_for_quiet(PATIENCE)?;
        let opened = self.try_code(code, submit, PhaseLabel::default())?;
        self.reckon(code);
        let got = if opened {
            "it was withdrawn"
        } else {
            "it stayed where it was"
        };
        self.check(
            format!("{code} not to withdraw the bolt"),
            got.to_owned(),
            !opened,
        )
    }

    /// Throws the bolt as this product does it: by its `lock` procedure, or by waiting.
    pub(super) fn lock_again(&mut self) -> Step {
        self.wait_for_quiet(PATIENCE)?;
        let script = self.script;
        self.all(&script.lock)?;
        let bound = match self.profile.relocks_after() {
            Some(Relock::After(after)) => after + after + Nanos::from_secs(2),
            _ => RELOCK_MAX,
        };
        self.wait_for_relock(bound)
    }

    fn wait_for_relock(&mut self, bound: Nanos) -> Step {
        let until = self.bench.now() + bound;
        while self.level(WITHDRAWN)? && self.bench.now() < until {
            self.wait_for_one(until)?;
        }
        // A motor needs a moment more from the one switch to the other.
        self.wait(MARGIN)?;
        let locked = !self.level(WITHDRAWN)?;
        let got = if locked {
            "it was"
        } else {
            "it stayed withdrawn"
        };
        self.check(
            format!("the bolt thrown again within {bound}"),
            got.to_owned(),
            locked,
        )
    }

    fn wait_for(
        &mut self,
        until: WaitFor,
        share: Option<Percent>,
        at_most: Nanos,
        during: Option<Phase>,
    ) -> Step {
        let now = self.bench.now();
        let span = match until {
            WaitFor::Time(time) => time,
            WaitFor::Lockout => match self.penalty.over() {
                Some(over) if over > now => over.since(now) + MARGIN,
                _ => return self.enter_phase(during, PHASE),
            },
            // A share of it ends while the bolt is still withdrawn.
            WaitFor::Relock if share.is_some() => match self.profile.relocks_after() {
                Some(Relock::After(after)) => after,
                _ => Nanos::ZERO,
            },
            WaitFor::Relock => return self.wait_for_relock(at_most + MARGIN),
            WaitFor::Idle => return self.wait_for_quiet(at_most),
            WaitFor::Handing | WaitFor::EntryTimeOut | WaitFor::ChangeWindow => at_most + MARGIN,
        };
        let span = share.map_or(span, |share| Nanos(span.0 / 100 * u64::from(share.0)));
        self.enter_phase(during, span)?;
        self.wait_until(now + span)
    }

    /// What a procedure that went through has changed in the lock.
    fn take_effect(&mut self, effect: &Effect, procedure: &str) {
        let reset = self.profile.reset.as_ref();
        if !self.credentials.take_effect(effect, reset) {
            return;
        }
        self.change_is_over();
        if let Effect::Unknown { .. } = effect {
            // What was typed may have counted as wrong codes.
            return self.penalty.power_came(self.bench.now(), true);
        }
        let erases_counters =
            reset.is_some_and(|reset| reset.erases.counters == Fact::Known(Erased::AtOnce));
        if *effect == Effect::Resets && erases_counters {
            self.penalty.forgiven();
        }
        let valid = self
            .credentials
            .valid()
            .iter()
            .map(CodeUse::to_string)
            .collect();
        self.record(What::CodesChanged {
            by: procedure.to_owned(),
            valid,
        });
    }

    fn interrupt(&mut self, at: Phase, how: Drop, lasts: Nanos, acts: &[Act]) -> Step {
        let sag = match how {
            Drop::Clean => None,
            Drop::Sag => Some(self.profile.supply.sag.value),
        };
        self.armed = Some(Armed {
            phase: at,
            sag,
            strikes: None,
        });
        let depth = self.inside.len();
        let outcome = self.all(acts);
        self.armed = None;
        match outcome {
            Err(Stop::Interrupted) => {}
            Err(other) => return Err(other),
            Ok(()) => {
                let got = "every step went through before it struck".to_owned();
                return self.check(format!("the supply to fail in {at}"), got, false);
            }
        }
        self.inside.truncate(depth);
        self.tracks.clear();
        self.wait(lasts)?;
        self.set_supply(Some(self.profile.supply.fresh.value))?;
        self.comes_back()
    }

    /// The supply is back after it failed on purpose.
    pub(super) fn comes_back(&mut self) -> Step {
        self.wait(BOOT_MAX)?;
        self.credentials.unsettle();
        self.penalty.power_came(self.bench.now(), true);
        // A bolt that was on its way may first have to come to rest.
        self.wait_for_quiet(PATIENCE)
    }

    /// Tries every code of the sets once and finds the one set of which all codes open, and no other.
    ///
    /// That a code does not open counts only if the lock said so: a dead lock, or one that stands at a
    /// fault, opens with no code either.
    fn settles(&mut self, sets: &[ResolvedSet]) -> Step {
        let submit = self.profile.codes.user.submit.as_ref();
        let submit = submit
            .and_then(|key| self.profile.keypad.key(key))
            .map(str::to_owned);
        let mut tried: Vec<(&CodeUse, bool)> = Vec::new();
        let mut silent: Vec<String> = Vec::new();
        for code in sets.iter().flat_map(|set| &set.codes) {
            if tried.iter().any(|(other, _)| *other == code) {
                continue;
            }
            self.wait_for(WaitFor::Lockout, None, Nanos::ZERO, None)?;
            // A cut may leave the bolt withdrawn, and what is open cannot be seen to open.
            if self.level(WITHDRAWN)? {
                self.lock_again()?;
            }
            self.wait_for_quiet(PATIENCE)?;
            let refusals = self.refusals()?;
            let before = self.recorder.events().len();
            let opened = self.try_code(code, submit.as_deref(), PhaseLabel::default())?;
            if opened {
                self.penalty.forgiven();
                self.lock_again()?;
            } else {
                self.penalty.wrong(self.bench.now());
                if !self.has_refused(refusals, before)? {
                    silent.push(code.to_string());
                }
            }
            tried.push((code, opened));
        }
        let words: Vec<String> = tried
            .iter()
            .map(|(code, opened)| format!("{code} {}", if *opened { "opens" } else { "does not" }))
            .collect();
        let unanswered =
            (!silent.is_empty()).then(|| format!("no answer to {}", silent.join(", ")));
        let fault = self
            .fault()
            .map(|fault| format!("the lock reported '{fault}'"));
        let is_answered = unanswered.is_none() && fault.is_none();
        let because: Vec<String> = [Some(words.join(", ")), unanswered, fault]
            .into_iter()
            .flatten()
            .collect();
        let because = because.join("; ");
        let set = sets.iter().filter(|_| is_answered).find(|set| {
            tried
                .iter()
                .all(|(code, opened)| set.codes.contains(code) == *opened)
        });
        self.record(What::Settled {
            set: set.map(|set| set.name.clone()),
            because: because.clone(),
        });
        if let Some(set) = set {
            let factory = self.factory_digits();
            let holds_factory = set
                .codes
                .iter()
                .any(|code| Some(self.digits(code)) == factory);
            self.credentials.settle(&set.codes, holds_factory);
        }
        let names: Vec<&str> = sets.iter().map(|set| set.name.as_str()).collect();
        let got = set.map_or(because.clone(), |set| format!("'{}': {because}", set.name));
        self.check(
            format!("exactly one of the sets {}", names.join(", ")),
            got,
            set.is_some(),
        )
    }

    /// What this product shows when it refuses a code, ready to be seen, and by when it is over. The last
    /// code before a lockout has a signal of its own.
    pub(super) fn refusals(&mut self) -> Step<Vec<(Vec<Track>, Nanos)>> {
        let names = ["wrong-code", "lockout-begins"];
        let signals = names.map(|name| self.profile.signal(name).copied());
        let mut refusals = Vec::new();
        for signal in signals.into_iter().flatten() {
            refusals.push((self.tracks_of(&signal)?, signal.within));
        }
        Ok(refusals)
    }

    /// Whether the lock answered the code that was entered since an event: by one of the signals, or on
    /// its console; where no signal is known, by any sign at all.
    pub(super) fn has_refused(
        &mut self,
        mut refusals: Vec<(Vec<Track>, Nanos)>,
        before: usize,
    ) -> Step<bool> {
        let longest = refusals.iter().map(|(_, within)| *within).max();
        self.wait(longest.unwrap_or_default())?;
        self.wait_for_quiet(PATIENCE)?;
        let now = self.bench.now();
        let events = &self.recorder.events()[before..];
        for event in events {
            if let What::LineChanged { line, high } = &event.what {
                let tracks = refusals.iter_mut().flat_map(|(tracks, _)| tracks);
                for track in tracks.filter(|track| track.line == *line) {
                    track.edge(event.at, *high);
                }
            }
        }
        let is_seen = |track: &Track| track.progress(now, QUIET) == Progress::Seen;
        let shown = refusals
            .iter()
            .any(|(tracks, _)| tracks.iter().all(is_seen));
        let any_sign = refusals.is_empty() && !self.shown_since(before).is_empty();
        let said = events.iter().any(|event| match &event.what {
            What::Printed { text } => word(text) == "refused",
            _ => false,
        });
        Ok(shown || any_sign || said)
    }

    /// The fault that the lock reported on its console and has not left since by starting anew.
    fn fault(&self) -> Option<&str> {
        let mut events = self.recorder.events().iter().rev();
        events.find_map(|event| match &event.what {
            What::Printed { text } if word(text) == "fault" => Some(Some(text.as_str())),
            What::Printed { text } if word(text) == "boot" => Some(None),
            What::SupplySet { millivolts: None } => Some(None),
            _ => None,
        })?
    }
}

/// The line that tells whether the bolt is withdrawn.
pub const WITHDRAWN: &str = "bolt-withdrawn";

/// Lamps and beeper, as opposed to switches.
pub fn is_signal(line: &str) -> bool {
    ["red", "green", "yellow", "blue", "beeper"].contains(&line)
}

/// A contact in the bench's words.
pub(super) fn wired(contact: &scenario::Contact) -> Contact {
    match contact {
        scenario::Contact::Button(button) => Contact::Button(button.word().to_owned()),
        scenario::Contact::Key(label) => Contact::Key(label.chars().next().unwrap_or(' ')),
    }
}
