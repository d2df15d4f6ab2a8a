//! One bench, opened for a command that works on a single board.

use std::sync::Arc;

use super::error::Failure;
use super::files::{Library, Selection};
use crate::bench::{Bench, BenchFile};
use crate::campaign::{self, Group, Opener, Prepared};
use crate::driver::{DeviceTrouble, Trouble};
use crate::image::{ChipMap, Image};
use crate::port::{self, Interrupt, Ports};
use crate::profile::{Product, Profile};
use crate::project::Project;

/// Which board: a bench, and what is on it.
#[derive(clap::Args, Debug)]
pub struct Board {
    /// The bench, by name or file
    #[arg(long, value_name = "NAME|FILE", default_value = "virtual-safe")]
    pub bench: String,
    /// The product's profile, by name or file [default: the first that fits the bench]
    #[arg(long, value_name = "NAME|FILE")]
    pub profile: Option<String>,
    /// Seed of contact bounce and of everything else that is drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

impl Board {
    /// Reads the files and connects the bench, with `image` flashed onto its board.
    pub fn prepare(&self, image: Option<&str>) -> Result<(Group, Prepared), Failure> {
        let (library, bench) = self.load()?;
        let profile = library
            .profiles
            .iter()
            .map(|loaded| &loaded.value)
            .find(|profile| fits(&bench, profile))
            .ok_or_else(|| Failure::usage(format!("no profile fits the bench '{}'", bench.name)))?;
        let group = group(&library.project, &bench, profile, None, image)?;
        let prepared = campaign::prepare(&group, &opener(), self.seed, Interrupt::default())
            .map_err(broken)?;
        Ok((group, prepared))
    }

    /// Reads the bench file.
    pub fn load(&self) -> Result<(Library, BenchFile), Failure> {
        let selection = Selection {
            paths: Vec::new(),
            bench: vec![self.bench.clone()],
            profile: self.profile.iter().cloned().collect(),
            real_benches: false,
        };
        let mut library = Library::load(&selection)?;
        let bench = library.benches.remove(0).value;
        Ok((library, bench))
    }
}

/// Whether a product's board is what stands on a bench.
pub fn fits(bench: &BenchFile, profile: &Product) -> bool {
    let handled = profile.lock().is_some() || bench.stage.is_some();
    handled && bench.lock.is_none_or(|lock| lock.word() == profile.kind())
}

/// A bench with a product's image: the one that is asked for, else the bench file's. Our
/// firmware behaves as `behaves`, where it is given, and is judged by `profile` all the same.
pub fn group(
    project: &Project,
    bench: &BenchFile,
    profile: &Arc<Product>,
    behaves: Option<&Profile>,
    image: Option<&str>,
) -> Result<Group, Failure> {
    let mut group = Group {
        bench: bench.clone(),
        profile: Arc::clone(profile),
        image: None,
        personality: None,
        jobs: Vec::new(),
    };
    let Some(chip) = &bench.chip else {
        return Ok(group);
    };
    let Some(name) = image.or(bench.image.as_deref()) else {
        return Ok(group);
    };
    let of_bench = |why: &dyn std::fmt::Display| format!("bench '{}': {why}", bench.name);
    let chip =
        ChipMap::of(chip).map_err(|why| Failure::hinted(of_bench(&why), Some(why.hint())))?;
    let file = project.image(name).map_err(|why| match image {
        Some(_) => Failure::usage(why),
        None => Failure::usage(of_bench(&why)),
    })?;
    let image = Image::read(&file.name, &file.bytes, &chip).map_err(|mut why| {
        why.image.clone_from(&file.given);
        Failure::hinted(&why, why.hint())
    })?;
    if image.personality().is_none() {
        group.image = Some(image);
        return Ok(group);
    }
    let Some(profile) = behaves.or(profile.lock()) else {
        return Err(Failure::usage(of_bench(
            &"a mechanical cylinder runs no firmware",
        )));
    };
    let personality = profile
        .personality()
        .map_err(|refused| Failure::refused(&[refused]))?;
    let page = personality.to_page().map_err(Failure::usage)?;
    group.personality = Some(super::files::sha256(&page));
    group.image = Some(image.with_personality(&page).map_err(Failure::usage)?);
    Ok(group)
}

/// Opens `sim:` ports on a virtual bench, all others on this machine.
pub fn opener() -> Opener {
    Arc::new(|bench: &BenchFile, seed: u64, interrupt: Interrupt| {
        let Some(name) = &bench.emulates else {
            return Ok(Box::new(port::real::RealPorts::new(interrupt)) as Box<dyn Ports>);
        };
        match port::sim::SimPorts::new(name, seed, interrupt) {
            Some(ports) => Ok(Box::new(ports) as Box<dyn Ports>),
            None => Err(DeviceTrouble {
                device: format!("virtual bench '{name}'"),
                doing: "looking for it".to_owned(),
                what: Trouble::Absent,
                saw: "there is none of this name".to_owned(),
                hint: "'lockrig list benches' shows those that there are".to_owned(),
            }),
        }
    })
}

/// Trouble of an instrument, for a person.
pub fn broken(trouble: DeviceTrouble) -> Failure {
    Failure::broken(format!("{trouble}\nhint: {}", trouble.hint))
}

/// Brings a bench to rest after a command and says what it could not reach.
pub fn to_rest(bench: &mut Bench) -> Result<(), Failure> {
    let rest = bench.to_rest();
    match rest.failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::broken(format!(
            "going to rest: nobody knows the state of {}\nhint: look at the bench",
            rest.failed.join(", ")
        ))),
    }
}
