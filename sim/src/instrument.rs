//! What a bench adds around the board or cylinder: relays, pin header, supply, motion stage, sense board.
//!
//! An instrument is a state machine behind a byte port. It gets every byte at the end of its stop
//! bit and answers with bytes that take their time on the wire. It has power of its own, so it
//! keeps its state while the board under test has none. It knows nothing of chip, board or cylinder: what
//! it does to them is state that `bench` reads, what it measures is handed to it.

pub mod header;
pub mod power_supply;
pub mod relay_board;
pub mod sense_board;
pub mod stage;
pub mod wire;
