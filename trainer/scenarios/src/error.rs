//! Why no scenario could be made.

use foremesh_model::{GraphError, NameError, station::CapacityFault};
use thiserror::Error;

/// Why no scenario could be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ScenarioError {
    /// A region of no service.
    #[error(
        "a scenario needs at least one service: ask for 1 or more, or give a graph that holds one"
    )]
    NoService,
    /// More services than node numbers are kept for.
    #[error(
        "{services} services were asked for, {most} is the most: draw several smaller scenarios"
    )]
    TooMany {
        /// As asked for.
        services: usize,
        /// The most.
        most: usize,
    },
    /// An option that cannot be.
    #[error("options.{field} = {value}: it must be a number greater than 0")]
    Option {
        /// The field.
        field: &'static str,
        /// As given.
        value: f64,
    },
    /// The name of a family that there is not.
    #[error("{name:?} is no family of scenarios; there are {known}")]
    Family {
        /// As given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No service of the given graph can take requests from outside.
    #[error(
        "every service of the graph keeps state, so that none can take requests from outside: mark one as entry: true, or add the services that call them"
    )]
    NoEntry,
    /// The graph cannot be.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A capacity of the given graph cannot be.
    #[error(transparent)]
    Capacity(#[from] CapacityFault),
    /// A name cannot be.
    #[error(transparent)]
    Name(#[from] NameError),
}
