//! The wiring that `bench.toml` describes, and what `scenario.yaml` does with it.

/// Rows and columns of the keypad. They are on, like all outputs, while they are low.
const ROWS: [u32; 4] = [5, 6, 13, 19];
const COLUMNS: [u32; 3] = [16, 20, 21];
const KEYS: &str = "123456789*0#";
/// The program button.
pub const PROGRAM: u32 = 26;
const DOOR: u32 = 12;
/// The red lamp.
pub const RED: u32 = 23;
/// The beeper.
pub const BEEPER: u32 = 25;
/// The bolt's switch; low means withdrawn.
pub const BOLT: u32 = 18;

/// Carries the scenario out.
pub const RUN: &str = "lockrig run scenario.yaml --bench bench.toml --profile kwikset-smartcode-909 \
                       --seed 1 --report-dir /tmp/reports >/tmp/said 2>&1";

/// All outputs, as a mask.
pub fn outputs() -> u32 {
    let pins = ROWS.iter().chain(&COLUMNS).chain([&PROGRAM, &DOOR]);
    pins.fold(0, |all, pin| all | 1 << pin)
}

/// What must be seen on the outputs: each pin with `+` when it goes on. Row and column of each key of the code,
/// then the hold.
pub fn edges_of_the_run() -> Vec<String> {
    let mut edges = Vec::new();
    for key in "2468#".chars() {
        let place = KEYS.find(key).expect("the keypad has it");
        let pins = [ROWS[place / 3], COLUMNS[place % 3]];
        edges.extend(pins.map(|pin| format!("{pin}+")));
        edges.extend(pins.map(|pin| format!("{pin}-")));
    }
    edges.extend([format!("{PROGRAM}+"), format!("{PROGRAM}-")]);
    edges
}
