//! What may go wrong: the same nouns are simulated, rendered into chaos experiments and named in reports.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that goes wrong for a while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Its name in reports and rendered experiments.
    pub name: String,
    /// Seconds after the start at which it begins.
    pub starts_s: f64,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What goes wrong. Services are named `namespace/name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Calls to a service take longer on their way.
    Latency {
        /// The service.
        service: String,
        /// Milliseconds that each call takes longer.
        added_ms: f64,
    },
    /// A service fails more often.
    Errors {
        /// The service.
        service: String,
        /// Share of its requests that fail, 0 … 1.
        rate: f64,
    },
    /// Instances crash and, at the end, start again: they need their start-up time from then on.
    Crash {
        /// The service.
        service: String,
        /// Share of its instances, 0 … 1; at least one.
        share: f64,
    },
    /// Instances have less processor: their work takes longer.
    Cpu {
        /// The service.
        service: String,
        /// Share of its instances, 0 … 1; at least one.
        share: f64,
        /// How many times longer work takes.
        factor: f64,
    },
    /// Instances run out of memory: work takes longer and longer until they are killed at the end and start again.
    Memory {
        /// The service.
        service: String,
        /// Share of its instances, 0 … 1; at least one.
        share: f64,
        /// How many times longer work takes at last.
        factor: f64,
    },
    /// Packets to a service get lost and are sent again after a while.
    PacketLoss {
        /// The service.
        service: String,
        /// Share of packets lost, 0 … 1.
        rate: f64,
    },
    /// A share of the instances cannot be reached: the zone in which they stand is cut off.
    Partition {
        /// The service; empty: every service.
        #[serde(default)]
        service: String,
        /// Share of the instances, 0 … 1; at least one.
        share: f64,
    },
    /// Two localities cannot reach each other: a zone is cut off from the others, or a link between regions is down.
    LocalityPartition {
        /// The locality that is cut off.
        locality: String,
        /// The one that it cannot reach; empty: every other.
        #[serde(default)]
        other: String,
    },
    /// All of a service's work takes longer: a dependency behind it is slow.
    SlowDependency {
        /// The service.
        service: String,
        /// How many times longer work takes.
        factor: f64,
    },
    /// Clients outside the mesh ask again when they fail or wait too long, as a multiple of the usual load.
    RetryStorm {
        /// The entry service; empty: every entry.
        #[serde(default)]
        service: String,
        /// How many times the usual requests come.
        factor: f64,
    },
    /// Caches are empty: work takes longer at first and less so as they fill.
    ColdCache {
        /// The service.
        service: String,
        /// How many times longer work takes at first.
        factor: f64,
    },
}

impl FaultKind {
    /// The word of the kind, as in files.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Errors { .. } => "errors",
            Self::Crash { .. } => "crash",
            Self::Cpu { .. } => "cpu",
            Self::Memory { .. } => "memory",
            Self::PacketLoss { .. } => "packet_loss",
            Self::Partition { .. } => "partition",
            Self::LocalityPartition { .. } => "locality_partition",
            Self::SlowDependency { .. } => "slow_dependency",
            Self::RetryStorm { .. } => "retry_storm",
            Self::ColdCache { .. } => "cold_cache",
        }
    }

    /// The service that it hits; empty: all, or none in particular.
    #[must_use]
    pub fn service(&self) -> &str {
        match self {
            Self::Latency { service, .. }
            | Self::Errors { service, .. }
            | Self::Crash { service, .. }
            | Self::Cpu { service, .. }
            | Self::Memory { service, .. }
            | Self::PacketLoss { service, .. }
            | Self::Partition { service, .. }
            | Self::SlowDependency { service, .. }
            | Self::RetryStorm { service, .. }
            | Self::ColdCache { service, .. } => service,
            Self::LocalityPartition { .. } => "",
        }
    }

    /// The first number that cannot be: field, value, what it must be.
    #[must_use]
    pub fn fault(&self) -> Option<(&'static str, f64, &'static str)> {
        let share = |field, value: f64| {
            (!(value.is_finite() && value > 0.0 && value <= 1.0)).then_some((
                field,
                value,
                "must be above 0 and at most 1",
            ))
        };
        let factor = |value: f64| {
            (!(1.0..=1000.0).contains(&value)).then_some((
                "factor",
                value,
                "must lie between 1 and 1000",
            ))
        };
        match self {
            Self::Latency { added_ms, .. } => (!(*added_ms > 0.0 && *added_ms <= 3.6e6))
                .then_some(("added_ms", *added_ms, "must be above 0 and at most 3600000")),
            Self::Errors { rate, .. } | Self::PacketLoss { rate, .. } => share("rate", *rate),
            Self::Crash { share: s, .. } | Self::Partition { share: s, .. } => share("share", *s),
            Self::LocalityPartition { .. } => None,
            Self::Cpu {
                share: s,
                factor: f,
                ..
            }
            | Self::Memory {
                share: s,
                factor: f,
                ..
            } => share("share", *s).or(factor(*f)),
            Self::SlowDependency { factor: f, .. }
            | Self::RetryStorm { factor: f, .. }
            | Self::ColdCache { factor: f, .. } => factor(*f),
        }
    }
}
