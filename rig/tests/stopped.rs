//! A campaign on a bench like a real one, stopped while the board is flashed for its second run. `guard` stops one while
//! a run goes on.

mod one_run;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lockrig::bench::BenchFile;
use lockrig::campaign::{Job, Opener};
use lockrig::port::sim::SimPorts;

#[rstest::rstest]
#[case::not_stopped(usize::MAX, 3)]
#[case::at_the_second_flashing(1, 1)]
#[case::at_the_third(2, 2)]
fn no_run_begins_after_a_stop(#[case] stops_at: usize, #[case] runs: usize) {
    let scenario = one_run::opens();
    let mut bench = one_run::virtual_safe();
    bench.emulates = None;
    let mut group = one_run::group(bench, &scenario, "reference-safe");
    let again = |number: usize| Job {
        id: format!("run.{}", number + 1),
        number,
        ..group.jobs[0].clone()
    };
    group.jobs = (0..3).map(again).collect();
    let cancelled = Arc::new(AtomicBool::new(false));
    let (stop, flashed) = (Arc::clone(&cancelled), Arc::new(AtomicUsize::new(0)));
    let open: Opener = Arc::new(move |_: &BenchFile, seed, interrupt| {
        let ports = SimPorts::new("virtual-safe", seed, interrupt).expect("there is one");
        let (stop, flashed) = (Arc::clone(&stop), Arc::clone(&flashed));
        let mut ports = one_run::OnlyPorts::new(ports);
        ports.before_probe = Box::new(move || {
            if flashed.fetch_add(1, Ordering::Relaxed) == stops_at {
                stop.store(true, Ordering::Relaxed);
            }
        });
        Ok(Box::new(ports))
    });
    let (ran, _) = one_run::carry_out_all(group, open, cancelled);
    assert_eq!(ran.len(), runs);
}
