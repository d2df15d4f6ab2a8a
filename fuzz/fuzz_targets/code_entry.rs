//! Any keys, buttons, switches, pauses and power cuts, at any time, on two products: the bolt is
//! withdrawn only after a stored code, the stored failure count falls only by a success, and nothing
//! panics.
//!
//! `cargo +nightly fuzz run code_entry -- -max_len=256`
#![no_main]

use code_entry::{
    BoltCommand, BoltPosition, Button, Input, Key, Lock, Outputs, Personality, PowerOn, Record,
    Report, Signal, Storage, StorageFault,
};
use libfuzzer_sys::fuzz_target;

#[path = "../../firmware/code-entry/tests/it/products.rs"]
#[allow(dead_code, reason = "a fixture of other tests too")]
mod products;

#[derive(Clone, Default)]
struct Flash {
    stored: Option<[u8; Record::BYTES]>,
    /// The supply goes during the commit after so many.
    commits_left: Option<u8>,
}

impl Storage for Flash {
    fn commit(&mut self, record: &Record) -> Result<(), StorageFault> {
        if self.commits_left == Some(0) {
            return Err(StorageFault);
        }
        self.commits_left = self.commits_left.map(|left| left - 1);
        self.stored = Some(record.to_bytes());
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    withdrawn: bool,
    accepted: bool,
    handing: bool,
}

impl Outputs for Seen {
    fn signal(&mut self, _: Signal) {}
    fn bolt(&mut self, command: BoltCommand) {
        self.withdrawn |= matches!(command, BoltCommand::Withdraw);
    }
    fn report(&mut self, report: Report) {
        let line = report.to_string();
        self.accepted |= line.starts_with("accepted");
        self.handing |= line.starts_with("reset done");
    }
}

fn power_on(personality: &Personality, flash: Flash, down: bool, seen: &mut Seen) -> Lock<Flash> {
    let record = flash
        .stored
        .and_then(|bytes| Record::from_bytes(&bytes).ok());
    let found = PowerOn {
        since_ms: 0,
        door_open: true,
        bolt: BoltPosition::Thrown,
        supply_mv: 9_000,
        reset_button_down: false,
        program_button_down: down,
    };
    Lock::power_on(personality.clone(), flash, record, 0, found, seen)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((product, script)) = bytes.split_first() else {
        return;
    };
    let personality = if product & 1 == 0 {
        products::safe()
    } else {
        products::smart_lock()
    };
    let mut seen = Seen::default();
    let mut lock = power_on(&personality, Flash::default(), false, &mut seen);
    let mut now_ms = 0_u64;
    // A reset or an interrupted handing may move the bolt by itself from then on.
    let mut may_move = false;
    for byte in script {
        let before = lock.record().failures;
        seen = Seen::default();
        let operand = byte & 0x1F;
        let stored = match byte >> 5 {
            0 => lock.handle(
                now_ms,
                Input::KeyDown(Key::ALL[usize::from(operand) % 12]),
                &mut seen,
            ),
            1 => lock.handle(
                now_ms,
                Input::KeyUp(Key::ALL[usize::from(operand) % 12]),
                &mut seen,
            ),
            2 => lock.handle(
                now_ms,
                Input::ButtonDown(Button::ALL[usize::from(operand) % 2]),
                &mut seen,
            ),
            3 => lock.handle(
                now_ms,
                Input::ButtonUp(Button::ALL[usize::from(operand) % 2]),
                &mut seen,
            ),
            4 => {
                now_ms += 1 << (operand % 17);
                lock.tick(now_ms, &mut seen)
            }
            5 => match operand % 4 {
                0 => lock.handle(
                    now_ms,
                    Input::Door {
                        open: operand & 4 == 0,
                    },
                    &mut seen,
                ),
                1 => lock.handle(now_ms, Input::Bolt(BoltPosition::Thrown), &mut seen),
                2 => lock.handle(now_ms, Input::Bolt(BoltPosition::Withdrawn), &mut seen),
                _ => lock.handle(now_ms, Input::Supply(u16::from(operand) * 300), &mut seen),
            },
            6 => {
                let mut flash = lock.into_storage();
                flash.commits_left = None;
                now_ms = 0;
                lock = power_on(&personality, flash, operand & 1 != 0, &mut seen);
                may_move |= personality.kind == code_entry::personality::Kind::SmartLock;
                Ok(())
            }
            _ => {
                let flash = lock.clone().into_storage();
                lock = lock.with_storage(Flash {
                    commits_left: Some(operand),
                    ..flash
                });
                Ok(())
            }
        };
        may_move |= seen.handing;
        assert!(
            !seen.withdrawn || seen.accepted || may_move,
            "the bolt was withdrawn, and no code was accepted"
        );
        let cleared = seen.accepted || seen.handing || byte >> 5 == 6 || stored.is_err();
        let after = lock.record().failures;
        assert!(after >= before || cleared, "{before} to {after}");
    }
});
