//! Facts as sentences, for people.

use crate::event::What;

/// A fact as a sentence.
pub fn words(what: &What) -> String {
    let list = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    match what {
        What::Started {
            scenario, variant, ..
        } => match variant.as_str() {
            "" => format!("'{scenario}' began"),
            variant => format!("'{scenario}' with {variant} began"),
        },
        What::Flashed { image, bytes, .. } => format!("'{image}' was flashed, {bytes} bytes"),
        What::StepStarted {
            step, place, doing, ..
        } => format!("step {step} began at {place}: {doing}"),
        What::StepFinished { step } => format!("step {step} ended"),
        What::PhaseEntered { phase } => format!("phase {phase} began"),
        What::Switched { contact, closed } => {
            let how = if *closed { "closed" } else { "opened" };
            format!("{contact} was {how}")
        }
        What::SupplySet { millivolts } => millivolts
            .map_or("the supply was turned off".to_owned(), |millivolts| {
                format!("the supply was set to {millivolts} mV")
            }),
        What::LineChanged { line, high } => {
            format!("line '{line}' went {}", if *high { "on" } else { "off" })
        }
        What::Printed { text } => format!("the console printed \"{text}\""),
        What::CodeEntered { code, digits, .. } => {
            format!("the code '{code}' was entered, {digits} digits")
        }
        What::CodesChanged { by, valid } => {
            format!("after '{by}' the valid codes are: {}", list(valid))
        }
        What::Settled { because, .. } => because.clone(),
        What::Measured {
            quantity,
            value,
            unit,
            uncertainty,
            from,
            to,
            ..
        } => {
            let limit = |limit: &Option<u64>| {
                limit.map_or("unknown".to_owned(), |limit| format!("{limit} {unit}"))
            };
            format!(
                "{quantity} was {value} ± {uncertainty} {unit}; the limits are {} to {}",
                limit(from),
                limit(to)
            )
        }
        What::Checked { wanted, got, .. } => format!("expected {wanted}; saw {got}"),
        What::Interrupted { phase, after, how } => {
            format!("the supply failed ({how}) {after} after {phase} began")
        }
        What::Judged {
            oracle,
            rule,
            because,
            ..
        } => format!("{oracle}, {rule}: {because}"),
        What::Trouble {
            device, doing, saw, ..
        } => format!("{device}, {doing}: {saw}"),
        What::WentToRest { outputs, failed } => match failed.as_slice() {
            [] => format!("went to rest: {}", list(outputs)),
            failed => format!("not at rest: {}", list(failed)),
        },
        What::Finished {
            verdict, because, ..
        } => format!("the run ended, {verdict:?}: {because}"),
    }
}
