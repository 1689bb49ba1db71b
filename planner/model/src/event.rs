//! Events that move demand: sales, launches, holidays.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RegionName, ServiceName, Timestamp};

/// Something that moves demand for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Its name; the same name in the past is the same kind of event, from which an uplift is learned.
    pub name: String,
    /// When it starts (RFC 3339).
    #[schemars(with = "String")]
    pub starts: Timestamp,
    /// When it ends (RFC 3339), not included.
    #[schemars(with = "String")]
    pub ends: Timestamp,
    /// What demand is multiplied by while it lasts (1.8: 80% more). Null: learned from past events of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplift: Option<f64>,
    /// When it was announced (RFC 3339): a plan as of an earlier instant knows nothing of it. Null: known all along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub known_since: Option<Timestamp>,
    /// The entry services it touches; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<ServiceName>,
    /// The regions it touches; empty: all. A past event of a donor names the donor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionName>,
}

impl Event {
    /// Whether it had been announced at an instant.
    pub fn is_known(&self, at: Timestamp) -> bool {
        self.known_since.is_none_or(|since| since <= at)
    }

    /// The first field with a value that no event can have, and what it must be.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let uplift = self.uplift.unwrap_or(1.0);
        if self.ends <= self.starts {
            Some(("ends", "must lie after starts: swap or correct them"))
        } else if !(uplift.is_finite() && uplift >= 0.0) {
            Some((
                "uplift",
                "must be 0 or more and finite, for example 1.8 for 80% more",
            ))
        } else {
            None
        }
    }

    /// Whether the event touches this service in this region.
    pub fn touches(&self, region: &RegionName, service: &ServiceName) -> bool {
        (self.regions.is_empty() || self.regions.contains(region))
            && (self.services.is_empty() || self.services.contains(service))
    }

    /// The share of the interval from `from` to `to` during which the event lasts, 0 … 1.
    pub fn overlap(&self, from: Timestamp, to: Timestamp) -> f64 {
        let whole = to.duration_since(from).as_secs_f64();
        if whole <= 0.0 {
            return 0.0;
        }
        let common = self
            .ends
            .min(to)
            .duration_since(self.starts.max(from))
            .as_secs_f64();
        (common / whole).clamp(0.0, 1.0)
    }
}
