//! What `lockrig watch` shows, on a terminal in memory, of a virtual bench that is worked by hand.

use std::fs;

use lockrig::bench::{Bench, BenchFile, Contact, Feed};
use lockrig::event::Nanos;
use lockrig::port::sim::SimPorts;
use lockrig::port::{Interrupt, Waited};
use lockrig::quantity::Millivolts;
use lockrig::source::Source;
use lockrig::watch::Watch;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use desk::root;

mod desk;

#[test]
fn every_line_every_contact_and_the_supply_are_shown_as_they_stand() {
    let path = root().join("boards/virtual-safe.toml");
    let text = fs::read_to_string(path).expect("a shipped board can be read");
    let file = BenchFile::read(&Source::new("virtual-safe.toml", text)).expect("it is right");
    let ports = SimPorts::new("virtual-safe", 7, Interrupt::default()).expect("it exists");
    let mut bench = Bench::connect(file, Box::new(ports)).expect("the instruments answer");
    let mut watch = Watch::new(bench.file());
    for line in bench.lines().map(str::to_owned).collect::<Vec<_>>() {
        let on = bench.level(&line).expect("it is wired");
        watch.level(&line, on);
    }
    bench.button("reset", true).expect("it is wired");
    bench
        .feed(Feed::On {
            voltage: Millivolts(9_000),
            resistance: None,
        })
        .expect("9 V is allowed");
    bench.measure().expect("there is a supply");
    let until = bench.now() + Nanos::from_secs(1);
    while let Waited::Saw(happening) = bench.wait(until) {
        watch.see(&happening);
    }
    assert!(watch.is_fed());
    assert!(watch.is_closed(&Contact::Button("reset".to_owned())));
    for (width, height) in [(120, 24), (80, 24)] {
        let backend = TestBackend::new(width, height);
        let mut terminal = Terminal::new(backend).expect("memory never fails");
        terminal
            .draw(|frame| watch.draw(frame, bench.now(), " q quit"))
            .expect("memory never fails");
        insta::assert_snapshot!(format!("{width}_columns"), terminal.backend());
    }
}
