//! The command line: one file for each verb.

mod bench;
pub(crate) mod board;
mod check;
mod console;
mod cuts;
mod doctor;
pub(crate) mod error;
mod faults;
pub(crate) mod files;
mod flash;
mod flows;
mod fuzz;
mod glitch;
mod guard;
mod init;
mod lacks;
mod layers;
mod list;
mod museum;
mod open;
mod operator;
mod press;
mod quantity;
mod replay;
mod report;
mod run;
mod script;
mod signals;
mod sim;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use error::Failure;

/// Test rig for electronic safes and smart locks.
///
/// Flashes firmware onto a lock board through a debug probe, presses its keys and buttons, drops
/// its supply, watches every line, and compares what it saw with what the product's manual promises.
/// Without a board it does all that on an emulated one.
#[derive(Parser, Debug)]
#[command(name = "lockrig", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

const AFTER_HELP: &str = "\
Where files come from:
  A folder with scenarios/ and boards/ in it is a project; lockrig reads the files there. Anywhere
  else it uses the virtual benches, products, scenarios and images that it carries along.
  'lockrig init' lays out a project of your own.

Exit codes:
  0    everything expected was seen
  1    the board broke its profile, or did something unsafe
  2    a file or an argument is wrong, or nothing at all ran
  3    the bench is broken
  4    a measurement straddles its limit
  130  stopped by Ctrl-C or a signal
  101  a bug in lockrig";

#[derive(Subcommand, Debug)]
enum Verb {
    /// Carry out scenarios and judge what was seen
    Run(run::Run),
    /// Lose the supply at every point of a flow, and find out which codes then open
    Cuts(cuts::Cuts),
    /// Let every instruction of a lock's decision go wrong, and see whether one opens it
    Glitch(glitch::GlitchCommand),
    /// Let instruments fail at every event of a run, and see that no verdict becomes wrong
    Faults(faults::Faults),
    /// Try on a board what nobody thought to write down
    Fuzz(fuzz::Fuzz),
    /// Do the same to model, host build, image and board, and compare what they say
    Layers(layers::LayersCommand),
    /// Turn an input of the fuzzers into a scenario, or a scenario into one
    Script(script::ScriptCommand),
    /// Look for what is wrong with firmware that is known to be bad
    Museum(museum::MuseumCommand),
    /// Read files and match them with each other and the benches; applies no power
    Check(check::Check),
    /// Examine a bench: walk each relay to its line, measure the supply, and keep a calibration record
    Doctor(doctor::DoctorCommand),
    /// What is attached to this machine, whether a bench answers, and how it is wired
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// List scenarios, profiles, benches and images
    List(list::List),
    /// Make a run's report anew from its events
    Report(report::Report),
    /// Show the newest report
    Open(open::Open),
    /// Write an image onto a bench's board and read it back
    Flash(flash::Flash),
    /// Press or hold one key or button and print what the board does
    #[command(visible_alias = "hold")]
    Press(press::Press),
    /// Feed the board by hand and print what it draws and does
    Supply(press::Supply),
    /// Open every contact of a bench and bring its supply to rest
    Release(press::Release),
    /// Show every line, contact and the supply live, and work the bench by hand
    Watch(watch::WatchCommand),
    /// Talk to the board's console
    ///
    /// Sends every line of standard input, and prints what the board says and does. A virtual bench's time
    /// stands still between the lines; a real one's passes, and what happens is printed as it happens.
    ///
    /// The console's port of a real bench may go away and come back, as an adapter does that is unplugged:
    /// that is said on standard error, the board stays powered, and the conversation goes on once the port
    /// is there again. A line typed meanwhile is sent then. What was under way when the port went, either
    /// way, and what the board says meanwhile is lost. Ctrl-C ends the wait and brings the bench to rest;
    /// where standard input ends before the port is back, the bench is broken.
    Console(console::Console),
    /// Carry out a recorded run again, and stop it where it failed
    Replay(replay::Replay),
    /// The virtual bench for other tools
    #[command(subcommand)]
    Sim(sim::Sim),
    /// Watch over a bench; lockrig starts this itself
    #[command(hide = true)]
    Guard,
    /// Print the JSON Schema of a kind of file, for editors
    Schema {
        /// Which kind of file
        kind: SchemaKind,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Lay out a project of your own: scenarios, profiles and benches to start from
    Init {
        /// A folder without scenarios/ and boards/; it is made if it is not there
        #[arg(default_value = ".")]
        folder: PathBuf,
    },
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum SchemaKind {
    /// scenarios/*.yaml
    Scenario,
    /// scenarios/profiles/*.yaml
    Profile,
    /// boards/*.toml
    Bench,
}

/// Runs the command of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.verb {
        Verb::Run(run) => run.execute(),
        Verb::Cuts(cuts) => cuts.execute(),
        Verb::Glitch(glitch) => glitch.execute(),
        Verb::Faults(faults) => faults.execute(),
        Verb::Fuzz(fuzz) => fuzz.execute(),
        Verb::Layers(layers) => layers.execute(),
        Verb::Script(script) => script.execute(),
        Verb::Museum(museum) => museum.execute(),
        Verb::Check(check) => check.execute(),
        Verb::Doctor(doctor) => doctor.execute(),
        Verb::Bench(bench) => bench.execute(),
        Verb::List(list) => list.execute(),
        Verb::Report(report) => report.execute(),
        Verb::Open(open) => open.execute(),
        Verb::Flash(flash) => flash.execute(),
        Verb::Press(press) => press.execute(),
        Verb::Supply(supply) => supply.execute(),
        Verb::Release(release) => release.execute(),
        Verb::Watch(watch) => watch.execute(),
        Verb::Console(console) => console.execute(),
        Verb::Replay(replay) => replay.execute(),
        Verb::Sim(sim) => sim.execute(),
        Verb::Guard => guard::execute(),
        Verb::Schema { kind } => print_schema(kind),
        Verb::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Arguments::command(),
                "lockrig",
                &mut std::io::stdout(),
            );
            Ok(0)
        }
        Verb::Init { folder } => init::execute(&folder),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(),
    }
}

fn print_schema(kind: SchemaKind) -> Result<u8, Failure> {
    let schema = match kind {
        SchemaKind::Scenario => crate::scenario::schema(),
        SchemaKind::Profile => crate::profile::schema(),
        SchemaKind::Bench => crate::bench::file::schema().to_value(),
    };
    files::print(&format!("{schema:#}\n"))
}
