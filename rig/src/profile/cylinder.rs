//! The profile of a mechanical cylinder: how it turns, how it is rekeyed, and what is known to break.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;

use super::check::defaults;
use super::{
    Document, EffectOf, Fact, Parameter, Procedure, ProductKind, ProfileFile, VERSION, Weakness,
};
use crate::event::Nanos;
use crate::quantity::{Millidegrees, MillinewtonMetres};
use crate::source::{
    Named, Node, OneOrMore, Problem, Problems, Refused, Source, Spanned, Table, Value, closest,
    file_table, file_words,
};
use crate::step::{Ability, Action, Step};

file_table! {
    /// The profile of a mechanical cylinder.
    pub struct CylinderFile as "a cylinder's profile" {
        /// Its name.
        pub profile: Spanned<String>,
        /// The version of this format.
        pub version: u32,
        /// That it is a cylinder.
        pub kind: CylinderKind,
        /// The product, in words.
        pub product: String,
        /// The documents that the facts are taken from.
        pub sources: Named<Document>,
        /// How its plug turns.
        pub plug: Plug,
        /// What its owner can do with it, step by step.
        pub procedures: Named<Procedure>,
        /// What is unsafe and known: a finding of one of these is reported, and is no failure.
        pub weaknesses: Vec<Weakness> = default,
    }
}

file_words! {
    /// The kind of a mechanical lock.
    pub enum CylinderKind as "a kind of mechanical lock" {
        /// A cylinder that a key turns.
        Cylinder,
    }
}

file_table! {
    /// How a plug turns.
    pub struct Plug as "the section 'plug'" {
        /// The quarter turn at which the tool is used, clockwise.
        pub quarter_turn: Spanned<Millidegrees>,
        /// How far from it the tool still works, either way.
        pub quarter_turn_tolerance: Fact<Millidegrees>,
        /// The torque that turning takes at most.
        pub turns_with: Fact<MillinewtonMetres>,
        /// How often it can be rekeyed.
        pub rekeys: Fact<u32>,
        /// The torque at which the rig stops turning.
        pub stop: Spanned<MillinewtonMetres>,
        /// How long the rig waits between two movements.
        pub pause: Nanos,
        /// Where it is documented.
        pub from: OneOrMore<Spanned<String>>,
    }
}

/// Either kind of profile, for the JSON Schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is asked for")]
pub(super) enum AnyProfile {
    /// A lock with a keypad and a board.
    Lock(Box<ProfileFile>),
    /// A mechanical cylinder.
    Cylinder(Box<CylinderFile>),
}

/// A cylinder's profile that was read and checked.
#[derive(Clone, PartialEq)]
pub struct Cylinder {
    source: Source,
    file: CylinderFile,
}

impl Cylinder {
    /// Reads a profile and checks everything in it that can be checked without a scenario.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(source: &Source) -> Result<Self, Refused> {
        let node = source.yaml()?;
        source.refuse_newer(&node, VERSION)?;
        let file = source.read_and_check(&node, check)?;
        Ok(Self {
            source: source.clone(),
            file,
        })
    }

    /// The name of the product's profile.
    pub fn id(&self) -> &str {
        &self.file.profile
    }

    /// The file it was read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What the product has of that which scenarios need.
    pub fn abilities(&self) -> BTreeSet<Ability> {
        let procedures = self.procedures.names().map(str::to_owned);
        [Ability::Stage, Ability::KeyExchange]
            .into_iter()
            .chain(procedures.map(Ability::Procedure))
            .collect()
    }
}

impl Deref for Cylinder {
    type Target = CylinderFile;
    fn deref(&self) -> &CylinderFile {
        &self.file
    }
}

impl fmt::Debug for Cylinder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cylinder({})", self.id())
    }
}

/// Whether a file says, or means to say, that it is about a cylinder.
pub(super) fn is_cylinder(node: &Node) -> bool {
    let kinds: Vec<String> = ProductKind::ALL.iter().map(|kind| kind.word()).collect();
    let cylinder = CylinderKind::Cylinder.word();
    let kinds: Vec<&str> = kinds
        .iter()
        .chain([&cylinder])
        .map(String::as_str)
        .collect();
    matches!(&node.value, Value::Table(_))
        && Table::of("a profile", node, &mut Problems::default())
            .and_then(|mut table| table.node("kind"))
            .and_then(Node::scalar)
            .and_then(|written| closest(written, &kinds))
            == Some(&cylinder)
}

fn check(file: &CylinderFile, problems: &mut Problems) {
    let named = [&file.plug.from]
        .into_iter()
        .chain(file.procedures.iter().map(|(_, procedure)| &procedure.from))
        .chain(file.weaknesses.iter().map(|weakness| &weakness.from));
    for name in named.flat_map(OneOrMore::as_slice) {
        if file.sources.get(name).is_none() {
            problems.add::<()>(
                Problem::new(name.span, format!("there is no source '{}'", name.value))
                    .did_you_mean(name, file.sources.names()),
            );
        }
    }
    if file.plug.stop.value.0 == 0 {
        problems.add::<()>(
            Problem::new(file.plug.stop.span, "a torque of 0 N·m turns nothing")
                .hint("write the torque that a person would not go over, such as 1 N·m"),
        );
    }
    if let Fact::Known(turns_with) = file.plug.turns_with
        && turns_with >= file.plug.stop.value
    {
        problems.add::<()>(Problem::new(
            file.plug.stop.span,
            format!(
                "turning may take {turns_with}, so stopping at {} stops what is right",
                file.plug.stop.value
            ),
        ));
    }
    for (name, procedure) in file.procedures.iter() {
        let bindings = defaults(procedure.with.iter());
        Step::walk(&procedure.steps, &mut |step| {
            step.check(&bindings, problems);
            if !of_a_cylinder(&step.action) {
                problems.add::<()>(
                    Problem::new(step.span, "a cylinder has no keypad, board or battery")
                        .hint("its steps are insert, turn, plunge, withdraw, wait, do"),
                );
            }
        });
        let learns = procedure.effect == EffectOf::LearnsKey;
        if learns && !matches!(procedure.with.get("new"), Some(Parameter::Key)) {
            problems.add::<()>(
                Problem::new(
                    name.span,
                    format!("'{}' learns a key and takes none", name.value),
                )
                .hint("with: { new: key }"),
            );
        }
    }
}

fn of_a_cylinder(action: &Action) -> bool {
    matches!(
        action,
        Action::Insert(_)
            | Action::Withdraw(_)
            | Action::Turn(_)
            | Action::Plunge(_)
            | Action::Wait(_)
            | Action::Do(_)
            | Action::Interrupt(_)
            | Action::Opens(_)
            | Action::Refuses(_)
            | Action::Settles(_)
    )
}
