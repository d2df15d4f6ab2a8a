//! Files. A file that is refused says why, at a place in it; what is accepted is accepted again.

use std::sync::LazyLock;

use lockrig::bench::file::BenchFile;
use lockrig::image::{ChipMap, Image};
use lockrig::profile::{Product, Profile};
use lockrig::project::Project;
use lockrig::scenario::{self, Requirements, Scenario};
use lockrig::source::{Refused, Source};
use lockrig::trace;

static REQUIREMENTS: LazyLock<Requirements> = LazyLock::new(|| {
    let file = Project::Shipped
        .requirements()
        .expect("it is in the binary");
    let source = Source::new(file.name.as_str(), file.text().expect("it is text"));
    Requirements::read(&source).expect("it is right")
});

static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let files = Project::Shipped.profiles().expect("they are in the binary");
    let read = |file: lockrig::project::File| {
        let source = Source::new(file.name.as_str(), file.text().expect("it is text"));
        let product = Product::read(&source).expect("it is right");
        product.lock().cloned()
    };
    files.into_iter().filter_map(read).collect()
});

/// Text as the rig takes it; what is not UTF-8 is refused before any of these parsers.
fn source(bytes: &[u8]) -> Option<Source> {
    std::str::from_utf8(bytes)
        .ok()
        .map(|text| Source::new("fuzz.yaml", text))
}

fn look_at(refused: &Refused) {
    assert!(!refused.problems.is_empty(), "refused without a reason");
    assert!(!refused.render(false).is_empty(), "refused without a word");
    refused.render(true);
}

/// A scenario, and its plan on every shipped profile.
pub fn scenario(bytes: &[u8]) {
    let Some(source) = source(bytes) else { return };
    match Scenario::read(&source, &REQUIREMENTS) {
        Ok(scenario) => {
            for profile in &*PROFILES {
                match scenario::plan(&scenario, profile) {
                    Ok(planned) => assert!(!planned.is_empty(), "a plan without a run"),
                    Err(refused) => look_at(&refused),
                }
            }
        }
        Err(refused) => look_at(&refused),
    }
}

/// A profile, and the personality made of it.
pub fn profile(bytes: &[u8]) {
    let Some(source) = source(bytes) else { return };
    match Product::read(&source) {
        Ok(Product::Lock(profile)) => match profile.personality() {
            Ok(personality) => {
                let page = personality.to_page();
                let again = page.map(|page| code_entry::Personality::from_page(&page));
                assert!(
                    again.is_err() || again == Ok(Ok(personality)),
                    "a page reads as another"
                );
            }
            Err(refused) => look_at(&refused),
        },
        Ok(Product::Cylinder(_)) => {}
        Err(refused) => look_at(&refused),
    }
}

/// A bench file.
pub fn bench(bytes: &[u8]) {
    let Some(source) = source(bytes) else { return };
    match BenchFile::read(&source) {
        Ok(bench) => {
            bench.abilities();
            bench.keys();
        }
        Err(refused) => look_at(&refused),
    }
}

/// A trace. One that is whole reads the same after it was written again.
pub fn trace(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (events, wrong) = trace::read_as_far_as_whole(text);
    if let Some(wrong) = wrong {
        assert!(!wrong.to_string().is_empty(), "refused without a word");
        return;
    }
    let mut written = String::new();
    for event in &events {
        written.push_str(&serde_json::to_string(event).expect("events are JSON"));
        written.push('\n');
    }
    let again = trace::read(&written);
    assert!(
        again.is_ok_and(|again| again == events),
        "a trace reads as another"
    );
}

/// An image: ELF, Intel HEX, or what is neither.
pub fn image(bytes: &[u8]) {
    static CHIP: LazyLock<ChipMap> =
        LazyLock::new(|| ChipMap::of("nRF51822_xxAA").expect("it is known"));
    match Image::read("fuzz.elf", bytes, &CHIP) {
        Ok(image) => {
            let inside = |segment: &lockrig::image::Segment| {
                u64::from(segment.address) >= u64::from(CHIP.flash().start)
                    && segment.end() <= u64::from(CHIP.flash().end)
            };
            assert!(
                image.segments().iter().all(inside),
                "bytes outside of flash"
            );
            image.sha256();
        }
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a word"),
    }
}
