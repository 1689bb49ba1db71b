//! From options to files: draws regions, trains, judges beside others, writes card and learning curve.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use burn::{module::Module, tensor::Device};
use foremesh_model::random::mix;
use foremesh_policy::{
    drill::{Drill, Knob, LOOKS, ROUNDS, Steps},
    gnn::KEY_MOST_SERVICES,
};
use foremesh_scenarios::Family;

use super::{
    agents::Preferring,
    export::export,
    judge::{Held, Judged},
    recipe::{Learner, Point, Recipe},
    regions::{Draw, SERVICES, draw, drills},
    train::{Job, Trained, train},
    ways::{Alike, AtRandom, answered, local, one_answer, refined, settled_by},
};
use crate::{
    TrainError,
    learning::{Line, draw as draw_curve, facts, made, some_of, write, write_model},
};

/// The name of what is written.
pub const NAME: &str = "refinement";

/// The seed of the regions held back, which no training may have.
const HELD_BACK_SEED: u64 = u64::MAX;
/// The seed of those of the learning curve.
const VALIDATION_SEED: u64 = HELD_BACK_SEED - 1;
/// Regions on which the one answer for all services is looked for.
const ANSWERED: usize = 60;

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
    pub const HELD_BACK: usize = 120;
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
    /// The last point of it, whose weights were kept.
    pub kept: Point,
    /// Weights of the nets.
    pub weights: usize,
    /// Ways of refining and what they are worth on regions held back; none before all updates are done. The second is what plans do.
    pub judged: Vec<(String, Judged)>,
    /// What was written: card, curve, and of Q-learning the model that plans refine settings with.
    pub files: Vec<PathBuf>,
}

/// Trains, from the checkpoint where there is one, and judges the last weights.
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
    let drawn_validation = drawn_of(&Family::TRAINING, recipe.validation, VALIDATION_SEED)?;
    let drawn_held = drawn_of(&Family::HELD_OUT, options.held_back, HELD_BACK_SEED)?;
    let to_learn = drills(&drawn, true)?;
    let to_follow = drills(&drawn_validation, false)?;
    let to_judge = drills(&drawn_held, false)?;
    for (empty, drawn, what) in [
        (to_learn.is_empty(), recipe.regions, "to learn on"),
        (
            to_follow.is_empty(),
            recipe.validation,
            "for the learning curve",
        ),
        (to_judge.is_empty(), options.held_back, "to be held back"),
    ] {
        if empty {
            return Err(TrainError::NothingToLearn { drawn, what });
        }
    }
    let validation = Held::of(&to_follow, VALIDATION_SEED)?;
    let name = file_name(recipe.learner);
    let trained = train(Job {
        recipe: recipe.clone(),
        drills: &to_learn,
        held: &validation,
        folder: Some(options.output.join(format!(".{name}.checkpoint"))),
        time: options.time,
        device: options.device.clone(),
        progress,
    })?;
    let kept = *trained.curve.last().ok_or(TrainError::NothingTrained)?;
    // What is held back is looked at once, when all is done.
    let judged = match trained.done {
        true => {
            let held = Held::of(&to_judge, HELD_BACK_SEED)?;
            judge_all(options, &trained, &held, &to_learn)?
        }
        false => Vec::new(),
    };
    let file = match recipe.learner {
        Learner::Dqn => {
            let metadata = [
                ("foremesh.command", options.command.clone()),
                ("foremesh.seed", recipe.seed.to_string()),
                ("foremesh.steps", kept.step.to_string()),
                (KEY_MOST_SERVICES, SERVICES[1].to_string()),
            ];
            let preferring = Preferring::of(&trained.team, recipe.learner, &options.device);
            Some(export(&preferring, &metadata)?)
        }
        // Odds of policies are not exported: Q-learning's net refined better.
        Learner::Ppo(_) => None,
    };
    let card = card(
        options,
        &trained,
        kept,
        file.as_deref(),
        [to_learn.len(), validation.len(), to_judge.len()],
        &judged,
    );
    let curve = drawn_curve(&trained.curve, recipe.learner)?;
    let files = match &file {
        Some(file) => write_model(&options.output, &name, file, &card, &curve)?.to_vec(),
        None => {
            let paths = ["md", "svg"].map(|kind| options.output.join(format!("{name}.{kind}")));
            write(&paths[0], card.as_bytes())?;
            write(&paths[1], curve.as_bytes())?;
            paths.to_vec()
        }
    };
    Ok(Report {
        done: trained.done,
        weights: trained.team.num_params(),
        curve: trained.curve,
        kept,
        judged,
        files,
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
) -> Result<Vec<(String, Judged)>, TrainError> {
    let (learner, device) = (options.recipe.learner, &options.device);
    let some: Vec<&Drill<'_>> = to_learn.iter().take(ANSWERED).collect();
    let answer = one_answer(&some, options.recipe.seed)?;
    let word = learner.word();
    let searched = options.searched.max(1);
    let team = &trained.team;
    let preferring = Preferring::of(team, learner, device);
    let alike = Alike::learned(&some, options.recipe.seed)?;
    let random = |i| AtRandom(mix(held.seed, i));
    let ways = [
        (word.to_owned(), settled_by(held, team, learner, device)?),
        (
            format!("refined in the order of {word}"),
            refined(held, |_| preferring.clone(), LOOKS)?,
        ),
        (
            format!("refined in one order for all services: {} …", alike.told()),
            refined(held, |_| alike.clone(), LOOKS)?,
        ),
        (
            "refined in an order at random".into(),
            refined(held, random, LOOKS)?,
        ),
        (
            format!("one answer for all services: {}", told(&answer)),
            answered(held, &answer),
        ),
        ("local search".into(), local(held, ROUNDS)?),
        ("local search".into(), local(held, LOOKS - 1)?),
        ("local search".into(), local(held, searched - 1)?),
    ];
    ways.into_iter()
        .map(|(name, settled)| Ok((name, held.worth(&settled)?)))
        .collect()
}

fn drawn_curve(curve: &[Point], learner: Learner) -> Result<String, TrainError> {
    let line = |name, value: fn(&Point) -> f64| Line {
        name,
        points: curve.iter().map(|p| (p.step, value(p))).collect(),
    };
    let lines = [line("missed under faults, of what the plan misses", |p| {
        p.missed
    })];
    let title = format!("refinement, {}: regions not learned on", learner.word());
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
        "\nOn regions held back, planned by formulas alone, under drawn faults; judged on random numbers that no look had. \"Refined\" is what plans do: rounds, a local search in an order, \
             what does not matter is put back, and the plan stays as it is where other random numbers do not agree. The others, but for the one answer, keep what was best on those that it was found on.\n\n\
             | | looks | missed under faults, of what the plan misses | 90% interval | instances cost more | missed more without a fault | better | worse |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for (name, j) in judged {
        let _ = writeln!(
            table,
            "| {name} | {:.0} | {:.3} | {:.3} to {:.3} | {:.2}% | {:.3}% | {} | {} |",
            j.looks,
            j.missed,
            j.missed_between[0],
            j.missed_between[1],
            100.0 * j.cost,
            100.0 * j.undisturbed,
            j.better,
            j.worse
        );
    }
    if let [_, (_, plans), (alike, one), (random, drawn), ..] = judged {
        let [low, high] = plans.beside(one, HELD_BACK_SEED);
        let [lower, higher] = plans.beside(drawn, HELD_BACK_SEED);
        let _ = writeln!(
            table,
            "\nOf what is missed {alike}, the second row misses {low:.3} to {high:.3} (90%, a bootstrap over regions); of what is missed {random}, {lower:.3} to {higher:.3}."
        );
    }
    table
}

/// What whoever trains wants to know.
fn card(
    options: &Options,
    trained: &Trained,
    kept: Point,
    file: Option<&[u8]>,
    [learned, followed, held]: [usize; 3],
    judged: &[(String, Judged)],
) -> String {
    let recipe = &options.recipe;
    let families = |all: &[Family]| {
        all.iter()
            .map(|f| f.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut card = format!(
        "# {NAME}: {}\n\nA graph neural network that turns the knobs of a planned region in {ROUNDS} rounds, seeing after each what the region shows under faults in simulation.\n\n",
        recipe.learner.word()
    );
    let net = format!(
        "{} weights, the critic's among them",
        trained.team.num_params()
    );
    let mut rows = match file {
        Some(file) => {
            let name = file_name(recipe.learner);
            made(&name, file, net, &options.command, recipe.seed)
        }
        None => vec![
            ("command", format!("`{}`", options.command)),
            ("seed", recipe.seed.to_string()),
            ("net", net),
        ],
    };
    rows.extend([
        (
            "training",
            format!(
                "{} of {} updates of {} episodes of {} regions; the last averaged weights are kept; {:.1} minutes",
                kept.step,
                recipe.updates,
                recipe.episodes,
                recipe.batch,
                kept.seconds / 60.0,
            ),
        ),
        (
            "data",
            format!(
                "{learned} regions of the families {}, in which faults are felt; {followed} others of them draw the learning curve; {held} of the families {} are held back and looked at once",
                families(&Family::TRAINING),
                families(&Family::HELD_OUT)
            ),
        ),
    ]);
    card += &facts(&rows);
    if judged.is_empty() {
        card += "\nNot all updates are done: regions held back were not looked at.\n";
    } else {
        card += &table(judged);
    }
    let _ = write!(
        card,
        "\n![learning curve]({}.svg)\n\n| update | gained in training | price | regions not learned on: missed | cost | without a fault |\n|---:|---:|---:|---:|---:|---:|\n",
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
