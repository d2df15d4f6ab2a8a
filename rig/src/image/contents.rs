//! Bytes at addresses, sparse: what an image file says, before or after it is known to fit a chip.

/// Bytes that stand next to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Where the first byte belongs.
    pub address: u32,
    /// At least one byte.
    pub bytes: Vec<u8>,
}

impl Segment {
    /// The address after the last byte; 2^32 for a segment at the very end.
    pub fn end(&self) -> u64 {
        u64::from(self.address) + self.bytes.len() as u64
    }
}

/// An address that was given two different bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overlap {
    /// The lowest such address.
    pub address: u32,
}

/// Segments in order: disjoint, none empty, no two adjacent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    segments: Vec<Segment>,
}

impl Contents {
    /// Sorts and joins `pieces`. One address may be given twice if it is the same byte.
    pub fn of(mut pieces: Vec<Segment>) -> Result<Contents, Overlap> {
        pieces.retain(|piece| !piece.bytes.is_empty());
        pieces.sort_by_key(|piece| piece.address);
        let mut segments: Vec<Segment> = Vec::new();
        for piece in pieces {
            match segments.last_mut() {
                Some(last) if u64::from(piece.address) <= last.end() => append(last, piece)?,
                _ => segments.push(piece),
            }
        }
        Ok(Contents { segments })
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    pub fn byte(&self, address: u32) -> Option<u8> {
        let after = self.segments.partition_point(|s| s.address <= address);
        let segment = &self.segments[after.checked_sub(1)?];
        segment
            .bytes
            .get((address - segment.address) as usize)
            .copied()
    }

    /// The little-endian word at `address`, where all of it is given.
    pub fn word(&self, address: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        for (offset, byte) in bytes.iter_mut().enumerate() {
            *byte = self.byte(address.checked_add(offset as u32)?)?;
        }
        Some(u32::from_le_bytes(bytes))
    }

    /// The lowest multiple of `alignment` where `magic` stands.
    pub fn aligned(&self, magic: &[u8], alignment: u32) -> Option<u32> {
        self.segments.iter().find_map(|segment| {
            let skip = segment.address.next_multiple_of(alignment) - segment.address;
            (skip as usize..segment.bytes.len())
                .step_by(alignment as usize)
                .find(|&at| segment.bytes[at..].starts_with(magic))
                .map(|at| segment.address + at as u32)
        })
    }

    /// Puts `bytes` at `address`, whatever was there.
    pub fn overwrite(&mut self, address: u32, bytes: &[u8]) {
        let end = u64::from(address) + bytes.len() as u64;
        let mut pieces = vec![Segment {
            address,
            bytes: bytes.to_vec(),
        }];
        for segment in std::mem::take(&mut self.segments) {
            let before = (u64::from(address).saturating_sub(u64::from(segment.address)) as usize)
                .min(segment.bytes.len());
            pieces.push(Segment {
                address: segment.address,
                bytes: segment.bytes[..before].to_vec(),
            });
            if segment.end() > end {
                let skip = end.saturating_sub(u64::from(segment.address)) as usize;
                pieces.push(Segment {
                    address: segment.address + skip as u32,
                    bytes: segment.bytes[skip..].to_vec(),
                });
            }
        }
        *self = Contents::of(pieces).expect("what stood there was cut out");
    }
}

/// Appends `piece`, which starts within `last` or right after it.
fn append(last: &mut Segment, piece: Segment) -> Result<(), Overlap> {
    let at = (piece.address - last.address) as usize;
    let shared = (last.bytes.len() - at).min(piece.bytes.len());
    let (again, new) = piece.bytes.split_at(shared);
    let differs = |offset: &usize| last.bytes[at + offset] != again[*offset];
    if let Some(offset) = (0..shared).find(differs) {
        return Err(Overlap {
            address: piece.address + offset as u32,
        });
    }
    last.bytes.extend_from_slice(new);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(address: u32, bytes: &[u8]) -> Segment {
        Segment {
            address,
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn pieces_are_sorted_and_joined() {
        let contents = Contents::of(vec![
            segment(8, &[8, 9]),
            segment(0, &[0, 1]),
            segment(2, &[2]),
            segment(1, &[1, 2]),
            segment(5, &[]),
        ]);
        let joined = vec![segment(0, &[0, 1, 2]), segment(8, &[8, 9])];
        assert_eq!(contents.unwrap().segments, joined);
    }

    #[test]
    fn an_address_cannot_hold_two_bytes() {
        let pieces = vec![segment(0, &[0, 1, 2]), segment(1, &[1, 9])];
        assert_eq!(Contents::of(pieces), Err(Overlap { address: 2 }));
    }

    #[test]
    fn overwriting_keeps_what_stands_around() {
        let mut contents = Contents::of(vec![segment(0, &[0; 8]), segment(10, &[1; 4])]).unwrap();
        contents.overwrite(2, &[9; 10]);
        let expected = [0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 1, 1];
        assert_eq!(contents.segments, vec![segment(0, &expected)]);
        contents.overwrite(20, &[7]);
        assert_eq!(contents.segments[1], segment(20, &[7]));
        contents.overwrite(4, &[3]);
        assert_eq!(contents.byte(4), Some(3));
        assert_eq!(contents.byte(5), Some(9));
        assert_eq!(contents.byte(14), None);
    }

    #[test]
    fn magic_counts_only_where_it_is_aligned() {
        let contents = Contents::of(vec![segment(3, b"xMAGMAG"), segment(16, b"MAG")]).unwrap();
        assert_eq!(contents.aligned(b"MAG", 8), Some(16));
        assert_eq!(contents.aligned(b"MAG", 4), Some(4));
    }
}
