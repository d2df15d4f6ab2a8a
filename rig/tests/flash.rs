//! Images and probes: what is refused before it is flashed, and what the real probe-rs does with
//! the emulated chip.

mod images;

use std::sync::{Arc, Mutex};

use lockrig::driver::probe::{
    Attach, CoreState, Erase, Fault, Flashing, Halt, Probe, Progress, Register, Stage,
};
use lockrig::image::{ChipMap, Image};
use lockrig::port::sim_probe;
use lockrig_sim::bench::{BenchSpec, Port, VirtualBench};
use lockrig_sim::board::Line;
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

/// The same with a record for a customer's register in the UICR.
fn counter_with_uicr(word: [u8; 4]) -> Image {
    counter_with(0x10C0, word)
}

/// The same with a record for a register in the UICR, by the lower half of its address.
fn counter_with(register: u16, word: [u8; 4]) -> Image {
    let end = images::record(0, 1, &[]);
    let mut text = hex(0, &counter().segments()[0].bytes);
    text.truncate(text.len() - end.len());
    text += &images::record(0, 4, &[0x10, 0x00]);
    text += &images::record(register, 0, &word);
    image(&(text + &end))
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
    let programmed = seen.iter().rfind(|p| p.stage == Stage::Program);
    assert_eq!(
        programmed.map(|p| (p.done, p.total)),
        Some((1024, Some(1024)))
    );
    let verified = seen.iter().rfind(|p| p.stage == Stage::Verify);
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

#[test]
fn a_breakpoint_halts_and_a_step_goes_on() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect("flash works");
    probe.set_breakpoint(0x48).expect("a breakpoint");
    probe.run().expect("the core runs");
    assert_eq!(probe.wait_for_halt(10), Ok(Halt::Breakpoint));
    assert_eq!(probe.register(Register::Pc), Ok(0x48));
    assert_eq!(probe.register(Register::General(0)), Ok(1));
    assert_eq!(probe.step(), Ok(0x44));
    probe.run().expect("the core runs");
    assert_eq!(probe.wait_for_halt(10), Ok(Halt::Breakpoint));
    assert_eq!(probe.register(Register::General(0)), Ok(2));
    probe
        .set_register(Register::General(0), 99)
        .expect("a register");
    probe.clear_breakpoint(0x48).expect("it is there");
    probe.run().expect("the core runs");
    let trouble = probe.wait_for_halt(3).expect_err("nothing halts it");
    assert_eq!(trouble.fault, Fault::Timeout);
    probe.halt().expect("it halts");
    assert!(probe.register(Register::General(0)).expect("it is halted") > 1_000);
}

#[test]
fn memory_is_read_and_written_in_any_size() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    let wrote: Vec<u8> = (0..=255).collect();
    for length in [1, 2, 3, 5, 8, 64, 255] {
        for start in [0x2000_0000, 0x2000_0001, 0x2000_0002, 0x2000_03FE] {
            probe.write(start, &wrote[..length]).expect("RAM");
            let mut read = vec![0; length];
            probe.read(start, &mut read).expect("RAM");
            assert_eq!(read, wrote[..length], "{length} bytes at {start:#x}");
        }
    }
}

#[test]
fn records_for_the_uicr_are_flashed_too() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    // Pages first: the UICR has to be erased by its own algorithm, not along with the chip.
    for (erase, word) in [
        (Erase::Pages, [0x78, 0x56, 0x34, 0x12]),
        (Erase::Pages, [0xFF, 0x00, 0xFF, 0x01]),
        (Erase::Chip, [0x0F, 0xF0, 0x0F, 0xF0]),
    ] {
        let image = counter_with_uicr(word);
        let how = Flashing {
            erase,
            ..Flashing::default()
        };
        let receipt = probe.flash(&image, how, &mut |_| {}).expect("flash works");
        assert_eq!(receipt.settings_bytes, 4);
        let read = probe.read_word(0x1000_10C0).expect("UICR");
        assert_eq!(read, u32::from_le_bytes(word));
    }
}

#[test]
fn a_locked_chip_is_left_as_it_is_until_somebody_asks_for_it_to_be_erased() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    // The lock holds from the next reset on, so that what was written could be read back.
    let locking = counter_with(0x1004, [0xFF, 0x00, 0xFF, 0xFF]);
    probe
        .flash(&locking, Flashing::default(), &mut |_| {})
        .expect("flash works");
    assert_eq!(probe.is_locked(), Ok(true));
    assert_eq!(probe.read_word(0x40), Ok(0));
    probe.run().expect("the core reads its code as ever");
    assert_ne!(probe.read_word(0x2000_0100), Ok(0));

    let trouble = probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect_err("nobody asked for it to be erased");
    assert_eq!(trouble.fault, Fault::Locked);
    insta::assert_snapshot!(format!("error: {trouble}\nhint: {}", trouble.hint), @r#"
    error: probe "swd" on nRF51822_xxAA: flashing "test.hex": the chip is protected from being read
    hint: erasing all of it unlocks it: 'lockrig flash --unlock', or 'when-locked = "erase"' under [probe] in the bench file
    "#);
    drop(probe);
    assert_eq!(
        chip.lock()
            .expect("nobody panicked")
            .memory()
            .flash_word(0x40),
        0x4902_2000
    );

    let mut probe = Probe::new("swd", CHIP);
    let mut open = || Ok(sim_probe::probe(Arc::clone(&chip)));
    assert_eq!(probe.unlock(&mut open), Ok(true));
    assert_eq!(probe.unlock(&mut open), Ok(false));
    let mut probe = attached(&chip, Attach::default());
    assert_eq!(probe.is_locked(), Ok(false));
    assert_eq!(probe.read_word(0x40), Ok(u32::MAX));
    let spare = Flashing {
        spare: true,
        ..Flashing::default()
    };
    probe
        .flash(&counter(), spare, &mut |_| {})
        .expect("flash works");
}

#[test]
fn pages_that_the_image_leaves_out_are_kept_or_erased_as_told() {
    for image in [counter(), counter_with_uicr([1, 2, 3, 4])] {
        let chip = bare_chip();
        {
            let mut chip = chip.lock().expect("nobody panicked");
            chip.memory_mut().set_flash_word(0x3_C000, 0x1234);
            chip.memory_mut().load(0x1000_1080, &[0x78, 0x56, 0, 0]);
        }
        let mut probe = attached(&chip, Attach::default());
        let mut flash = |erase| {
            let how = Flashing {
                erase,
                verify: false,
                spare: false,
            };
            let receipt = probe.flash(&image, how, &mut |_| {});
            assert!(!receipt.expect("flash works").verified);
            probe.read_word(0x3_C000).expect("flash")
        };
        assert_eq!(flash(Erase::Pages), 0x1234);
        assert_eq!(flash(Erase::Chip), u32::MAX);
        assert_eq!(probe.read_word(0x1000_1080), Ok(u32::MAX));
    }
}

#[test]
fn what_is_there_already_is_spared() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    let spare = Flashing {
        spare: true,
        ..Flashing::default()
    };
    let image = counter_with_uicr([1, 2, 3, 4]);
    let mut flash = |image: &Image| {
        let receipt = probe.flash(image, spare, &mut |_| {});
        let receipt = receipt.expect("flash works");
        assert!(receipt.verified);
        receipt.pages
    };
    let change = |address: u32, word: u32| {
        let mut chip = chip.lock().expect("nobody panicked");
        chip.memory_mut().set_flash_word(address, word);
    };
    let word = |address| {
        let chip = chip.lock().expect("nobody panicked");
        chip.memory().flash_word(address)
    };
    assert_eq!(flash(&image), 2);
    assert_eq!(flash(&image), 0);
    // What firmware stored elsewhere goes, page by page.
    change(0x3_C000, 0x1234);
    change(0x3_C400, 0x5678);
    assert_eq!(flash(&image), 0);
    assert_eq!((word(0x3_C000), word(0x3_C400)), (u32::MAX, u32::MAX));
    // In the image's own page, in the settings, and of the image itself a word is too much.
    for (address, other, right) in [
        (0x200, 0x1234, u32::MAX),
        (0x1000_1080, 0x1234, u32::MAX),
        (0x44, 0, 0x6008_3001),
    ] {
        change(address, other);
        assert_eq!(flash(&image), 2, "{address:#x}");
        assert_eq!(word(address), right);
    }
    // The settings are a page of their own.
    assert_eq!(flash(&counter()), 0);
    assert_eq!(word(0x1000_10C0), u32::MAX);
}

#[test]
fn flash_that_changed_is_named_by_its_first_address() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    let image = counter();
    probe
        .flash(&image, Flashing::default(), &mut |_| {})
        .expect("flash works");
    probe.verify(&image).expect("it is there");
    {
        let mut chip = chip.lock().expect("nobody panicked");
        let word = chip.memory().flash_word(0x44);
        chip.memory_mut().set_flash_word(0x44, word & !0x1000);
    }
    let trouble = probe.verify(&image).expect_err("a bit changed");
    insta::assert_snapshot!(format!("error: {trouble}\nhint: {}", trouble.hint), @r#"
    error: probe "swd" on nRF51822_xxAA: verifying "test.hex": 0x00000045 holds 0x20, expected 0x30
    hint: erase the whole chip and flash again; is the supply steady?
    "#);
}

#[test]
fn attaching_under_reset_halts_before_the_first_instruction() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect("flash works");
    probe.detach();
    {
        // On the nRF51 debug mode, in which the pin resets nothing, ends with the supply.
        let mut chip = chip.lock().expect("nobody panicked");
        chip.power_off();
        chip.power_on();
        let later = chip.now() + Ticks::from_millis(1);
        while chip.now() < later {
            chip.run(later);
        }
    }
    let under_reset = Attach {
        under_reset: true,
        ..Attach::default()
    };
    let mut probe = attached(&chip, under_reset);
    assert!(matches!(probe.state(), Ok(CoreState::Halted(_))));
    assert_eq!(probe.register(Register::Pc), Ok(0x40));
}

#[test]
fn a_session_ends_with_the_supply_and_another_begins_with_it() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect("flash works");
    chip.lock().expect("nobody panicked").power_off();
    let trouble = probe.halt().expect_err("the supply is gone");
    assert_eq!(trouble.fault, Fault::Lost, "{trouble}");
    assert!(!probe.is_attached());
    assert_eq!(probe.halt().map_err(|t| t.fault), Err(Fault::NotAttached));
    let open = || Ok(sim_probe::probe(Arc::clone(&chip)));
    let trouble = probe
        .attach(&mut open.clone(), Attach::default())
        .expect_err("no supply");
    insta::assert_snapshot!(format!("error: {trouble}\nhint: {}", trouble.hint), @r#"
    error: probe "swd" on nRF51822_xxAA: attaching: the target has 0 mV
    hint: switch the supply on before attaching
    "#);
    chip.lock().expect("nobody panicked").power_on();
    probe
        .attach(&mut open.clone(), Attach::default())
        .expect("the supply is back");
    probe.halt().expect("the core is there");
}

#[test]
fn a_blank_chip_is_attached_to_and_flashed() {
    let chip = bare_chip();
    {
        // It has locked up before anybody looks at it.
        let mut chip = chip.lock().expect("nobody panicked");
        let later = chip.now() + Ticks::from_millis(5);
        while chip.now() < later {
            chip.run(later);
        }
    }
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect("flash works");
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&counter(), Flashing::default(), &mut |_| {})
        .expect("flash works");
    for unit in 0..4 {
        probe
            .set_breakpoint(0x100 + 4 * unit)
            .expect("there are four");
    }
    let trouble = probe.set_breakpoint(0x200).expect_err("there are four");
    assert!(trouble.fault.is_usage(), "{trouble}");
    let trouble = probe.set_breakpoint(0x2000_0000).expect_err("RAM has none");
    assert!(trouble.fault.is_usage(), "{trouble}");
    for _ in 0..2 {
        let trouble = probe.read_word(0x2000_4000).expect_err("no memory");
        assert_eq!(trouble.fault, Fault::Order, "{trouble}");
        probe.read_word(0x2000_3FFC).expect("RAM");
    }
    probe.run().expect("the core runs");
    let trouble = probe.register(Register::Pc).expect_err("it runs");
    assert!(trouble.fault.is_usage(), "{trouble}");

    let other = ChipMap::of("nRF51822_xxAC").expect("our target description knows it");
    let bytes = hex(0, &counter().segments()[0].bytes);
    let image = Image::read("other.hex", bytes.as_bytes(), &other).expect("a whole image");
    let trouble = probe
        .flash(&image, Flashing::default(), &mut |_| {})
        .expect_err("another chip");
    insta::assert_snapshot!(trouble, @r#"probe "swd" on nRF51822_xxAA: flashing "other.hex": the image was checked for nRF51822_xxAC"#);
}

#[test]
fn a_probe_that_cannot_be_opened_says_what_was_seen() {
    let mut probe = Probe::new("desk", CHIP);
    let mut open = || lockrig::port::real_probe::open("1d50:6018:no-such-probe");
    let trouble = probe
        .attach(&mut open, Attach::default())
        .expect_err("there is none");
    assert!(matches!(trouble.fault, Fault::Port(_)));
    let text = trouble.to_string();
    assert!(
        text.starts_with(
            "probe \"desk\" on nRF51822_xxAA: opening the probe: 1d50:6018:no-such-probe: "
        ),
        "{text}"
    );
}

#[test]
fn the_same_calls_take_the_same_bench_time() {
    let run = || {
        let chip = bare_chip();
        let mut probe = attached(&chip, Attach::default());
        let receipt = probe.flash(&counter(), Flashing::default(), &mut |_| {});
        probe.set_breakpoint(0x48).expect("a breakpoint");
        probe.run().expect("the core runs");
        probe.wait_for_halt(10).expect("it halts");
        probe.detach();
        (now(&chip), receipt.expect("flash works"))
    };
    let first = run();
    // Wall time between and within the calls changes nothing.
    std::thread::sleep(std::time::Duration::from_millis(7));
    assert_eq!(run(), first);
}

#[test]
fn rtt_is_read_across_the_end_of_its_ring() {
    // ldr r0, =0x20; ldr r1, =0x20000200; movs r2, #18; 1: ldmia r0!, {r3}; stmia r1!, {r3};
    // subs r2, #1; bne 1b; b . - which copies a control block with one up-channel into RAM. Its
    // ring has 16 bytes, is read at 12 and written at 3.
    let mut bytes: Vec<u8> = [
        0x2000_4000_u32,
        0x9,
        0x4904_4803,
        0xC808_2212,
        0x3A01_C108,
        0xE7FE_D1FB,
        0x20,
        0x2000_0200,
    ]
    .iter()
    .flat_map(|word| word.to_le_bytes())
    .collect();
    bytes.extend(b"SEGGER RTT\0\0\0\0\0\0");
    for word in [1, 0, 0x2000_0230, 0x2000_0238, 16, 3, 12, 0_u32] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(b"text\0\0\0\0lo!.........hel-");
    let chip = bare_chip();
    let mut probe = attached(&chip, Attach::default());
    probe
        .flash(&image(&hex(0, &bytes)), Flashing::default(), &mut |_| {})
        .expect("flash works");
    let trouble = probe.read_rtt(0).expect_err("nothing ran yet");
    assert_eq!(trouble.fault, Fault::NoRtt, "{trouble}");
    probe.run().expect("the core runs");
    assert_eq!(probe.read_rtt(0).expect("a channel"), b"hel-lo!");
    assert_eq!(probe.read_rtt(0).expect("a channel"), b"");
    assert_eq!(probe.read_rtt(7).map_err(|t| t.fault), Err(Fault::NoRtt));
}

#[test]
fn the_uicr_algorithm_is_what_its_source_says() {
    // Assembles it again where LLVM's tools are installed; elsewhere there is nothing to compare.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/targets/uicr.s");
    let folder = tempfile::tempdir().expect("a folder");
    let (object, binary) = (folder.path().join("uicr.o"), folder.path().join("uicr.bin"));
    let assembled = std::process::Command::new("llvm-mc")
        .args([
            "--triple=thumbv6m-none-eabi",
            "--filetype=obj",
            source,
            "-o",
        ])
        .arg(&object)
        .status();
    if !assembled.is_ok_and(|status| status.success()) {
        println!("skipped: llvm-mc is not installed");
        return;
    }
    let copied = std::process::Command::new("llvm-objcopy")
        .args(["-O", "binary", "-j", ".text"])
        .args([&object, &binary])
        .status();
    assert!(
        copied.is_ok_and(|status| status.success()),
        "llvm-objcopy failed"
    );
    let registry = lockrig::image::registry(CHIP);
    let target = registry.get_target_by_name(CHIP).expect("ours");
    let algorithm = target
        .flash_algorithms
        .iter()
        .find(|algorithm| algorithm.name == "nrf51-uicr")
        .expect("it is in rig/targets/nrf51822.yaml");
    let built = std::fs::read(binary).expect("what objcopy wrote");
    assert_eq!(algorithm.instructions, built);
}

/// A virtual safe on a bench with its supply on.
fn powered_bench() -> Arc<Mutex<VirtualBench>> {
    let mut bench = VirtualBench::new(&BenchSpec::SAFE, 1);
    bench.write(Port::Supply, b"VOLT 9;OUTP ON\n");
    while bench.run_until(Ticks::from_millis(100)).is_some() {}
    Arc::new(Mutex::new(bench))
}

#[test]
fn a_whole_bench_is_flashed_and_its_lamp_lights() {
    // ldr r0, =0x50000508 (OUTSET); ldr r1, =1 << 21; str r1, [r0, #0x10] (DIRSET); str r1, [r0];
    // b .
    let words = [
        0x2000_4000_u32,
        0x9,
        0x4903_4802,
        0x6001_6101,
        0x46C0_E7FE,
        0x5000_0508,
        1 << 21,
    ];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let bench = powered_bench();
    let mut probe = Probe::new("swd", CHIP);
    let mut open = || Ok(sim_probe::probe(Arc::clone(&bench)));
    probe
        .attach(&mut open, Attach::default())
        .expect("the chip is there");
    probe
        .flash(&image(&hex(0, &bytes)), Flashing::default(), &mut |_| {})
        .expect("flash works");
    assert!(!bench.lock().expect("nobody panicked").level(Line::Red));
    probe.run().expect("the core runs");
    probe.detach();
    let mut bench = bench.lock().expect("nobody panicked");
    let later = bench.now() + Ticks::from_millis(10);
    while bench.run_until(later).is_some() {}
    assert!(bench.level(Line::Red));
}
