//! How many executions, key presses and whole attempts (of an image) a target does in a second, without libFuzzer's part:
//! `cargo run --release -p fuzz-image --example throughput -- TARGET FILE...`. One thread.

use std::hint::black_box;
use std::time::Instant;

use fuzz_lock::code_entry;
use fuzz_script::{Press, Script};

/// Runs a script; how many attempts the lock charged.
type Run = Box<dyn FnMut(&[u8]) -> u32>;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().unwrap_or_default();
    let scripts: Vec<Vec<u8>> = arguments
        .map(|path| std::fs::read(&path).unwrap_or_else(|why| panic!("'{path}': {why}")))
        .collect();
    let presses = |bytes: &Vec<u8>| {
        let script = Script::from_bytes(bytes).expect("a script");
        script
            .actions
            .iter()
            .filter(|action| action.press != Press::Nothing)
            .count() as u64
    };
    let mut run: Run = match target.as_str() {
        "code_entry" => Box::new(|bytes| {
            code_entry::target(bytes);
            0
        }),
        "firmware_image" => {
            let image = |name: &str| {
                let path = format!(
                    "{}/../../firmware/images/{name}.elf",
                    env!("CARGO_MANIFEST_DIR")
                );
                std::fs::read(path).expect("the image is committed")
            };
            let target = fuzz_image::Target::reference(
                &image("reference-safe"),
                &image("reference-smart-lock"),
                None,
            )
            .expect("the reference firmware");
            Box::new(move |bytes| target.run(bytes).map_or(0, |outcome| outcome.attempts))
        }
        other => panic!("no target '{other}'; there are code_entry and firmware_image"),
    };
    let (mut executions, mut pressed, mut attempts) = (0_u64, 0, 0_u64);
    let start = Instant::now();
    while start.elapsed().as_secs() < 5 {
        for bytes in &scripts {
            attempts += u64::from(black_box(run(black_box(bytes))));
            executions += 1;
            pressed += presses(bytes);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let per_second = |count: u64| count as f64 / seconds;
    println!(
        "{target}: {:.0} executions/s, {:.0} presses/s, {:.0} attempts/s ({executions} executions of {} scripts in {seconds:.1} s)",
        per_second(executions),
        per_second(pressed),
        per_second(attempts),
        scripts.len()
    );
}
