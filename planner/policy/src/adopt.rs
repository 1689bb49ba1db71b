//! Which of a proposal's values are taken over from it, and which keep what is already in force.
//!
//! A forecast moves a little every day; settings must not. A value that is near its prior one is held. Values that only make
//! sense together are held or followed together (a [`Unit`]): a schedule with its standby, the limits of a caller's proxies
//! with the number of proxies they were derived from, a timeout with its attempts. What is held is checked against what the
//! *proposal* needs, and released where it would be unsafe.

mod connections;
mod limits;
mod merge;
mod near;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::Settings;
use serde_json::Value;

use crate::{guards, paths::leaves};
use merge::Merge;

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// What is to be in force, without needs.
    pub adopted: Settings,
    /// Paths of the values that differ from the prior ones; a service, edge or entry that came or went is one path.
    pub moved: Vec<String>,
    /// Paths of the values that keep the prior one although another was proposed.
    pub held: Vec<String>,
    /// Paths of the values that were near their prior ones but could not keep them, each with the reason.
    pub released: Vec<(String, String)>,
}

/// Values that are held or followed together, named by the common start of their paths.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unit(pub String);

/// Merges a proposal into what is in force.
///
/// `tolerance` is a share (0.1: ten percent). A number is held when it moved by no more; a count up to 10 when it moved by no
/// more than one, up to 20 by no more than two; from a tolerance of 0.05 on also when it moved to the neighbouring step of the rounding, because a small move
/// crosses from one step to the next. A schedule is compared hour by hour at the same instant, with at least one instance
/// allowed, and held whole. Names, choices and lists always follow. 0 holds nothing.
///
/// What the prior settings needed in their time does not count. The result keeps every guard that the proposal keeps, also with
/// the proposal's needs, and equals the prior settings (both without needs) exactly when nothing moved.
pub fn adopt(prior: &Settings, proposed: &Settings, tolerance: f64) -> Adoption {
    let tolerance = if tolerance.is_finite() {
        tolerance.max(0.0)
    } else {
        0.0
    };
    let prior = &prior.clone().without_needs();
    let mut released = BTreeMap::new();
    let adopted = if tolerance == 0.0 || prior.format_version != proposed.format_version {
        proposed.clone()
    } else {
        settle(prior, proposed, tolerance, &mut released)
    }
    .without_needs();
    let proposed = &proposed.clone().without_needs();
    let (moved, held) = compare(prior, proposed, &adopted);
    let moved_set: BTreeSet<&String> = moved.iter().collect();
    Adoption {
        released: released
            .into_iter()
            .flat_map(|(Unit(prefix), why): (Unit, String)| {
                let paths: Vec<String> = moved_set
                    .iter()
                    .filter(|path| path.starts_with(&prefix))
                    .map(|path| (*path).clone())
                    .collect();
                paths.into_iter().map(move |path| (path, why.clone()))
            })
            .collect::<BTreeMap<String, String>>()
            .into_iter()
            .collect(),
        adopted,
        moved,
        held,
    }
}

/// Holds what is near, then releases until the merge is safe.
fn settle(
    prior: &Settings,
    proposed: &Settings,
    tolerance: f64,
    released: &mut BTreeMap<Unit, String>,
) -> Settings {
    // Each round releases at least one unit or ends; a proposal that breaks guards itself ends it too.
    loop {
        let merge = Merge::of(prior, proposed, tolerance, released);
        let unsafe_units = merge.unsafe_units();
        let (adopted, held) = (merge.adopted, merge.held);
        let before = released.len();
        for (unit, why) in unsafe_units {
            released.entry(unit).or_insert(why);
        }
        if released.len() > before {
            continue;
        }
        if !guards::check(&adopted).is_empty() && guards::check(proposed).is_empty() {
            for unit in held {
                released.insert(
                    unit,
                    "the values around it moved, and it fits them no longer".into(),
                );
            }
            return proposed.clone();
        }
        return adopted;
    }
}

/// Paths that differ between prior and adopted, and paths where adopted kept the prior value against the proposal.
fn compare(
    prior: &Settings,
    proposed: &Settings,
    adopted: &Settings,
) -> (Vec<String>, Vec<String>) {
    let of = |settings: &Settings| {
        leaves(settings)
            .into_iter()
            .collect::<BTreeMap<String, Value>>()
    };
    let (before, wanted, after) = (of(prior), of(proposed), of(adopted));
    let mut moved = BTreeSet::new();
    let mut held = Vec::new();
    let present = |settings: &Settings, path: &str| whole(settings, path);
    for (path, value) in &after {
        match before.get(path) {
            Some(old) if old == value => {
                if wanted.get(path).is_some_and(|w| w != value) {
                    held.push(path.clone());
                }
            }
            Some(_) => {
                moved.insert(path.clone());
            }
            None => {
                moved.insert(present(prior, path));
            }
        }
    }
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        moved.insert(present(adopted, path));
    }
    (moved.into_iter().collect(), held)
}

/// The path of the whole service, edge or entry where `settings` does not hold it, else the path itself.
fn whole(settings: &Settings, path: &str) -> String {
    let Some((map, rest)) = path.split_once("[\"") else {
        return path.into();
    };
    let Some((name, _)) = rest.split_once("\"]") else {
        return path.into();
    };
    let held = match map {
        "services" => settings.services.keys().any(|n| n.as_str() == name),
        "entries" => settings.entries.keys().any(|n| n.as_str() == name),
        "stateful_services" => settings
            .stateful_services
            .keys()
            .any(|n| n.as_str() == name),
        "connections" => settings.connections.keys().any(|n| n.to_string() == name),
        _ => settings.edges.keys().any(|n| n.to_string() == name),
    };
    if held {
        path.into()
    } else {
        format!("{map}[\"{name}\"]")
    }
}
