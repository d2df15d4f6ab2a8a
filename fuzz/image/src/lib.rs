//! An image on the emulated core, from a lock that has started to what it decides.
//!
//! The reference firmware is each of the shipped products in turn, and is held to what the same state
//! machine does on the host: it withdraws its bolt only in a script in which the host does.
//!
//! Of a foreign image nothing is known but which codes open it. It is attacked from outside: keys, pauses
//! and supply, with the door closed and no button in reach. It must not withdraw its bolt in a script in
//! which none of those codes was typed. No image may lock up, or be reset by its watchdog.

use std::fmt;

use code_entry::personality::{Kind, PAGE_MAGIC};
use code_entry::{BoltCommand, Personality};
use fuzz_lock::host::{self, Call, Hand, Judge};
use fuzz_lock::layers::{Listener, Said};
use fuzz_lock::products;
use fuzz_script::{Action, Contact, Cut, Door, Loss, Press, Script, Supply, Torn};
use lockrig_sim::bench::{BenchSpec, Observation, Port, Seen, VirtualBench};
use lockrig_sim::board::keypad::KEYS;
use lockrig_sim::board::{Line, Touch};
use lockrig_sim::chip::edges::Edges;
use lockrig_sim::chip::memory::{FLASH_BYTES, PAGE_BYTES};
use lockrig_sim::chip::nvmc;
use lockrig_sim::time::Ticks;
use object::read::elf::{ElfFile32, ProgramHeader};

/// How long a lock has from its power-on until it is touched.
const STARTS: Ticks = Ticks::from_millis(1_000);
/// How long the core may be awake in a script; what would come later is not done. Some attempts take no
/// longer, and a pause in which an image polls its keys costs what it is worth.
const AWAKE_MAX: Ticks = Ticks::from_millis(150);
/// How long a script may last on the bench, likewise: longer than a lockout of five minutes.
const LASTS_MAX: Ticks = Ticks::from_millis(400_000);
/// So often that is looked at.
const SLICE: Ticks = Ticks::from_millis(500);
/// All noise on the bench follows from it.
const SEED: u64 = 1;

/// Why an image cannot be fuzzed.
#[derive(Debug)]
pub enum Unfit {
    /// It is no ELF file for this chip.
    NotElf(object::Error),
    /// It lies outside the chip's flash.
    Outside {
        /// Where.
        address: u64,
    },
    /// The engine compares with the state machine, and the image has no room for a personality.
    Foreign {
        /// The engine.
        engine: &'static str,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NotElf(why) => write!(f, "no ELF file for a 32-bit core: {why}"),
            Unfit::Outside { address } => {
                write!(
                    f,
                    "it has bytes at {address:#x}, which is not in the chip's flash"
                )
            }
            Unfit::Foreign { engine } => write!(
                f,
                "'{engine}' compares with the state machine, and the image has no personality page; hint: \
                 fuzz it as a foreign one, with the codes that open it"
            ),
        }
    }
}

impl std::error::Error for Unfit {}

/// The bytes of an image by their addresses in flash.
#[derive(Clone, Debug)]
pub struct Image {
    segments: Vec<(u32, Vec<u8>)>,
}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// If it is none, or lies outside the flash.
    pub fn read(elf: &[u8]) -> Result<Image, Unfit> {
        let file: ElfFile32<'_> = ElfFile32::parse(elf).map_err(Unfit::NotElf)?;
        let endian = file.endian();
        let mut segments = Vec::new();
        for header in file.elf_program_headers() {
            let bytes = header.data(endian, elf).unwrap_or_default();
            if header.p_type(endian) != object::elf::PT_LOAD || bytes.is_empty() {
                continue;
            }
            let address = header.p_paddr(endian);
            if u64::from(address) + bytes.len() as u64 > u64::from(FLASH_BYTES) {
                let address = u64::from(address);
                return Err(Unfit::Outside { address });
            }
            segments.push((address, bytes.to_vec()));
        }
        Ok(Image { segments })
    }

    /// Where the reference firmware has room for its personality.
    pub fn personality_at(&self) -> Option<u32> {
        self.segments.iter().find_map(|(address, bytes)| {
            let first = address.next_multiple_of(PAGE_BYTES);
            (first..address + bytes.len() as u32)
                .step_by(PAGE_BYTES as usize)
                .find(|page| bytes[(page - address) as usize..].starts_with(&PAGE_MAGIC))
        })
    }
}

/// A lock that has started, to be forked for each script.
pub struct Target {
    warm: Vec<VirtualBench>,
    /// The codes that open a foreign image, as they are typed; none for the reference firmware.
    codes: Option<Vec<String>>,
    fresh_mv: u32,
}

/// What came of a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// How often the bolt was withdrawn.
    pub openings: u32,
    /// How many entries the lock charged, as its console told.
    pub attempts: u32,
    /// How many keys and buttons were pressed.
    pub presses: u32,
}

impl Target {
    /// The reference firmware, its image for safes and the one for smart locks, as every shipped product.
    ///
    /// # Errors
    /// If one of them cannot be fuzzed so.
    pub fn reference(
        safe: &[u8],
        smart_lock: &[u8],
        edges: Option<Edges>,
    ) -> Result<Target, Unfit> {
        let (safe, smart_lock) = (Image::read(safe)?, Image::read(smart_lock)?);
        let mut warm = Vec::new();
        for product in 0..products::COUNT as u8 {
            let (image, spec) = match products::of(product).kind {
                Kind::Safe => (&safe, &BenchSpec::SAFE),
                Kind::SmartLock => (&smart_lock, &BenchSpec::SMART_LOCK),
            };
            let at = image.personality_at().ok_or(Unfit::Foreign {
                engine: "firmware_image",
            })?;
            warm.push(started(
                image,
                spec,
                Some((at, products::page(product))),
                false,
                edges,
            ));
        }
        Ok(Target {
            warm,
            codes: None,
            fresh_mv: 9_000,
        })
    }

    /// A foreign image on one of the boards, and the codes that open it.
    ///
    /// # Errors
    /// If it is no image for this chip.
    pub fn foreign(
        elf: &[u8],
        spec: &BenchSpec,
        codes: &[String],
        edges: Option<Edges>,
    ) -> Result<Target, Unfit> {
        Ok(Target {
            warm: vec![started(&Image::read(elf)?, spec, None, true, edges)],
            codes: Some(codes.to_vec()),
            fresh_mv: 9_000,
        })
    }

    /// What is in a chip's flash, personality included, on the board of a product of this kind.
    pub fn flashed(segments: &[(u32, Vec<u8>)], kind: Kind) -> Target {
        let image = Image {
            segments: segments.to_vec(),
        };
        let spec = match kind {
            Kind::Safe => &BenchSpec::SAFE,
            Kind::SmartLock => &BenchSpec::SMART_LOCK,
        };
        Target {
            warm: vec![started(&image, spec, None, false, None)],
            codes: None,
            fresh_mv: 9_000,
        }
    }

    /// What the image says in the course of a script, as the product that it was started as.
    pub fn tells(&self, rules: &'static Personality, script: &Script, hand: Hand) -> Vec<Said> {
        let bench = self.warm[0].clone();
        let mut run = Run {
            rules,
            hand,
            listener: Some(Listener::default()),
            outcome: Outcome::default(),
            typed: String::new(),
            console: Vec::new(),
            target: self,
            flash_operations: None,
            awake_until: Ticks::NEVER,
            until: Ticks::NEVER,
            bench,
        };
        for (nth, action) in script.actions.iter().enumerate() {
            if let Some(listener) = &mut run.listener {
                listener.begins(nth);
            }
            run.act(action);
        }
        let mut listener = run.listener.unwrap_or_default();
        if run.bench.chip().crashes() > 0 {
            listener.crashed();
        }
        listener.into_said()
    }

    /// Runs a script on a fork. Bytes that are no script are not run.
    ///
    /// # Panics
    /// At a finding.
    pub fn run(&self, bytes: &[u8]) -> Option<Outcome> {
        let script = Script::from_bytes(bytes).ok()?;
        let warm = &self.warm[usize::from(script.product) % self.warm.len()];
        let mut run = Run {
            bench: warm.clone(),
            outcome: Outcome::default(),
            typed: String::new(),
            console: Vec::new(),
            target: self,
            rules: products::of(script.product),
            hand: Hand::default(),
            listener: None,
            flash_operations: None,
            awake_until: warm.chip().awake_time() + AWAKE_MAX,
            until: warm.now() + LASTS_MAX,
        };
        for action in &script.actions {
            if run.is_spent() {
                break;
            }
            run.act(action);
        }
        assert_eq!(run.bench.chip().crashes(), 0, "the firmware crashed");
        if run.outcome.openings > 0 {
            match &self.codes {
                Some(codes) => assert!(
                    codes.iter().any(|code| run.typed.contains(code.as_str())),
                    "the bolt was withdrawn, and no code was typed that opens"
                ),
                None => assert!(
                    opens_on_host(&script),
                    "the bolt was withdrawn, and on the host it is not"
                ),
            }
        }
        Some(run.outcome)
    }
}

/// Whether the state machine on the host withdraws the bolt anywhere in a script.
fn opens_on_host(script: &Script) -> bool {
    struct Withdraws(bool);
    impl Judge for Withdraws {
        fn called(&mut self, call: &Call<'_>) {
            self.0 |= call.seen.withdraws || call.seen.bolt == Some(BoltCommand::Withdraw);
        }
    }
    let mut withdraws = Withdraws(false);
    host::run(script, &mut withdraws);
    withdraws.0
}

/// A bench with an image that has had its power for a while.
fn started(
    image: &Image,
    spec: &BenchSpec,
    page: Option<(u32, &[u8])>,
    door_closed: bool,
    edges: Option<Edges>,
) -> VirtualBench {
    let mut bench = VirtualBench::new(spec, SEED);
    for (address, bytes) in &image.segments {
        bench.load(*address, bytes);
    }
    if let Some((address, bytes)) = page {
        bench.load(address, bytes);
    }
    bench.touch(Touch::Door, door_closed);
    bench.note_edges(edges);
    bench.write(Port::Supply, b"VOLT 9;CURR 2;OUTP ON\n");
    let until = bench.now() + STARTS;
    while bench.run_until(until).is_some() {}
    bench
}

struct Run<'t> {
    bench: VirtualBench,
    outcome: Outcome,
    /// The labels of the keys that were pressed.
    typed: String,
    /// The line that the console is in the middle of.
    console: Vec<u8>,
    target: &'t Target,
    rules: &'static Personality,
    hand: Hand,
    /// Who hears what the lock says, if somebody does.
    listener: Option<Listener>,
    /// How many flash operations are still to begin before the cut.
    flash_operations: Option<u32>,
    awake_until: Ticks,
    until: Ticks,
}

impl Run<'_> {
    fn act(&mut self, action: &Action) {
        let foreign = self.target.codes.is_some();
        match action.door {
            Door::Stays => {}
            _ if foreign => {}
            Door::Open => self.bench.touch(Touch::Door, false),
            Door::Closed => self.bench.touch(Touch::Door, true),
        }
        if action.door != Door::Stays {
            self.pass(self.hand.door_ms);
        }
        self.supply(action.supply);
        let torn = match action.cut {
            Cut::InWrite(write, torn) => {
                self.flash_operations = Some(Loss::WRITES[usize::from(write)]);
                self.bench.watch_flash(true);
                Some(torn)
            }
            _ => None,
        };
        let mut lost = self.press(action.press);
        if action.press != Press::Nothing {
            lost = lost || self.pass(self.hand.press_ms);
        }
        lost = lost || self.pass(action.pause.ms());
        match (action.cut, torn) {
            (_, Some(torn)) => {
                self.flash_operations = None;
                self.bench.watch_flash(false);
                if lost {
                    self.release_all();
                    self.bench.cut(physical(torn));
                    self.away(Loss::WRITE_OFF_MS);
                }
            }
            (Cut::Cycle(how_long), _) => {
                self.bench.cut(nvmc::Torn::default());
                self.away(Loss::OFF_MS[usize::from(how_long)]);
            }
            (Cut::Holding(_), _) if foreign => {}
            (Cut::Holding(button), _) => {
                self.bench.cut(nvmc::Torn::default());
                self.touch(button, true);
                self.away(Loss::OFF_MS[0]);
                self.pass(Loss::HELD_MS);
                self.touch(button, false);
                self.pass(self.hand.press_ms);
            }
            _ => {}
        }
    }

    fn supply(&mut self, supply: Supply) {
        let millivolts = match (&self.target.codes, supply) {
            (_, Supply::Stays) => None,
            (None, supply) => host::level(self.rules, supply).map(u32::from),
            (Some(_), Supply::Fresh) => Some(self.target.fresh_mv),
            (Some(_), Supply::Low) => Some(5_000),
            (Some(_), Supply::NoChanges) => Some(4_300),
            (Some(_), Supply::Critical) => Some(3_600),
        };
        if let Some(millivolts) = millivolts {
            let command = format!("VOLT {}.{:03}\n", millivolts / 1_000, millivolts % 1_000);
            self.bench.write(Port::Supply, command.as_bytes());
            self.pass(self.hand.supply_ms);
        }
    }

    /// Presses and lets go; true, if the supply is to be lost now.
    fn press(&mut self, press: Press) -> bool {
        let contacts: &[Contact] = match press {
            Press::Nothing => &[],
            Press::Tap(contact) | Press::Hold(contact, _) => &[contact],
            Press::Chord(first, second) => &[Contact::Key(first), Contact::Key(second)],
        };
        for (nth, contact) in contacts.iter().enumerate() {
            self.touch(*contact, true);
            if nth == 0 && contacts.len() > 1 && self.pass(Press::CHORD_MS) {
                return true;
            }
        }
        if self.pass(press.lasts_ms()) {
            return true;
        }
        for contact in contacts {
            self.touch(*contact, false);
        }
        false
    }

    fn touch(&mut self, contact: Contact, closed: bool) {
        let touch = match contact {
            Contact::Key(place) => {
                let label = Contact::KEYS[usize::from(place)];
                if closed {
                    self.typed.push(label);
                }
                let place = KEYS.iter().position(|key| *key == label);
                Touch::Key(place.expect("the keypad has all labels"))
            }
            // Behind the door.
            _ if self.target.codes.is_some() => return,
            Contact::Reset => Touch::ResetButton,
            Contact::Program => Touch::ProgramButton,
        };
        self.outcome.presses += u32::from(closed);
        self.bench.touch(touch, closed);
    }

    fn release_all(&mut self) {
        for place in 0..KEYS.len() {
            self.bench.touch(Touch::Key(place), false);
        }
        self.bench.touch(Touch::ResetButton, false);
        self.bench.touch(Touch::ProgramButton, false);
    }

    /// The supply is away for so long, comes back, and the lock starts.
    fn away(&mut self, off_ms: u32) {
        self.pass(off_ms);
        self.bench.restore();
        let until = self.bench.now() + STARTS;
        self.run_until(until);
    }

    /// Lets time pass; true, if the supply is to be lost now.
    fn pass(&mut self, millis: u32) -> bool {
        let until = self.bench.now() + Ticks::from_millis(u64::from(millis));
        while self.bench.now() < until && !self.is_spent() {
            let slice = until.min(self.bench.now() + SLICE);
            if self.run_until(slice) {
                return true;
            }
        }
        false
    }

    fn is_spent(&self) -> bool {
        self.bench.chip().awake_time() > self.awake_until || self.bench.now() > self.until
    }

    fn run_until(&mut self, until: Ticks) -> bool {
        while let Some(Observation { what, at }) = self.bench.run_until(until) {
            match what {
                Seen::Edge {
                    line: Line::BoltWithdrawn,
                    level: true,
                    ..
                } => {
                    self.outcome.openings += 1;
                    if let Some(listener) = &mut self.listener {
                        listener.withdrawn(millis(at));
                    }
                }
                Seen::Bytes {
                    port: Port::Console,
                    bytes,
                } => self.hear(&bytes, millis(at)),
                Seen::FlashOperation(_) => {
                    if let Some(left) = &mut self.flash_operations {
                        *left -= 1;
                        if *left == 0 {
                            return true;
                        }
                    }
                }
                _ => {}
            }
        }
        false
    }

    fn hear(&mut self, bytes: &[u8], at_ms: u64) {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    self.outcome.attempts += u32::from(self.console.starts_with(b"attempt "));
                    if let Some(listener) = &mut self.listener {
                        let line = String::from_utf8_lossy(&self.console);
                        listener.line(line.trim_end(), at_ms);
                    }
                    self.console.clear();
                }
                byte => self.console.push(byte),
            }
        }
    }
}

fn millis(at: Ticks) -> u64 {
    at.as_nanos() / 1_000_000
}

/// What a word means for the bits of flash.
fn physical(torn: Torn) -> nvmc::Torn {
    match torn {
        Torn::DroppedBefore => nvmc::Torn::DroppedBefore,
        Torn::DroppedAfter => nvmc::Torn::DroppedAfter,
        Torn::FirstByte => nvmc::Torn::Bytes { count: 1 },
        Torn::ThreeBytes => nvmc::Torn::Bytes { count: 3 },
        Torn::BitLost => nvmc::Torn::Without { bit: 5 },
        Torn::BitStray => nvmc::Torn::Stray { bit: 5 },
        Torn::Subset => nvmc::Torn::BitSubset { seed: 1 },
        Torn::Quarter => nvmc::Torn::Share {
            of_256: 64,
            seed: 1,
        },
        Torn::Metastable => nvmc::Torn::Metastable { seed: 1 },
    }
}
