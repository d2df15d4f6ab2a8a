//! Images and probes: what is refused before it is flashed, and what the real probe-rs does with
//! the emulated chip.

mod images;

use std::sync::{Arc, Mutex};

use lockrig::driver::probe::{
    Attach, CoreState, Erase, Fault, Flashing, Halt, Probe, Progress, Register, Stage,
};
use lockrig::image::{ChipMap, Image};
use lockrig::port::sim_probe;
use lockrig_sim::chip::Chip;
use lockrig_sim::time::Ticks;

const CHIP: &str = "nRF51822_xxAA";

fn image(text: &str) -> Image {
    let chip = ChipMap::of(CHIP).expect("our target description knows it");
    Image::read("test.hex", text.as_bytes(), &chip).expect("a whole image")
}

/// A chip with supply and nothing around it.
fn bare_chip() -> Arc<Mutex<Chip>> {
    let mut chip = Chip::new(1);
    chip.set_supply(3_000);
    chip.power_on();
    Arc::new(Mutex::new(chip))
}

fn attached(chip: &Arc<Mutex<Chip>>, how: Attach) -> Probe {
    let mut probe = Probe::new("swd", CHIP);
    let target = Arc::clone(chip);
    probe
        .attach(&mut || Ok(sim_probe::probe(Arc::clone(&target))), how)
        .expect("the chip is there");
    probe
}

fn now(chip: &Arc<Mutex<Chip>>) -> Ticks {
    chip.lock().expect("nobody panicked").now()
}

/// Counts in r0 for ever, and in RAM at 0x20000100.
fn counter() -> Image {
    let code: [u16; 8] = [
        0x2000, // 0x40: movs r0, #0
        0x4902, // 0x42: ldr r1, =0x20000100 (at 0x4C)
        0x3001, // 0x44: adds r0, #1
        0x6008, // 0x46: str r0, [r1]
        0xE7FC, // 0x48: b 0x44
        0x46C0, // 0x4A: nop
        0x0100, 0x2000, // 0x4C
    ];
    let mut bytes = vec![0_u8; 0x40];
    bytes[..8].copy_from_slice(&[0x00, 0x40, 0x00, 0x20, 0x41, 0, 0, 0]);
    bytes.extend(code.iter().flat_map(|half| half.to_le_bytes()));
    image(&hex(0, &bytes))
}

fn hex(address: u32, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (index, chunk) in bytes.chunks(16).enumerate() {
        let at = address + 16 * index as u32;
        if index == 0 || at & 0xFFFF == 0 {
            text += &images::record(0, 4, &((at >> 16) as u16).to_be_bytes());
        }
        text += &images::record(at as u16, 0, chunk);
    }
    text + &images::record(0, 1, &[])
}

#[test]
fn an_image_is_flashed_verified_and_run() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    let image = counter();
    let mut seen: Vec<Progress> = Vec::new();
    let receipt = probe
        .flash(&image, Flashing::default(), &mut |progress| {
            seen.push(progress)
        })
        .expect("flash works");
    assert!(receipt.verified);
    assert_eq!(receipt.image_sha256, image.sha256().to_string());
    assert_eq!(
        (receipt.flash_bytes, receipt.settings_bytes, receipt.pages),
        (0x50, 0, 1)
    );
    assert_eq!(receipt.probe, "virtual probe");
    let programmed = seen
        .iter()
        .filter(|p| p.stage == Stage::Program)
        .next_back();
    assert_eq!(
        programmed.map(|p| (p.done, p.total)),
        Some((1024, Some(1024)))
    );
    let verified = seen.iter().filter(|p| p.stage == Stage::Verify).next_back();
    assert_eq!(verified.map(|p| p.total == Some(p.done)), Some(true));

    assert_eq!(
        probe.register(Register::Pc).expect("the core is halted"),
        0x40
    );
    assert_eq!(probe.step().expect("a step"), 0x42);
    probe.run().expect("the core runs");
    assert_eq!(probe.state().expect("a state"), CoreState::Running);
    let first = probe.read_word(0x2000_0100).expect("RAM");
    let later = probe.read_word(0x2000_0100).expect("RAM");
    assert!(later > first, "{later} after {first}");
}
