//! The nouns that every stage of Foremesh shares, with their units.
//!
//! No IO happens here and nothing here knows how a value is found: stages turn one noun into the next
//! (telemetry → [`ServiceGraph`] and [`History`] → [`Demand`] → [`Settings`] → rendered files).
//! Each noun that a user writes or reads is declared once, in this crate; [`shape`] turns the declaration into
//! whatever another surface needs (a Terraform type, a module's variables, a page of documentation).

mod capacity;
mod catalogue;
mod demand;
mod event;
mod fault;
pub mod graph;
mod history;
mod inference;
mod names;
mod objectives;
mod packed;
mod plan;
mod quantise;
pub mod random;
mod reason;
mod request;
mod schedule;
mod settings;
pub mod shape;
pub mod station;
mod time;

pub use capacity::{Capacity, CapacityDefault};
pub use catalogue::{Catalogue, CatalogueError, CatalogueService};
pub use demand::{DEMAND_FORMAT_VERSION, Demand, Dependence, EntryDemand, QUANTILE_LEVELS};
pub use event::Event;
pub use fault::{Fault, FaultKind};
pub use graph::{
    Edge, GraphError, GraphFile, Provenance, Service, ServiceGraph, ServiceMeasures, SourceKind,
};
pub use history::{
    History, HistoryError, METRIC_REQUESTS_PER_SECOND, MOST_REQUESTS_PER_SECOND, Series, SeriesKey,
};
pub use inference::{DeviceKind, InferenceSettings, RuntimeKind};
pub use names::{Criticality, EdgeName, NameError, Protocol, RegionName, ServiceName};
pub use objectives::{Cost, Slo};
pub use packed::PackedError;
pub use plan::{
    Candidate, EdgeKpi, EntryKpi, FaultVerdict, Kpis, PLAN_FORMAT_VERSION, PlanIdentity,
    RegionPlan, ServiceKpi, Severity, Warning,
};
pub use quantise::{quantise, quantise_up};
pub use reason::{Executor, Reason};
pub use request::{
    EventSource, PolicyKind, ProfileRequest, Prometheus, RegionRequest, ScalingKind, SourceRequest,
};
pub use schedule::{Schedule, ScheduleError, ScheduleStep};
pub use settings::{
    Autoscaling, CallerLimits, ConnectionSettings, EdgeSettings, EntrySettings, LoadBalancing,
    LocalityWeight, OutlierEjection, ProxyMode, RampStage, RateLimit, Retries,
    SETTINGS_FORMAT_VERSION, ServiceNeeds, ServiceSettings, Settings, StatefulSettings, WarmUp,
    asked,
};
pub use time::{TimeError, Timestamp, parse_timestamp};
