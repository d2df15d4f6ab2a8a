//! YAML text to nodes. What a reviewed file does not need is refused: anchors and aliases, tags,
//! several documents, keys that are not words, the same key twice.

use saphyr_parser::{Event, Parser, ScanError, Span as Marks};

use super::{Node, Problem, Span, Spanned, Value};

/// How deeply lists and tables may nest. Real files need six.
const DEPTH_MAX: usize = 32;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Problem>> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        // The parser counts characters, spans count bytes.
        bytes: text
            .char_indices()
            .map(|(byte, _)| byte)
            .chain([text.len()])
            .collect(),
        text,
        problems: Vec::new(),
    };
    match reader.document() {
        Ok(Some(node)) if reader.problems.is_empty() => Ok(node),
        Ok(Some(_)) => Err(reader.problems),
        Ok(None) => Err(vec![Problem::new(
            Span::default(),
            "expected a table, found an empty file",
        )]),
        Err(problem) => {
            reader.problems.push(problem);
            Err(reader.problems)
        }
    }
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    bytes: Vec<usize>,
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Reader<'t> {
    fn document(&mut self) -> Result<Option<Node>, Problem> {
        let mut document = None;
        loop {
            let (event, marks) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(document),
                Event::DocumentStart(_) if document.is_some() => {
                    return Err(Problem::new(
                        self.span(marks),
                        "expected one document, found a second",
                    )
                    .hint("put it into a file of its own"));
                }
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                other => document = Some(self.node(other, marks, 0)?),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, marks: Marks, depth: usize) -> Result<Node, Problem> {
        let span = self.span(marks);
        if depth > DEPTH_MAX {
            return Err(Problem::new(
                span,
                format!("nested more than {DEPTH_MAX} deep"),
            ));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if anchor > 0 {
            self.problems
                .push(Problem::new(span, "anchors are not read here").hint("write the value out"));
        }
        if tag {
            self.problems
                .push(Problem::new(span, "tags are not read here").hint("leave the '!' out"));
        }
        match event {
            Event::Scalar(text, style, ..) => Ok(Node {
                span,
                value: Value::Scalar {
                    text: text.into_owned(),
                    quoted: style != saphyr_parser::ScalarStyle::Plain,
                },
            }),
            Event::Alias(_) => {
                self.problems.push(
                    Problem::new(span, "aliases are not read here").hint("write the value out"),
                );
                Ok(Node {
                    span,
                    value: Value::List(Vec::new()),
                })
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    let (event, marks) = self.next()?;
                    if event == Event::SequenceEnd {
                        let span = self.covering(span, marks);
                        return Ok(Node {
                            span,
                            value: Value::List(items),
                        });
                    }
                    items.push(self.node(event, marks, depth + 1)?);
                }
            }
            Event::MappingStart(..) => self.table(span, depth),
            other => unreachable!("{other:?} where a YAML node starts"),
        }
    }

    fn table(&mut self, start: Span, depth: usize) -> Result<Node, Problem> {
        let mut entries: Vec<(Spanned<String>, Node)> = Vec::new();
        loop {
            let (event, marks) = self.next()?;
            if event == Event::MappingEnd {
                let span = self.covering(start, marks);
                return Ok(Node {
                    span,
                    value: Value::Table(entries),
                });
            }
            let key = self.node(event, marks, depth + 1)?;
            let (event, marks) = self.next()?;
            let value = self.node(event, marks, depth + 1)?;
            let Some(word) = key.scalar() else {
                self.problems.push(Problem::new(
                    key.span,
                    format!("expected a word as the key, found {}", key.describe()),
                ));
                continue;
            };
            if let Some((first, _)) = entries.iter().find(|(known, _)| known.value == word) {
                let line = self.text[..first.span.start].matches('\n').count() + 1;
                self.problems.push(
                    Problem::new(key.span, format!("'{word}' stands here a second time"))
                        .hint(format!("the first is on line {line}")),
                );
                continue;
            }
            entries.push((Spanned::new(word.to_owned(), key.span), value));
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Marks), Problem> {
        match self.events.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => unreachable!("the YAML parser ended without its last event"),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let at = self.byte(error.marker().index());
        let width = self.text[at..].chars().next().map_or(0, char::len_utf8);
        let problem = Problem::new(
            Span {
                start: at,
                end: at + width,
            },
            format!("not YAML: {}", error.info()),
        );
        let line_start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        if line
            .chars()
            .take_while(|character| character.is_whitespace())
            .any(|character| character == '\t')
        {
            return problem.hint("YAML is indented with spaces, not with tabs");
        }
        problem
    }

    fn byte(&self, character: usize) -> usize {
        self.bytes
            .get(character)
            .copied()
            .unwrap_or(self.text.len())
    }

    fn span(&self, marks: Marks) -> Span {
        let start = self.byte(marks.start.index());
        let end = self.byte(marks.end.index()).max(start);
        let written = self.text[start..end].trim_end().len();
        Span {
            start,
            end: start + written,
        }
    }

    /// From the start of a list or table to its end, without the space before what follows.
    fn covering(&self, start: Span, end: Marks) -> Span {
        let end = self.byte(end.end.index()).max(start.start);
        let written = self.text[start.start..end].trim_end().len();
        Span {
            start: start.start,
            end: start.start + written,
        }
    }
}
