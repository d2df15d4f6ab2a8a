//! Small scope by exhaustion: every sequence of six words over an alphabet of seven, on the state machine and
//! on its specification, for every shipped product. Shorter ones are beginnings of these.

use code_entry::Personality;
use code_entry::personality::Trigger;
use fuzz_lock::{against_specification, products};
use fuzz_script::{Action, Contact, Loss, Pause, Press, Script};

/// Unoptimised, the last two words are left out.
const LENGTH: u32 = if cfg!(debug_assertions) { 4 } else { 6 };

#[test]
fn every_short_sequence_does_what_the_manual_says() {
    std::thread::scope(|scope| {
        for product in 0..products::COUNT as u8 {
            scope.spawn(move || every_sequence(product));
        }
    });
}

fn every_sequence(product: u8) {
    let alphabet = alphabet(products::of(product));
    let count = alphabet.len();
    for number in 0..count.pow(LENGTH) {
        let words = (0..LENGTH).map(|place| &alphabet[number / count.pow(place) % count]);
        let script = Script {
            product,
            actions: words.flatten().copied().collect(),
        };
        against_specification::run(&script);
    }
}

/// A right code without its end, a wrong digit, the key that ends an entry, the key that forgets it, what
/// begins a change, a pause that is too long, a loss of supply.
fn alphabet(personality: &Personality) -> [Vec<Action>; 7] {
    let entry = &personality.entry;
    let end = entry.submit.first().map_or('0', |key| key.label());
    let clear = entry.clear.map_or('*', |key| key.label());
    let right = match personality.codes.factory.first() {
        Some(code) => typed(code),
        // The owner has to make the first code.
        None => "2580".to_owned(),
    };
    let begin = match &personality.changes[0].trigger {
        Trigger::Tap(button) => vec![press(Press::Tap(contact(*button)))],
        Trigger::Hold { button, .. } => vec![press(Press::Hold(contact(*button), 2))],
        Trigger::Keys(keys) => keys.iter().flat_map(|key| keyed(key.label())).collect(),
        Trigger::Master => {
            let code = typed(&personality.codes.factory_master);
            code.chars().chain([end]).flat_map(keyed).collect()
        }
        Trigger::Chord(..) | Trigger::LongPress(_) => Vec::new(),
    };
    let idle = Action {
        pause: Pause::exactly(10_100).expect("it is one of the pauses"),
        ..Action::default()
    };
    let cycle = Action {
        cut: Loss::Cycle(0),
        ..Action::default()
    };
    [
        right.chars().flat_map(keyed).collect(),
        keyed('7'),
        keyed(end),
        keyed(clear),
        begin,
        vec![idle],
        vec![cycle],
    ]
}

fn typed(code: &code_entry::Code) -> String {
    let nibbles = code
        .to_bytes()
        .into_iter()
        .flat_map(|byte| [byte & 0x0F, byte >> 4]);
    let digits = nibbles.take_while(|nibble| *nibble != 0);
    digits.map(|nibble| char::from(b'0' + nibble - 1)).collect()
}

fn press(press: Press) -> Action {
    Action {
        press,
        ..Action::default()
    }
}

fn keyed(label: char) -> Vec<Action> {
    Press::key(label).map(press).into_iter().collect()
}

fn contact(button: code_entry::Button) -> Contact {
    match button {
        code_entry::Button::Reset => Contact::Reset,
        code_entry::Button::Program => Contact::Program,
    }
}
