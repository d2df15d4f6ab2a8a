//! What libFuzzer needs to know of scripts.

use fuzz_script::{STREAMS, Streams};

/// Mutates one stream of a script, or its product, and leaves the others where they are. Returns the new
/// size.
pub fn mutate_script(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut streams = Streams::apart(&data[..size]);
    let choice = seed as usize % (STREAMS.len() + 3);
    match streams.bytes.get_mut(choice) {
        None if choice == STREAMS.len() => streams.product = (seed >> 8) as u8,
        // What is pressed matters most.
        None => mutate(&mut streams.bytes[0]),
        Some(stream) => mutate(stream),
    }
    let bytes = streams.together();
    let size = bytes.len().min(max_size);
    data[..size].copy_from_slice(&bytes[..size]);
    size
}

fn mutate(stream: &mut Vec<u8>) {
    let size = stream.len();
    let longest = fuzz_script::ACTIONS_MAX;
    stream.resize(longest, 0);
    let size = libfuzzer_sys::fuzzer_mutate(stream, size.min(longest), longest);
    stream.truncate(size);
}
