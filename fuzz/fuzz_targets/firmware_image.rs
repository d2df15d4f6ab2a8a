//! An image on the emulated core, guided by the edges of the firmware that it runs.
//!
//! - The reference firmware as every shipped product: `cargo +nightly fuzz run firmware_image -s none`
//! - A foreign image, of which nothing is known but which codes open it:
//!   `cargo +nightly fuzz run firmware_image -s none CORPUS -- --image=lock.elf --board=virtual-safe --code=4711#`
//!
//! `--unguided` notes no edges, to show what they are worth.
#![no_main]

use std::process::exit;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU8;

use fuzz_image::Target;
use libfuzzer_sys::{Corpus, fuzz_mutator, fuzz_target};
use lockrig_sim::bench::BenchSpec;
use lockrig_sim::chip::edges::Edges;

/// libFuzzer looks for counters beside its own in this section.
#[unsafe(link_section = "__libfuzzer_extra_counters")]
static EDGES: [AtomicU8; 1 << 15] = [const { AtomicU8::new(0) }; 1 << 15];

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(
    init: TARGET.set(target()).unwrap_or_else(|_| fail("started twice")),
    |bytes: &[u8]| -> Corpus {
        match TARGET.get().and_then(|target| target.run(bytes)) {
            Some(_) => Corpus::Keep,
            None => Corpus::Reject,
        }
    }
);

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    lockrig_fuzz::mutate_script(data, size, max_size, seed)
});

fn target() -> Target {
    let words: Vec<String> = std::env::args().collect();
    let said = |name: &str| {
        let values = words
            .iter()
            .filter_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        values.map(str::to_owned).collect::<Vec<_>>()
    };
    let guided = !words.iter().any(|word| word == "--unguided");
    let edges = guided.then(|| Edges::new(&EDGES));
    let images = concat!(env!("CARGO_MANIFEST_DIR"), "/../firmware/images");
    let made = match said("--image").first() {
        Some(image) => {
            let board = said("--board").first().cloned();
            let board = board.unwrap_or_else(|| "virtual-safe".to_owned());
            let spec = BenchSpec::named(&board)
                .unwrap_or_else(|| fail(&format!("no virtual board '{board}'")));
            Target::foreign(&read(image), &spec, &said("--code"), edges)
                .map_err(|why| format!("'{image}': {why}"))
        }
        None => Target::reference(
            &read(&format!("{images}/reference-safe.elf")),
            &read(&format!("{images}/reference-smart-lock.elf")),
            edges,
        )
        .map_err(|why| format!("'{images}': {why}")),
    };
    made.unwrap_or_else(|why| fail(&why))
}

fn read(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|why| fail(&format!("reading '{path}': {why}")))
}

/// A usage error of this target, before libFuzzer's loop.
fn fail(why: &str) -> ! {
    eprintln!("firmware_image: {why}");
    exit(2)
}
