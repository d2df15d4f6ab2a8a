//! The lock of a bench: one holder for each of its instruments, on this computer.
//!
//! Every holder has a file of its own in one folder and keeps it locked for as long as it has the bench;
//! beside it lies a record of who that is. The system unlocks the file when nobody holds it any more,
//! however that came about, so a file that is left behind blocks nobody. Two benches are in each other's way
//! when they name one instrument, whatever their files are called.
//!
//! A lock on the folder's own file is held while its files are looked through: some milliseconds.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bench::BenchFile;
use crate::port::real_pins;

/// The folder's own file.
const FOLDER_FILE: &str = "lockrig.lock";

/// Who has a bench, and what for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Whose process it is.
    pub user: String,
    /// What it does with the bench.
    pub reason: String,
    /// Since when, as a date with time.
    pub since: String,
}

/// As messages call it.
impl std::fmt::Display for Holder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Holder {
            pid,
            command,
            user,
            reason,
            since,
        } = self;
        write!(
            out,
            "process {pid} of {user} since {since}, for {reason}: {command}"
        )
    }
}

/// What lies beside a lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Record {
    bench: String,
    holder: Holder,
    /// The instruments, by what tells them apart; each with what messages call it.
    instruments: BTreeMap<String, String>,
}

/// A bench that is held.
#[derive(Debug)]
pub struct Lock {
    file: File,
    places: Places,
}

/// Where the files of a holder are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Places {
    lock: PathBuf,
    record: PathBuf,
}

/// Why a bench cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Taken {
    /// Somebody has it, or an instrument of it.
    #[error("{what} is held by {holder}")]
    Held {
        /// What is held, from the bench's point of view.
        what: String,
        /// By whom; of one whose record cannot be read that much is said.
        holder: String,
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// The folder does not do.
    #[error("{doing} '{}': {why}", at.display())]
    Unusable {
        /// What was being done.
        doing: &'static str,
        /// To this.
        at: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

impl Lock {
    /// Takes a bench.
    ///
    /// # Errors
    /// Somebody has it, or the folder cannot be used. Nothing was touched.
    pub fn take(folder: &Path, bench: &BenchFile, holder: Holder) -> Result<Lock, Taken> {
        let folder_file = folder.join(FOLDER_FILE);
        let only = open_or_make(folder, &folder_file)
            .map_err(unusable("opening the lock file", &folder_file))?;
        only.lock()
            .map_err(unusable("locking the file", &folder_file))?;
        let record = Record {
            bench: bench.name.clone(),
            instruments: instruments(bench),
            holder,
        };
        let entries = fs::read_dir(folder).map_err(unusable("reading the folder", folder))?;
        let mut records: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_record(path))
            .collect();
        records.sort();
        for path in records {
            record.is_free_beside(&path)?;
        }
        let lock = record.write(folder)?;
        drop(only);
        Ok(lock)
    }

    /// The locked file, for a process that is to hold it too.
    ///
    /// # Errors
    /// No file can be opened any more.
    pub fn share(&self) -> io::Result<(File, Places)> {
        Ok((self.file.try_clone()?, self.places.clone()))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.places.clear();
    }
}

impl Places {
    /// Takes the lock in this process, where a lock belongs to one process and the other has ended; where it is
    /// shared, it is held already.
    pub fn take_over(&self) -> Option<File> {
        let file = File::open(&self.lock).ok()?;
        file.try_lock().ok().map(|()| file)
    }

    /// Removes the files. Whoever looks at them just now finds them unlocked in a moment.
    pub fn clear(&self) {
        // They may be gone already: whoever finds them unlocked removes them.
        let _ = fs::remove_file(&self.record);
        let _ = fs::remove_file(&self.lock);
    }
}

impl Record {
    /// Whether the bench can be had beside the holder whose record is there. What is left of one that is
    /// gone is removed.
    fn is_free_beside(&self, path: &Path) -> Result<(), Taken> {
        let places = Places {
            lock: path.with_extension("lock"),
            record: path.to_owned(),
        };
        match File::open(&places.lock).map(|file| file.try_lock()) {
            Ok(Err(TryLockError::WouldBlock)) => {}
            Ok(Err(TryLockError::Error(why))) => {
                return Err(unusable("locking the file", &places.lock)(why));
            }
            Ok(Ok(())) => {
                places.clear();
                return Ok(());
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                places.clear();
                return Ok(());
            }
            Err(why) => return Err(unusable("opening the lock file", &places.lock)(why)),
        }
        let text = fs::read(path).map_err(unusable("reading the record", path))?;
        let Ok(other) = serde_json::from_slice::<Record>(&text) else {
            return Err(Taken::Held {
                what: "it or another bench".to_owned(),
                holder: format!("a process whose record '{}' makes no sense", path.display()),
                pid: None,
            });
        };
        let mut shared = self.instruments.keys();
        let Some(shared) = shared.find_map(|one| other.instruments.get(one)) else {
            return Ok(());
        };
        Err(Taken::Held {
            what: match other.bench == self.bench {
                true => "it".to_owned(),
                false => format!("its {shared}, part of the bench '{}' too,", other.bench),
            },
            holder: other.holder.to_string(),
            pid: Some(other.holder.pid),
        })
    }

    /// Makes the files of this holder.
    fn write(&self, folder: &Path) -> Result<Lock, Taken> {
        for number in 1.. {
            let name = format!("lockrig-{}-{}-{number}", self.bench, self.holder.pid);
            let places = Places {
                lock: folder.join(format!("{name}.lock")),
                record: folder.join(format!("{name}.json")),
            };
            let file = match make(&places.lock) {
                Ok(file) => file,
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(why) => return Err(unusable("making the lock file", &places.lock)(why)),
            };
            let lock = Lock { file, places };
            let held = lock.file.try_lock();
            held.map_err(|why| unusable("locking the file", &lock.places.lock)(why.into()))?;
            let text = serde_json::to_string_pretty(self).expect("a record is text");
            make(&lock.places.record)
                .and_then(|mut file| io::Write::write_all(&mut file, text.as_bytes()))
                .map_err(unusable("writing the record", &lock.places.record))?;
            return Ok(lock);
        }
        unreachable!("there is always another number")
    }
}

/// What tells the instruments of a bench apart from all others, each with what messages call it.
fn instruments(bench: &BenchFile) -> BTreeMap<String, String> {
    let direct = bench.lines.iter().filter(|line| line.board.is_none());
    let pins = direct.map(|line| ("pins", line.at.as_str()));
    let pins = pins.filter(|(_, at)| real_pins::is_pins(at));
    let all = bench.instruments().into_iter().chain(pins);
    all.map(|(what, at)| (identity(at), format!("{what} on {at}")))
        .collect()
}

/// One word for all ways to name one port.
fn identity(address: &str) -> String {
    if let Some(host) = address.strip_prefix("tcp://") {
        let addresses = host.to_socket_addrs().into_iter().flatten();
        let first = addresses.map(|one| one.to_string()).min();
        return format!("tcp://{}", first.unwrap_or_else(|| host.to_lowercase()));
    }
    if real_pins::is_pins(address)
        && let Some(device) = real_pins::device(address)
    {
        return device.display().to_string();
    }
    match fs::canonicalize(address) {
        Ok(path) => path.display().to_string(),
        // What is not there, and what is no path: a probe, a port on Windows.
        Err(_) => address.to_uppercase(),
    }
}

fn is_record(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("lockrig-") && name.ends_with(".json")
}

fn unusable(doing: &'static str, at: &Path) -> impl FnOnce(io::Error) -> Taken {
    move |why| Taken::Unusable {
        doing,
        at: at.to_owned(),
        why,
    }
}

/// A file that everybody may read: other users need no more to see whether it is locked.
fn make(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    Ok(file)
}

/// Another user's file is opened, not written: systems refuse that in folders that all may write to.
fn open_or_make(folder: &Path, path: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    loop {
        match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match make(path) {
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
}
