//! A relay board that falls silent: what the other instruments do on the way to rest, and what is believed of it.

mod one_run;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lockrig::bench::{Bench, BenchFile, Contact, Feed, What};
use lockrig::event::Nanos;
use lockrig::port::sim::SimPorts;
use lockrig::port::{Interrupt, Waited};
use lockrig::quantity::Millivolts;

#[test]
fn the_supply_waits_once_for_a_relay_board_that_is_silent() {
    let mut file = one_run::virtual_safe();
    file.emulates = None;
    let ports = SimPorts::new("virtual-safe", 1, Interrupt::default()).expect("there is one");
    let mut ports = one_run::OnlyPorts::new(ports);
    ports.tampered = "sim:relay";
    let deaf = Arc::clone(&ports.deaf);
    let mut bench = Bench::connect(file, Box::new(ports)).expect("the instruments answer");
    let fed = Feed::On {
        voltage: Millivolts(9_000),
        resistance: None,
    };
    bench.feed(fed).expect("the supply gives it");
    bench.switch(&Contact::Key('5'), true).expect("it is wired");
    let until = bench.now() + Nanos::from_secs(1);
    while !matches!(bench.wait(until), Waited::Deadline) {}
    assert!(bench.is_fed(fed));
    deaf.store(true, Ordering::Relaxed);
    let begun = bench.now();
    let rest = bench.to_rest();
    let off = rest.happenings.iter().find(|happening| {
        matches!(
            happening.what,
            What::Fed {
                feed: Feed::Off,
                ..
            }
        )
    });
    let took = off.expect("the supply answers").at.since(begun);
    assert!(took < Nanos::from_millis(100), "off after {took}");
    assert_eq!(rest.unknown, ["key 5"]);
    assert!(rest.outputs.contains(&"supply".to_owned()));
}

/// The board says by itself that the lead of the cells closed, and then nothing more: nobody knows the lead.
#[test]
fn cells_are_not_at_rest_because_they_once_were() {
    let file = one_run::source("rig/tests/benches/safe-on-cells.toml");
    let mut file = BenchFile::read(&file).expect("it is right");
    let cells = file.emulates.take().expect("it is a virtual bench");
    let ports = SimPorts::new(&cells, 1, Interrupt::default()).expect("there is one");
    let mut ports = one_run::OnlyPorts::new(ports);
    ports.tampered = "sim:relay";
    let (deaf, comes) = (Arc::clone(&ports.deaf), Arc::clone(&ports.comes));
    let mut bench = Bench::connect(file, Box::new(ports)).expect("the instruments answer");
    let lead = 14;
    *comes.lock().expect("nobody panics") = Some(vec![0xA0, lead, 1, 0xA1 + lead]);
    let until = bench.now() + Nanos::from_millis(10);
    while !matches!(bench.wait(until), Waited::Deadline) {}
    deaf.store(true, Ordering::Relaxed);
    let rest = bench.to_rest();
    assert!(rest.unknown.contains(&"supply".to_owned()), "{rest:?}");
}
