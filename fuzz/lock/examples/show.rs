//! What scripts do, and what the lock on the host tells its console: `cargo run -p fuzz-lock --example show --
//! FILE...`.

use fuzz_lock::host::{self, Call, Judge};
use fuzz_script::Script;

struct Tells;

impl Judge for Tells {
    fn begins(&mut self, action: &fuzz_script::Action, _: &host::Host) {
        println!("{action:?}");
    }

    fn called(&mut self, call: &Call<'_>) {
        for report in &call.seen.reports {
            let lost = if call.lost {
                " (and the supply is lost)"
            } else {
                ""
            };
            println!("  {:>9} ms  {report}{lost}", call.at_ms);
        }
    }
}

fn main() {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap_or_else(|why| panic!("'{path}': {why}"));
        match Script::from_bytes(&bytes) {
            Ok(script) => {
                println!("{path}: product {}", script.product);
                host::run(&script, &mut Tells);
            }
            Err(why) => println!("{path}: no script: {why}"),
        }
    }
}
