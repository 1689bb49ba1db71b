//! The commands and their options. What `foremesh plan` takes beside a request file is read off the request's declaration.

mod train;
mod values;

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use foremesh_model::{DeviceKind, InferenceSettings, RuntimeKind};
use foremesh_pipeline::{RequestOption, SimulatedPolicy, request_options};

pub use train::{Learns, Step, Train, TrainDevice, TrainForecaster, TrainPolicy, TrainRefinement};
use values::{donor, hours, policy, seconds, timestamp};

/// Plans a service mesh for a region before the region takes its first request.
#[derive(Debug, Parser)]
#[command(name = "foremesh", version, about, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 done; 1 the input is wrong; 2 the plan breaks its objective, the lint found errors \
                        or a fine-tuned model is no better; \
                        3 an outside system failed."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to print the result.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Say more about what is done (on standard error); twice: even more.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How to print a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
    /// Rows: of `forecast` and `audit` only.
    Csv,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read manifests, traces and graph files into one service graph.
    Observe(Observe),
    /// Forecast every series of a history.
    Forecast(Forecast),
    /// Plan a region: forecast its demand, compute the settings, write every target.
    Plan(Plan),
    /// Render one target of a plan.
    Render(Render),
    /// Find what a schema check does not see in rendered or hand-written files.
    Lint(Lint),
    /// Say why the values of a service are what they are.
    Explain(Explain),
    /// Hold each limit in existing manifests against the forecast.
    Audit(Audit),
    /// Try a plan in the simulator: its hardest hour, with faults, beside what others do.
    Simulate(Simulate),
    /// Plan a region that has launched as of the day before, and replay what came: live settings, ours, others', hindsight.
    Hindcast(Hindcast),
    /// Train a model of one's own.
    #[command(subcommand)]
    Train(Train),
    /// Show a plan: demand by hour, the profile, warnings.
    Show(Show),
    /// Say which runtime computes learned models on this machine, and why.
    Runtime(Runtime),
}

/// `foremesh runtime`
#[derive(Debug, Args)]
pub struct Runtime {
    /// Who computes learned models, and where.
    #[command(flatten)]
    pub inference: Inference,
}

/// Who computes learned models, and where: the fields of the provider's `inference`.
#[derive(Debug, Args)]
pub struct Inference {
    /// The runtime: embedded (inside the program), onnxruntime (a library on this machine) or auto (the library where there is one).
    #[arg(long, default_value_t, value_name = "NAME")]
    pub runtime: RuntimeKind,
    /// The device: cpu, cuda (an NVIDIA GPU) or auto (the GPU where it can be used).
    #[arg(long, default_value_t, value_name = "NAME")]
    pub device: DeviceKind,
    /// ONNX Runtime's shared library, or the folder it is in; without it FOREMESH_ONNXRUNTIME, ORT_DYLIB_PATH, beside the program, the
    /// system's folders, Python's packages.
    #[arg(long, value_name = "PATH")]
    pub library: Option<String>,
    /// Threads of ONNX Runtime; another number moves the last digits.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,
    /// The net of the forecast: a file that `foremesh train forecaster` wrote, or none; without it the one inside the program.
    #[arg(long, value_name = "FILE")]
    pub forecaster: Option<String>,
}

impl From<&Inference> for InferenceSettings {
    fn from(args: &Inference) -> Self {
        Self {
            runtime: args.runtime,
            device: args.device,
            library: args.library.clone(),
            threads: args.threads,
            forecaster: args.forecaster.clone(),
            // Nothing that takes these plans.
            policy_model: None,
            refinement_model: None,
        }
    }
}

/// `foremesh observe`
#[derive(Debug, Args)]
pub struct Observe {
    /// Files or folders: Kubernetes manifests, Zipkin v2, OTLP or Jaeger JSON, graph files.
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// A catalogue that fills in capacity.
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<PathBuf>,
    /// Write the graph here, as JSON.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `foremesh forecast`
#[derive(Debug, Args)]
pub struct Forecast {
    /// History file, CSV or Parquet.
    #[arg(long, value_name = "FILE")]
    pub history: PathBuf,
    /// The steps that are forecast: 5m, 1h or 1d. Those of the history must be as fine.
    #[arg(long, default_value_t, value_name = "STEP")]
    pub step: foremesh_pipeline::Step,
    /// How far ahead, for example 30m, 48h or 7d: at most two days in steps of 5m, else two weeks.
    #[arg(long, default_value = "48h", value_parser = seconds)]
    pub horizon: i64,
    /// The instant (RFC 3339) after which nothing may be known; without it each series is forecast from its own end.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub as_of: Option<foremesh_model::Timestamp>,
    /// What moved demand and will: a JSON list of events, a file or an address; may be given more than once.
    #[arg(long, value_name = "FILE")]
    pub events: Vec<String>,
    /// Business metrics, known and planned (users, spend): a file like the history, with a column for each. Rows after the end of the history say what is planned.
    #[arg(long, value_name = "FILE")]
    pub business_metrics: Option<PathBuf>,
    /// Seed of everything that is drawn; today nothing is.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Who computes the net, and where.
    #[command(flatten)]
    pub inference: Inference,
}

/// `foremesh plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// The request: the fields of the provider and both data sources, as YAML, JSON or HCL.
    pub request: PathBuf,
    /// Write the plan and every target here.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// `foremesh render`
#[derive(Debug, Args)]
pub struct Render {
    /// A plan folder, or its plan.json.
    pub plan: PathBuf,
    /// What to render.
    #[arg(long)]
    pub target: String,
    /// Write the files here.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// The go-live stage to render; without it the last.
    #[arg(long)]
    pub stage: Option<u32>,
    /// A fault, for the targets chaos-mesh and litmus, written as for `foremesh simulate`; without `for` it lasts to the end of ten minutes.
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// The Prometheus server of the cluster: KEDA scales by its request rates, Litmus asks it whether the objectives hold.
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
}

/// `foremesh lint`
#[derive(Debug, Args)]
pub struct Lint {
    /// Files or folders.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `foremesh explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// A plan folder, or its plan.json.
    pub plan: PathBuf,
    /// The service.
    pub service: String,
}

/// `foremesh simulate`
#[derive(Debug, Args)]
pub struct Simulate {
    /// A plan folder, or its plan.json.
    pub plan: PathBuf,
    /// Something that goes wrong: kind:service,key=value… with times in seconds, for example crash:shop/cart,share=0.5,at=60,for=120. Kinds:
    /// latency (added_ms), errors (rate), crash (share), cpu (share, factor), memory (share, factor), packet_loss (rate), partition (share),
    /// slow_dependency (factor), retry_storm (factor), cold_cache (factor), locality_partition:ZONE (other=ZONE; without it every other).
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// Whose settings run: plan, or in its place istio-defaults, hpa, hpa-tuned, keda-cron, static-headroom, vegas, gradient2, dagor, breakwater,
    /// topfull, autothrottle.
    #[arg(long, default_value = "plan", value_name = "NAME")]
    pub policy: SimulatedPolicy,
    /// The hour of the plan, from 0; without it the hardest.
    #[arg(long)]
    pub hour: Option<u32>,
    /// The quantile of demand.
    #[arg(long, default_value_t = 0.99)]
    pub level: f64,
    /// All hours of the plan in place of one: by windows of time (where instances change, where an objective is nearest to breaking, and drawn at random), or
    /// with --day=whole every second, which takes long.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "windows",
          conflicts_with_all = ["hour", "fault"])]
    pub day: Option<Day>,
    /// Let the plan's go-live ramp run: what its stages hold back stays elsewhere and is not counted. Without it all demand is let in.
    #[arg(long)]
    pub ramp: bool,
    /// Minutes that are measured, without it 10; with --day those of a window, without it 1.
    #[arg(long)]
    pub minutes: Option<u32>,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Runs, each with other random numbers; without it 5, with --day 4, with --day=whole 1.
    #[arg(long)]
    pub replications: Option<u32>,
    /// Write traces of simulated requests of the first run here, as OTLP JSON, one trace a line; `foremesh observe` reads them.
    #[arg(long, value_name = "FILE", conflicts_with = "day")]
    pub trace: Option<PathBuf>,
    /// Requests whose traces are written, spread evenly over what is measured.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000), requires = "trace", value_name = "N")]
    pub trace_requests: u32,
    /// With --day: about how many million events may be simulated; a core does five to seven million a second.
    #[arg(
        long,
        default_value_t = 350.0,
        value_name = "MILLIONS",
        requires = "day"
    )]
    pub events: f64,
}

/// How much of a plan's time is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Day {
    /// Windows of it.
    Windows,
    /// Every second.
    Whole,
}

/// `foremesh audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// Files or folders with the manifests as they are.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// History file, CSV or Parquet.
    #[arg(long, value_name = "FILE", required_unless_present = "request")]
    pub history: Option<String>,
    /// The request of a plan: its provider part says where telemetry (a file or a Prometheus server), graph and catalogue come from.
    #[arg(long, value_name = "FILE")]
    pub request: Option<PathBuf>,
    /// The region whose demand counts; without it the one with the most history.
    #[arg(long)]
    pub region: Option<String>,
    /// A catalogue with capacities.
    #[arg(long, value_name = "FILE")]
    pub catalogue: Option<String>,
    /// Further sources of the service graph (traces, graph files); the manifests are read as well.
    #[arg(long, value_name = "SOURCE")]
    pub graph: Vec<String>,
    /// How far ahead, for example 72h or 14d.
    #[arg(long, default_value = "72h", value_parser = hours)]
    pub horizon: u32,
    /// The instant (RFC 3339) after which nothing may be known; without it the end of the history, or now for a Prometheus server.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub as_of: Option<foremesh_model::Timestamp>,
}

/// `foremesh hindcast`
#[derive(Debug, Args)]
pub struct Hindcast {
    /// A region of the request's history that has launched.
    pub region: String,
    /// The request of a plan: where telemetry, graph and catalogue come from, objectives and costs; donors, where it plans this region.
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// When it launched (RFC 3339); without it the first row of its history with any request.
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    pub launched: Option<foremesh_model::Timestamp>,
    /// Hours from then; without it 24, or as many as the history holds.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub hours: Option<u32>,
    /// Who computes the settings, in place of the request's.
    #[arg(long, value_name = "NAME", value_parser = policy)]
    pub policy: Option<foremesh_model::PolicyKind>,
    /// A donor with this region's traffic as a share of its own, for example eu-west-1=0.4; again for each. Without it the request's donors where it
    /// plans this region, else all regions.
    #[arg(long, value_name = "REGION=SHARE", value_parser = donor)]
    pub donor: Vec<(foremesh_model::RegionName, f64)>,
    /// The region's IANA time zone; without it what the request says.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Seed of everything that is drawn; without it the request's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Runs, each with other windows and other random numbers.
    #[arg(long, default_value_t = 3)]
    pub replications: u32,
    /// Minutes of a window, a divisor of 60; without it as long as --events allows.
    #[arg(long)]
    pub minutes: Option<u32>,
    /// About how many million events may be simulated; a core does five to seven million a second.
    #[arg(long, default_value_t = 1000.0, value_name = "MILLIONS")]
    pub events: f64,
}

/// `foremesh show`
#[derive(Debug, Args)]
pub struct Show {
    /// A plan folder, or its plan.json.
    pub plan: PathBuf,
}

/// A field of the request that was given as an option.
pub type Override = (RequestOption, String);

/// Reads the command line; leaves with help, or with an error and exit code 1 where it is wrong: 2 stands for a broken objective.
pub fn parse() -> (Cli, Vec<Override>) {
    let options = request_options().unwrap_or_default();
    let command = Cli::command().mut_subcommand("plan", |plan| {
        plan.args(options.iter().map(|option| {
            Arg::new(option.name.clone())
                .long(option.name.clone())
                .value_name("VALUE")
                .help(option.description.clone())
                .help_heading("Fields of the request, in place of the file's")
        }))
    });
    let read = command.try_get_matches().and_then(|matches| {
        let overrides = given(&matches, options);
        Ok((Cli::from_arg_matches(&matches)?, overrides))
    });
    read.unwrap_or_else(|error| {
        // A reader that left early is no error.
        let _ = error.print();
        std::process::exit(i32::from(error.use_stderr()))
    })
}

fn given(matches: &ArgMatches, options: Vec<RequestOption>) -> Vec<Override> {
    let Some(("plan", plan)) = matches.subcommand() else {
        return Vec::new();
    };
    options
        .into_iter()
        .filter_map(|option| {
            let text = plan.get_one::<String>(&option.name)?.clone();
            Some((option, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
