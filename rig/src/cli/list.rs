//! `lockrig list`: what there is.

use super::board;
use super::error::Failure;
use super::files::{Library, Selection, print};
use crate::profile::TwinFile;

/// List scenarios, profiles, bad twins, benches and images
#[derive(clap::Args, Debug)]
pub struct List {
    /// Only this kind
    #[arg(value_enum)]
    kind: Option<Kind>,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// What can be carried out
    Scenarios,
    /// Products
    Profiles,
    /// Products whose firmware breaks one promise of a profile, for 'lockrig run --twin'
    Twins,
    /// Benches, virtual and real
    Benches,
    /// Firmware images that are shipped
    Images,
    /// Every run on virtual benches by its name, for 'lockrig run --filter'; only where asked for
    Runs,
}

impl List {
    pub fn execute(self) -> Result<u8, Failure> {
        if self.kind == Some(Kind::Runs) {
            let names = super::run::names(&Library::load(&Selection::default())?)?;
            return print(&(names.join("\n") + "\n"));
        }
        let mut library = Library::load(&Selection {
            real_benches: true,
            ..Selection::default()
        })?;
        let wanted = |kind| self.kind.is_none_or(|only| only == kind);
        let mut text = String::new();
        if wanted(Kind::Scenarios) {
            library
                .scenarios
                .sort_by(|one, other| one.value.id().cmp(other.value.id()));
            for scenario in library.scenarios.iter().map(|loaded| &loaded.value) {
                let intent: Vec<&str> = scenario.intent.split_whitespace().collect();
                text += &format!(
                    "scenario  {:32} {}\n",
                    scenario.id(),
                    first_sentence(&intent.join(" "))
                );
            }
        }
        if wanted(Kind::Profiles) {
            for profile in library.profiles.iter().map(|loaded| &loaded.value) {
                text += &format!("profile   {:32} {}\n", profile.id(), profile.about());
            }
        }
        if wanted(Kind::Twins) {
            for twin in library.twins()? {
                let TwinFile {
                    twin, of, about, ..
                } = &twin.file;
                let (name, of) = (&twin.value, &of.value);
                text += &format!("twin      {name:32} breaks a promise of {of}: {about}\n");
            }
        }
        if wanted(Kind::Benches) {
            for bench in library.benches.iter().map(|loaded| &loaded.value) {
                let about = bench.about.clone().unwrap_or_default();
                let products: Vec<&str> = library
                    .profiles
                    .iter()
                    .filter(|profile| board::fits(bench, &profile.value))
                    .map(|profile| profile.value.id())
                    .collect();
                text += &format!(
                    "bench     {:32} {about} ({})\n",
                    bench.name,
                    products.join(", ")
                );
            }
        }
        if wanted(Kind::Images) {
            text += &format!(
                "images    {}\n",
                crate::project::shipped_images().join(", ")
            );
        }
        print(&text)
    }
}

/// Up to the first full stop.
fn first_sentence(text: &str) -> &str {
    let text = text.strip_suffix('.').unwrap_or(text);
    text.split_once(". ").map_or(text, |(first, _)| first)
}
