//! ELF: the bytes of its loadable segments, at their physical addresses.

use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_RISCV, EM_X86_64, EM_XTENSA, ET_REL, PT_LOAD};
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use super::Refusal;
use super::contents::{Contents, Segment};

pub(super) fn contents(bytes: &[u8], chip: &str) -> Result<Contents, Refusal> {
    match FileKind::parse(bytes).map_err(damaged)? {
        FileKind::Elf32 => {
            let header = FileHeader32::<Endianness>::parse(bytes).map_err(damaged)?;
            let endian = header.endian().map_err(damaged)?;
            if header.e_machine(endian) != EM_ARM || endian == Endianness::Big {
                return Err(wrong_architecture(header, endian, chip));
            }
            loadable(header, endian, bytes)
        }
        FileKind::Elf64 => {
            let header = FileHeader64::<Endianness>::parse(bytes).map_err(damaged)?;
            let endian = header.endian().map_err(damaged)?;
            Err(wrong_architecture(header, endian, chip))
        }
        _ => Err(damaged("its class is neither 32 nor 64 bits")),
    }
}

fn loadable(
    header: &FileHeader32<Endianness>,
    endian: Endianness,
    bytes: &[u8],
) -> Result<Contents, Refusal> {
    if header.e_type(endian) == ET_REL {
        return Err(Refusal::NothingToLoad {
            seen: "it is an object file that was never linked".into(),
        });
    }
    let mut pieces = Vec::new();
    for program in header.program_headers(endian, bytes).map_err(damaged)? {
        if program.p_type(endian) != PT_LOAD || program.p_filesz(endian) == 0 {
            continue;
        }
        let data = program
            .data(endian, bytes)
            .map_err(|()| damaged("a segment reaches beyond the end of the file"))?;
        pieces.push(Segment {
            address: program.p_paddr(endian),
            bytes: data.to_vec(),
        });
    }
    if pieces.is_empty() {
        return Err(Refusal::NothingToLoad {
            seen: "no loadable segment has bytes".into(),
        });
    }
    let entry = header.e_entry(endian);
    // Some linker scripts name no entry point: the vector table decides, which is checked later.
    if entry != 0 && entry & 1 == 0 {
        return Err(Refusal::EntryNotThumb { entry });
    }
    Ok(Contents::of(pieces)?)
}

fn wrong_architecture<H: FileHeader>(header: &H, endian: H::Endian, chip: &str) -> Refusal {
    let class = if header.is_type_64() {
        "64-bit"
    } else {
        "32-bit"
    };
    let order = match header.is_big_endian() {
        true => "big-endian",
        false => "little-endian",
    };
    let machine = match header.e_machine(endian) {
        EM_ARM => "ARM".into(),
        EM_AARCH64 => "AArch64".into(),
        EM_RISCV => "RISC-V".into(),
        EM_XTENSA => "Xtensa".into(),
        EM_386 => "x86".into(),
        EM_X86_64 => "x86-64".into(),
        other => format!("ELF machine {}", other.0),
    };
    Refusal::WrongArchitecture {
        machine: format!("{class} {order} {machine}"),
        chip: chip.to_owned(),
    }
}

fn damaged(seen: impl ToString) -> Refusal {
    Refusal::DamagedElf {
        seen: seen.to_string(),
    }
}
