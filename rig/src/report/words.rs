//! Facts, quantities and times as people say them.

use crate::event::{Against, FlashChange, Judgement, Meter, Nanos, Standing, What};
use crate::verdict::Verdict;

/// A fact as a sentence without its full stop.
pub fn of(what: &What) -> String {
    match what {
        What::Started {
            scenario,
            profile,
            bench,
            seed,
            ..
        } => format!("the run began: {scenario} with {profile} on {bench}, seed {seed}"),
        What::Flashed {
            image,
            already: true,
            ..
        } => format!("{image} was on the chip already, read back and compared"),
        What::Flashed {
            image,
            bytes,
            verified,
            ..
        } => {
            let read = if *verified { "" } else { " not" };
            format!("{bytes} bytes of {image} were written, and{read} read back")
        }
        What::Logged { text, since } => {
            format!("the firmware logged '{text}', after {}", moment(*since))
        }
        What::Asked { question, answer } => format!("a person was asked: {question}; {answer}"),
        What::Uncalibrated { because } => format!("uncalibrated: {because}"),
        What::DeviceUnderTest {
            model,
            serial_number,
            chip_id,
        } => device(model, serial_number, chip_id.as_deref()),
        What::ProbePowerCycled { because } => {
            format!("before the run the probe was power-cycled: {because}")
        }
        What::StepStarted { step, doing, .. } => format!("step {step} began: {doing}"),
        What::StepFinished { step } => format!("step {step} ended"),
        What::PhaseEntered { phase } => format!("phase {phase} began"),
        What::Switched { contact, closed } => {
            let told = if *closed { "close" } else { "open" };
            format!("{contact} was told to {told}")
        }
        What::SupplySet { millivolts: None } => "the supply was switched off".to_owned(),
        What::SupplySet {
            millivolts: Some(millivolts),
        } => format!(
            "the supply was set to {}",
            quantity(u64::from(*millivolts), "mV")
        ),
        What::SupplyRead {
            millivolts,
            microamps,
            since,
            by,
        } => {
            let mut words = quantity(u64::from(*millivolts), "mV");
            if let Some(microamps) = microamps {
                words += &format!(" and {}", quantity(*microamps, "uA"));
            }
            if let Some(since) = since {
                words += &format!(" in the mean since {}", moment(*since));
            }
            let by = match by {
                Meter::Supply => "measured by the supply",
                Meter::Emulator => "known to the emulator",
            };
            format!("{words} at the board's terminal, {by}")
        }
        What::FlashChanged {
            kind,
            address,
            count,
            ends,
        } => {
            let what = match kind {
                FlashChange::Word if *count == 1 => "writing a flash word".to_owned(),
                FlashChange::Word => format!("writing {count} flash words"),
                FlashChange::Page => "erasing a flash page".to_owned(),
                FlashChange::Chip => "erasing all flash".to_owned(),
                FlashChange::Settings => "erasing the settings memory".to_owned(),
            };
            let at = address.map_or(String::new(), |address| format!(" at {address:#010x}"));
            format!("{what}{at} began, to end at {}", moment(*ends))
        }
        What::LineChanged { line, high } => {
            let (on, off) = match line.as_str() {
                "red" | "green" | "yellow" | "blue" => ("lit up", "went dark"),
                "beeper" => ("began to sound", "fell silent"),
                "key" | "door" => ("closed", "opened"),
                button if button.ends_with("-button") => ("closed", "opened"),
                _ => ("went on", "went off"),
            };
            format!("{line} {}", if *high { on } else { off })
        }
        What::Printed { text } => format!("the console said '{text}'"),
        What::CodeEntered {
            code,
            digits,
            standing,
            ..
        } => {
            let standing = match standing {
                Standing::Valid => "valid at that moment",
                Standing::Invalid => "not valid",
                Standing::Unsettled => "after a cut, before it was settled which codes are valid",
                Standing::LockedOut => "while a lockout was running",
                Standing::Offered => "to be stored or confirmed",
            };
            format!("'{code}' was entered, {digits} digits, {standing}")
        }
        What::CodesChanged { by, valid } => match &valid[..] {
            [] => format!("by '{by}' no code opens the lock any more"),
            valid => format!("by '{by}' what opens the lock now is {}", valid.join(", ")),
        },
        What::Settled { set, because } => match set {
            Some(set) => format!("the lock holds the set '{set}': {because}"),
            None => because.clone(),
        },
        What::Measured {
            quantity: name,
            asked,
            value,
            unit,
            uncertainty,
            from,
            to,
            ..
        } => {
            let error = asked.map(|asked| {
                let error = error(*value, asked, unit);
                format!(
                    ", {error} from the {} that were asked",
                    quantity(asked, unit)
                )
            });
            let value = with_uncertainty(*value, *uncertainty, unit);
            format!(
                "{name} was {value}{}; {}",
                error.unwrap_or_default(),
                limits(*from, *to, unit)
            )
        }
        What::Checked { wanted, got, .. } => format!("expected {wanted}; saw {got}"),
        What::Interrupted { phase, after, how } => {
            let how = match how.as_str() {
                "clean" => "was cut",
                "sag" => "was made to sag",
                other => other,
            };
            format!("the supply {how}, {after} after phase {phase} began")
        }
        What::Glitched {
            instruction,
            address,
            how,
        } => format!("instruction {instruction}, at {address:#x}, went wrong: {how}"),
        What::Judged {
            oracle,
            rule,
            because,
            ..
        } => format!("{oracle}, {rule}: {because}"),
        What::Trouble {
            device, doing, saw, ..
        } => format!("{device}, {doing}: {saw}"),
        What::WentToRest { outputs, unknown } => match &unknown[..] {
            [] => format!("at rest: {}", outputs.join(", ")),
            unknown => format!("state unknown: {}", unknown.join(", ")),
        },
        What::KeyInserted { key, standing } => {
            let standing = match standing {
                Standing::Valid => ", which turns the cylinder",
                Standing::Invalid => ", which does not turn the cylinder",
                _ => "",
            };
            format!("'{key}'{standing} was pushed into the keyway")
        }
        What::Moved {
            axis,
            to,
            unit,
            stopped,
            stands,
        } => {
            let stands = signed(*stands, unit);
            match stopped {
                None => format!("the stage moved {axis} to {stands}"),
                Some(stopped) => format!(
                    "the stage was to move {axis} to {}, was stopped at {} and stands at {stands}",
                    signed(*to, unit),
                    signed(*stopped, unit)
                ),
            }
        }
        What::Finished {
            verdict, because, ..
        } => format!("{verdict}: {because}"),
    }
}

/// What limits there are: `the limits are 5 s to 10 s`.
fn limits(from: Option<u64>, to: Option<u64>, unit: &str) -> String {
    match (from, to) {
        (None, None) => "no limit is known".to_owned(),
        (Some(from), None) => format!("the limit is at least {}", quantity(from, unit)),
        (None, Some(to)) => format!("the limit is at most {}", quantity(to, unit)),
        (Some(from), Some(to)) => format!(
            "the limits are {} to {}",
            quantity(from, unit),
            quantity(to, unit)
        ),
    }
}

/// A value with its expanded uncertainty, both in the unit that fits the value: `4.9995 s ± 0.001 s`.
pub fn with_uncertainty(value: u64, uncertainty: u64, unit: &str) -> String {
    format!(
        "{} ± {}",
        quantity(value, unit),
        quantity(uncertainty, unit)
    )
}

/// By how much a value is off what was asked: `+1.2 ms`.
pub fn error(value: u64, asked: u64, unit: &str) -> String {
    let sign = if value < asked { "−" } else { "+" };
    format!("{sign}{}", quantity(value.abs_diff(asked), unit))
}

/// A value of a trace in a unit that people use: nanoseconds, millivolts and microamperes are scaled,
/// so are thousandths of a degree and of a millimetre; whatever else is told as it is. Nothing is rounded but what lies below a microsecond.
pub fn quantity(value: u64, unit: &str) -> String {
    let scaled = |micro: u64, unit: &str| format!("{} {unit}", decimal(micro));
    match unit {
        "ns" if value >= 1_000_000_000 => scaled(value / 1_000, "s"),
        "ns" => scaled(value, "ms"),
        "mV" => scaled(value * 1_000, "V"),
        "uA" if value >= 1_000_000 => scaled(value, "A"),
        "uA" if value >= 1_000 => scaled(value * 1_000, "mA"),
        "uA" => format!("{value} µA"),
        "mdeg" => scaled(value * 1_000, "°"),
        "um" => scaled(value * 1_000, "mm"),
        other => format!("{value} {other}"),
    }
}

/// As [`quantity`], of a value that may lie below zero.
pub fn signed(value: i64, unit: &str) -> String {
    let sign = if value < 0 { "−" } else { "" };
    format!("{sign}{}", quantity(value.unsigned_abs(), unit))
}

/// Millionths as a decimal number without trailing zeros.
fn decimal(micro: u64) -> String {
    let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A moment of bench time, to the millisecond: `34.207 s`.
pub fn moment(at: Nanos) -> String {
    let millis = at.as_millis();
    format!("{}.{:03} s", millis / 1_000, millis % 1_000)
}

/// A span as a stop-watch shows it, to three digits that matter: `154 ms`, `1.23 s`, `4 min 57 s`.
pub fn span(span: Nanos) -> String {
    let millis = span.as_millis();
    match millis {
        0 => format!("{} µs", span.0 / 1_000),
        1..=999 => format!("{millis} ms"),
        1_000..=9_999 => format!("{}.{:02} s", millis / 1_000, millis % 1_000 / 10),
        10_000..=119_999 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1_000),
    }
}

/// The sign of a verdict, so that colour is never the only one.
pub fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::KnownFinding => "◐",
        Verdict::Skipped => "–",
        Verdict::Fail => "✗",
        Verdict::Finding => "⚠",
        Verdict::Usage => "?",
        Verdict::Broken => "⚡",
        Verdict::Inconclusive => "≈",
        Verdict::Aborted => "■",
        Verdict::Bug => "☠",
    }
}

/// What a verdict means, in a sentence that needs no manual.
pub fn meaning(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "The lock did everything that was expected.",
        Verdict::KnownFinding => "The lock did something unsafe that its profile lists as known.",
        Verdict::Skipped => "Nothing was done: something that it needs is absent.",
        Verdict::Fail => "The lock did not do what its profile promises.",
        Verdict::Finding => "The lock did something unsafe that no manual forbids.",
        Verdict::Usage => "A file or an argument is wrong.",
        Verdict::Broken => "The bench did not work, so nothing can be said about the lock.",
        Verdict::Inconclusive => "A measurement lies too near to its limit to say on which side.",
        Verdict::Aborted => "The run ended before its end, so nothing can be said about the lock.",
        Verdict::Bug => "lockrig itself made a mistake.",
    }
}

/// A judgement's sign and word.
pub fn judgement(judgement: Judgement) -> (&'static str, &'static str) {
    match judgement {
        Judgement::Held => ("✓", "held"),
        Judgement::Broken => ("✗", "broken"),
        Judgement::Exempted => ("◐", "exempted"),
        Judgement::NotObserved => ("–", "not observed"),
    }
}

/// Sign and word for how a value stands to its limits.
pub fn stands(stands: Against) -> (&'static str, &'static str) {
    match stands {
        Against::NoLimit => ("–", "no limit"),
        Against::Inside => ("✓", "inside"),
        Against::Outside => ("✗", "outside"),
        Against::Straddles => ("≈", "straddles"),
    }
}

/// Which unit is under test, and who says so.
pub fn device(model: &str, serial_number: &str, chip_id: Option<&str>) -> String {
    let confirmed = match chip_id {
        Some(id) => format!("confirmed by its chip, {id}"),
        None => "by the bench file alone".to_owned(),
    };
    format!("{model}, serial number {serial_number}, {confirmed}")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(5_000_000_000, "ns", "5 s")]
    #[case(29_910_065_250, "ns", "29.910065 s")]
    #[case(197_545_062, "ns", "197.545062 ms")]
    #[case(1_000_000, "ns", "1 ms")]
    #[case(5_994, "mV", "5.994 V")]
    #[case(3, "uA", "3 µA")]
    #[case(4_400, "uA", "4.4 mA")]
    #[case(1_250_000, "uA", "1.25 A")]
    #[case(40_050, "mdeg", "40.05 °")]
    #[case(90, "deg", "90 deg")]
    fn a_quantity_is_told_in_a_unit_that_people_use(
        #[case] value: u64,
        #[case] unit: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(quantity(value, unit), expected);
    }

    #[rstest]
    #[case(640_000, "640 µs")]
    #[case(154_000_000, "154 ms")]
    #[case(1_239_000_000, "1.23 s")]
    #[case(30_107_000_000, "30.1 s")]
    #[case(297_000_000_000, "4 min 57 s")]
    fn a_span_has_the_digits_that_matter(#[case] nanos: u64, #[case] expected: &str) {
        assert_eq!(span(Nanos(nanos)), expected);
    }

    #[rstest]
    #[case(
        What::Measured {
            quantity: "hold of reset".to_owned(),
            asked: Some(5_000_000_000),
            value: 4_999_500_000,
            unit: "ns".to_owned(),
            uncertainty: 1_000_000,
            from: Some(5_000_000_000),
            to: None,
            stands: Against::Straddles,
        },
        "hold of reset was 4.9995 s ± 1 ms, −0.5 ms from the 5 s that were asked; the limit is at least 5 s"
    )]
    #[case(
        What::SupplyRead {
            millivolts: 8_712,
            microamps: Some(287_400),
            since: Some(Nanos::from_millis(12_300)),
            by: Meter::Emulator,
        },
        "8.712 V and 287.4 mA in the mean since 12.300 s at the board's terminal, known to the emulator"
    )]
    #[case(
        What::FlashChanged {
            kind: FlashChange::Word,
            address: Some(0x3_f000),
            count: 8,
            ends: Nanos::from_millis(1),
        },
        "writing 8 flash words at 0x0003f000 began, to end at 0.001 s"
    )]
    fn a_fact_is_told_in_words(#[case] what: What, #[case] expected: &str) {
        assert_eq!(of(&what), expected);
    }
}
