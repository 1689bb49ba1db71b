//! Regions drawn from a seed: a call graph, what its services can do, what is asked of them and what must be reached.
//!
//! The policy is trained on them, compared with others on them, and tested for what it must never do. They look like real
//! regions in what was measured of those (`STATISTICS.md`), and each is the same wherever and whenever it is drawn.
//!
//! - [`scenario`] draws everything; the call graph follows one of the families of [`Family`], of which some are never trained on.
//! - [`dress`] takes a call graph that was observed, keeps what is known of it and draws the rest.
//! - [`GraphStatistics`] is what the two are compared by.
//!
//! Pure: no clock, no file, no network.

mod build;
mod calls;
mod demand;
mod error;
mod family;
mod faults;
mod gain;
mod objectives;
mod observed;
mod random;
mod services;
mod shape;
mod statistics;

use foremesh_model::{
    Demand, Edge, Fault, ProfileRequest, Service, ServiceGraph, ServiceName,
    random::{mix, text_key},
};
use serde::{Deserialize, Serialize};

pub use error::ScenarioError;
pub use family::Family;
pub use statistics::GraphStatistics;

/// The most services of a scenario.
pub const MOST_SERVICES: usize = 100_000;

/// A region to plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// What it is called in tables: family, services and seed, or the name that was given.
    pub name: String,
    /// The family that its call graph was drawn from; null: the graph was given.
    pub family: Option<Family>,
    /// Which service calls which, and what is known of each.
    pub graph: ServiceGraph,
    /// What will be asked of it, as it is encoded (see [`Demand::canonical`]).
    pub demand: Demand,
    /// Objectives and costs.
    pub request: ProfileRequest,
    /// The objective of one entry lies below what its services take with no wait at all: no plan keeps it.
    pub infeasible: bool,
    /// Services that no request reaches, in order of name.
    pub unreached: Vec<ServiceName>,
    /// What may well go wrong; seconds count from the start of a simulation.
    pub faults: Vec<Fault>,
    /// How many times the forecast demand a surge brings.
    pub surge: f64,
}

/// What is not left to the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Requests a second that enter in the median of each entry's busiest hour, all entries together; none: drawn between 1 and 3,000.
    pub total_rps: Option<f64>,
    /// Requests a second that all services together answer in that hour: above it a drawn `total_rps` is lowered. What a
    /// simulation costs grows with it.
    pub most_visits_rps: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            total_rps: None,
            most_visits_rps: 60_000.0,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), ScenarioError> {
        let wrong = |value: f64| !(value.is_finite() && value > 0.0);
        let fields = [
            ("total_rps", self.total_rps.unwrap_or(1.0)),
            ("most_visits_rps", self.most_visits_rps),
        ];
        match fields.into_iter().find(|(_, value)| wrong(*value)) {
            Some((field, value)) => Err(ScenarioError::Option { field, value }),
            None => Ok(()),
        }
    }
}

/// Draws a region of so many services. Equal arguments give equal bytes.
///
/// # Errors
/// [`ScenarioError::NoService`] for 0 services, [`ScenarioError::TooMany`] above [`MOST_SERVICES`].
pub fn scenario(family: Family, services: usize, seed: u64) -> Result<Scenario, ScenarioError> {
    scenario_with(family, services, seed, &Options::default())
}

/// The same, with what the caller decides.
///
/// # Errors
/// As [`scenario`], and [`ScenarioError::Option`] for a number that is not above 0.
pub fn scenario_with(
    family: Family,
    services: usize,
    seed: u64,
    options: &Options,
) -> Result<Scenario, ScenarioError> {
    options.check()?;
    if services > MOST_SERVICES {
        return Err(ScenarioError::TooMany {
            services,
            most: MOST_SERVICES,
        });
    }
    if services == 0 {
        return Err(ScenarioError::NoService);
    }
    let key = mix(mix(text_key(family.as_str()), services as u64), seed);
    let shape = shape::shape(family, services, &mut random::Random::of(key, "shape"));
    let name = |service: usize| ServiceName::new(format!("{family}/s{service:05}"));
    let mut nodes = Vec::with_capacity(services);
    for service in 0..services {
        nodes.push(Service {
            entry: shape.entries.contains(&service).then_some(true),
            ..Service::named(name(service)?)
        });
    }
    let mut edges = Vec::with_capacity(shape.calls.len());
    for (caller, callee) in shape.calls {
        edges.push(Edge::between(name(caller)?, name(callee)?));
    }
    let graph = ServiceGraph::new(nodes, edges)?;
    let mut scenario = build::build(&graph, key, true, options)?;
    scenario.name = format!("{family}-{services}-{seed}");
    scenario.family = Some(family);
    Ok(scenario)
}

/// Makes a region of a call graph that was observed: its topology and whatever is known of services and calls stay, the rest
/// is drawn, demand, objectives and faults with it. Requests enter where a service says so, else at the services that no
/// other calls (the 12 that reach most, where there are more). Only a circle of known fan-outs that would grow without
/// end is lowered. Services are stores only where the graph says so.
///
/// # Errors
/// [`ScenarioError`] where the graph is empty, holds nothing but stores, or a capacity that cannot be.
pub fn dress(
    name: &str,
    graph: &ServiceGraph,
    seed: u64,
    options: &Options,
) -> Result<Scenario, ScenarioError> {
    options.check()?;
    if graph.is_empty() {
        return Err(ScenarioError::NoService);
    }
    let key = mix(text_key(name), seed);
    let mut scenario = build::build(graph, key, false, options)?;
    scenario.name = name.into();
    Ok(scenario)
}
