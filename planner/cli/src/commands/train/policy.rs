//! `foremesh train policy`.

use foremesh_trainer::policy::{Options, Point, Recipe, Report, run as train};

use super::Trained;
use crate::{
    args::{Format, TrainPolicy},
    error::CliError,
    output::{self, Outcome, number},
};

/// Trains, from the checkpoint where there is one.
pub fn run(args: &TrainPolicy, format: Format) -> Result<Outcome, CliError> {
    let device = super::device(args.device)?;
    let usual = Recipe::default();
    let recipe = Recipe {
        updates: args.updates.unwrap_or(usual.updates),
        regions: args.regions.map_or(usual.regions, |n| n as usize),
        seed: args.seed,
        ..usual
    };
    let options = Options {
        command: format!(
            "foremesh train policy --updates {} --regions {} --seed {}{}",
            recipe.updates,
            recipe.regions,
            recipe.seed,
            super::on(args.device)
        ),
        recipe,
        held_back: Options::HELD_BACK,
        output: args.output.clone(),
        device,
        time: super::time(args.hours)?,
    };
    let bar = output::progress("training the policy");
    let report = train(&options, &mut |point, of| {
        super::told(&bar, line(point, of));
    });
    bar.finish_and_clear();
    let report = report?;
    match format {
        Format::Json => output::print_json(&Trained {
            ended: if report.done { "done" } else { "time" },
            weights: report.weights,
            bytes: report.bytes,
            best: &report.best,
            files: &report.files,
            curve: &report.curve,
        }),
        _ => output::print(&text(&report)),
    }
    Ok(Outcome::Done)
}

fn line(point: &Point, of: u64) -> String {
    format!(
        "{} of {of}: learning at {:.3} of the safe rule's cost, {:.2}% of minutes missed; held back: {:.4} of the best one answer's cost, {:.2}% missed",
        point.step,
        point.tried_cost,
        100.0 * point.tried_missed,
        point.cost,
        100.0 * point.missed
    )
}

fn text(report: &Report) -> String {
    let ended = match report.done {
        true => "All updates are done.",
        false => "The time was up; the same command goes on.",
    };
    let best = &report.best;
    let mut text = format!(
        "{ended} Kept: update {}, {:.4} of the cost of the best one answer for all services on regions held back, {:.2}% of minutes missed; {} weights, {} kB.\n\n",
        best.step,
        best.cost,
        100.0 * best.missed,
        number(report.weights as f64),
        report.bytes / 1000,
    );
    text += &super::files(&report.files);
    text
}
