//! What whoever runs a model that was trained further wants to know of it.

use burn::module::Module;

use super::{
    super::{run::curve_table, train::Recipe},
    Tuned, Tuning, tuned_name,
};
use crate::learning::{facts, sha256};

/// Series that are named; a card is read by people.
const MOST_SERIES: usize = 40;

pub(super) fn card(tuned: &Tuned, tuning: &Tuning, recipe: &Recipe, file: &[u8]) -> String {
    let name = tuned_name(tuning.layout);
    let history = &tuned.history;
    let [begin, tail, end] = history.spans;
    let day = |step: i64| history.at(step).strftime("%Y-%m-%d").to_string();
    let compared = &tuned.tail;
    let percent = |ratio: f64| 100.0 * (ratio - 1.0);
    let best = tuned.best.unwrap_or(tuned.start);
    let real = |loss: Option<f64>| loss.map_or_else(|| "none".into(), |loss| format!("{loss:.4}"));
    let size = recipe.size;
    let rows = [
        (
            "file",
            format!(
                "{name}.onnx, {} bytes, SHA-256 `{}`",
                file.len(),
                sha256(file)
            ),
        ),
        (
            "began with",
            format!("{}, SHA-256 `{}`", tuning.start_name, tuned.start_sha256),
        ),
        (
            "net",
            format!(
                "TSMixer: {} blocks, width {}, {} weights",
                size.blocks,
                size.width,
                tuned.candidate.num_params()
            ),
        ),
        ("command", format!("`{}`", tuning.command)),
        ("seed", recipe.seed.to_string()),
        (
            "training",
            format!(
                "{} of {} steps of {} windows, {:.0}% of them synthetic; weights of step {} kept",
                tuned.curve.last().map_or(0, |p| p.step),
                recipe.steps,
                recipe.batch,
                tuning.diet.synthetic * 100.0,
                best.step
            ),
        ),
        (
            "history",
            format!(
                "{} series from {} to {}; nothing from {} on was trained on",
                history.series.len(),
                day(begin),
                day(end),
                day(tail)
            ),
        ),
        (
            "weighted quantile loss of what was held back",
            format!(
                "{:.4}, and {:.4} before: {:+.1}% ({:+.1}% to {:+.1}%), {} windows of {} series",
                compared.candidate,
                compared.start,
                percent(compared.ratio),
                percent(compared.interval[0]),
                percent(compared.interval[1]),
                compared.windows,
                compared.series.len()
            ),
        ),
        (
            "pinball loss, in spreads",
            format!(
                "{:.4} on windows of the history that said when to stop, {:.4} on synthetic ones; before {} and {:.4}",
                best.real.unwrap_or(f64::NAN),
                best.synthetic,
                real(tuned.start.real),
                tuned.start.synthetic
            ),
        ),
    ];
    let mut card = format!(
        "# {name}\n\nA forecaster that was trained further on a history of its own: best for the series below, and not meant for others.\n\n"
    );
    card += &facts(&rows);
    card += "\n## Series\n\n| region service | before | tuned |\n|---|---:|---:|\n";
    for series in compared.series.iter().take(MOST_SERIES) {
        card += &format!(
            "| {} | {:.4} | {:.4} |\n",
            series.name, series.start, series.candidate
        );
    }
    let more = compared.series.len().saturating_sub(MOST_SERIES);
    if more > 0 {
        card += &format!("| and {more} more | | |\n");
    }
    card + &curve_table(&name, &tuned.curve)
}
