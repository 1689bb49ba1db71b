//! `foremesh train`: a forecaster or a policy of one's own, on a processor in an hour or two, or on a GPU.

mod finetune;
mod policy;
mod refinement;

use std::{path::PathBuf, time::Duration};

use foremesh_pipeline::PipelineError;
use foremesh_trainer::{
    Device, TrainError, cpu,
    forecaster::{Diet, Ended, Layout, Options, Point, Recipe, Report, Tuning, run as train},
    gpu,
};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    args::{Format, Step, Train, TrainDevice, TrainForecaster},
    error::CliError,
    output::{self, Outcome, number},
};

/// What a training left, for machines.
#[derive(Debug, Serialize)]
struct Trained<'a, P> {
    ended: &'static str,
    weights: usize,
    bytes: usize,
    best: &'a P,
    files: &'a [PathBuf],
    curve: &'a [P],
}

/// Trains, from the checkpoint where there is one.
pub fn run(args: &Train, format: Format) -> Result<Outcome, CliError> {
    match args {
        Train::Forecaster(args) => forecaster(args, format),
        Train::Policy(args) => policy::run(args, format),
        Train::Refinement(args) => refinement::run(args, format),
    }
}

fn wrong(field: &str, cause: &str) -> PipelineError {
    PipelineError::RequestValue {
        field: field.into(),
        cause: cause.into(),
    }
}

/// What is trained on.
fn device(of: TrainDevice) -> Result<Device, TrainError> {
    match of {
        TrainDevice::Cpu => Ok(cpu()),
        TrainDevice::Gpu => gpu(),
    }
}

/// What a command says of its device: nothing of the processor.
fn on(device: TrainDevice) -> &'static str {
    match device {
        TrainDevice::Cpu => "",
        TrainDevice::Gpu => " --device gpu",
    }
}

/// The time that a run may take.
fn time(hours: Option<f64>) -> Result<Option<Duration>, PipelineError> {
    match hours {
        Some(hours) if !(hours.is_finite() && hours >= 0.0) => {
            Err(wrong("--hours", "must be 0 or more"))
        }
        // More than a century is no limit.
        hours => Ok(hours.map(|hours| Duration::from_secs_f64(hours.min(1e6) * 3600.0))),
    }
}

fn forecaster(args: &TrainForecaster, format: Format) -> Result<Outcome, CliError> {
    let device = device(args.device)?;
    let synthetic = args.synthetic.unwrap_or(if args.finetune.is_some() {
        Tuning::SYNTHETIC
    } else {
        Diet::default().synthetic
    });
    if !(0.0..=1.0).contains(&synthetic) {
        return Err(wrong("--synthetic", "must lie between 0 and 1").into());
    }
    if let Some(history) = &args.finetune {
        return finetune::run(args, history, synthetic, device, format);
    }
    if args.data.is_none() && synthetic < 1.0 {
        let cause = "without --data there are synthetic windows only: give the folder of real series, or --synthetic 1";
        return Err(wrong("--data", cause).into());
    }
    let time = time(args.hours)?;
    let layout = layout(args.step);
    let options = Options {
        layout,
        recipe: Recipe {
            steps: steps(args),
            seed: args.seed,
            ..Recipe::default()
        },
        diet: Diet {
            synthetic,
            ..Diet::default()
        },
        data: args.data.clone(),
        output: args.output.clone(),
        device,
        time,
        command: command(args, synthetic),
    };
    let bar = output::progress("training the forecaster");
    let report = train(&options, &mut |point, of| say(&bar, point, of));
    bar.finish_and_clear();
    let report = report?;
    match format {
        Format::Json => output::print_json(&Trained {
            ended: word(report.ended),
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

fn layout(step: Step) -> Layout {
    match step {
        Step::Hour => Layout::HOURLY,
        Step::FiveMinutes => Layout::FIVE_MINUTES,
    }
}

fn step_word(step: Step) -> &'static str {
    match step {
        Step::Hour => "1h",
        Step::FiveMinutes => "5m",
    }
}

fn steps(args: &TrainForecaster) -> u64 {
    let usual = if args.finetune.is_some() {
        Tuning::STEPS
    } else {
        Recipe::default().steps
    };
    args.steps.unwrap_or(usual)
}

/// A line of progress.
fn say(bar: &ProgressBar, point: &Point, of: u64) {
    let real = point.real.map(|loss| format!(", real {loss:.4}"));
    let line = format!(
        "{} of {of}: training {:.4}, held back: synthetic {:.4}{}",
        point.step,
        point.training,
        point.synthetic,
        real.unwrap_or_default()
    );
    told(bar, line);
}

/// Shows a line of progress; where nobody watches, lines are kept, for example in a file.
fn told(bar: &ProgressBar, line: String) {
    if bar.is_hidden() {
        eprintln!("{line}");
    } else {
        bar.println(line);
    }
}

fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Done => "done",
        Ended::Stopped => "stopped",
        Ended::Time => "time",
    }
}

fn text(report: &Report) -> String {
    let ended = match report.ended {
        Ended::Done => "All steps are done.",
        Ended::Stopped => "It no longer got better.",
        Ended::Time => "The time was up; the same command goes on.",
    };
    let real = report
        .best
        .real
        .map(|loss| format!(", {loss:.4} on real ones"));
    let mut text = format!(
        "{ended} Kept: step {}, loss {:.4} on synthetic windows held back{}; {} weights, {} kB.\n\n",
        report.best.step,
        report.best.synthetic,
        real.unwrap_or_default(),
        number(report.weights as f64),
        report.bytes / 1000,
    );
    text += &files(&report.files);
    text
}

/// The files that a training left.
fn files(files: &[PathBuf]) -> String {
    let whats = ["the model", "its card", "its learning curve"];
    // Where no model is written, its card and curve are.
    let each = files
        .iter()
        .zip(&whats[whats.len().saturating_sub(files.len())..]);
    each.map(|(file, what)| format!("{}  {what}\n", file.display()))
        .collect()
}

/// The command that makes the same model again.
fn command(args: &TrainForecaster, synthetic: f64) -> String {
    let mut command = format!(
        "foremesh train forecaster --step {} --steps {} --seed {} --synthetic {}",
        step_word(args.step),
        steps(args),
        args.seed,
        synthetic
    );
    if args.data.is_some() {
        command += " --data DIR";
    }
    command += on(args.device);
    command
}
