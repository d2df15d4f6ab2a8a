//! Image files that must be refused, each with its message in a snapshot beside it, and some that
//! must not. ELF files are made here, byte by byte, so that a reader sees what is wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use lockrig::image::{ChipMap, Image, ImageError, PERSONALITY_PAGE_BYTES};

const CHIP: &str = "nRF51822_xxAA";

fn chip() -> ChipMap {
    ChipMap::of(CHIP).expect("our target description knows it")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images")
}

fn message(error: &ImageError) -> String {
    let mut text = format!("error: {error}\n");
    if let Some(hint) = error.hint() {
        text += &format!("hint: {hint}\n");
    }
    text
}

fn refused(name: &str, bytes: &[u8]) {
    let error = Image::read(name, bytes, &chip()).expect_err(name);
    insta::with_settings!({
        snapshot_path => folder(),
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, message(&error));
    });
}

#[test]
fn every_bad_file_is_refused_with_its_message() {
    let mut seen = 0;
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of this file")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    for file in files {
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name == "smallest.hex" || name.ends_with(".rs") || name.contains(".snap") {
            continue;
        }
        refused(&name, &fs::read(&file).expect("a readable file"));
        seen += 1;
    }
    assert!(seen >= 20, "only {seen} bad files were found");
}

#[test]
fn the_smallest_image_is_read() {
    let image = Image::load(&folder().join("smallest.hex"), &chip()).expect("it is a whole image");
    assert_eq!(image.bytes(), 16);
    assert_eq!(image.vectors().initial_stack_pointer, 0x2000_4000);
    assert_eq!(image.vectors().reset_vector, 9);
    assert_eq!(image.personality(), None);
    assert_eq!(image.chip(), CHIP);
    let elf =
        Image::read("same.elf", &Elf::default().bytes(), &chip()).expect("it is a whole image");
    assert_eq!(elf.segments(), image.segments());
    assert_eq!(elf.sha256(), image.sha256());
    assert_ne!(elf.file_sha256(), image.file_sha256());
}

#[test]
fn a_missing_file_is_named() {
    let error = Image::load(Path::new("no/such.hex"), &chip()).expect_err("there is none");
    let text = error.to_string();
    assert!(
        text.starts_with("image \"no/such.hex\": cannot read the file: "),
        "{text}"
    );
}

#[test]
fn an_unknown_chip_is_named() {
    let error = ChipMap::of("nRF99").expect_err("there is none");
    insta::assert_snapshot!(format!("error: {error}\nhint: {}", error.hint()), @r#"
    error: chip "nRF99": The requested chip 'nRF99' was not found in the list of known targets.
    hint: spell it as probe-rs does, as in "nRF51822_xxAA"
    "#);
}

#[test]
fn records_for_the_uicr_are_kept_apart() {
    let text = [
        record(0, 0, &BOOT),
        record(0, 4, &[0x10, 0x00]),
        record(0x10C0, 0, &[0x78, 0x56, 0x34, 0x12]),
        record(0, 1, &[]),
    ]
    .concat();
    let image = Image::read("uicr.hex", text.as_bytes(), &chip()).expect("UICR can be flashed");
    assert_eq!(image.segments().len(), 1);
    assert_eq!(image.settings().len(), 1);
    assert_eq!(image.settings()[0].address, 0x1000_10C0);
    assert_eq!(image.settings()[0].bytes, [0x78, 0x56, 0x34, 0x12]);
}

#[test]
fn a_personality_replaces_its_page_and_nothing_else() {
    let mut segment = BOOT.to_vec();
    segment.resize(0x400, 0);
    segment.extend_from_slice(b"LOCKPERS");
    let elf = Elf {
        data: segment,
        ..Elf::default()
    };
    let image = Image::read("lock.elf", &elf.bytes(), &chip()).expect("a whole image");
    assert_eq!(image.personality(), Some(0x400));
    let mut page = [0x5A; PERSONALITY_PAGE_BYTES];
    let error = image
        .with_personality(&page)
        .expect_err("the page has no magic");
    assert!(
        error.to_string().ends_with("must start with \"LOCKPERS\""),
        "{error}"
    );
    page[..8].copy_from_slice(b"LOCKPERS");
    let with = image
        .with_personality(&page)
        .expect("the image has a page for it");
    assert_eq!(with.segments().len(), 1);
    assert_eq!(
        with.segments()[0].bytes[..0x400],
        image.segments()[0].bytes[..0x400]
    );
    assert_eq!(with.segments()[0].bytes[0x400..], page);
    assert_eq!(with.file_sha256(), image.file_sha256());
    assert_ne!(with.sha256(), image.sha256());
}

#[test]
fn foreign_firmware_takes_no_personality() {
    let image = Image::load(&folder().join("smallest.hex"), &chip()).expect("a whole image");
    let mut page = [0xFF; PERSONALITY_PAGE_BYTES];
    page[..8].copy_from_slice(b"LOCKPERS");
    let mut error = image
        .with_personality(&page)
        .expect_err("there is no page for it");
    error.image = "smallest.hex".into();
    insta::assert_snapshot!(message(&error), @r#"
    error: image "smallest.hex": no personality page: no "LOCKPERS" at a multiple of 1024 bytes
    hint: it runs as foreign firmware; a profile needs an image with such a page
    "#);
}

#[test]
fn bad_elf_files_are_refused_with_their_messages() {
    let with = |change: fn(&mut Elf)| {
        let mut elf = Elf::default();
        change(&mut elf);
        elf.bytes()
    };
    refused("other-machine.elf", &with(|elf| elf.machine = 243));
    refused("unknown-machine.elf", &with(|elf| elf.machine = 4711));
    refused("64-bit.elf", &with(|elf| elf.class = 2));
    refused("big-endian.elf", &with(|elf| elf.order = 2));
    refused("entry-not-thumb.elf", &with(|elf| elf.entry = 8));
    refused("object-file.elf", &with(|elf| elf.kind = 1));
    refused("no-segments.elf", &with(|elf| elf.segments = 0));
    refused("no-bytes.elf", &with(|elf| elf.data.clear()));
    refused(
        "linked-elsewhere.elf",
        &with(|elf| elf.address = 0x0800_0000),
    );
    refused("linked-for-ram.elf", &with(|elf| elf.address = 0x2000_0000));
    refused(
        "beyond-flash.elf",
        &with(|elf| elf.data.resize(0x4_0001, 0)),
    );
    let mut short = Elf::default().bytes();
    short.truncate(short.len() - 1);
    refused("truncated.elf", &short);
    refused("header-only.elf", &short[..20]);
}

/// Initial stack pointer, reset vector, and a branch to itself behind them.
const BOOT: [u8; 16] = [
    0x00, 0x40, 0x00, 0x20, 0x09, 0, 0, 0, 0xFE, 0xE7, 0xC0, 0x46, 0xC0, 0x46, 0xC0, 0x46,
];

/// An ELF file with one loadable segment.
struct Elf {
    class: u8,
    order: u8,
    kind: u16,
    machine: u16,
    entry: u32,
    segments: u16,
    address: u32,
    data: Vec<u8>,
}

impl Default for Elf {
    fn default() -> Elf {
        Elf {
            class: 1,
            order: 1,
            kind: 2,
            machine: 40,
            entry: 9,
            segments: 1,
            address: 0,
            data: BOOT.to_vec(),
        }
    }
}

impl Elf {
    fn bytes(&self) -> Vec<u8> {
        let mut file = vec![0x7F, b'E', b'L', b'F', self.class, self.order, 1];
        file.resize(16, 0);
        let half = |file: &mut Vec<u8>, value: u16| {
            let bytes = if self.order == 2 {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            };
            file.extend(bytes);
        };
        half(&mut file, self.kind);
        half(&mut file, self.machine);
        // Version, entry, program headers, section headers, flags.
        for value in [1, self.entry, 52, 0, 0] {
            file.extend(u32::to_le_bytes(value));
        }
        for value in [52, 32, self.segments, 40, 0, 0] {
            half(&mut file, value);
        }
        // Loadable, offset, virtual and physical address, size in file and memory, flags, alignment.
        let length = self.data.len() as u32;
        for value in [1, 84, self.address, self.address, length, length, 5, 4] {
            file.extend(u32::to_le_bytes(value));
        }
        file.extend(&self.data);
        file
    }
}

/// One Intel HEX record.
pub fn record(offset: u16, kind: u8, data: &[u8]) -> String {
    let [high, low] = offset.to_be_bytes();
    let mut bytes = vec![data.len() as u8, high, low, kind];
    bytes.extend_from_slice(data);
    let sum = bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    bytes.push(sum.wrapping_neg());
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(":{digits}\n")
}
