//! What libFuzzer needs to know of scripts.

use fuzz_script::{ACTIONS_MAX, STREAMS, Streams};

/// How many actions a stream may grow to, by chance: most of what there is to find needs few.
const GROWS_TO: [usize; 8] = [6, 8, 8, 12, 12, 16, 24, ACTIONS_MAX];

/// Mutates one stream of a script, or its product, and leaves the others where they are. Returns the new
/// size.
pub fn mutate_script(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut streams = Streams::apart(&data[..size]);
    let grows_to = GROWS_TO[(seed >> 16) as usize % GROWS_TO.len()];
    let choice = seed as usize % (STREAMS.len() + 8);
    match streams.bytes.get_mut(choice) {
        None if choice == STREAMS.len() => streams.product = (seed >> 8) as u8 % 8,
        // What is pressed matters most.
        None if seed & 1 << 30 != 0 => press(&mut streams.bytes[0], seed >> 4, grows_to),
        None => mutate(&mut streams.bytes[0], grows_to),
        Some(stream) => mutate(stream, grows_to),
    }
    let bytes = streams.together();
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
}

/// Presses a key or a button more, or another one, mostly at the end: libFuzzer's own mutations know nothing
/// of keys.
fn press(presses: &mut Vec<u8>, seed: u32, grows_to: usize) {
    // A byte beyond the known ones stands for a tap.
    let tap = u8::MAX - (seed % 14) as u8;
    let seed = seed / 14;
    let count = presses.len();
    let place = match seed % 3 {
        0 => seed as usize / 3 % (count + 1),
        _ => count,
    };
    match presses.get_mut(place) {
        Some(press) if seed & 1 << 16 != 0 => *press = tap,
        _ if count < ACTIONS_MAX.min(count.max(grows_to)) => presses.insert(place, tap),
        _ => drop(presses.pop()),
    }
}

fn mutate(stream: &mut Vec<u8>, grows_to: usize) {
    let size = stream.len().min(ACTIONS_MAX);
    let longest = size.max(grows_to);
    stream.resize(longest, 0);
    let size = libfuzzer_sys::fuzzer_mutate(stream, size, longest);
    stream.truncate(size);
}
