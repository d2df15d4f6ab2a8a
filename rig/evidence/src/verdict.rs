//! The outcome of a run, and the exit code of several.
//!
//! A bench fault never reads as a failing board, an incomplete run never reads as a pass.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything expected was seen; every oracle with evidence held.
    Pass,
    /// Unsafe, and the profile lists it as a known weakness of the product.
    KnownFinding,
    /// Something it needs is absent.
    Skipped,
    /// The board broke its profile.
    Fail,
    /// Unsafe, and nobody listed it.
    Finding,
    /// A file or an argument is wrong.
    Usage,
    /// The bench is at fault.
    Broken,
    /// A measurement straddles its limit.
    Inconclusive,
    /// Stopped by a person or a signal.
    Aborted,
    /// A panic of ours.
    Bug,
}

impl Verdict {
    /// The exit code of a command with this one outcome.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Pass | Verdict::KnownFinding | Verdict::Skipped => 0,
            Verdict::Fail | Verdict::Finding => 1,
            Verdict::Usage => 2,
            Verdict::Broken => 3,
            Verdict::Inconclusive => 4,
            Verdict::Bug => 101,
            Verdict::Aborted => 130,
        }
    }
}

/// The word that reports print.
impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Verdict::Pass => "pass",
            Verdict::KnownFinding => "known finding",
            Verdict::Skipped => "skipped",
            Verdict::Fail => "fail",
            Verdict::Finding => "finding",
            Verdict::Usage => "usage",
            Verdict::Broken => "broken",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Aborted => "aborted",
            Verdict::Bug => "bug",
        })
    }
}

/// The exit code of a campaign: the gravest of its runs, in the order 101, 130, 3, 1, 4, 0; and 2
/// where nothing at all ran.
pub fn exit_code(verdicts: impl IntoIterator<Item = Verdict>) -> u8 {
    const GRAVEST_FIRST: [u8; 7] = [101, 130, 3, 1, 4, 2, 0];
    let mut codes = verdicts
        .into_iter()
        .filter(|verdict| *verdict != Verdict::Skipped)
        .map(Verdict::exit_code)
        .peekable();
    if codes.peek().is_none() {
        return Verdict::Usage.exit_code();
    }
    let seen: Vec<u8> = codes.collect();
    GRAVEST_FIRST
        .into_iter()
        .find(|code| seen.contains(code))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Verdict::*;
    use super::*;
    use rstest::rstest;

    /// The words are those of the trace, the numbers those that scripts rely on.
    #[rstest]
    #[case(Pass, 0, "pass")]
    #[case(KnownFinding, 0, "known finding")]
    #[case(Skipped, 0, "skipped")]
    #[case(Fail, 1, "fail")]
    #[case(Finding, 1, "finding")]
    #[case(Usage, 2, "usage")]
    #[case(Broken, 3, "broken")]
    #[case(Inconclusive, 4, "inconclusive")]
    #[case(Aborted, 130, "aborted")]
    #[case(Bug, 101, "bug")]
    fn each_verdict_has_a_word_and_an_exit_code(
        #[case] verdict: Verdict,
        #[case] code: u8,
        #[case] word: &str,
    ) {
        assert_eq!(verdict.exit_code(), code);
        assert_eq!(verdict.to_string(), word);
        assert_eq!(format!("{verdict:>15}"), format!("{word:>15}"));
        let kebab = serde_json::to_value(verdict).expect("a verdict is a word");
        assert_eq!(kebab, word.replace(' ', "-"));
    }

    #[rstest]
    #[case(&[], 2)]
    #[case(&[Skipped, Skipped], 2)]
    #[case(&[Skipped, Pass], 0)]
    #[case(&[Pass, KnownFinding], 0)]
    #[case(&[Pass, Inconclusive], 4)]
    #[case(&[Inconclusive, Fail], 1)]
    #[case(&[Inconclusive, Finding], 1)]
    #[case(&[Fail, Broken], 3)]
    #[case(&[Broken, Aborted], 130)]
    #[case(&[Aborted, Bug, Pass], 101)]
    #[case(&[Usage, Pass], 2)]
    fn the_gravest_run_decides_the_exit_code(#[case] verdicts: &[Verdict], #[case] code: u8) {
        assert_eq!(exit_code(verdicts.iter().copied()), code);
    }
}
