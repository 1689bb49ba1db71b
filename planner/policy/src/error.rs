//! Why no settings could be computed at all. What can be planned around is a warning instead.

use foremesh_model::{GraphError, station::CapacityFault};
use foremesh_simulate::SimulateError;
use thiserror::Error;

use crate::gnn::NetworkError;

/// Why no settings could be computed at all.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PolicyError {
    /// The graph holds no service.
    #[error(
        "the service graph holds no service: give manifests, traces or a graph file in `graph`, or `calls` in the catalogue"
    )]
    EmptyGraph,
    /// Calls feed on themselves, or the graph is otherwise impossible.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The demand covers no time.
    #[error(
        "the demand holds no step: plan the region with a horizon of at least one hour and at least one entry service"
    )]
    NoDemand,
    /// No entry of the demand is a service of the graph.
    #[error(
        "no service of the graph is called like an entry of the demand ({entries}); the graph holds {known}: \
         name the services alike in the history and in the graph"
    )]
    NoEntry {
        /// The entries of the demand.
        entries: String,
        /// The services of the graph, the first few.
        known: String,
    },
    /// A candidate could not be simulated.
    #[error(
        "a plan cannot be simulated: {0}; `policy = \"analytic\"` with `prove_faults = 0` plans without simulation"
    )]
    Simulate(#[from] SimulateError),
    /// The learned policy gives no answer.
    #[error(
        "{0}; name another net in `inference.policy_model`, or plan without one: `policy = \"analytic\"`, or `\"search\"` with `inference.policy_model = \"none\"`"
    )]
    Network(#[from] NetworkError),
    /// The net that says how settings are refined gives no answer.
    #[error("{0}; `inference.refinement_model = \"none\"` plans without")]
    Refinement(NetworkError),
    /// The learned policy is asked for where there is none.
    #[error(
        "`policy = \"gnn\"` needs the learned policy, and there is none: leave `inference.policy_model` out or name a net in it, or ask for `policy = \"search\"`"
    )]
    NoNetwork,
    /// The learned policy is asked for a schedule alone.
    #[error(
        "`policy = \"gnn\"` plans a schedule and what an autoscaler does beyond it: set `scaling = \"target_tracking\"`, or ask for `\"search\"`"
    )]
    NeedsAutoscaler,
    /// A capacity that no service can have.
    #[error(transparent)]
    Capacity(#[from] CapacityFault),
    /// An objective that cannot be.
    #[error("{place}.{field} {cause}")]
    Objective {
        /// `slo` or `slos["name"]`.
        place: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        cause: &'static str,
    },
}
