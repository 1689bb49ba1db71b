//! The traffic equations λ = γ + Pᵀλ, solved circle by circle.
//!
//! γ is what enters from outside, P\[i\]\[j\] the calls that i makes to j for each request that reaches i. Services in no
//! circle follow from their callers in topological order; each circle (strongly connected component) is a small
//! dense system. For a non-negative irreducible P the solution is non-negative exactly when its spectral radius is
//! below 1 (Berman & Plemmons, *Nonnegative Matrices*, theorem 6.2.3): that is the check for calls that feed on themselves.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};

use super::{GraphError, ServiceGraph};

/// The order and the circles of a graph, checked once and used for any number of demand vectors.
#[derive(Debug, Clone)]
pub struct Visits {
    /// Components in the order of calls (callers first); a single service without a call to itself is its own component.
    components: Vec<Component>,
    /// Calls (caller, callee, fan-out) by caller.
    calls: Vec<Vec<(usize, f64)>>,
}

#[derive(Debug, Clone)]
struct Component {
    members: Vec<usize>,
    /// (I − Pᵀ)⁻¹ restricted to the members, by row; empty for a single service without a call to itself.
    inverse: Vec<f64>,
}

impl Visits {
    /// Prepares the equations of a graph.
    ///
    /// # Errors
    /// [`GraphError::Explosive`] when calls around a circle make at least one more of themselves.
    pub fn of(graph: &ServiceGraph) -> Result<Self, GraphError> {
        let petgraph = graph.petgraph();
        let calls: Vec<Vec<(usize, f64)>> = petgraph
            .node_indices()
            .map(|node| {
                let mut out: Vec<_> = petgraph
                    .edges(node)
                    .map(|e| (e.target().index(), e.weight().fan_out()))
                    .collect();
                out.sort_by_key(|(callee, _)| *callee);
                out
            })
            .collect();
        Self::of_calls(calls, |service| {
            petgraph[NodeIndex::new(service)].name.to_string()
        })
    }

    /// Prepares the equations of calls (callee, fan-out) by caller, whatever made them; `name` names a service in an error.
    ///
    /// # Errors
    /// [`GraphError::Explosive`] when calls around a circle make at least one more of themselves.
    pub fn of_calls(
        mut calls: Vec<Vec<(usize, f64)>>,
        name: impl Fn(usize) -> String,
    ) -> Result<Self, GraphError> {
        let mut graph = DiGraph::<(), ()>::new();
        let nodes: Vec<NodeIndex> = calls.iter().map(|_| graph.add_node(())).collect();
        for (caller, out) in calls.iter_mut().enumerate() {
            out.retain(|(callee, _)| *callee < nodes.len());
            for (callee, _) in out {
                graph.add_edge(nodes[caller], nodes[*callee], ());
            }
        }
        // Tarjan answers components callees first.
        let mut components = Vec::new();
        for scc in tarjan_scc(&graph).into_iter().rev() {
            let mut members: Vec<usize> = scc.into_iter().map(|node| node.index()).collect();
            members.sort_unstable();
            let circle = members.len() > 1
                || calls[members[0]]
                    .iter()
                    .any(|(callee, _)| *callee == members[0]);
            let inverse = if circle {
                invert(&members, &calls, &name)?
            } else {
                Vec::new()
            };
            components.push(Component { members, inverse });
        }
        Ok(Self { components, calls })
    }

    /// Solves λ = γ + Pᵀλ: requests a second at every service (in order of name) for those that enter from outside.
    pub fn rates(&self, external_rps: &[f64]) -> Vec<f64> {
        let mut rates = external_rps.to_vec();
        rates.resize(self.calls.len(), 0.0);
        for component in &self.components {
            let n = component.members.len();
            if !component.inverse.is_empty() {
                let inflow: Vec<f64> = component.members.iter().map(|m| rates[*m]).collect();
                for (row, member) in component.members.iter().enumerate() {
                    rates[*member] = (0..n)
                        .map(|column| component.inverse[row * n + column] * inflow[column])
                        .sum();
                }
            }
            for member in &component.members {
                for (callee, fan_out) in &self.calls[*member] {
                    if component.members.binary_search(callee).is_err() {
                        rates[*callee] += rates[*member] * fan_out;
                    }
                }
            }
        }
        rates
    }

    /// The services in the order of calls, callers first; members of a circle stand together.
    pub fn order(&self) -> impl Iterator<Item = usize> + '_ {
        self.components
            .iter()
            .flat_map(|component| component.members.iter().copied())
    }

    /// The circles: components in which a service reaches itself.
    pub fn circles(&self) -> impl Iterator<Item = &[usize]> + '_ {
        self.components
            .iter()
            .filter(|c| !c.inverse.is_empty())
            .map(|c| c.members.as_slice())
    }
}

/// Gauss–Jordan on I − Pᵀ of one circle.
fn invert(
    members: &[usize],
    calls: &[Vec<(usize, f64)>],
    name: &impl Fn(usize) -> String,
) -> Result<Vec<f64>, GraphError> {
    let n = members.len();
    let mut p = vec![0.0; n * n];
    for (column, member) in members.iter().enumerate() {
        for (callee, fan_out) in &calls[*member] {
            if let Ok(row) = members.binary_search(callee) {
                p[row * n + column] += *fan_out;
            }
        }
    }
    let explosive = || GraphError::Explosive {
        services: members.iter().map(|m| name(*m)).collect(),
        gain: spectral_radius(&p, n),
    };
    let mut left: Vec<f64> = (0..n * n)
        .map(|i| f64::from(i / n == i % n) - p[i])
        .collect();
    let mut right: Vec<f64> = (0..n * n).map(|i| f64::from(i / n == i % n)).collect();
    for pivot in 0..n {
        let best = (pivot..n)
            .max_by(|a, b| {
                left[a * n + pivot]
                    .abs()
                    .total_cmp(&left[b * n + pivot].abs())
            })
            .unwrap_or(pivot);
        if left[best * n + pivot].abs() < 1e-9 {
            return Err(explosive());
        }
        for column in 0..n {
            left.swap(pivot * n + column, best * n + column);
            right.swap(pivot * n + column, best * n + column);
        }
        let scale = left[pivot * n + pivot];
        for column in 0..n {
            left[pivot * n + column] /= scale;
            right[pivot * n + column] /= scale;
        }
        for row in (0..n).filter(|row| *row != pivot) {
            let factor = left[row * n + pivot];
            if factor != 0.0 {
                for column in 0..n {
                    left[row * n + column] -= factor * left[pivot * n + column];
                    right[row * n + column] -= factor * right[pivot * n + column];
                }
            }
        }
    }
    if right.iter().any(|v| *v < -1e-9) {
        Err(explosive())
    } else {
        Ok(right)
    }
}

/// Power iteration on I + P, whose dominant eigenvalue is 1 + ρ(P) for an irreducible non-negative P.
fn spectral_radius(p: &[f64], n: usize) -> f64 {
    let mut vector = vec![1.0; n];
    let mut radius = 0.0;
    for _ in 0..500 {
        let next: Vec<f64> = (0..n)
            .map(|row| {
                vector[row]
                    + (0..n)
                        .map(|column| p[row * n + column] * vector[column])
                        .sum::<f64>()
            })
            .collect();
        let norm = next.iter().copied().fold(0.0, f64::max);
        radius = norm - 1.0;
        vector = next.into_iter().map(|v| v / norm).collect();
    }
    radius
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Edge, Service, ServiceName};

    fn graph(edges: &[(&str, &str, f64)]) -> ServiceGraph {
        let mut names: Vec<&str> = edges.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        names.sort_unstable();
        names.dedup();
        let name = |n: &str| ServiceName::new(n).unwrap();
        ServiceGraph::new(
            names.iter().map(|n| Service::named(name(n))).collect(),
            edges
                .iter()
                .map(|(a, b, f)| Edge {
                    fan_out: Some(*f),
                    ..Edge::between(name(a), name(b))
                })
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_diamond_adds_both_ways() {
        let visits = Visits::of(&graph(&[
            ("a", "b", 2.0),
            ("a", "c", 0.5),
            ("b", "d", 1.0),
            ("c", "d", 3.0),
        ]))
        .unwrap();
        assert_eq!(
            visits.rates(&[10.0, 0.0, 0.0, 0.0]),
            vec![10.0, 20.0, 5.0, 35.0]
        );
    }

    #[test]
    fn a_circle_below_one_settles() {
        let visits = Visits::of(&graph(&[("a", "b", 1.0), ("b", "a", 0.5)])).unwrap();
        let rates = visits.rates(&[10.0, 0.0]);
        assert!(
            (rates[0] - 20.0).abs() < 1e-9 && (rates[1] - 20.0).abs() < 1e-9,
            "{rates:?}"
        );
    }

    #[test]
    fn a_circle_of_one_or_more_is_named() {
        for fan_out in [1.0, 2.0] {
            let error = Visits::of(&graph(&[
                ("a", "b", 1.0),
                ("b", "a", fan_out),
                ("x", "a", 1.0),
            ]))
            .unwrap_err();
            let GraphError::Explosive { services, gain } = error else {
                panic!("{error}")
            };
            assert_eq!(services, ["a", "b"]);
            assert!((gain - f64::sqrt(fan_out)).abs() < 0.01, "{gain}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_equations_hold(seeds in proptest::collection::vec((0usize..8, 0usize..8, 0.0f64..0.4), 1..20)) {
            let mut seen = std::collections::BTreeSet::new();
            let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
            let edges: Vec<_> = seeds.iter().filter(|(a, b, _)| seen.insert((*a, *b))).map(|(a, b, f)| (names[*a], names[*b], *f)).collect();
            let graph = graph(&edges);
            let Ok(visits) = Visits::of(&graph) else { return Ok(()) };
            let external: Vec<f64> = (0..graph.len()).map(|i| i as f64).collect();
            let rates = visits.rates(&external);
            for node in graph.petgraph().node_indices() {
                let inflow: f64 = graph.petgraph().edges_directed(node, petgraph::Direction::Incoming)
                    .map(|e| rates[e.source().index()] * e.weight().fan_out()).sum();
                let expected = external[node.index()] + inflow;
                proptest::prop_assert!((rates[node.index()] - expected).abs() <= 1e-6 * (1.0 + expected));
            }
        }
    }
}
