//! A fuzzer's script as a scenario, and back: the same bytes come out again.
//!
//! Every action ends with a `wait`, which is its pause; door, supply and press come before it, and what is
//! written after it is how the supply was lost at its end. A cut within the action stands around it.
//!
//! The alphabet and its bytes are those of [`fuzz_script`], which every fuzzer of the lock reads. A scenario that
//! people wrote says more than a script can: [`flat`] leaves of it what is done, as a seed.

pub mod flat;

use std::fmt::Write as _;
use std::iter::Peekable;

use crate::event::Nanos;
use crate::scenario::Scenario;
use crate::source::OneOrMore;
use crate::step::{
    self, Arg, CutAt, CutKind, CutMode, DoorState, HoldFor, Step, SupplyLevel, Times, WaitFor,
};
use fuzz_script::{ACTIONS_MAX, Action, Contact, Door, Loss, Pause, Press, Script, Supply, Torn};

/// The products' names by their places in scripts, which are those of the pages in `fuzz/personalities`.
pub const PRODUCTS: [&str; 6] = [
    "kwikset-powerbolt-2",
    "kwikset-smartcode-909",
    "sargent-greenleaf-z03",
    "securam-safelogic",
    "sentrysafe-sfw123",
    "stack-on-red-button",
];

/// The place of a product in scripts.
///
/// # Errors
/// One that has none.
pub fn place_of(product: &str) -> Result<u8, String> {
    let place = PRODUCTS.iter().position(|known| *known == product);
    place.map(|place| place as u8).ok_or_else(|| {
        format!(
            "scripts do not know the product '{product}'; they know {}",
            PRODUCTS.join(", ")
        )
    })
}

/// The intent of a scenario that was found, in front of the product's name.
const FOUND_ON: &str = "Found by a fuzzer on ";

/// The scenario of a script, under the name that is given; none where nothing is done.
pub fn scenario(script: &Script, name: &str) -> Option<String> {
    (!script.actions.is_empty()).then(|| written(script, name))
}

fn written(script: &Script, name: &str) -> String {
    let product = PRODUCTS[usize::from(script.product) % PRODUCTS.len()];
    let mut text = format!(
        "scenario: {name}\nversion: 1\nintent: {FOUND_ON}{product}\nneeds: [keypad]\ncovers: []\n\
         given: {{ door: open, supply: fresh }}\n\nsteps:\n"
    );
    let mut level = Supply::Fresh;
    for action in &script.actions {
        if action.supply != Supply::Stays {
            level = action.supply;
        }
        write_action(&mut text, action, level);
    }
    text
}

/// The line of a script's scenario in which each action begins, from 1.
pub fn begins(script: &Script) -> Vec<usize> {
    let lines = |count: usize| {
        let mut beginning = script.clone();
        beginning.actions.truncate(count);
        written(&beginning, "x").lines().count() + 1
    };
    (0..script.actions.len()).map(lines).collect()
}

fn write_action(text: &mut String, action: &Action, level: Supply) {
    let mut steps = Vec::new();
    match action.door {
        Door::Stays => {}
        Door::Open => steps.push("door: open".to_owned()),
        Door::Closed => steps.push("door: closed".to_owned()),
    }
    if let Some(level) = supply_word(action.supply) {
        steps.push(format!("supply: {level}"));
    }
    let lasts = Nanos::from_millis(u64::from(action.press.lasts_ms()));
    match action.press {
        Press::Nothing => {}
        Press::Tap(contact) | Press::Hold(contact, _) => {
            steps.push(format!(
                "{{ press: {}, for: {lasts} }}",
                contact_word(contact)
            ));
        }
        Press::Chord(first, second) => {
            let [first, second] = [first, second].map(|key| contact_word(Contact::Key(key)));
            steps.push(format!("{{ press: [{first}, {second}], for: {lasts} }}"));
        }
    }
    steps.push(format!("wait: {}", span(action.pause.ms())));
    let back = supply_word(level).unwrap_or("fresh");
    match action.cut {
        Loss::None => {}
        Loss::Cycle(how_long) => {
            let off = span(Loss::OFF_MS[usize::from(how_long)]);
            steps.push(format!("{{ supply: off, for: {off} }}"));
            steps.push(format!("supply: {back}"));
        }
        Loss::Holding(button) => {
            steps.push(format!("{{ supply: off, for: {} }}", span(Loss::OFF_MS[0])));
            steps.push(format!(
                "{{ hold: {}, for: {}, while: [{{ supply: {back} }}] }}",
                contact_word(button),
                span(Loss::HELD_MS)
            ));
        }
        Loss::InWrite(write, torn) => {
            let (write, mode) = (Loss::WRITES[usize::from(write)], mode(torn));
            let off = span(Loss::WRITE_OFF_MS);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "  - interrupt: {{ cut: {{ at: flash-op {write}, mode: {mode} }}, for: {off} }}\n    steps:"
            );
            for step in steps {
                let _ = writeln!(text, "      - {step}");
            }
            return;
        }
    }
    for step in steps {
        let _ = writeln!(text, "  - {step}");
    }
}

/// The script of a scenario.
///
/// # Errors
/// What in it no script can do, and where.
pub fn script(scenario: &Scenario) -> Result<Script, String> {
    let product = scenario.intent.value.trim().strip_prefix(FOUND_ON);
    let product = product.and_then(|name| PRODUCTS.iter().position(|known| *known == name));
    let mut actions = Vec::new();
    let mut steps = scenario.steps.iter().peekable();
    while let Some(step) = steps.next() {
        let line = scenario.source().line(step.span);
        let action = action(step, &mut steps).map_err(|why| format!("{line}: {why}"))?;
        actions.push(action);
    }
    let given = &scenario.given;
    let usual = (given.door, given.supply) == (Some(DoorState::Open), Some(SupplyLevel::Fresh));
    let more = [
        (!scenario.codes.is_empty(), "codes of its own"),
        (!scenario.variants.is_empty(), "variants"),
        (!given.user_codes.is_empty(), "codes that are given"),
        (
            !usual,
            "another state that is given than door open and supply fresh",
        ),
        (!scenario.finally.is_empty(), "a way out"),
    ];
    if let Some((_, what)) = more.into_iter().find(|(has, _)| *has) {
        return Err(format!("it has {what}, and a script has none"));
    }
    let product = product.ok_or_else(|| {
        format!(
            "its intent does not name a product: '{FOUND_ON}' and one of {}",
            PRODUCTS.join(", ")
        )
    })?;
    match actions.len() <= ACTIONS_MAX {
        true => Ok(Script {
            product: product as u8,
            actions,
        }),
        false => Err(format!(
            "it has {} actions, and a script has at most {ACTIONS_MAX}",
            actions.len()
        )),
    }
}

/// The action that begins with a step, and goes on with others.
fn action<'s>(
    step: &'s Step,
    steps: &mut Peekable<impl Iterator<Item = &'s Step>>,
) -> Result<Action, String> {
    let mut action = Action::default();
    if let step::Action::Interrupt(interrupt) = &step.action {
        let mut inner = interrupt.steps.iter();
        while !into_action(inner.next().ok_or("a cut around no wait")?, &mut action)? {}
        if inner.next().is_some() {
            return Err("a cut around more than one action".to_owned());
        }
        action.cut = in_write(interrupt)?;
        return Ok(action);
    }
    let mut next = step;
    while !into_action(next, &mut action)? {
        next = steps.next().ok_or("an action without a wait at its end")?;
    }
    if let Some(off_ms) = steps.peek().and_then(|step| off_ms(step)) {
        steps.next();
        let back = steps.next().ok_or("a supply that never comes back")?;
        action.cut = cycle(off_ms, back)?;
    }
    Ok(action)
}

/// Adds a step to an action; true, if it is its last.
fn into_action(step: &Step, action: &mut Action) -> Result<bool, String> {
    if step.expect().is_some() {
        return Err("an expectation: no script has any".to_owned());
    }
    if step.action.condition().is_some() || step.action.phase() != Default::default() {
        return Err("a step with a condition or a phase".to_owned());
    }
    match &step.action {
        step::Action::Door(door) => {
            action.door = match value(&door.door)? {
                DoorState::Open => Door::Open,
                DoorState::Closed => Door::Closed,
            };
        }
        step::Action::Supply(supply) => action.supply = level(value(&supply.supply)?)?,
        step::Action::Press(press) => {
            let lasts = press.r#for.as_ref().map(value).transpose()?;
            let lasts_ms = lasts.map_or(0, |lasts: Nanos| lasts.as_millis());
            if value(&press.times)? != Times::Count(1) {
                return Err("a press that is made several times".to_owned());
            }
            let contacts: Vec<Contact> = press
                .press
                .as_slice()
                .iter()
                .map(|name| contact(name))
                .collect::<Result<_, _>>()?;
            action.press = match contacts.as_slice() {
                [Contact::Key(first), Contact::Key(second)] if first < second => {
                    Press::Chord(*first, *second)
                }
                [contact] if lasts_ms == u64::from(Press::TAP_MS) => Press::Tap(*contact),
                [contact] => {
                    let place =
                        place(&Press::HOLDS_MS, lasts_ms).ok_or("a press of another length")?;
                    Press::Hold(*contact, place)
                }
                _ => return Err("other keys together than two in their order".to_owned()),
            };
        }
        step::Action::Wait(wait) => {
            let WaitFor::Time(time) = value(&wait.wait)? else {
                return Err("a wait for something else than a time".to_owned());
            };
            let pause = u32::try_from(time.as_millis())
                .ok()
                .and_then(Pause::exactly);
            action.pause = pause
                .ok_or_else(|| format!("a wait of another length than scripts know: {time}"))?;
            return Ok(true);
        }
        other => return Err(format!("'{}' is no word of scripts", verb(other))),
    }
    Ok(false)
}

/// How a step is written.
fn verb(action: &step::Action) -> &'static str {
    match action {
        step::Action::Enter(_) => "enter",
        step::Action::Press(_) => "press",
        step::Action::Hold(_) => "hold",
        step::Action::Supply(_) => "supply",
        step::Action::Door(_) => "door",
        step::Action::Wait(_) => "wait",
        step::Action::Do(_) => "do",
        step::Action::Bolt(_) => "bolt",
        step::Action::Opens(_) => "opens",
        step::Action::Refuses(_) => "refuses",
        step::Action::Insert(_) => "insert",
        step::Action::Withdraw(_) => "withdraw",
        step::Action::Turn(_) => "turn",
        step::Action::Plunge(_) => "plunge",
        step::Action::Interrupt(_) => "interrupt",
        step::Action::Glitch(_) => "glitch",
        step::Action::Settles(_) => "settles",
        step::Action::Ask(_) => "ask",
        step::Action::Readout(_) => "readout",
        step::Action::Expect(_) => "expect",
    }
}

fn in_write(interrupt: &step::Interrupt) -> Result<Loss, String> {
    let cuts = interrupt.interrupt.cut.as_ref().map(OneOrMore::as_slice);
    let Some(
        [
            step::Cut {
                at:
                    CutAt {
                        kind: CutKind::FlashOp,
                        number,
                    },
                mode: found,
            },
        ],
    ) = cuts
    else {
        return Err("an interruption that is no single cut in a write to flash".to_owned());
    };
    let write = place(&Loss::WRITES, u64::from(*number))
        .ok_or_else(|| format!("a cut in a write that scripts do not know: {number}"))?;
    let torn = Torn::ALL.iter().find(|torn| mode(**torn) == *found);
    let torn = torn.ok_or_else(|| format!("a cut that scripts do not know: {found}"))?;
    Ok(Loss::InWrite(write, *torn))
}

fn off_ms(step: &Step) -> Option<u64> {
    let step::Action::Supply(supply) = &step.action else {
        return None;
    };
    let off = value(&supply.supply).is_ok_and(|level| level == SupplyLevel::Off);
    let lasts = supply.r#for.as_ref().and_then(|lasts| value(lasts).ok());
    lasts.filter(|_| off).map(Nanos::as_millis)
}

fn cycle(off_ms: u64, back: &Step) -> Result<Loss, String> {
    match &back.action {
        step::Action::Supply(_) => {
            let place =
                place(&Loss::OFF_MS, off_ms).ok_or("a supply that is away for another time")?;
            Ok(Loss::Cycle(place))
        }
        step::Action::Hold(hold) => match (contact(&hold.hold)?, value(&hold.r#for)?) {
            (button @ (Contact::Reset | Contact::Program), HoldFor::Exactly(lasts))
                if lasts.as_millis() == u64::from(Loss::HELD_MS) =>
            {
                Ok(Loss::Holding(button))
            }
            _ => Err("a power-on with something else held than a button for 31 s".to_owned()),
        },
        _ => Err("a supply that does not come back at once".to_owned()),
    }
}

fn value<T: Clone>(arg: &Arg<T>) -> Result<T, String> {
    match arg {
        Arg::Value(value) => Ok(value.clone()),
        Arg::Name(name) => Err(format!(
            "a name, '${}', where a script has a value",
            name.value
        )),
    }
}

fn place(table: &[u32], wanted: u64) -> Option<u8> {
    let place = table.iter().position(|known| u64::from(*known) == wanted)?;
    Some(place as u8)
}

fn span(millis: u32) -> Nanos {
    Nanos::from_millis(u64::from(millis))
}

fn contact_word(contact: Contact) -> String {
    match contact {
        Contact::Key(place) => format!("\"{}\"", Contact::KEYS[usize::from(place)]),
        Contact::Reset => "reset".to_owned(),
        Contact::Program => "program".to_owned(),
    }
}

fn contact(word: &str) -> Result<Contact, String> {
    let mut letters = word.chars();
    match (word, letters.next(), letters.next()) {
        ("reset", ..) => Ok(Contact::Reset),
        ("program", ..) => Ok(Contact::Program),
        (_, Some(label), None) => {
            Contact::key(label).ok_or_else(|| format!("a key that scripts do not know: {word}"))
        }
        _ => Err(format!("a key by its name: '{word}'; scripts know labels")),
    }
}

fn supply_word(supply: Supply) -> Option<&'static str> {
    match supply {
        Supply::Stays => None,
        Supply::Fresh => Some("fresh"),
        Supply::Low => Some("low"),
        Supply::NoChanges => Some("no-changes"),
        Supply::Critical => Some("critical"),
    }
}

fn level(level: SupplyLevel) -> Result<Supply, String> {
    Ok(match level {
        SupplyLevel::Fresh => Supply::Fresh,
        SupplyLevel::Low => Supply::Low,
        SupplyLevel::NoChanges => Supply::NoChanges,
        SupplyLevel::Critical => Supply::Critical,
        SupplyLevel::Off | SupplyLevel::Sag | SupplyLevel::Volts(_) => {
            return Err(format!("a supply that scripts do not know: {level}"));
        }
    })
}

fn mode(torn: Torn) -> CutMode {
    match torn {
        Torn::DroppedBefore => CutMode::DroppedBefore,
        Torn::DroppedAfter => CutMode::DroppedAfter,
        Torn::FirstByte => CutMode::Prefix(1),
        Torn::ThreeBytes => CutMode::Prefix(3),
        Torn::BitLost => CutMode::BitLost(5),
        Torn::BitStray => CutMode::BitStray(5),
        Torn::Subset => CutMode::Subset(1),
        Torn::Quarter => CutMode::Percent(25),
        Torn::Metastable => CutMode::Metastable(1),
    }
}
