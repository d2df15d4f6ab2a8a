//! The verbs. A step is a table with exactly one of them as a key, and what modifies it.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{
    Ability, Arg, CodeSet, CodeWord, DoorState, Drop, ExpectedSignal, HoldFor, Phase, PhaseLabel,
    SupplyLevel, Times, WaitFor, Written, YesNo,
};
use crate::event::Nanos;
use crate::quantity::Percent;
use crate::source::{
    Named, Node, Problem, Problems, Read, Span, Spanned, Value, file_table, key_of,
};

/// One step of a scenario or procedure, and its place in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it starts.
    pub span: Span,
    /// What is done.
    pub action: Action,
}

/// Declares each verb as the table that it is written as, and [`Action`] as one of them. The
/// modifiers that every verb understands are added here.
macro_rules! verbs {
    ($($(#[$doc:meta])* $verb:ident as $what:literal { $($fields:tt)* })*) => {
        $( file_table! {
            $(#[$doc])*
            pub struct $verb as $what {
                $($fields)*
                /// Which phase this is.
                pub phase: Option<PhaseLabel>,
                /// Done only on products that have this.
                pub r#where: Option<Spanned<Ability>>,
            }
        } )*

        /// What a step does: one verb.
        #[derive(Clone, Debug, PartialEq, JsonSchema)]
        #[schemars(untagged)]
        pub enum Action {
            $( $(#[$doc])* $verb($verb), )*
        }

        impl Action {
            /// The verbs, in the order in which a step's keys are searched for one.
            pub const VERBS: &'static [&'static str] = &[ $( stringify!($verb) ),* ];

            fn read_verb(verb: &str, node: &Node, problems: &mut Problems) -> Option<Self> {
                match verb {
                    $( stringify!($verb) => $verb::read(node, problems).map(Self::$verb), )*
                    other => unreachable!("'{other}' is not among the verbs"),
                }
            }

            /// Which phase the step is.
            pub fn phase(&self) -> PhaseLabel {
                match self { $( Self::$verb(step) => step.phase.unwrap_or_default(), )* }
            }

            /// What a product must have for the step to be done.
            pub fn condition(&self) -> Option<&Spanned<Ability>> {
                match self { $( Self::$verb(step) => step.r#where.as_ref(), )* }
            }
        }
    };
}

verbs! {
    /// Enters a code and what ends an entry on this product.
    Enter as "an 'enter' step" {
        /// The code.
        pub enter: CodeWord,
        /// How often; each time the answer is awaited.
        pub times: Arg<Times> = default,
        /// What the lock then shows.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// Presses and releases a key or button.
    Press as "a 'press' step" {
        /// A button or key by its name, or a key by its label in quotes.
        pub press: Spanned<String>,
        /// How long, if not as long as the profile's keys are pressed.
        pub r#for: Option<Arg<Nanos>>,
        /// How often.
        pub times: Arg<Times> = default,
        /// What the lock then shows.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// Holds a key or button, and measures how long it really was.
    Hold as "a 'hold' step" {
        /// A button or key by its name, or a key by its label in quotes.
        pub hold: Spanned<String>,
        /// How long, counted from the end of `while`.
        pub r#for: Arg<HoldFor>,
        /// What is done while it is held, before `for` begins to count.
        pub r#while: Vec<Step> = default,
        /// What the lock shows, still during the hold or after it.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when after the end of the hold, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// Sets the supply.
    Supply as "a 'supply' step" {
        /// To what.
        pub supply: Arg<SupplyLevel>,
        /// How long to wait afterwards.
        pub r#for: Option<Arg<Nanos>>,
        /// What the lock then shows.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// Opens or closes the door.
    Door as "a 'door' step" {
        /// Which.
        pub door: Arg<DoorState>,
    }
    /// Lets time pass until something is over.
    Wait as "a 'wait' step" {
        /// What is waited for.
        pub wait: Arg<WaitFor>,
        /// Only this share of it.
        pub share: Option<Arg<Percent>>,
        /// The bound, where what is waited for has none of its own.
        pub within: Option<Nanos>,
    }
    /// Carries out one of the profile's procedures.
    Do as "a 'do' step" {
        /// Its name.
        pub r#do: Spanned<String>,
        /// Its arguments.
        pub with: Named<Written> = default,
        /// The lock must not carry it out: nothing that the procedure expects is seen.
        pub refused: YesNo = default,
        /// What the lock shows in the end, in place of what the procedure expects there.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// The code must open: accepted is shown and the bolt is withdrawn. Then it is locked again.
    Opens as "an 'opens' step" {
        /// The code.
        pub opens: CodeWord,
        /// How often.
        pub times: Arg<Times> = default,
    }
    /// The code must not open: the bolt stays thrown.
    Refuses as "a 'refuses' step" {
        /// The code.
        pub refuses: CodeWord,
        /// How often.
        pub times: Arg<Times> = default,
    }
    /// Carries out steps and makes the supply fail in one phase of them; what comes after it is
    /// not done any more.
    Interrupt as "an 'interrupt' step" {
        /// When and how.
        pub interrupt: Interruption,
        /// The steps.
        pub steps: Vec<Step>,
    }
    /// The lock must hold exactly one of these sets of codes.
    Settles as "a 'settles' step" {
        /// The sets, each with a name for the report.
        pub settles: Named<CodeSet>,
    }
    /// Waits until the lock has shown something.
    Expect as "an 'expect' step" {
        /// What.
        pub expect: Spanned<ExpectedSignal>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
}

file_table! {
    /// When and how the supply fails.
    pub struct Interruption as "an interruption" {
        /// In this phase.
        pub at: Spanned<Arg<Phase>>,
        /// In this way.
        pub supply: Arg<Drop>,
        /// For so long; then the battery is fresh.
        pub r#for: Arg<Nanos>,
    }
}

impl Read for Step {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return problems.expected("a step (a table with one verb)", node);
        };
        let has = |verb: &str| entries.iter().any(|(key, _)| key.value == verb);
        let Some(verb) = Action::VERBS.iter().find(|verb| has(&key_of(verb))) else {
            let verbs: Vec<String> = Action::VERBS.iter().map(|verb| key_of(verb)).collect();
            let (span, written) = match entries.first() {
                Some((key, _)) => (key.span, key.value.as_str()),
                None => (node.span, ""),
            };
            return problems.add(
                Problem::new(span, format!("a step needs a verb, '{written}' is none"))
                    .did_you_mean(written, verbs.iter().map(String::as_str)),
            );
        };
        Some(Self {
            span: node.span,
            action: Action::read_verb(verb, node, problems)?,
        })
    }
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Action::json_schema(generator)
    }
}
