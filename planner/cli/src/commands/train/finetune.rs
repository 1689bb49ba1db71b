//! `foremesh train forecaster --finetune`: a model trained further on a history, if that is worth it.

use std::path::{Path, PathBuf};

use foremesh_pipeline::{PipelineError, read_history, read_model, shipped_forecaster};
use foremesh_trainer::{
    Device,
    forecaster::{Comparison, Layout, Point, Tuned, Tuning, finetune},
};
use serde::Serialize;

use super::{layout, say, step_word, steps, word};
use crate::{
    args::{Format, TrainForecaster},
    error::CliError,
    output::{self, Outcome},
};

/// Series that stand in the text.
const MOST_SERIES: usize = 20;

/// What came of it, for machines.
#[derive(Debug, Serialize)]
struct Said<'a> {
    accepted: bool,
    ended: &'static str,
    start_sha256: &'a str,
    tail: &'a Comparison,
    tail_from: String,
    synthetic_before: f64,
    synthetic: f64,
    best: Option<&'a Point>,
    left_out: &'a [String],
    files: Option<&'a [PathBuf; 3]>,
}

/// Trains, compares, and says what came of it.
pub(super) fn run(
    args: &TrainForecaster,
    history: &Path,
    synthetic: f64,
    device: Device,
    format: Format,
) -> Result<Outcome, CliError> {
    let layout = layout(args.step);
    let (start_name, start) = match &args.from {
        Some(path) => {
            let bytes = read_model(path).map_err(foremesh_trainer::TrainError::from)?;
            (path.display().to_string(), bytes)
        }
        None if layout == Layout::HOURLY => {
            let (name, bytes) = shipped_forecaster();
            (name.to_owned(), bytes.to_vec())
        }
        None => {
            return Err(PipelineError::RequestValue {
                field: "--from".into(),
                cause: "the model inside the program is one of hours: give a model of five minutes to begin with, or use --step 1h".into(),
            }
            .into());
        }
    };
    let read = read_history(history, None).map_err(PipelineError::from)?;
    output::warnings(&read.warnings, 12);
    let tuning = Tuning {
        layout,
        start,
        start_name,
        recipe: Tuning::recipe(steps(args), args.seed),
        diet: Tuning::diet(synthetic),
        output: args.output.clone(),
        device,
        command: command(args, synthetic),
    };
    let bar = output::progress("training the forecaster further");
    let tuned = finetune(&read.value, &tuning, &mut |point, of| say(&bar, point, of));
    bar.finish_and_clear();
    let tuned = tuned?;
    match format {
        Format::Json => output::print_json(&Said {
            accepted: tuned.files.is_some(),
            ended: word(tuned.ended),
            start_sha256: &tuned.start_sha256,
            tail: &tuned.tail,
            tail_from: tuned.history.at(tuned.history.spans[1]).to_string(),
            synthetic_before: tuned.start.synthetic,
            synthetic: tuned.best.unwrap_or(tuned.start).synthetic,
            best: tuned.best.as_ref(),
            left_out: &tuned.history.left_out,
            files: tuned.files.as_ref(),
        }),
        _ => output::print(&text(&tuned)),
    }
    Ok(if tuned.files.is_some() {
        Outcome::Done
    } else {
        Outcome::Broken
    })
}

fn text(tuned: &Tuned) -> String {
    let (tail, history) = (&tuned.tail, &tuned.history);
    let [_, from, end] = history.spans;
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    let verdict = match (&tuned.files, tuned.best) {
        (Some(_), _) => "The tuned model is better, and was written.",
        (None, None) => {
            "No step made the model better even on the part that says when to stop: no model was written, and the one before stays in use."
        }
        (None, Some(_)) if tail.ratio < 1.0 => {
            "The tuned model is not better beyond chance (or by less than 1%): no model was written, and the one before stays in use."
        }
        (None, Some(_)) => {
            "The tuned model is not better: no model was written, and the one before stays in use."
        }
    };
    let mut text = format!(
        "{verdict}\n\nOn the last {:.0} days of {}, of which training saw nothing, its weighted quantile loss is {:.4}, and {:.4} before: {:+.1}% \
         (with chance {:+.1}% to {:+.1}%).\n",
        history.days(from, end),
        output::count(tail.series.len(), "series", "series"),
        tail.candidate,
        tail.start,
        percent(tail.ratio),
        percent(tail.interval[0]),
        percent(tail.interval[1]),
    );
    if let Some(rose) = tuned.forgotten() {
        text += &format!(
            "On synthetic series its loss rose by {:.1}%: it forgot some of what it knew of others, so use it for services like these alone.\n",
            100.0 * rose
        );
    }
    if !history.left_out.is_empty() {
        text += &format!("Left out: {}.\n", history.left_out.join("; "));
    }
    let mut series: Vec<_> = tail.series.iter().collect();
    // What gained least, or lost, stands first.
    let ratio = |start: f64, candidate: f64| candidate / start.max(1e-12);
    series.sort_by(|a, b| ratio(b.start, b.candidate).total_cmp(&ratio(a.start, a.candidate)));
    let rows = series.iter().take(MOST_SERIES).map(|score| {
        vec![
            score.name.clone(),
            format!("{:.4}", score.start),
            format!("{:.4}", score.candidate),
            format!("{:+.1}%", percent(ratio(score.start, score.candidate))),
        ]
    });
    text += "\n";
    text += &output::table(
        &["region service", "loss before", "tuned", "change"],
        rows.collect(),
    );
    let more = series.len().saturating_sub(MOST_SERIES);
    if more > 0 {
        text += &format!("… and {more} that gained more\n");
    }
    if let Some(files) = &tuned.files {
        text += "\n";
        for (file, what) in files
            .iter()
            .zip(["the model", "its card", "its learning curve"])
        {
            text += &format!("{}  {what}\n", file.display());
        }
        text += &format!(
            "\nUse it with `inference = {{ forecaster = {:?} }}`, or `foremesh forecast --forecaster`.\n",
            files[0].display().to_string()
        );
    }
    text
}

/// The command that makes the same model again.
fn command(args: &TrainForecaster, synthetic: f64) -> String {
    let from = if args.from.is_some() {
        " --from MODEL"
    } else {
        ""
    };
    format!(
        "foremesh train forecaster --finetune FILE{from} --step {} --steps {} --seed {} --synthetic {synthetic}",
        step_word(args.step),
        steps(args),
        args.seed,
    )
}
