//! Running cargo so that the same sources and toolchain give the same bytes in any folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fmt, fs, io, thread};

use crate::manifest::Toolchain;
use crate::{Image, Project};

/// What the images are built for.
pub const TARGET: &str = "thumbv6m-none-eabi";

/// Which tools build, where they are not rustup's.
#[derive(Clone, Default, Debug)]
pub struct Tools {
    /// `cargo` unless given.
    pub cargo: Option<PathBuf>,
    /// cargo's own choice unless given.
    pub rustc: Option<PathBuf>,
    /// A linker of LLVM's kind, where the toolchain brings none.
    pub linker: Option<PathBuf>,
    /// Build `core` from the toolchain's sources, where there is no compiled one for the target.
    pub build_std: bool,
}

/// Why there is no image.
#[derive(Debug)]
pub enum BuildError {
    /// A program could not be run.
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program ran and failed; what it said is on the terminal.
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was to do.
        doing: String,
    },
    /// rustc said something else than usual.
    Version(String),
    /// The image could not be read.
    Read {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Run { program, source } => {
                write!(out, "cannot run \"{}\": {source}", program.display())
            }
            BuildError::Failed { program, doing } => write!(
                out,
                "\"{}\" failed while {doing}; hint: 'rustup target add {TARGET}', or '--build-std' with a \
                 toolchain that has the sources of core",
                program.display()
            ),
            BuildError::Version(said) => write!(out, "no version in what rustc says: {said:?}"),
            BuildError::Read { path, source } => {
                write!(out, "cannot read \"{}\": {source}", path.display())
            }
        }
    }
}

impl std::error::Error for BuildError {}

impl Tools {
    /// The toolchain that [`Tools::build`] uses.
    pub fn toolchain(&self, project: &Project) -> Result<Toolchain, BuildError> {
        let said = self.rustc(project, &["-vV"])?;
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
                .ok_or_else(|| BuildError::Version(said.clone()))
        };
        Ok(Toolchain {
            release: field("release:")?,
            commit: field("commit-hash:")?,
            llvm: field("LLVM version:")?,
            builds_core: self.build_std,
        })
    }

    /// Whether there is a `core` for the target, compiled or to be built.
    pub fn has_core(&self, project: &Project) -> Result<bool, BuildError> {
        let folder = self.rustc(project, &["--print", "target-libdir", "--target", TARGET])?;
        Ok(self.build_std || Path::new(folder.trim()).is_dir())
    }

    /// Builds images, as many at once as there are cores; gives each file's bytes, in the same order.
    pub fn build(&self, project: &Project, images: &[Image]) -> Result<Vec<Vec<u8>>, BuildError> {
        let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
        let lanes = images.chunks(images.len().div_ceil(cores).max(1));
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..)
                .zip(lanes)
                .map(|(lane, images)| {
                    scope.spawn(move || {
                        let built = images.iter().map(|image| self.one(project, image, lane));
                        built.collect::<Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut all = Vec::new();
            for lane in lanes {
                let built = lane.join();
                all.extend(built.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(all)
        })
    }

    /// Builds an image in a folder of the lane's own.
    fn one(&self, project: &Project, image: &Image, lane: usize) -> Result<Vec<u8>, BuildError> {
        let folder = project.root().join(format!("target/firmware/{lane}"));
        let profile = if image.is_museum_piece {
            "museum"
        } else {
            "release"
        };
        let mut command = Command::new(self.cargo());
        command
            .current_dir(project.firmware())
            .args(["build", "--package", "reference", "--locked"])
            .args(["--profile", profile])
            .args(["--target", TARGET, "--features", &image.features.join(",")])
            .arg("--target-dir")
            .arg(&folder)
            .env(
                "CARGO_ENCODED_RUSTFLAGS",
                self.flags(project, image)?.join("\u{1f}"),
            )
            // Where an image logs, it logs all.
            .env("DEFMT_LOG", "debug")
            // The caller's own wishes for its host must not reach the image.
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_BUILD_RUSTFLAGS")
            .env_remove("CARGO_INCREMENTAL")
            .env_remove("CARGO_TARGET_DIR");
        // Profiles can be changed from outside as well.
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
                command.env_remove(name);
            }
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if self.build_std {
            command.arg("-Zbuild-std=core").env("RUSTC_BOOTSTRAP", "1");
        }
        let status = command.status().map_err(|source| BuildError::Run {
            program: self.cargo(),
            source,
        })?;
        if !status.success() {
            return Err(BuildError::Failed {
                program: self.cargo(),
                doing: format!("building \"{}\"", image.name),
            });
        }
        let path = folder.join(TARGET).join(profile).join("reference");
        fs::read(&path).map_err(|source| BuildError::Read { path, source })
    }

    /// The compiler's flags: the linker's script, and no path of this machine in the image.
    fn flags(&self, project: &Project, image: &Image) -> Result<Vec<String>, BuildError> {
        let log = image.features.iter().any(|feature| feature == "log");
        let mut flags: Vec<String> = ["-Tlink.x", "--nmagic", "--compress-debug-sections=zlib"]
            .iter()
            .chain(log.then_some(&"-Tdefmt.x"))
            .map(|argument| format!("-Clink-arg={argument}"))
            .collect();
        let mut remap = |from: &Path, to: &str| {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        };
        let sysroot = PathBuf::from(self.rustc(project, &["--print", "sysroot"])?.trim());
        let core = sysroot.join("lib/rustlib/src/rust");
        // The sources may be linked to from there, and either name may be used. Later flags win.
        remap(&core, "/rust-src");
        if let Ok(core) = core.canonicalize() {
            remap(&core, "/rust-src");
        }
        for registry in registries() {
            remap(&registry, "/crates");
        }
        remap(project.root(), "/lockrig");
        if let Ok(root) = project.root().canonicalize() {
            remap(&root, "/lockrig");
        }
        if let Some(linker) = &self.linker {
            flags.push(format!("-Clinker={}", linker.display()));
            flags.push("-Clinker-flavor=ld.lld".to_owned());
        }
        Ok(flags)
    }

    fn rustc(&self, project: &Project, arguments: &[&str]) -> Result<String, BuildError> {
        let program = self.rustc.clone().unwrap_or_else(|| "rustc".into());
        let output = Command::new(&program)
            .current_dir(project.firmware())
            .args(arguments)
            .output()
            .map_err(|source| BuildError::Run {
                program: program.clone(),
                source,
            })?;
        if !output.status.success() {
            return Err(BuildError::Failed {
                program,
                doing: format!("asked {arguments:?}"),
            });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn cargo(&self) -> PathBuf {
        self.cargo.clone().unwrap_or_else(|| "cargo".into())
    }
}

/// The folders below which cargo keeps the sources of crates, one for each registry: the registry's name
/// differs between machines that reach it in different ways.
fn registries() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    let Some(sources) = home.map(|home| home.join("registry/src")) else {
        return Vec::new();
    };
    let entries = fs::read_dir(sources).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
