//! Scenarios: what to do, what must be seen, by when. Written in a profile's words, so that one
//! file runs on every product that has what it needs.
//!
//! [`Scenario::read`] finds what is wrong with a file by itself; [`plan`] sets it against a profile
//! and makes the runs, each with every `$name` replaced.

mod plan;
mod requirement;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::profile::codes::{Code, Declared, Right};
use crate::source::{
    Named, Node, Problem, Problems, Read, Refused, Source, Spanned, Value, file_table,
};
use crate::step::{
    Ability, Action, Bindings, Bound, CodeKind, CodeWord, DoorState, KeyKind, Step, SupplyLevel,
    Written, YesNo,
};

pub use plan::{
    Act, CodeUse, Contact, Course, Doing, Effect, Expected, Handling, KeySet, PlannedRun,
    ResolvedSet, SUPPLY_MARGIN, Script, TIME_MARGIN, plan, plan_on,
};
pub use requirement::{Evidence, Requirement, RequirementId, Requirements};

/// The version of the scenario format that this program reads.
pub const VERSION: u32 = 1;

file_table! {
    /// A scenario.
    pub struct ScenarioFile as "a scenario" {
        /// Its name.
        pub scenario: Spanned<String>,
        /// The version of this format.
        pub version: u32,
        /// What it is for, in words.
        pub intent: Spanned<String>,
        /// What a product and a bench must have for it.
        pub needs: Vec<Spanned<Ability>>,
        /// The requirements that it gives evidence for.
        pub covers: Vec<Spanned<RequirementId>>,
        /// The codes it speaks of.
        pub codes: Named<DeclaredCode> = default,
        /// The keys it speaks of, each another one of the bench's magazine.
        pub keys: Named<KeyKind> = default,
        /// How things stand before the first step.
        pub given: Given = default,
        /// Names that stand for each of several values: every combination is a run of its own.
        pub variants: Named<Vec<Written>> = default,
        /// What is done.
        pub steps: Vec<Step>,
        /// What is done in the end, whatever the board did; a broken bench goes to rest without it.
        pub finally: Vec<Step> = default,
    }
}

file_table! {
    /// How things stand before the first step.
    #[derive(Default)]
    pub struct Given as "the section 'given'" {
        /// The door; open unless given.
        pub door: Option<DoorState>,
        /// The supply; fresh unless given.
        pub supply: Option<SupplyLevel>,
        /// The codes that open the lock, in its slots from the first on. They are set in the way
        /// that the profile documents.
        pub user_codes: Vec<CodeWord> = default,
    }
}

file_table! {
    /// A wrong code that begins like another one.
    pub struct NearCode as "a code that is like another" {
        /// The other: one that the scenario declares.
        pub like: CodeWord,
        /// How many of its leading digits are right; at least the next one is wrong.
        pub right: Right,
        /// It ends after them: it is too short.
        pub ends: YesNo = default,
    }
}

/// A code that a scenario declares: `user`, `master`, `wrong`, `factory`, digits in quotes, or
/// `{ like: $other, right: 2 }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredCode(pub Declared);

/// A scenario that was read and checked.
#[derive(Clone, PartialEq)]
pub struct Scenario {
    source: Source,
    file: ScenarioFile,
}

impl Scenario {
    /// Reads a scenario and checks everything in it that can be checked without a profile.
    pub fn read(source: &Source, requirements: &Requirements) -> Result<Self, Refused> {
        let node = source.yaml()?;
        source.refuse_newer(&node, VERSION)?;
        let file = source.read_and_check(&node, |file: &ScenarioFile, problems| {
            file.check(requirements, problems);
        })?;
        Ok(Self {
            source: source.clone(),
            file,
        })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.file.scenario
    }

    /// The file it was read from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The codes that it declares, for [`codes::generate`](crate::profile::codes::generate).
    pub fn declared_codes(&self) -> BTreeMap<String, Declared> {
        self.codes
            .iter()
            .map(|(name, code)| (name.value.clone(), code.0.clone()))
            .collect()
    }
}

impl ScenarioFile {
    /// What the names of codes and keys stand for.
    fn declared(&self) -> Bindings {
        let codes = self.codes.names();
        let codes = codes.map(|name| (name.to_owned(), Bound::Code(name.to_owned())));
        let keys = self.keys.names();
        let keys = keys.map(|name| (name.to_owned(), Bound::Key(name.to_owned())));
        codes.chain(keys).collect()
    }

    fn check(&self, requirements: &Requirements, problems: &mut Problems) {
        // Of a file that is refused already, the steps may be among the refused.
        if self.steps.is_empty() && problems.is_empty() {
            problems.add::<()>(Problem::new(
                self.scenario.span,
                format!("'{}' has no steps", self.scenario.value),
            ));
        }
        if self.intent.trim().is_empty() {
            problems.add::<()>(Problem::new(
                self.intent.span,
                "the intent is empty: say what a pass of this scenario shows",
            ));
        }
        for covered in &self.covers {
            if requirements.get(covered.value).is_none() {
                problems.add::<()>(
                    Problem::new(
                        covered.span,
                        format!("there is no requirement {}", covered.value),
                    )
                    .hint("scenarios/requirements.yaml has them all"),
                );
            }
        }
        self.check_names(problems);
        self.check_steps(problems);
    }

    /// Codes, keys and variants share the `$` names.
    fn check_names(&self, problems: &mut Problems) {
        for (name, _) in self.keys.iter() {
            if self.codes.get(name).is_some() {
                problems.add::<()>(Problem::new(
                    name.span,
                    format!("'{}' is a code already", name.value),
                ));
            }
        }
        for (name, values) in self.variants.iter() {
            for (declared, what) in [
                (self.codes.get(name).is_some(), "code"),
                (self.keys.get(name).is_some(), "key"),
            ] {
                if declared {
                    problems.add::<()>(Problem::new(
                        name.span,
                        format!("'{}' is a {what} already", name.value),
                    ));
                }
            }
            if values.is_empty() {
                problems.add::<()>(Problem::new(
                    name.span,
                    format!("'{}' has no values, so nothing would run", name.value),
                ));
            }
            for (at, value) in values.iter().enumerate() {
                let same = |other: &Written| other.0.value == value.0.value;
                if values[..at].iter().any(same) {
                    problems.add::<()>(Problem::new(
                        value.0.span,
                        format!("'{}' has this value already", name.value),
                    ));
                }
            }
        }
        for (name, code) in self.codes.iter() {
            if let Declared::Near { like, right, ends } = &code.0 {
                self.check_near(name, like, problems);
                if *ends && *right == Right::Exactly(0) {
                    problems.add::<()>(
                        Problem::new(
                            name.span,
                            format!("'{}' ends before its first digit", name.value),
                        )
                        .hint("write how many digits it has: right: 2"),
                    );
                }
            }
        }
    }

    /// What a code is like is a code that is declared, and not like a third.
    fn check_near(&self, name: &Spanned<String>, like: &str, problems: &mut Problems) {
        let wrong = match self.codes.get(like).map(|other| &other.0) {
            None => format!("'{}' is like '${like}', which nothing declares", name.value),
            Some(Declared::Near { .. }) => {
                format!(
                    "'{}' is like '${like}', which is like another itself",
                    name.value
                )
            }
            Some(_) => return,
        };
        let others = self.codes.iter().filter_map(|(other, code)| match code.0 {
            Declared::Near { .. } => None,
            _ => Some(other.value.as_str()),
        });
        problems.add::<()>(Problem::new(name.span, wrong).did_you_mean(like, others));
    }

    /// Each step with each value of each variant, so that a value of the wrong type is found where
    /// it is used.
    fn check_steps(&self, problems: &mut Problems) {
        let codes = self.declared();
        for code in &self.given.user_codes {
            code.resolve(&codes, problems);
        }
        let longest = self.variants.iter().map(|(_, values)| values.len()).max();
        for at in 0..longest.unwrap_or(0).max(1) {
            let mut bindings = codes.clone();
            for (name, values) in self.variants.iter() {
                if let Some(value) = values.get(at.min(values.len().saturating_sub(1))) {
                    bindings.insert(name.value.clone(), Bound::Written(value.0.clone()));
                }
            }
            for steps in [&self.steps, &self.finally] {
                Step::walk(steps, &mut |step| {
                    step.check(&bindings, problems);
                    if let Action::Interrupt(interrupt) = &step.action {
                        Step::walk(&interrupt.steps, &mut |inner| {
                            if matches!(inner.action, Action::Interrupt(_)) {
                                problems.add::<()>(Problem::new(
                                    inner.span,
                                    "an interruption inside an interruption",
                                ));
                            }
                        });
                    }
                });
            }
        }
    }
}

impl Deref for Scenario {
    type Target = ScenarioFile;
    fn deref(&self) -> &ScenarioFile {
        &self.file
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scenario({})", self.id())
    }
}

/// The JSON Schema of scenario files, from the types that read them.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ScenarioFile).to_value()
}

impl Read for DeclaredCode {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let quoted = matches!(node.value, Value::Scalar { quoted: true, .. });
        if matches!(node.value, Value::Table(_)) {
            let near = NearCode::read(node, problems)?;
            let like = match near.like {
                CodeWord::Name(like) => like,
                other @ (CodeWord::Digits(_) | CodeWord::Known(_)) => {
                    let found = match other {
                        CodeWord::Digits(_) => "digits",
                        _ => "one that is not declared",
                    };
                    return problems.add(
                        Problem::new(
                            other.span(),
                            format!("expected the name of a code, found {found}"),
                        )
                        .hint("write $name of one that is declared beside it"),
                    );
                }
            };
            return Some(Self(Declared::Near {
                like: like.value,
                right: near.right,
                ends: near.ends == YesNo::Yes,
            }));
        }
        let declared = match node.scalar() {
            _ if quoted => Declared::Literal(Code::read(node, problems)?),
            Some("user") => Declared::Made(CodeKind::User),
            Some("master") => Declared::Made(CodeKind::Master),
            Some("wrong") => Declared::Made(CodeKind::Wrong),
            Some("factory") => Declared::Factory,
            Some(number) if number.bytes().all(|one| one.is_ascii_digit()) => {
                return problems.expected_hint(
                    "a kind of code, or a code in quotes",
                    node,
                    &format!("write it in quotes: \"{number}\""),
                );
            }
            written => {
                return problems.add(
                    Problem::new(
                        node.span,
                        format!("expected a kind of code, found {}", node.describe()),
                    )
                    .did_you_mean(
                        written.unwrap_or_default(),
                        ["user", "master", "wrong", "factory"],
                    ),
                );
            }
        };
        Some(Self(declared))
    }
}

impl JsonSchema for DeclaredCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeclaredCode".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let digits = generator.subschema_for::<Code>();
        let near = generator.subschema_for::<NearCode>();
        json_schema!({ "anyOf": [
            { "enum": ["user", "master", "wrong", "factory"] },
            digits,
            near,
        ]})
    }
}
