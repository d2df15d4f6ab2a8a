//! The `lockrig` command, entered through the door that its users take: arguments, files, output and
//! exit codes. Nothing here reaches into the library but the readers of what the command leaves behind.
//!
//! Every test works in an empty folder of its own, so the files that travel in the binary are used
//! unless a test lays out others. Output is compared with the snapshots in `snapshots/`, with the test's
//! folder written as `[here]`; `INSTA_UPDATE=always` writes them anew: review the diff.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use insta::assert_snapshot;
use lockrig::event::{Event, Judgement, What};
use lockrig::trace;
use lockrig::verdict::Verdict;
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;

/// The product whose runs are the fastest; one product is enough where the command is the subject.
const SAFE: &str = "stack-on-red-button";

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent")
        .to_owned()
}

/// What a command printed and how it ended.
#[derive(Debug)]
struct Told {
    code: i32,
    out: String,
    err: String,
}

impl From<Output> for Told {
    fn from(output: Output) -> Told {
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        Told {
            code: output.status.code().expect("the command ends by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// An empty folder to work in.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Desk {
        Desk {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(path, contents).expect("a file");
    }

    fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockrig"));
        command
            .args(arguments)
            .current_dir(self.path())
            .stdin(Stdio::null())
            // What a developer's shell may hold must not change what is compared.
            .env_remove("CLICOLOR_FORCE")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .env("LOCKRIG_LOCKS", self.path().join("locks"))
            .env("COLUMNS", "100");
        command
    }

    fn lockrig<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Told {
        Told::from(self.command(arguments).output().expect("lockrig starts"))
    }

    /// Standard error and exit code, without what differs from one machine to the next.
    fn complaint(&self, arguments: &[&str]) -> String {
        let told = self.lockrig(arguments);
        assert_clean(&told);
        let here = self.path().display().to_string();
        let project = project().display().to_string();
        let err = without_ports(&told.err)
            .replace(&here, "[here]")
            .replace(&project, "[project]");
        format!("{err}exit code {}\n", told.code)
    }
}

/// A pipe gets no colours and no progress line.
fn assert_clean(told: &Told) {
    for text in [&told.out, &told.err] {
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    }
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// The folders of the runs in a campaign's folder, by their names.
fn run_folders(campaign: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(campaign).expect("a campaign's folder");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    paths
        .filter(|path| path.is_dir())
        .map(|path| (name(&path).expect("a name"), path))
        .collect()
}

fn events(run: &Path) -> Vec<Event> {
    let text = fs::read_to_string(run.join("events.jsonl")).expect("a trace");
    trace::read(&text).unwrap_or_else(|why| panic!("{}: {why}", run.display()))
}

/// Every trace of a campaign, as it is on the disk.
fn traces(campaign: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |path: PathBuf| fs::read(path.join("events.jsonl")).expect("a trace");
    run_folders(campaign)
        .into_iter()
        .map(|(name, path)| (name, read(path)))
        .collect()
}

/// The one campaign in a folder where `--report-dir` was not given.
fn only_campaign(folder: &Path) -> PathBuf {
    let campaigns = run_folders(&folder.join("reports"));
    assert_eq!(campaigns.len(), 1, "{campaigns:?}");
    campaigns.into_values().next().expect("one")
}

/// A campaign that several tests look at: everything, with nothing but the command.
struct Whole {
    desk: Desk,
    told: Told,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let desk = Desk::new();
    let told = desk.lockrig(&["run"]);
    Whole { desk, told }
});

#[test]
fn a_newcomer_runs_everything_from_an_empty_folder() {
    let Whole { desk, told } = &*WHOLE;
    assert_eq!(told.code, 0, "{told:?}");
    assert_clean(told);
    assert_eq!(told.err, "");
    let campaign = only_campaign(desk.path());
    let index = json(&campaign.join("index.json"));
    let runs = index["runs"].as_array().expect("runs");
    let folders = run_folders(&campaign);
    assert!(folders.len() >= 50, "only {} runs", folders.len());
    let counts = format!("{} runs: {} pass", folders.len(), folders.len());
    assert!(told.out.contains(&counts), "{}", told.out);
    assert_eq!(index["finished"], true);
    assert_eq!(index["planned"], runs.len());
    let ran: Vec<&str> = runs
        .iter()
        .filter(|run| run["verdict"] != "skipped")
        .map(|run| run["id"].as_str().expect("an id"))
        .collect();
    let mut sorted = ran.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, folders.keys().collect::<Vec<_>>());
    for (id, folder) in &folders {
        let record = json(&folder.join("run.json"));
        assert_eq!(record["id"], *id);
        assert_eq!(record["verdict"], "pass");
        let events = events(folder);
        assert!(matches!(&events[0].what, What::Started { seed: 1, .. }));
        let flashed = matches!(&events[1].what, What::Flashed { verified: true, .. });
        assert_eq!(flashed, !id.contains("@virtual-cylinder"), "{id}");
        let junit = fs::read_to_string(folder.join("junit.xml")).expect("junit.xml");
        assert_eq!(junit::cases(&junit).len(), 1);
    }
}

/// What the Jenkins plug-in reads of a `junit.xml`.
mod junit {
    use quick_junit::{NonSuccessKind, Report, TestCaseStatus};

    #[derive(Debug, PartialEq, Eq)]
    pub struct Case {
        pub name: String,
        /// `passed`, or the element's name and its `type` and `message`.
        pub outcome: (String, String, String),
        pub text: String,
    }

    pub fn cases(xml: &str) -> Vec<Case> {
        let report = Report::deserialize_from_str(xml).unwrap_or_else(|why| panic!("{why}: {xml}"));
        let cases = report
            .test_suites
            .iter()
            .flat_map(|suite| &suite.test_cases);
        cases
            .map(|case| {
                assert!(
                    case.properties.is_empty(),
                    "Jenkins refuses properties of a case"
                );
                assert!(case.classname.is_some(), "Jenkins groups by class name");
                let text = |value: &Option<quick_junit::XmlString>| {
                    value
                        .as_ref()
                        .map_or(String::new(), |text| text.as_str().to_owned())
                };
                let (outcome, description) = match &case.status {
                    TestCaseStatus::Success { .. } => {
                        (("passed".into(), "".into(), "".into()), String::new())
                    }
                    TestCaseStatus::NonSuccess {
                        kind,
                        message,
                        ty,
                        description,
                        ..
                    } => {
                        let element = match kind {
                            NonSuccessKind::Failure => "failure",
                            NonSuccessKind::Error => "error",
                        };
                        ((element.into(), text(ty), text(message)), text(description))
                    }
                    TestCaseStatus::Skipped {
                        message,
                        ty,
                        description,
                    } => (
                        ("skipped".into(), text(ty), text(message)),
                        text(description),
                    ),
                };
                Case {
                    name: case.name.to_string(),
                    outcome,
                    text: description,
                }
            })
            .collect()
    }
}

#[test]
fn junit_has_a_case_for_each_run_and_says_why_one_was_skipped() {
    let campaign = only_campaign(WHOLE.desk.path());
    let xml = fs::read_to_string(campaign.join("junit.xml")).expect("junit.xml");
    let cases = junit::cases(&xml);
    let index = json(&campaign.join("index.json"));
    assert_eq!(cases.len(), index["runs"].as_array().expect("runs").len());
    let skipped = cases.iter().filter(|case| case.outcome.0 == "skipped");
    assert!(skipped.clone().count() > 0);
    for case in skipped {
        assert!(!case.outcome.2.is_empty(), "{case:?} gives no reason");
    }
}

/// Two campaigns at once on another desk, in another zone, on another host; then with another seed.
#[test]
fn the_seed_decides_every_byte_of_every_trace_and_nothing_else_does() {
    let desk = Desk::new();
    let other = Desk::new();
    let one = desk.lockrig(&["run", "--seed", "7", "--jobs", "1", "--report-dir", "one"]);
    let mut elsewhere = other.command(&[
        "run",
        "--seed",
        "7",
        "--jobs",
        "2",
        "--report-dir",
        "a/b c/two",
    ]);
    let elsewhere = elsewhere
        .env("TZ", "Pacific/Kiritimati")
        .env("HOSTNAME", "some-other-host")
        .env("LANG", "tr_TR.UTF-8")
        .env("HOME", "/nowhere")
        .output();
    let two = Told::from(elsewhere.expect("lockrig starts"));
    assert_eq!(one.code, two.code);
    let (first, second) = (
        traces(&desk.path().join("one")),
        traces(&other.path().join("a/b c/two")),
    );
    let names: Vec<&String> = first.keys().collect();
    assert!(names.len() >= 50, "only {} runs", names.len());
    assert_eq!(names, second.keys().collect::<Vec<_>>());
    let differing: Vec<&&String> = names
        .iter()
        .filter(|name| first[**name] != second[**name])
        .collect();
    assert!(differing.is_empty(), "{differing:?}");

    // A project of the user's own with the same files gives the same events.
    let own = Desk::new();
    assert_eq!(own.lockrig(&["init"]).code, 0);
    let third = own.lockrig(&[
        "run",
        "--seed",
        "7",
        "--profile",
        SAFE,
        "--report-dir",
        "three",
    ]);
    assert_eq!(third.code, 0, "{third:?}");
    let third = traces(&own.path().join("three"));
    assert!(third.len() >= 20);
    for (name, trace) in &third {
        assert!(first[name] == *trace, "{name} differs");
    }

    // Codes, bounce and offsets follow the seed.
    let fourth = desk.lockrig(&[
        "run",
        "--seed",
        "8",
        "--profile",
        SAFE,
        "--report-dir",
        "four",
    ]);
    assert_eq!(fourth.code, 0, "{fourth:?}");
    for (name, trace) in traces(&desk.path().join("four")) {
        assert!(first[&name] != trace, "{name} is the same");
    }
}

#[test]
fn a_repetition_is_the_run_of_the_next_seed() {
    let desk = Desk::new();
    let rekey = ["--filter", "rekey", "--profile", SAFE];
    let twice = desk.lockrig(
        &[
            &[
                "run",
                "--seed",
                "7",
                "--repeat",
                "2",
                "--report-dir",
                "twice",
            ],
            &rekey[..],
        ]
        .concat(),
    );
    let next =
        desk.lockrig(&[&["run", "--seed", "8", "--report-dir", "next"], &rekey[..]].concat());
    assert_eq!((twice.code, next.code), (0, 0), "{twice:?}");
    let twice: Vec<(String, Vec<u8>)> = traces(&desk.path().join("twice")).into_iter().collect();
    let next: Vec<(String, Vec<u8>)> = traces(&desk.path().join("next")).into_iter().collect();
    assert_eq!((twice.len(), next.len()), (2, 1));
    assert_eq!(twice[1].0, format!("{}.2", next[0].0));
    assert!(twice[0].1 != twice[1].1);
    assert!(twice[1].1 == next[0].1);
}

/// The code is right, and the scenario expects that it is refused.
const WRONG_EXPECTATION: &str = "\
scenario: safe/wrong-expectation
version: 1
intent: A right code is refused.
needs: [keypad]
covers: [R01]
codes: { owner: user }
given: { supply: fresh, user-codes: [$owner] }
steps:
  - opens: $owner
  - enter: $owner
    expect: wrong-code
";

#[test]
fn a_wrong_expectation_names_the_event_that_decided_it_and_the_step() {
    let desk = Desk::new();
    desk.put("mine/wrong.yaml", WRONG_EXPECTATION);
    let told = desk.lockrig(&[
        "run",
        "mine/wrong.yaml",
        "--profile",
        SAFE,
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 1, "{told:?}");
    assert_clean(&told);
    let folders = run_folders(&desk.path().join("r"));
    let (id, folder) = folders.iter().next().expect("a run");
    let events = events(folder);
    let Some(What::Finished {
        verdict,
        decided_by,
        ..
    }) = events.last().map(|event| &event.what)
    else {
        panic!("no last line");
    };
    assert_eq!(*verdict, Verdict::Fail);
    let decided_by = decided_by.expect("something decided it");
    let decisive = &events[usize::try_from(decided_by).expect("a place in the trace")];
    assert_eq!(decisive.seq, decided_by);
    assert!(
        matches!(&decisive.what, What::Checked { held: false, .. }),
        "{decisive:?}"
    );

    let record = json(&folder.join("run.json"));
    assert_eq!(record["verdict"], "fail");
    assert_eq!(record["decided_by"], decided_by);
    assert_eq!(record["steps"][0]["place"], "mine/wrong.yaml:10");
    let entry = &json(&desk.path().join("r/index.json"))["runs"][0];
    assert_eq!(entry["decided_by"], decided_by);
    assert_eq!(entry["steps"], record["steps"]);
    let event = format!("event {decided_by} at {}", decisive.at);
    for junit in [folder.join("junit.xml"), desk.path().join("r/junit.xml")] {
        let cases = junit::cases(&fs::read_to_string(junit).expect("junit.xml"));
        let [case] = &cases[..] else {
            panic!("{cases:?}")
        };
        assert_eq!(
            (case.outcome.0.as_str(), case.outcome.1.as_str()),
            ("failure", "fail")
        );
        assert!(case.text.contains(&event), "{case:?}");
        assert!(case.text.contains("mine/wrong.yaml:10"), "{case:?}");
    }
    // The line number in the file, so that an editor goes there.
    let line = format!("{event}\n{:15}r/{id}/events.jsonl:{}", "", decided_by + 1);
    assert!(told.out.contains(&line), "{}", told.out);
    assert_snapshot!(
        "failing_run",
        told.out
            .replace(&format!("{decided_by}"), "[event]")
            .lines()
            .take(3)
            .collect::<Vec<_>>()
            .join("\n")
    );
}

const SETTLES_ON_SPENT_CELLS: &str = "\
scenario: mine/spent
version: 1
intent: The cells are spent, so the lock cannot store anything; which codes does it hold?
needs: [keypad, bolt, supply]
covers: [R28]
codes: { old: user }
given: { door: open, supply: fresh, user-codes: [$old] }
steps:
  - interrupt: { at: P0, supply: sag, for: 1 s }
    steps:
      - wait: 500 ms
        phase: P0
  - supply: 2.6 V
  - settles: { old: [$old], factory: factory }
finally:
  - supply: fresh
";

/// This product's factory set is empty: that no code opens is no evidence for it where the lock refuses
/// everything on spent cells, or stands at a fault because it tried to work on them.
#[rstest]
#[case("4.0 V", "old does not; no answer to old")]
#[case(
    "1.0 V",
    "old does not; no answer to old; the lock reported 'fault storage'"
)]
fn a_lock_that_answers_no_code_is_not_taken_for_one_with_the_factory_set(
    #[case] refuses_below: &str,
    #[case] because: &str,
) {
    let desk = Desk::new();
    desk.put("mine/spent.yaml", SETTLES_ON_SPENT_CELLS);
    let shipped = project().join("scenarios/profiles/kwikset-smartcode-909.yaml");
    let profile = fs::read_to_string(shipped).expect("it is shipped");
    let limits = "refuses-changes-below: 4.2 V, refuses-opening-below: 4.0 V";
    assert!(profile.contains(limits), "{profile}");
    let mine =
        format!("refuses-changes-below: {refuses_below}, refuses-opening-below: {refuses_below}");
    let profile = profile
        .replace(limits, &mine)
        .replace("profile: kwikset-smartcode-909", "profile: mine");
    desk.put("mine/profile.yaml", profile);
    let told = desk.lockrig(&[
        "run",
        "mine/spent.yaml",
        "--profile",
        "mine/profile.yaml",
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 1, "{told:?}");
    let folders = run_folders(&desk.path().join("r"));
    let (_, folder) = folders.iter().next().expect("a run");
    let seen: Vec<String> = events(folder)
        .into_iter()
        .filter_map(|event| match event.what {
            What::Settled { set, because } => Some(format!("settled {set:?}: {because}")),
            What::Checked { held: false, .. } => Some("a check failed".to_owned()),
            What::Judged {
                oracle,
                judgement: Judgement::Broken,
                ..
            } => Some(format!("{oracle} broken")),
            _ => None,
        })
        .collect();
    let settled = format!("settled None: {because}");
    assert_eq!(seen, [settled.as_str(), "I4 broken", "a check failed"]);
}

/// Where a file lies is no part of a trace: it would tell on which machine the trace was made.
#[test]
fn a_trace_does_not_tell_where_a_scenario_lies() {
    let desk = Desk::new();
    desk.put("wrong.yaml", WRONG_EXPECTATION);
    desk.put("deep/down/wrong.yaml", WRONG_EXPECTATION);
    let absolute = desk.path().join("deep/down/wrong.yaml");
    let other = Desk::new();
    let absolute = absolute.to_str().expect("a path");
    let common = ["--profile", SAFE, "--report-dir", "r"];
    desk.lockrig(&[&["run", "wrong.yaml"], &common[..]].concat());
    other.lockrig(&[&["run", absolute], &common[..]].concat());
    let (here, there) = (
        traces(&desk.path().join("r")),
        traces(&other.path().join("r")),
    );
    assert!(!here.is_empty());
    assert!(here == there);
}

#[test]
fn json_output_is_an_object_a_line_for_each_run() {
    let desk = Desk::new();
    let told = desk.lockrig(&[
        "run",
        "--profile",
        SAFE,
        "--filter",
        "reset",
        "--format",
        "json",
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 0, "{told:?}");
    assert_clean(&told);
    let mut printed: Vec<Value> = told
        .out
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let index = json(&desk.path().join("r/index.json"));
    let mut indexed = index["runs"].as_array().expect("runs").clone();
    assert!(indexed.len() >= 2);
    for runs in [&mut printed, &mut indexed] {
        runs.sort_by_key(|run| run["id"].to_string());
    }
    assert_eq!(printed, indexed);
    for run in indexed.iter().filter(|run| run["verdict"] != "skipped") {
        let trace = desk
            .path()
            .join("r")
            .join(run["events"].as_str().expect("a trace"));
        assert!(trace.is_file());
    }
}

/// The message of a bad file is recorded beside it, under the name that it has in the project.
#[rstest]
#[case::a_tab("tab")]
#[case::two_verbs("two-verbs")]
#[case::an_unknown_verb("unknown-verb")]
#[case::a_wait_without_a_bound("unbounded-wait")]
#[case::many_mistakes("many-mistakes")]
#[case::a_newer_version("newer-version")]
#[case::the_window_of_a_profile_is_empty("profile-empty-window")]
#[case::a_profile_with_many_mistakes("profile-many-mistakes")]
fn a_bad_file_gives_its_recorded_message(#[case] name: &str) {
    let desk = Desk::new();
    let read = |ending: &str| {
        let file = project().join(format!("scenarios/bad/{name}.{ending}"));
        fs::read_to_string(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
    };
    let file = format!("scenarios/bad/{name}.yaml");
    desk.put(&file, read("yaml"));
    for verb in ["run", "check"] {
        let told = match name.starts_with("profile-") {
            true => desk.lockrig(&[verb, "--profile", &file]),
            false => desk.lockrig(&[verb, &file]),
        };
        assert_eq!(told.code, 2, "{told:?}");
        assert_clean(&told);
        assert_eq!(told.err.trim_end(), read("stderr").trim_end());
        assert!(!desk.path().join("reports").exists(), "nothing ran");
    }
}

/// A bench whose instruments are not there. Nothing opens what the paths name: they do not exist.
fn absent_bench() -> String {
    let file = project().join("boards/example-desk.toml");
    fs::read_to_string(file)
        .expect("the example")
        .replace("/dev/serial/by-id/", "/dev/there-is-none/")
}

const TYPED: &str = "\
scenario: desk/typed
version: 1
intent: A key is typed.
needs: [keypad]
covers: [R01]
steps:
  - press: \"1\"
";

#[test]
fn a_missing_instrument_is_named_and_is_no_failure_of_the_board() {
    let desk = Desk::new();
    desk.put("desk.toml", absent_bench());
    desk.put("typed.yaml", TYPED);
    let told = desk.lockrig(&[
        "run",
        "typed.yaml",
        "--bench",
        "desk.toml",
        "--profile",
        SAFE,
        "--repeat",
        "3",
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 3, "{told:?}");
    assert_snapshot!(
        "missing_instrument",
        without_ports(&without_seconds(&told.out))
    );
    let folders = run_folders(&desk.path().join("r"));
    assert_eq!(folders.len(), 3);
    for folder in folders.values() {
        let events = events(folder);
        assert!(events.iter().any(|event| matches!(&event.what,
            What::Trouble { device, .. } if device.contains("relay board"))));
        let cases = junit::cases(&fs::read_to_string(folder.join("junit.xml")).expect("junit.xml"));
        assert_eq!(
            (cases[0].outcome.0.as_str(), cases[0].outcome.1.as_str()),
            ("error", "broken")
        );
    }
    assert_snapshot!(
        "press_without_an_instrument",
        desk.complaint(&["press", "1", "--bench", "desk.toml", "--profile", SAFE])
    );
}

/// The serial ports that this computer has.
fn without_ports(text: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let there = line.split_once("; this computer has ");
        there.map_or(line.to_owned(), |(before, _)| {
            format!("{before}; this computer has [ports]\n")
        })
    });
    lines.collect()
}

/// The wall time in a summary.
fn without_seconds(text: &str) -> String {
    let Some((before, rest)) = text.split_once(", in ") else {
        return text.to_owned();
    };
    let (_, after) = rest.split_once(" s").expect("a time in seconds");
    format!("{before}, in [time] s{after}")
}

/// The signal is sent when the first run has a folder: then some are under way and most have not begun.
#[cfg(unix)]
#[rstest]
#[case::ctrl_c("INT")]
#[case::a_service_manager("TERM")]
fn a_signal_leaves_readable_files_and_outputs_at_rest(#[case] signal: &str) {
    use std::time::{Duration, Instant};
    const STARTS_WITHIN: Duration = Duration::from_secs(60);
    let desk = Desk::new();
    let child = desk
        .command(&[
            "run",
            "--profile",
            SAFE,
            "--repeat",
            "200",
            "--jobs",
            "2",
            "--report-dir",
            "r",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lockrig starts");
    let campaign = desk.path().join("r");
    let began = Instant::now();
    while !campaign.is_dir() || run_folders(&campaign).is_empty() {
        assert!(began.elapsed() < STARTS_WITHIN, "no run began");
        std::thread::yield_now();
    }
    let sent = Command::new("kill")
        .args(["-s", signal, &child.id().to_string()])
        .status();
    assert!(sent.expect("kill is there").success());
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!(told.code, 130, "{told:?}");
    assert_clean(&told);
    assert!(told.err.starts_with("stopped: "), "{}", told.err);

    let index = json(&campaign.join("index.json"));
    let planned = index["planned"].as_u64().expect("a number");
    let runs = index["runs"].as_array().expect("runs");
    assert!((runs.len() as u64) < planned);
    let folders = run_folders(&campaign);
    assert!(!folders.is_empty());
    let mut aborted = 0;
    for (id, folder) in &folders {
        let events = events(folder);
        let Some(What::Finished { verdict, .. }) = events.last().map(|event| &event.what) else {
            panic!("{id} has no last line");
        };
        assert!(events.iter().any(|event| matches!(&event.what,
            What::WentToRest { outputs, unknown } if !outputs.is_empty() && unknown.is_empty())));
        let record = json(&folder.join("run.json"));
        assert_eq!(record["verdict"], verdict.to_string());
        assert!(runs.iter().any(|run| run["id"] == *id));
        aborted += usize::from(*verdict == Verdict::Aborted);
        if *verdict == Verdict::Aborted {
            let cases =
                junit::cases(&fs::read_to_string(folder.join("junit.xml")).expect("junit.xml"));
            assert_eq!(
                (cases[0].outcome.0.as_str(), cases[0].outcome.1.as_str()),
                ("error", "aborted")
            );
        }
    }
    assert!(aborted <= 2, "{aborted} runs under way with two jobs");
}

/// An ELF file for another machine, in its first bytes: what a linker for the Intel 386 writes.
fn elf(machine: u16, program_headers: u16) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [2, machine, 1, 0] {
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    for word in [0_u32, 52, 0, 0] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    for half in [52, 32, program_headers, 40, 0, 0] {
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    bytes.resize(52 + 32 * usize::from(program_headers), 0);
    bytes
}

#[rstest]
#[case::other_machine("other.elf", elf(3, 0))]
#[case::nothing_to_load("nothing.elf", elf(40, 0))]
#[case::stack_outside_ram("stack.hex", shipped_bad("stack-outside-ram.hex"))]
#[case::reset_outside_flash("reset.hex", shipped_bad("reset-outside-flash.hex"))]
#[case::outside_flash("outside.hex", shipped_bad("outside-flash.hex"))]
#[case::truncated("cut.hex", shipped_bad("truncated-within-record.hex"))]
#[case::truncated_between_records("short.hex", shipped_bad("truncated-without-end.hex"))]
fn a_bad_image_is_refused_before_anything_runs(#[case] name: &str, #[case] bytes: Vec<u8>) {
    let desk = Desk::new();
    desk.put(name, bytes);
    let flash = desk.complaint(&["flash", name]);
    assert_eq!(
        flash,
        desk.complaint(&["run", "--image", name, "--bench", "virtual-safe"])
    );
    assert_eq!(flash, desk.complaint(&["check", "--image", name]));
    assert!(!desk.path().join("reports").exists());
    assert_snapshot!(format!("image_{}", name.replace('.', "_")), flash);
}

fn shipped_bad(name: &str) -> Vec<u8> {
    let file = project().join("rig/tests/images").join(name);
    fs::read(&file).unwrap_or_else(|why| panic!("{}: {why}", file.display()))
}

#[rstest]
#[case::bench("unknown_bench", &["run", "--bench", "virtual-saf"])]
#[case::nothing_alike("unknown_bench_far_off", &["run", "--bench", "workshop"])]
#[case::profile("unknown_profile", &["run", "--profile", "stack-on"])]
#[case::image("unknown_image", &["flash", "reference-lock"])]
#[case::scenario("unknown_scenario", &["run", "rekey.yaml"])]
#[case::filter("unknown_filter", &["run", "--filter", "rekye"])]
#[case::key("unknown_button", &["press", "rset"])]
#[case::time("time_without_unit", &["press", "5", "--for", "3"])]
#[case::verb("unknown_verb", &["rum"])]
#[case::schema("unknown_schema", &["schema", "board"])]
#[case::no_fit("profile_of_another_bench", &["run", "--bench", "virtual-safe", "--profile", "kwikset-smartcode-909"])]
fn an_argument_that_is_wrong_gets_a_hint(#[case] name: &str, #[case] arguments: &[&str]) {
    let desk = Desk::new();
    assert_snapshot!(name, desk.complaint(arguments));
    assert!(!desk.path().join("reports").exists());
}

fn virtual_safe() -> String {
    fs::read_to_string(project().join("boards/virtual-safe.toml")).expect("the bench file")
}

#[test]
fn a_relay_channel_that_does_not_exist_is_shown_in_the_bench_file() {
    let desk = Desk::new();
    desk.put(
        "mine.toml",
        virtual_safe().replace("\"*\" = 10", "\"*\" = 17"),
    );
    assert_snapshot!(desk.complaint(&["run", "--bench", "mine.toml"]));
}

#[test]
fn nothing_ran_is_no_success_and_says_what_the_bench_lacks() {
    let desk = Desk::new();
    let mut bench = virtual_safe();
    let (start, end) = (
        bench.find("[door]").expect("a door"),
        bench.find("[jam]").expect("a jam"),
    );
    bench.replace_range(start..end, "");
    let bench = bench.replace("\"supply\", \"door\"]", "\"supply\"]");
    desk.put("doorless.toml", bench);
    desk.put("door.yaml", TYPED.replace("[keypad]", "[keypad, door]"));
    let told = desk.lockrig(&[
        "run",
        "door.yaml",
        "--bench",
        "doorless.toml",
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 2, "{told:?}");
    assert_snapshot!(format!("{}{}", without_seconds(&told.out), told.err));
    let cases =
        junit::cases(&fs::read_to_string(desk.path().join("r/junit.xml")).expect("junit.xml"));
    assert_eq!(cases[0].outcome.0, "skipped");
    assert!(cases[0].outcome.2.contains("has no door"), "{cases:?}");
}

#[test]
fn a_report_folder_that_cannot_be_made_is_found_before_anything_runs() {
    let desk = Desk::new();
    desk.put("taken", "a file");
    assert_snapshot!(desk.complaint(&["run", "--report-dir", "taken/reports"]));
}

#[test]
fn a_run_whose_trace_cannot_be_written_is_broken_and_the_others_count() {
    let desk = Desk::new();
    let id = format!("rekey@{SAFE}@virtual-safe");
    desk.put(&format!("r/{id}"), "a file where a folder should be");
    let told = desk.lockrig(&[
        "run",
        "--profile",
        SAFE,
        "--filter",
        "re",
        "--report-dir",
        "r",
    ]);
    assert_eq!(told.code, 3, "{told:?}");
    let index = json(&desk.path().join("r/index.json"));
    for run in index["runs"].as_array().expect("runs") {
        let expected: &[&str] = if run["id"] == *id {
            &["broken"]
        } else {
            &["pass", "skipped"]
        };
        assert!(
            expected.contains(&run["verdict"].as_str().expect("a verdict")),
            "{run}"
        );
    }
    assert!(
        told.out.contains(&format!("writing to 'r/{id}'")),
        "{}",
        told.out
    );
}

#[test]
fn a_report_folder_that_cannot_be_written_is_found_before_anything_runs() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path().join("r/index.json")).expect("a folder in the way");
    assert_snapshot!(desk.complaint(&["run", "--profile", SAFE, "--report-dir", "r"]));
    assert!(
        run_folders(&desk.path().join("r")).len() == 1,
        "nothing ran"
    );
}

#[test]
fn a_trace_of_a_newer_version_is_refused_by_its_number() {
    let campaign = only_campaign(WHOLE.desk.path());
    let folder = run_folders(&campaign).into_values().next().expect("a run");
    let text = fs::read_to_string(folder.join("events.jsonl")).expect("a trace");
    let format = lockrig::event::FORMAT;
    let newer = text.replacen(
        &format!("\"format\":{format}"),
        &format!("\"format\":{}", format + 1),
        1,
    );
    assert_snapshot!(
        "newer_trace",
        trace::read(&newer).expect_err("a newer trace")
    );
    let half = &text[..text.len() / 2];
    let why = trace::read(half).expect_err("half a trace").to_string();
    assert!(why.contains("lines before it are whole"), "{why}");
}

#[test]
fn check_finds_nothing_wrong_with_what_is_shipped_and_applies_no_power() {
    let desk = Desk::new();
    let told = desk.lockrig(&["check"]);
    assert_eq!(told.code, 0, "{told:?}");
    // How many files and runs there are is not the point.
    let mut summary: Vec<String> = Vec::new();
    for line in told.out.lines() {
        let words = line.split(' ').map(|word| match word.parse::<u32>() {
            Ok(_) => "[n]",
            Err(_) => word,
        });
        summary.push(words.collect::<Vec<_>>().join(" "));
    }
    assert_snapshot!(summary.join("\n"));
    assert!(
        fs::read_dir(desk.path())
            .expect("a folder")
            .next()
            .is_none()
    );
}

#[test]
fn list_shows_every_file_that_is_shipped() {
    let desk = Desk::new();
    let all = desk.lockrig(&["list"]);
    assert_eq!((all.code, all.err.as_str()), (0, ""));
    let shipped = [
        ("scenario", "scenarios"),
        ("profile", "scenarios/profiles"),
        ("twin", "scenarios/profiles/bad-twins"),
        ("bench", "boards"),
    ];
    for (kind, folder) in shipped {
        let entries = fs::read_dir(project().join(folder)).expect("a folder of the project");
        let paths = entries.map(|entry| entry.expect("a readable folder").path());
        let files = paths.filter(|path| {
            let ending = path.extension().and_then(OsStr::to_str);
            matches!(ending, Some("yaml" | "toml")) && !path.ends_with("requirements.yaml")
        });
        for file in files {
            let name = file.file_stem().expect("a name").to_string_lossy();
            let listed = all.out.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.next() == Some(kind) && words.next() == Some(&*name)
            });
            assert!(listed, "{kind} {name} is not in\n{}", all.out);
        }
    }
    let images = desk.lockrig(&["list", "images"]);
    assert_snapshot!(images.out, @"images    comparison, reference-safe, reference-safe-log, reference-smart-lock");
}

#[test]
fn flash_leaves_a_receipt() {
    let desk = Desk::new();
    let told = desk.lockrig(&["flash", "reference-safe"]);
    assert_eq!(told.code, 0, "{told:?}");
    let image = fs::read(project().join("firmware/images/reference-safe.elf")).expect("the image");
    let sha256 = {
        use sha2::Digest;
        let sum = sha2::Sha256::digest(&image);
        sum.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    assert!(told.out.contains(&sha256), "{}", told.out);
    assert!(told.out.contains("read back and compared"), "{}", told.out);
    // A file of the user's, by its path, from a folder that is no project.
    desk.put("build/mine.elf", image);
    let mine = desk.lockrig(&["flash", "build/mine.elf"]);
    assert_eq!(mine.code, 0, "{mine:?}");
    assert!(mine.out.contains(&sha256), "{}", mine.out);
}

#[test]
fn press_shows_the_contact_and_what_the_board_does() {
    let told = Desk::new().lockrig(&["press", "5"]);
    assert_eq!(told.code, 0, "{told:?}");
    for expected in [
        "console: boot reason=power-on",
        "key 5 pressed",
        "key on",
        "key 5 released",
        "key off",
    ] {
        assert!(told.out.contains(expected), "{}", told.out);
    }
}

#[test]
fn the_console_answers_a_question() {
    let desk = Desk::new();
    let mut child = desk
        .command(&["console", "--bench", "virtual-smart-lock"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lockrig starts");
    let mut input = child.stdin.take().expect("a pipe");
    input.write_all(b"?\n").expect("it reads");
    drop(input);
    let told = Told::from(child.wait_with_output().expect("it ends"));
    assert_eq!(told.code, 0, "{told:?}");
    assert_clean(&told);
    assert!(told.out.contains("console: state "), "{}", told.out);
}

#[rstest]
#[case("scenario")]
#[case("profile")]
#[case("bench")]
fn a_schema_is_json(#[case] kind: &str) {
    let told = Desk::new().lockrig(&["schema", kind]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    let schema: Value = serde_json::from_str(&told.out).expect("JSON");
    // A profile is one of two tables.
    let described = schema["properties"].is_object() || schema["anyOf"].is_array();
    assert!(described, "{schema}");
}

#[test]
fn completions_know_the_verbs() {
    let told = Desk::new().lockrig(&["completions", "bash"]);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    for verb in ["run", "check", "flash", "press", "--report-dir"] {
        assert!(told.out.contains(verb));
    }
}

fn all_files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files.extend(all_files(&path)),
            false => {
                let bytes = fs::read(&path).expect("a file");
                files.insert(path, bytes);
            }
        }
    }
    files
}

#[test]
fn init_lays_out_a_project_once_and_never_over_another() {
    let desk = Desk::new();
    let told = desk.lockrig(&["init", "locks"]);
    assert_eq!(told.code, 0, "{told:?}");
    let before = all_files(desk.path());
    assert!(before.len() >= 15);
    assert_snapshot!(desk.complaint(&["init", "locks"]));
    assert_eq!(before, all_files(desk.path()));
    let inside = Desk {
        folder: desk.folder,
    };
    let checked = inside
        .command(&["check"])
        .current_dir(inside.path().join("locks"))
        .output();
    assert_eq!(Told::from(checked.expect("lockrig starts")).code, 0);
}

#[test]
fn init_keeps_its_hands_off_a_folder_with_scenarios() {
    let desk = Desk::new();
    desk.put("scenarios/mine.yaml", "mine");
    let before = all_files(desk.path());
    assert_snapshot!(desk.complaint(&["init"]));
    assert_eq!(before, all_files(desk.path()));
}

#[rstest]
#[case::the_command(&["help"])]
#[case::run(&["help", "run"])]
#[case::fuzz(&["help", "fuzz"])]
#[case::layers(&["help", "layers"])]
#[case::script(&["help", "script"])]
#[case::museum(&["help", "museum"])]
#[case::check(&["help", "check"])]
#[case::list(&["help", "list"])]
#[case::doctor(&["help", "doctor"])]
#[case::bench(&["help", "bench"])]
#[case::watch(&["help", "watch"])]
#[case::supply(&["help", "supply"])]
#[case::release(&["help", "release"])]
#[case::flash(&["help", "flash"])]
#[case::press(&["help", "press"])]
#[case::console(&["help", "console"])]
#[case::schema(&["help", "schema"])]
#[case::completions(&["help", "completions"])]
#[case::init(&["help", "init"])]
fn help_is_what_was_reviewed(#[case] arguments: &[&str]) {
    let told = Desk::new().lockrig(arguments);
    assert_eq!((told.code, told.err.as_str()), (0, ""));
    assert_snapshot!(arguments.join("_"), told.out);
}

/// On a terminal there are colours; `NO_COLOR` takes them away and every word stays.
#[test]
fn colours_say_nothing_that_words_do_not() {
    let desk = Desk::new();
    desk.put("wrong.yaml", WRONG_EXPECTATION);
    let run = ["run", "wrong.yaml", "--profile", SAFE, "--report-dir", "r"];
    let plain = desk.lockrig(&run);
    let coloured = desk.command(&run).env("CLICOLOR_FORCE", "1").output();
    let coloured = Told::from(coloured.expect("lockrig starts"));
    assert!(coloured.out.contains("\u{1b}["), "{}", coloured.out);
    let refused = desk
        .command(&run)
        .env("CLICOLOR_FORCE", "1")
        .env("NO_COLOR", "1")
        .output();
    let refused = Told::from(refused.expect("lockrig starts"));
    assert_clean(&refused);
    assert_eq!(without_seconds(&plain.out), without_seconds(&refused.out));
    let mut stripped = String::new();
    let mut rest = coloured.out.as_str();
    while let Some((before, escape)) = rest.split_once("\u{1b}[") {
        stripped += before;
        rest = escape.split_once('m').expect("an escape ends").1;
    }
    stripped += rest;
    assert_eq!(without_seconds(&stripped), without_seconds(&plain.out));
}
