//! The bench file as it is written: one type for each table, one field for each key.

use std::ops::RangeInclusive;

use schemars::JsonSchema;

use crate::driver::pin_board::{Servo, Way};
use crate::event::Nanos;
use crate::quantity::{
    Days, Microamps, Micrometres, MicrometresPerSecond, Millidegrees, MillidegreesPerSecond,
    MillinewtonMetres, Milliohms, Millivolts,
};
use crate::source::{Named, Node, Problem, Problems, Read, Spanned, Value, file_table, file_words};

/// The keys that a lock's keypad can have.
const KEYS: &str = "0123456789*#ABCDEF";

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
    /// Which unit stands there, for reports that name it; with `chip-id` it is confirmed before each run.
    pub device: Option<DeviceText>,
    /// Which virtual bench the `sim:` ports lead to.
    pub emulates: Option<Spanned<String>>,
    /// How far a hold, as it is measured here, may be from the truth (k = 2).
    pub uncertainty: Spanned<Nanos>,
    /// What opens the lock, or makes it new, when a run leaves it shut, and when that was tried last. Without it, and
    /// without firmware to flash, no run begins on a real lock.
    pub recovery: Option<Spanned<String>>,
    /// How its calibration is kept; without it, runs ask for no record.
    pub calibration: Option<CalibrationText>,
    /// The ports, by the names that the rest of the file uses.
    pub ports: Named<Spanned<PortText>>,
    /// The relay board.
    pub relays: Option<RelaysText>,
    /// Which relay or pin closes which key, by the key's label: `"5" = 5`, or `{ row = 5, column = 12 }`,
    /// or a servo: `{ servo = 18, rest = "1000 us", pressed = "1450 us", travel = "150 ms" }`.
    /// `line` names the line that is on while any key is closed.
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
/// How a bench's calibration is kept. `lockrig doctor` writes a record, `lockrig run` asks for one.
pub struct CalibrationText as "a calibration" {
    /// How old a record may be: `30 days`.
    pub max_age: Days,
    /// The folder of the records, from that of the bench file [default: calibration].
    pub folder: Option<String>,
}
}

file_table! {
/// A port: where it leads, and at which pace.
pub struct PortText as "a port" {
    /// `sim:relay`, `/dev/ttyUSB0`, `COM3`, `tcp://host:port`; for a probe `VID:PID:SERIAL`; for pins
    /// `raspberry-pi`, `/dev/gpiochip0` or `gpiochip:LABEL`.
    pub at: Spanned<String>,
    /// Baud rate of a serial line.
    pub baud: Option<u32>,
    /// How often to look at pins that sense lines. Without it the hardware tells their edges.
    pub sample: Option<Spanned<Nanos>>,
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
/// What closes contacts.
pub enum RelayDriver as "a relay board's driver" {
    /// A serial relay board: `A0 channel state checksum`.
    Lcus,
    /// A relay board that speaks Modbus RTU: relay 1 is coil 0, and each coil is read back.
    Modbus,
    /// Pins, and whatever hangs at them: relays, opto-isolators, a crosspoint.
    Pins,
}
}

file_table! {
/// The relay board, or the pins that close contacts.
pub struct RelaysText as "a relay board" {
    /// Its protocol.
    pub driver: RelayDriver,
    /// Its port.
    pub port: Spanned<String>,
    /// How many channels a relay board has; they count from 1.
    pub channels: Option<Spanned<u8>>,
    /// The address of a board that speaks Modbus, 1 to 247 [default: 1].
    pub unit: Option<Spanned<u8>>,
    /// The level at which a pin closes what it leads to.
    pub active: Option<Spanned<Active>>,
    /// Two multiplexers that join a row and a column of the keypad. Rows and columns of keys are their channels then,
    /// and two keys can never be closed at once.
    pub multiplexers: Option<Spanned<MultiplexersText>>,
    /// How long a key or button may be held closed where nothing else is said.
    pub longest_on: Option<Nanos>,
}
}

file_table! {
/// Two multiplexers: one joins a row, one a column, to a common wire.
pub struct MultiplexersText as "multiplexers" {
    /// The pins that select the row, the lowest bit first.
    pub rows: Spanned<Vec<u16>>,
    /// The pins that select the column, the lowest bit first.
    pub columns: Spanned<Vec<u16>>,
    /// The pin that switches both on.
    pub enable: Spanned<u16>,
    /// The level at which it does; of most (CD74HC4067) low.
    pub active: Active,
}
}

file_table! {
/// A button beside the keypad, or whatever else a relay does.
pub struct ButtonText as "a contact" {
    /// The relay, the pin, or a servo.
    pub channel: Spanned<Channel>,
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
    /// The relay, the pin, or a servo; energised, or pressed, means that the door is closed.
    pub channel: Spanned<Channel>,
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
    /// What pulls the pin, where it is one of this computer; left out, the wiring does.
    pub pull: Option<Spanned<Pull>>,
    /// How long a level has to last there until it counts; left out, every edge counts.
    pub debounce: Option<Spanned<Nanos>>,
}
}

file_words! {
/// What pulls a pin while nothing drives it.
pub enum Pull as "a pull" {
    /// A resistor to the supply.
    Up,
    /// A resistor to ground.
    Down,
}
}

file_words! {
/// Supplies that are known.
pub enum SupplyDriver as "a supply's driver" {
    /// SCPI over a byte port.
    Scpi,
    /// Cells, or a supply that a person set, with a relay in their lead.
    Relay,
}
}

file_table! {
/// What feeds the board: a programmable supply in place of the battery, or relays in the battery's lead.
pub struct SupplyText as "a supply" {
    /// Its kind.
    pub driver: Spanned<SupplyDriver>,
    /// Its port, with driver = "scpi".
    pub port: Option<Spanned<String>>,
    /// Who it has to say that it is, or how that begins: `ACME,PS3005,1234`. Another one is no bench to go on with.
    pub identity: Option<Spanned<String>>,
    /// The greatest voltage that the board under test bears; more is refused. With driver = "scpi".
    pub highest: Option<Spanned<Millivolts>>,
    /// Current limit, with driver = "scpi".
    pub limit: Option<Spanned<Microamps>>,
    /// Source resistance where a scenario says none; left out where the supply cannot adjust it.
    pub resistance: Option<Spanned<Milliohms>>,
    /// Voltage at rest; left out, the output is off at rest.
    pub rest: Option<Spanned<Millivolts>>,
    /// How long the output may stay on.
    pub longest_on: Option<Nanos>,
    /// The voltage of the cells, with driver = "relay".
    pub voltage: Option<Spanned<Millivolts>>,
    /// The relay in the lead of the cells, with driver = "relay".
    pub channel: Option<Spanned<Channel>>,
    /// The relay that joins the board's terminals through a resistor, with driver = "relay": it closes after the
    /// lead has opened and opens before the lead closes. Left out where the board's capacitors are to discharge
    /// by themselves.
    pub crowbar: Option<Spanned<Channel>>,
}
}

file_table! {
/// The unit under test.
pub struct DeviceText as "a device" {
    /// Its model, as its label has it.
    pub model: Spanned<String>,
    /// Its serial number.
    pub serial_number: Spanned<String>,
    /// What its chip says that it is, as the probe reads it.
    pub chip_id: Option<ChipIdText>,
}
}

file_table! {
/// Words that no other chip of its kind has, such as FICR.DEVICEID of an nRF51.
pub struct ChipIdText as "a chip's id" {
    /// Where they begin: `0x10000060`.
    pub at: Spanned<u32>,
    /// What they are, in hexadecimal, with spaces between: `"1f00cafe 0badf00d"`.
    pub is: Spanned<String>,
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
    /// The RTT channel that the firmware logs to, as text or with defmt: 0, mostly. It is read between the steps of a
    /// run, which keeps the chip from sleeping as deeply as it could; without it nobody reads it.
    pub log: Option<u8>,
    /// What is done before flashing a chip that is protected from being read.
    pub when_locked: WhenLocked = default,
    /// Where it is plugged in, as the kernel of Linux calls it: bus, dash, chain of ports, as in `1-1.4`. There its
    /// power is switched off and on once before a run, if it does not answer as a probe and the hub can do that.
    pub usb_port: Option<Spanned<String>>,
}
}

file_words! {
/// What is done with a locked chip.
#[derive(Default)]
pub enum WhenLocked as "what is done with a locked chip" {
    /// Nothing: whoever wants it flashed is told.
    #[default]
    Refuse,
    /// It is erased whole, which unlocks it; all that is on it is lost.
    Erase,
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
pub struct Keys {
    pub(super) keys: Vec<(Spanned<char>, Spanned<Channel>)>,
    /// The line that is on while any of them is closed.
    pub(super) line: Option<Spanned<String>>,
}

impl Read for Keys {
    fn read(node: &Node, problems: &mut Problems) -> Option<Keys> {
        let Value::Table(entries) = &node.value else {
            return problems.expected("a table of keys (\"5\" = 5)", node);
        };
        let mut keys = Some(Vec::new());
        let mut line = None;
        for (label, channel) in entries {
            if label.value == "line" {
                line = Spanned::<String>::read(channel, problems);
                continue;
            }
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
            let channel = Spanned::<Channel>::read(channel, problems);
            match (key, channel, &mut keys) {
                (Some(key), Some(channel), Some(keys)) => {
                    keys.push((Spanned::new(key, label.span), channel));
                }
                _ => keys = None,
            }
        }
        keys.map(|keys| Keys { keys, line })
    }
}

impl JsonSchema for Keys {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Keys".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "properties": { "line": { "type": "string" } },
            "propertyNames": { "pattern": format!("^([{KEYS}]|line)$") },
            "additionalProperties": generator.subschema_for::<Channel>(),
        })
    }
}

/// What closes a contact: a relay's number, a pin's number, a row and a column, or a servo.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel(pub Way);

file_table! {
/// Two pins that are on together: they join a row and a column of a crosspoint; or the channels of multiplexers.
pub struct CrossText as "a row and a column" {
    /// The row's pin, or channel.
    pub row: u16,
    /// The column's pin, or channel.
    pub column: u16,
}
}

file_table! {
/// A model servo whose horn presses what cannot be reached electrically: a sealed keypad, a thumb turn.
pub struct ServoText as "a servo" {
    /// Its pin.
    pub servo: u16,
    /// How long its pulses are while it rests: `1000 us`, from 500 us to 2500 us.
    pub rest: Spanned<Nanos>,
    /// How long they are while it presses.
    pub pressed: Spanned<Nanos>,
    /// How long its horn takes from one to the other, 1 s at most. A press lasts at least so long.
    pub travel: Spanned<Nanos>,
}
}

impl ServoText {
    /// Servos have no other pulses, and some break when they get others.
    const WIDTHS: RangeInclusive<Nanos> = Nanos(500_000)..=Nanos(2_500_000);
    /// Keys, buttons, door and jam go to rest one after another, and have 5 s altogether.
    const TRAVELS: RangeInclusive<Nanos> = Nanos::from_millis(1)..=Nanos::from_secs(1);

    fn servo(self, problems: &mut Problems) -> Servo {
        for width in [self.rest, self.pressed] {
            if !Self::WIDTHS.contains(&width) {
                let message = format!(
                    "a servo's pulses are 500 us to 2500 us long, not {}",
                    *width
                );
                let hint = "1000 us and 2000 us are the ends of most; find yours from 1500 us on, in steps of 50 us";
                problems.add::<()>(Problem::new(width.span, message).hint(hint));
            }
        }
        if *self.rest == *self.pressed {
            let message = format!(
                "the servo rests and presses at {}: it never moves",
                *self.rest
            );
            let hint =
                "'pressed' is where its horn holds the key down, 'rest' where it is clear of it";
            problems.add::<()>(Problem::new(self.pressed.span, message).hint(hint));
        }
        if !Self::TRAVELS.contains(&self.travel) {
            let message = format!(
                "a servo's horn travels for 1 ms to 1 s, not {}",
                *self.travel
            );
            let hint = "its data sheet says how long 60 degrees take, mostly 100 ms to 200 ms";
            problems.add::<()>(Problem::new(self.travel.span, message).hint(hint));
        }
        Servo {
            pin: self.servo,
            rest: *self.rest,
            pressed: *self.pressed,
            travel: *self.travel,
        }
    }
}

impl Read for Channel {
    fn read(node: &Node, problems: &mut Problems) -> Option<Channel> {
        if let Value::Table(entries) = &node.value {
            if entries.iter().any(|(key, _)| key.value == "servo") {
                let servo = ServoText::read(node, problems)?.servo(problems);
                return Some(Channel(Way::Servo(servo)));
            }
            let CrossText { row, column } = CrossText::read(node, problems)?;
            return Some(Channel(Way::Cross { row, column }));
        }
        u16::read(node, problems).map(|output| Channel(Way::One(output)))
    }
}

impl JsonSchema for Channel {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Channel".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": 65535 },
                generator.subschema_for::<CrossText>(),
                generator.subschema_for::<ServoText>(),
            ],
        })
    }
}

/// The JSON Schema of bench files.
pub fn schema() -> schemars::Schema {
    let mut schema = schemars::schema_for!(BenchText);
    schema.insert("title".to_owned(), "lockrig bench".into());
    schema
}
