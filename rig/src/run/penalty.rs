//! The lockout as the manual describes it: how many wrong codes are left, and when it is over.

use crate::event::Nanos;

/// One stage: after so many wrong codes, so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage {
    /// Wrong codes in this stage.
    pub wrong: u32,
    /// How long the lock then refuses everything.
    pub lasts: Nanos,
}

/// The rig's reckoning of the lockout. What the lock really does is what the run is to find out.
#[derive(Clone, Debug)]
pub struct Penalty {
    stages: Vec<Stage>,
    counted_within: Option<Nanos>,
    stage: usize,
    /// Moments of the wrong codes that count.
    wrong: Vec<Nanos>,
    until: Option<Nanos>,
    /// How long the lockout that runs, or ran last, takes.
    lasts: Nanos,
    /// The supply went while a lockout was running: its clock may have stood still since.
    stopped: bool,
    /// A cut may have lost or doubled a count: the next wrong code may be one too many.
    doubtful: bool,
}

impl Penalty {
    /// A lock without a wrong code. No stage means no lockout.
    pub fn new(stages: Vec<Stage>, counted_within: Option<Nanos>) -> Penalty {
        Penalty {
            stages,
            counted_within,
            stage: 0,
            wrong: Vec::new(),
            until: None,
            lasts: Nanos::ZERO,
            stopped: false,
            doubtful: false,
        }
    }

    /// Wrong codes until the next lockout, if nothing goes by meanwhile.
    pub fn left(&self) -> u32 {
        let stage = self.stages.get(self.stage).map_or(0, |stage| stage.wrong);
        stage.saturating_sub(u32::try_from(self.wrong.len()).unwrap_or(u32::MAX))
    }

    /// A wrong code was entered; returns whether it begins a lockout.
    pub fn wrong(&mut self, at: Nanos) -> bool {
        if self.runs(at) {
            return false;
        }
        if let Some(window) = self.counted_within {
            self.wrong.retain(|then| at.since(*then) < window);
        }
        self.wrong.push(at);
        let Some(stage) = self.stages.get(self.stage) else {
            return false;
        };
        let begins = self.left() == 0 || self.doubtful;
        if begins {
            let lasts = if self.doubtful {
                self.longest()
            } else {
                stage.lasts
            };
            self.lasts = lasts;
            self.until = Some(at + lasts);
            self.wrong.clear();
            self.stage = (self.stage + 1).min(self.stages.len() - 1);
        }
        begins
    }

    /// A code opened the lock.
    pub fn success(&mut self) {
        (self.stage, self.doubtful, self.until) = (0, false, None);
        self.wrong.clear();
    }

    /// The supply went.
    pub fn power_lost(&mut self, at: Nanos) {
        self.stopped |= self.runs(at);
    }

    /// The supply came back: a lockout that was running may go on with what was left, or begin anew.
    /// After a cut in the middle of something, a count may also be one higher than known.
    pub fn power_came(&mut self, at: Nanos, mid_change: bool) {
        if mid_change {
            self.doubtful = true;
            self.lasts = self.longest();
        }
        if std::mem::take(&mut self.stopped) || mid_change {
            self.until = Some(at + self.lasts);
        }
    }

    fn longest(&self) -> Nanos {
        self.stages
            .iter()
            .map(|stage| stage.lasts)
            .max()
            .unwrap_or_default()
    }

    /// Whether a lockout is running.
    pub fn runs(&self, at: Nanos) -> bool {
        self.until.is_some_and(|until| at < until)
    }

    /// When the lockout is certainly over.
    pub fn over(&self) -> Option<Nanos> {
        self.until
    }
}
