//! What the plan must reach and what its parts cost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The objective of an entry service.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// Latency in milliseconds that the percentile must not exceed.
    pub latency_ms: f64,
    /// The percentile, 50 … 99.99. Default 99.
    #[serde(default = "default_percentile")]
    pub percentile: f64,
    /// Share of requests that must succeed, 0 … 1. Default 0.999.
    #[serde(default = "default_availability")]
    pub availability: f64,
}

fn default_percentile() -> f64 {
    99.0
}

fn default_availability() -> f64 {
    0.999
}

impl Default for Slo {
    fn default() -> Self {
        Self {
            latency_ms: 500.0,
            percentile: default_percentile(),
            availability: default_availability(),
        }
    }
}

impl Slo {
    /// The first field out of its range, with what it must be.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        if !(self.latency_ms.is_finite() && self.latency_ms > 0.0) {
            Some(("latency_ms", "must be greater than 0"))
        } else if !(50.0..=99.99).contains(&self.percentile) {
            Some(("percentile", "must lie between 50 and 99.99"))
        } else if !(0.0..1.0).contains(&self.availability) {
            Some(("availability", "must be at least 0 and less than 1"))
        } else {
            None
        }
    }
}

/// What things cost, in one unit of the user's choice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cost {
    /// An instance for one hour, where the catalogue gives no cost of the service. Default 0.05.
    pub instance_per_hour: f64,
    /// A gigabyte sent to another region. Default 0.02.
    pub cross_region_per_gb: f64,
    /// A minute in which an entry misses its objective. Default 1.
    pub violation_per_minute: f64,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            instance_per_hour: 0.05,
            cross_region_per_gb: 0.02,
            violation_per_minute: 1.0,
        }
    }
}
