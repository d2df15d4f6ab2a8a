//! What is wrong with a profile although each of its values is well formed: names that nothing
//! declares, facts that contradict each other, choices where nothing is to be chosen.

use super::sections::{Parameter, Procedure};
use super::{Asked, Button, EffectOf, Fact, Factory, ProfileFile, Signal, Stores};
use crate::event::Nanos;
use crate::source::{OneOrMore, Problem, Problems, Span, Spanned};
use crate::step::{Action, Bindings, Bound, Do, ExpectedSignal, Step, known_code, undeclared};

/// Finds everything that is wrong.
pub(super) fn check(file: &ProfileFile, problems: &mut Problems) {
    sources(file, problems);
    keys(file, problems);
    changes(file, problems);
    lockout(file, problems);
    supply(file, problems);
    signals(file, problems);
    weaknesses(file, problems);
    silent_places(file, problems);
    for (name, procedure) in file.procedures.iter() {
        parameters(procedure, problems);
        let bindings = defaults(procedure.with.iter());
        Step::walk(&procedure.steps, &mut |step| {
            step.check(&bindings, problems);
            names_in(file, step, problems);
        });
        if let Some(after) = &procedure.after {
            known_procedure(file, after, problems);
        }
        let stores = matches!(
            procedure.effect,
            EffectOf::StoresUserCode | EffectOf::DeletesUserCode | EffectOf::StoresMasterCode
        );
        if stores && !matches!(procedure.with.get("code"), Some(Parameter::Code(_))) {
            problems.add::<()>(
                Problem::new(
                    name.span,
                    format!("'{}' stores or deletes a code and takes none", name.value),
                )
                .hint("with: { code: user }"),
            );
        }
        if calls(file, &name.value, &name.value, &mut Vec::new()) {
            problems.add::<()>(Problem::new(
                name.span,
                format!("'{}' is a part of itself", name.value),
            ));
        }
    }
}

/// Finds the names in a step of a scenario or procedure that this profile does not know.
pub(crate) fn names_in(file: &ProfileFile, step: &Step, problems: &mut Problems) {
    if let Some(expected) = step.expect()
        && let ExpectedSignal::Signal(name) = &expected.value
        && file.signals.get(name).is_none()
    {
        problems.add::<()>(
            Problem::new(
                expected.span,
                format!("'{}' has no signal '{name}'", file.profile.value),
            )
            .did_you_mean(name, file.signals.names()),
        );
    }
    match &step.action {
        Action::Press(press) => {
            for name in press.press.as_slice() {
                known_contact(file, name, problems);
            }
        }
        Action::Hold(hold) if hold.hold.value == EACH_KEY => {}
        Action::Hold(hold) => known_contact(file, &hold.hold, problems),
        Action::Do(call) => known_call(file, call, problems),
        _ => {}
    }
}

fn known_call(file: &ProfileFile, call: &Do, problems: &mut Problems) {
    if !known_procedure(file, &call.r#do, problems) {
        return;
    }
    let name = &call.r#do.value;
    let Some(procedure) = file.procedures.get(name) else {
        return;
    };
    for (argument, _) in call.with.iter() {
        if procedure.with.get(&argument.value).is_none() {
            problems.add::<()>(
                Problem::new(
                    argument.span,
                    format!(
                        "'{name}' of '{}' takes no '{}'",
                        file.profile.value, argument.value
                    ),
                )
                .did_you_mean(&argument.value, procedure.with.names()),
            );
        }
    }
    for (parameter, kind) in procedure.with.iter() {
        if matches!(kind, Parameter::Code(_)) && call.with.get(&parameter.value).is_none() {
            problems.add::<()>(
                Problem::new(
                    call.r#do.span,
                    format!(
                        "'{name}' of '{}' needs a code as its '{}'",
                        file.profile.value, parameter.value
                    ),
                )
                .hint(format!("with: {{ {}: $some-code }}", parameter.value)),
            );
        }
    }
}

fn known_procedure(file: &ProfileFile, name: &Spanned<String>, problems: &mut Problems) -> bool {
    if file.procedures.get(name).is_some() {
        return true;
    }
    problems.add::<()>(
        Problem::new(
            name.span,
            format!("'{}' has no procedure '{}'", file.profile.value, name.value),
        )
        .did_you_mean(name, file.procedures.names()),
    );
    false
}

/// What scenarios call a button that the product has no use for.
pub(crate) const OTHER_BUTTON: &str = "other-button";

/// What a hold calls every key of the keypad, one after the other.
pub(crate) const EACH_KEY: &str = "each-key";

fn known_contact(file: &ProfileFile, name: &Spanned<String>, problems: &mut Problems) {
    let buttons: Vec<String> = Button::ALL.iter().map(|button| button.word()).collect();
    if name.value == OTHER_BUTTON
        || buttons.contains(&name.value)
        || file.keypad.key(name).is_some()
    {
        return;
    }
    let known = buttons
        .iter()
        .map(String::as_str)
        .chain(file.keypad.names.names())
        .chain(file.keypad.labels())
        .chain([OTHER_BUTTON]);
    problems.add::<()>(
        Problem::new(
            name.span,
            format!(
                "'{}' has no button or key '{}'",
                file.profile.value, name.value
            ),
        )
        .did_you_mean(name, known),
    );
}

/// A parameter may be, unless it is given, what one before it is.
fn parameters(procedure: &Procedure, problems: &mut Problems) {
    let mut before: Vec<&str> = Vec::new();
    for (name, parameter) in procedure.with.iter() {
        if let Parameter::Value(value) = parameter
            && let Ok(other) = value.name()
            && !before.contains(&other.value.as_str())
        {
            problems.add::<()>(undeclared(&other, before.iter().copied()));
        }
        before.push(name);
    }
}

/// What `$name` means in a procedure while nobody calls it: the defaults, and codes for codes.
pub(super) fn defaults<'p>(
    parameters: impl Iterator<Item = (&'p Spanned<String>, &'p Parameter)>,
) -> Bindings {
    let mut bindings = Bindings::new();
    for (name, parameter) in parameters {
        let bound = match parameter {
            Parameter::Code(_) => Bound::Code(name.value.clone()),
            Parameter::Key => Bound::Key(name.value.clone()),
            // `$new`: what an argument before it is.
            Parameter::Value(value) => match value.name() {
                Ok(other) => bindings
                    .get(&other.value)
                    .cloned()
                    .unwrap_or(Bound::Written(value.0.clone())),
                Err(node) => match known_code(node) {
                    Some(known) => Bound::Known(known),
                    None => Bound::Written(node.clone()),
                },
            },
        };
        bindings.insert(name.value.clone(), bound);
    }
    bindings
}

/// Whether `procedure` leads to `wanted`, through whatever it does and comes after.
fn calls(file: &ProfileFile, procedure: &str, wanted: &str, seen: &mut Vec<String>) -> bool {
    let Some(definition) = file.procedures.get(procedure) else {
        return false;
    };
    if seen.iter().any(|known| known == procedure) {
        return false;
    }
    seen.push(procedure.to_owned());
    let mut called: Vec<&str> = definition
        .after
        .iter()
        .map(|after| after.value.as_str())
        .collect();
    Step::walk(&definition.steps, &mut |step| {
        if let Action::Do(call) = &step.action {
            called.push(&call.r#do.value);
        }
    });
    called
        .into_iter()
        .any(|next| next == wanted || calls(file, next, wanted, seen))
}

fn sources(file: &ProfileFile, problems: &mut Problems) {
    let sections = [
        Some(&file.keypad.from),
        Some(&file.codes.from),
        Some(&file.bolt.from),
        file.lockout.as_ref().map(|lockout| &lockout.from),
        file.reset.as_ref().map(|reset| &reset.from),
        Some(&file.supply.from),
        Some(&file.signals.from),
    ];
    let procedures = file.procedures.iter().map(|(_, one)| &one.from);
    let changes = file.changes.iter().map(|one| &one.from);
    let weaknesses = file.weaknesses.iter().map(|one| &one.from);
    let all = sections.into_iter().flatten().chain(procedures);
    for name in all
        .chain(changes)
        .chain(weaknesses)
        .flat_map(OneOrMore::as_slice)
    {
        if file.sources.get(name).is_none() {
            problems.add::<()>(
                Problem::new(
                    name.span,
                    format!("'{}' is not among the sources", name.value),
                )
                .did_you_mean(name, file.sources.names()),
            );
        }
    }
}

fn keys(file: &ProfileFile, problems: &mut Problems) {
    let mut seen = Vec::new();
    for row in &file.keypad.layout {
        for label in row.split_whitespace() {
            if seen.contains(&label) {
                problems.add::<()>(Problem::new(
                    row.span,
                    format!("the key '{label}' stands here a second time"),
                ));
            }
            seen.push(label);
        }
    }
    let submits = [
        file.codes.clear.as_ref(),
        file.codes
            .reset
            .as_ref()
            .and_then(|reset| reset.submit.as_ref()),
        file.codes.user.submit.as_ref(),
        file.codes
            .master
            .as_ref()
            .and_then(|master| master.submit.as_ref()),
    ];
    let named = file.keypad.names.iter().map(|(_, label)| label);
    for key in named.chain(submits.into_iter().flatten()) {
        if file.keypad.key(key).is_none() {
            problems.add::<()>(
                Problem::new(key.span, format!("the keypad has no key '{}'", key.value))
                    .did_you_mean(key, file.keypad.labels()),
            );
        }
    }
}

fn changes(file: &ProfileFile, problems: &mut Problems) {
    for change in &file.changes {
        let at = change.from.as_slice().first();
        let at = at.map_or(file.profile.span, |from| from.span);
        let begins = [
            change.tap.map(|button| button.span),
            change.hold.map(|button| button.span),
            change.keys.as_ref().map(|keys| keys.span),
            change.code.map(|code| code.span),
        ];
        match begins.into_iter().flatten().collect::<Vec<_>>()[..] {
            [_] => {}
            [] => problems
                .add::<()>(
                    Problem::new(at, "nothing begins this change")
                        .hint("say tap: program, hold: program, keys: \"000000\" or code: master"),
                )
                .unwrap_or_default(),
            [_, second, ..] => problems
                .add::<()>(Problem::new(second, "a second thing begins this change"))
                .unwrap_or_default(),
        }
        if let (Some(hold), None) = (change.hold, change.r#for) {
            problems.add::<()>(
                Problem::new(hold.span, "a hold of unknown length").hint("say for: 5 s"),
            );
        }
        let stores = ![Stores::Nothing, Stores::Handing].contains(&change.stores);
        if stores && !change.asks.contains(&Asked::New) {
            problems.add::<()>(Problem::new(at, "this change asks for no new code"));
        }
        if let Some(keys) = &change.keys {
            for label in keys.chars().map(String::from) {
                if !file.keypad.labels().any(|known| known == label) {
                    problems.add::<()>(Problem::new(
                        keys.span,
                        format!("the keypad has no key '{label}'"),
                    ));
                }
            }
        }
    }
}

fn lockout(file: &ProfileFile, problems: &mut Problems) {
    let Some(lockout) = &file.lockout else {
        return;
    };
    // Of a file that is refused already, the stages may be among the refused.
    if lockout.stages.is_empty() && problems.is_empty() {
        let from = lockout.from.as_slice().first();
        problems.add::<()>(
            Problem::new(
                from.map_or_else(Span::default, |from| from.span),
                "a lockout without a stage",
            )
            .hint("leave the section out for a product without a lockout"),
        );
    }
    for stage in &lockout.stages {
        if stage.wrong.value == 0 {
            problems.add::<()>(Problem::new(
                stage.wrong.span,
                "a lockout after no wrong code would be there from the start",
            ));
        }
        if stage.lasts.value == Nanos(0) {
            problems.add::<()>(Problem::new(
                stage.lasts.span,
                "a lockout that is over at once",
            ));
        }
    }
}

fn supply(file: &ProfileFile, problems: &mut Problems) {
    let (fresh, sag) = (file.supply.fresh, file.supply.sag);
    if sag.value >= fresh.value {
        problems.add::<()>(Problem::new(
            sag.span,
            format!(
                "spent cells of {} are not below fresh ones of {}",
                sag.value, fresh.value
            ),
        ));
    }
    let levels = [
        file.supply.low,
        file.supply.refuses_changes_below,
        file.supply.refuses_opening_below,
    ];
    for level in levels.iter().filter_map(Fact::known) {
        if *level >= fresh.value {
            problems.add::<()>(Problem::new(
                fresh.span,
                format!(
                    "a fresh battery of {} is not above {level}, where the product warns or refuses",
                    fresh.value
                ),
            ));
        }
    }
}

fn signals(file: &ProfileFile, problems: &mut Problems) {
    let documented = file
        .signals
        .iter()
        .filter_map(|(name, fact)| Some((name, fact.known()?)));
    for (name, signal) in documented.chain(file.reference.signals.iter()) {
        signal_shows_something(name, signal, problems);
    }
}

fn signal_shows_something(name: &Spanned<String>, signal: &Signal, problems: &mut Problems) {
    if signal.lamps().next().is_none() && signal.beeper.is_none() {
        problems.add::<()>(
            Problem::new(name.span, format!("'{}' shows nothing", name.value))
                .hint("say how often a lamp flashes or the beeper sounds: { red: 3, beeper: 3 }"),
        );
    }
    if signal.beeper == Some(0) {
        problems.add::<()>(
            Problem::new(name.span, format!("'{}' beeps 0 times", name.value))
                .hint("leave the beeper out"),
        );
    }
}

fn weaknesses(file: &ProfileFile, problems: &mut Problems) {
    for weakness in &file.weaknesses {
        let breaks = &weakness.breaks;
        if !matches!(breaks.as_bytes(), [b'I', b'1'..=b'8']) {
            problems.add::<()>(Problem::new(
                breaks.span,
                format!("expected an oracle, I1 to I8, found '{}'", breaks.value),
            ));
        }
    }
}

/// A choice for the reference firmware is for places where the sources are silent.
fn silent_places(file: &ProfileFile, problems: &mut Problems) {
    let chosen = &file.reference;
    let silent = Fact::Unknown;
    let lockout = file.lockout.as_ref();
    let reset = file.reset.as_ref();
    let second_tap = reset.map_or(&Fact::Unknown, |reset| &reset.second_tap_within);
    let reset_code = file.codes.reset.as_ref();
    let keys_during = lockout.map_or(&Fact::Unknown, |lockout| &lockout.keys_during);
    let on_power_cycle = lockout.map_or(&Fact::Unknown, |lockout| &lockout.on_power_cycle);
    let mut choices = vec![
        clash(&chosen.codes.slots, &file.codes.user.slots),
        clash(&chosen.codes.factory, &file.codes.factory),
        match &file.codes.factory {
            Fact::Known(Factory::Code(factory)) => clash(&chosen.codes.factory_code, &factory.code),
            _ => None,
        },
        clash(&chosen.codes.idle_time_out, &file.codes.idle_time_out),
        clash(&chosen.codes.change_window, &file.codes.change_window),
        clash(&chosen.bolt.relocks_after, &file.bolt.relocks_after),
        clash(&chosen.bolt.handing_lasts, &file.bolt.handing_lasts),
        clash(&chosen.lockout.keys_during, keys_during),
        clash(&chosen.lockout.on_power_cycle, on_power_cycle),
        clash(&chosen.reset.second_tap_within, second_tap),
        reset_code.and_then(|reset| clash(&chosen.codes.reset_code, &reset.code)),
        reset_code.and_then(|reset| clash(&chosen.codes.together_within, &reset.together_within)),
        clash(&chosen.supply.low, &file.supply.low),
        clash(
            &chosen.supply.refuses_changes_below,
            &file.supply.refuses_changes_below,
        ),
        clash(
            &chosen.supply.refuses_opening_below,
            &file.supply.refuses_opening_below,
        ),
    ];
    for (name, signal) in chosen.signals.iter() {
        let fact = file.signals.get(name);
        if fact.is_none() {
            problems.add::<()>(
                Problem::new(
                    name.span,
                    format!("'{}' has no signal '{}'", file.profile.value, name.value),
                )
                .did_you_mean(name, file.signals.names()),
            );
        }
        let choice = Some(Spanned::new(signal, name.span));
        choices.push(clash(&choice, fact.unwrap_or(&silent)));
    }
    for span in choices.into_iter().flatten() {
        problems.add::<()>(
            Problem::new(span, "this is known: there is nothing to choose")
                .hint("choose only where the profile says unknown or unspecified"),
        );
    }
}

/// Where a choice stands although the fact is known.
fn clash<C, F>(choice: &Option<Spanned<C>>, fact: &Fact<F>) -> Option<Span> {
    fact.known().and(choice.as_ref()).map(|choice| choice.span)
}
