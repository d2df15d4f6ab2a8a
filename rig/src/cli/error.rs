//! Errors on their way to a person: what was being done, what was seen, what to try, exit code.

use std::fmt::{self, Display};
use std::process::ExitCode;

use crate::source::Refused;
use crate::verdict::Verdict;

/// A command that could not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    verdict: Verdict,
    /// Already rendered, `error: ` and hints included.
    message: String,
}

/// As it is printed.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure {
    /// A wrong file or argument.
    pub fn usage(message: impl Display) -> Failure {
        Failure {
            verdict: Verdict::Usage,
            message: format!("error: {message}"),
        }
    }

    /// A wrong file or argument, and what to try.
    pub fn hinted(message: impl Display, hint: Option<String>) -> Failure {
        match hint {
            Some(hint) => Failure::usage(format!("{message}\nhint: {hint}")),
            None => Failure::usage(message),
        }
    }

    /// A bench that does not do what it should.
    pub fn broken(message: impl Display) -> Failure {
        Failure {
            verdict: Verdict::Broken,
            message: format!("error: {message}"),
        }
    }

    /// Files with mistakes, each shown at its place.
    pub fn refused(files: &[Refused]) -> Failure {
        let rendered: Vec<String> = files.iter().map(|file| file.render(true)).collect();
        Failure {
            verdict: Verdict::Usage,
            message: rendered.join("\n").trim_end().to_owned(),
        }
    }

    /// Prints it and gives the exit code.
    pub fn report(self) -> ExitCode {
        anstream::eprintln!("{}", self.message);
        ExitCode::from(self.verdict.exit_code())
    }
}
