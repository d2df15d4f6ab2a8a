//! JUnit in the dialect of Jenkins: a test case a run, a suite a bench and profile.
//!
//! `failure` is the board, `error` is the bench, the measurement or a person. Times are bench time.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::Summary;
use crate::verdict::Verdict;

/// The document for some runs.
pub fn document<'a>(campaign: &str, runs: impl IntoIterator<Item = &'a Summary>) -> String {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for run in runs {
        let name = format!("{}.{}", run.bench, run.profile);
        suites
            .entry(name.clone())
            .or_insert_with(|| {
                let mut suite = TestSuite::new(name);
                suite.add_property(Property::new("bench", run.bench.as_str()));
                suite.add_property(Property::new("profile", run.profile.as_str()));
                suite.add_property(Property::new("time", "bench time"));
                suite
            })
            .add_test_case(case(run));
    }
    let mut report = Report::new(campaign);
    report.add_test_suites(suites.into_values());
    report.to_string().expect(
        "a report is written to memory, and its strings are already free of illegal characters",
    )
}

fn case(run: &Summary) -> TestCase {
    let name = match run.variant.as_str() {
        "" => run.scenario.clone(),
        variant => format!("{} [{variant}]", run.scenario),
    };
    let mut case = TestCase::new(name, status(run));
    case.set_classname(format!("{}.{}", run.bench, run.profile));
    case.set_time(Duration::from_nanos(run.bench_time.0));
    if let Some(because) = &run.uncalibrated {
        case.add_property(Property::new("UNCALIBRATED", because.as_str()));
    }
    if let Some(device) = &run.device {
        case.add_property(Property::new("device", device.as_str()));
    }
    if let Some(because) = &run.power_cycled {
        case.add_property(Property::new("POWER_CYCLED", because.as_str()));
    }
    if run.verdict == Verdict::KnownFinding {
        case.set_system_out(format!("known finding: {}", run.because));
    }
    case
}

fn status(run: &Summary) -> TestCaseStatus {
    let (kind, name) = match run.verdict {
        Verdict::Pass | Verdict::KnownFinding => return TestCaseStatus::success(),
        Verdict::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(run.because.as_str());
            return status;
        }
        Verdict::Fail => (NonSuccessKind::Failure, "fail"),
        Verdict::Finding => (NonSuccessKind::Failure, "finding"),
        Verdict::Usage => (NonSuccessKind::Error, "usage"),
        Verdict::Broken => (NonSuccessKind::Error, "broken"),
        Verdict::Inconclusive => (NonSuccessKind::Error, "inconclusive"),
        Verdict::Aborted => (NonSuccessKind::Error, "aborted"),
        Verdict::Bug => (NonSuccessKind::Error, "bug"),
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(name).set_message(run.because.as_str());
    if let Some(decision) = &run.decision {
        let mut lines = vec![format!("event {} at {}", decision.seq, decision.at)];
        let steps = decision.steps.iter();
        lines.extend(steps.map(|step| format!("{}: {}", step.place, step.doing)));
        lines.push(decision.words.clone());
        lines.extend(decision.hint.iter().map(|hint| format!("hint: {hint}")));
        status.set_description(lines.join("\n"));
    }
    status
}
