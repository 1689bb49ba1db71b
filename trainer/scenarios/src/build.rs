//! A bare call graph becomes a region: calls, demand, services, what was observed, objectives and faults, each from its own
//! stream of random numbers, in the order in which one needs the other.

use std::cmp::Reverse;

use foremesh_model::{Demand, Edge, Service, ServiceGraph, graph::Visits};
use petgraph::{Direction, graph::NodeIndex, visit::Bfs};

use crate::{
    Options, Scenario, ScenarioError, calls, demand,
    demand::Level,
    faults, objectives, observed,
    random::Random,
    services::{Landscape, Place},
};

/// Entries of a given graph that takes requests nobody knows where.
const MOST_ENTRIES: usize = 12;

/// Draws what the graph does not say. `drawn` graphs may make stores of their leaves.
pub(crate) fn build(
    bare: &ServiceGraph,
    key: u64,
    drawn: bool,
    options: &Options,
) -> Result<Scenario, ScenarioError> {
    let services = bare.len();
    let mut random = Random::of(key, "knowledge");
    let gap = random.of_weighted(&[(0.0, 0.35), (0.05, 0.35), (0.15, 0.2), (0.5, 0.1)], 0.0);
    let traced = random.chance(0.65);
    let entries = entries(bare);
    if entries.is_empty() {
        return Err(ScenarioError::NoEntry);
    }

    let mut nodes: Vec<Service> = bare.services().cloned().collect();
    for entry in &entries {
        nodes[*entry].entry = Some(true);
    }
    let mut edges: Vec<Edge> = bare.edges().cloned().collect();
    let ends: Vec<(usize, usize)> = bare
        .petgraph()
        .raw_edges()
        .iter()
        .map(|edge| (edge.source().index(), edge.target().index()))
        .collect();
    calls::fill(
        &mut edges,
        &ends,
        &entries,
        services,
        gap,
        &mut Random::of(key, "calls"),
    )?;
    let graph = ServiceGraph::new(nodes.clone(), edges.clone())?;
    let visits = Visits::of(&graph)?;

    let mut level = Level::drawn(services, entries.len(), &mut Random::of(key, "level"));
    let per_entry = |level: &Level| {
        let mut external = vec![0.0; services];
        for (entry, share) in entries.iter().zip(&level.shares) {
            external[*entry] = level.total_rps * share;
        }
        external
    };
    if let Some(total_rps) = options.total_rps {
        level.total_rps = total_rps;
    } else {
        let all: f64 = visits.rates(&per_entry(&level)).iter().sum();
        level.total_rps *= (options.most_visits_rps / all).min(1.0);
    }
    let busiest_rps = visits.rates(&per_entry(&level));
    let named: Vec<_> = entries
        .iter()
        .zip(&level.shares)
        .map(|(entry, share)| (nodes[*entry].name.clone(), level.total_rps * share))
        .collect();
    let demand = demand::draw(&named, key, &mut Random::of(key, "demand"))?;
    let bought_rps = visits.rates(&bought(&demand, &nodes, &entries));

    let mut random = Random::of(key, "services");
    let landscape = Landscape::drawn(gap, services, &mut random);
    let calls_none: Vec<bool> = bare
        .petgraph()
        .node_indices()
        .map(|node| bare.petgraph().edges(node).next().is_none())
        .collect();
    let truth: Vec<_> = nodes
        .iter_mut()
        .enumerate()
        .map(|(i, service)| {
            let is_entry = service.entry == Some(true);
            let place = Place {
                is_entry,
                may_store: drawn && calls_none[i] && !is_entry,
                visits: busiest_rps[i] / level.total_rps,
                bought_rps: bought_rps[i],
            };
            landscape.fill(service, place, &mut random)
        })
        .collect();
    if traced {
        let known = (busiest_rps.as_slice(), truth.as_slice());
        let mut random = Random::of(key, "observed");
        observed::fill(&mut edges, &ends, &graph, &visits, known, &mut random);
    }
    let graph = ServiceGraph::new(nodes, edges)?;
    let (request, infeasible) = objectives::draw(
        &graph,
        &visits,
        &entries,
        demand.region.as_str(),
        &mut Random::of(key, "objectives"),
    )?;
    let (faults, surge) = faults::draw(&graph, &busiest_rps, &mut Random::of(key, "faults"));
    let unreached = graph
        .services()
        .zip(&busiest_rps)
        .filter(|(_, rate)| **rate <= 0.0)
        .map(|(service, _)| service.name.clone())
        .collect();
    Ok(Scenario {
        name: String::new(),
        family: None,
        graph,
        demand,
        request,
        infeasible,
        unreached,
        faults,
        surge,
    })
}

/// What capacity is bought for at each entry: the 0.99 quantile of its busiest hour with the peak within it.
fn bought(demand: &Demand, nodes: &[Service], entries: &[usize]) -> Vec<f64> {
    let mut external = vec![0.0; nodes.len()];
    for entry in entries {
        if let Some(asked) = demand.entries.get(&nodes[*entry].name) {
            external[*entry] = asked.by_step(0.99).fold(0.0, f64::max) * asked.peak_to_mean;
        }
    }
    external
}

/// Where requests enter: where a service says so, else at stateless services that nobody calls, those that reach most first; where
/// all are called, at the one that calls most.
fn entries(graph: &ServiceGraph) -> Vec<usize> {
    let petgraph = graph.petgraph();
    let said: Vec<usize> = petgraph
        .node_indices()
        .filter(|node| petgraph[*node].entry == Some(true))
        .map(|node| node.index())
        .collect();
    if !said.is_empty() {
        return said;
    }
    let stateless = petgraph
        .node_indices()
        .filter(|node| !petgraph[*node].is_stateful() && petgraph[*node].entry != Some(false));
    let is_root = |node: &NodeIndex| {
        let mut callers = petgraph.neighbors_directed(*node, Direction::Incoming);
        callers.all(|caller| caller == *node)
    };
    let mut roots: Vec<(usize, NodeIndex)> = stateless
        .clone()
        .filter(is_root)
        .map(|node| (reach(graph, node), node))
        .collect();
    if roots.is_empty() {
        let most = stateless.max_by_key(|node| (petgraph.edges(*node).count(), Reverse(*node)));
        return most.map(NodeIndex::index).into_iter().collect();
    }
    roots.sort_by_key(|(reach, node)| (Reverse(*reach), *node));
    // A root that calls nobody in a graph of others is no entry but what was left over.
    let calling = roots.iter().filter(|(reach, _)| *reach > 1).count();
    let mut entries: Vec<usize> = roots
        .into_iter()
        .take(calling.clamp(1, MOST_ENTRIES))
        .map(|(_, node)| node.index())
        .collect();
    entries.sort_unstable();
    entries
}

/// How many services a request that enters at one can reach, itself among them.
fn reach(graph: &ServiceGraph, from: NodeIndex) -> usize {
    let mut walk = Bfs::new(graph.petgraph(), from);
    let mut reached = 0;
    while walk.next(graph.petgraph()).is_some() {
        reached += 1;
    }
    reached
}
