//! One bench, opened for a command that works on a single board.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::Failure;
use super::files::{Library, Loaded, Selection};
use crate::bench::{Bench, BenchFile, Rest};
use crate::campaign::{self, Group, Opener, Prepared};
use crate::driver::{DeviceTrouble, Trouble};
use crate::guard::lock::Holder;
use crate::guard::{Guarded, Post};
use crate::image::{ChipMap, Image};
use crate::port::sim::{Handle, SimPorts};
use crate::port::{self, Interrupt, Ports};
use crate::profile::{Product, Profile};
use crate::project::Project;
use crate::report::terminal::of_power_cycle;
use crate::serve::Standing;
use crate::source::Source;

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
        self.prepare_on(&library, &bench, image)
    }

    /// Connects this bench, with `image` flashed onto its board.
    pub fn prepare_on(
        &self,
        library: &Library,
        bench: &BenchFile,
        image: Option<&str>,
    ) -> Result<(Group, Prepared), Failure> {
        let profile = library
            .profiles
            .iter()
            .map(|loaded| &loaded.value)
            .find(|profile| fits(bench, profile))
            .ok_or_else(|| no_profile(bench))?;
        let group = group(&library.project, bench, profile, None, image)?;
        let open = opener(None, "a command by hand");
        let mut prepared =
            campaign::prepare(&group, &open, self.seed, Interrupt::default()).map_err(broken)?;
        if let Some(because) = prepared.bench.take_power_cycle() {
            anstream::eprintln!("{}", of_power_cycle("this command", &because));
        }
        Ok((group, prepared))
    }

    /// A virtual bench with `image` flashed onto its board, and the bench itself in hand.
    pub fn flashed(&self, image: Option<&str>) -> Result<Virtual, Failure> {
        let (library, bench) = self.read()?;
        let profile = library
            .profiles
            .iter()
            .map(|loaded| &loaded.value)
            .find(|profile| fits(&bench.value, profile))
            .ok_or_else(|| no_profile(&bench.value))?;
        let group = group(&library.project, &bench.value, profile, None, image)?;
        Virtual::prepare(&group, self.seed, bench.text)
    }

    /// A virtual bench as it is delivered, and the bench itself in hand.
    pub fn erased(&self) -> Result<Virtual, Failure> {
        let (_, bench) = self.read()?;
        let (ports, handle) = virtual_ports(&bench.value, self.seed)?;
        let connected = Bench::connect(bench.value.clone(), ports).map_err(broken)?;
        Ok(Virtual {
            bench: connected,
            image: None,
            handle,
            file: bench.value,
            text: bench.text,
            seed: self.seed,
        })
    }

    /// Reads the bench file.
    pub fn load(&self) -> Result<(Library, BenchFile), Failure> {
        let (library, bench) = self.read()?;
        Ok((library, bench.value))
    }

    /// Reads the bench file, and keeps what it was read from.
    pub fn read(&self) -> Result<(Library, Loaded<BenchFile>), Failure> {
        let selection = Selection {
            paths: Vec::new(),
            bench: vec![self.bench.clone()],
            profile: self.profile.iter().cloned().collect(),
            real_benches: false,
        };
        let mut library = Library::load(&selection)?;
        let bench = library.benches.remove(0);
        Ok((library, bench))
    }
}

/// A virtual bench that a command holds in its hands.
pub struct Virtual {
    /// The bench, at rest.
    pub bench: Bench,
    /// The file that was flashed, where it is a file.
    pub image: Option<PathBuf>,
    /// What stands below its ports, where that is a board.
    pub handle: Option<Handle>,
    /// Its file.
    pub file: BenchFile,
    /// Its file's text.
    pub text: String,
    seed: u64,
}

impl Virtual {
    /// The bench as it stands, to be served. One without a chip is served as it is delivered: nothing
    /// was flashed.
    pub fn standing(&self) -> Standing {
        match &self.handle {
            Some(handle) => Standing::Board(Box::new(handle.fork())),
            None => {
                let name = self.file.emulates.as_deref().unwrap_or_default();
                Standing::cylinder(name, self.seed).expect("its ports were opened")
            }
        }
    }

    /// Connects a virtual bench and flashes its board; `text` is its file's.
    pub fn prepare(group: &Group, seed: u64, text: String) -> Result<Virtual, Failure> {
        let (ports, handle) = virtual_ports(&group.bench, seed)?;
        let opened = campaign::opened(ports);
        let prepared =
            campaign::prepare(group, &opened, seed, Interrupt::default()).map_err(broken)?;
        Ok(Virtual {
            bench: prepared.bench,
            image: image_file(group),
            handle,
            file: group.bench.clone(),
            text,
            seed,
        })
    }
}

/// Where a group's image lies, if it is not inside the program.
fn image_file(group: &Group) -> Option<PathBuf> {
    let name = group.image.as_ref()?.name();
    let path = Path::new(name);
    path.is_file().then(|| path.to_owned())
}

fn virtual_ports(
    bench: &BenchFile,
    seed: u64,
) -> Result<(Box<dyn Ports>, Option<Handle>), Failure> {
    let ports = bench
        .emulates
        .as_deref()
        .and_then(|name| SimPorts::new(name, seed, Interrupt::default()));
    let Some(ports) = ports else {
        return Err(Failure::hinted(
            format!(
                "the bench '{}' is real: this needs a virtual one",
                bench.name
            ),
            Some("'lockrig list benches' shows which are virtual".to_owned()),
        ));
    };
    let handle = ports.handle();
    Ok((Box::new(ports), handle))
}

fn no_profile(bench: &BenchFile) -> Failure {
    Failure::usage(format!("no profile fits the bench '{}'", bench.name))
}

/// Whether a product's board is what stands on a bench.
pub fn fits(bench: &BenchFile, profile: &Product) -> bool {
    let handled = profile.lock().is_some() || bench.stage.is_some();
    handled && bench.lock.is_none_or(|lock| lock.word() == profile.kind())
}

/// The shipped virtual bench with a product's board.
pub fn virtual_for(product: &Product) -> Result<Option<BenchFile>, Failure> {
    let shipped = Project::Shipped.benches().map_err(Failure::usage)?;
    let mut benches = shipped.iter().filter_map(|file| {
        let source = Source::new(file.name.as_str(), file.text().ok()?);
        BenchFile::read(&source).ok()
    });
    Ok(benches.find(|bench| bench.emulates.is_some() && fits(bench, product)))
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
        rehearses_on: None,
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

/// Opens `sim:` ports on a virtual bench, all others on this machine. A real bench is locked, for `reason`, and
/// has a guard, which says in the folder of the report what it had to do.
pub fn opener(report: Option<&Path>, reason: &str) -> Opener {
    // Not the path of the program: another may lie there by now.
    let this = match cfg!(target_os = "linux") {
        true => Ok(PathBuf::from("/proc/self/exe")),
        false => std::env::current_exe(),
    };
    open_with(
        Post {
            locks: locks(),
            guard: this.ok(),
            report: report.map(Path::to_owned),
        },
        reason,
    )
}

/// The same for a process that is not `lockrig`, and cannot start itself as a guard.
pub fn opener_without_guard(reason: &str) -> Opener {
    open_with(
        Post {
            locks: locks(),
            guard: None,
            report: None,
        },
        reason,
    )
}

fn open_with(post: Post, reason: &str) -> Opener {
    let reason = reason.to_owned();
    Arc::new(move |bench: &BenchFile, seed: u64, interrupt: Interrupt| {
        let Some(name) = &bench.emulates else {
            let ports = Guarded::take(bench, holder(&reason), &post, interrupt)?;
            return Ok(Box::new(ports) as Box<dyn Ports>);
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

/// The folder of the locks: the one that LOCKRIG_LOCKS names, else where this system keeps locks for all users,
/// else one of this user's.
fn locks() -> PathBuf {
    let named = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = named("LOCKRIG_LOCKS") {
        return PathBuf::from(named);
    }
    let shared = Path::new("/run/lock");
    if cfg!(target_os = "linux") && shared.is_dir() {
        return shared.to_owned();
    }
    let runtime = named("XDG_RUNTIME_DIR").map(PathBuf::from);
    runtime.unwrap_or_else(std::env::temp_dir)
}

/// Whose process this is, where the environment does not say.
fn owner() -> String {
    #[cfg(unix)]
    if let Ok(this) = std::fs::metadata("/proc/self") {
        return format!("user {}", std::os::unix::fs::MetadataExt::uid(&this));
    }
    "somebody".to_owned()
}

/// This process, as others are told of it.
fn holder(reason: &str) -> Holder {
    let names = ["USER", "LOGNAME", "USERNAME"].into_iter();
    let mut names = names.filter_map(|name| std::env::var(name).ok());
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|one| one.to_string_lossy().into_owned());
    let command = ["lockrig".to_owned()].into_iter().chain(arguments);
    Holder {
        pid: std::process::id(),
        command: command.collect::<Vec<_>>().join(" "),
        user: names.find(|name| !name.is_empty()).unwrap_or_else(owner),
        reason: reason.to_owned(),
        since: jiff::Timestamp::now()
            .strftime("%Y-%m-%d %H:%M:%S UTC")
            .to_string(),
    }
}

/// Trouble of an instrument, for a person.
pub fn broken(trouble: DeviceTrouble) -> Failure {
    Failure::broken(format!("{trouble}\nhint: {}", trouble.hint))
}

/// Brings a bench to rest after a command and says what it could not reach.
pub fn to_rest(bench: &mut Bench) -> Result<(), Failure> {
    all_at_rest(&bench.to_rest())
}

/// Says which outputs nobody knows of.
pub fn all_at_rest(rest: &Rest) -> Result<(), Failure> {
    match rest.unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::broken(format!(
            "going to rest: nobody knows the state of {}\nhint: look at the bench",
            rest.unknown.join(", ")
        ))),
    }
}
