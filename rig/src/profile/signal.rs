//! What a product shows and sounds: counted flashes and beeps, and by when they are over.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::Fact;
use crate::event::Nanos;
use crate::source::{
    Named, Node, OneOrMore, Problem, Problems, Read, Spanned, Table, Value, file_table,
};

file_table! {
    /// A named pattern of lamps and beeper. What is not mentioned is not looked at.
    #[derive(Copy)]
    pub struct Signal as "a signal" {
        /// The red lamp.
        pub red: Option<Lamp>,
        /// The green lamp.
        pub green: Option<Lamp>,
        /// The yellow lamp.
        pub yellow: Option<Lamp>,
        /// The blue lamp.
        pub blue: Option<Lamp>,
        /// How many beeps.
        pub beeper: Option<u32>,
        /// By when the whole pattern is over, from the end of what caused it.
        pub within: Nanos,
        /// How long a flash or beep is on; 20 ms to 2 s unless given.
        pub on: Option<Window>,
        /// How long the pause between two is; 20 ms to 2 s unless given. A shorter pause joins the
        /// two, as PWM does; a longer one ends the signal.
        pub off: Option<Window>,
    }
}

impl Signal {
    /// What counts as one flash or beep, unless the signal says otherwise.
    pub const ON: Window = Window {
        from: Nanos(20_000_000),
        to: Nanos(2_000_000_000),
    };
    /// What counts as the pause between two, unless the signal says otherwise.
    pub const OFF: Window = Window {
        from: Nanos(20_000_000),
        to: Nanos(2_000_000_000),
    };

    /// How long one flash or beep is on.
    pub fn on(&self) -> Window {
        self.on.unwrap_or(Self::ON)
    }

    /// How long the pause between two is.
    pub fn off(&self) -> Window {
        self.off.unwrap_or(Self::OFF)
    }

    /// The lamps that it mentions, by the name of their line.
    pub fn lamps(&self) -> impl Iterator<Item = (&'static str, Lamp)> {
        [
            ("red", self.red),
            ("green", self.green),
            ("yellow", self.yellow),
            ("blue", self.blue),
        ]
        .into_iter()
        .filter_map(|(line, lamp)| Some((line, lamp?)))
    }
}

/// What a lamp does in a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lamp {
    /// It flashes so often.
    Flashes(u32),
    /// It is on at the end of the signal's time, and stays on.
    Lit,
    /// It is off at the end of the signal's time.
    Dark,
}

impl Read for Lamp {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        const EXPECTED: &str = "a number of flashes, lit or dark";
        match node.scalar() {
            Some("lit") => Some(Self::Lit),
            Some("dark") => Some(Self::Dark),
            Some("0") => problems.expected_hint(EXPECTED, node, "a lamp that stays off is dark"),
            Some(number) if number.bytes().all(|one| one.is_ascii_digit()) => {
                u32::read(node, problems).map(Self::Flashes)
            }
            _ => problems.expected(EXPECTED, node),
        }
    }
}

impl JsonSchema for Lamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Lamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "enum": ["lit", "dark"] },
            { "description": "How often it flashes", "type": "integer", "minimum": 1 },
        ]})
    }
}

/// A closed interval of time, written `20 ms..2 s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The shortest.
    pub from: Nanos,
    /// The longest.
    pub to: Nanos,
}

impl Window {
    /// Whether a time is inside.
    pub fn contains(&self, time: Nanos) -> bool {
        (self.from..=self.to).contains(&time)
    }
}

impl Read for Window {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some((from, to)) = node.scalar().and_then(|text| text.split_once("..")) else {
            return problems.expected_hint("a range of times", node, "write 20 ms..2 s");
        };
        let part = |text: &str| Node {
            span: node.span,
            value: Value::Scalar {
                text: text.trim().to_owned(),
                quoted: false,
            },
        };
        let from = Nanos::read(&part(from), problems);
        let to = Nanos::read(&part(to), problems);
        let (from, to) = (from?, to?);
        if from > to {
            return problems.add(Problem::new(
                node.span,
                format!("an empty range: {from} is more than {to}"),
            ));
        }
        Some(Self { from, to })
    }
}

impl JsonSchema for Window {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A range of times: 20 ms..2 s",
            "type": "string",
            "pattern": r"^[0-9.]+ *[a-z]+ *\.\. *[0-9.]+ *[a-z]+$",
        })
    }
}

/// The signals of a product, by name, and where they are documented.
#[derive(Clone, Debug, PartialEq)]
pub struct Signals {
    /// The documents.
    pub from: OneOrMore<Spanned<String>>,
    signals: Named<Fact<Signal>>,
}

impl Signals {
    /// A signal by its name.
    pub fn get(&self, name: &str) -> Option<&Fact<Signal>> {
        self.signals.get(name)
    }

    /// All names, in the order of the file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.signals.names()
    }

    /// All of them, in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &Fact<Signal>)> {
        self.signals.iter()
    }
}

/// The names of signals and the key `from` stand in one table.
impl Read for Signals {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut table = Table::of("the section 'signals'", node, problems)?;
        let from = table.read("from", problems);
        let signals = Named::read(&table.rest(), problems);
        Some(Self {
            from: from?,
            signals: signals?,
        })
    }
}

impl JsonSchema for Signals {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Signals".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let from = generator.subschema_for::<OneOrMore<String>>();
        let signal = generator.subschema_for::<Fact<Signal>>();
        json_schema!({
            "type": "object",
            "properties": { "from": from },
            "required": ["from"],
            "propertyNames": { "pattern": "^[a-z][a-z0-9-]*$" },
            "additionalProperties": signal,
        })
    }
}
