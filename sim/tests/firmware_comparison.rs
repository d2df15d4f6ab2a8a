//! The comparison image, once on the emulated chip and once on QEMU's, with the same bytes on the console:
//! both say the same and leave the same flash. Skipped, saying so, where QEMU is not installed.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use code_entry::personality::{
    BoltRules, Change, CodeRules, EntryRules, FactoryRule, Guard, Kind, LockoutKeys,
    LockoutPowerCycle, LockoutRules, LockoutStage, MasterRule, Overflow, Parts, ResetRules,
    ResetTrigger, Step, SupplyRules, Target, Trigger, Zeros,
};
use code_entry::{Code, Key, Personality, SignalTable};
use lockrig_sim::bench::{BenchSpec, Port, Seen, VirtualBench};
use lockrig_sim::time::Ticks;

const PERSONALITY_AT: usize = 0x3_8000;
const JOURNAL: std::ops::Range<usize> = 0x3_C000..0x3_CC00;
/// Between two keys: a commit stops the processor for less than this, and the receiver holds six bytes.
const KEY_MS: u64 = 40;
/// Wrong, right, changed with a mismatch, changed, old, new: each followed by the line that it ends with.
const STORY: [(&str, &str); 9] = [
    ("1111#", "idle"),
    ("2580#", "idle"),
    ("74*2580#1357#1358#", "idle"),
    ("74*2580#1357#1357#", "idle"),
    ("2580#", "idle"),
    ("1357#", "idle"),
    ("1#", "idle"),
    ("2222#", "idle"),
    ("3333#", "lockout stage=1 left=60000"),
];

#[test]
fn the_comparison_image_says_and_stores_the_same_on_qemu() {
    let Some(mut qemu) = Qemu::start(&image()) else {
        eprintln!("skipped: qemu-system-arm cannot be run");
        return;
    };
    let mut ours = Ours::start(&image());
    for (keys, last) in STORY {
        let here = ours.enter(keys, last);
        let there = qemu.enter(keys, last);
        println!("{keys}: {}", here.join(", "));
        assert_eq!(here, there, "after \"{keys}\"");
    }
    let (here, there) = (ours.journal(), qemu.journal());
    assert_eq!(here.len(), there.len());
    let differs = here
        .iter()
        .zip(&there)
        .position(|(one, other)| one != other);
    assert_eq!(differs, None, "the first byte of the journal that differs");
}

/// All of flash, with a personality.
fn image() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware/images/comparison.elf");
    let elf = std::fs::read(path).expect("the image is committed");
    let half = |at: usize| usize::from(u16::from_le_bytes([elf[at], elf[at + 1]]));
    let word =
        |at: usize| u32::from_le_bytes([elf[at], elf[at + 1], elf[at + 2], elf[at + 3]]) as usize;
    let (first, size, count) = (word(28), half(42), half(44));
    let mut flash = vec![0xFF; 0x4_0000];
    for header in (0..count).map(|index| first + index * size) {
        if word(header) == 1 && word(header + 16) > 0 {
            let (offset, address, length) =
                (word(header + 4), word(header + 12), word(header + 16));
            flash[address..address + length].copy_from_slice(&elf[offset..offset + length]);
        }
    }
    let page = personality().to_page().expect("the rules fit together");
    flash[PERSONALITY_AT..PERSONALITY_AT + page.len()].copy_from_slice(&page);
    flash
}

fn personality() -> Personality {
    Personality {
        product: "comparison".try_into().expect("short"),
        kind: Kind::Safe,
        entry: EntryRules {
            digits_min: 4,
            digits_max: 6,
            submit: [Key::Hash].into_iter().collect(),
            clear: None,
            idle_ms: 30_000,
            overflow: Overflow::Wrong,
            chord_ms: 0,
            long_press_ms: 0,
        },
        codes: CodeRules {
            user_slots: 4,
            factory: [Code::parse("2580").expect("a code")].into_iter().collect(),
            factory_rule: FactoryRule::Works,
            factory_master: Code::BLANK,
            reset_code: Code::BLANK,
            zeros: Zeros::Refused,
        },
        changes: [Change {
            trigger: Trigger::Keys([Key::Seven, Key::Four, Key::Star].into_iter().collect()),
            guard: Guard::default(),
            master: MasterRule::Any,
            steps: [Step::Old, Step::New, Step::Again].into_iter().collect(),
            target: Target::Own,
            window_ms: 30_000,
            window_restarts: true,
        }]
        .into_iter()
        .collect(),
        lockout: LockoutRules {
            stages: [LockoutStage {
                wrong: 3,
                duration_ms: 60_000,
            }]
            .into_iter()
            .collect(),
            within_ms: 0,
            keys: LockoutKeys::Ignored,
            power_cycle: LockoutPowerCycle::Resumes,
        },
        reset: ResetRules {
            trigger: ResetTrigger::None,
            guard: Guard::default(),
            erases: Parts::NONE,
            keeps: Parts::NONE,
        },
        bolt: BoltRules {
            relock_ms: 1_000,
            travel_ms: 200,
            learns_hand: false,
        },
        supply: SupplyRules::default(),
        signals: SignalTable::default(),
    }
}

/// The emulated chip.
struct Ours {
    bench: VirtualBench,
    said: String,
}

impl Ours {
    fn start(flash: &[u8]) -> Ours {
        let mut bench = VirtualBench::new(&BenchSpec::SAFE, 5);
        bench.load(0, flash);
        bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
        let mut ours = Ours {
            bench,
            said: String::new(),
        };
        ours.lines_to("idle");
        ours
    }

    fn enter(&mut self, keys: &str, last: &str) -> Vec<String> {
        for key in keys.chars() {
            self.bench.write(Port::Console, &[key as u8, b'\n']);
            self.wait(KEY_MS);
        }
        self.lines_to(last)
    }

    fn lines_to(&mut self, last: &str) -> Vec<String> {
        let until = self.bench.now() + Ticks::from_millis(20_000);
        let end = format!("{last}\r\n");
        while !self.said.ends_with(&end) && self.bench.now() < until {
            self.wait(1);
        }
        let said = std::mem::take(&mut self.said);
        assert!(said.ends_with(&end), "the chip said {said:?}, not {last:?}");
        said.lines().map(str::to_owned).collect()
    }

    fn wait(&mut self, millis: u64) {
        let until = self.bench.now() + Ticks::from_millis(millis);
        while let Some(seen) = self.bench.run_until(until) {
            if let Seen::Bytes {
                port: Port::Console,
                bytes,
            } = seen.what
            {
                self.said.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }

    fn journal(&self) -> Vec<u8> {
        let memory = self.bench.chip().memory();
        JOURNAL
            .step_by(4)
            .flat_map(|at| memory.flash_word(at as u32).to_le_bytes())
            .collect()
    }
}

/// QEMU's micro:bit.
struct Qemu {
    process: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    folder: PathBuf,
}

impl Qemu {
    /// Nothing, if there is no QEMU.
    fn start(flash: &[u8]) -> Option<Qemu> {
        let folder = std::env::temp_dir().join(format!("lockrig-qemu-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a temporary folder");
        let file = folder.join("flash.bin");
        std::fs::write(&file, flash).expect("the flash's file is written");
        let mut process = Command::new("qemu-system-arm")
            .args(["-M", "microbit", "-display", "none", "-serial", "stdio"])
            .arg("-monitor")
            .arg(format!(
                "unix:{},server,nowait",
                folder.join("monitor").display()
            ))
            .arg("-device")
            .arg(format!(
                "loader,file={},addr=0,force-raw=on",
                file.display()
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let input = process.stdin.take()?;
        let output = BufReader::new(process.stdout.take()?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut qemu = Qemu {
            process,
            input,
            lines,
            folder,
        };
        qemu.lines_to("idle");
        Some(qemu)
    }

    fn enter(&mut self, keys: &str, last: &str) -> Vec<String> {
        for key in keys.chars() {
            self.input
                .write_all(&[key as u8, b'\n'])
                .expect("QEMU listens");
            self.input.flush().expect("QEMU listens");
            thread::sleep(Duration::from_millis(KEY_MS));
        }
        self.lines_to(last)
    }

    fn lines_to(&mut self, last: &str) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        while lines.last().is_none_or(|line| line != last) {
            match self.lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("QEMU did not say {last:?}, but {lines:?}: {error}"),
            }
        }
        lines
    }

    #[cfg(unix)]
    fn journal(&mut self) -> Vec<u8> {
        use std::os::unix::net::UnixStream;

        let dump = self.folder.join("journal.bin");
        let mut monitor =
            UnixStream::connect(self.folder.join("monitor")).expect("QEMU's monitor answers");
        let length = JOURNAL.len();
        let command = format!(
            "memsave {} {length} \"{}\"\nquit\n",
            JOURNAL.start,
            dump.display()
        );
        monitor
            .write_all(command.as_bytes())
            .expect("the monitor listens");
        self.process.wait().expect("QEMU ends");
        std::fs::read(dump).expect("the dump reads")
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended already, and the folder is a temporary one.
        self.process.kill().ok();
        self.process.wait().ok();
        std::fs::remove_dir_all(&self.folder).ok();
    }
}
