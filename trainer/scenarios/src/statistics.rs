//! What call graphs are compared by.

use foremesh_model::ServiceGraph;
use petgraph::{Direction, algo::tarjan_scc};
use serde::Serialize;

/// The figures of a call graph. A call of a service to itself counts nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GraphStatistics {
    /// Services.
    pub services: usize,
    /// Kinds of calls.
    pub calls: usize,
    /// Share of the services that call others and are called by none, 0 … 1.
    pub roots: f64,
    /// Share of the services that call none, 0 … 1.
    pub leaves: f64,
    /// Share of the services that two or more others call, 0 … 1.
    pub shared: f64,
    /// Kinds of calls that a service which calls at all makes, on average.
    pub calls_by_caller: f64,
    /// The most that one service makes.
    pub most_made: usize,
    /// The most callers that one service has.
    pub most_callers: usize,
    /// Share of all kinds of calls that go to the most called hundredth of the services (one at least), 0 … 1.
    pub to_hubs: f64,
    /// Calls along the longest way from a service to another, a circle taken as one service.
    pub depth: usize,
    /// Share of the services that stand in circles, 0 … 1.
    pub in_circles: f64,
    /// Services in the largest circle; 0: there is none.
    pub largest_circle: usize,
}

impl GraphStatistics {
    /// The figures of a graph; zeros for an empty one.
    #[must_use]
    pub fn of(graph: &ServiceGraph) -> Self {
        let petgraph = graph.petgraph();
        let degree = |direction| -> Vec<usize> {
            petgraph
                .node_indices()
                .map(|node| {
                    let others = petgraph.neighbors_directed(node, direction);
                    others.filter(|other| *other != node).count()
                })
                .collect()
        };
        let (made, mut callers) = (degree(Direction::Outgoing), degree(Direction::Incoming));
        let services = graph.len();
        let calls: usize = made.iter().sum();
        let calling = made.iter().filter(|made| **made > 0).count();
        let roots = made
            .iter()
            .zip(&callers)
            .filter(|(m, c)| **m > 0 && **c == 0)
            .count();
        let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
        let shared = callers.iter().filter(|c| **c >= 2).count();

        // Tarjan answers components callees first.
        let components = tarjan_scc(petgraph);
        let mut of = vec![0; services];
        let mut height = vec![0usize; components.len()];
        for (i, members) in components.iter().enumerate() {
            for member in members {
                of[member.index()] = i;
            }
            let below = members
                .iter()
                .flat_map(|member| petgraph.neighbors(*member));
            height[i] = below
                .filter(|callee| of[callee.index()] != i)
                .map(|callee| height[of[callee.index()]] + 1)
                .max()
                .unwrap_or(0);
        }
        let circles = || components.iter().map(Vec::len).filter(|size| *size > 1);

        callers.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
        let hubs = (services / 100).max(1);
        Self {
            services,
            calls,
            roots: share(roots, services),
            leaves: share(services - calling, services),
            shared: share(shared, services),
            calls_by_caller: share(calls, calling),
            most_made: made.iter().copied().max().unwrap_or(0),
            most_callers: callers.first().copied().unwrap_or(0),
            to_hubs: share(callers.iter().take(hubs).sum(), calls),
            depth: height.into_iter().max().unwrap_or(0),
            in_circles: share(circles().sum(), services),
            largest_circle: circles().max().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use foremesh_model::{Edge, Service, ServiceName};

    use super::*;

    #[test]
    fn a_small_graph_has_the_figures_that_one_counts() {
        let name = |n: &str| ServiceName::new(n).unwrap();
        let graph = ServiceGraph::new(
            ["web", "cart", "user", "mail", "db"]
                .map(|n| Service::named(name(n)))
                .into(),
            [
                ("web", "cart"),
                ("web", "user"),
                ("cart", "db"),
                ("user", "db"),
                ("user", "mail"),
                ("mail", "user"),
            ]
            .map(|(a, b)| Edge::between(name(a), name(b)))
            .into(),
        )
        .unwrap();
        let figures = GraphStatistics::of(&graph);
        let expected = GraphStatistics {
            services: 5,
            calls: 6,
            roots: 0.2,
            leaves: 0.2,
            shared: 0.4,
            calls_by_caller: 1.5,
            most_made: 2,
            most_callers: 2,
            to_hubs: 2.0 / 6.0,
            depth: 2,
            in_circles: 0.4,
            largest_circle: 2,
        };
        assert_eq!(figures, expected);
        assert_eq!(GraphStatistics::of(&ServiceGraph::default()).calls, 0);
    }
}
