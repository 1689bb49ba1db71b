//! What existing manifests set, as an audit compares it with a forecast: each value with its unit, its place and who it binds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use foremesh_model::ServiceName;

/// What manifests set today. A field without a value for a service is not set anywhere in them: what the mesh then does is
/// its own default, which these sources do not show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExistingLimits {
    /// Every service that the sources show, also those for which nothing is set, with the documents that show or bind it
    /// (`Deployment shop/cart`).
    pub services: BTreeMap<ServiceName, BTreeSet<String>>,
    /// Every value that is set, by service, field, file and line.
    pub values: Vec<ExistingLimit>,
}

impl ExistingLimits {
    /// The values of one field that bind calls to one service (or its scale), from every caller and subset. None: not set.
    pub fn of(
        &self,
        service: &ServiceName,
        field: LimitField,
    ) -> impl Iterator<Item = &ExistingLimit> {
        let from = self
            .values
            .partition_point(|v| (&v.service, v.field) < (service, field));
        self.values
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |v| (&v.service, v.field) == (service, field))
    }
}

/// One value of one document.
#[derive(Debug, Clone, PartialEq)]
pub struct ExistingLimit {
    /// The service that is called, or that is scaled.
    pub service: ServiceName,
    /// The only caller whose calls it binds; none where it binds every caller's.
    pub caller: Option<ServiceName>,
    /// What it limits.
    pub field: LimitField,
    /// Its value, in the unit of the field.
    pub value: LimitValue,
    /// The subset of the service's instances that it binds: a subset of a DestinationRule, or one of several clusters of an
    /// Envoy that stand for the service.
    pub subset: Option<String>,
    /// The part of the service or of the document that it binds, in words: `port 8080`, `route search`, `priority HIGH`.
    pub part: Option<String>,
    /// When it applies, where that is a schedule.
    pub schedule: Option<ScalingWindow>,
    /// The file as given, or as found in a folder that was given.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Kind, namespace and name: `DestinationRule shop/cart`; `Envoy cart-1` for the bootstrap of a proxy.
    pub document: String,
    /// The field as the document has it: `spec.trafficPolicy.connectionPool.http.http2MaxRequests`.
    pub path: String,
}

impl ExistingLimit {
    /// The value as a number, in the unit of its field; none of a field that holds text.
    pub fn number(&self) -> Option<f64> {
        match &self.value {
            LimitValue::Number(value) => Some(*value),
            LimitValue::Text(_) => None,
        }
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum LimitValue {
    /// A finite number, in the unit of the field.
    Number(f64),
    /// Text, where the field chooses and does not count.
    Text(String),
}

impl fmt::Display for LimitValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// When a cron trigger of KEDA holds its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalingWindow {
    /// An IANA name.
    pub timezone: String,
    /// Cron expression (five fields) of the start.
    pub start: String,
    /// Cron expression of the end.
    pub end: String,
}

/// In what a field is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// Requests, connections, replicas, tokens: a number.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// 0 to 100.
    Percent,
    /// A choice in words.
    Text,
}

macro_rules! fields {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal, $unit:ident;)+) => {
        /// What a value limits. The order is that of the list of values.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum LimitField {
            $($(#[$doc])+ $variant,)+
        }

        impl LimitField {
            /// Every field, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name of the field where it is usually written (Kubernetes, KEDA, Istio; Envoy's for token buckets).
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// In what it is counted.
            pub fn unit(self) -> LimitUnit {
                match self { $(Self::$variant => LimitUnit::$unit),+ }
            }
        }
    };
}

fields! {
    /// Replicas of a Deployment, a StatefulSet, a Rollout or a ReplicaSet.
    Replicas = "replicas", Count;
    /// The fewest replicas that an autoscaler keeps (HPA `minReplicas`, KEDA `minReplicaCount`).
    MinReplicas = "minReplicas", Count;
    /// The most replicas that an autoscaler starts (HPA `maxReplicas`, KEDA `maxReplicaCount`).
    MaxReplicas = "maxReplicas", Count;
    /// Busy share of the processors that an autoscaler aims at.
    TargetUtilisation = "averageUtilization", Percent;
    /// Replicas that a cron trigger of KEDA holds while its window lasts.
    ScheduledReplicas = "desiredReplicas", Count;
    /// TCP connections of one caller proxy to the service.
    MaxConnections = "maxConnections", Count;
    /// Longest wait for a TCP connection.
    ConnectTimeoutMs = "connectTimeout", Milliseconds;
    /// Requests in flight of one caller proxy to the service, over HTTP/1.1 and HTTP/2 alike.
    MaxRequests = "http2MaxRequests", Count;
    /// Requests of one caller proxy that wait for a connection.
    MaxPendingRequests = "http1MaxPendingRequests", Count;
    /// Requests after which a connection is closed; 0: never.
    MaxRequestsPerConnection = "maxRequestsPerConnection", Count;
    /// Retries in flight of one caller proxy to the service.
    MaxRetries = "maxRetries", Count;
    /// Retries in flight, as a share of the requests in flight.
    RetryBudgetPercent = "retryBudget.percent", Percent;
    /// Retries in flight that the budget always admits.
    RetryBudgetMinConcurrency = "retryBudget.minRetryConcurrency", Count;
    /// Errors (5xx) in a row after which an instance is ejected; 0: never.
    ConsecutiveErrors = "consecutive5xxErrors", Count;
    /// Gateway errors (502, 503, 504) in a row after which an instance is ejected; 0: never.
    ConsecutiveGatewayErrors = "consecutiveGatewayErrors", Count;
    /// Time between two checks for instances to eject.
    EjectionIntervalMs = "interval", Milliseconds;
    /// The first ejection's length.
    BaseEjectionTimeMs = "baseEjectionTime", Milliseconds;
    /// The largest share of instances that is ejected.
    MaxEjectionPercent = "maxEjectionPercent", Percent;
    /// The share of healthy instances below which ejection is switched off (Istio) or ignored (Envoy's panic threshold).
    MinHealthPercent = "minHealthPercent", Percent;
    /// How instances are chosen: `LEAST_REQUEST`, `ROUND_ROBIN`, …
    LoadBalancing = "simple", Text;
    /// By what requests are hashed to instances: `httpHeaderName x-user`.
    ConsistentHash = "consistentHash", Text;
    /// How long a new instance's share grows.
    WarmupMs = "warmup.duration", Milliseconds;
    /// The share that a new instance begins with.
    WarmupMinimumPercent = "warmup.minimumPercent", Percent;
    /// Longest that a request may take with all its attempts; 0: no limit.
    RequestTimeoutMs = "timeout", Milliseconds;
    /// Retries after the first attempt.
    RetryAttempts = "retries.attempts", Count;
    /// Longest that one attempt may take.
    PerTryTimeoutMs = "retries.perTryTimeout", Milliseconds;
    /// On what a request is tried again.
    RetryOn = "retries.retryOn", Text;
    /// The weight of a destination of a route; its share is its part of the sum of its route's weights.
    RouteWeight = "weight", Count;
    /// Requests that a token bucket admits at once.
    RateLimitMaxTokens = "token_bucket.max_tokens", Count;
    /// Tokens that are added in each interval.
    RateLimitTokensPerFill = "token_bucket.tokens_per_fill", Count;
    /// The interval in which tokens are added.
    RateLimitFillIntervalMs = "token_bucket.fill_interval", Milliseconds;
}

impl fmt::Display for LimitField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
