//! Firmware images: ELF and Intel HEX files, read and checked in full before anything is flashed.
//!
//! An [`Image`] that exists fits its chip: every byte lies in memory that can be flashed, and the
//! vector table at the start of flash has a stack pointer in RAM and a Thumb reset vector in the
//! image. Whatever is wrong with a file is a [`Refusal`], with a hint.
//!
//! Nothing here touches a probe. `chip` knows where a chip's memories are; `driver::probe`
//! flashes what comes out.

mod chip;
mod contents;
mod elf;
mod hex;
mod lines;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use defmt_decoder::Table;
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use chip::{ChipMap, registry};
pub use contents::Segment;
pub use lines::Lines;

use contents::{Contents, Overlap};

/// The first eight bytes of a page that a personality may be written to.
pub const PERSONALITY_MAGIC: &[u8; 8] = b"LOCKPERS";

/// The size of a personality page, and its alignment: the nRF51's flash page.
pub const PERSONALITY_PAGE_BYTES: usize = 1024;

/// Larger files than this are refused unread; a hex file of the largest Cortex-M flash is smaller.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The first word of Nordic's master boot record, which every soft device begins with. It lies in
/// flash: the record sets its own stack pointer before it pushes anything.
const MASTER_BOOT_RECORD_STACK: u32 = 0x7C0;

/// A firmware image that fits its chip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    name: String,
    chip: String,
    flash: Contents,
    settings: Contents,
    vectors: Vectors,
    personality: Option<u32>,
    file_sha256: Sha256Sum,
    /// The file, if it may have words of a log.
    wordy: Option<Arc<[u8]>>,
}

/// The two words of the vector table that the core loads at reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vectors {
    /// Where the vector table stands: the start of flash.
    pub address: u32,
    /// The first word.
    pub initial_stack_pointer: u32,
    /// The second word, with the Thumb bit.
    pub reset_vector: u32,
}

/// A SHA-256, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Sum(pub [u8; 32]);

/// An image file that was refused.
#[derive(Debug, Error)]
#[error("image \"{image}\": {why}")]
pub struct ImageError {
    /// The file, as it was named.
    pub image: String,
    /// What is wrong with it.
    #[source]
    pub why: Refusal,
}

/// No target description knows the chip, or it is of no use.
#[derive(Debug, Error)]
#[error("chip \"{chip}\": {seen}")]
pub struct UnknownChip {
    /// The chip, as it was named.
    pub chip: String,
    /// What looking it up said.
    pub seen: String,
}

/// What is wrong with an image file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    Unreadable(std::io::Error),
    /// The file has no bytes, or nothing but white space.
    #[error("the file is empty")]
    Empty,
    /// Too large to be meant.
    #[error("the file is {bytes} bytes long, more than the {FILE_BYTES_MAX} any image needs")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// Neither ELF nor Intel HEX.
    #[error("neither ELF nor Intel HEX: it starts with {start}")]
    UnknownFormat {
        /// Its first bytes, in hexadecimal.
        start: String,
    },
    /// A raw binary, which carries no addresses.
    #[error("a raw binary does not say where it belongs")]
    RawBinary,
    /// A UF2 file.
    #[error("UF2 files are not read")]
    Uf2,
    /// An ELF file whose structure does not hold together.
    #[error("damaged ELF file: {seen}")]
    DamagedElf {
        /// What reading it said.
        seen: String,
    },
    /// An ELF file for another kind of processor.
    #[error("built for {machine}; chip \"{chip}\" is a 32-bit little-endian ARM")]
    WrongArchitecture {
        /// The ELF machine, by name where it has one.
        machine: String,
        /// The chip that it should have fitted.
        chip: String,
    },
    /// An ELF file whose entry point is not Thumb code.
    #[error("entry point {entry:#010x} is not Thumb code; a Cortex-M runs nothing else")]
    EntryNotThumb {
        /// The entry point of the ELF header.
        entry: u32,
    },
    /// An ELF file without a segment that has bytes.
    #[error("nothing to load: {seen}")]
    NothingToLoad {
        /// What the file is or holds instead.
        seen: String,
    },
    /// A hex file that ends too early.
    #[error("line {line}: the file ends {place}")]
    Truncated {
        /// Its last line.
        line: usize,
        /// Where in its structure it ends.
        place: &'static str,
    },
    /// A hex record whose bytes do not match its checksum.
    #[error("line {line}: checksum {found:02X}, the record's bytes give {computed:02X}")]
    BadChecksum {
        /// The record's line.
        line: usize,
        /// What the record says.
        found: u8,
        /// What it should say.
        computed: u8,
    },
    /// A line of a hex file that is no record.
    #[error("line {line}: {seen}")]
    BadRecord {
        /// The line.
        line: usize,
        /// What is wrong with it.
        seen: String,
    },
    /// A record type that only micro:bit "universal hex" files have.
    #[error("line {line}: record type {kind:02X} of a micro:bit universal hex file")]
    UniversalHex {
        /// The first such line.
        line: usize,
        /// The record type.
        kind: u8,
    },
    /// Two different bytes for one address.
    #[error("address {address:#010x} is given two different bytes")]
    Overlap {
        /// The lowest such address.
        address: u32,
    },
    /// Bytes for addresses that are no flash.
    #[error(
        "segment {start:#010x}..{end:#010x} is outside what can be flashed on \"{chip}\": {memories}"
    )]
    OutsideFlash {
        /// First address of the segment.
        start: u32,
        /// The address after its last.
        end: u64,
        /// The chip.
        chip: String,
        /// What can be flashed.
        memories: String,
        /// The segment starts in the chip's RAM.
        in_ram: bool,
    },
    /// The chip boots from an address that the image leaves out.
    #[error("no vector table at {address:#010x}, where chip \"{chip}\" boots")]
    NoVectors {
        /// The start of flash.
        address: u32,
        /// The chip.
        chip: String,
        /// The lowest address that the image has.
        lowest: u32,
    },
    /// The first word of the vector table is no stack.
    #[error("initial stack pointer {seen:#010x} is outside the RAM of \"{chip}\", {ram}")]
    StackOutsideRam {
        /// The first word of the vector table.
        seen: u32,
        /// The chip.
        chip: String,
        /// Its RAM.
        ram: String,
    },
    /// The second word of the vector table has bit 0 clear.
    #[error("reset vector {seen:#010x} is not Thumb code; a Cortex-M runs nothing else")]
    ResetNotThumb {
        /// The second word of the vector table.
        seen: u32,
    },
    /// The second word of the vector table points to nothing that the image loads.
    #[error("reset vector {seen:#010x} points outside the image's flash segments, {segments}")]
    ResetOutsideImage {
        /// The second word of the vector table.
        seen: u32,
        /// What the image has in flash.
        segments: String,
    },
    /// The image has no page for a personality.
    #[error("no personality page: no \"LOCKPERS\" at a multiple of 1024 bytes")]
    NoPersonalityPage,
    /// Bytes that should go into the personality page but are none.
    #[error("a personality page must start with \"LOCKPERS\"")]
    NotAPersonality,
}

impl Refusal {
    /// What to try, where there is something to try.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Refusal::Unreadable(_) | Refusal::TooLarge { .. } | Refusal::NotAPersonality => {
                return None;
            }
            Refusal::Empty => "did the build or the download that made it succeed?".into(),
            Refusal::UnknownFormat { .. } => {
                "give the linker's ELF file or an Intel HEX file".into()
            }
            Refusal::RawBinary => "give the ELF file it was made from, or add the address: \
                 'objcopy -I binary -O ihex --change-addresses 0x0 in.bin out.hex'"
                .into(),
            Refusal::Uf2 => "give the ELF or hex file it was made from".into(),
            Refusal::DamagedElf { .. } => "build it again, or copy it again in binary mode".into(),
            Refusal::WrongArchitecture { .. } => {
                "build for thumbv6m-none-eabi, or name the right chip in the bench file".into()
            }
            Refusal::EntryNotThumb { .. } | Refusal::ResetNotThumb { .. } => {
                "is it built for a Cortex-M, and does the linker script put the vector table first?"
                    .into()
            }
            Refusal::NothingToLoad { .. } => {
                "give the linked program, not an object file or one that holds debug information \
                 only"
                    .into()
            }
            Refusal::Truncated { .. } => {
                "copy it again; a whole file ends with ':00000001FF'".into()
            }
            Refusal::BadChecksum { .. } | Refusal::BadRecord { .. } => {
                "the file was damaged or edited: copy or build it again".into()
            }
            Refusal::UniversalHex { .. } => {
                "it holds images of several boards: take out the one for this chip \
                 (the micro:bit V1 is an nRF51822)"
                    .into()
            }
            Refusal::Overlap { .. } => "were two images merged that share a page?".into(),
            Refusal::OutsideFlash { in_ram: true, .. } => {
                "it is linked to run from RAM: link it for flash".into()
            }
            Refusal::OutsideFlash { .. } => {
                "is it linked for this chip? compare MEMORY in its linker script".into()
            }
            Refusal::NoVectors { lowest, .. } => format!(
                "it starts at {lowest:#010x}: is it linked to stand behind a bootloader or soft \
                 device? merge the two first"
            ),
            Refusal::StackOutsideRam { .. } => {
                "is it linked for this chip, and does its vector table stand first?".into()
            }
            Refusal::ResetOutsideImage { .. } => {
                "does the linker script put the vector table first?".into()
            }
            Refusal::NoPersonalityPage => {
                "it runs as foreign firmware; a profile needs an image with such a page".into()
            }
        })
    }
}

impl ImageError {
    /// What to try, where there is something to try.
    pub fn hint(&self) -> Option<String> {
        self.why.hint()
    }
}

impl UnknownChip {
    /// What to try.
    pub fn hint(&self) -> String {
        "spell it as probe-rs does, as in \"nRF51822_xxAA\"".into()
    }
}

impl Image {
    /// Reads the image file at `path` and checks that it fits `chip`.
    pub fn load(path: &Path, chip: &ChipMap) -> Result<Image, ImageError> {
        let name = path.display().to_string();
        let refuse = |why| ImageError {
            image: name.clone(),
            why,
        };
        let bytes = read_bounded(path).map_err(refuse)?;
        Image::read(&name, &bytes, chip)
    }

    /// Checks that the image file with these `bytes` fits `chip`. `name` is what messages call it.
    pub fn read(name: &str, bytes: &[u8], chip: &ChipMap) -> Result<Image, ImageError> {
        let words = b".defmt";
        let wordy = bytes.windows(words.len()).any(|name| name == words);
        parse(bytes, chip)
            .and_then(|contents| Image::fit(name, contents, sha256(bytes), chip))
            .map(|image| Image {
                wordy: wordy.then(|| bytes.into()),
                ..image
            })
            .map_err(|why| ImageError {
                image: name.to_owned(),
                why,
            })
    }

    fn fit(
        name: &str,
        contents: Contents,
        file_sha256: Sha256Sum,
        chip: &ChipMap,
    ) -> Result<Image, Refusal> {
        let (mut flash, mut settings) = (Vec::new(), Vec::new());
        for segment in contents.into_segments() {
            if within(&segment, &chip.flash()) {
                flash.push(segment);
            } else if chip.settings().iter().any(|range| within(&segment, range)) {
                settings.push(segment);
            } else {
                return Err(outside(&segment, chip));
            }
        }
        let flash = Contents::of(flash).expect("segments of one file stay disjoint");
        let settings = Contents::of(settings).expect("segments of one file stay disjoint");
        let vectors = vectors(&flash, chip)?;
        let personality = flash.aligned(PERSONALITY_MAGIC, PERSONALITY_PAGE_BYTES as u32);
        Ok(Image {
            name: name.to_owned(),
            chip: chip.name().to_owned(),
            flash,
            settings,
            vectors,
            personality,
            file_sha256,
            wordy: None,
        })
    }

    /// What messages and receipts call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The chip that it was checked against.
    pub fn chip(&self) -> &str {
        &self.chip
    }

    /// What goes into flash: in order, disjoint, no two adjacent.
    pub fn segments(&self) -> &[Segment] {
        self.flash.segments()
    }

    /// What goes into the chip's settings memory, the nRF51's UICR; likewise in order.
    pub fn settings(&self) -> &[Segment] {
        self.settings.segments()
    }

    /// The start of its vector table.
    pub fn vectors(&self) -> Vectors {
        self.vectors
    }

    /// The address of its personality page. An image without one is foreign firmware.
    pub fn personality(&self) -> Option<u32> {
        self.personality
    }

    /// The words of its log, where it logs with defmt: they stay in the file, and the chip sends their numbers.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn words(&self) -> Result<Option<Arc<Table>>, String> {
        let Some(file) = &self.wordy else {
            return Ok(None);
        };
        let table = Table::parse(file).map_err(|why| format!("{why:#}"))?;
        Ok(table.map(Arc::new))
    }

    /// The hash of the file as it was read.
    pub fn file_sha256(&self) -> Sha256Sum {
        self.file_sha256
    }

    /// The hash of what is flashed: each segment's address and length, 32 bits and little-endian,
    /// and its bytes. It tells two personalities apart and does not depend on the file's format.
    pub fn sha256(&self) -> Sha256Sum {
        let mut hash = Sha256::new();
        for segment in self.segments().iter().chain(self.settings()) {
            hash.update(segment.address.to_le_bytes());
            hash.update((segment.bytes.len() as u32).to_le_bytes());
            hash.update(&segment.bytes);
        }
        Sha256Sum(hash.finalize().into())
    }

    /// How many bytes it flashes.
    pub fn bytes(&self) -> usize {
        self.segments()
            .iter()
            .chain(self.settings())
            .map(|segment| segment.bytes.len())
            .sum()
    }

    /// The same image with `page` as its personality page.
    pub fn with_personality(
        &self,
        page: &[u8; PERSONALITY_PAGE_BYTES],
    ) -> Result<Image, ImageError> {
        let refuse = |why| ImageError {
            image: self.name.clone(),
            why,
        };
        if !page.starts_with(PERSONALITY_MAGIC) {
            return Err(refuse(Refusal::NotAPersonality));
        }
        let Some(address) = self.personality else {
            return Err(refuse(Refusal::NoPersonalityPage));
        };
        let mut image = self.clone();
        image.flash.overwrite(address, page);
        Ok(image)
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Refusal> {
    let bytes = std::fs::metadata(path).map_err(Refusal::Unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(Refusal::TooLarge { bytes });
    }
    std::fs::read(path).map_err(Refusal::Unreadable)
}

fn parse(bytes: &[u8], chip: &ChipMap) -> Result<Contents, Refusal> {
    let text = bytes.trim_ascii_start();
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let contents = if text.is_empty() {
        return Err(Refusal::Empty);
    } else if bytes.starts_with(b"\x7FELF") {
        elf::contents(bytes, chip.name())?
    } else if text.starts_with(b":") {
        hex::contents(bytes)?
    } else if bytes.starts_with(b"UF2\n") {
        return Err(Refusal::Uf2);
    } else if looks_like_raw_binary(bytes, chip) {
        return Err(Refusal::RawBinary);
    } else {
        let start: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
        let start = start.join(" ");
        return Err(Refusal::UnknownFormat { start });
    };
    if contents.segments().is_empty() {
        return Err(Refusal::NothingToLoad {
            seen: "no record carries data".into(),
        });
    }
    Ok(contents)
}

/// A vector table where a file format's signature should be.
fn looks_like_raw_binary(bytes: &[u8], chip: &ChipMap) -> bool {
    let Some((words, _)) = bytes.split_first_chunk::<8>() else {
        return false;
    };
    let [a, b, c, d, e, f, g, h] = *words;
    let stack = u32::from_le_bytes([a, b, c, d]);
    let reset = u32::from_le_bytes([e, f, g, h]);
    in_ram(stack, chip) && reset & 1 == 1 && chip.flash().contains(&reset)
}

fn in_ram(stack_pointer: u32, chip: &ChipMap) -> bool {
    // A full-descending stack may start just after the last byte of RAM, never at its first.
    chip.ram()
        .iter()
        .any(|ram| stack_pointer > ram.start && stack_pointer <= ram.end)
}

fn within(segment: &Segment, range: &std::ops::Range<u32>) -> bool {
    segment.address >= range.start && segment.end() <= u64::from(range.end)
}

fn outside(segment: &Segment, chip: &ChipMap) -> Refusal {
    let mut memories = format!("flash {}", span(&chip.flash()));
    for settings in chip.settings() {
        memories += &format!(", settings {}", span(settings));
    }
    Refusal::OutsideFlash {
        start: segment.address,
        end: segment.end(),
        chip: chip.name().to_owned(),
        memories,
        in_ram: chip.ram().iter().any(|ram| ram.contains(&segment.address)),
    }
}

fn vectors(flash: &Contents, chip: &ChipMap) -> Result<Vectors, Refusal> {
    let address = chip.flash().start;
    let (Some(initial_stack_pointer), Some(reset_vector)) =
        (flash.word(address), flash.word(address + 4))
    else {
        return Err(Refusal::NoVectors {
            address,
            chip: chip.name().to_owned(),
            lowest: flash.segments().first().map_or(0, |first| first.address),
        });
    };
    if !in_ram(initial_stack_pointer, chip) && initial_stack_pointer != MASTER_BOOT_RECORD_STACK {
        return Err(Refusal::StackOutsideRam {
            seen: initial_stack_pointer,
            chip: chip.name().to_owned(),
            ram: spans(chip.ram().iter().cloned()),
        });
    }
    if reset_vector & 1 == 0 {
        return Err(Refusal::ResetNotThumb { seen: reset_vector });
    }
    if flash.byte(reset_vector & !1).is_none() {
        let segments = flash.segments().iter();
        return Err(Refusal::ResetOutsideImage {
            seen: reset_vector,
            segments: spans(segments.map(|s| s.address..s.address + s.bytes.len() as u32)),
        });
    }
    Ok(Vectors {
        address,
        initial_stack_pointer,
        reset_vector,
    })
}

fn span(range: &std::ops::Range<u32>) -> String {
    format!("{:#010x}..{:#010x}", range.start, range.end)
}

/// The first four ranges, so that a message about a scattered image stays readable.
fn spans(ranges: impl ExactSizeIterator<Item = std::ops::Range<u32>>) -> String {
    const SHOWN_MAX: usize = 4;
    let more = ranges.len().saturating_sub(SHOWN_MAX);
    let shown: Vec<String> = ranges.take(SHOWN_MAX).map(|range| span(&range)).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn sha256(bytes: &[u8]) -> Sha256Sum {
    Sha256Sum(Sha256::digest(bytes).into())
}

impl fmt::Display for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Overlap> for Refusal {
    fn from(Overlap { address }: Overlap) -> Refusal {
        Refusal::Overlap { address }
    }
}
