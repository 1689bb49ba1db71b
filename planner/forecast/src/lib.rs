//! Forecasts the demand of a region as quantiles, with donors for a cold start.

mod backtest;
mod blend;
mod burst;
mod business;
mod calibrate;
mod check;
mod cold_start;
mod combine;
mod dependence;
mod distance;
mod drivers;
mod entry;
mod error;
mod events;
mod holidays;
mod intermittent;
mod linear;
mod methods;
pub mod neural;
mod notes;
mod opening;
mod outliers;
mod quantiles;
mod region;
mod scale;
mod series;
mod source;
mod step;
mod steps;

pub use business::MOST_BUSINESS_METRICS;
pub use error::{ForecastError, MOST_HORIZON_HOURS, MOST_LEAD_DAYS};
pub use holidays::DaysOff;
pub use quantiles::pinball;
pub use region::{ForecastInput, RegionForecast, forecast_region};
pub use series::{
    MethodQuantiles, POOLED, SeriesForecast, SeriesInput, forecast_each, forecast_series,
};
pub use step::{NoStep, Step};

/// Who made a demand without a net, for the record.
pub const METHOD: &str = "median-anchored ensemble, version 1";
/// Who made a demand with a net; the net's own identity follows.
pub const METHOD_WITH_NET: &str = "median-anchored ensemble and net, version 2";
