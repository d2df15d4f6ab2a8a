//! From addresses of an image to places in its source, by the debug information that its file has; else to the
//! symbol before the address.

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

type Reader = EndianArcSlice<RunTimeEndian>;

/// Paths of sources that are not the firmware's own: the toolchain's, and those of crates, as cargo and our
/// builds call them.
const OTHERS: [&str; 5] = [
    "/rust-src/",
    "/crates/",
    "/rustc/",
    "/registry/src/",
    "/toolchains/",
];

/// The places of an image's instructions.
#[derive(Default)]
pub struct Lines {
    dwarf: Option<Context<Reader>>,
    /// Functions by their addresses, ascending.
    symbols: Vec<(u32, String)>,
}

impl Lines {
    /// Of an image file. What it does not have is not told: a hex file has nothing of this.
    pub fn read(file: &[u8]) -> Lines {
        let Ok(object) = object::File::parse(file) else {
            return Lines::default();
        };
        let functions = object
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
        let mut symbols: Vec<(u32, String)> = functions
            .filter_map(|symbol| {
                let name = symbol.name().ok().filter(|name| !name.starts_with('$'))?;
                let name = addr2line::demangle_auto(name.into(), None).into_owned();
                // The lowest bit of a Thumb function's address says that it is one.
                Some((u32::try_from(symbol.address()).ok()? & !1, name))
            })
            .collect();
        symbols.sort();
        let endian = match object.is_little_endian() {
            true => RunTimeEndian::Little,
            false => RunTimeEndian::Big,
        };
        let section = |id: gimli::SectionId| -> Result<Reader, gimli::Error> {
            let section = object.section_by_name(id.name());
            let data = section.and_then(|section| section.uncompressed_data().ok());
            Ok(Reader::new(data.unwrap_or_default().into(), endian))
        };
        let dwarf = Dwarf::load(section).ok();
        Lines {
            dwarf: dwarf.and_then(|dwarf| Context::from_dwarf(dwarf).ok()),
            symbols,
        }
    }

    /// Where an instruction stands: `firmware/lock/src/main.rs:12 in check`; of code that is not the firmware's
    /// own, where the firmware asked for it. Without debug information, `check + 6`.
    pub fn place(&self, address: u32) -> Option<String> {
        self.line(address).or_else(|| self.symbol(address))
    }

    fn line(&self, address: u32) -> Option<String> {
        let frames = self.dwarf.as_ref()?.find_frames(address.into());
        let mut frames = frames.skip_all_loads().ok()?;
        let mut innermost = None;
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else {
                continue;
            };
            let (Some(file), Some(line)) = (location.file, location.line) else {
                continue;
            };
            let name = frame.function.as_ref();
            let name = name.and_then(|name| Some(name.demangle().ok()?.into_owned()));
            let place = match name {
                Some(name) => format!("{}:{line} in {}", shortened(file), last_part(&name)),
                None => format!("{}:{line}", shortened(file)),
            };
            if !OTHERS.iter().any(|other| file.contains(other)) {
                return Some(place);
            }
            innermost.get_or_insert(place);
        }
        innermost
    }

    fn symbol(&self, address: u32) -> Option<String> {
        let after = self.symbols.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.symbols.get(after.checked_sub(1)?)?;
        Some(match address - start {
            0 => name.clone(),
            offset => format!("{name} + {offset}"),
        })
    }
}

/// A path as a reader of the project knows it.
fn shortened(file: &str) -> &str {
    file.strip_prefix("/lockrig/").unwrap_or(file)
}

/// `compare` of `lock::attempt::Match::compare`, with the type if there is one.
fn last_part(name: &str) -> &str {
    let plain = name.split('<').next().filter(|plain| !plain.is_empty());
    let plain = plain.unwrap_or(name).trim_end_matches("::");
    plain.rsplit("::").next().unwrap_or(plain)
}
