//! From options to files: draws regions, trains, writes the model, its card and its learning curve.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use burn::{module::Module, tensor::Device};
use foremesh_policy::gnn::KEY_MOST_SERVICES;
use foremesh_scenarios::Family;

use super::{
    cases::{Draw, SERVICES, cases, scenarios},
    export::export,
    held::{Held, Shown, searched},
    train::{Job, Point, Recipe, Trained, train},
};
use crate::{
    TrainError,
    learning::{Line, draw, facts, made, some_of, write_model},
};

/// The name of the policy's model.
pub const NAME: &str = "policy";

/// Paths of demand that are drawn of a region, and minutes of each.
const MINUTES: [usize; 2] = [20, 12];
/// Their seed, which no training may have.
const HELD_BACK_SEED: u64 = u64::MAX;

/// What the figures of a card do not say.
const LIMITS: &str = "
- Small regions alone were trained on and held back. Larger ones are planned all the same: what is said of them is made safe on minutes of their own forecast and tried, and where the floor is worth
  more the floor is taken.
- Two things are said of each service. Limits, timeouts, retries and ejection follow from the instances by rules.
- Regions held back are of the same families, and say which weights are kept. Beside the search and autoscalers, on graphs of families that no net saw, `make bench-policy` in Foremesh's repository judges; the net
  that Foremesh brings does not beat the search there. `policy: auto` uses no net.
";

/// What is trained, and where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it is trained.
    pub recipe: Recipe,
    /// Regions that are held back.
    pub held_back: usize,
    /// The folder that the files are written to.
    pub output: PathBuf,
    /// Where the net is computed.
    pub device: Device,
    /// The time this run may take; None: no limit.
    pub time: Option<Duration>,
    /// The command, for the card.
    pub command: String,
}

impl Options {
    /// Regions that are held back where nobody says how many.
    pub const HELD_BACK: usize = 40;
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// All updates were done; else the time was up.
    pub done: bool,
    /// The learning curve.
    pub curve: Vec<Point>,
    /// The best point of it, whose weights were kept.
    pub best: Point,
    /// Weights of the net.
    pub weights: usize,
    /// Bytes of the model file.
    pub bytes: usize,
    /// What was written: model, card, curve.
    pub files: [PathBuf; 3],
}

/// Trains a policy, from its checkpoint where there is one, and writes the best weights so far.
///
/// # Errors
/// [`TrainError`], one variant for each cause.
pub fn run(options: &Options, progress: &mut dyn FnMut(&Point, u64)) -> Result<Report, TrainError> {
    let recipe = &options.recipe;
    let draws = Draw {
        families: &Family::TRAINING,
        count: recipe.regions,
        seed: recipe.seed,
        minutes: MINUTES,
    };
    let held_draws = Draw {
        count: options.held_back,
        seed: HELD_BACK_SEED,
        ..draws
    };
    let drawn = scenarios(&draws)?;
    let drawn_held = scenarios(&held_draws)?;
    let regions = cases(&drawn, &draws);
    let held: Vec<Held<'_>> = cases(&drawn_held, &held_draws)
        .into_iter()
        .filter_map(|case| {
            let [paths, each] = MINUTES;
            Held::of(case, HELD_BACK_SEED, [2 * paths, each])
        })
        .collect();
    for (empty, drawn, what) in [
        (regions.is_empty(), recipe.regions, "to learn on"),
        (held.is_empty(), options.held_back, "to be held back"),
    ] {
        if empty {
            return Err(TrainError::NothingToLearn { drawn, what });
        }
    }
    let trained = train(Job {
        recipe: recipe.clone(),
        cases: &regions,
        held: &held,
        folder: Some(options.output.join(format!(".{NAME}.checkpoint"))),
        time: options.time,
        device: options.device.clone(),
        progress,
    })?;
    let best = trained
        .curve
        .iter()
        .min_by(|a, b| a.loss().total_cmp(&b.loss()))
        .copied()
        .ok_or(TrainError::NothingTrained)?;
    let metadata = [
        ("foremesh.command", options.command.clone()),
        ("foremesh.seed", recipe.seed.to_string()),
        ("foremesh.steps", best.step.to_string()),
        (KEY_MOST_SERVICES, SERVICES[1].to_string()),
    ];
    let file = export(&trained.net, &metadata)?;
    let curve = drawn_curve(&trained.curve)?;
    let card = card(
        options,
        &trained,
        best,
        &file,
        [regions.len(), held.len()],
        searched(&held),
    );
    let files = write_model(&options.output, NAME, &file, &card, &curve)?;
    Ok(Report {
        done: trained.done,
        weights: trained.net.num_params(),
        curve: trained.curve,
        best,
        bytes: file.len(),
        files,
    })
}

fn drawn_curve(curve: &[Point]) -> Result<String, TrainError> {
    let line = |name, value: fn(&Point) -> f64| Line {
        name,
        points: curve.iter().map(|p| (p.step, value(p))).collect(),
    };
    let lines = [
        line("learning, of the safe rule", |p| p.tried_cost),
        line("made safe, of the best one answer", |p| p.cost),
    ];
    draw("policy: learning curve", "cost, as a ratio", &lines)
}

/// What whoever runs a model wants to know of it.
fn card(
    options: &Options,
    trained: &Trained,
    best: Point,
    file: &[u8],
    [regions, held]: [usize; 2],
    (found, trials): (Shown, f64),
) -> String {
    let recipe = &options.recipe;
    let mut card = format!(
        "# {NAME}\n\nA graph neural network that says of each service of a region how much of its forecast demand the schedule buys ahead and how busy its \
         instances may be before an autoscaler orders more.\n\n"
    );
    let families = Family::TRAINING.map(Family::as_str).join(", ");
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    let last = trained.curve.last();
    let net = format!(
        "{} layers of messages, width {}, {} weights",
        recipe.size.layers,
        recipe.size.width,
        trained.net.num_params()
    );
    let mut rows = made(NAME, file, net, &options.command, recipe.seed);
    rows.extend([
        (
            "training",
            format!(
                "{} of {} updates of {} plans of {} regions; weights of update {} kept; {:.1} minutes",
                last.map_or(0, |p| p.step),
                recipe.updates,
                recipe.plans,
                recipe.batch,
                best.step,
                last.map_or(0.0, |p| p.seconds) / 60.0,
            ),
        ),
        (
            "data",
            format!(
                "{regions} regions of 3 to 24 services drawn from the families {families}; {held} others are held back"
            ),
        ),
        (
            "regions held back, plans made safe",
            format!(
                "{:.4} of the cost of the best one answer for all services, {} of minutes missed ({} if they were not made safe)",
                best.cost,
                percent(best.missed),
                percent(best.unguarded_missed)
            ),
        ),
        (
            "the same regions, searched service by service on the minutes that make plans safe",
            format!(
                "{:.4} of that cost, {} of minutes missed; {trials:.0} plans tried of each",
                found.cost,
                percent(found.missed),
            ),
        ),
    ]);
    card += &facts(&rows);
    card += LIMITS;
    let _ = write!(
        card,
        "\n![learning curve]({NAME}.svg)\n\n| update | learning: cost of the safe rule's | learning: missed | held back: cost of the best one answer's | held back: missed |\n|---:|---:|---:|---:|---:|\n"
    );
    for point in some_of(&trained.curve) {
        let _ = writeln!(
            card,
            "| {} | {:.3} | {} | {:.4} | {} |",
            point.step,
            point.tried_cost,
            percent(point.tried_missed),
            point.cost,
            percent(point.missed)
        );
    }
    card
}
