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
    /// A power cycle makes a lockout longer, by one more of its own length.
    grows: bool,
    /// A key that is pressed during a lockout makes it start over.
    starts_over: bool,
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
            grows: false,
            starts_over: false,
            stopped: false,
            doubtful: false,
        }
    }

    /// Whether a power cycle makes a lockout longer, by one more of its own length.
    pub fn growing(self, grows: bool) -> Penalty {
        Penalty { grows, ..self }
    }

    /// Whether a key that is pressed during a lockout makes it start over.
    pub fn starting_over(self, starts_over: bool) -> Penalty {
        Penalty {
            starts_over,
            ..self
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

    /// A code opened the lock, or a reset erased what was counted.
    pub fn forgiven(&mut self) {
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
            let grown = if self.grows { self.lasts } else { Nanos::ZERO };
            self.until = Some(at + self.lasts + grown);
        }
    }

    /// A key was pressed.
    pub fn key_pressed(&mut self, at: Nanos) {
        if self.starts_over && self.runs(at) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Nanos = Nanos::from_secs(60);
    const LONG: Nanos = Nanos::from_secs(300);

    fn secs(secs: u64) -> Nanos {
        Nanos::from_secs(secs)
    }

    /// Three wrong codes for a minute, then one for five.
    fn penalty(counted_within: Option<Nanos>) -> Penalty {
        let stage = |wrong, lasts| Stage { wrong, lasts };
        Penalty::new(vec![stage(3, SHORT), stage(1, LONG)], counted_within)
    }

    #[test]
    fn the_third_wrong_code_begins_a_lockout_that_ends_on_time() {
        let mut penalty = penalty(None);
        assert_eq!(penalty.left(), 3);
        assert!(!penalty.wrong(secs(1)));
        assert!(!penalty.wrong(secs(2)));
        assert_eq!((penalty.left(), penalty.over()), (1, None));
        assert!(penalty.wrong(secs(3)));
        assert_eq!(penalty.over(), Some(secs(63)));
        assert!(penalty.runs(Nanos(secs(63).0 - 1)));
        assert!(!penalty.runs(secs(63)));
    }

    #[test]
    fn a_wrong_code_in_a_lockout_does_not_count() {
        let mut penalty = penalty(None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        assert_eq!(penalty.left(), 1);
        assert!(!penalty.wrong(secs(4)));
        assert_eq!(penalty.over(), Some(secs(63)));
    }

    #[test]
    fn the_last_stage_comes_again_and_again() {
        let mut penalty = penalty(None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        assert!(penalty.wrong(secs(100)));
        assert_eq!(penalty.over(), Some(secs(400)));
        assert!(penalty.wrong(secs(400)));
        assert_eq!(penalty.over(), Some(secs(700)));
    }

    #[test]
    fn a_success_begins_anew() {
        let mut penalty = penalty(None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        penalty.forgiven();
        assert_eq!((penalty.left(), penalty.over()), (3, None));
        assert!(!penalty.wrong(secs(100)));
        penalty.forgiven();
        assert_eq!(penalty.left(), 3);
    }

    #[test]
    fn a_wrong_code_fades_exactly_when_its_window_is_over() {
        let mut penalty = penalty(Some(SHORT));
        penalty.wrong(secs(0));
        penalty.wrong(secs(30));
        assert!(!penalty.wrong(secs(60)));
        assert!(penalty.wrong(Nanos(secs(90).0 - 1)));
    }

    #[test]
    fn a_lock_without_lockout_never_locks_out() {
        let mut penalty = Penalty::new(Vec::new(), None);
        assert_eq!(penalty.left(), 0);
        assert!(!(1..=9).any(|at| penalty.wrong(secs(at))));
        assert_eq!(penalty.over(), None);
    }

    #[test]
    fn the_clock_of_a_lockout_may_stand_still_without_power() {
        let mut penalty = penalty(None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        penalty.power_lost(secs(10));
        penalty.power_came(secs(50), false);
        assert_eq!(penalty.over(), Some(secs(110)));
        // It is told once.
        penalty.power_came(secs(60), false);
        assert_eq!(penalty.over(), Some(secs(110)));
    }

    #[test]
    fn a_power_cycle_without_lockout_begins_none() {
        let mut penalty = penalty(None);
        penalty.wrong(secs(1));
        penalty.power_lost(secs(2));
        penalty.power_came(secs(3), false);
        assert_eq!((penalty.left(), penalty.over()), (2, None));
    }

    #[test]
    fn a_lockout_that_was_over_before_the_power_went_does_not_come_back() {
        let mut penalty = penalty(None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        penalty.power_lost(secs(63));
        penalty.power_came(secs(70), false);
        assert_eq!(penalty.over(), Some(secs(63)));
    }

    #[test]
    fn after_a_cut_every_wrong_code_may_be_one_too_many_until_a_success() {
        let mut penalty = penalty(None);
        penalty.power_came(secs(10), true);
        assert_eq!(penalty.over(), Some(secs(310)), "the longest may run");
        assert!(penalty.wrong(secs(310)));
        assert_eq!(penalty.over(), Some(secs(610)));
        penalty.forgiven();
        assert!(!penalty.wrong(secs(700)));
    }

    #[test]
    fn a_lockout_that_grows_is_longer_by_itself_after_each_power_cycle() {
        let stage = |wrong, lasts| Stage { wrong, lasts };
        let mut penalty = Penalty::new(vec![stage(1, SHORT)], None).growing(true);
        penalty.wrong(secs(0));
        penalty.power_lost(secs(10));
        penalty.power_came(secs(20), false);
        assert_eq!(penalty.over(), Some(secs(140)));
    }

    #[test]
    fn a_key_makes_a_running_lockout_start_over_and_no_other() {
        let mut penalty = penalty(None).starting_over(true);
        penalty.key_pressed(secs(1));
        assert_eq!(penalty.over(), None);
        (1..=3).for_each(|at| _ = penalty.wrong(secs(at)));
        penalty.key_pressed(secs(62));
        assert_eq!(penalty.over(), Some(secs(122)));
        penalty.key_pressed(secs(122));
        assert_eq!(penalty.over(), Some(secs(122)));
        let mut other = self::penalty(None);
        (1..=3).for_each(|at| _ = other.wrong(secs(at)));
        other.key_pressed(secs(62));
        assert_eq!(other.over(), Some(secs(63)));
    }
}
