//! Every encoding against an independent implementation: QEMU's microbit, through its gdb port.
//!
//! Both sides hold the same flash and RAM. Each encoding gets registers and flags from a fixed seed,
//! is executed once on each side, and all registers are compared; where it faults, the exception
//! entry is compared, and so is the return that follows. RAM is compared after each batch.
//!
//! Skipped, saying so, where `qemu-system-arm` is not installed.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lockrig_sim::chip::{Chip, Stopped};
use lockrig_sim::time::Ticks;

const RAM: u32 = 0x2000_0000;
const RAM_BYTES: u32 = 0x4000;
const FLASH_BYTES: u32 = 0x4_0000;
/// `bx lr`: the handler of every exception.
const HANDLER: u32 = 0x100;
/// `cpsie i`.
const UNMASK: u32 = 0x104;
/// How the description of an MSR begins.
const MSR: &str = "f38";
/// A look at the special registers.
const LOOK: u32 = 0x110;
/// From here on the flash holds encodings, each with a NOP beside it.
const CODE: u32 = 0x1_0000;
/// Encodings loaded at a time.
const BATCH: usize = 0x4000;
const NOP: u16 = 0xbf00;
const THUMB: u32 = 1 << 24;
const EXCEPTION: u32 = 0x3f;

/// A small generator with a fixed seed: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    /// A register value: addresses in memory, aligned or not, small numbers, the ends of ranges.
    fn operand(&mut self) -> u32 {
        match self.below(16) {
            0..=4 => RAM + 0x800 + (self.below(0x2800) & !3),
            5 => RAM + 0x800 + self.below(0x2800),
            6 => self.below(FLASH_BYTES - 0x1000) & !3,
            7 => self.below(FLASH_BYTES - 0x1000),
            8..=9 => self.below(64),
            10 => self.below(300),
            11 => 0u32.wrapping_sub(self.below(300)),
            12 => [0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX, 0, 1][self.below(6) as usize],
            _ => self.next(),
        }
    }
}

/// What an instruction starts from or leaves behind: R0 to R15 and xPSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Registers {
    r: [u32; 16],
    xpsr: u32,
}

impl Registers {
    fn random(random: &mut Random, address: u32) -> Registers {
        let mut r = [0; 16].map(|_: u32| random.operand());
        r[13] = RAM + 0x1000 + (random.below(0x2000) & !3);
        r[15] = address;
        Registers {
            r,
            xpsr: random.next() & 0xf000_0000 | THUMB,
        }
    }
}

impl std::fmt::Display for Registers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for value in self.r {
            write!(f, "{value:08x} ")?;
        }
        write!(f, "xpsr {:08x}", self.xpsr)
    }
}

/// QEMU with its gdb port.
struct Qemu {
    process: Child,
    stream: UnixStream,
    socket: PathBuf,
    received: Vec<u8>,
    taken: usize,
    /// Bytes of the registers before xPSR in a `g` packet.
    xpsr_at: usize,
}

impl Qemu {
    /// Starts QEMU; nothing if it is not installed.
    fn start(name: &str) -> Option<Qemu> {
        let socket = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let spawned = Command::new("qemu-system-arm")
            .args([
                "-M",
                "microbit",
                "-nodefaults",
                "-S",
                "-display",
                "none",
                "-serial",
                "null",
            ])
            .args(["-monitor", "none", "-gdb"])
            .arg(format!("unix:{},server=on,wait=off", socket.display()))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match spawned {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("starting qemu-system-arm: {error}"),
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(&socket) {
                Ok(stream) => break stream,
                Err(error) => {
                    assert!(
                        Instant::now() < deadline,
                        "no gdb port at {socket:?}: {error}"
                    );
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        };
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut qemu = Qemu {
            process,
            stream,
            socket,
            received: Vec::new(),
            taken: 0,
            xpsr_at: 0,
        };
        qemu.ask("?");
        // The core registers, perhaps some that Cortex-M lacks, and xPSR at the end.
        let registers = qemu.ask("g");
        qemu.xpsr_at = registers.len() - 8;
        Some(qemu)
    }

    fn packet(into: &mut Vec<u8>, body: &str) {
        let sum = body.bytes().fold(0u8, u8::wrapping_add);
        into.extend(format!("${body}#{sum:02x}").bytes());
    }

    /// The next reply.
    fn reply(&mut self) -> String {
        loop {
            let unread = &self.received[self.taken..];
            if let Some(start) = unread.iter().position(|&byte| byte == b'$')
                && let Some(length) = unread[start..].iter().position(|&byte| byte == b'#')
                && unread.len() >= start + length + 3
            {
                let body = unread[start + 1..start + length].to_vec();
                self.taken += start + length + 3;
                if self.taken == self.received.len() {
                    self.received.clear();
                    self.taken = 0;
                }
                return String::from_utf8(body).unwrap();
            }
            let mut buffer = [0; 4096];
            let count = self.stream.read(&mut buffer).expect("a reply from QEMU");
            assert!(count > 0, "QEMU is gone");
            self.received.extend_from_slice(&buffer[..count]);
        }
    }

    fn ask(&mut self, body: &str) -> String {
        let mut packet = Vec::new();
        Qemu::packet(&mut packet, body);
        self.stream.write_all(&packet).unwrap();
        self.reply()
    }

    fn write(&mut self, address: u32, bytes: &[u8]) {
        for (chunk, at) in bytes.chunks(1024).zip((address..).step_by(1024)) {
            let hex: String = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(self.ask(&format!("M{at:x},{:x}:{hex}", chunk.len())), "OK");
        }
    }

    fn read(&mut self, address: u32, length: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for at in (address..address + length).step_by(1024) {
            let hex = self.ask(&format!("m{at:x},400"));
            bytes.extend(
                (0..hex.len())
                    .step_by(2)
                    .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()),
            );
        }
        bytes
    }

    fn encode(&self, registers: &Registers) -> String {
        use std::fmt::Write;
        let mut body = String::from("G");
        for value in registers.r {
            write!(body, "{:08x}", value.swap_bytes()).unwrap();
        }
        body.extend(std::iter::repeat_n('0', self.xpsr_at - 128));
        write!(body, "{:08x}", registers.xpsr.swap_bytes()).unwrap();
        body
    }

    fn decode(&self, reply: &str) -> Registers {
        let value = |at: usize| {
            u32::from_str_radix(&reply[at..at + 8], 16)
                .unwrap()
                .swap_bytes()
        };
        Registers {
            r: std::array::from_fn(|n| value(8 * n)),
            xpsr: value(self.xpsr_at),
        }
    }

    /// Executes one instruction, from given registers or from where it stands. Returns the registers
    /// that it starts from: those that the step before left, if none are given.
    fn step(&mut self, from: Option<&Registers>) -> Registers {
        // All packets in one write: QEMU answers them in order, and a round trip is what costs.
        let mut packets = Vec::new();
        Qemu::packet(&mut packets, "g");
        if let Some(registers) = from {
            Qemu::packet(&mut packets, &self.encode(registers));
        }
        Qemu::packet(&mut packets, "s");
        self.stream.write_all(&packets).unwrap();
        let registers = self.reply();
        if from.is_some() {
            assert_eq!(self.reply(), "OK");
        }
        let stop = self.reply();
        assert!(stop.starts_with("T05"), "QEMU did not step: {stop}");
        self.decode(&registers)
    }

    fn registers(&mut self) -> Registers {
        let reply = self.ask("g");
        self.decode(&reply)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The emulated chip, driven the same way.
struct Ours(Chip);

impl Ours {
    fn start() -> Ours {
        let mut chip = Chip::new(1);
        // Vectors and an endless loop to wait in, so that the chip does not lock up.
        chip.memory_mut()
            .load(0, &[0, 0x20, 0, 0x20, 0x03, 1, 0, 0]);
        chip.memory_mut()
            .load(HANDLER + 2, &0xe7fe_u16.to_le_bytes());
        chip.power_on();
        while chip.run(Ticks::from_micros(20)) != Stopped::Deadline {}
        Ours(chip)
    }

    fn step(&mut self, from: Option<&Registers>) -> Registers {
        if let Some(registers) = from {
            self.0.set_core_registers(&registers.r, registers.xpsr);
        }
        let until = self.0.now() + Ticks(1);
        self.0.run(until);
        let state = self.0.core_state();
        Registers {
            r: state.registers,
            xpsr: state.xpsr,
        }
    }
}

/// Both sides, with the same memories.
struct Pair {
    qemu: Qemu,
    ours: Ours,
    random: Random,
    compared: u32,
    exempt: u32,
    /// What the last execution was, started from and left.
    expected: Option<(String, Registers, Registers)>,
    differences: Vec<String>,
}

impl Pair {
    /// Nothing, and a line that says so, if QEMU is not installed.
    fn start(name: &str, seed: u64) -> Option<Pair> {
        let Some(qemu) = Qemu::start(name) else {
            eprintln!("skipped: qemu-system-arm is not installed");
            return None;
        };
        let ours = Ours::start();
        let random = Random(seed);
        let mut pair = Pair {
            qemu,
            ours,
            random,
            compared: 0,
            exempt: 0,
            expected: None,
            differences: Vec::new(),
        };
        // Code, with data around it for literals and stray pointers.
        let words = (0..FLASH_BYTES / 4).map(|_| pair.random.next());
        let mut flash: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        flash[..0x100].copy_from_slice(&[HANDLER | 1; 64].map(u32::to_le_bytes).concat());
        flash[0x100..0x102].copy_from_slice(&0x4770_u16.to_le_bytes());
        flash[0x104..0x106].copy_from_slice(&0xb662_u16.to_le_bytes());
        pair.write_flash(0, &flash);
        pair.scramble_ram();
        Some(pair)
    }

    fn write_flash(&mut self, address: u32, bytes: &[u8]) {
        self.qemu.write(address, bytes);
        self.ours.0.memory_mut().load(address, bytes);
    }

    fn scramble_ram(&mut self) {
        let words: Vec<u32> = (0..RAM_BYTES / 4).map(|_| self.random.operand()).collect();
        for (address, &word) in (RAM..).step_by(4).zip(&words) {
            self.ours.0.memory_mut().set_ram_word(address, word);
        }
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.qemu.write(RAM, &bytes);
    }

    fn compare_ram(&mut self, when: &str) {
        let theirs = self.qemu.read(RAM, RAM_BYTES);
        for (address, bytes) in (RAM..).step_by(4).zip(theirs.chunks(4)) {
            let theirs = u32::from_le_bytes(bytes.try_into().unwrap());
            let ours = self.ours.0.memory().ram_word(address);
            if ours != theirs {
                self.differences.push(format!(
                    "{when}: RAM at {address:#x} is {ours:08x}, QEMU {theirs:08x}"
                ));
            }
        }
    }

    /// Executes what stands at an address on both sides. QEMU's result is compared with the next
    /// execution.
    fn check(&mut self, what: &str, before: &Registers) {
        let ours = self.ours.step(Some(before));

        let theirs = self.qemu.step(Some(before));
        self.compare(theirs);
        self.expected = Some((what.to_string(), *before, ours));
        self.compared += 1;
        if ours.xpsr & EXCEPTION != 0 {
            let returned = self.ours.step(None);
            let theirs = self.qemu.step(None);
            self.compare(theirs);
            self.expected = Some((format!("return after {what}"), ours, returned));
        }
    }

    /// Compares what QEMU's last execution left with what ours did.
    fn compare(&mut self, mut theirs: Registers) {
        let Some((what, before, ours)) = self.expected.take() else {
            return;
        };
        // The Q flag belongs to ARMv7-M; in APSR (B1.4.2) that bit is reserved. QEMU 7.2 keeps what
        // MSR writes there.
        if what.starts_with(MSR) {
            theirs.xpsr &= !(1 << 27);
        }
        if ours != theirs {
            self.differences.push(format!(
                "{what}\n  from {before}\n  ours {ours}\n  qemu {theirs}"
            ));
        }
        // Where one faulted and the other did not, everything after that would differ, too.
        let diverged = (ours.xpsr ^ theirs.xpsr) & EXCEPTION != 0;
        assert!(
            !diverged && self.differences.len() < 20,
            "{}",
            self.differences.join("\n")
        );
    }

    /// Checks an encoding that QEMU executes differently on a fork of our side alone.
    fn check_exempt(&mut self, encoding: &[u16], exemption: Option<Exemption>) {
        let mut fork = Ours(self.ours.0.clone());
        for (address, half) in (CODE..).step_by(2).zip(encoding) {
            fork.0.memory_mut().load(address, &half.to_le_bytes());
        }
        let before = Registers::random(&mut self.random, CODE);
        let after = fork.step(Some(&before));
        match exemption {
            Some(Exemption::Undefined) => {
                assert_eq!(
                    (after.xpsr & EXCEPTION, after.r[15]),
                    (3, HANDLER),
                    "{encoding:04x?}"
                );
            }
            Some(Exemption::Hint { sleeps }) => {
                let mut expected = before;
                expected.r[15] += 2;
                assert_eq!(
                    (after, fork.0.core_state().asleep),
                    (expected, sleeps),
                    "{encoding:04x?}"
                );
            }
            None => {}
        }
        self.exempt += 1;
    }

    fn settle(&mut self) {
        let theirs = self.qemu.registers();
        self.compare(theirs);
    }

    fn finish(self, what: &str) {
        assert!(
            self.differences.is_empty(),
            "{}",
            self.differences.join("\n")
        );
        eprintln!(
            "{what}: {} agree with QEMU, {} are exempt",
            self.compared, self.exempt
        );
    }
}

/// The bytes that a 16-bit instruction accesses, and whether it writes them.
fn accessed(half: u16, r: &[u32; 16]) -> Option<(u32, u32, bool)> {
    let register = |low: u16| r[usize::from(half >> low & 7)];
    let imm5 = u32::from(half >> 6 & 31);
    let imm8 = u32::from(half & 0xff);
    Some(match half >> 12 {
        0b0101 => {
            let writes = (half >> 9 & 7) < 3;
            (register(3).wrapping_add(register(6)), 4, writes)
        }
        0b0110 => (register(3).wrapping_add(imm5 * 4), 4, half & 0x800 == 0),
        0b0111 => (register(3).wrapping_add(imm5), 4, half & 0x800 == 0),
        0b1000 => (register(3).wrapping_add(imm5 * 2), 4, half & 0x800 == 0),
        0b1001 => (r[13].wrapping_add(imm8 * 4), 4, half & 0x800 == 0),
        0b1100 => (register(8), 36, half & 0x800 == 0),
        _ => return None,
    })
}

/// Whether both sides have, or lack, the same thing there. Peripherals and identification
/// registers differ in content, and what QEMU calls private reads as zero; and flash differs for stores: the nRF51 faults on bytes and
/// halfwords, QEMU ignores them.
fn comparable(address: u32, length: u32, writes: bool) -> bool {
    let different: &[(u64, u64)] = &[
        (0x1000_0000, 0x1000_2000),
        (0x4000_0000, 0x6000_0000),
        (0xe000_0000, 0xe010_0000),
        (0xf000_0000, 0x1_0000_1000),
    ];
    let address = u64::from(address);
    let end = address + u64::from(length);
    different
        .iter()
        .all(|&(from, to)| end <= from || address >= to)
        && !(writes && address < u64::from(FLASH_BYTES))
}

/// Executes each encoding of a range, alternately at word-aligned addresses and between them.
fn check_halfwords(encodings: std::ops::RangeInclusive<u16>, seed: u64) {
    let Some(mut pair) = Pair::start(&format!("lockrig-halfwords-{seed}"), seed) else {
        return;
    };
    let (exempt, encodings): (Vec<u16>, Vec<u16>) = encodings
        .filter(|half| !is_wide(*half))
        .partition(|half| exemption(*half).is_some());
    for half in exempt {
        pair.check_exempt(&[half], exemption(half));
    }
    for batch in encodings.chunks(BATCH) {
        let mut code = Vec::new();
        for (slot, &half) in batch.iter().enumerate() {
            code.extend(if slot % 2 == 0 {
                [half, NOP]
            } else {
                [NOP, half]
            });
        }
        let code: Vec<u8> = code.into_iter().flat_map(u16::to_le_bytes).collect();
        pair.write_flash(CODE, &code);
        for (slot, &half) in (0..).zip(batch) {
            let address = CODE + slot * 4 + slot % 2 * 2;
            let mut before = Registers::random(&mut pair.random, address);
            while accessed(half, &before.r).is_some_and(|(a, l, w)| !comparable(a, l, w)) {
                before = Registers::random(&mut pair.random, address);
            }
            pair.check(&format!("{half:04x} at {address:#x}"), &before);
            if pair.ours.0.core_state().primask != 0 {
                // Else every SVC after it would be a HardFault.
                let before = Registers::random(&mut pair.random, UNMASK);
                pair.check("cpsie i", &before);
            }
        }
        pair.settle();
        pair.compare_ram(&format!(
            "{:04x} to {:04x}",
            batch[0],
            batch[batch.len() - 1]
        ));
    }
    pair.finish("16-bit encodings");
}

#[test]
fn halfwords_that_compute_do_what_qemu_does() {
    check_halfwords(0..=0x7fff, 1);
}

#[test]
fn halfwords_that_access_branch_or_are_undefined_do_what_qemu_does() {
    check_halfwords(0x8000..=0xffff, 2);
}

/// What ARMv6-M asks of an encoding that QEMU executes in another way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Exemption {
    /// HardFault.
    Undefined,
    /// Nothing but to let the PC move on, and to sleep or not.
    Hint { sleeps: bool },
}

/// The encodings that are not compared, each with what is checked instead (sections of the ARMv6-M
/// Architecture Reference Manual, DDI 0419).
fn exemption(half: u16) -> Option<Exemption> {
    match half {
        // CBZ and CBNZ belong to ARMv7-M; A5.2.5 leaves them UNDEFINED. QEMU 7.2 executes them.
        _ if half & 0xf500 == 0xb100 => Some(Exemption::Undefined),
        // SETEND belongs to ARMv6 with another profile; A5.2.5 leaves it UNDEFINED.
        _ if half & 0xfff7 == 0xb650 => Some(Exemption::Undefined),
        // IT belongs to ARMv7-M; A5.2.5 leaves these UNDEFINED. QEMU 7.2 executes them.
        _ if half & 0xff00 == 0xbf00 && half & 0xf != 0 => Some(Exemption::Undefined),
        // YIELD and WFE (A6.7.77, A6.7.76) end QEMU's time slice: its step runs one instruction more.
        0xbf10 => Some(Exemption::Hint { sleeps: false }),
        0xbf20 => Some(Exemption::Hint { sleeps: true }),
        // WFI (A6.7.78) stops QEMU's processor: its step never ends.
        0xbf30 => Some(Exemption::Hint { sleeps: true }),
        _ => None,
    }
}

/// The 32-bit encodings that are not compared: what MRS and MSR do with the PC is UNPREDICTABLE
/// (A6.7 under their names). QEMU branches to what MRS reads, and gives MSR the next instruction's
/// address; here both fault.
fn word_exemption(first: u16, second: u16) -> Option<Exemption> {
    let is_mrs = first == 0xf3ef && second & 0xff00 == 0x8f00;
    let is_msr = first == 0xf38f && second & 0xf300 == 0x8000;
    (is_mrs || is_msr).then_some(Exemption::Undefined)
}

/// Executes 32-bit encodings, each in flash across a boundary of two words.
fn check_words(what: &str, seed: u64, encodings: impl FnOnce(&mut Random) -> Vec<[u16; 2]>) {
    let Some(mut pair) = Pair::start(&format!("lockrig-words-{seed}"), seed) else {
        return;
    };
    // mrs r0, msp; mrs r1, psp; mrs r2, primask; mrs r3, control; mrs r4, xpsr
    let look: [u16; 10] = [
        0xf3ef, 0x8008, 0xf3ef, 0x8109, 0xf3ef, 0x8210, 0xf3ef, 0x8314, 0xf3ef, 0x8403,
    ];
    pair.write_flash(LOOK, &look.map(u16::to_le_bytes).concat());
    let encodings = encodings(&mut pair.random);
    assert!(encodings.iter().all(|[first, _]| is_wide(*first)));
    let (exempt, encodings): (Vec<[u16; 2]>, Vec<[u16; 2]>) = encodings
        .into_iter()
        .partition(|[first, second]| word_exemption(*first, *second).is_some());
    for [first, second] in exempt {
        pair.check_exempt(&[first, second], word_exemption(first, second));
    }
    for batch in encodings.chunks(BATCH) {
        let code: Vec<u8> = batch
            .as_flattened()
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .collect();
        // Off by a halfword, so that every page has an encoding that ends in the next.
        pair.write_flash(CODE + 2, &code);
        for (address, [first, second]) in (CODE + 2..).step_by(4).zip(batch) {
            let before = Registers::random(&mut pair.random, address);
            pair.check(
                &format!("{first:04x} {second:04x} at {address:#x}"),
                &before,
            );
            if first & 0xffe0 == 0xf380 && second & 0xd000 == 0x8000 {
                let mut registers = Registers::random(&mut pair.random, LOOK);
                registers.r[13] = pair.ours.0.core_state().registers[13];
                for _ in 0..5 {
                    pair.check("a look at what MSR left", &registers);
                    let state = pair.ours.0.core_state();
                    registers = Registers {
                        r: state.registers,
                        xpsr: state.xpsr,
                    };
                }
            }
            if pair.ours.0.core_state().primask != 0 {
                let before = Registers::random(&mut pair.random, UNMASK);
                pair.check("cpsie i", &before);
            }
        }
        pair.settle();
        pair.compare_ram(what);
    }
    pair.finish(what);
}

/// Every register with every number of a special register; and with one register also the masks
/// that ARMv6-M does not know, and every other value of one bit at a time (A6.7 under MRS, MSR).
#[test]
fn special_registers_do_what_qemu_does() {
    check_words("MRS and MSR", 3, |_| {
        let mut encodings = Vec::new();
        for special in 0..=0xff {
            for register in 0..16 {
                encodings.push([0xf3ef, 0x8000 | register << 8 | special]);
                encodings.push([0xf380 | register, 0x8800 | special]);
            }
            for mask in [0, 1, 3] {
                encodings.push([0xf387, 0x8000 | mask << 10 | special]);
            }
        }
        encodings.extend(neighbours([0xf380, 0x8810]));
        encodings.extend(neighbours([0xf3ef, 0x8010]));
        encodings
    });
}

/// Barriers with every option, UDF.W with every number, and BL over every combination of S, J1 and
/// J2 with the ends and many values of both immediates (A6.7 under DSB, DMB, ISB, UDF and BL).
#[test]
fn barriers_calls_and_permanently_undefined_words_do_what_qemu_does() {
    check_words("barriers, UDF.W and BL", 4, |random| {
        let mut encodings = Vec::new();
        for option in 0..=0xff {
            encodings.push([0xf3bf, 0x8f00 | option]);
        }
        for number in 0..0x1000 {
            encodings.push([
                0xf7f0 | (number ^ number >> 4 ^ number >> 8) & 0xf,
                0xa000 | number,
            ]);
        }
        for high in 0..16 {
            encodings.push([0xf7f0 | high, 0xa000]);
            encodings.push([0xf7f0 | high, 0xafff]);
        }
        for signs in 0..8u16 {
            let call = |imm10: u16, imm11: u16| {
                let second = 0xd000 | (signs & 1) << 13 | (signs >> 1 & 1) << 11;
                [0xf000 | (signs >> 2) << 10 | imm10, second | imm11]
            };
            for imm10 in [0, 1, 2, 0xff, 0x100, 0x1ff, 0x200, 0x2aa, 0x3fe, 0x3ff] {
                for imm11 in [0, 1, 2, 3, 0xff, 0x3ff, 0x400, 0x555, 0x7fd, 0x7fe, 0x7ff] {
                    encodings.push(call(imm10, imm11));
                }
            }
            for bit in 0..11 {
                encodings.push(call((1 << bit) & 0x3ff, 0));
                encodings.push(call(0, 1 << bit));
            }
            for _ in 0..1_000 {
                let word = random.next();
                encodings.push(call((word & 0x3ff) as u16, (word >> 16 & 0x7ff) as u16));
            }
        }
        encodings.extend(neighbours([0xf3bf, 0x8f4f]));
        encodings.extend(neighbours([0xf7f0, 0xa000]));
        encodings
    });
}

/// Every first halfword with each upper quarter of a second one, whose other bits are drawn: nearly
/// all are UNDEFINED (A5.3). Two processors at once.
#[test]
fn words_from_e800_do_what_qemu_does() {
    check_words("32-bit encodings from e800", 5, |random| {
        strata(0xe800..=0xf3ff, random)
    });
}

#[test]
fn words_from_f400_do_what_qemu_does() {
    check_words("32-bit encodings from f400", 6, |random| {
        strata(0xf400..=0xffff, random)
    });
}

fn strata(firsts: std::ops::RangeInclusive<u16>, random: &mut Random) -> Vec<[u16; 2]> {
    firsts
        .flat_map(|first| (0..16).map(move |upper| (first, upper)))
        .map(|(first, upper)| [first, upper << 12 | (random.next() & 0xfff) as u16])
        .collect()
}

/// An encoding with one bit at a time the other way round.
fn neighbours([first, second]: [u16; 2]) -> Vec<[u16; 2]> {
    (0..16)
        .flat_map(|bit| [[first, second ^ 1 << bit], [first ^ 1 << bit, second]])
        .filter(|[first, _]| is_wide(*first))
        .collect()
}

fn is_wide(half: u16) -> bool {
    half >= 0xe800
}
