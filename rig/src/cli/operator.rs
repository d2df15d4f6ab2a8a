//! The person at the terminal, as a scenario's `ask` steps reach them.

use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bench::operator::{Answer, Asked, Operator};
use crate::event::Nanos;

/// Who attends, and the lines that they type. All runs of a command share one.
#[derive(Clone)]
pub struct Terminal {
    who: String,
    lines: Arc<Mutex<Receiver<String>>>,
}

impl Terminal {
    /// The person at this terminal, or who is named. What is typed is read from here on.
    pub fn new(named: Option<&str>) -> Terminal {
        let user = || {
            let names = ["USER", "LOGNAME", "USERNAME"].into_iter();
            names.filter_map(|name| std::env::var(name).ok()).next()
        };
        let who = named.map(str::to_owned).or_else(user);
        let (typed, lines) = channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if typed.send(line).is_err() {
                    return;
                }
            }
        });
        Terminal {
            who: who.unwrap_or_else(|| "somebody".to_owned()),
            lines: Arc::new(Mutex::new(lines)),
        }
    }

    /// The person, as one run asks them.
    pub fn for_run(&self, run: &str) -> Box<dyn Operator> {
        Box::new(AtTerminal {
            terminal: self.clone(),
            run: run.to_owned(),
            under_way: None,
            log: Vec::new(),
        })
    }
}

/// The answers of a recorded run, given again.
pub struct Answers(pub VecDeque<Answer>);

impl Operator for Answers {
    fn ask(&mut self, _: &str, _: Nanos) {}

    fn answer(&mut self, _: Duration) -> Option<Answer> {
        Some(self.0.pop_front().unwrap_or(Answer::None))
    }

    fn take_log(&mut self) -> Vec<Asked> {
        Vec::new()
    }
}

struct AtTerminal {
    terminal: Terminal,
    run: String,
    /// The question that waits for its answer, and until when.
    under_way: Option<(String, Instant)>,
    log: Vec<Asked>,
}

impl Operator for AtTerminal {
    fn ask(&mut self, question: &str, within: Nanos) {
        let AtTerminal { terminal, run, .. } = self;
        let who = &terminal.who;
        let _ = write!(
            anstream::stderr(),
            "\n{run}\n  {who}: {question}\n  Enter when it is so, n and Enter if not; within {within}: "
        );
        let until = Instant::now() + Duration::from_nanos(within.0);
        self.under_way = Some((question.to_owned(), until));
    }

    fn answer(&mut self, patience: Duration) -> Option<Answer> {
        let (_, until) = self.under_way.as_ref()?;
        let left = until.saturating_duration_since(Instant::now());
        let lines = self.terminal.lines.lock();
        let lines = lines.unwrap_or_else(PoisonError::into_inner);
        let answer = match lines.recv_timeout(patience.min(left)) {
            Ok(line) => match line.trim().to_lowercase().starts_with('n') {
                true => Answer::No,
                false => Answer::Yes,
            },
            // Whoever closed the terminal answers no more.
            Err(RecvTimeoutError::Disconnected) => Answer::None,
            Err(RecvTimeoutError::Timeout) if left.is_zero() => Answer::None,
            Err(RecvTimeoutError::Timeout) => return None,
        };
        drop(lines);
        let (question, _) = self.under_way.take()?;
        self.log.push(Asked {
            question,
            answer: answer.word(),
            who: self.terminal.who.clone(),
            at: jiff::Timestamp::now().to_string(),
        });
        Some(answer)
    }

    fn take_log(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.log)
    }
}
