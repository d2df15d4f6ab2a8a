//! What only a client of ill will sends; what a real one sends is tested with one.

use super::BlackMagicProbe;
use crate::chip::Chip;

fn supplied() -> Chip {
    let mut chip = Chip::new(1);
    chip.set_supply(3_000);
    chip.power_on();
    chip
}

fn ask(probe: &mut BlackMagicProbe, chip: &mut Chip, text: &str) -> Vec<String> {
    text.bytes()
        .filter_map(|byte| probe.receive(byte, chip))
        .collect()
}

#[test]
fn requests_are_found_among_noise_and_each_is_answered() {
    let (mut probe, mut chip) = (BlackMagicProbe::default(), supplied());
    let answers = ask(&mut probe, &mut chip, "+#noise!HC#!!Gf#\r\n!HA#");
    assert_eq!(answers, ["&K4#", "&K3d0900#", "&K1#"]);
}

#[test]
fn what_makes_no_sense_is_refused_and_harms_nothing() {
    let (mut probe, mut chip) = (BlackMagicProbe::default(), supplied());
    let mut refused = |text: &str| ask(&mut probe, &mut chip, text).concat();
    assert_eq!(refused("!#"), "&P2#");
    assert_eq!(refused("!ZZ#"), "&N1#");
    assert_eq!(refused("!Ax00#"), "&N1#");
    assert_eq!(refused("!Ad00ff#"), "&P2#");
    assert_eq!(refused("!Ad00ff00xy#"), "&P2#");
    assert_eq!(refused("!So#"), "&P2#");
    let far_too_much = format!("!Am0000{:08x}{:016x}{:08x}#", 0, 0x2000_0000, 0x1_0000);
    assert_eq!(refused(&far_too_much), "&P2#");
    assert_eq!(refused("!\u{e9}\u{e9}#"), "&N1#");
    let endless = format!("!AM{}#", "0".repeat(5_000));
    assert_eq!(refused(&endless), "");
    assert_eq!(refused("!HC#"), "&K4#");
}

#[test]
fn a_chip_without_supply_is_silent_and_one_with_supply_answers_in_both_ways() {
    const LINE_RESET: &str = "!So20ffffffff#!So20ffffffff#!So0400#";
    // DPIDR: start, read, parity, park.
    const READ_IDENTITY: &str = "!So08a5#!Si20#!Si04#";
    let (mut probe, mut chip) = (BlackMagicProbe::default(), Chip::new(1));
    let read = format!("{LINE_RESET}{READ_IDENTITY}");
    assert_eq!(
        ask(&mut probe, &mut chip, &read)[4..],
        ["&Kffffffff#", "&Kf#"]
    );
    assert_eq!(ask(&mut probe, &mut chip, "!Ad00ff0000#"), ["&E4#"]);
    chip.set_supply(3_000);
    chip.power_on();
    let identity = 0x0bb1_1477_u64 << 3 | 1;
    let low = format!("&K{:x}#", identity & 0xffff_ffff);
    assert_eq!(ask(&mut probe, &mut chip, &read)[4..], [&low, "&K8#"]);
    assert_eq!(ask(&mut probe, &mut chip, "!Ad00ff0000#"), ["&K7714b10b#"]);
    // A request with a wrong parity bit leaves the target deaf until the next line reset.
    let deaf = ask(&mut probe, &mut chip, &format!("!So0885#{READ_IDENTITY}"));
    assert_eq!(deaf[1..], ["&K0#", "&Kffffffff#", "&Kf#"]);
    assert_eq!(ask(&mut probe, &mut chip, &read)[4..], [&low, "&K8#"]);
}
