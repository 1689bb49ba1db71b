//! `foremesh train refinement`.

use std::path::PathBuf;

use clap::ValueEnum;
use foremesh_trainer::refinement::{
    Actors, Judged, Learner, Options, Point, Recipe, Report, run as train,
};
use serde::Serialize;

use crate::{
    args::{Format, Learns, TrainRefinement},
    error::CliError,
    output::{self, Outcome, number},
};

/// What a training left, for machines.
#[derive(Debug, Serialize)]
struct Trained<'a> {
    ended: &'static str,
    weights: usize,
    kept: &'a Point,
    judged: Vec<Worth<'a>>,
    files: &'a [PathBuf],
    curve: &'a [Point],
}

/// What a way of refining is worth.
#[derive(Debug, Serialize)]
struct Worth<'a> {
    name: &'a str,
    #[serde(flatten)]
    judged: &'a Judged,
}

/// Trains, from the checkpoint where there is one.
pub fn run(args: &TrainRefinement, format: Format) -> Result<Outcome, CliError> {
    let device = super::device(args.device)?;
    let learner = match args.learner {
        Learns::OneActor => Learner::Ppo(Actors::One),
        Learns::ThreeActors => Learner::Ppo(Actors::Three),
        Learns::Dqn => Learner::Dqn,
    };
    let usual = Recipe::of(learner);
    let recipe = Recipe {
        updates: args.updates.unwrap_or(usual.updates),
        regions: args.regions.map_or(usual.regions, |n| n as usize),
        seed: args.seed,
        discount: args.discount.unwrap_or(usual.discount),
        ..usual
    };
    let said = args.learner.to_possible_value();
    let options = Options {
        command: format!(
            "foremesh train refinement --learner {} --updates {} --regions {} --discount {} --seed {}{}",
            said.as_ref().map_or("", |value| value.get_name()),
            recipe.updates,
            recipe.regions,
            recipe.discount,
            recipe.seed,
            super::on(args.device)
        ),
        recipe,
        held_back: Options::HELD_BACK,
        searched: Options::SEARCHED,
        output: args.output.clone(),
        device,
        time: super::time(args.hours)?,
    };
    let bar = output::progress("training the refinement");
    let report = train(&options, &mut |point, of| {
        super::told(&bar, line(point, of));
    });
    bar.finish_and_clear();
    let report = report?;
    match format {
        Format::Json => output::print_json(&Trained {
            ended: if report.done { "done" } else { "time" },
            weights: report.weights,
            kept: &report.kept,
            judged: report
                .judged
                .iter()
                .map(|(name, judged)| Worth { name, judged })
                .collect(),
            files: &report.files,
            curve: &report.curve,
        }),
        _ => output::print(&text(&report)),
    }
    Ok(Outcome::Done)
}

fn line(point: &Point, of: u64) -> String {
    format!(
        "{} of {of}: {:.4} of requests missed less while learning; on regions not learned on: {:.3} of what the plan misses under faults, instances cost {:+.2}%",
        point.step,
        point.reward,
        point.missed,
        100.0 * point.cost
    )
}

fn text(report: &Report) -> String {
    let ended = match report.done {
        true => "All updates are done.",
        false => "The time was up; the same command goes on.",
    };
    let mut text = format!(
        "{ended} Kept: update {}; {} weights.",
        report.kept.step,
        number(report.weights as f64),
    );
    text += match report.judged.is_empty() {
        true => " Regions held back are looked at when all updates are done.\n",
        false => " On regions held back, of what the plan misses under faults:\n",
    };
    for (name, judged) in &report.judged {
        text += &format!(
            "  {:.3} {name}: {:.0} looks, instances cost {:+.2}%, better in {}, worse in {}\n",
            judged.missed,
            judged.looks,
            100.0 * judged.cost,
            judged.better,
            judged.worse
        );
    }
    text += "\n";
    text += &super::files(&report.files);
    text
}
