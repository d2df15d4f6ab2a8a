//! Scenario, profile and requirement files: the shipped ones are read, agree with their schemas and
//! give the plan that was reviewed; the bad ones are refused with the message beside them.
//!
//! `LOCKRIG_BLESS=1 cargo test -p lockrig --test files` writes the messages anew; review the diff.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lockrig::profile::codes::{Code, Declared, Right, generate, is_weak};
use lockrig::profile::{self, CylinderFile, Product, Profile, ProfileFile};
use lockrig::scenario::{self, Course, Requirements, Scenario, ScenarioFile, plan, plan_on};
use lockrig::source::{Node, Read, Refused, Source, Spanned, Value};
use lockrig::step::{CodeKind, KnownCode};
use rstest::rstest;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("rig has a parent")
        .to_owned()
}

/// A file of the project, called by its path from the root.
fn open(path: &Path) -> Source {
    let name = path.strip_prefix(root()).unwrap_or(path);
    let text = fs::read_to_string(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    Source::new(name.to_string_lossy().replace('\\', "/"), text)
}

/// The YAML files of a folder, in the order of their names.
fn folder(name: &str) -> Vec<Source> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join(name))
        .unwrap_or_else(|why| panic!("{name}: {why}"))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| !path.ends_with("requirements.yaml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| open(path)).collect()
}

fn requirements() -> Requirements {
    let source = open(&root().join("scenarios/requirements.yaml"));
    Requirements::read(&source).unwrap_or_else(|refused| panic!("{refused}"))
}

fn products() -> Vec<Product> {
    folder("scenarios/profiles")
        .iter()
        .map(|source| Product::read(source).unwrap_or_else(|refused| panic!("{refused}")))
        .collect()
}

/// The products with a keypad.
fn profiles() -> Vec<Profile> {
    let products = products().into_iter();
    products
        .filter_map(|product| product.lock().cloned())
        .collect()
}

fn scenarios() -> Vec<Scenario> {
    scenarios_in("scenarios")
}

fn scenarios_in(name: &str) -> Vec<Scenario> {
    let requirements = requirements();
    folder(name)
        .iter()
        .map(|source| {
            Scenario::read(source, &requirements).unwrap_or_else(|refused| panic!("{refused}"))
        })
        .collect()
}

/// All runs of all scenarios on all profiles, in words. Of a variant that has as many acts as the
/// first one only those that differ are told.
fn whole_plan() -> String {
    let mut text = String::new();
    for profile in profiles() {
        for scenario in scenarios() {
            let runs = plan(&scenario, &profile).unwrap_or_else(|refused| panic!("{refused}"));
            let mut first: Option<Vec<String>> = None;
            for run in runs {
                let lines: Vec<String> = run.to_string().lines().map(str::to_owned).collect();
                let told = match &first {
                    Some(first) if first.len() == lines.len() => lines
                        .iter()
                        .zip(first)
                        .filter(|(line, first)| line != first)
                        .map(|(line, _)| line.clone())
                        .collect(),
                    _ => lines.clone(),
                };
                text += &told.join("\n");
                text += "\n";
                if first.is_none() && matches!(run.course, Course::Runs(_)) {
                    first = Some(lines);
                }
            }
        }
    }
    text
}

#[test]
fn the_requirements_are_r01_to_r69() {
    let ids: Vec<String> = requirements()
        .requirements
        .iter()
        .map(|one| one.id.value.to_string())
        .collect();
    let wanted: Vec<String> = (1..=69).map(|number| format!("R{number:02}")).collect();
    assert_eq!(ids, wanted);
}

#[test]
fn scenarios_and_profiles_are_called_like_their_files() {
    let mut scenarios = scenarios();
    scenarios.extend(scenarios_in("scenarios/cylinder"));
    let scenarios = scenarios.iter().map(|one| (one.id(), one.source()));
    let profiles = profiles();
    let profiles = profiles.iter().map(|one| (one.id(), one.source()));
    for (id, source) in scenarios.chain(profiles) {
        let name = format!("/{id}.yaml");
        assert!(
            source.name().ends_with(&name),
            "'{id}' in {}",
            source.name()
        );
    }
}

#[test]
fn the_plan_is_the_one_that_was_reviewed() {
    insta::assert_snapshot!(whole_plan());
}

/// The scenarios for cylinders, on the shipped one.
#[test]
fn the_plan_on_a_cylinder_is_the_one_that_was_reviewed() {
    let mut text = String::new();
    for product in products().iter().filter(|product| product.lock().is_none()) {
        for scenario in scenarios_in("scenarios/cylinder") {
            let runs = plan_on(&scenario, product).unwrap_or_else(|refused| panic!("{refused}"));
            text += &runs[0].to_string();
            for run in &runs[1..] {
                assert!(matches!(run.course, Course::Runs(_)), "{run}");
                text += &format!("and {}\n", run.variant);
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn no_scenario_for_a_keypad_runs_on_a_cylinder_and_none_for_a_cylinder_elsewhere() {
    let on_locks = scenarios_in("scenarios/cylinder");
    let on_cylinders = scenarios();
    for product in products() {
        let scenarios = match product.lock() {
            Some(_) => &on_locks,
            None => &on_cylinders,
        };
        for scenario in scenarios {
            let runs = plan_on(scenario, &product).unwrap_or_else(|refused| panic!("{refused}"));
            for run in runs {
                let Course::Skipped(reason) = run.course else {
                    panic!("'{}' runs on '{}'", run.scenario, run.profile);
                };
                assert!(reason.contains("mechanical"), "{reason}");
            }
        }
    }
}

/// The holds of a scenario's runs on the red-button safe, if its manual gave this window; or why
/// there is none.
fn holds_in_window(window: &str) -> Vec<String> {
    let source = open(&root().join("scenarios/profiles/stack-on-red-button.yaml"));
    let text = source
        .text()
        .replace("hold: tap ", &format!("hold: {window} "));
    assert_ne!(text, source.text());
    let profile = Profile::read(&Source::new("windowed.yaml", text));
    let profile = profile.unwrap_or_else(|refused| panic!("{refused}"));
    let scenarios = scenarios();
    let ends = scenarios.iter().find(|one| one.id() == "hold-window-ends");
    let runs = plan(ends.expect("shipped"), &profile).expect("planned");
    runs.iter()
        .map(|run| match &run.course {
            Course::Skipped(reason) => format!("{}: {reason}", run.variant),
            Course::Runs(_) => {
                let text = run.to_string();
                let line = text.split("steps").nth(1).unwrap_or_default();
                // The first hold is too short.
                let hold = line
                    .split("hold button reset for ")
                    .nth(2)
                    .unwrap_or_default();
                let hold = hold.split(':').next().unwrap_or_default();
                format!("{}: {hold}", run.variant)
            }
        })
        .collect()
}

#[test]
fn holds_are_placed_just_inside_the_documented_window() {
    assert_eq!(
        holds_in_window("{ from: 5 s, to: 10 s }"),
        [
            "hold=shortest: 5.1 s",
            "hold=middle: 7.5 s",
            "hold=longest: 9.9 s"
        ]
    );
    assert_eq!(
        holds_in_window("{ from: 5 s, to: unspecified }")[0],
        "hold=shortest: 5.1 s"
    );
}

#[test]
fn a_variant_that_does_the_same_as_an_earlier_one_is_skipped_and_says_so() {
    assert_eq!(
        holds_in_window("{ from: 5 s, to: 5 s }"),
        [
            "hold=shortest: 5 s",
            "hold=middle: on this product it is the same as hold=shortest",
            "hold=longest: on this product it is the same as hold=shortest",
        ]
    );
}

#[test]
fn the_plan_is_the_same_each_time() {
    assert_eq!(whole_plan(), whole_plan());
}

#[test]
fn every_scenario_runs_somewhere_and_every_run_has_its_codes() {
    let profiles = profiles();
    // No source of a shipped product says that its debug port is closed: rig/tests/readout.rs runs that one.
    let promised = |scenario: &Scenario| scenario.id() != "debug-port-closed";
    for scenario in scenarios().into_iter().filter(promised) {
        let mut runs = 0;
        for profile in &profiles {
            for run in plan(&scenario, profile).expect("planned above") {
                let Course::Runs(script) = run.course else {
                    continue;
                };
                runs += 1;
                let codes = generate(profile, 1, &script.codes);
                assert_eq!(codes.map(|codes| codes.len()), Ok(script.codes.len()));
            }
        }
        assert!(runs > 0, "'{}' runs on no profile", scenario.id());
    }
}

#[rstest]
fn a_bad_file_is_refused_with_the_message_beside_it(
    #[files("../scenarios/bad/*.yaml")] path: PathBuf,
) {
    let source = open(&path);
    let got = match read_bad(&path, &source) {
        Ok(()) => panic!("{} is accepted", source.name()),
        Err(refused) => format!("{refused}\n"),
    };
    let beside = path.with_extension("stderr");
    if std::env::var_os("LOCKRIG_BLESS").is_some() {
        fs::write(&beside, &got).expect("the message can be written");
    }
    let wanted = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(got, wanted, "LOCKRIG_BLESS=1 accepts what was got");
}

/// A bad file is a scenario unless its name says otherwise. The first line of one that is wrong
/// only against a product names it: `# against: stack-on-red-button`.
fn read_bad(path: &Path, source: &Source) -> Result<(), Refused> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("profile-") {
        return Product::read(source).map(|_| ());
    }
    if name.starts_with("personality-") {
        return Profile::read(source)?.personality().map(|_| ());
    }
    if name.starts_with("requirements-") {
        return Requirements::read(source).map(|_| ());
    }
    let scenario = Scenario::read(source, &requirements())?;
    let first = source.text().lines().next().unwrap_or_default();
    let against = first
        .strip_prefix("# against: ")
        .unwrap_or_else(|| panic!("{} is accepted, and is against no profile", source.name()));
    let products = products();
    let product = products.iter().find(|product| product.id() == against);
    plan_on(&scenario, product.expect("a shipped profile")).map(|_| ())
}

#[test]
fn every_bad_message_has_its_file() {
    for entry in fs::read_dir(root().join("scenarios/bad")).expect("the folder is there") {
        let path = entry.expect("a readable folder").path();
        let file = path.with_extension("yaml");
        assert!(file.exists(), "{} stands alone", path.display());
    }
}

/// A node as the JSON that a schema validator looks at.
fn json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::List(items) => items.iter().map(json).collect(),
        Value::Table(entries) => entries
            .iter()
            .map(|(key, value)| (key.value.clone(), json(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Scalar { text, quoted: true } => text.as_str().into(),
        Value::Scalar { text, .. } => match text.as_str() {
            "" | "~" | "null" => serde_json::Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            text => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(integer), _) => integer.into(),
                (_, Ok(float)) if float.is_finite() => float.into(),
                _ => text.into(),
            },
        },
    }
}

/// The document, and each document that differs from it by one key: one more in some table, or one
/// fewer.
fn with_one_key_changed(node: &Node) -> Vec<(String, Node)> {
    let replaced = |value: Value| Node {
        span: node.span,
        value,
    };
    match &node.value {
        Value::Scalar { .. } => Vec::new(),
        Value::List(items) => items
            .iter()
            .enumerate()
            .flat_map(|(at, item)| {
                with_one_key_changed(item)
                    .into_iter()
                    .map(move |(what, changed)| {
                        let mut items = items.clone();
                        items[at] = changed;
                        (format!("[{at}]{what}"), replaced(Value::List(items)))
                    })
            })
            .collect(),
        Value::Table(entries) => {
            let mut more = entries.clone();
            let unknown = Value::Scalar {
                text: "x y".into(),
                quoted: true,
            };
            more.push((
                Spanned::new("no-such-key".into(), node.span),
                replaced(unknown),
            ));
            let mut changed = vec![(".no-such-key added".into(), replaced(Value::Table(more)))];
            for (at, (key, value)) in entries.iter().enumerate() {
                let mut fewer = entries.clone();
                fewer.remove(at);
                changed.push((
                    format!(".{} removed", key.value),
                    replaced(Value::Table(fewer)),
                ));
                for (what, inner) in with_one_key_changed(value) {
                    let mut entries = entries.clone();
                    entries[at].1 = inner;
                    changed.push((
                        format!(".{}{what}", key.value),
                        replaced(Value::Table(entries)),
                    ));
                }
            }
            changed
        }
    }
}

/// The reader's and an independent validator's opinion of every file and of every file with one
/// key more or fewer.
fn schema_and_reader_agree<T: Read>(schema: &serde_json::Value, files: &[Source]) {
    let validator = jsonschema::validator_for(schema).expect("the schema is one");
    let (mut accepted, mut refused) = (0, 0);
    for source in files {
        let node = source.yaml().unwrap_or_else(|refused| panic!("{refused}"));
        let errors: Vec<String> = validator
            .iter_errors(&json(&node))
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", source.name());
        for (what, changed) in with_one_key_changed(&node) {
            let reader = source.read::<T>(&changed);
            let schema = validator.is_valid(&json(&changed));
            assert_eq!(
                reader.is_ok(),
                schema,
                "{}{what}: the reader says {}",
                source.name(),
                reader.map_or_else(|refused| refused.to_string(), |_| "yes".into())
            );
            *if schema { &mut accepted } else { &mut refused } += 1;
        }
    }
    assert!(accepted > 0 && refused > 0, "{accepted} and {refused}");
}

#[test]
fn the_schema_of_scenarios_and_their_reader_agree() {
    let mut files = folder("scenarios");
    files.extend(folder("scenarios/cylinder"));
    schema_and_reader_agree::<ScenarioFile>(&scenario::schema(), &files);
}

#[test]
fn the_schema_of_profiles_and_their_reader_agree() {
    let files = folder("scenarios/profiles");
    let of_cylinder = |source: &Source| source.text().contains("\nkind: cylinder\n");
    let (cylinders, locks): (Vec<Source>, Vec<Source>) = files.into_iter().partition(of_cylinder);
    schema_and_reader_agree::<ProfileFile>(&profile::schema(), &locks);
    schema_and_reader_agree::<CylinderFile>(&profile::schema(), &cylinders);
}

fn declared() -> BTreeMap<String, Declared> {
    let mut declared: BTreeMap<String, Declared> = ["a", "b", "c", "guess", "other-guess"]
        .into_iter()
        .map(|name| (name.to_owned(), Declared::Made(CodeKind::User)))
        .collect();
    let literal = Code::from_digits("1234").expect("digits");
    declared.insert("weak".into(), Declared::Literal(literal));
    declared
}

#[test]
fn codes_follow_the_rules_and_are_no_part_of_each_other() {
    for profile in profiles() {
        for seed in 0..500 {
            let codes = generate(&profile, seed, &declared()).expect("enough codes");
            let factory = profile.factory_code();
            let all: Vec<&Code> = codes.values().chain(factory).collect();
            // A literal stands where it is the point, whatever its length.
            for (name, code) in codes.iter().filter(|(name, _)| *name != "weak") {
                let rules = profile.codes.user.digits;
                let digits = u8::try_from(code.digit_count()).expect("short");
                assert!((rules.from..=rules.to).contains(&digits), "{name}: {code}");
                assert!(!is_weak(code), "{name} is weak");
            }
            for (name, one) in codes.iter().filter(|(name, _)| *name != "weak") {
                for other in all.iter().filter(|other| !std::ptr::eq(**other, one)) {
                    let (one, other) = (one.digits_to_press(), other.digits_to_press());
                    assert!(!one.starts_with(other) && !other.starts_with(one), "{name}");
                }
            }
        }
    }
}

#[test]
fn codes_come_from_the_seed_and_from_their_own_name() {
    let profile = &profiles()[0];
    let codes = |seed, declared| generate(profile, seed, declared).expect("enough codes");
    let all = declared();
    assert_eq!(codes(7, &all), codes(7, &all));
    assert_ne!(codes(7, &all), codes(8, &all));
    let mut fewer = all.clone();
    fewer.remove("b");
    assert_eq!(codes(7, &fewer)["c"], codes(7, &all)["c"]);
}

#[test]
fn codes_that_people_are_told_to_avoid_are_weak() {
    let weak = |digits: &str| is_weak(&Code::from_digits(digits).expect("digits"));
    for digits in [
        "1234", "4321", "7890", "0000", "1212", "123123", "111111", "1987", "2024", "3112", "1231",
        "311299", "991231", "31121999", "19991231", "159159",
    ] {
        assert!(weak(digits), "{digits}");
    }
    for digits in ["4937", "8264", "60718", "9946382", "48"] {
        assert!(!weak(digits), "{digits}");
    }
}

#[test]
fn nothing_that_is_printed_holds_digits() {
    let profile = &profiles()[0];
    let codes = generate(profile, 3, &declared()).expect("enough codes");
    for code in codes.values() {
        let printed = format!("{code} {code:?} {codes:?} {profile:?}");
        assert!(!printed.contains(code.digits_to_press()), "{printed}");
    }
    let literal = code_entry::Code::parse("159").expect("digits");
    assert!(!format!("{literal:?}").contains("159"));
}

#[test]
fn every_profile_makes_a_personality_that_fits_its_page() {
    for profile in profiles() {
        let personality = profile
            .personality()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let page = personality.to_page().expect("it fits");
        let read = code_entry::Personality::from_page(&page);
        assert_eq!(read.as_ref(), Ok(&personality));
        insta::assert_debug_snapshot!(profile.id(), personality);
    }
}

/// Wrong codes that begin like another one, and are like it in nothing else but their length.
#[test]
fn a_code_that_is_like_another_has_exactly_as_many_leading_digits_right() {
    let near = |like: &str, right| Declared::Near {
        like: like.to_owned(),
        right,
        ends: false,
    };
    let beginning = |like: &str, right| Declared::Near {
        like: like.to_owned(),
        right,
        ends: true,
    };
    for profile in profiles() {
        for seed in 0..200 {
            let mut declared = declared();
            declared.insert("like-first".into(), near("a", Right::AllButLast));
            declared.insert("like-weak".into(), near("weak", Right::Exactly(0)));
            declared.insert("two".into(), beginning("a", Right::Exactly(2)));
            declared.insert("short".into(), beginning("a", Right::AllButLast));
            for right in 0..4 {
                declared.insert(format!("right-{right}"), near("a", Right::Exactly(right)));
            }
            let codes = generate(&profile, seed, &declared).expect("enough codes");
            let (first, weak) = (&codes["a"], &codes["weak"]);
            let last = codes["like-first"].leading_in_common(first);
            assert_eq!(last, first.digit_count() - 1);
            assert_eq!(codes["like-weak"].leading_in_common(weak), 0);
            assert_eq!(codes["like-weak"].digit_count(), weak.digit_count());
            for right in 0..4 {
                let code = &codes[&format!("right-{right}")];
                assert_eq!(code.digit_count(), first.digit_count());
                assert_eq!(code.leading_in_common(first), right);
            }
            for (name, digits) in [("two", 2), ("short", first.digit_count() - 1)] {
                assert_eq!(codes[name].digit_count(), digits);
                assert_eq!(codes[name].leading_in_common(first), digits);
            }
            let distinct: BTreeSet<&Code> = codes.values().collect();
            assert_eq!(distinct.len(), codes.len());
        }
    }
}

/// Every digit but the right one is drawn where the first wrong one stands.
#[test]
fn the_first_wrong_digit_is_any_other() {
    let profile = &profiles()[0];
    let mut seen = BTreeSet::new();
    for seed in 0..400 {
        let declared = BTreeMap::from([
            ("it".to_owned(), literal("5555")),
            (
                "like-it".to_owned(),
                Declared::Near {
                    like: "it".to_owned(),
                    right: Right::Exactly(2),
                    ends: false,
                },
            ),
        ]);
        let codes = generate(profile, seed, &declared).expect("enough codes");
        let digits = codes["like-it"].digits_to_press().to_owned();
        assert!(digits.starts_with("55"), "{digits}");
        seen.insert(digits[2..3].to_owned());
    }
    assert_eq!(Vec::from_iter(seen).concat(), "012346789");
}

#[test]
fn a_code_with_as_many_digits_right_as_the_other_has_cannot_be_made() {
    let profile = &profiles()[0];
    let declared = BTreeMap::from([
        ("it".to_owned(), literal("1234")),
        (
            "like-it".to_owned(),
            Declared::Near {
                like: "it".to_owned(),
                right: Right::Exactly(4),
                ends: false,
            },
        ),
    ]);
    let error = generate(profile, 1, &declared).expect_err("it would be right");
    assert!(
        error
            .to_string()
            .ends_with("leaves too few codes to make 'like-it' from")
    );
}

/// The runs of the digit-timing scenario on the red-button safe, if its codes were of these lengths
/// and the code that is timed were this one.
fn timing(digits: &str, owner: &str) -> Vec<String> {
    let source = open(&root().join("scenarios/profiles/stack-on-red-button.yaml"));
    let text = source
        .text()
        .replace("digits: 3..8", &format!("digits: {digits}"));
    let profile = Profile::read(&Source::new("shorter.yaml", text));
    let profile = profile.unwrap_or_else(|refused| panic!("{refused}"));
    let source = open(&root().join("scenarios/digit-timing.yaml"));
    let text = source
        .text()
        .replace("owner: user", &format!("owner: {owner}"));
    let scenario = Scenario::read(&Source::new("timed.yaml", text), &requirements());
    let scenario = scenario.unwrap_or_else(|refused| panic!("{refused}"));
    let runs = plan(&scenario, &profile).expect("planned");
    runs.iter()
        .map(|run| match &run.course {
            Course::Skipped(reason) => reason.clone(),
            Course::Runs(script) => Vec::from_iter(script.codes.keys().cloned()).join(" "),
        })
        .collect()
}

#[rstest]
#[case("3..8", "user", "all-but-last owner right-0 right-1 right-2 right-3")]
#[case("4", "user", "all-but-last owner right-0 right-1 right-2 right-3")]
#[case(
    "3",
    "user",
    "'owner' may have 3 digits on 'stack-on-red-button', and 'right-3' has 3 of them right"
)]
#[case(
    "3..8",
    "\"2468\"",
    "all-but-last owner right-0 right-1 right-2 right-3"
)]
#[case(
    "3..8",
    "\"24\"",
    "'owner' may have 2 digits on 'stack-on-red-button', and 'right-2' has 2 of them right"
)]
#[case(
    "3..8",
    "factory",
    "'owner' may have 3 digits on 'stack-on-red-button', and 'right-3' has 3 of them right"
)]
#[case("3..8", "master", "'stack-on-red-button' has no master code")]
fn codes_that_are_like_another_need_one_that_is_long_enough(
    #[case] digits: &str,
    #[case] owner: &str,
    #[case] expected: &str,
) {
    assert_eq!(timing(digits, owner), [expected]);
}

fn literal(digits: &str) -> Declared {
    Declared::Literal(Code::from_digits(digits).expect("digits"))
}

#[test]
fn what_people_are_told_to_avoid_is_made_to_the_product_s_length() {
    let digits = |known| {
        let profiles = profiles();
        let codes = profiles.iter().map(|profile| {
            let code = profile.known_code(known);
            code.map(|code| code.digits_to_press().to_owned())
        });
        codes.collect::<Vec<_>>()
    };
    let all = |codes: [&str; 6]| codes.map(|code| (!code.is_empty()).then(|| code.to_owned()));
    // In the order of their names: both Kwikset, Sargent and Greenleaf, SecuRam, Sentry, Stack-On.
    assert_eq!(
        digits(KnownCode::Sequence),
        all(["1234", "1234", "123456", "123456", "12345", "1234"])
    );
    assert_eq!(
        digits(KnownCode::Repeated),
        all(["7777", "7777", "777777", "777777", "77777", "7777"])
    );
    assert_eq!(
        digits(KnownCode::Zeros),
        all(["0000", "0000", "000000", "000000", "00000", "0000"])
    );
    assert_eq!(
        digits(KnownCode::Date),
        all(["2412", "2412", "241299", "241299", "", "2412"])
    );
    assert_eq!(
        digits(KnownCode::ResetCode),
        all(["", "", "362(03)19", "", "", ""])
    );
    assert_eq!(
        digits(KnownCode::ResetCodeInTurn),
        all(["", "", "3620319", "", "", ""])
    );
    assert!(is_weak(&Code::from_digits("241299").expect("digits")));
}

#[test]
fn keys_that_are_pressed_together_are_one_stroke() {
    let code = Code::with_pairs("362(03)19").expect("a code");
    assert_eq!(code.strokes_to_press(), ["3", "6", "2", "03", "1", "9"]);
    assert_eq!(code.digit_count(), 6);
    assert_eq!(format!("{code:?}"), "code of 6 digits");
    let other = Code::with_pairs("362(01)19").expect("a code");
    assert_eq!(code.leading_in_common(&other), 3);
    assert_eq!(code.leading_in_common(&code), 6);
    for none in ["", "36(02)", "36(03", "(30)", "12345678901"] {
        assert_eq!(Code::with_pairs(none), None, "{none}");
    }
}
