//! What a person sees: tables, a chart of demand, warnings, errors, progress; and the exit code that follows.

use std::{
    fmt,
    io::{IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use foremesh_model::{Severity, Warning};
use foremesh_pipeline::{Progress, condense};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;

use crate::error::CliError;

/// Warnings of a plan that are shown; of each kind there are at most four. `plan.json` holds all.
pub const MOST_WARNINGS: usize = 24;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Done,
    /// The input is wrong.
    WrongInput,
    /// The plan breaks its objective, the lint found errors, or a fine-tuned model is no better.
    Broken,
    /// An outside system failed.
    OutsideFailed,
}

impl Outcome {
    /// How a command ends that met this error.
    pub fn of(error: &CliError) -> Self {
        if error.is_outside() {
            Self::OutsideFailed
        } else {
            Self::WrongInput
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::WrongInput => 1,
            Outcome::Broken => 2,
            Outcome::OutsideFailed => 3,
        })
    }
}

/// Logs to standard error: warnings only, unless asked for more by `-v` or `FOREMESH_LOG`.
pub fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("FOREMESH_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

/// Prints to standard output; a reader that left early is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a value as JSON.
pub fn print_json<T: Serialize>(value: &T) {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    print(&(text + "\n"));
}

/// Says what went wrong.
pub fn error(error: &dyn fmt::Display) {
    let _ = writeln!(std::io::stderr(), "error: {error}");
}

/// Says on standard error what to beware of, the worst first; at most `most` of them.
pub fn warnings(warnings: &[Warning], most: usize) {
    let warnings = condense(warnings);
    let mut err = std::io::stderr().lock();
    for warning in warnings.iter().take(most) {
        let word = match warning.severity {
            Severity::Severe => "severe",
            Severity::Caution => "caution",
            Severity::Note => "note",
        };
        let _ = writeln!(err, "{word}: {}: {}", warning.subject, warning.text);
    }
    if warnings.len() > most {
        let _ = writeln!(err, "… and {} more", warnings.len() - most);
    }
}

/// A sign of life on a terminal, nothing in a pipe.
pub fn progress(message: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if std::io::stderr().is_terminal() {
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
    }
    bar
}

/// The same with how much is done, once that is known.
pub fn progress_of(message: &'static str, progress: &Arc<Progress>) -> ProgressBar {
    let bar = crate::output::progress(message);
    let watched = Arc::clone(progress);
    let style = ProgressStyle::with_template("{spinner} {msg} {done} {elapsed}").map(|style| {
        style.with_key(
            "done",
            move |_: &ProgressState, text: &mut dyn fmt::Write| {
                let (done, all) = watched.pieces();
                if let Some(percent) = (done * 100).checked_div(all) {
                    let _ = write!(text, "{percent}%");
                }
            },
        )
    });
    if std::io::stderr().is_terminal()
        && let Ok(style) = style
    {
        bar.set_style(style);
    }
    bar
}

/// A table without frames; columns after the first are numbers and stand right.
pub fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table
        .to_string()
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n") + "\n"
}

/// Values as a row of block characters from 0 to `most`.
pub fn bars(values: &[f64], most: f64) -> String {
    const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let block = |value: &f64| {
        let level = if most > 0.0 {
            (value / most * 8.0).ceil()
        } else {
            0.0
        };
        BLOCKS[(level as usize).min(8)]
    };
    values.iter().map(block).collect()
}

/// `1 entry`, `2 entries`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A number with as many digits as matter.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        v if v < 1.0 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_climb_and_never_hide_what_is_there() {
        assert_eq!(bars(&[0.0, 0.01, 4.0, 8.0, 9.0], 8.0), " ▁▄██");
        assert_eq!(bars(&[1.0], 0.0), " ");
    }

    #[test]
    fn numbers_stand_right_of_names() {
        let text = table(
            &["service", "rps"],
            vec![
                vec!["cart".into(), "7".into()],
                vec!["a".into(), "120".into()],
            ],
        );
        assert_eq!(text, "service  rps\ncart       7\na        120\n");
    }
}
