//! The person at a bench, who does and looks at what no instrument can.

use std::time::Duration;

use crate::event::Nanos;

/// Somebody who can be asked.
///
/// # Contract
/// One question at a time: after `ask`, `answer` is called until it gives one. It gives [`Answer::None`] once
/// `within` has passed, by the person's own clock: on a virtual bench no time passes while somebody thinks.
pub trait Operator: Send {
    /// Puts a question.
    fn ask(&mut self, question: &str, within: Nanos);

    /// The answer, if it came; waits for it no longer than `patience`.
    fn answer(&mut self, patience: Duration) -> Option<Answer>;

    /// What was asked so far, for `run.json`; it is forgotten then.
    fn take_log(&mut self) -> Vec<Asked>;
}

/// What a person answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is done, or it is so.
    Yes,
    /// It cannot be done, or it is not so.
    No,
    /// Nobody answered in time.
    None,
}

impl Answer {
    /// The answer that traces write so; whatever else is none.
    pub fn of(word: &str) -> Answer {
        let known = [Answer::Yes, Answer::No].into_iter();
        let mut known = known.filter(|answer| answer.word() == word);
        known.next().unwrap_or(Answer::None)
    }

    /// As traces write it.
    pub fn word(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::None => "no answer",
        }
    }
}

/// A question that was put.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Asked {
    /// The question.
    pub question: String,
    /// The answer.
    pub answer: &'static str,
    /// Who was asked.
    pub who: String,
    /// When the answer came, by the clock on the wall.
    pub at: String,
}
