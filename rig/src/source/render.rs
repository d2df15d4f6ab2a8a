//! Problems shown in their source lines, as rustc shows its own.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Problem, Source};

pub(super) fn render(source: &Source, problems: &[Problem], colour: bool) -> String {
    let renderer = if colour {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
    .decor_style(DecorStyle::Ascii);
    let shown: Vec<String> = problems
        .iter()
        .map(|problem| {
            // A table that runs over many lines is shown by its first.
            let text = source.text();
            let start = problem.span.start.min(text.len());
            let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
            let end = problem.span.end.clamp(start, line_end.max(start));
            let mut group = Level::ERROR
                .primary_title(problem.message.as_str())
                .element(
                    Snippet::source(text)
                        .path(source.name())
                        .fold(true)
                        .annotation(AnnotationKind::Primary.span(start..end)),
                );
            if let Some(hint) = &problem.hint {
                group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
            }
            renderer.render(&[group])
        })
        .collect();
    shown.join("\n\n")
}
