//! `trace.vcd`: a run for wave viewers such as GTKWave and Surfer.
//!
//! A value change dump (IEEE 1364-2005, clause 18) in nanoseconds of bench time. What the standard does
//! not know, strings, is written as both viewers read them: `string` variables, in ASCII, a blank as `_`.

use std::collections::BTreeMap;

use vcd::{IdCode, SimulationCommand, TimescaleUnit, Value, VarType, Writer};

use crate::event::{Event, Nanos, What};

/// The dump of a run.
pub fn document(events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, events).expect("it is written to memory");
    out
}

/// A change of one variable.
enum Change {
    Wire(bool),
    Real(f64),
    Integer(u64),
    Text(String),
}

/// Everything that the dump has a variable for.
struct Variables {
    lines: BTreeMap<String, IdCode>,
    contacts: BTreeMap<String, IdCode>,
    axes: BTreeMap<String, IdCode>,
    set: IdCode,
    volts: IdCode,
    amperes: IdCode,
    step: IdCode,
    doing: IdCode,
    phase: IdCode,
    check: IdCode,
    console: IdCode,
    flash: IdCode,
}

fn write(out: &mut Vec<u8>, events: &[Event]) -> std::io::Result<()> {
    let mut writer = Writer::new(out);
    writer.version("lockrig")?;
    if let Some(What::Started {
        scenario,
        variant,
        profile,
        bench,
        seed,
        ..
    }) = events.first().map(|event| &event.what)
    {
        // The end of the comment is a word of its own, so nothing in it may look like that.
        let told = format!("{scenario} [{variant}] with {profile} on {bench}, seed {seed}");
        writer.comment(&told.replace('$', "_"))?;
    }
    writer.timescale(1, TimescaleUnit::NS)?;
    let variables = declare(&mut writer, events)?;
    writer.enddefinitions()?;
    let begin = events.first().map_or(Nanos::ZERO, |event| event.at);
    writer.timestamp(begin.0)?;
    writer.begin(SimulationCommand::Dumpvars)?;
    for (id, change) in variables.at_rest(events) {
        put(&mut writer, id, &change)?;
    }
    writer.end()?;
    let mut changes: Vec<(Nanos, IdCode, Change)> = Vec::new();
    let mut writes = 0;
    for event in events {
        if let What::FlashChanged { count, .. } = event.what {
            writes += u64::from(count);
            changes.push((event.at, variables.flash, Change::Integer(writes)));
        }
        variables.take(event, &mut changes);
    }
    // On a real bench something that was seen early may have been recorded late.
    changes.sort_by_key(|(at, ..)| *at);
    let mut now = begin;
    for (at, id, change) in changes {
        if at > now {
            writer.timestamp(at.0)?;
            now = at;
        }
        put(&mut writer, id, &change)?;
    }
    // Viewers end where the last time stamp is.
    let end = events.iter().map(|event| event.at).max().unwrap_or(begin);
    if end > now {
        writer.timestamp(end.0)?;
    }
    Ok(())
}

fn put(writer: &mut Writer<&mut Vec<u8>>, id: IdCode, change: &Change) -> std::io::Result<()> {
    match change {
        Change::Wire(on) => writer.change_scalar(id, *on),
        Change::Real(value) => writer.change_real(id, *value),
        Change::Integer(value) => {
            let bits = (0..32).rev().map(|bit| Value::from(value >> bit & 1 != 0));
            writer.change_vector(id, bits)
        }
        Change::Text(text) => {
            let word: String = text
                .chars()
                .map(|letter| match letter {
                    '×' => 'x',
                    letter if letter.is_ascii_graphic() => letter,
                    _ => '_',
                })
                .collect();
            writer.change_string(id, &word)
        }
    }
}

fn declare(writer: &mut Writer<&mut Vec<u8>>, events: &[Event]) -> std::io::Result<Variables> {
    let mut lines = BTreeMap::new();
    let mut contacts = BTreeMap::new();
    let mut axes = BTreeMap::new();
    // Identifiers do not matter until the variables are declared in order.
    let none = IdCode::FIRST;
    for event in events {
        match &event.what {
            What::LineChanged { line, .. } => drop(lines.insert(line.clone(), none)),
            What::Switched { contact, .. } => drop(contacts.insert(wire(contact), none)),
            What::Moved { axis, unit, .. } => {
                axes.insert(axis.clone(), (none, format!("{axis}_{unit}")));
            }
            _ => {}
        }
    }
    writer.add_module("lines")?;
    for (name, id) in &mut lines {
        *id = writer.add_wire(1, name)?;
    }
    writer.upscope()?;
    writer.add_module("contacts")?;
    for (name, id) in &mut contacts {
        *id = writer.add_wire(1, name)?;
    }
    writer.upscope()?;
    if !axes.is_empty() {
        writer.add_module("stage")?;
        for (id, name) in axes.values_mut() {
            *id = writer.add_var(VarType::Real, 64, name, None)?;
        }
        writer.upscope()?;
    }
    let axes = axes.into_iter().map(|(axis, (id, _))| (axis, id)).collect();
    writer.add_module("supply")?;
    let set = writer.add_var(VarType::Real, 64, "set_volts", None)?;
    let volts = writer.add_var(VarType::Real, 64, "volts", None)?;
    let amperes = writer.add_var(VarType::Real, 64, "amperes", None)?;
    writer.upscope()?;
    writer.add_module("run")?;
    let step = writer.add_var(VarType::Integer, 32, "step", None)?;
    let doing = writer.add_var(VarType::String, 1, "doing", None)?;
    let phase = writer.add_var(VarType::String, 1, "phase", None)?;
    let check = writer.add_var(VarType::String, 1, "check", None)?;
    writer.upscope()?;
    writer.add_module("board")?;
    let console = writer.add_var(VarType::String, 1, "console", None)?;
    let flash = writer.add_var(VarType::Integer, 32, "flash_writes", None)?;
    writer.upscope()?;
    Ok(Variables {
        lines,
        contacts,
        axes,
        set,
        volts,
        amperes,
        step,
        doing,
        phase,
        check,
        console,
        flash,
    })
}

/// A contact's name in the dump. The digits of a code share one wire: which keys they are is not told.
fn wire(contact: &str) -> String {
    match contact.starts_with("digit ") {
        true => "digit".to_owned(),
        false => contact.replace(' ', "_"),
    }
}

impl Variables {
    /// What is so before the first event: a line is the opposite of what it first becomes.
    fn at_rest(&self, events: &[Event]) -> Vec<(IdCode, Change)> {
        let mut first: BTreeMap<&str, bool> = BTreeMap::new();
        for event in events {
            if let What::LineChanged { line, high } = &event.what {
                first.entry(line).or_insert(*high);
            }
        }
        let lines = self.lines.iter().map(|(line, id)| {
            let becomes = first.get(line.as_str()).copied().unwrap_or_default();
            (*id, Change::Wire(!becomes))
        });
        let contacts = self.contacts.values().map(|id| (*id, Change::Wire(false)));
        let axes = self.axes.values().map(|id| (*id, Change::Real(0.0)));
        lines
            .chain(contacts)
            .chain(axes)
            .chain([
                (self.set, Change::Real(0.0)),
                (self.volts, Change::Real(0.0)),
                (self.amperes, Change::Real(0.0)),
                (self.step, Change::Integer(0)),
                (self.doing, Change::Text("-".to_owned())),
                (self.phase, Change::Text("-".to_owned())),
                (self.check, Change::Text("-".to_owned())),
                (self.console, Change::Text("-".to_owned())),
                (self.flash, Change::Integer(0)),
            ])
            .collect()
    }

    fn take(&self, event: &Event, changes: &mut Vec<(Nanos, IdCode, Change)>) {
        let at = event.at;
        match &event.what {
            What::LineChanged { line, high } => {
                changes.push((at, self.lines[line], Change::Wire(*high)));
            }
            What::Switched { contact, closed } => {
                changes.push((at, self.contacts[&wire(contact)], Change::Wire(*closed)));
            }
            What::Moved { axis, stands, .. } => {
                changes.push((at, self.axes[axis], Change::Real(*stands as f64)));
            }
            What::SupplySet { millivolts } => {
                let volts = f64::from(millivolts.unwrap_or(0)) / 1e3;
                changes.push((at, self.set, Change::Real(volts)));
            }
            What::SupplyRead {
                millivolts,
                microamps,
                since,
                ..
            } => {
                changes.push((at, self.volts, Change::Real(f64::from(*millivolts) / 1e3)));
                if let Some(microamps) = microamps {
                    let amperes = *microamps as f64 / 1e6;
                    changes.push((since.unwrap_or(at), self.amperes, Change::Real(amperes)));
                }
            }
            What::StepStarted { step, doing, .. } => {
                changes.push((at, self.step, Change::Integer(u64::from(*step))));
                changes.push((at, self.doing, Change::Text(doing.clone())));
            }
            What::PhaseEntered { phase } => {
                changes.push((at, self.phase, Change::Text(phase.clone())));
            }
            What::Checked { held, wanted, .. } => {
                let held = if *held { "held" } else { "not_held" };
                changes.push((at, self.check, Change::Text(format!("{held}: {wanted}"))));
            }
            What::Printed { text } => changes.push((at, self.console, Change::Text(text.clone()))),
            _ => {}
        }
    }
}
