//! Whether cycles and current until the decision tell how many digits were right.
//!
//! In the place of an entry, other wrong codes are entered, each on a fork of the same bench: with more and
//! more leading digits right, and with one digit right at each place. What is different between them is
//! nothing but the digits, so that the last contact comes at the same tick, and so must the answer.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::bench::{self, Bench, Contact, Happening};
use crate::cuts::{self, Flow};
use crate::driver::DeviceTrouble;
use crate::event::Nanos;
use crate::port::{Spent, Waited};
use crate::profile::codes::Code;
use crate::run::{Entry, is_sign};

/// The wrong codes and what they took.
#[derive(Serialize)]
pub struct Timing {
    /// Each with what it took.
    pub guesses: Vec<Guess>,
    /// What tells them apart, if anything does.
    pub told: Option<String>,
}

/// A wrong code.
#[derive(Serialize, Clone, PartialEq, Eq)]
pub struct Guess {
    /// Which of its digits were right: `==--` are the first two of four.
    pub right: String,
    /// Cycles of the chip's clock from the last key's first contact to the first sign.
    pub cycles: u64,
    /// Of these, those in which its core was awake.
    pub awake: u64,
    /// Charge drawn from the supply meanwhile, to within 1 nC.
    pub nanocoulombs: u64,
}

/// The line that is on while a key is down.
const KEY: &str = "key";

/// Enters wrong codes in the place of an entry; none where there is no code to be wrong about, or where the bench
/// does not sense its keys.
///
/// # Errors
/// An instrument that does not do what it was told.
pub fn timing(flow: &Flow, entry: &Entry) -> Result<Option<Timing>, DeviceTrouble> {
    let valid: BTreeSet<Code> = entry
        .valid
        .iter()
        .filter_map(|code| cuts::digits_of(flow, code))
        .collect();
    let owner = entry
        .valid
        .iter()
        .filter_map(|code| cuts::digits_of(flow, code));
    let plain = |code: &Code| {
        code.digits_to_press()
            .bytes()
            .all(|digit| digit.is_ascii_digit())
    };
    let owner = owner
        .into_iter()
        .find(|code| plain(code) && code.digit_count() > 1);
    let Some(owner) = owner else {
        return Ok(None);
    };
    let mut guesses: Vec<Guess> = Vec::new();
    for (right, digits) in wrong(&owner) {
        if Code::from_digits(&digits).is_none_or(|code| valid.contains(&code)) {
            continue;
        }
        let Some(mut bench) = cuts::fork(&entry.before) else {
            return Ok(None);
        };
        match took(&mut bench, flow, entry, &digits)? {
            Some((cycles, spent)) => guesses.push(Guess {
                right,
                cycles,
                awake: spent.awake,
                nanocoulombs: spent.nanocoulombs,
            }),
            None => return Ok(None),
        }
    }
    if guesses.len() < 2 {
        return Ok(None);
    }
    let told = told(&guesses);
    Ok(Some(Timing { guesses, told }))
}

/// What tells guesses apart, in a sentence.
fn told(guesses: &[Guess]) -> Option<String> {
    type Of = fn(&Guess) -> u64;
    // A charge is the difference of two that are rounded.
    let quantities: [(&str, Of, u64); 3] = [
        ("cycles", |guess| guess.cycles, 0),
        ("cycles awake", |guess| guess.awake, 0),
        ("nC", |guess| guess.nanocoulombs, 1),
    ];
    quantities.into_iter().find_map(|(unit, of, rounding)| {
        let least = guesses.iter().min_by_key(|guess| of(guess))?;
        let most = guesses.iter().max_by_key(|guess| of(guess))?;
        (of(most) - of(least) > rounding).then(|| {
            format!(
                "{} {unit} until the answer with the digits {} right, {} with {}",
                of(most),
                most.right,
                of(least),
                least.right
            )
        })
    })
}

/// Wrong codes like this one, each with the places at which it is right. All end with the same wrong digit.
fn wrong(code: &Code) -> Vec<(String, String)> {
    let right: Vec<u8> = code.digits_to_press().bytes().collect();
    // The last key's contact must have been used as often in all of them.
    let last = right.last().copied().unwrap_or(b'0');
    let other = |digit: u8| {
        let mut digits = (b'0'..=b'9').filter(|one| *one != digit);
        digits
            .find(|one| !right.contains(one))
            .unwrap_or(b'0' + (digit - b'0' + 1) % 10)
    };
    let end = other(last);
    let filler = |digit: u8| {
        let mut digits = b'0'..=b'9';
        let found = digits.find(|one| *one != digit && *one != end && !right.contains(one));
        found.unwrap_or_else(|| other(digit))
    };
    let places = right.len().saturating_sub(1);
    let leading = (0..=places).map(|count| (0..places).map(|place| place < count).collect());
    let alone = (1..places).map(|one| (0..places).map(|place| place == one).collect());
    let masks: Vec<Vec<bool>> = leading.chain(alone).collect();
    masks
        .into_iter()
        .map(|mask| {
            let digits = mask.iter().zip(&right);
            let digits = digits.map(|(keeps, digit)| if *keeps { *digit } else { filler(*digit) });
            let digits: Vec<u8> = digits.chain([end]).collect();
            let shown = mask.iter().map(|keeps| if *keeps { '=' } else { '-' });
            let shown: String = shown.chain(['-']).collect();
            (shown, String::from_utf8(digits).unwrap_or_default())
        })
        .collect()
}

/// Enters digits; the cycles from the last key's contact to the first sign, and what was spent meanwhile. None,
/// if there was none.
fn took(
    bench: &mut Bench,
    flow: &Flow,
    entry: &Entry,
    digits: &str,
) -> Result<Option<(u64, Spent)>, DeviceTrouble> {
    let keypad = &flow.profile().keypad;
    let keys = digits.chars().map(|digit| digit.to_string());
    let keys: Vec<String> = keys.chain(entry.submit.clone()).collect();
    let mut contact: Option<Spent> = None;
    for (index, key) in keys.iter().enumerate() {
        let is_last = index + 1 == keys.len();
        let contacts: Vec<Contact> = key.chars().map(Contact::Key).collect();
        for (closed, lasts) in [(true, keypad.press), (false, keypad.pause)] {
            for contact in &contacts {
                bench.switch(contact, closed)?;
            }
            let lasts = match is_last && !closed {
                true => flow.profile().bolt.withdraws_within,
                false => lasts,
            };
            let until = bench.now() + lasts;
            while let Some(happening) = next(bench, until)? {
                let bench::What::Line { line, on, .. } = &happening.what else {
                    continue;
                };
                let Some(spent) = bench.branch().map(|branch| branch.spent()) else {
                    return Ok(None);
                };
                if is_last && line == KEY && *on && contact.is_none() {
                    contact = Some(spent);
                } else if let Some(before) = contact.filter(|_| is_sign(line, *on)) {
                    let spent = Spent {
                        cycles: spent.cycles - before.cycles,
                        awake: spent.awake - before.awake,
                        nanocoulombs: spent.nanocoulombs - before.nanocoulombs,
                    };
                    return Ok(Some((spent.cycles, spent)));
                }
            }
        }
    }
    Ok(None)
}

fn next(bench: &mut Bench, until: Nanos) -> Result<Option<Happening>, DeviceTrouble> {
    match bench.wait(until) {
        Waited::Saw(Happening {
            what: bench::What::Trouble(trouble),
            ..
        }) => Err(trouble),
        Waited::Saw(happening) => Ok(Some(happening)),
        Waited::Deadline | Waited::Interrupted => Ok(None),
    }
}
