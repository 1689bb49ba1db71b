//! Why something cannot be simulated.

use foremesh_model::{GraphError, station::CapacityFault};
use thiserror::Error;

/// Why a mesh, a load or a fault was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SimulateError {
    /// A time or its spread is negative or no number.
    #[error("{value} is no time: it must be 0 or more and finite")]
    Time {
        /// The value as given.
        value: f64,
    },
    /// A number of a service or an edge cannot be.
    #[error("{subject}: {field} = {value} {must}")]
    Number {
        /// The service, edge or entry.
        subject: String,
        /// The field.
        field: &'static str,
        /// The value as given.
        value: f64,
        /// What it must be.
        must: &'static str,
    },
    /// A name that the mesh does not hold.
    #[error("{field}: there is no {name:?}; the {kind} are {known}")]
    Unknown {
        /// Where the name was given.
        field: String,
        /// The name.
        name: String,
        /// What kind of thing it should name, in plural.
        kind: &'static str,
        /// Those that there are.
        known: String,
    },
    /// A span of time that the simulation does not cover.
    #[error("{field}: {starts_s} s to {ends_s} s lies outside the simulated {horizon_s} s")]
    Outside {
        /// What it is.
        field: String,
        /// Its start.
        starts_s: f64,
        /// Its end.
        ends_s: f64,
        /// How long is simulated.
        horizon_s: f64,
    },
    /// A capacity that no service can have.
    #[error(transparent)]
    Capacity(CapacityFault),
    /// Calls feed on themselves.
    #[error(transparent)]
    Calls(GraphError),
    /// Nothing enters.
    #[error("no entry has any demand: there is nothing to simulate")]
    NoDemand,
    /// An index of one part into another that is not there.
    #[error("{subject} points to {kind} {index}, there are {count}")]
    Index {
        /// The part that points.
        subject: String,
        /// What it points to.
        kind: &'static str,
        /// The index.
        index: usize,
        /// How many there are.
        count: usize,
    },
}
