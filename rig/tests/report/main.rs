//! What `lockrig run` leaves for people to look at: pages in a browser that we did not write, dumps in a
//! wave reader that we did not write, and both made anew by `lockrig report`.

mod chromium;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use insta::assert_snapshot;
use lockrig::event::{Event, What};
use lockrig::trace;
use rstest::rstest;
use serde_json::json;
use tempfile::TempDir;

use chromium::Chromium;

/// A right code that is expected to be refused.
const WRONG: &str = "\
scenario: wrong-expectation
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

/// A run that passes, one that fails, and one that measures too coarsely to tell.
struct Runs {
    desk: TempDir,
}

static RUNS: LazyLock<Runs> = LazyLock::new(|| {
    let runs = Runs {
        desk: TempDir::new().expect("a temporary folder"),
    };
    let board = include_str!("../../../boards/virtual-smart-lock.toml")
        .replace("\"virtual-smart-lock\"\nversion", "\"coarse\"\nversion")
        .replace("uncertainty = \"1 ms\"", "uncertainty = \"200 ms\"");
    fs::write(runs.path("coarse.toml"), board).expect("a file");
    fs::write(runs.path("wrong.yaml"), WRONG).expect("a file");
    let safe = ["--profile", "stack-on-red-button"];
    let lockout = "lockout-across-power-cycle";
    runs.run("pass", &["--filter", lockout, safe[0], safe[1]], 0);
    runs.run("fail", &["wrong.yaml", safe[0], safe[1]], 1);
    let coarse = [
        "--bench",
        "coarse.toml",
        "--profile",
        "kwikset-smartcode-909",
    ];
    let straddles = [&["--filter", "forgotten-code"], &coarse[..]].concat();
    runs.run("inconclusive", &straddles, 4);
    runs
});

impl Runs {
    fn path(&self, name: &str) -> PathBuf {
        self.desk.path().join(name)
    }

    fn run(&self, name: &str, arguments: &[&str], code: i32) {
        let mut all = vec!["run", "--report-dir", name];
        all.extend(arguments);
        let told = lockrig(self.desk.path(), &all);
        assert_eq!(told.0, code, "{told:?}");
    }

    /// The folder of the first run of a campaign.
    fn first(&self, campaign: &str) -> PathBuf {
        let entries = fs::read_dir(self.path(campaign)).expect("a campaign's folder");
        let folders = entries.map(|entry| entry.expect("an entry").path());
        let first = folders.filter(|path| path.is_dir()).min();
        first.expect("a run that ran")
    }
}

/// Exit code, output and complaints.
fn lockrig(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lockrig"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("CI")
        .stdin(Stdio::null())
        .output()
        .expect("lockrig starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("it exits");
    (code, text(&output.stdout), text(&output.stderr))
}

fn events(run: &Path) -> Vec<Event> {
    let text = fs::read_to_string(run.join("events.jsonl")).expect("a trace");
    trace::read(&text).expect("it is whole")
}

fn browser() -> Option<Chromium> {
    let browser = Chromium::start();
    if browser.is_none() {
        eprintln!("skipped: there is no Chromium here; 'apt-get install chromium' brings one");
    }
    browser
}

/// The lanes that every run has.
const LANES: [&str; 16] = [
    "steps",
    "checks",
    "keys",
    "reset button",
    "program button",
    "door",
    "red",
    "yellow",
    "green",
    "beeper",
    "bolt withdrawn",
    "bolt thrown",
    "supply",
    "current",
    "flash writes",
    "console",
];

#[rstest]
fn a_page_is_drawn_legible_and_of_use_without_a_pointer(
    #[values("pass", "fail", "inconclusive")] campaign: &str,
) {
    let Some(mut browser) = browser() else { return };
    let page = RUNS.first(campaign).join("report.html");
    browser.resize(1280, 900, 1);
    browser.prefer("light");
    browser.open(&page);
    let millis = loaded_within(&mut browser);
    let bytes = fs::metadata(&page).expect("the page").len();
    println!("{campaign}: {bytes} bytes, loaded within {millis} ms");

    let title = browser.evaluate("document.title");
    let title = title.as_str().expect("a title");
    assert!(title.contains(campaign), "{title}");
    lanes_are_drawn(&mut browser);
    assert!(names_are_given(&mut browser) > 3);
    is_reached_by_keyboard(&mut browser);
    if campaign != "pass" {
        the_moment_is_in_view(&mut browser);
    }
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        has_contrast(&mut browser, scheme);
    }
    // 1280 pixels at 400 %.
    browser.resize(320, 256, 4);
    nothing_is_clipped(&mut browser);
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn the_page_of_a_campaign_leads_to_every_run() {
    let page = RUNS.path("pass/index.html");
    let text = fs::read_to_string(&page).expect("the page");
    let linked: Vec<&str> = text
        .split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|address| address.ends_with("report.html"))
        .collect();
    let runs = fs::read_dir(RUNS.path("pass")).expect("a folder");
    let runs = runs.filter(|entry| entry.as_ref().expect("an entry").path().is_dir());
    // Once in the matrix, once in the table.
    assert_eq!(linked.len(), 2 * runs.count());
    for address in linked {
        assert!(RUNS.path("pass").join(address).is_file(), "{address}");
    }
    let failed = fs::read_to_string(RUNS.path("fail/index.html")).expect("the page");
    let first = failed.find("What needs attention").expect("something does");
    assert!(first < failed.find("id=\"matrix\"").expect("the matrix"));
    let Some(mut browser) = browser() else { return };
    for campaign in ["pass", "fail", "inconclusive"] {
        browser.resize(1280, 900, 1);
        browser.open(&RUNS.path(campaign).join("index.html"));
        assert!(names_are_given(&mut browser) > 3);
        for scheme in ["light", "dark"] {
            browser.prefer(scheme);
            has_contrast(&mut browser, scheme);
        }
        browser.resize(320, 256, 4);
        nothing_is_clipped(&mut browser);
    }
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
fn the_page_of_a_changed_flow_is_legible() {
    let desk = TempDir::new().expect("a temporary folder");
    let run = |arguments: &[&str]| {
        let only = ["--filter", "rekey", "--profile", "stack-on-red-button"];
        let all = [&["run", "--report-dir", "r"], &only[..], arguments].concat();
        lockrig(desk.path(), &all)
    };
    assert_eq!(lockrig(desk.path(), &["init"]).0, 0);
    assert_eq!(run(&["--snapshots", "update"]).0, 0);
    let approved = desk
        .path()
        .join("reports/baselines/virtual-safe/stack-on-red-button/rekey.snap");
    let flow = fs::read_to_string(&approved).expect("an approved flow");
    let another = flow.replacen("green 1×, beeper 1×", "green 1×, beeper 4×", 1);
    assert_ne!(flow, another);
    fs::write(&approved, another).expect("a file");
    let told = run(&[]);
    assert_eq!(told.0, 1, "{told:?}");

    let Some(mut browser) = browser() else { return };
    let folders = fs::read_dir(desk.path().join("r")).expect("a campaign");
    let pages = folders.map(|entry| entry.expect("an entry").path().join("snapshot.html"));
    let page = pages.filter(|page| page.is_file()).min();
    let page = page.expect("the page of the changed flow");
    browser.resize(1280, 900, 1);
    browser.open(&page);
    assert!(names_are_given(&mut browser) > 0);
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        has_contrast(&mut browser, scheme);
    }
    browser.resize(320, 256, 4);
    nothing_is_clipped(&mut browser);
    assert_eq!(browser.complaints, [""; 0]);
}

/// How long the page took to load, as the browser reports it.
fn loaded_within(browser: &mut Chromium) -> u64 {
    let millis = browser.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd");
    let millis = millis.as_f64().expect("a number") as u64;
    // It is to be under a second; a machine that is busy with other tests is given more.
    assert!(millis < 10_000, "{millis} ms");
    millis
}

fn lanes_are_drawn(browser: &mut Chromium) {
    let drawn = browser.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#timeline .lane[data-lane]')].map(lane => [
            lane.dataset.lane,
            [...lane.querySelectorAll('.plot rect, .plot path, .plot > span')].some(shape => {
                const box = shape.getBoundingClientRect();
                return shape.classList.contains('none') ? shape.innerText.length > 0 : box.width + box.height > 0;
            })
        ]))",
    );
    for lane in LANES {
        assert_eq!(drawn[lane], true, "lane '{lane}' in {drawn}");
    }
    let shapes = |lane: &str, shape: &str| {
        format!("document.querySelectorAll('#timeline [data-lane=\"{lane}\"] {shape}').length")
    };
    for (lane, shape, least) in [
        ("keys", "rect.seen", 5),
        ("keys", "rect.ordered", 5),
        ("green", "rect.seen", 1),
        ("bolt thrown", "rect.seen", 1),
        ("supply", "path.read[d]", 1),
        ("supply", "path.set[d]", 1),
        ("current", "path.read[d]", 1),
        ("flash writes", ".mark", 1),
        ("console", ".mark", 1),
        ("checks", ".check", 1),
        ("steps", ".step", 3),
    ] {
        let count = browser.evaluate(&shapes(lane, shape));
        assert!(count.as_u64() >= Some(least), "{count} {shape} in '{lane}'");
    }
}

/// What a screen reader is told, by the browser's own reckoning: how many things have a name.
fn names_are_given(browser: &mut Chromium) -> usize {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().expect("nodes");
    let mut seen = BTreeMap::new();
    for node in nodes.iter().filter(|node| node["ignored"] == false) {
        let role = node["role"]["value"].as_str().unwrap_or_default();
        let name = node["name"]["value"].as_str().unwrap_or_default();
        if ["image", "img", "region", "radio", "link", "navigation"].contains(&role) {
            assert!(!name.trim().is_empty(), "a {role} without a name: {node}");
            *seen.entry(role.to_owned()).or_insert(0) += 1;
        }
    }
    seen.values().sum()
}

/// The tabulator reaches everything that can be used, each with a mark around it.
fn is_reached_by_keyboard(browser: &mut Chromium) {
    let mut reached = Vec::new();
    for _ in 0..60 {
        browser.press("Tab", 9);
        let at = browser.evaluate(
            "(() => { const it = document.activeElement; if (it === document.body) return null;
               const mark = getComputedStyle(it);
               return [it.getAttribute('href') ?? it.closest('section')?.id + ' ' + it.localName,
                       mark.outlineStyle !== 'none' && parseFloat(mark.outlineWidth) >= 2]; })()",
        );
        let Some(name) = at[0].as_str() else { break };
        assert_eq!(at[1], true, "{name} shows no focus");
        if reached.first().is_some_and(|first| first == name) {
            break;
        }
        reached.push(name.to_owned());
    }
    for wanted in [
        "#timeline",
        "#events",
        "timeline input",
        "timeline div",
        "steps div",
        "oracles div",
        "console div",
        "events summary",
    ] {
        assert!(
            reached.iter().any(|name| name == wanted),
            "{wanted}: {reached:?}"
        );
    }
    let scrolls = browser.evaluate(
        "(() => { const line = document.querySelector('#timeline .timeline'); line.scrollLeft = 0;
           return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
             window.scrolled = new Promise(over => line.addEventListener('scroll', () => over(line.scrollLeft), { once: true }));
             line.focus(); done(line.scrollWidth > line.clientWidth); }))); })()",
    );
    assert_eq!(
        scrolls, true,
        "the time line of a run is longer than the window"
    );
    browser.press("ArrowRight", 39);
    let scrolled = browser.evaluate("window.scrolled");
    assert!(scrolled.as_f64() > Some(0.0), "{scrolled}");
}

fn the_moment_is_in_view(browser: &mut Chromium) {
    let seen = browser.evaluate(
        "document.querySelector('#timeline [value=\"close\"]').click();
         [...document.querySelectorAll('.timeline')].map(line => {
            const frame = line.getBoundingClientRect();
            const mark = line.querySelector('.across .pointer').getBoundingClientRect();
            return mark.left > frame.left && mark.left < frame.right; })",
    );
    assert_eq!(seen, json!([true, true]));
    let told = browser.evaluate("document.querySelector('#moment').innerText");
    let told = told.as_str().expect("text");
    for wanted in [
        "What was being done",
        "What happened just before",
        ".yaml:",
        "− ",
    ] {
        assert!(told.contains(wanted.trim()), "'{wanted}' in {told}");
    }
}

/// Contrast by the formula of the Web Content Accessibility Guidelines: text 4.5, what is drawn 3.
fn has_contrast(browser: &mut Chromium, scheme: &str) {
    let weak = browser.evaluate(
        r#"(() => {
          const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
          const read = colour => { pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
            const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
          const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
          const ground = it => { const layers = [];
            for (let at = it; at; at = at.parentElement) layers.push(read(getComputedStyle(at).backgroundColor));
            return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]); };
          const light = ([r, g, b]) => { const part = value => { value /= 255;
              return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
            return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b); };
          const contrast = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05); };
          const weak = [];
          const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          let count = 0;
          while (walk.nextNode()) {
            const it = walk.currentNode.parentElement;
            if (!walk.currentNode.data.trim() || it.matches('script, style, title') || !it.checkVisibility()) continue;
            count++;
            const style = getComputedStyle(it), size = parseFloat(style.fontSize);
            // A digit stands on its key, which is drawn and not a background.
            const below = it.matches('.key') ? read(getComputedStyle(it.parentElement.querySelector('rect.seen')).fill) : ground(it);
            const got = contrast(over(read(style.color), below), below);
            const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
            if (got < (large ? 3 : 4.5)) weak.push(`${got.toFixed(2)} '${walk.currentNode.data}' ${it.className}`);
          }
          for (const shape of document.querySelectorAll('rect, path')) {
            const style = getComputedStyle(shape), below = ground(shape.closest('.plot') ?? shape.ownerSVGElement);
            const colour = shape.localName === 'path' && style.stroke !== 'none' ? style.stroke : style.fill;
            const got = contrast(over(read(colour), below), below);
            count++;
            if (got < 3) weak.push(`${got.toFixed(2)} ${shape.localName} ${shape.parentElement.classList}`);
          }
          return [count, [...new Set(weak)]];
        })()"#,
    );
    assert!(weak[0].as_u64() > Some(10), "{weak}");
    assert_eq!(weak[1], json!([]), "{scheme}");
}

/// Nothing reaches beyond the window but what scrolls by itself.
fn nothing_is_clipped(browser: &mut Chromium) {
    let beyond = browser.evaluate(
        "[document.documentElement.scrollWidth - innerWidth,
          [...document.body.querySelectorAll('*')]
            .filter(it => !it.closest('.timeline, .scroll') || it.matches('.timeline, .scroll'))
            .filter(it => it.checkVisibility() && it.getBoundingClientRect().right > innerWidth + 0.5)
            .map(it => it.outerHTML.slice(0, 90)),
          [...document.querySelectorAll('.timeline, .scroll')]
            .filter(it => !['auto', 'scroll'].includes(getComputedStyle(it).overflowX)).length]",
    );
    assert!(beyond[0].as_f64() <= Some(0.0), "{beyond}");
    assert_eq!((&beyond[1], &beyond[2]), (&json!([]), &json!(0)));
}

#[test]
fn a_page_asks_for_nothing_from_outside() {
    for campaign in ["pass", "fail", "inconclusive"] {
        for page in [
            RUNS.first(campaign).join("report.html"),
            RUNS.path(campaign).join("index.html"),
        ] {
            let text = fs::read_to_string(&page).expect("the page");
            for word in ["http:", "https:", "src=", "@import", "url("] {
                assert!(!text.contains(word), "'{word}' in {}", page.display());
            }
            let addresses = text.split("href=\"").skip(1);
            for address in addresses.filter_map(|rest| rest.split('"').next()) {
                let is_within = address.starts_with('#')
                    || address == "data:,"
                    || address.ends_with("/report.html");
                assert!(is_within, "{address}");
            }
        }
    }
}

/// The reader of Surfer, which is also that of other wave viewers.
#[rstest]
fn a_wave_reader_finds_the_edges_of_the_trace(
    #[values("pass", "fail", "inconclusive")] campaign: &str,
) {
    let run = RUNS.first(campaign);
    let mut waves = wellen::simple::read(run.join("trace.vcd")).expect("a dump");
    let timescale = waves.hierarchy().timescale().expect("a time scale");
    assert_eq!(
        (timescale.factor, timescale.unit),
        (1, wellen::TimescaleUnit::NanoSeconds)
    );
    let variables: Vec<(String, wellen::SignalRef)> = {
        let hierarchy = waves.hierarchy();
        let scopes = hierarchy.scopes().map(|scope| &hierarchy[scope]);
        scopes
            .flat_map(|scope| scope.vars(hierarchy))
            .map(|var| {
                (
                    hierarchy[var].full_name(hierarchy),
                    hierarchy[var].signal_ref(),
                )
            })
            .collect()
    };
    let signals: Vec<_> = variables.iter().map(|(_, signal)| *signal).collect();
    waves.load_signals(&signals);
    let events = events(&run);
    let changes = |name: &str| -> Vec<(u64, String)> {
        let (_, signal) = variables
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("no '{name}' in {variables:?}"));
        let signal = waves.get_signal(*signal).expect("it is loaded");
        signal
            .iter_changes()
            .map(|(at, value)| (waves.time_table()[at as usize], value.to_string()))
            .collect()
    };
    let begin = events[0].at.0;
    let level = |high: bool| if high { "1" } else { "0" }.to_owned();

    let mut lines: BTreeMap<&str, Vec<(u64, String)>> = BTreeMap::new();
    for event in &events {
        if let What::LineChanged { line, high } = &event.what {
            let edges = lines
                .entry(line)
                .or_insert_with(|| vec![(begin, level(!high))]);
            edges.push((event.at.0, level(*high)));
        }
    }
    assert!(lines.len() > 4);
    for (line, edges) in &lines {
        assert_eq!(&changes(&format!("lines.{line}")), edges, "{line}");
    }

    let mut volts = vec![(begin, 0.0)];
    for event in &events {
        if let What::SupplyRead { millivolts, .. } = event.what {
            volts.push((event.at.0, f64::from(millivolts) / 1e3));
        }
    }
    let got: Vec<(u64, f64)> = changes("supply.volts")
        .into_iter()
        .map(|(at, volts)| (at, volts.parse().expect("a number")))
        .collect();
    // What does not change is no change to the reader, and of two at one moment it keeps the last.
    let mut expected: Vec<(u64, f64)> = Vec::new();
    for (at, value) in volts {
        expected.pop_if(|last| last.0 == at);
        if expected.last().is_none_or(|last| last.1 != value) {
            expected.push((at, value));
        }
    }
    assert_eq!(got, expected);

    let phases: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::PhaseEntered { phase } => Some(phase.clone()),
            _ => None,
        })
        .collect();
    let mut got: Vec<String> = changes("run.phase")
        .into_iter()
        .map(|(_, phase)| phase)
        .collect();
    assert_eq!(got.remove(0), "-");
    got.dedup();
    let mut expected = phases;
    expected.dedup();
    assert_eq!(got, expected);
}

/// Everything in a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    entries
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(path).expect("a file"))
        })
        .collect()
}

/// A copy of a run's folder that a test may spoil.
fn copy_of(campaign: &str) -> TempDir {
    let desk = TempDir::new().expect("a temporary folder");
    let run = RUNS.first(campaign);
    let copy = desk.path().join(run.file_name().expect("a name"));
    fs::create_dir(&copy).expect("a folder");
    for (name, contents) in files(&run) {
        fs::write(copy.join(name), contents).expect("a file");
    }
    desk
}

fn only(desk: &TempDir) -> PathBuf {
    let mut entries = fs::read_dir(desk.path()).expect("a folder");
    entries.next().expect("one").expect("an entry").path()
}

#[rstest]
fn a_report_is_made_anew_from_the_trace_alone(
    #[values("pass", "fail", "inconclusive")] campaign: &str,
) {
    let desk = copy_of(campaign);
    let run = only(&desk);
    let before = files(&run);
    for name in ["report.html", "trace.vcd", "junit.xml", "run.json"] {
        fs::remove_file(run.join(name)).expect("it was there");
    }
    let (code, out, err) = lockrig(desk.path(), &["report", &run.display().to_string()]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out.lines().count(), 3);
    let mut expected = before;
    expected.remove("run.json");
    assert_eq!(files(&run), expected);
}

#[test]
fn a_trace_that_is_cut_is_named_and_reported_only_if_asked_for() {
    let desk = copy_of("fail");
    let run = only(&desk);
    // As a run leaves it that is killed while it writes its 301st line.
    let trace = fs::read_to_string(run.join("events.jsonl")).expect("a trace");
    let whole: usize = trace.split_inclusive('\n').take(300).map(str::len).sum();
    fs::write(run.join("events.jsonl"), &trace[..whole + 30]).expect("a file");
    let before = files(&run);
    let name = run
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let (code, out, err) = lockrig(desk.path(), &["report", &name]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_snapshot!("cut_trace", err);
    assert_eq!(files(&run), before);

    let (code, out, err) = lockrig(desk.path(), &["report", "--partial", &name]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("line "), "{err}");
    assert_eq!(out.lines().count(), 3);
    let mut after = files(&run);
    let page = after.remove("partial.report.html").expect("a page");
    let page = String::from_utf8(page).expect("a page is text");
    assert!(page.contains("The trace is not whole.") && page.contains("Aborted"));
    assert!(after.remove("partial.trace.vcd").is_some());
    assert!(after.remove("partial.junit.xml").is_some());
    assert_eq!(after, before);
}

#[rstest]
#[case("no_such_run", &["report", "nowhere"])]
#[case("not_a_trace", &["report", "wrong.yaml"])]
#[case("many_runs", &["report", "fail"])]
#[case("two_mistakes", &["report", "nowhere", "wrong.yaml"])]
#[case("nothing_to_open", &["open", "nowhere"])]
fn a_wrong_argument_gets_a_hint(#[case] name: &str, #[case] arguments: &[&str]) {
    let (code, out, err) = lockrig(RUNS.desk.path(), arguments);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_snapshot!(name, err);
}

#[test]
fn open_tells_where_the_newest_report_is() {
    let desk = RUNS.desk.path();
    let told = |folder: &str| lockrig(desk, &["open", folder]);
    let first = RUNS.first("fail");
    let first = first.strip_prefix(desk).expect("below the desk");
    let page = format!("{}/report.html\n", first.display());
    // The page of a run, that of a campaign of one run, and that of many.
    assert_eq!(
        told(&first.display().to_string()),
        (0, page.clone(), String::new())
    );
    assert_eq!(told("fail"), (0, page, String::new()));
    assert_eq!(
        told("pass"),
        (0, "pass/index.html\n".to_owned(), String::new())
    );
    let newest = TempDir::new().expect("a temporary folder");
    for (name, age) in [("b", 1), ("a", 3), ("c", 2)] {
        let folder = newest.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        let page = fs::File::create(folder.join("index.html")).expect("a file");
        let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(age);
        page.set_modified(changed).expect("a time");
    }
    let (code, out, _) = lockrig(newest.path(), &["open", "."]);
    assert_eq!((code, out.as_str()), (0, "./a/index.html\n"));
}
