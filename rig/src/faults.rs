//! Whether the rig is right where its instruments are not: ports lost, bytes dropped, garbled and late, at
//! every event of a run.
//!
//! Each faulty run starts from a fork of the board from which the run without a fault started, and differs from
//! it in the fault alone. Its verdict has to be that of the run without, or to blame the bench: broken,
//! inconclusive or aborted. What it calls at rest has to be so, what can be reached has to be so soon, and its
//! report has to be whole. Everything else is wrong, and a bug of the rig. The probe is used before a run, so
//! that it is lost while the board is flashed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::bench::{Bench, BenchFile};
use crate::campaign::{self, Group, Job, Prepared};
use crate::event::{Event, Nanos, What};
use crate::port::sim::SimPorts;
use crate::port::{Branch, Disturbance, Fault, Interrupt, Outputs};
use crate::trace;
use crate::verdict::Verdict;

/// How soon after a run everything that can be reached has to be at rest.
pub const REST_WITHIN: Nanos = Nanos::from_millis(100);
/// How long bytes are disturbed.
const LASTS: Nanos = Nanos::from_millis(300);
/// Of the bytes of that time, one in so many.
const ONE_IN: u32 = 4;
/// By how much a byte is late that is: more than any instrument waits for.
const LATE: Nanos = Nanos::from_millis(400);

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The port is gone.
    Lost,
    /// Bytes do not arrive.
    Dropped,
    /// Bytes arrive wrong.
    Garbled,
    /// Bytes arrive late.
    Late,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [Kind::Lost, Kind::Dropped, Kind::Garbled, Kind::Late];

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Lost => "lost",
            Kind::Dropped => "dropped",
            Kind::Garbled => "garbled",
            Kind::Late => "late",
        }
    }

    fn disturbance(self) -> Disturbance {
        match self {
            Kind::Lost => Disturbance::Lose,
            Kind::Dropped => Disturbance::Drop,
            Kind::Garbled => Disturbance::Garble,
            Kind::Late => Disturbance::Delay(LATE),
        }
    }
}

/// A run that can be carried out again and again, each time with another fault.
pub struct Subject<'a> {
    group: &'a Group,
    job: &'a Job,
    board: Mutex<&'a mut Prepared>,
    /// The verdict without a fault.
    pub verdict: Verdict,
    /// When something happened in that run.
    pub moments: Vec<Nanos>,
    /// When its board was flashed.
    flashed: Nanos,
}

/// What came of a run with a fault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its verdict.
    pub verdict: Verdict,
    /// Why.
    pub because: String,
    /// How many bytes were hit.
    pub hit: u64,
    /// How long after the run something still changed on its way to rest.
    pub rest: Nanos,
    /// What the rig did wrong.
    pub wrong: Vec<String>,
}

impl<'a> Subject<'a> {
    /// Carries the run out without a fault; its report goes into the folder.
    ///
    /// # Errors
    /// A report that is not whole.
    pub fn new(
        group: &'a Group,
        job: &'a Job,
        board: &'a mut Prepared,
        folder: &Path,
    ) -> Result<Subject<'a>, String> {
        let flashed = board.bench.now();
        let mut subject = Subject {
            group,
            job,
            board: Mutex::new(board),
            verdict: Verdict::Broken,
            moments: Vec::new(),
            flashed,
        };
        let (outcome, events) = subject.run(None, folder);
        subject.verdict = outcome.verdict;
        let began = events.iter().position(|event| !is_head(&event.what));
        let moments = events.iter().skip(began.unwrap_or(0));
        let moments: BTreeSet<Nanos> = moments.map(|event| event.at).collect();
        subject.moments = moments.into_iter().collect();
        match outcome.wrong.first() {
            None => Ok(subject),
            Some(wrong) => Err(format!("without a fault: {wrong}")),
        }
    }

    /// The faults at one event of the run, by its place among them: of every kind, on every port.
    pub fn faults(&self, moment: usize, seed: u64) -> Vec<(Kind, Fault)> {
        let from = self.moments[moment];
        let mut faults = Vec::new();
        for (nth, port) in ports(&self.group.bench).into_iter().enumerate() {
            for kind in Kind::ALL {
                let seed = seed
                    .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                    .wrapping_add((moment * 16 + nth * 4 + kind as usize) as u64);
                let fault = Fault {
                    port: port.to_owned(),
                    from,
                    until: from + LASTS,
                    what: kind.disturbance(),
                    one_in: ONE_IN,
                    // Every other time a single byte, which is the hardest to notice.
                    most: if moment.is_multiple_of(2) {
                        1
                    } else {
                        u64::MAX
                    },
                    seed,
                };
                faults.push((kind, fault));
            }
        }
        faults
    }

    /// Carries the run out with a fault; its report goes into the folder. A probe fails while the board of a new
    /// bench is flashed.
    pub fn carry_out(&self, fault: &Fault, folder: &Path) -> Outcome {
        let probe = self.group.bench.probe.as_ref();
        let mut outcome = match probe.is_some_and(|probe| probe.at == fault.port) {
            true => self.flash_and_run(fault, folder),
            false => self.run(Some(fault), folder).0,
        };
        if !is_right(self.verdict, outcome.verdict) {
            outcome.wrong.push(format!(
                "{} in place of {}: {}",
                outcome.verdict, self.verdict, outcome.because
            ));
        }
        outcome
    }

    /// Losses of the probe while the board is flashed: so many, evenly spread.
    pub fn probe_losses(&self, count: u64) -> Vec<(Kind, Fault)> {
        let Some(probe) = &self.group.bench.probe else {
            return Vec::new();
        };
        let loss = |nth| Fault {
            port: probe.at.clone(),
            from: Nanos(self.flashed.0 * nth / count),
            until: Nanos::NEVER,
            what: Kind::Lost.disturbance(),
            one_in: 1,
            most: 0,
            seed: 0,
        };
        (0..count).map(|nth| (Kind::Lost, loss(nth))).collect()
    }

    fn flash_and_run(&self, fault: &Fault, folder: &Path) -> Outcome {
        let name = self.group.bench.emulates.as_deref().unwrap_or_default();
        let mut ports = SimPorts::new(name, self.job.seed, Interrupt::default())
            .expect("the bench was opened before");
        ports.fault(fault.clone());
        let handle = ports.handle().expect("the bench has a board");
        let opened = campaign::opened(Box::new(ports));
        let (group, job) = (self.group, self.job);
        let prepared = campaign::prepare(group, &opened, job.seed, Interrupt::default());
        let ran = match prepared {
            Ok(mut board) => {
                let receipt = board.receipt;
                campaign::one(group, job, &mut board.bench, receipt, &[], folder, None)
            }
            Err(trouble) => campaign::unable(group, job, &trouble, folder),
        };
        let (verdict, because) = (ran.summary.verdict, ran.summary.because);
        let left_on = on(&group.bench, &handle.outputs()).into_iter();
        let left_on = left_on.map(|(output, _)| format!("{output} is not at rest"));
        Outcome {
            verdict,
            because,
            hit: 0,
            rest: Nanos::ZERO,
            wrong: left_on.chain(whole(folder, verdict).err()).collect(),
        }
    }

    fn run(&self, fault: Option<&Fault>, folder: &Path) -> (Outcome, Vec<Event>) {
        let (mut bench, receipt) = {
            let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            let fork = board.bench.fork().expect("the bench is virtual");
            (fork, board.receipt.clone())
        };
        if let (Some(fault), Some(branch)) = (fault, bench.branch()) {
            branch.fault(fault.clone());
        }
        let ran = campaign::one(self.group, self.job, &mut bench, receipt, &[], folder, None);
        let (summary, mut wrong) = (ran.summary, Vec::new());
        let events = whole(folder, summary.verdict).unwrap_or_else(|why| {
            wrong.push(why);
            Vec::new()
        });
        let branch = bench.branch().expect("the bench is virtual");
        let (hit, held) = (branch.disturbed(), branch.outputs());
        let rest = at_rest(&events, &bench, fault, held, &mut wrong);
        let outcome = Outcome {
            verdict: summary.verdict,
            because: summary.because,
            hit,
            rest,
            wrong,
        };
        (outcome, events)
    }
}

/// What a trace begins with before anything happens.
fn is_head(what: &What) -> bool {
    matches!(what, What::Started { .. } | What::Flashed { .. })
}

/// The byte ports of a bench.
fn ports(bench: &BenchFile) -> BTreeSet<&str> {
    let instruments = bench.instruments().into_iter();
    let all = instruments.filter(|(what, _)| *what != "probe");
    all.map(|(_, at)| at).collect()
}

/// Whether a verdict is right, given the one without the fault.
fn is_right(without: Verdict, with: Verdict) -> bool {
    with == without
        || matches!(
            with,
            Verdict::Broken | Verdict::Inconclusive | Verdict::Aborted
        )
}

/// The events of a report, if it is whole.
fn whole(folder: &Path, verdict: Verdict) -> Result<Vec<Event>, String> {
    let read = |name: &str| {
        fs::read_to_string(folder.join(name)).map_err(|why| format!("the report: {name}: {why}"))
    };
    let events = trace::read(&read("events.jsonl")?).map_err(|why| format!("the trace: {why}"))?;
    let last = events.last().map(|event| &event.what);
    if !matches!(last, Some(What::Finished { verdict: told, .. }) if *told == verdict) {
        return Err("the trace has no last line with the verdict".to_owned());
    }
    let record: serde_json::Value =
        serde_json::from_str(&read("run.json")?).map_err(|why| format!("run.json: {why}"))?;
    if record["verdict"] != verdict.to_string() {
        return Err("run.json has another verdict".to_owned());
    }
    for (name, end) in [("junit.xml", "</testsuites>"), ("report.html", "</html>")] {
        if !read(name)?.trim_end().ends_with(end) {
            return Err(format!("{name} has no end"));
        }
    }
    Ok(events)
}

/// What the instruments do not hold at rest, and the port that it is behind.
fn on<'a>(file: &'a BenchFile, held: &Outputs) -> Vec<(String, &'a str)> {
    let mut on = Vec::new();
    if let Some(relays) = &file.relays {
        let contacts = relays.contacts.iter();
        let off = contacts.filter(|(_, wired)| {
            let mut channels = wired.way.outputs();
            let closed = channels.all(|one| held.relays.iter().any(|held| u16::from(*held) == one));
            closed != wired.rest_closed
        });
        let at = relays.via.at();
        on.extend(off.map(|(contact, _)| (contact.to_string(), at)));
    }
    let supply = file.supply.as_ref();
    if let Some(supply) = supply.and_then(|supply| supply.programmable())
        && held.millivolts != supply.rest.map(|voltage| voltage.0)
    {
        on.push(("supply".to_owned(), &supply.port.at));
    }
    on
}

/// How long after the run something still changed; what is not as it is said to be goes to `wrong`.
fn at_rest(
    events: &[Event],
    bench: &Bench,
    fault: Option<&Fault>,
    (held, since): (Outputs, Nanos),
    wrong: &mut Vec<String>,
) -> Nanos {
    let rested = events
        .iter()
        .rposition(|event| matches!(event.what, What::WentToRest { .. }));
    let Some((place, What::WentToRest { outputs, .. })) =
        rested.map(|place| (place, &events[place].what))
    else {
        wrong.push("it never went to rest".to_owned());
        return Nanos::ZERO;
    };
    let is_lost =
        |at: &str| fault.is_some_and(|fault| fault.what == Disturbance::Lose && fault.port == at);
    for (output, at) in on(bench.file(), &held) {
        if outputs.contains(&output) {
            wrong.push(format!("{output} is said to be at rest and is not"));
        } else if fault.is_none_or(|fault| fault.what == Disturbance::Lose) && !is_lost(at) {
            wrong.push(format!("{output} can be reached and is not at rest"));
        }
    }
    let began = place
        .checked_sub(1)
        .map_or(Nanos::ZERO, |before| events[before].at);
    let rest = since.since(began);
    if fault.is_some_and(|fault| fault.what == Disturbance::Lose) && rest > REST_WITHIN {
        wrong.push(format!("going to rest took {rest}"));
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::is_right;
    use crate::verdict::Verdict::{self, *};

    #[test]
    fn a_fault_may_only_blame_the_bench() {
        let all = [
            Pass,
            KnownFinding,
            Fail,
            Finding,
            Broken,
            Inconclusive,
            Aborted,
            Usage,
            Bug,
        ];
        let right_in_place_of = |without: Verdict| -> Vec<Verdict> {
            let mut right = all.to_vec();
            right.retain(|with| is_right(without, *with));
            right
        };
        assert_eq!(
            right_in_place_of(Pass),
            [Pass, Broken, Inconclusive, Aborted]
        );
        assert_eq!(
            right_in_place_of(Fail),
            [Fail, Broken, Inconclusive, Aborted]
        );
        assert_eq!(right_in_place_of(Broken), [Broken, Inconclusive, Aborted]);
    }
}
