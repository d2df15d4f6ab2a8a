//! The bench file: the wiring around one board under test, as TOML.
//!
//! [`BenchFile`] can only be had from a file in which everything fits together: every port that is
//! named exists, no channel has two meanings, every output has a place in the order of going to rest.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;

use crate::driver::firmata::PINS;
use crate::driver::stage::{self, Axis};
use crate::event::Nanos;
use crate::port::sim;
use crate::quantity::{
    Microamps, Micrometres, MicrometresPerSecond, Millidegrees, MillidegreesPerSecond,
    MillinewtonMetres, Milliohms, Millivolts,
};
use crate::source::{
    Named, Node, Problem, Problems, Read, Refused, Source, Span, Spanned, Value, file_table,
    file_words, is_name,
};

/// The version of the format that this program reads.
pub const VERSION: u32 = 1;

/// The keys that a lock's keypad can have.
const KEYS: &str = "0123456789*#ABCDEF";
/// The outputs that are groups of their own in `rest.order`.
const OUTPUTS: [&str; 6] = ["keys", "buttons", "door", "jam", "supply", "stage"];

file_table! {
/// A bench: the wiring around one board under test.
pub struct BenchText as "a bench file" {
    /// The bench's name: small letters, digits, dashes.
    pub bench: Spanned<String>,
    /// The version of this format: 1.
    pub version: Spanned<u32>,
    /// What stands there, for people.
    pub about: Option<String>,
    /// What kind of lock stands there. Without it, the bench takes products of every kind.
    pub lock: Option<LockKind>,
    /// The chip of the board under test, as probe-rs calls it. A bench without one (a mechanical lock) leaves it out.
    pub chip: Option<String>,
    /// The image that is flashed where nobody names another: the name of a shipped one, or a path.
    pub image: Option<String>,
    /// Which virtual bench the `sim:` ports lead to.
    pub emulates: Option<Spanned<String>>,
    /// How far a hold, as it is measured here, may be from the truth (k = 2).
    pub uncertainty: Nanos,
    /// The ports, by the names that the rest of the file uses.
    pub ports: Named<Spanned<PortText>>,
    /// The relay board.
    pub relays: Option<RelaysText>,
    /// Which relay closes which key, by the key's label: `"5" = 5`.
    pub keys: Keys = default,
    /// Buttons beside the keypad.
    pub buttons: Named<ButtonText> = default,
    /// The relay that closes the door switch.
    pub door: Option<DoorText>,
    /// The relay that blocks the bolt.
    pub jam: Option<ButtonText>,
    /// What is watched.
    pub lines: Named<LineText> = default,
    /// The supply in place of the battery.
    pub supply: Option<SupplyText>,
    /// The board's serial console.
    pub console: Option<ConsoleText>,
    /// The debug probe.
    pub probe: Option<ProbeText>,
    /// The motion stage that handles the keys of a mechanical lock.
    pub stage: Option<StageText>,
    /// How the outputs go to rest.
    pub rest: RestText,
}
}

file_words! {
/// Kinds of lock, as profiles name them.
pub enum LockKind as "a kind of lock" {
    /// A safe's lock.
    Safe,
    /// A smart lock.
    SmartLock,
    /// A mechanical cylinder.
    Cylinder,
}
}

file_table! {
/// A port: where it leads, and at which pace.
pub struct PortText as "a port" {
    /// `sim:relay`, `/dev/ttyUSB0`, `COM3`, `tcp://host:port`; for a probe `VID:PID:SERIAL`.
    pub at: Spanned<String>,
    /// Baud rate of a serial line.
    pub baud: Option<u32>,
    /// What senses lines there, where the port itself does not.
    pub driver: Option<Spanned<SenseDriver>>,
}
}

file_words! {
/// Sense boards that are known.
pub enum SenseDriver as "a sense board's driver" {
    /// A board that runs StandardFirmata, such as an Arduino; pins are its digital pins.
    Firmata,
}
}

file_words! {
/// Relay boards that are known.
pub enum RelayDriver as "a relay board's driver" {
    /// `A0 channel state checksum`.
    Lcus,
}
}

file_table! {
/// The relay board.
pub struct RelaysText as "a relay board" {
    /// Its protocol.
    pub driver: RelayDriver,
    /// Its port.
    pub port: Spanned<String>,
    /// How many channels it has; they count from 1.
    pub channels: u8,
    /// How long a key or button may be held closed where nothing else is said.
    pub longest_on: Option<Nanos>,
}
}

file_table! {
/// A button beside the keypad, or whatever else a relay does.
pub struct ButtonText as "a contact" {
    /// The relay.
    pub channel: Spanned<u8>,
    /// The line that proves its state.
    pub line: Option<Spanned<String>>,
    /// How long it may be held closed.
    pub longest_on: Option<Nanos>,
}
}

file_words! {
/// Where the door can stand.
pub enum Door as "a door's position" {
    /// Its switch is open.
    Open,
    /// Its switch is closed.
    Closed,
}
}

file_table! {
/// The relay that closes the door switch.
pub struct DoorText as "a door" {
    /// The relay; energised means that the door is closed.
    pub channel: Spanned<u8>,
    /// The line that proves its state.
    pub line: Option<Spanned<String>>,
    /// How it stands at rest.
    pub rest: Door,
}
}

file_words! {
/// Which level means that the thing is so.
pub enum Active as "the active level" {
    /// Near the supply.
    High,
    /// Near ground.
    Low,
}
}

file_table! {
/// A line that is watched.
pub struct LineText as "a line" {
    /// The port that its pin belongs to.
    pub port: Spanned<String>,
    /// The pin, as that port calls it.
    pub pin: Spanned<String>,
    /// The level at which the lamp is lit, the contact closed, the tone sounding, the bolt there.
    pub active: Active,
}
}

file_words! {
/// Supplies that are known.
pub enum SupplyDriver as "a supply's driver" {
    /// SCPI over a byte port.
    Scpi,
}
}

file_table! {
/// The supply in place of the battery.
pub struct SupplyText as "a supply" {
    /// Its protocol.
    pub driver: SupplyDriver,
    /// Its port.
    pub port: Spanned<String>,
    /// The greatest voltage that the board under test bears; more is refused.
    pub highest: Spanned<Millivolts>,
    /// Current limit.
    pub limit: Microamps,
    /// Source resistance where a scenario says none; left out where the supply cannot adjust it.
    pub resistance: Option<Milliohms>,
    /// Voltage at rest; left out, the output is off at rest.
    pub rest: Option<Spanned<Millivolts>>,
    /// How long the output may stay on.
    pub longest_on: Option<Nanos>,
}
}

file_table! {
/// The board's serial console.
pub struct ConsoleText as "a console" {
    /// Its port.
    pub port: Spanned<String>,
}
}

file_table! {
/// The debug probe.
pub struct ProbeText as "a probe" {
    /// Its port.
    pub port: Spanned<String>,
}
}

file_words! {
/// Motion controllers that are known.
pub enum StageDriver as "a stage's driver" {
    /// GRBL 1.1 over a serial line, with a fourth axis.
    Grbl,
}
}

file_table! {
/// The motion stage that handles the keys of a mechanical lock.
pub struct StageText as "a stage" {
    /// Its protocol.
    pub driver: StageDriver,
    /// Its port.
    pub port: Spanned<String>,
    /// The greatest torque that it may put on a key.
    pub torque: Spanned<MillinewtonMetres>,
    /// How long one move may take.
    pub longest_move: Nanos,
    /// What turns the key.
    pub turn: TurnText,
    /// What feeds the key into the keyway.
    pub insert: SlideText,
    /// What brings one of several keys before the keyway.
    pub magazine: MagazineText,
    /// What pushes the learning tool.
    pub plunge: SlideText,
}
}

file_table! {
/// What turns the key.
pub struct TurnText as "a turning axis" {
    /// The controller's letter for it.
    pub axis: Spanned<String>,
    /// The angle of its home position, counted from where keys go in and out.
    pub from: Spanned<Millidegrees>,
    /// The furthest angle.
    pub to: Spanned<Millidegrees>,
    /// How fast it turns.
    pub feed: MillidegreesPerSecond,
}
}

file_table! {
/// Something that goes in and out; home is out.
pub struct SlideText as "a sliding axis" {
    /// The controller's letter for it.
    pub axis: Spanned<String>,
    /// Where it is all the way in.
    pub seated: Spanned<Micrometres>,
    /// How fast it goes.
    pub feed: MicrometresPerSecond,
}
}

file_table! {
/// Keys side by side; home is the first.
pub struct MagazineText as "a magazine" {
    /// The controller's letter for it.
    pub axis: Spanned<String>,
    /// From one key to the next.
    pub pitch: Spanned<Micrometres>,
    /// How fast it goes.
    pub feed: MicrometresPerSecond,
    /// What lies in it, first to last: `current`, `other`, `blank`, `unsupported`.
    pub keys: Spanned<Vec<Cut>>,
}
}

file_words! {
/// How a key in the magazine is cut.
pub enum Cut as "a key" {
    /// The one that the cylinder knows when a run begins.
    Current,
    /// Another one that the cylinder can learn.
    Other,
    /// Not cut.
    Blank,
    /// With a cut that the cylinder cannot learn.
    Unsupported,
}
}

file_table! {
/// How the outputs go to rest.
pub struct RestText as "the rest state" {
    /// Every output of this bench, first to last: `keys`, `buttons`, `jam`, `door`, `supply`, `stage`.
    pub order: Spanned<Vec<Spanned<String>>>,
}
}

/// Which relay closes which key.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Keys(Vec<(Spanned<char>, Spanned<u8>)>);

impl Read for Keys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Keys> {
        let Value::Table(entries) = &node.value else {
            return problems.expected("a table of keys (\"5\" = 5)", node);
        };
        let mut keys = Some(Vec::new());
        for (label, channel) in entries {
            let mut characters = label.value.chars();
            let key = match (characters.next(), characters.next()) {
                (Some(key), None) if KEYS.contains(key) => Some(key),
                _ => problems.add(
                    Problem::new(
                        label.span,
                        format!("expected a key's label, found '{}'", label.value),
                    )
                    .hint(format!("a label is one of {KEYS}, in quotes")),
                ),
            };
            let channel = Spanned::<u8>::read(channel, problems);
            match (key, channel, &mut keys) {
                (Some(key), Some(channel), Some(keys)) => {
                    keys.push((Spanned::new(key, label.span), channel));
                }
                _ => keys = None,
            }
        }
        keys.map(Keys)
    }
}

impl JsonSchema for Keys {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keys".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "propertyNames": { "pattern": format!("^[{KEYS}]$") },
            "additionalProperties": { "type": "integer", "minimum": 1, "maximum": 255 },
        })
    }
}

/// A bench file in which everything fits together.
#[derive(Clone, PartialEq, Debug)]
pub struct BenchFile {
    /// The bench's name.
    pub name: String,
    /// What stands there, for people.
    pub about: Option<String>,
    /// What kind of lock stands there; none for a bench that takes every kind.
    pub lock: Option<LockKind>,
    /// The chip, as probe-rs calls it.
    pub chip: Option<String>,
    /// The image that is flashed where nobody names another.
    pub image: Option<String>,
    /// Which virtual bench its ports lead to; none for a real bench.
    pub emulates: Option<String>,
    /// How far a measured hold may be from the truth (k = 2).
    pub uncertainty: Nanos,
    /// The relay board's port, and what its relays are.
    pub relays: Option<Relays>,
    /// What is watched.
    pub lines: Vec<Line>,
    /// The supply.
    pub supply: Option<Supply>,
    /// The console's port.
    pub console: Option<Port>,
    /// The probe's port.
    pub probe: Option<Port>,
    /// The motion stage.
    pub stage: Option<Stage>,
    /// The outputs in the order in which they go to rest.
    pub rest: Vec<Output>,
}

/// Where a port leads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its address.
    pub at: String,
    /// Its baud rate; ignored where there is none.
    pub baud: u32,
}

/// The relay board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relays {
    /// Its port.
    pub port: Port,
    /// Its relays that are in use, by what they stand for.
    pub contacts: BTreeMap<Contact, Wired>,
}

/// What a relay stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Contact {
    /// A key of the keypad, by its label.
    Key(char),
    /// A button, by its name.
    Button(String),
    /// The door switch; closed means that the door is closed.
    Door,
    /// Something that blocks the bolt.
    Jam,
}

/// As traces and messages call it: `key 5`, `button reset`.
impl std::fmt::Display for Contact {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Contact::Key(key) => write!(out, "key {key}"),
            Contact::Button(name) => write!(out, "button {name}"),
            Contact::Door => out.write_str("door"),
            Contact::Jam => out.write_str("jam"),
        }
    }
}

/// How a contact is wired.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wired {
    /// The relay's number, from 1.
    pub channel: u8,
    /// The line that proves its state.
    pub line: Option<String>,
    /// Whether it is closed at rest.
    pub rest_closed: bool,
    /// How long it may stay closed.
    pub longest_on: Option<Nanos>,
}

/// A line that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// The address of the port.
    pub at: String,
    /// The pin there.
    pub pin: String,
    /// The sense board that it is a pin of, by its port, and the pin's number; none where the port
    /// itself senses lines.
    pub board: Option<(Port, u8)>,
    /// Whether high means that the thing is so.
    pub active_high: bool,
}

/// The supply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supply {
    /// Its port.
    pub port: Port,
    /// The greatest voltage that the board bears.
    pub highest: Millivolts,
    /// Current limit.
    pub limit: Microamps,
    /// Source resistance, where it is adjustable.
    pub resistance: Option<Milliohms>,
    /// Voltage at rest; none, where the output is off at rest.
    pub rest: Option<Millivolts>,
    /// How long the output may stay on.
    pub longest_on: Option<Nanos>,
}

/// The motion stage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Its port.
    pub port: Port,
    /// How it is built, and its limits.
    pub settings: stage::Settings,
    /// The keys in its magazine, first to last.
    pub keys: Vec<Cut>,
}

/// Something that goes to rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Output {
    /// All keys.
    Keys,
    /// All buttons.
    Buttons,
    /// The door.
    Door,
    /// What blocks the bolt.
    Jam,
    /// The supply.
    Supply,
    /// The motion stage.
    Stage,
}

impl BenchFile {
    /// Reads a bench file, or says everything that is wrong with it.
    pub fn read(source: &Source) -> Result<BenchFile, Refused> {
        let node = source.toml()?;
        let mut problems = Problems::default();
        let text = BenchText::read(&node, &mut problems);
        // What fits together is looked at even where a part could not be read at all.
        let file = text.and_then(|text| Check::new(&text, &mut problems).file());
        match file {
            Some(file) if problems.is_empty() => Ok(file),
            _ => Err(source.refuse(problems.into_vec())),
        }
    }

    /// What this bench can do, in the words of a scenario's `needs`. Known without touching it.
    pub fn abilities(&self) -> BTreeSet<String> {
        let mut abilities = BTreeSet::new();
        let contacts = self.relays.iter().flat_map(|relays| relays.contacts.keys());
        for contact in contacts {
            abilities.insert(match contact {
                Contact::Key(_) => "keypad".to_owned(),
                Contact::Button(name) => format!("button.{name}"),
                Contact::Door => "door".to_owned(),
                Contact::Jam => "jam".to_owned(),
            });
        }
        for line in &self.lines {
            abilities.insert(format!("line.{}", line.name));
            if matches!(line.name.as_str(), "bolt-withdrawn" | "bolt-thrown") {
                abilities.insert("bolt".to_owned());
            }
        }
        if let Some(supply) = &self.supply {
            abilities.insert("supply".to_owned());
            if supply.resistance.is_some() {
                abilities.insert("supply.resistance".to_owned());
            }
        }
        for (ability, there) in [
            ("chip", self.chip.is_some()),
            ("console", self.console.is_some()),
            ("probe", self.probe.is_some()),
            ("branch", self.emulates.is_some()),
            ("stage", self.stage.is_some()),
            (
                "key-exchange",
                self.stage
                    .as_ref()
                    .is_some_and(|stage| stage.keys.len() > 1),
            ),
        ] {
            if there {
                abilities.insert(ability.to_owned());
            }
        }
        abilities
    }

    /// The labels of the keys that this bench can press.
    pub fn keys(&self) -> BTreeSet<char> {
        let contacts = self.relays.iter().flat_map(|relays| relays.contacts.keys());
        contacts
            .filter_map(|contact| match contact {
                Contact::Key(key) => Some(*key),
                _ => None,
            })
            .collect()
    }

    /// How a contact is wired; none where this bench lacks it.
    pub fn wired(&self, contact: &Contact) -> Option<&Wired> {
        self.relays.as_ref()?.contacts.get(contact)
    }
}

/// The JSON Schema of bench files.
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(BenchText);
    schema.insert("title".to_owned(), "lockrig bench".into());
    schema
}

/// Looks at whether the parts of a file fit together.
struct Check<'t, 'p> {
    text: &'t BenchText,
    problems: &'p mut Problems,
    used_ports: BTreeSet<String>,
    used_channels: BTreeMap<u8, Contact>,
}

impl<'t, 'p> Check<'t, 'p> {
    fn new(text: &'t BenchText, problems: &'p mut Problems) -> Self {
        Check {
            text,
            problems,
            used_ports: BTreeSet::new(),
            used_channels: BTreeMap::new(),
        }
    }

    fn file(mut self) -> Option<BenchFile> {
        let text = self.text;
        self.version();
        if !is_name(&text.bench) {
            self.add(
                Problem::new(
                    text.bench.span,
                    format!("expected a name, found '{}'", text.bench.value),
                )
                .hint("a name has small letters, digits and dashes, and starts with a letter"),
            );
        }
        let relays = self.relays();
        let lines = self.lines();
        let supply = self.supply();
        let console = text
            .console
            .as_ref()
            .and_then(|console| self.bytes(&console.port));
        let stage = self.stage();
        let probe = text
            .probe
            .as_ref()
            .and_then(|probe| self.probe(&probe.port));
        let rest = self.rest();
        self.addresses();
        self.unused_ports();
        Some(BenchFile {
            name: text.bench.value.clone(),
            about: text.about.clone(),
            lock: text.lock,
            chip: text.chip.clone(),
            image: text.image.clone(),
            emulates: text.emulates.as_ref().map(|name| name.value.clone()),
            uncertainty: text.uncertainty,
            relays,
            lines,
            supply,
            console,
            probe,
            stage,
            rest,
        })
    }

    fn add(&mut self, problem: Problem) {
        self.problems.add::<()>(problem);
    }

    fn version(&mut self) {
        let version = self.text.version;
        if *version != VERSION {
            let hint = if *version > VERSION {
                "the file is newer than this program: update lockrig"
            } else {
                "write version = 1"
            };
            let message = format!(
                "expected version {VERSION} of the bench format, found {}",
                *version
            );
            self.add(Problem::new(version.span, message).hint(hint));
        }
    }

    fn port(&mut self, name: &Spanned<String>) -> Option<&'t PortText> {
        self.used_ports.insert(name.value.clone());
        let ports = &self.text.ports;
        if let Some(port) = ports.get(name) {
            return Some(port);
        }
        let problem = Problem::new(name.span, format!("there is no port '{}'", name.value))
            .did_you_mean(name, ports.names());
        self.problems.add(problem)
    }

    fn bytes(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(driver) = port.driver {
            let problem = Problem::new(driver.span, "only lines are sensed through this driver");
            return self
                .problems
                .add(problem.hint("leave 'driver' out where an instrument has one of its own"));
        }
        self.stream(port)
    }

    /// Where the bytes of a port come from.
    fn stream(&mut self, port: &PortText) -> Option<Port> {
        let emulates = self.text.emulates.as_ref().map(|name| name.value.as_str());
        let there = sim::byte_ports(emulates.unwrap_or_default());
        let at = port.at.value.as_str();
        if let Some(sim) = at.strip_prefix("sim:") {
            if !there.contains(&sim) {
                let problem = Problem::new(
                    port.at.span,
                    format!("no byte port 'sim:{sim}' on a virtual bench"),
                )
                .did_you_mean(sim, there);
                return self.problems.add(problem);
            }
        } else if let Some(host) = at.strip_prefix("tcp://") {
            let number = host
                .rsplit_once(':')
                .and_then(|(_, number)| number.parse::<u16>().ok());
            if number.is_none_or(|number| number == 0) {
                let problem = Problem::new(
                    port.at.span,
                    format!("expected tcp://host:port, found '{at}'"),
                )
                .hint("name the port's number, such as tcp://192.168.1.20:5025");
                return self.problems.add(problem);
            }
        } else if port.baud.is_none() {
            let problem =
                Problem::new(port.at.span, format!("the serial port '{at}' needs 'baud'"))
                    .hint("add baud = 9600, or whatever the instrument is set to");
            return self.problems.add(problem);
        }
        Some(Port {
            at: at.to_owned(),
            baud: port.baud.unwrap_or(0),
        })
    }

    fn probe(&mut self, name: &Spanned<String>) -> Option<Port> {
        let port = self.port(name)?;
        if let Some(sim) = port.at.strip_prefix("sim:")
            && sim != "swd"
        {
            let problem = Problem::new(
                port.at.span,
                format!("no debug port 'sim:{sim}' on a virtual bench"),
            )
            .hint("did you mean 'sim:swd'?");
            return self.problems.add(problem);
        }
        if self.text.chip.is_none() {
            self.add(
                Problem::new(name.span, "a probe needs a 'chip'")
                    .hint("name it at the head of the file: chip = \"nRF51822_xxAA\""),
            );
        }
        Some(Port {
            at: port.at.value.clone(),
            baud: 0,
        })
    }

    fn relays(&mut self) -> Option<Relays> {
        let text = self.text;
        let mut contacts = BTreeMap::new();
        let longest_on = text.relays.as_ref().and_then(|relays| relays.longest_on);
        for (key, channel) in &text.keys.0 {
            self.contact(
                &mut contacts,
                Contact::Key(**key),
                channel,
                Wired {
                    channel: **channel,
                    line: None,
                    rest_closed: false,
                    longest_on,
                },
            );
        }
        for (name, button) in text.buttons.iter() {
            let contact = Contact::Button(name.value.clone());
            let line = self.proof(button.line.as_ref());
            self.contact(
                &mut contacts,
                contact,
                &button.channel,
                Wired {
                    channel: *button.channel,
                    line,
                    rest_closed: false,
                    longest_on: button.longest_on.or(longest_on),
                },
            );
        }
        if let Some(door) = &text.door {
            let line = self.proof(door.line.as_ref());
            self.contact(
                &mut contacts,
                Contact::Door,
                &door.channel,
                Wired {
                    channel: *door.channel,
                    line,
                    rest_closed: door.rest == Door::Closed,
                    longest_on: None,
                },
            );
        }
        if let Some(jam) = &text.jam {
            let line = self.proof(jam.line.as_ref());
            self.contact(
                &mut contacts,
                Contact::Jam,
                &jam.channel,
                Wired {
                    channel: *jam.channel,
                    line,
                    rest_closed: false,
                    longest_on: jam.longest_on,
                },
            );
        }
        let relays = text.relays.as_ref()?;
        let port = self.bytes(&relays.port)?;
        Some(Relays { port, contacts })
    }

    fn contact(
        &mut self,
        contacts: &mut BTreeMap<Contact, Wired>,
        contact: Contact,
        channel: &Spanned<u8>,
        wired: Wired,
    ) {
        let Some(relays) = &self.text.relays else {
            self.add(
                Problem::new(channel.span, format!("'{contact}' needs a relay board"))
                    .hint("describe it under [relays]"),
            );
            return;
        };
        if channel.value == 0 || channel.value > relays.channels {
            let problem = Problem::new(
                channel.span,
                format!(
                    "'{contact}' is on channel {}, and the relay board has 1 to {}",
                    channel.value, relays.channels
                ),
            );
            self.add(
                problem.hint(
                    "channels count from 1; 'channels' under [relays] says how many there are",
                ),
            );
        } else if let Some(other) = self.used_channels.get(&channel.value) {
            let problem = Problem::new(
                channel.span,
                format!(
                    "'{contact}' is on channel {}, and so is '{other}'",
                    channel.value
                ),
            );
            self.add(problem.hint("one relay closes one contact"));
        } else {
            self.used_channels.insert(channel.value, contact.clone());
            contacts.insert(contact, wired);
        }
    }

    /// The line that proves a contact's state.
    fn proof(&mut self, line: Option<&Spanned<String>>) -> Option<String> {
        let line = line?;
        if self.text.lines.get(line).is_none() {
            let problem = Problem::new(line.span, format!("there is no line '{}'", line.value));
            self.add(if self.text.lines.is_empty() {
                problem.hint("describe it under [lines], or leave 'line' out: then nothing proves the contact")
            } else {
                problem.did_you_mean(line, self.text.lines.names())
            });
        }
        Some(line.value.clone())
    }

    fn lines(&mut self) -> Vec<Line> {
        let text = self.text;
        let mut lines = Vec::new();
        let mut pins: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for (name, line) in text.lines.iter() {
            let Some(port) = self.port(&line.port) else {
                continue;
            };
            let at = port.at.value.as_str();
            let board = match port.driver {
                Some(_) => match self.board_pin(port, &line.pin) {
                    Some(board) => Some(board),
                    None => continue,
                },
                None => None,
            };
            if board.is_none() && !at.starts_with("sim:") {
                self.add(
                    Problem::new(port.at.span, format!("nothing senses lines at '{at}'")).hint(
                        "wire them to a board that runs StandardFirmata, and add driver = \"firmata\"",
                    ),
                );
                continue;
            }
            if board.is_none() && at != "sim:sense" {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!("no pins at '{at}' on a virtual bench"),
                    )
                    .hint("did you mean 'sim:sense'?"),
                );
            }
            if let Some(other) = pins.insert((at, &line.pin), name) {
                let message = format!(
                    "'{}' is on pin '{}', and so is '{other}'",
                    name.value, line.pin.value
                );
                self.add(Problem::new(line.pin.span, message).hint("one pin senses one line"));
            }
            lines.push(Line {
                name: name.value.clone(),
                at: at.to_owned(),
                pin: line.pin.value.clone(),
                board,
                active_high: line.active == Active::High,
            });
        }
        lines
    }

    /// A sense board's port, and the number of one of its pins.
    fn board_pin(&mut self, port: &PortText, pin: &Spanned<String>) -> Option<(Port, u8)> {
        let number = pin.parse().ok().filter(|number| *number < PINS);
        if number.is_none() {
            self.add(
                Problem::new(
                    pin.span,
                    format!("expected a pin's number, found '{}'", pin.value),
                )
                .hint("digital pins of a sense board are \"0\" to \"127\"; A0 of an Uno is \"14\""),
            );
        }
        Some((self.stream(port)?, number?))
    }

    fn supply(&mut self) -> Option<Supply> {
        let supply = self.text.supply.as_ref()?;
        if let Some(rest) = supply.rest
            && *rest > *supply.highest
        {
            let message = format!(
                "the supply rests at {}, and the board bears {}",
                *rest, *supply.highest
            );
            self.add(
                Problem::new(rest.span, message)
                    .hint("leave 'rest' out: then the output is off at rest"),
            );
        }
        if supply.highest.value.0 == 0 {
            self.add(
                Problem::new(supply.highest.span, "a supply of at most 0 V feeds nothing")
                    .hint("write the greatest voltage that the board bears"),
            );
        }
        let port = self.bytes(&supply.port)?;
        Some(Supply {
            port,
            highest: *supply.highest,
            limit: supply.limit,
            resistance: supply.resistance,
            rest: supply.rest.map(|rest| *rest),
            longest_on: supply.longest_on,
        })
    }

    fn stage(&mut self) -> Option<Stage> {
        let text = self.text.stage.as_ref()?;
        let axes = [
            &text.turn.axis,
            &text.insert.axis,
            &text.magazine.axis,
            &text.plunge.axis,
        ];
        let mut known: Vec<Option<Axis>> = Vec::new();
        for name in axes {
            let axis = Axis::of(name);
            if axis.is_none() {
                let message = format!("there is no axis '{}'", name.value);
                self.add(
                    Problem::new(name.span, message)
                        .hint("a controller calls its axes X, Y, Z, A, B, C"),
                );
            } else if known.contains(&axis) {
                let message = format!("axis {} moves two things", name.value);
                self.add(Problem::new(name.span, message).hint("each has an axis of its own"));
            }
            known.push(axis);
        }
        let (from, to) = (text.turn.from, text.turn.to);
        if *from > Millidegrees(0) || *to < Millidegrees(0) {
            let message = format!(
                "0 deg, where keys go in and out, is not from {} to {}",
                *from, *to
            );
            let hint = "'from' is the angle of the home switch, 'to' the furthest one clockwise";
            self.add(Problem::new(from.span, message).hint(hint));
        }
        if text.torque.value.0 == 0 {
            let problem = Problem::new(text.torque.span, "a stage without torque turns nothing");
            self.add(problem.hint("write the greatest torque that a key bears, such as 2 N·m"));
        }
        for length in [text.insert.seated, text.plunge.seated, text.magazine.pitch] {
            if length.value.0 == 0 {
                self.add(
                    Problem::new(length.span, "a way of 0 mm leads nowhere")
                        .hint("measure it on the stage"),
                );
            }
        }
        let keys = &text.magazine.keys;
        let current = keys.iter().filter(|key| **key == Cut::Current).count();
        if current != 1 {
            let message = format!("{current} keys of the magazine are 'current'");
            self.add(
                Problem::new(keys.span, message)
                    .hint("exactly one is: the key that the cylinder knows when a run begins"),
            );
        }
        let port = self.bytes(&text.port);
        let &[turn, insert, magazine, plunge] = known.as_slice() else {
            return None;
        };
        let slide = |axis: Option<Axis>, slide: &SlideText| {
            Some(stage::Slide {
                axis: axis?,
                seated: *slide.seated,
                feed: slide.feed,
            })
        };
        Some(Stage {
            port: port?,
            settings: stage::Settings {
                turn: stage::Turn {
                    axis: turn?,
                    from: *from,
                    to: *to,
                    feed: text.turn.feed,
                },
                insert: slide(insert, &text.insert)?,
                magazine: stage::Magazine {
                    axis: magazine?,
                    pitch: *text.magazine.pitch,
                    slots: u8::try_from(keys.len()).unwrap_or(u8::MAX),
                    feed: text.magazine.feed,
                },
                plunge: slide(plunge, &text.plunge)?,
                torque: *text.torque,
                longest_move: text.longest_move,
            },
            keys: keys.value.clone(),
        })
    }

    fn rest(&mut self) -> Vec<Output> {
        let text = self.text;
        let there = [
            !text.keys.0.is_empty(),
            !text.buttons.is_empty(),
            text.door.is_some(),
            text.jam.is_some(),
            text.supply.is_some(),
            text.stage.is_some(),
        ];
        let known: Vec<&str> = OUTPUTS
            .iter()
            .zip(there)
            .filter(|(_, there)| *there)
            .map(|(name, _)| *name)
            .collect();
        let mut order = Vec::new();
        for name in &text.rest.order.value {
            let output = match name.value.as_str() {
                "keys" => Output::Keys,
                "buttons" => Output::Buttons,
                "door" => Output::Door,
                "jam" => Output::Jam,
                "supply" => Output::Supply,
                "stage" => Output::Stage,
                _ => {
                    let problem =
                        Problem::new(name.span, format!("there is no output '{}'", name.value))
                            .did_you_mean(name, known.iter().copied());
                    self.add(problem);
                    continue;
                }
            };
            if !known.contains(&name.value.as_str()) {
                let problem =
                    Problem::new(name.span, format!("this bench has no '{}'", name.value));
                self.add(problem.hint("leave it out of the order"));
            } else if order.contains(&output) {
                let problem =
                    Problem::new(name.span, format!("'{}' goes to rest twice", name.value));
                self.add(problem.hint("name each output once"));
            } else {
                order.push(output);
            }
        }
        for name in known {
            if !text
                .rest
                .order
                .value
                .iter()
                .any(|ordered| ordered.value == name)
            {
                let span = text.rest.order.span;
                let problem = Problem::new(
                    span,
                    format!("'{name}' has no place in the order of going to rest"),
                );
                self.add(problem.hint("every output must go to rest, also after an error: add it"));
            }
        }
        order
    }

    /// All ports of a bench lead to the same world.
    fn addresses(&mut self) {
        let text = self.text;
        let mut has_sim = false;
        for (_, port) in text.ports.iter() {
            let sim = port.at.starts_with("sim:");
            has_sim |= sim;
            if sim && text.emulates.is_none() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!(
                            "'{}' leads to a virtual bench, and the file names none",
                            port.at.value
                        ),
                    )
                    .hint("add emulates = \"virtual-safe\" at the head of the file"),
                );
            } else if !sim && text.emulates.is_some() {
                self.add(
                    Problem::new(
                        port.at.span,
                        format!("'{}' is real, and the file emulates a bench", port.at.value),
                    )
                    .hint("a bench is either real or virtual: their clocks differ"),
                );
            }
        }
        if let Some(emulates) = &text.emulates {
            if !crate::port::sim::exists(emulates) {
                let problem = Problem::new(
                    emulates.span,
                    format!("there is no virtual bench '{}'", emulates.value),
                )
                .did_you_mean(emulates, crate::port::sim::NAMES.iter().copied());
                self.add(problem);
            } else if !has_sim {
                let problem = Problem::new(emulates.span, "no port leads to this virtual bench");
                self.add(problem.hint("ports of a virtual bench are sim:relay, sim:supply, sim:console, sim:stage, sim:sense, sim:sense-board, sim:swd"));
            }
        }
    }

    fn unused_ports(&mut self) {
        let text = self.text;
        for (name, _) in text.ports.iter() {
            if !self.used_ports.contains(&name.value) {
                self.add(
                    Problem::new(
                        name.span,
                        format!("nothing stands on the port '{}'", name.value),
                    )
                    .hint("use it, or remove it"),
                );
            }
        }
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for (name, port) in text.ports.iter() {
            if seen.insert(&port.at.value, port.at.span).is_some() {
                let problem = Problem::new(
                    port.at.span,
                    format!(
                        "'{}' is at '{}', and so is another port",
                        name.value, port.at.value
                    ),
                );
                self.add(problem.hint("two instruments cannot share a port"));
            }
        }
    }
}
