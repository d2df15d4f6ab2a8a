//! What a GRBL 1.1 controller says: axes, status reports, places, alarms and errors.
//!
//! After the controller's own documentation of its interface, version 1.1.

/// The order in which the controller reports its axes.
pub(super) const LETTERS: [char; 6] = ['X', 'Y', 'Z', 'A', 'B', 'C'];

/// A controller's axis, by its place in reports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Axis(u8);

impl Axis {
    /// The axis of this letter; there are X, Y, Z, A, B, C.
    pub fn of(letter: &str) -> Option<Axis> {
        let at = LETTERS
            .iter()
            .position(|known| letter == known.to_string())?;
        Some(Axis(at as u8))
    }

    pub(super) fn letter(self) -> char {
        LETTERS[self.place()]
    }

    pub(super) fn place(self) -> usize {
        usize::from(self.0)
    }
}

impl std::fmt::Display for Axis {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.letter())
    }
}

/// A status report.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) state: String,
    pub(super) at: Vec<i64>,
    pub(super) pins: String,
}

/// `Idle|MPos:0.000,0.000|Pn:PX`, without its brackets.
pub(super) fn read_report(text: &str) -> Option<Report> {
    let mut fields = text.split('|');
    let state = fields.next()?.to_owned();
    let (mut at, mut pins) = (None, String::new());
    for field in fields {
        match field.split_once(':') {
            Some(("MPos", places)) => at = Some(read_places(places)?),
            Some(("Pn", closed)) => pins = closed.to_owned(),
            _ => {}
        }
    }
    Some(Report {
        state,
        at: at?,
        pins,
    })
}

pub(super) fn read_places(text: &str) -> Option<Vec<i64>> {
    let place = |text: &str| {
        let value: f64 = text.parse().ok()?;
        (value.abs() < 1e6).then(|| (value * 1e3).round() as i64)
    };
    text.split(',').map(place).collect()
}

pub(super) fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let size = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", size / 1_000, size % 1_000)
}

/// What GRBL's alarm codes mean, and what to try.
pub(super) fn alarm_text(code: &str) -> (&'static str, &'static str) {
    match code {
        "1" => (
            "a limit switch closed",
            "look at what the axis met and at the switch's cable; the stage stays as it is until the next run sends it home",
        ),
        "2" => (
            "the place is beyond the controller's travel",
            "is the bench file's [stage] the one of this stage?",
        ),
        "3" => (
            "it was reset in motion",
            "start the run again: the axes go home first",
        ),
        "4" => (
            "the overload input was on before the move began",
            "is something under load, or the overload wire broken?",
        ),
        "6" | "7" | "8" | "9" => (
            "the axes did not find home",
            "look at the limit switches; is a key in the cylinder? take it out by hand",
        ),
        _ => (
            "an alarm",
            "look at the stage, and into GRBL's list of alarms",
        ),
    }
}

/// What GRBL's error codes mean, where they say something about a stage that is set up wrong.
pub(super) fn error_text(code: &str) -> &'static str {
    match code {
        "5" => "homing is off",
        "8" => "it is not idle",
        "9" => "it is locked by an alarm",
        "20" => "it does not know the command",
        "33" => "the place is wrong",
        _ => "see GRBL's list of errors",
    }
}
