//! Factory information: nRF51 Series Reference Manual v3.0, section 7 "FICR".
//! An nRF51822_xxAA that left the factory without preprogrammed code.

/// First address of FICR.
pub(super) const FICR: u32 = 0x1000_0000;

/// The chip's individual numbers.
#[derive(Clone, Debug, Hash)]
pub(super) struct Ficr {
    device: [u32; 2],
    encryption_root: [u32; 4],
    identity_root: [u32; 4],
    address: [u32; 2],
}

impl Ficr {
    pub(super) fn new(mut draw: impl FnMut() -> u32) -> Ficr {
        let device = [draw(), draw()];
        let encryption_root = [draw(), draw(), draw(), draw()];
        let identity_root = [draw(), draw(), draw(), draw()];
        // A random static address; the upper half of the second word is not part of it.
        let address = [draw(), draw() | 0xffff_0000];
        Ficr {
            device,
            encryption_root,
            identity_root,
            address,
        }
    }

    pub(super) fn read(&self, offset: u32) -> u32 {
        let index = (offset / 4 % 4) as usize;
        match offset {
            0x010 => 1_024, // CODEPAGESIZE
            0x014 => 256,   // CODESIZE, in pages
            0x034 => 2,     // NUMRAMBLOCK
            // SIZERAMBLOCKS, the same word as SIZERAMBLOCK[0].
            0x038 | 0x03c => 8_192,
            0x040 | 0x044 => 0,
            // CONFIGID: hardware 0x1d is nRF51822_xxAA, build code CA/C0.
            0x05c => 0xffff_001d,
            0x060 | 0x064 => self.device[index],
            0x080..0x090 => self.encryption_root[index],
            0x090..0x0a0 => self.identity_root[index],
            0x0a4 => self.address[0],
            0x0a8 => self.address[1],
            // PPFC, CLENR0, DEVICEADDRTYPE (random), OVERRIDEEN (none) and what nobody wrote.
            _ => u32::MAX,
        }
    }
}
