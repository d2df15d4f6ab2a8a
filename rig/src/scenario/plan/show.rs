//! Acts in words, as events and plans tell them. Digits never appear.

use std::fmt;

use super::{Act, CodeUse, Contact, Course, Doing, Effect, Expected, PlannedRun, ResolvedSet};
use crate::step::{Cut, KnownCode, Refusal, Times, WaitFor};

impl fmt::Display for CodeUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Literal(code) => write!(f, "a literal {code}"),
            Self::Known(known) => f.write_str(match known {
                KnownCode::Factory => "the factory code",
                KnownCode::ResetCode => "the reset code",
                KnownCode::ResetCodeInTurn => "the reset code, one key after the other",
                KnownCode::Zeros => "zeros",
                KnownCode::Sequence => "a sequence",
                KnownCode::Repeated => "a repeated digit",
                KnownCode::Date => "a date",
            }),
        }
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Button(button) => write!(f, "button {button}"),
            Self::Key(label) => write!(f, "key {label}"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal {
                name, within, seen, ..
            } => {
                let no = if *seen { "" } else { "no " };
                write!(f, "{no}{name} within {within}")
            }
            Self::Nothing { within } => write!(f, "nothing within {within}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no effect"),
            Self::Unknown { .. } => f.write_str("may have an effect"),
            Self::DeletesUserCode { code } => write!(f, "deletes {code}"),
            Self::Resets => f.write_str("resets"),
            Self::StoresUserCode { code, slot: 0 } => write!(f, "stores {code} in a free slot"),
            Self::StoresUserCode { code, slot } => write!(f, "stores {code} in slot {slot}"),
            Self::StoresMasterCode { code } => write!(f, "stores {code} as the master code"),
            Self::LearnsKey { key } => write!(f, "learns key {key}"),
        }
    }
}

/// `, 3 times`, or nothing for once.
pub(super) fn often(times: u32) -> String {
    match times {
        1 => String::new(),
        times => format!(" {times} times"),
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enter { code, times, .. } => match times {
                Times::Count(times) => write!(f, "enter {code}{}", often(*times)),
                Times::UntilLockout => write!(f, "enter {code} until the lockout"),
                Times::OneBeforeLockout => {
                    write!(f, "enter {code} one time fewer than starts the lockout")
                }
            },
            Self::Press {
                contacts,
                lasts,
                times,
            } => {
                f.write_str("press ")?;
                for (at, contact) in contacts.iter().enumerate() {
                    let with = if at > 0 { " with " } else { "" };
                    write!(f, "{with}{contact}")?;
                }
                write!(f, " for {lasts}{}", often(*times))
            }
            Self::Hold { contact, lasts, .. } => write!(f, "hold {contact} for {lasts}"),
            Self::Supply { millivolts, lasts } => {
                match millivolts {
                    Some(millivolts) => write!(f, "set the supply to {millivolts}")?,
                    None => f.write_str("take the battery out")?,
                }
                match lasts {
                    Some(lasts) => write!(f, " and wait {lasts}"),
                    None => Ok(()),
                }
            }
            Self::Door(state) => write!(f, "leave the door {state}"),
            Self::Bolt(state) => write!(f, "find the bolt {state}"),
            Self::Readout(_) => f.write_str("read flash through the debug port"),
            Self::Ask { question, .. } => write!(f, "ask: {question}"),
            Self::Wait { until, share, .. } => {
                f.write_str("wait ")?;
                if let Some(share) = share {
                    write!(f, "{share} ")?;
                }
                match until {
                    WaitFor::Time(time) => write!(f, "for {time}"),
                    other => write!(f, "for {other} to be over"),
                }
            }
            Self::Do {
                procedure, refused, ..
            } => {
                let refused = match refused {
                    Refusal::No => "",
                    Refusal::Yes => ", which is refused",
                    Refusal::Either => ", which may be refused",
                };
                write!(f, "do {procedure}{refused}")
            }
            Self::Opens { code, times, .. } => write!(f, "open with {code}{}", often(*times)),
            Self::Refuses { code, times, .. } => {
                write!(f, "be refused with {code}{}", often(*times))
            }
            Self::Interrupt { at, how, lasts, .. } => {
                write!(f, "lose the supply in {at} ({how}) for {lasts}")
            }
            Self::InterruptAt { cuts, lasts, .. } => {
                f.write_str("lose the supply")?;
                for (nth, Cut { at, mode }) in cuts.iter().enumerate() {
                    let then = if nth > 0 { ", then" } else { "" };
                    write!(f, "{then} at {at} ({mode})")?;
                }
                write!(f, " for {lasts}")
            }
            Self::Glitch {
                entry, at, mode, ..
            } => write!(f, "glitch {at} of entry {entry} ({mode})"),
            Self::Settles(sets) => {
                f.write_str("find which codes the lock holds: ")?;
                for (at, set) in sets.iter().enumerate() {
                    let or = if at > 0 { " or " } else { "" };
                    write!(f, "{or}{set}")?;
                }
                Ok(())
            }
            Self::Handle(handling) => handling.fmt(f),
            Self::Expect => f.write_str("wait for an answer"),
        }
    }
}

impl fmt::Display for ResolvedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.name)?;
        if self.codes.is_empty() {
            f.write_str("none")?;
        }
        for (at, code) in self.codes.iter().enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            write!(f, "{comma}{code}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.doing.fmt(f)?;
        match &self.expect {
            Some(expected) => write!(f, ": {expected}"),
            None => Ok(()),
        }
    }
}

/// The run and its acts, one a line, inner ones indented: for review.
impl fmt::Display for PlannedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.scenario, self.profile)?;
        if !self.variant.is_empty() {
            write!(f, ", {}", self.variant)?;
        }
        match &self.course {
            Course::Skipped(reason) => writeln!(f, ": skipped, {reason}"),
            Course::Runs(script) => {
                writeln!(f)?;
                let parts = [
                    ("given", &script.setup),
                    ("steps", &script.steps),
                    ("finally", &script.finally),
                ];
                for (name, acts) in parts.into_iter().filter(|(_, acts)| !acts.is_empty()) {
                    writeln!(f, "  {name}")?;
                    write_acts(acts, 2, f)?;
                }
                Ok(())
            }
        }
    }
}

fn write_acts(acts: &[Act], depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for act in acts {
        write!(f, "{:1$}{act}", "", depth * 2)?;
        let phases = [("", act.phase.during), ("then ", act.phase.after)];
        for (then, phase) in phases {
            if let Some(phase) = phase {
                write!(f, " [{then}{phase}]")?;
            }
        }
        match &act.doing {
            Doing::Do { effect, .. } if *effect != Effect::None => writeln!(f, " => {effect}")?,
            _ => writeln!(f)?,
        }
        write_acts(act.inner(), depth + 1, f)?;
    }
    Ok(())
}
