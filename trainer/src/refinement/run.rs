//! From options to files: draws regions, trains, judges beside others, writes card and learning curve.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use burn::{module::Module, tensor::Device};
use foremesh_policy::drill::{Drill, Knob, Steps};
use foremesh_scenarios::Family;

use super::{
    episode::ROUNDS,
    judge::{Held, Judged},
    recipe::{Learner, Point, Recipe},
    regions::{Draw, draw, drills},
    train::{Job, Trained, train},
    ways::{answered, guided, local, one_answer, settled_by},
};
use crate::{
    TrainError,
    learning::{Line, draw as draw_curve, facts, some_of, write},
};

/// The name of what is written.
pub const NAME: &str = "refinement";

/// The seed of the regions held back, which no training may have.
const HELD_BACK_SEED: u64 = u64::MAX;
/// The seed of those that say which weights are kept.
const CHOOSING_SEED: u64 = HELD_BACK_SEED - 1;
/// Regions on which the one answer for all services is looked for.
const ANSWERED: usize = 60;
/// Episodes in which a net draws what it does, beside the one in which it does not.
const SAMPLES: usize = 8;

/// What is trained, and where it goes.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it is trained.
    pub recipe: Recipe,
    /// Regions of families that nothing is trained on, on which what was trained is judged once.
    pub held_back: usize,
    /// Looks of the longest local search beside which it is judged.
    pub searched: usize,
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
    pub const HELD_BACK: usize = 60;
    /// Looks of the longest local search where nobody says how many.
    pub const SEARCHED: usize = 200;
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
    /// Weights of the nets.
    pub weights: usize,
    /// Ways of refining and what they are worth on regions held back; none before all updates are done.
    pub judged: Vec<(String, Judged)>,
    /// What was written: card, curve.
    pub files: [PathBuf; 2],
}

/// Trains, from the checkpoint where there is one, and judges the best weights so far.
///
/// # Errors
/// [`TrainError`], one variant for each cause.
pub fn run(options: &Options, progress: &mut dyn FnMut(&Point, u64)) -> Result<Report, TrainError> {
    let recipe = &options.recipe;
    let drawn_of = |families, count, seed| {
        draw(&Draw {
            families,
            count,
            seed,
        })
    };
    let drawn = drawn_of(&Family::TRAINING[..], recipe.regions, recipe.seed)?;
    let drawn_choosing = drawn_of(&Family::TRAINING, recipe.choosing, CHOOSING_SEED)?;
    let drawn_held = drawn_of(&Family::HELD_OUT, options.held_back, HELD_BACK_SEED)?;
    let to_learn = drills(&drawn, true)?;
    let to_choose = drills(&drawn_choosing, false)?;
    let to_judge = drills(&drawn_held, false)?;
    for (empty, drawn, what) in [
        (to_learn.is_empty(), recipe.regions, "to learn on"),
        (to_choose.is_empty(), recipe.choosing, "to choose by"),
        (to_judge.is_empty(), options.held_back, "to be held back"),
    ] {
        if empty {
            return Err(TrainError::NothingToLearn { drawn, what });
        }
    }
    let choosing = Held::of(&to_choose, CHOOSING_SEED)?;
    let name = file_name(recipe.learner);
    let trained = train(Job {
        recipe: recipe.clone(),
        drills: &to_learn,
        held: &choosing,
        folder: Some(options.output.join(format!(".{name}.checkpoint"))),
        time: options.time,
        device: options.device.clone(),
        progress,
    })?;
    let curve = &trained.curve;
    let best = curve.iter().min_by(|a, b| a.loss().total_cmp(&b.loss()));
    let best = best.copied().ok_or(TrainError::NothingTrained)?;
    // What is held back is looked at once, when all is done.
    let (judged, answer) = match trained.done {
        true => {
            let held = Held::of(&to_judge, HELD_BACK_SEED)?;
            let (judged, answer) = judge_all(options, &trained, &held, &to_learn)?;
            (judged, Some(answer))
        }
        false => (Vec::new(), None),
    };
    let card = card(
        options,
        &trained,
        best,
        [to_learn.len(), choosing.len(), to_judge.len()],
        &judged,
        answer.as_ref(),
    );
    let paths = ["md", "svg"].map(|kind| options.output.join(format!("{name}.{kind}")));
    write(&paths[0], card.as_bytes())?;
    write(
        &paths[1],
        drawn_curve(&trained.curve, recipe.learner)?.as_bytes(),
    )?;
    Ok(Report {
        done: trained.done,
        weights: trained.team.num_params(),
        curve: trained.curve,
        best,
        judged,
        files: paths,
    })
}

/// What the files of a learner are called.
fn file_name(learner: Learner) -> String {
    let word = learner
        .word()
        .to_lowercase()
        .replace(", ", "-")
        .replace(' ', "-");
    format!("{NAME}-{word}")
}

fn judge_all(
    options: &Options,
    trained: &Trained,
    held: &Held<'_, '_>,
    to_learn: &[Drill<'_>],
) -> Result<(Vec<(String, Judged)>, Steps), TrainError> {
    let (learner, device) = (options.recipe.learner, &options.device);
    let some: Vec<&Drill<'_>> = to_learn.iter().take(ANSWERED).collect();
    let answer = one_answer(&some, options.recipe.seed)?;
    let word = learner.word();
    let looks = 1 + ROUNDS * (1 + SAMPLES);
    let searched = options.searched.max(1);
    let team = &trained.team;
    let ways = [
        (word.to_owned(), settled_by(held, team, learner, 0, device)?),
        (
            format!("{word}, and {SAMPLES} episodes drawn"),
            settled_by(held, team, learner, SAMPLES, device)?,
        ),
        (
            format!("{word}, and a local search in its order"),
            guided(held, team, learner, looks - 1, device)?,
        ),
        (
            "one answer for all services".into(),
            answered(held, &answer),
        ),
        ("local search".into(), local(held, ROUNDS)?),
        ("local search".into(), local(held, looks - 1)?),
        ("local search".into(), local(held, searched - 1)?),
    ];
    let judged: Result<Vec<(String, Judged)>, TrainError> = ways
        .into_iter()
        .map(|(name, settled)| Ok((name, held.worth(&settled)?)))
        .collect();
    Ok((judged?, answer))
}

fn drawn_curve(curve: &[Point], learner: Learner) -> Result<String, TrainError> {
    let line = |name, value: fn(&Point) -> f64| Line {
        name,
        points: curve.iter().map(|p| (p.step, value(p))).collect(),
    };
    let lines = [line("missed under faults, of what the plan misses", |p| {
        p.missed
    })];
    let title = format!(
        "refinement, {}: regions that choose the weights",
        learner.word()
    );
    draw_curve(&title, "share", &lines)
}

fn told(answer: &Steps) -> String {
    let turned = Knob::ALL.iter().zip(answer).filter(|(_, step)| **step != 0);
    let told: Vec<String> = turned
        .map(|(knob, step)| format!("{} {step:+}", knob.word()))
        .collect();
    match told.is_empty() {
        true => "the plan as it is".into(),
        false => told.join(", "),
    }
}

/// Ways of refining beside each other.
fn table(judged: &[(String, Judged)]) -> String {
    let mut table = String::from(
        "\nOn regions held back, on random numbers that no look had. But for the one answer, a plan is kept as it is where nothing that was looked at is better.\n\n\
             | | looks | missed under faults, of what the plan misses | instances cost more | missed more without a fault | better | worse |\n\
             |---|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, j) in judged {
        let _ = writeln!(
            table,
            "| {name} | {:.0} | {:.3} | {:.2}% | {:.3}% | {} | {} |",
            j.looks,
            j.missed,
            100.0 * j.cost,
            100.0 * j.undisturbed,
            j.better,
            j.worse
        );
    }
    table
}

/// What whoever trains wants to know.
fn card(
    options: &Options,
    trained: &Trained,
    best: Point,
    [learned, chosen, held]: [usize; 3],
    judged: &[(String, Judged)],
    answer: Option<&Steps>,
) -> String {
    let recipe = &options.recipe;
    let families = |all: &[Family]| {
        all.iter()
            .map(|f| f.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let last = trained.curve.last();
    let mut card = format!(
        "# {NAME}: {}\n\nA graph neural network that turns the knobs of a planned region in {ROUNDS} rounds, seeing after each what the region shows under faults in simulation.\n\n",
        recipe.learner.word()
    );
    let rows = [
        ("command", format!("`{}`", options.command)),
        ("seed", recipe.seed.to_string()),
        ("weights", trained.team.num_params().to_string()),
        (
            "training",
            format!(
                "{} of {} updates of {} episodes of {} regions; weights of update {} kept; {:.1} minutes",
                last.map_or(0, |p| p.step),
                recipe.updates,
                recipe.episodes,
                recipe.batch,
                best.step,
                last.map_or(0.0, |p| p.seconds) / 60.0,
            ),
        ),
        (
            "data",
            format!(
                "{learned} regions of the families {}, in which faults are felt; {chosen} others of them say which weights are kept; {held} of the families {} are held back and looked at once",
                families(&Family::TRAINING),
                families(&Family::HELD_OUT)
            ),
        ),
        (
            "one answer for all services",
            answer.map_or_else(|| "not looked for yet".into(), told),
        ),
    ];
    card += &facts(&rows);
    if judged.is_empty() {
        card += "\nNot all updates are done: regions held back were not looked at.\n";
    } else {
        card += &table(judged);
    }
    let _ = write!(
        card,
        "\n![learning curve]({}.svg)\n\n| update | gained in training | price | regions that choose: missed | cost | without a fault |\n|---:|---:|---:|---:|---:|---:|\n",
        file_name(recipe.learner)
    );
    for p in some_of(&trained.curve) {
        let _ = writeln!(
            card,
            "| {} | {:.4} | {:.2} | {:.3} | {:.2}% | {:.3}% |",
            p.step,
            p.reward,
            p.price,
            p.missed,
            100.0 * p.cost,
            100.0 * p.undisturbed
        );
    }
    card
}
