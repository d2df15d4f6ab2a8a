//! Instruments that fail at the events of a run: each flagship, and one that fails on a bad product. No fault may
//! make a verdict wrong, leave on what can be reached, or a report in pieces. Here at some of the events; without
//! `--every` the command takes all of them.

mod desk;

use rstest::rstest;
use tempfile::TempDir;

use desk::{lockrig, text};

const SAFE: &str = "@stack-on-red-button@virtual-safe";
const SMART: &str = "@kwikset-powerbolt-2@virtual-smart-lock";

#[rstest]
#[case::rekey("pass", &format!("rekey{SAFE}"), "311", &[])]
#[case::forgotten_code("pass", &format!("forgotten-code{SAFE}"), "367", &[])]
#[case::battery_drop("pass", &format!("battery-drop-mid-reset{SAFE}@phase=P1+drop=clean"), "613", &[])]
#[case::a_bad_twin("fail", &format!("forgotten-code{SMART}"), "367", &["--twin", "powerbolt-keeps-codes"])]
fn no_fault_makes_a_verdict_wrong(
    #[case] without: &str,
    #[case] run: &str,
    #[case] every: &str,
    #[case] more: &[&str],
) {
    let desk = TempDir::new().expect("a temporary folder");
    let sweep = ["faults", "--filter", run, "--every", every, "--seed", "7"];
    let told = lockrig(&desk, &[&sweep[..], &["--report-dir", "r"], more].concat());
    let (said, errors) = (text(&told.stdout), text(&told.stderr));
    eprintln!("{said}");
    assert_eq!(told.status.code(), Some(0), "{said}{errors}");
    assert!(
        said.contains(&format!(": {without} without a fault")),
        "{said}"
    );
    // Every kind on every port, a lost probe, all together; and among them faults that were noticed.
    assert_eq!(said.matches(" runs: ").count(), 4 * 4 + 1 + 1, "{said}");
    assert!(said.contains(" broken, "), "{said}");
    let probe = said.lines().find(|line| line.contains("sim:swd"));
    let is_noticed = probe.is_some_and(|line| line.contains(" 1 runs: 1 broken;"));
    assert!(is_noticed, "{said}");
    // Whatever was right is not kept.
    let runs = std::fs::read_dir(desk.path().join("r").join(run));
    let kept = runs.expect("the run's folder").flatten();
    assert!(!kept.into_iter().any(|entry| entry.path().is_dir()));
}

#[test]
fn faults_need_a_virtual_bench_with_a_board() {
    let desk = TempDir::new().expect("a temporary folder");
    let told = lockrig(&desk, &["faults", "--bench", "virtual-cylinder"]);
    assert_eq!(told.status.code(), Some(2), "{}", text(&told.stderr));
    let errors = text(&told.stderr);
    assert!(errors.contains("virtual benches only"), "{errors}");
}
