//! The stages in order: a plan request becomes a region plan, and a region plan becomes files.
//!
//! This is the only crate that joins stages. The command line and the Terraform provider stand on it and on nothing
//! below it, so both give the same answer to the same question.

mod audit;
mod clashes;
mod condense;
mod day;
mod error;
mod explain;
mod folder;
mod hindcast;
mod holidays;
mod inference;
mod options;
mod plan;
mod request;
mod simulate;
mod sources;
mod summary;
mod target;
mod traces;
pub mod windows;

pub use foremesh_policy::{Adoption, adopt};

pub use audit::{Audit, AuditFinding, AuditRequest, audit};
pub use clashes::clashes;
pub use condense::condense;
pub use day::{DayOfPlan, DaySimulation, SimulateDayRequest, simulate_day};
pub use error::PipelineError;
pub use explain::{ExplainedValue, Explanation, explain};
pub use folder::{FileHashes, Folder, FolderError, OWNED_FILE, hash_files};
pub use foremesh_forecast::{SeriesForecast, Step};
pub use foremesh_observe::{Observed, read_events, read_history};
pub use foremesh_onnx::{
    CandidateReport, ChoiceReport, DeviceReport, EmbeddedReport, LibraryReport, RuntimeIdentity,
    RuntimeReport, read_model,
};
pub use foremesh_render::{Autoscaler, Finding, RenderError, RenderOptions, Target};
pub use foremesh_simulate::{Estimate, Progress, Report};
pub use hindcast::{
    Contestant, DonorsFrom, ForecastCheck, HardHour, Hindcast, HindcastError, HindcastRequest,
    HindcastRow, hindcast,
};
pub use holidays::days_off;
pub use inference::{Models, NO_MODEL, inference, runtime_report, shipped_forecaster};
pub use options::{RequestOption, request_options};
pub use plan::{
    HistoryRequest, compute_profile, entries, forecast_history, plan, predict_region, read_plan,
};
pub use request::{PlanRequest, RequestFormat};
pub use simulate::{
    SimulateRequest, SimulatedPolicy, Simulation, parse_fault, simulate_plan, simulate_traced,
};
pub use sources::Sources;
pub use summary::{EntrySummary, ServiceSummary, demand_summary, entry_line, settings_summary};
pub use target::{lint_paths, render_all, render_faults, render_target};
pub use traces::SimulatedTraces;
pub use windows::{DayEntry, DayHour, DayReport, DayService};

/// The file of a plan folder that holds the whole plan.
pub const PLAN_FILE: &str = "plan.json";

/// The version of Foremesh, as plans record it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
