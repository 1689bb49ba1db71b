//! Why a region cannot be planned after the fact.

use foremesh_model::{RegionName, Timestamp};
use thiserror::Error;

/// Why a region cannot be planned after the fact.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HindcastError {
    /// The history holds no such region.
    #[error(
        "the history has no region {region}; it has {}: name one of them, or give a history that holds it",
        known.join(", ")
    )]
    UnknownRegion {
        /// The region.
        region: RegionName,
        /// The regions that there are.
        known: Vec<String>,
    },
    /// The region has rows and none with any request.
    #[error(
        "the history has no requests_per_second above 0 for {region}: there is no demand to replay"
    )]
    NoTraffic {
        /// The region.
        region: RegionName,
    },
    /// A launch at which the region's history says nothing.
    #[error(
        "--launched {launched} lies outside the history of {region}, which begins at {first} and ends at {last}: name an instant within it"
    )]
    LaunchOutside {
        /// The region.
        region: RegionName,
        /// The launch as given.
        launched: Timestamp,
        /// The region's first step.
        first: Timestamp,
        /// The end of its last.
        last: Timestamp,
    },
    /// Less than an hour to replay.
    #[error(
        "the history of {region} ends at {end}, less than an hour after its launch at {launched}: give a history that goes on, or an earlier --launched"
    )]
    TooShort {
        /// The region.
        region: RegionName,
        /// The launch.
        launched: Timestamp,
        /// The end of the region's history.
        end: Timestamp,
    },
    /// More hours asked for than there are.
    #[error(
        "--hours {asked}: the history of {region} holds {there} whole hours after its launch at {launched}, and a plan covers at most 336"
    )]
    Hours {
        /// The region.
        region: RegionName,
        /// The launch.
        launched: Timestamp,
        /// Hours asked for.
        asked: u32,
        /// Hours that there are.
        there: u32,
    },
    /// Nobody to learn from.
    #[error(
        "{region} cannot be planned as of {as_of}, the day before its launch: {known}, and a plan needs a donor with at least 24 hours; give a history of other regions that begins earlier, or a later --launched"
    )]
    TooLittleDonorData {
        /// The region.
        region: RegionName,
        /// The instant after which nothing may be known.
        as_of: Timestamp,
        /// How many hours each donor has by then.
        known: String,
    },
    /// What was measured of the region and what was planned have nothing in common.
    #[error(
        "{region} has requests of {} only, and the plan's entries are {}: mark the services where requests enter with `entry: true` in a graph file",
        measured.join(", "), planned.join(", ")
    )]
    NoCommonEntry {
        /// The region.
        region: RegionName,
        /// The services with requests.
        measured: Vec<String>,
        /// The entries of the plan.
        planned: Vec<String>,
    },
}
