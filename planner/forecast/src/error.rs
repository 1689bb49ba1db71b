//! Why no forecast could be made.

use foremesh_model::{RegionName, ServiceName, Timestamp};
use thiserror::Error;

use crate::{Step, business::MOST_BUSINESS_METRICS, neural::NeuralError, step::duration};

/// Longest horizon in hours.
pub const MOST_HORIZON_HOURS: u32 = 336;
/// Days that go-live may lie after `as_of`.
pub const MOST_LEAD_DAYS: i64 = 14;

/// Where a further horizon is to be had.
fn coarser(step: Step) -> &'static str {
    match step {
        Step::FiveMinutes => "; steps of 1h reach further",
        Step::Hour | Step::Day => "",
    }
}

/// Why no forecast could be made.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ForecastError {
    /// No series of requests a second begins before `as_of`.
    #[error(
        "the history has no requests_per_second before {as_of}: check the file or query, its column name and as_of"
    )]
    EmptyHistory {
        /// Nothing later was looked at.
        as_of: Timestamp,
    },
    /// There is no entry service to forecast.
    #[error(
        "there is no entry service to forecast: the graph has no service that takes requests from outside"
    )]
    NoEntries,
    /// The region has no history, and no donor is named.
    #[error(
        "region \"{region}\" has no history before as_of and no donors: name the regions to learn from, for example donors = {{ {example:?} = 0.25 }}; the history has {known}"
    )]
    UnknownRegion {
        /// The region.
        region: RegionName,
        /// A region that could be a donor.
        example: String,
        /// The regions that exist, separated by commas.
        known: String,
    },
    /// A donor that the history does not know.
    #[error("donor \"{donor}\" has no history before as_of: the history has {known}")]
    UnknownDonor {
        /// The donor.
        donor: RegionName,
        /// The regions that exist, separated by commas.
        known: String,
    },
    /// A share that no donor can have.
    #[error(
        "donors.\"{donor}\" is {share}: this region's traffic as a share of the donor's must be greater than 0, for example 0.25"
    )]
    DonorShare {
        /// The donor.
        donor: RegionName,
        /// The share as given.
        share: String,
    },
    /// An entry service without history in the region and in every donor.
    #[error(
        "entry service \"{service}\" has no requests_per_second before as_of in {regions}: services with history there are {known}"
    )]
    UnknownService {
        /// The service.
        service: ServiceName,
        /// Where it was looked for.
        regions: String,
        /// The services that exist there.
        known: String,
    },
    /// Go-live lies before `as_of`.
    #[error("go_live {go_live} is before as_of {as_of}: a plan is made for what is still to come")]
    GoLiveBeforeAsOf {
        /// Go-live.
        go_live: Timestamp,
        /// The instant after which nothing is known.
        as_of: Timestamp,
    },
    /// Go-live lies too far ahead.
    #[error(
        "go_live {go_live} is more than {MOST_LEAD_DAYS} days after as_of {as_of}: plan with a later as_of"
    )]
    GoLiveTooLate {
        /// Go-live.
        go_live: Timestamp,
        /// The instant after which nothing is known.
        as_of: Timestamp,
    },
    /// The net of the forecaster could not be run.
    #[error(transparent)]
    Neural(#[from] NeuralError),
    /// A horizon that cannot be forecast.
    #[error("horizon_hours is {0}: it must lie between 1 and {MOST_HORIZON_HOURS}")]
    Horizon(u64),
    /// A horizon that a grid does not offer.
    #[error(
        "the horizon is {}: with steps of {step} it must lie between {} and {}{}",
        duration(*.horizon_s), duration(.step.seconds()),
        duration(.step.seconds() * i64::from(.step.most_horizon())), coarser(*.step)
    )]
    SeriesHorizon {
        /// Seconds asked for.
        horizon_s: i64,
        /// The grid.
        step: Step,
    },
    /// A horizon that is no whole number of steps.
    #[error("the horizon is {}: with steps of {step} it must be a whole number of them", duration(*.horizon_s))]
    HorizonSteps {
        /// Seconds asked for.
        horizon_s: i64,
        /// The grid.
        step: Step,
    },
    /// A history that is coarser than what is asked.
    #[error(
        "the history of {service} in region {region} has steps of {}: nothing finer can be forecast from it than it shows; ask for coarser steps than {step}, or give a finer history",
        duration(*.step_s)
    )]
    Coarse {
        /// The region.
        region: RegionName,
        /// The service.
        service: ServiceName,
        /// Seconds of its steps.
        step_s: i64,
        /// The grid that was asked for.
        step: Step,
    },
    /// A net of another grid.
    #[error("the net forecasts steps of {}, not of {step}", duration(*.of_net_s))]
    NetStep {
        /// Seconds of its steps.
        of_net_s: i64,
        /// The grid that was asked for.
        step: Step,
    },
    /// More business metrics than can be told apart.
    #[error(
        "there are more than {MOST_BUSINESS_METRICS} business metrics ({names}): keep those that demand follows, and leave the other columns out"
    )]
    BusinessMetrics {
        /// Their names, separated by commas.
        names: String,
    },
    /// A time zone that does not exist.
    #[error("{field} is {name:?}, which is no IANA time zone: write it as Europe/Paris")]
    TimeZone {
        /// `timezone` or `donor_timezones."region"`.
        field: String,
        /// The name as given.
        name: String,
    },
    /// An uncertainty that no share can have.
    #[error(
        "share_uncertainty is {0}: it must lie between 0 (the shares are certain) and 2, for example 0.1"
    )]
    ShareUncertainty(String),
    /// An event that ends before it starts.
    #[error(
        "events[{index}] {name:?} ends {ends}, not after it starts {starts}: swap or correct them"
    )]
    EventTimes {
        /// Its place in the list, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// When it starts.
        starts: Timestamp,
        /// When it ends.
        ends: Timestamp,
    },
    /// An uplift that demand cannot have.
    #[error(
        "events[{index}] {name:?} has uplift {uplift}: it must be 0 or more and finite, for example 1.8 for 80% more"
    )]
    EventUplift {
        /// Its place in the list, from 0.
        index: usize,
        /// Its name.
        name: String,
        /// The uplift as given.
        uplift: String,
    },
}
