//! What must hold in every run, whatever the scenario expects: oracles I1 to I8.
//!
//! They read events and a few facts of the profile, nothing else. Each says which evidence it stands
//! on; without that evidence it says *not observed*. Each exempts exactly what the product's manual
//! documents, and names the rule that exempted it.

mod alive;
mod authority;
mod code_set;
mod failure_count;
mod kept;
mod lockout;
mod opening;
mod plug;
mod sentence;
mod timing;

#[cfg(test)]
mod tests;

use dyn_clone::DynClone;

use crate::event::{Event, Judgement, Nanos, What};

pub use sentence::damaged_line;

/// What the oracles need to know of the product and the bench.
#[derive(Clone, Debug)]
pub struct Facts {
    /// How long after a code the bolt is expected to have moved.
    pub withdraws_within: Nanos,
    /// How long after a valid code the lock stays open: a bolt that was stopped by a sagging supply
    /// may still be withdrawn in this time.
    pub stays_open: Nanos,
    /// The bench has a line that tells whether the bolt is withdrawn.
    pub senses_bolt: bool,
    /// There is a mechanical cylinder on the bench, and a line that tells whether its plug is turned.
    pub senses_plug: bool,
    /// The manual says that the bolt moves by itself after a reset, to learn the door's handing.
    pub learns_handing: bool,
    /// Wrong codes count only within this time, if the manual says so.
    pub counted_within: Option<Nanos>,
    /// What the manual says about a power cycle during a lockout.
    pub on_power_cycle: OnPowerCycle,
    /// The manual says that a reset erases the counted wrong codes and the lockout they led to.
    pub reset_erases_counters: bool,
    /// The manual requires an open door for a reset.
    pub reset_needs_open_door: bool,
    /// How long after an entry the lock has certainly taken it up: one without a key that ends it
    /// ends by itself.
    pub answers_within: Nanos,
    /// What the manual says a reset keeps.
    pub kept: Vec<Keeps>,
    /// How far the time between two edges on the bench's lines may be from the truth.
    pub uncertainty: Nanos,
    /// How well the bench can tell two moments apart, the board's key scan included.
    pub resolution: Nanos,
}

/// Something that a manual says a reset keeps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Keeps {
    /// The codes that open.
    UserCodes,
    /// The codes that open, until the next new code is stored.
    UserCodesUntilNew,
    /// The factory's code.
    FactoryCode,
    /// The code that authorises programming.
    MasterCode,
    /// The counted wrong codes, and a lockout that they led to.
    Counters,
    /// What the bolt learnt of the door.
    Handing,
    /// Pairings with hubs and telephones.
    Pairings,
    /// Other settings.
    Settings,
}

impl Keeps {
    /// The rule of the profile that says so.
    pub const fn rule(self) -> &'static str {
        match self {
            Keeps::UserCodes => "reset.erases.user-codes: kept",
            Keeps::UserCodesUntilNew => "reset.erases.user-codes: with-new-code",
            Keeps::FactoryCode => "codes.factory.stays: always",
            Keeps::MasterCode => "reset.erases.master-code: kept",
            Keeps::Counters => "reset.erases.counters: kept",
            Keeps::Handing => "reset.erases.handing: kept",
            Keeps::Pairings => "reset.erases.pairings: kept",
            Keeps::Settings => "reset.erases.settings: kept",
        }
    }
}

/// What a manual says about a power cycle during a lockout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnPowerCycle {
    /// The remaining time goes on, or more of it than remained.
    Survives,
    /// The manual says that the lockout ends.
    Clears,
    /// The manual is silent.
    Unspecified,
}

/// One judgement, ready to be recorded.
#[derive(Clone, PartialEq, Debug)]
pub struct Finding {
    /// The judgement.
    pub judgement: Judgement,
    /// What it stands on; empty where nothing was observed.
    pub evidence: &'static str,
    /// What was seen, which rule exempted it, or what would have been needed.
    pub because: String,
}

impl Finding {
    fn held(evidence: &'static str, because: impl Into<String>) -> Finding {
        Finding {
            judgement: Judgement::Held,
            evidence,
            because: because.into(),
        }
    }

    fn broken(evidence: &'static str, because: impl Into<String>) -> Finding {
        Finding {
            judgement: Judgement::Broken,
            evidence,
            because: because.into(),
        }
    }

    fn exempted(evidence: &'static str, rule: impl Into<String>) -> Finding {
        Finding {
            judgement: Judgement::Exempted,
            evidence,
            because: rule.into(),
        }
    }

    fn not_observed(needed: impl Into<String>) -> Finding {
        Finding {
            judgement: Judgement::NotObserved,
            evidence: "",
            because: needed.into(),
        }
    }
}

/// One rule. It sees every event once, in order.
///
/// `see` may end the matter early with a breach, and is not called again then; `conclude` is asked
/// at the end of a run that had no breach.
trait Oracle: DynClone + Send {
    fn see(&mut self, event: &Event, facts: &Facts) -> Option<Finding>;
    fn conclude(&self, facts: &Facts) -> Finding;
}

dyn_clone::clone_trait_object!(Oracle);

#[derive(Clone)]
struct Watch {
    id: &'static str,
    rule: &'static str,
    promised: bool,
    oracle: Box<dyn Oracle>,
    breached: bool,
}

/// All oracles of one run. A clone has seen the same.
#[derive(Clone)]
pub struct Oracles {
    facts: Facts,
    watches: Vec<Watch>,
}

impl Oracles {
    /// Fresh oracles for one run.
    pub fn new(facts: Facts) -> Oracles {
        let survives = facts.on_power_cycle == OnPowerCycle::Survives;
        let needs_door = facts.reset_needs_open_door;
        let keeps = !facts.kept.is_empty();
        let opening = match facts.senses_plug {
            true => watch::<plug::Plug>(
                "I1",
                "the plug turns only with a key that is valid now",
                true,
            ),
            false => watch::<opening::Opening>(
                "I1",
                "the bolt opens only after a code that is valid now",
                true,
            ),
        };
        let watches = vec![
            opening,
            watch::<failure_count::FailureCount>(
                "I2",
                "the stored failure count never decreases but by a success",
                false,
            ),
            watch::<lockout::Lockout>(
                "I3",
                "a lockout never shrinks faster than the clock, and a cut never ends it",
                survives,
            ),
            watch::<code_set::CodeSet>(
                "I4",
                "after a cut the codes are exactly the old, the new or the factory set",
                false,
            ),
            watch::<authority::Authority>(
                "I5",
                "a reset needs its authorisation and the permitted state",
                needs_door,
            ),
            watch::<timing::Timing>(
                "I6",
                "the time to a refusal does not depend on how many digits were right",
                false,
            ),
            watch::<alive::Alive>(
                "I7",
                "the lock always reaches idle, locked or a reported fault",
                false,
            ),
            watch::<kept::Kept>(
                "I8",
                "what the manual says a reset keeps survives it",
                keeps,
            ),
        ];
        Oracles { facts, watches }
    }

    /// Shows one event to every oracle; returns the breaches it brought to light, to be recorded.
    pub fn see(&mut self, event: &Event) -> Vec<What> {
        let mut breaches = Vec::new();
        for watch in self.watches.iter_mut().filter(|watch| !watch.breached) {
            if let Some(finding) = watch.oracle.see(event, &self.facts) {
                watch.breached = true;
                breaches.push(watch.judged(finding));
            }
        }
        breaches
    }

    /// The judgements of all oracles that were not breached, at the end of the run.
    pub fn conclude(&self) -> Vec<What> {
        self.watches
            .iter()
            .filter(|watch| !watch.breached)
            .map(|watch| watch.judged(watch.oracle.conclude(&self.facts)))
            .collect()
    }
}

/// A fresh oracle, what it says, and whether the product's manual promises it.
fn watch<O: Oracle + Default + 'static>(
    id: &'static str,
    rule: &'static str,
    promised: bool,
) -> Watch {
    Watch {
        id,
        rule,
        promised,
        oracle: Box::<O>::default(),
        breached: false,
    }
}

impl Watch {
    fn judged(&self, finding: Finding) -> What {
        What::Judged {
            oracle: self.id.to_owned(),
            rule: self.rule.to_owned(),
            judgement: finding.judgement,
            promised: self.promised,
            evidence: finding.evidence.to_owned(),
            because: finding.because,
        }
    }
}

/// Whether the reset procedure is being carried out.
#[derive(Clone, Default)]
struct Resetting(Option<u32>);

impl Resetting {
    fn see(&mut self, what: &What) {
        match what {
            What::StepStarted {
                step,
                procedure: Some(name),
                ..
            } if name == "reset" => self.0 = Some(*step),
            What::StepStarted { inside: None, .. } => self.0 = None,
            // A step that was cut short never finishes; the one around it, with a lower number, does.
            What::StepFinished { step } if self.0.is_some_and(|reset| *step <= reset) => {
                self.0 = None;
            }
            _ => {}
        }
    }

    fn is_under_way(&self) -> bool {
        self.0.is_some()
    }
}

/// A line of the reference firmware's console, `word key=value ...`: its first word.
pub fn word(text: &str) -> &str {
    text.split(' ').next().unwrap_or("")
}

/// The number behind `key=` in such a line.
fn number(text: &str, key: &str) -> Option<u64> {
    text.split(' ')
        .find_map(|part| part.strip_prefix(key)?.strip_prefix('='))
        .and_then(|value| value.parse().ok())
}
