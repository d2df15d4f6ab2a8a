//! Whether a bench is fit to judge a board: every output is walked to the line that proves it.
//!
//! [`examine`] lets each contact close and open some times while the board has no supply, and looks at all
//! lines meanwhile; then it steps the supply up, measures, and reads a word through the probe. What it
//! measured goes into a calibration record; what is wrong is a [`Fault`] each, in the order in which it
//! was found. Nothing here knows a product, and no firmware has to be on the board.

mod found;

use std::collections::BTreeMap;

use crate::bench::calibration::{Point, ProbeRecord};
use crate::bench::file::Relays;
use crate::bench::{Bench, Contact, Feed, Happening, What};
use crate::driver::DeviceTrouble;
use crate::driver::pin_board::Servo;
use crate::driver::probe::{Attach, Probe, ProbeTrouble};
use crate::event::Nanos;
use crate::port::Waited;
use crate::quantity::Millivolts;

pub use found::{ContactFound, Examination, Fault, LineFound, Moved, Spread, SupplyFound};

/// How long lines are watched before anything is switched.
const IDLE: Nanos = Nanos::from_millis(200);
/// A line that changes more often than this while nothing is switched is not connected.
const IDLE_EDGES_MAX: usize = 4;
/// How long a contact's line has to be quiet before the next order.
const QUIET: Nanos = Nanos::from_millis(30);
/// A line that has told nothing by then tells nothing.
const SILENT: Nanos = Nanos::from_millis(500);
/// No relay of the kind that closes keys takes longer to operate, by their data sheets.
const OPERATE_MAX: Nanos = Nanos::from_millis(20);
/// A good contact lies still well before; one that does not is worn or dirty.
const BOUNCE_MAX: Nanos = Nanos::from_millis(20);
/// The set-points, in percent of what the board bears: ascending, so that a supply that gives too much is
/// found before it gives more than that.
const SET_POINTS: [u32; 3] = [25, 50, 75];
/// After a set-point's confirmation, before it is measured.
const SETTLE: Nanos = Nanos::from_millis(100);
/// How far a supply may be off: so many thousandths of the set-point, and so many millivolts beside.
const OFF_PERMILLE: u32 = 20;
const OFF_MILLIVOLTS: u32 = 20;
/// How long the supply may take to confirm; its driver reports trouble well before.
const CONFIRM_MAX: Nanos = Nanos::from_secs(5);
/// How many words are read through the probe.
const READS: u64 = 20;
/// CPUID, which every Cortex-M has (ARMv6-M Architecture Reference Manual, B3.2.3).
const CPUID: u32 = 0xE000_ED00;

/// What was seen between an order and quiet.
struct Sight {
    asked: Nanos,
    confirmed: Option<Nanos>,
    edges: Vec<(String, Nanos, bool)>,
}

/// Why an examination ends early.
enum End {
    Trouble(DeviceTrouble),
    Stopped,
}

impl From<DeviceTrouble> for End {
    fn from(trouble: DeviceTrouble) -> End {
        End::Trouble(trouble)
    }
}

/// Examines a bench that is connected and at rest, and leaves it at rest. With `power`, supply and probe too.
pub fn examine(bench: &mut Bench, rounds: u32, power: bool) -> Examination {
    let mut doctor = Doctor {
        found: Examination {
            rounds,
            ..Examination::default()
        },
        bench,
        stood_still: false,
    };
    // What happened before concerns nobody here.
    doctor.bench.stood_still();
    let outcome = doctor.all(power);
    let rest = doctor.bench.to_rest();
    match outcome {
        Ok(()) => {}
        Err(End::Stopped) => doctor.found.stopped = true,
        Err(End::Trouble(trouble)) => {
            doctor.fault(
                trouble.device.clone(),
                format!("{}: {}", trouble.doing, trouble.saw),
                &trouble.hint,
            );
        }
    }
    for happening in rest.happenings {
        if let What::Trouble(trouble) = happening.what {
            doctor.fault(
                trouble.device.clone(),
                format!("{}: {}", trouble.doing, trouble.saw),
                &trouble.hint,
            );
        }
    }
    for output in rest.unknown {
        doctor.fault(
            output,
            "nobody knows whether it went to rest".to_owned(),
            "look at the bench before you touch the board",
        );
    }
    doctor.found
}

struct Doctor<'b> {
    bench: &'b mut Bench,
    found: Examination,
    /// Whether this machine told the times of the last contact wrong: then they accuse nobody.
    stood_still: bool,
}

impl Doctor<'_> {
    fn all(&mut self, power: bool) -> Result<(), End> {
        self.idle()?;
        self.contacts()?;
        if power {
            self.supply()?;
            self.probe()?;
        }
        Ok(())
    }

    fn fault(&mut self, what: String, saw: String, hint: &str) -> usize {
        let hint = hint.to_owned();
        self.found.faults.push(Fault { what, saw, hint });
        self.found.faults.len() - 1
    }

    /// Lines while nothing is switched.
    fn idle(&mut self) -> Result<(), End> {
        let seen = self.watch(IDLE)?;
        let lines: Vec<String> = self.bench.lines().map(str::to_owned).collect();
        for line in lines {
            let edges = edges(&seen).filter(|(name, ..)| *name == line).count();
            let fault = (edges > IDLE_EDGES_MAX).then(|| {
                self.fault(
                    format!("line {line}"),
                    format!("it changed {edges} times in {IDLE} in which nothing was switched"),
                    "is its wire connected, and has the input a pull-up or pull-down?",
                )
            });
            let at_rest = self.bench.level(&line)?;
            self.found.lines.push(LineFound {
                line,
                at_rest,
                followed: Vec::new(),
                moved_with_power: false,
                fault,
            });
        }
        Ok(())
    }

    fn contacts(&mut self) -> Result<(), End> {
        let relays = self.bench.file().relays.iter();
        let contacts =
            relays.flat_map(|Relays { via, contacts }| contacts.iter().map(move |one| (via, one)));
        // What feeds the board has its own turn, after everything that is switched without power.
        let contacts =
            contacts.filter(|(_, (one, _))| !matches!(one, Contact::Lead | Contact::Crowbar));
        let mut contacts: Vec<_> = contacts.collect();
        contacts.sort_by_key(|(_, (_, wired))| wired.way);
        let contacts: Vec<(Contact, String, Option<String>, bool)> = contacts
            .into_iter()
            .map(|(via, (contact, wired))| {
                let (output, line) = (via.output(wired.way), wired.line.clone());
                (contact.clone(), output, line, wired.rest_closed)
            })
            .collect();
        let proofs: BTreeMap<String, Vec<String>> =
            contacts
                .iter()
                .fold(BTreeMap::new(), |mut proofs, (contact, _, line, _)| {
                    if let Some(line) = line {
                        let proved: &mut Vec<String> = proofs.entry(line.clone()).or_default();
                        proved.push(contact.to_string());
                    }
                    proofs
                });
        for (contact, output, line, rest_closed) in contacts {
            let mut sights = Vec::new();
            for _ in 0..self.found.rounds {
                for closed in [!rest_closed, rest_closed] {
                    let sight = self.switch(&contact, closed, line.as_deref())?;
                    sights.push((closed, sight));
                }
                // What does not move once is not worn out by trying.
                let moves = |line: &String| sights.iter().any(|(_, sight)| sight.moves(line));
                if !line.as_ref().is_some_and(moves) {
                    break;
                }
            }
            let (stood, allowed) = (self.bench.stood_still(), self.bench.file().uncertainty);
            self.stood_still = stood > allowed;
            self.note_contact(contact.clone(), output, line, &sights, &proofs);
            if self.stood_still {
                self.fault(
                    "this machine".to_owned(),
                    format!("it stood still for {} while {contact} was switched, and the bench file allows for {allowed}", millis(stood)),
                    "run less beside it, or write a greater 'uncertainty' into the bench file",
                );
            }
        }
        Ok(())
    }

    /// Orders a contact, and looks until its line, and every other, is quiet.
    fn switch(
        &mut self,
        contact: &Contact,
        closed: bool,
        line: Option<&str>,
    ) -> Result<Sight, End> {
        let mut sight = Sight {
            asked: self.bench.now(),
            confirmed: None,
            edges: Vec::new(),
        };
        self.bench.switch(contact, closed)?;
        let servo = self.bench.file().wired(contact);
        let servo = servo.and_then(|wired| wired.way.servo());
        let mut quiet = sight.asked + SILENT + servo.map_or(Nanos::ZERO, Servo::arrives);
        while self.bench.now() < quiet {
            let Some(happening) = self.next(quiet)? else {
                break;
            };
            match happening.what {
                What::Switched { .. } => sight.confirmed = Some(happening.at),
                What::Line { line, on, .. } => sight.edges.push((line, happening.at, on)),
                _ => {}
            }
            let last = sight.edges.last().map(|(_, at, _)| *at);
            let told = match line {
                Some(line) => sight.moves(line),
                None => true,
            };
            if let Some(confirmed) = sight.confirmed.filter(|_| told) {
                quiet = last.map_or(confirmed + OPERATE_MAX, |last| last.max(confirmed)) + QUIET;
            }
        }
        Ok(sight)
    }

    fn note_contact(
        &mut self,
        contact: Contact,
        output: String,
        line: Option<String>,
        sights: &[(bool, Sight)],
        proofs: &BTreeMap<String, Vec<String>>,
    ) {
        let name = contact.to_string();
        let what = format!("{name} ({output})");
        // Lines that moved with it, and prove something else.
        let others: Vec<&String> = proofs
            .keys()
            .filter(|other| Some(*other) != line.as_ref())
            // Once is a straggler of what was switched before.
            .filter(|other| sights.iter().all(|(_, sight)| sight.moves(other)))
            .collect();
        for (_, sight) in sights {
            for (moved, ..) in &sight.edges {
                let found = self.found.lines.iter_mut().find(|line| line.line == *moved);
                if let Some(found) = found.filter(|found| !found.followed.contains(&name)) {
                    found.followed.push(name.clone());
                }
            }
        }
        let moved = line.as_ref().and_then(|line| moved(line, sights));
        let allowed = sights
            .iter()
            .filter_map(|(_, sight)| Some(sight.confirmed?.since(sight.asked)))
            .max()
            .unwrap_or_default();
        let slowest = allowed + OPERATE_MAX + self.bench.file().uncertainty;
        let fault = match (&line, moved, others.as_slice()) {
            (None, ..) => None,
            (Some(line), None, [other, ..]) => {
                let proves = &proofs[*other];
                Some((
                    format!(
                        "when it is switched, '{line}' stays as it is, and '{other}' moves, which proves {}",
                        proves.join(", ")
                    ),
                    "two wires are swapped, at the relays or at the lines; or the bench file has the two the wrong way round".to_owned(),
                ))
            }
            (Some(line), None, []) => Some(self.motionless(line, sights)),
            (Some(line), Some(_), _) if self.is_inverted(line, sights) => Some((
                format!("'{line}' goes off when it closes, and on when it opens"),
                format!("turn 'active' of the line '{line}' round in the bench file"),
            )),
            (Some(line), Some(_), [other, ..]) => Some((
                format!(
                    "with '{line}' it moves '{other}', which proves {}",
                    proofs[*other].join(", ")
                ),
                "is there a bridge between the two wires?".to_owned(),
            )),
            (Some(line), Some(Moved { closes, opens }), []) => {
                let late = closes.median.max(opens.median);
                let bounce = closes.usual_bounce.max(opens.usual_bounce);
                if self.stood_still {
                    None
                } else if late > slowest {
                    Some((
                        format!(
                            "'{line}' tells of it {} after the order; it is confirmed after {}, a relay takes at most {OPERATE_MAX}, and the bench is good to {}",
                            millis(late),
                            millis(allowed),
                            self.bench.file().uncertainty
                        ),
                        format!(
                            "a slow sense line (filter, debouncing), or a relay that sticks; is the wire of '{line}' loaded?"
                        ),
                    ))
                } else if bounce > BOUNCE_MAX + self.bench.file().uncertainty {
                    Some((
                        format!("it bounces for {}", millis(bounce)),
                        "a worn or dirty contact, or a loose wire".to_owned(),
                    ))
                } else {
                    None
                }
            }
        };
        let fault = fault.map(|(saw, hint)| self.fault(what, saw, &hint));
        if let (Some(fault), Some(line)) = (fault, &line) {
            // A line that proves one contact only is as suspect as the contact.
            let found = self
                .found
                .lines
                .iter_mut()
                .find(|found| found.line == *line);
            if let Some(found) = found.filter(|_| proofs[line].len() == 1) {
                found.fault.get_or_insert(fault);
            }
        }
        self.found.contacts.push(ContactFound {
            contact,
            output,
            line,
            moved,
            fault,
        });
    }

    /// A contact whose line stayed as it was.
    fn motionless(&self, line: &str, sights: &[(bool, Sight)]) -> (String, String) {
        let on = self
            .found
            .lines
            .iter()
            .any(|found| found.line == line && found.at_rest);
        let confirmed = sights.iter().all(|(_, sight)| sight.confirmed.is_some());
        let says = match confirmed {
            true => "the relay board says that it switched",
            false => "it was switched",
        };
        match on {
            true => (
                format!("'{line}' is on all the time: the contact is stuck closed; {says}"),
                "a welded contact, a wire across it, or a line that is stuck; take the relay's wire off and look at the line".to_owned(),
            ),
            false => (
                format!("'{line}' is off all the time: the contact never closes; {says}"),
                "a dead relay, no power for the board's coils, or a broken wire to the contact or to the line".to_owned(),
            ),
        }
    }

    /// Whether the line is on after it opened.
    fn is_inverted(&self, line: &str, sights: &[(bool, Sight)]) -> bool {
        sights.iter().all(|(closed, sight)| {
            let last = sight.edges.iter().rev().find(|(name, ..)| name == line);
            last.is_none_or(|(_, _, on)| on != closed)
        })
    }

    /// Steps the supply up, and leaves it on at the last set-point.
    fn supply(&mut self) -> Result<(), End> {
        let Some(supply) = self.bench.file().supply.clone() else {
            return Ok(());
        };
        let Some(programmable) = supply.programmable() else {
            return self.cells(supply.highest);
        };
        self.found.supply = Some(SupplyFound {
            identity: self.bench.supply_identity().map(str::to_owned),
            ..SupplyFound::default()
        });
        for share in SET_POINTS {
            let set = Millivolts(supply.highest.0 * share / 100);
            let asked = self.bench.now();
            self.bench.feed(Feed::On {
                voltage: set,
                resistance: None,
            })?;
            let fed = self.until(|what| matches!(what, What::Fed { .. }).then_some(()))?;
            let answered = self.bench.now().since(asked);
            self.watch_power(SETTLE)?;
            self.bench.measure()?;
            let measured = self.until(|what| match what {
                What::Measured {
                    voltage, current, ..
                } => Some((*voltage, *current)),
                _ => None,
            })?;
            let (Some(()), Some((measured, current))) = (fed, measured) else {
                // Its driver has told why.
                return Ok(());
            };
            let off = measured.0.abs_diff(set.0);
            let is_off = off > set.0 * OFF_PERMILLE / 1_000 + OFF_MILLIVOLTS;
            let fault = is_off.then(|| {
                let limits = current.0 >= programmable.limit.0 / 20 * 19;
                let percent = (f64::from(measured.0) / f64::from(set.0) - 1.0) * 100.0;
                self.fault(
                    format!("supply on {}", programmable.port.at),
                    format!("set to {set} it gives {measured} ({percent:+.1} %) at {current}"),
                    match limits {
                        true => "its current limit holds it down: is something shorted?",
                        false => "measure at the board with a meter, and have the supply adjusted; nothing above this set-point was tried",
                    },
                )
            });
            let found = self.found.supply.get_or_insert_default();
            found.answers = found.answers.max(answered);
            found.points.push((Point { set, measured }, current));
            found.fault = fault;
            if is_off {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Connects cells, and leaves them so. Nothing measures them; whether they reach the board, the probe tells.
    fn cells(&mut self, voltage: Millivolts) -> Result<(), End> {
        self.bench.feed(Feed::On {
            voltage,
            resistance: None,
        })?;
        self.until(|what| matches!(what, What::Fed { .. }).then_some(()))?;
        self.watch_power(SETTLE)
    }

    /// Reads words of the chip through the probe.
    fn probe(&mut self) -> Result<(), End> {
        let (Some(_), Some(chip)) = (&self.bench.file().probe, self.bench.file().chip.clone())
        else {
            return Ok(());
        };
        if self
            .found
            .supply
            .as_ref()
            .is_some_and(|supply| supply.fault.is_some())
        {
            return Ok(());
        }
        let mut probe = Probe::new(&self.bench.file().name, &chip);
        match self.read_through(&mut probe) {
            Ok(answers) => {
                self.found.probe = Some(ProbeRecord {
                    identity: probe.probe_name().to_owned(),
                    answers,
                });
            }
            Err(trouble) => {
                let saw = format!("{}: {}", trouble.doing, trouble.saw);
                self.fault(trouble.device, saw, &trouble.hint);
            }
        }
        drop(probe);
        self.watch_power(Nanos::ZERO)
    }

    fn read_through(&mut self, probe: &mut Probe) -> Result<Nanos, ProbeTrouble> {
        self.bench.attach(probe, Attach::default())?;
        let began = self.bench.now();
        for _ in 0..READS {
            probe.read_word(CPUID)?;
        }
        Ok(Nanos(self.bench.now().since(began).0 / READS))
    }

    /// Lets time pass, notes what the board does, and gives what happened.
    fn watch(&mut self, span: Nanos) -> Result<Vec<Happening>, End> {
        let until = self.bench.now() + span;
        let mut seen = Vec::new();
        while let Some(happening) = self.next(until)? {
            seen.push(happening);
        }
        Ok(seen)
    }

    fn watch_power(&mut self, span: Nanos) -> Result<(), End> {
        for happening in self.watch(span)? {
            self.note_power(&happening.what);
        }
        Ok(())
    }

    /// The board has power: what it does with it tells that lines and console are connected.
    fn note_power(&mut self, what: &What) {
        match what {
            What::Line { line, .. } => {
                if let Some(found) = self
                    .found
                    .lines
                    .iter_mut()
                    .find(|found| found.line == *line)
                {
                    found.moved_with_power = true;
                }
            }
            What::Printed { text, .. } => self.found.printed.push(text.clone()),
            _ => {}
        }
    }

    /// Waits for what an instrument answers.
    fn until<T>(&mut self, wanted: impl Fn(&What) -> Option<T>) -> Result<Option<T>, End> {
        let until = self.bench.now() + CONFIRM_MAX;
        while let Some(happening) = self.next(until)? {
            self.note_power(&happening.what);
            if let Some(wanted) = wanted(&happening.what) {
                return Ok(Some(wanted));
            }
        }
        Ok(None)
    }

    /// What happens next, until a moment.
    fn next(&mut self, until: Nanos) -> Result<Option<Happening>, End> {
        match self.bench.wait(until) {
            Waited::Saw(Happening {
                what: What::Trouble(trouble),
                ..
            }) => Err(End::Trouble(trouble)),
            Waited::Saw(happening) => Ok(Some(happening)),
            Waited::Deadline => Ok(None),
            Waited::Interrupted => Err(End::Stopped),
        }
    }
}

impl Sight {
    fn moves(&self, line: &str) -> bool {
        self.edges.iter().any(|(name, ..)| name == line)
    }
}

fn edges(seen: &[Happening]) -> impl Iterator<Item = (&str, Nanos, bool)> {
    seen.iter().filter_map(|happening| match &happening.what {
        What::Line { line, on, .. } => Some((line.as_str(), happening.at, *on)),
        _ => None,
    })
}

/// To the tenth of a millisecond.
pub fn millis(span: Nanos) -> String {
    let tenths = (span.0 + 50_000) / 100_000;
    format!("{}.{} ms", tenths / 10, tenths % 10)
}

/// How a contact moved on its line; none, if it once did not.
fn moved(line: &str, sights: &[(bool, Sight)]) -> Option<Moved> {
    let of = |wanted: bool| {
        let sights = sights.iter().filter(|(closed, _)| *closed == wanted);
        let spans = sights.map(|(_, sight)| {
            let mut edges = sight.edges.iter().filter(|(name, ..)| name == line);
            let (_, first, _) = edges.next()?;
            let last = edges.next_back().map_or(*first, |(_, at, _)| *at);
            Some((first.since(sight.asked), last.since(*first)))
        });
        Spread::of(&spans.collect::<Option<Vec<_>>>()?)
    };
    Some(Moved {
        closes: of(true)?,
        opens: of(false)?,
    })
}
