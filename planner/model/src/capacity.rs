//! What one instance of a service can do and costs, and what is assumed where nobody says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one instance of a service can do, and what it costs. Every field may be unknown: the accessors answer the
/// stated default then, and [`Capacity::assumed`] lists what was assumed so that a plan can say so.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Capacity {
    /// Mean time in milliseconds that one request holds one worker of the service itself, waiting for other services not counted. Default 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_time_mean_ms: Option<f64>,
    /// Squared coefficient of variation of that time: 0 constant, 1 exponential. Default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_time_cv2: Option<f64>,
    /// Requests that one instance works on at once (workers, threads, connections to its database). Default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Requests a second that one instance was measured to sustain; where given, it stands for concurrency divided by service time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity_rps: Option<f64>,
    /// Seconds from the order of an instance until it is ready. Default 60.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_s: Option<f64>,
    /// Seconds from ready until caches and compilers are warm. Default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up_s: Option<f64>,
    /// Cost of one instance for one hour, in the unit of the request's costs. Default 0.05.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_cost_per_hour: Option<f64>,
    /// Fewest instances ever. Default 2, so that one may fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_instances: Option<u32>,
    /// Most instances ever. Default 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_instances: Option<u32>,
    /// Whether the same key should reach the same instance (a local cache). Default false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_affinity: Option<bool>,
    /// Connections that one instance accepts (`max_connections`, `maxclients`). Limits the callers of a service that keeps state; no default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// Mean bytes of a response. Default 4096.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_bytes: Option<f64>,
}

/// A value that was assumed because no source gave it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CapacityDefault {
    /// The field of [`Capacity`].
    pub field: &'static str,
    /// The assumed value.
    pub value: f64,
}

macro_rules! capacity_fields {
    ($($field:ident: $type:ty = $default:expr, $doc:literal;)*) => {
        impl Capacity {
            $(
                #[doc = concat!("The ", $doc, ", or its default.")]
                pub fn $field(&self) -> $type {
                    self.$field.unwrap_or($default)
                }
            )*

            /// The fields that no source gave and that therefore stand at their default. Bounds on the number of instances
            /// are a choice and no measurement: a default there assumes nothing about the service.
            pub fn assumed(&self) -> Vec<CapacityDefault> {
                let mut assumed = Vec::new();
                $(
                    if self.$field.is_none() && !stringify!($field).ends_with("_instances") {
                        assumed.push(CapacityDefault { field: stringify!($field), value: f64::from($default) });
                    }
                )*
                assumed
            }

            /// This capacity, with `other` filling what is unknown here.
            #[must_use]
            pub fn or(&self, other: &Capacity) -> Capacity {
                Capacity {
                    $($field: self.$field.or(other.$field),)*
                    capacity_rps: self.capacity_rps.or(other.capacity_rps),
                    cache_affinity: self.cache_affinity.or(other.cache_affinity),
                    max_connections: self.max_connections.or(other.max_connections),
                }
            }
        }
    };
}

capacity_fields! {
    service_time_mean_ms: f64 = 20.0, "mean service time in milliseconds";
    service_time_cv2: f64 = 1.0, "squared coefficient of variation of the service time";
    concurrency: u32 = 8u32, "requests that one instance works on at once";
    startup_s: f64 = 60.0, "seconds from order to ready";
    warm_up_s: f64 = 30.0, "seconds from ready to warm";
    instance_cost_per_hour: f64 = 0.05, "cost of an instance hour";
    min_instances: u32 = 2u32, "fewest instances";
    max_instances: u32 = 1000u32, "most instances";
    response_bytes: f64 = 4096.0, "mean bytes of a response";
}

impl Capacity {
    /// Requests a second at which one instance has no idle worker left: `capacity_rps` where measured, else
    /// concurrency ÷ mean service time.
    pub fn saturation_rps(&self) -> f64 {
        self.capacity_rps
            .unwrap_or_else(|| f64::from(self.concurrency()) * 1000.0 / self.service_time_mean_ms())
    }

    /// Whether the same key should reach the same instance.
    pub fn cache_affinity(&self) -> bool {
        self.cache_affinity.unwrap_or(false)
    }

    /// The first field that no service can have, with the reason: used by whoever reads a capacity from outside.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let positive = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v > 0.0);
        let not_negative = |v: Option<f64>| v.is_none_or(|v| v.is_finite() && v >= 0.0);
        if !positive(self.service_time_mean_ms) {
            return Some(("service_time_mean_ms", "must be greater than 0"));
        }
        if !not_negative(self.service_time_cv2) {
            return Some(("service_time_cv2", "must be 0 or more"));
        }
        if self.concurrency == Some(0) {
            return Some((
                "concurrency",
                "must be at least 1: an instance that works on no request serves none",
            ));
        }
        if self.max_connections == Some(0) {
            return Some((
                "max_connections",
                "must be at least 1: nobody can call an instance that accepts no connection",
            ));
        }
        if !positive(self.capacity_rps) {
            return Some((
                "capacity_rps",
                "must be greater than 0: an instance that serves nothing cannot be planned",
            ));
        }
        if !not_negative(self.startup_s) {
            return Some(("startup_s", "must be 0 or more"));
        }
        if !not_negative(self.warm_up_s) {
            return Some(("warm_up_s", "must be 0 or more"));
        }
        if !not_negative(self.instance_cost_per_hour) {
            return Some(("instance_cost_per_hour", "must be 0 or more"));
        }
        if !not_negative(self.response_bytes) {
            return Some(("response_bytes", "must be 0 or more"));
        }
        if self.min_instances() > self.max_instances() {
            return Some(("min_instances", "must not exceed max_instances"));
        }
        None
    }
}
