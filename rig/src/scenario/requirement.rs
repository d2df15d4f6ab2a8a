//! The requirements that scenarios give evidence for: what the product descriptions behind this
//! rig claim, sentence by sentence, in our own words.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::source::{
    Node, Problem, Problems, Read, Refused, Source, Spanned, file_table, file_words,
};

/// A requirement's number: `R01` to `R69`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequirementId(pub u8);

file_words! {
    /// What kind of evidence a requirement needs.
    pub enum Evidence as "a kind of evidence" {
        /// A run on an electronic lock: keys, buttons, lamps, bolt.
        Run,
        /// A run in which the supply is cut, sags or is measured.
        SupplyRun,
        /// A run on a mechanical cylinder stage.
        CylinderRun,
        /// A run against a hub or a radio.
        RadioRun,
        /// Something that the rig refuses or checks before it starts.
        Preflight,
        /// What a report holds.
        Report,
        /// What only a person can look at and confirm.
        Person,
        /// None: it is outside of what the rig exercises, and reports say so.
        OutOfScope,
    }
}

file_table! {
    /// One requirement.
    pub struct Requirement as "a requirement" {
        /// Its number.
        pub id: Spanned<RequirementId>,
        /// What is claimed, in one sentence.
        pub claim: String,
        /// What kind of evidence it needs.
        pub evidence: Evidence,
    }
}

file_table! {
    /// All requirements.
    pub struct Requirements as "a list of requirements" {
        /// The version of this format.
        pub version: u32,
        /// In the order of their numbers.
        pub requirements: Vec<Requirement>,
    }
}

impl Requirements {
    /// Reads them, and checks that each number stands once and in order.
    pub fn read(source: &Source) -> Result<Self, Refused> {
        let node = source.yaml()?;
        source.refuse_newer(&node, super::VERSION)?;
        source.read_and_check(&node, |list: &Self, problems| {
            for pair in list.requirements.windows(2) {
                let (before, after) = (pair[0].id, pair[1].id);
                if before.value >= after.value {
                    problems.add::<()>(Problem::new(
                        after.span,
                        format!("{} does not follow {}", after.value, before.value),
                    ));
                }
            }
        })
    }

    /// A requirement by its number.
    pub fn get(&self, id: RequirementId) -> Option<&Requirement> {
        self.requirements.iter().find(|one| one.id.value == id)
    }
}

impl fmt::Display for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{:02}", self.0)
    }
}

impl Read for RequirementId {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let number = node
            .scalar()
            .and_then(|text| text.strip_prefix('R'))
            .filter(|digits| digits.len() == 2)
            .and_then(|digits| digits.parse().ok());
        match number {
            Some(number) => Some(Self(number)),
            None => problems.expected_hint("a requirement", node, "write R and two digits: R07"),
        }
    }
}

impl JsonSchema for RequirementId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RequirementId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^R[0-9]{2}$" })
    }
}
