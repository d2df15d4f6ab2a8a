//! Whether a console printed what the reference firmware prints. A serial line has no checksum: bytes that were
//! lost or changed on the way are noticed by what no firmware says.

use super::{number, word};
use crate::event::{Event, What};

/// The first line that the reference firmware never prints, or that contradicts the one before.
///
/// A line that ends with the board's power is no such line: the next one says that it started.
pub fn damaged_line(events: &[Event]) -> Option<&str> {
    let lines = events.iter().filter_map(|event| match &event.what {
        What::Printed { text } => Some(text.as_str()),
        _ => None,
    });
    let lines: Vec<&str> = lines.collect();
    let contradicts = |line: &str, next: &str| {
        word(line) == "attempt"
            && word(next) == "refused"
            && number(line, "failures") != number(next, "failures")
    };
    (0..lines.len()).find_map(|place| {
        let (line, next) = (lines[place], lines.get(place + 1).copied().unwrap_or(""));
        let damaged = !is_sentence(line) && word(next) != "boot" || contradicts(line, next);
        damaged.then_some(line)
    })
}

/// Whether the reference firmware prints such a line.
fn is_sentence(text: &str) -> bool {
    let parts: Vec<&str> = text.split(' ').collect();
    match parts[..] {
        ["idle" | "timeout"]
        | ["lockout", "over"]
        | ["change", "accepted"]
        | ["bolt", "moving" | "withdrawn" | "thrown" | "jammed"] => true,
        ["reset" | "fault", what] => is_word(what),
        ["attempt" | "refused", count] => is_number(count, "failures"),
        ["accepted", slot] => is_number(slot, "slot"),
        ["codes", users] => is_number(users, "users"),
        ["lockout", stage, left] => is_number(stage, "stage") && is_number(left, "left"),
        ["change", "refused", reason] => is_named(reason, "reason"),
        ["supply", level, mv] => is_named(level, "level") && is_number(mv, "mv"),
        ["state", state, failures, users, lockout] => {
            is_word(state)
                && is_number(failures, "failures")
                && is_number(users, "users")
                && is_number(lockout, "lockout")
        }
        ["boot", reason, image, product] => {
            is_named(reason, "reason") && is_named(image, "image") && is_named(product, "product")
        }
        _ => false,
    }
}

fn is_word(text: &str) -> bool {
    let is_letter =
        |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'-';
    !text.is_empty() && text.bytes().all(is_letter)
}

fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.strip_prefix(key)?.strip_prefix('=')
}

fn is_number(text: &str, key: &str) -> bool {
    value(text, key).is_some_and(|value| value.parse::<u64>().is_ok())
}

fn is_named(text: &str, key: &str) -> bool {
    value(text, key).is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::damaged_line;
    use crate::event::{Event, Nanos, What};

    #[rstest]
    #[case(&["boot reason=power-on image=safe product=stack-on-red-button", "idle"], None)]
    #[case(&["attempt failures=2", "refused failures=2", "lockout stage=1 left=14000"], None)]
    #[case(&["state idle failures=0 users=1 lockout=0", "change refused reason=mismatch"], None)]
    #[case(&["attempt failures=2", "acceptd slot=1"], Some("acceptd slot=1"))]
    #[case(&["attempt failures=1", "refused failures=3"], Some("attempt failures=1"))]
    #[case(&["bolt mo\\x0Dbolt withdrawn"], Some("bolt mo\\x0Dbolt withdrawn"))]
    #[case(&["lockout stage=1 left="], Some("lockout stage=1 left="))]
    #[case(&["attempt fai", "boot reason=power-on image=safe product=x"], None)]
    fn what_no_firmware_says_is_damaged(#[case] lines: &[&str], #[case] damaged: Option<&str>) {
        assert_eq!(damaged_line(&printed(lines)), damaged);
    }

    #[rstest]
    fn every_sentence_is_known(
        #[values(
            "idle",
            "timeout",
            "lockout over",
            "change accepted",
            "bolt jammed",
            "reset done",
            "fault storage",
            "accepted slot=1",
            "codes users=2",
            "supply level=low mv=4200",
            "state changing-2 failures=0 users=1 lockout=15000"
        )]
        line: &str,
    ) {
        assert_eq!(damaged_line(&printed(&[line])), None);
    }

    #[rstest]
    fn one_wrong_word_is_enough(
        #[values(
            "reset d@ne",
            "fault ",
            "accepted slot=x",
            "codes users=-1",
            "lockout stage=1 left=x",
            "lockout stage=x left=1",
            "change refused reason=mis match",
            "change refused reason=MISMATCH",
            "supply level=LOW mv=4200",
            "supply level=low mv=42OO",
            "state idl! failures=0 users=1 lockout=0",
            "state idle failures=x users=1 lockout=0",
            "state idle failures=0 users=x lockout=0",
            "state idle failures=0 users=1 lockout=x",
            "boot reason=On image=safe product=x",
            "boot reason=pin image=Safe product=x",
            "boot reason=pin image=safe product=X"
        )]
        line: &str,
    ) {
        assert_eq!(damaged_line(&printed(&[line])), Some(line));
    }

    fn printed(lines: &[&str]) -> Vec<Event> {
        let event = |(seq, text): (u64, &&str)| Event {
            seq,
            at: Nanos(seq),
            what: What::Printed {
                text: (*text).to_owned(),
            },
        };
        (0..).zip(lines).map(event).collect()
    }
}
