//! The verbs. A step is a table with exactly one of them as a key, and what modifies it.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::argument::undeclared;
use super::{
    Ability, Access, Arg, Bindings, BoltState, CodeSet, CodeWord, CutAt, CutMode, DoorState, Drop,
    ExpectedSignal, GlitchMode, HoldFor, InstructionAt, KeyWord, Phase, PhaseLabel, Pulled, Pushed,
    Refusal, SupplyLevel, Times, WaitFor, Written, YesNo,
};
use crate::event::Nanos;
use crate::quantity::{Micrometres, Millidegrees, MillinewtonMetres, Percent};
use crate::source::{
    Named, Node, OneOrMore, Problem, Problems, Read, Span, Spanned, Value, file_table, key_of,
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
    /// Presses and releases a key or button, or several at once.
    Press as "a 'press' step" {
        /// A button or key by its name, or a key by its label in quotes; a list is pressed together.
        pub press: OneOrMore<Spanned<String>>,
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
        /// A button or key by its name, or a key by its label in quotes; `each-key` is every key of the
        /// keypad, one after the other; a `supply: off` that `while` begins with comes before each.
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
        /// Whether the lock must not carry it out.
        pub refused: Refusal = default,
        /// What the lock shows in the end, in place of what the procedure expects there.
        pub expect: Option<Spanned<ExpectedSignal>>,
        /// By when, if not as the profile says.
        pub within: Option<Nanos>,
    }
    /// The bolt must be there now.
    Bolt as "a 'bolt' step" {
        /// Where.
        pub bolt: BoltState,
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
    /// Pushes a key of a cylinder in, up to its shoulder.
    Insert as "an 'insert' step" {
        /// The key.
        pub insert: KeyWord,
        /// How far it stays short of its shoulder.
        pub short: Arg<Micrometres> = default,
        /// Whether the cylinder must keep it out.
        pub refused: Arg<Refusal> = default,
    }
    /// Pulls the key out, straight.
    Withdraw as "a 'withdraw' step" {
        /// `key`
        pub withdraw: Pulled,
        /// Not straight: by so much it is turned on the way, and back.
        pub turning: Arg<Millidegrees> = default,
        /// Whether the cylinder must hold it.
        pub refused: Arg<Refusal> = default,
    }
    /// Turns the key to an angle; 0 is where keys go in and out, clockwise is positive.
    Turn as "a 'turn' step" {
        /// The angle.
        pub turn: Arg<Millidegrees>,
        /// The torque that stops it, if not the profile's.
        pub torque: Option<Arg<MillinewtonMetres>>,
        /// Whether the cylinder must stop it.
        pub refused: Arg<Refusal> = default,
    }
    /// Pushes the learning tool in until the cylinder clicks, and pulls it out again.
    Plunge as "a 'plunge' step" {
        /// `tool`
        pub plunge: Pushed,
        /// How far, of the whole way.
        pub depth: Option<Arg<Percent>>,
        /// How often.
        pub times: Arg<Times> = default,
        /// It is left in.
        pub stays: YesNo = default,
        /// Whether the cylinder must not click.
        pub refused: Arg<Refusal> = default,
    }
    /// Carries out steps and makes the supply fail in one phase of them; what comes after it is
    /// not done any more.
    Interrupt as "an 'interrupt' step" {
        /// When and how.
        pub interrupt: Interruption,
        /// The steps.
        pub steps: Vec<Step>,
    }
    /// Carries out steps, in which one instruction of the lock's program goes wrong while it decides on a
    /// code that must not open; only on a virtual bench.
    Glitch as "a 'glitch' step" {
        /// Which, and how.
        pub glitch: Glitched,
        /// The steps.
        pub steps: Vec<Step>,
    }
    /// The lock must hold exactly one of these sets of codes.
    Settles as "a 'settles' step" {
        /// The sets, each with a name for the report.
        pub settles: Named<CodeSet>,
    }
    /// Asks the person at the bench to do something or to look at it. Where nobody attends, the run is
    /// skipped; a no, and no answer in time, end it as a broken bench does.
    Ask as "an 'ask' step" {
        /// What, in words.
        pub ask: Spanned<String>,
        /// By when they have to answer.
        pub within: Nanos,
    }
    /// Tries to read the lock's flash through its debug port, as somebody would who opened the lock. On the
    /// nRF51 that begins debug mode, which ends when the supply is cut.
    Readout as "a 'readout' step" {
        /// What must come of it.
        pub readout: Access,
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
    /// When and how the supply fails, or somebody stops in the middle.
    pub struct Interruption as "an interruption" {
        /// In this phase.
        pub at: Option<Spanned<Arg<Phase>>>,
        /// The supply fails in this way; left out, whoever works on a lock without one stops there.
        pub supply: Option<Arg<Drop>>,
        /// The supply fails at this point, which `lockrig cuts` names; only on a virtual bench. Of several
        /// each is counted from the power-on after the one before.
        pub cut: Option<OneOrMore<Cut>>,
        /// For so long; then the battery is fresh.
        pub r#for: Arg<Nanos>,
    }
}

file_table! {
    /// One instruction that goes wrong, as `lockrig glitch` names it.
    pub struct Glitched as "a glitch" {
        /// In which of the entries that must not open, from 1; left out, in the first.
        pub entry: Option<Arg<Times>>,
        /// The instruction, counted from the moment at which the entry's last key is pressed.
        pub at: InstructionAt,
        /// What goes wrong.
        pub mode: GlitchMode,
    }
}

file_table! {
    /// One exact loss of supply.
    pub struct Cut as "a cut" {
        /// At this point.
        pub at: CutAt,
        /// What it leaves of a write to flash that is under way.
        pub mode: CutMode,
    }
}

impl Copy for Cut {}

impl Step {
    /// What the lock is expected to show.
    pub fn expect(&self) -> Option<&Spanned<ExpectedSignal>> {
        match &self.action {
            Action::Enter(step) => step.expect.as_ref(),
            Action::Press(step) => step.expect.as_ref(),
            Action::Hold(step) => step.expect.as_ref(),
            Action::Supply(step) => step.expect.as_ref(),
            Action::Do(step) => step.expect.as_ref(),
            Action::Expect(step) => Some(&step.expect),
            Action::Door(_)
            | Action::Bolt(_)
            | Action::Wait(_)
            | Action::Opens(_)
            | Action::Refuses(_)
            | Action::Interrupt(_)
            | Action::Glitch(_)
            | Action::Insert(_)
            | Action::Withdraw(_)
            | Action::Turn(_)
            | Action::Plunge(_)
            | Action::Ask(_)
            | Action::Readout(_)
            | Action::Settles(_) => None,
        }
    }

    /// By when, if the step says so itself.
    pub fn within(&self) -> Option<Nanos> {
        match &self.action {
            Action::Enter(step) => step.within,
            Action::Press(step) => step.within,
            Action::Hold(step) => step.within,
            Action::Supply(step) => step.within,
            Action::Do(step) => step.within,
            Action::Expect(step) => step.within,
            Action::Wait(step) => step.within,
            Action::Ask(step) => Some(step.within),
            Action::Door(_)
            | Action::Bolt(_)
            | Action::Opens(_)
            | Action::Refuses(_)
            | Action::Interrupt(_)
            | Action::Glitch(_)
            | Action::Insert(_)
            | Action::Withdraw(_)
            | Action::Turn(_)
            | Action::Plunge(_)
            | Action::Readout(_)
            | Action::Settles(_) => None,
        }
    }

    /// The steps inside this one.
    pub fn inner(&self) -> &[Step] {
        match &self.action {
            Action::Hold(step) => &step.r#while,
            Action::Interrupt(step) => &step.steps,
            Action::Glitch(step) => &step.steps,
            _ => &[],
        }
    }

    /// Calls `see` for each of the steps and everything inside them.
    pub fn walk<'s>(steps: &'s [Step], see: &mut impl FnMut(&'s Step)) {
        for step in steps {
            see(step);
            Self::walk(step.inner(), see);
        }
    }

    /// Finds what is wrong with this step alone, once every `$name` stands for what `bindings`
    /// says.
    pub fn check(&self, bindings: &Bindings, problems: &mut Problems) {
        match &self.action {
            Action::Enter(step) => {
                step.enter.resolve(bindings, problems);
                step.times.resolve(bindings, problems);
            }
            Action::Press(step) => {
                check(step.r#for.as_ref(), bindings, problems);
                step.times.resolve(bindings, problems);
            }
            Action::Hold(step) => {
                step.r#for.resolve(bindings, problems);
            }
            Action::Supply(step) => {
                step.supply.resolve(bindings, problems);
                check(step.r#for.as_ref(), bindings, problems);
            }
            Action::Ask(step) => {
                if step.ask.trim().is_empty() {
                    problems.add::<()>(
                        Problem::new(step.ask.span, "a question without words")
                            .hint("write what the person is to do or to look at"),
                    );
                }
            }
            Action::Door(step) => {
                step.door.resolve(bindings, problems);
            }
            Action::Wait(step) => {
                check(step.share.as_ref(), bindings, problems);
                let wait = step.wait.resolve(bindings, problems);
                if wait == Some(WaitFor::Idle) && step.within.is_none() {
                    problems.add::<()>(
                        Problem::new(self.span, "a wait without a bound")
                            .hint("say how long at most: within: 10 s"),
                    );
                }
            }
            Action::Do(step) => {
                for (_, argument) in step.with.iter() {
                    if let Ok(name) = argument.name()
                        && !bindings.contains_key(&name.value)
                    {
                        let known = bindings.keys().map(String::as_str);
                        problems.add::<()>(undeclared(&name, known));
                    }
                }
            }
            Action::Opens(step) => {
                step.opens.resolve(bindings, problems);
                step.times.resolve(bindings, problems);
            }
            Action::Refuses(step) => {
                step.refuses.resolve(bindings, problems);
                step.times.resolve(bindings, problems);
            }
            Action::Interrupt(step) => {
                let at = step.interrupt.at.as_ref().map(|at| &at.value);
                check(at, bindings, problems);
                check(step.interrupt.supply.as_ref(), bindings, problems);
                step.interrupt.r#for.resolve(bindings, problems);
                let cuts = step.interrupt.cut.as_ref().map(OneOrMore::as_slice);
                let says_when = match (cuts, at) {
                    (None, Some(_)) => true,
                    (Some([_, ..]), None) => step.interrupt.supply.is_none(),
                    _ => false,
                };
                if !says_when {
                    problems.add::<()>(
                        Problem::new(self.span, "an interruption that does not say when")
                            .hint("write either 'at' with 'supply', or 'cut'"),
                    );
                }
            }
            Action::Glitch(step) => {
                check(step.glitch.entry.as_ref(), bindings, problems);
            }
            Action::Settles(step) => {
                for (_, set) in step.settles.iter() {
                    if let CodeSet::Codes(codes) = set {
                        for code in codes {
                            code.resolve(bindings, problems);
                        }
                    }
                }
            }
            Action::Insert(step) => {
                step.insert.resolve(bindings, problems);
                step.short.resolve(bindings, problems);
                step.refused.resolve(bindings, problems);
            }
            Action::Withdraw(step) => {
                step.turning.resolve(bindings, problems);
                step.refused.resolve(bindings, problems);
            }
            Action::Turn(step) => {
                step.turn.resolve(bindings, problems);
                check(step.torque.as_ref(), bindings, problems);
                step.refused.resolve(bindings, problems);
            }
            Action::Plunge(step) => {
                check(step.depth.as_ref(), bindings, problems);
                step.times.resolve(bindings, problems);
                step.refused.resolve(bindings, problems);
            }
            Action::Bolt(_) | Action::Expect(_) | Action::Readout(_) => {}
        }
        if let (Some(expected), None) = (self.expect(), self.within())
            && expected.value == ExpectedSignal::Nothing
        {
            problems.add::<()>(
                Problem::new(expected.span, "a wait without a bound")
                    .hint("say for how long nothing must be seen: within: 2 s"),
            );
        }
    }
}

fn check<T: Read + Clone>(arg: Option<&Arg<T>>, bindings: &Bindings, problems: &mut Problems) {
    if let Some(arg) = arg {
        arg.resolve(bindings, problems);
    }
}

impl Read for Step {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Table(entries) = &node.value else {
            return problems.expected("a step (a table with one verb)", node);
        };
        let verb_of = |key: &str| Action::VERBS.iter().find(|verb| key_of(verb) == key);
        let verbs: Vec<_> = entries
            .iter()
            .filter_map(|(key, _)| Some((key, *verb_of(&key.value)?)))
            .collect();
        // Beside another verb, `expect` is its modifier.
        let (expects, acts): (Vec<_>, Vec<_>) =
            verbs.into_iter().partition(|(_, verb)| *verb == "Expect");
        let Some((_, verb)) = acts.first().or(expects.first()) else {
            return without_verb(node, entries, problems);
        };
        for (second, _) in acts.iter().skip(1) {
            problems.add::<()>(
                Problem::new(
                    second.span,
                    format!("a second verb in one step: '{}'", second.value),
                )
                .hint("write it as a step of its own"),
            );
        }
        let others: Vec<Span> = acts.iter().skip(1).map(|(key, _)| key.span).collect();
        let own = Node {
            span: node.span,
            value: Value::Table(
                entries
                    .iter()
                    .filter(|(key, _)| !others.contains(&key.span))
                    .cloned()
                    .collect(),
            ),
        };
        Some(Self {
            span: node.span,
            action: Action::read_verb(verb, &own, problems)?,
        })
    }
}

fn without_verb(
    node: &Node,
    entries: &[(Spanned<String>, Node)],
    problems: &mut Problems,
) -> Option<Step> {
    let verbs: Vec<String> = Action::VERBS.iter().map(|verb| key_of(verb)).collect();
    let verbs = verbs.iter().map(String::as_str);
    problems.add(match entries.first() {
        Some((key, _)) => Problem::new(
            key.span,
            format!("a step needs a verb, '{}' is none", key.value),
        )
        .did_you_mean(&key.value, verbs),
        None => Problem::new(node.span, "a step without a verb").did_you_mean("", verbs),
    })
}

impl JsonSchema for Step {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Step".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Action::json_schema(generator)
    }
}
