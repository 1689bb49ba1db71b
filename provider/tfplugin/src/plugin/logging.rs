//! Logs as Terraform reads them: one JSON object a line on standard error, in the form of Go's hclog.
//!
//! Terraform takes level, message and module from the object, filters by TF_LOG and shows the rest as fields. The same
//! variables are honoured here, so that what nobody will see is not formatted. A line that is no such object would
//! be shown at level debug, in pieces, and a panic's backtrace with it: hence the panic hook.

use std::{
    fmt,
    io::{self, Write},
    panic,
};

use serde_json::{Map, Value as Json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    fmt::{
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

use crate::server::panic_message;

pub(super) fn init(name: &str, debug: bool) {
    let upper = name.to_uppercase().replace('-', "_");
    let variables = [
        format!("TF_LOG_PROVIDER_{upper}"),
        "TF_LOG_PROVIDER".to_owned(),
        "TF_LOG".to_owned(),
    ];
    let wished = variables.iter().find_map(|variable| {
        std::env::var(variable)
            .ok()
            .filter(|value| !value.is_empty())
    });
    let level = wished.map_or(
        if debug {
            LevelFilter::INFO
        } else {
            LevelFilter::WARN
        },
        |wished| level(&wished),
    );
    // What the transport says about each frame would bury everything else.
    let quiet = [
        "h2",
        "hyper",
        "hyper_util",
        "tonic",
        "tower",
        "rustls",
        "tokio_rustls",
    ];
    let filter = Targets::new()
        .with_default(level)
        .with_targets(quiet.map(|target| (target, level.min(LevelFilter::WARN))));
    // A program that has set up its own subscriber keeps it.
    let _ = registry()
        .with(
            Hclog {
                module: name.to_owned(),
            }
            .with_filter(filter),
        )
        .try_init();
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "panic: {}", panic_message(info.payload()));
    }));
}

/// The levels that Terraform documents; whatever else is set means the most.
fn level(name: &str) -> LevelFilter {
    match name.to_uppercase().as_str() {
        "OFF" => LevelFilter::OFF,
        "ERROR" => LevelFilter::ERROR,
        "WARN" => LevelFilter::WARN,
        "INFO" => LevelFilter::INFO,
        "DEBUG" => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

struct Hclog {
    module: String,
}

impl Hclog {
    fn line(&self, event: &Event<'_>) -> String {
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        let Fields(mut object) = fields;
        let mut timestamp = String::new();
        // Writing to a String cannot fail.
        let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
        object.insert(
            "@level".into(),
            event.metadata().level().as_str().to_lowercase().into(),
        );
        object.insert(
            "@module".into(),
            format!("{}.{}", self.module, event.metadata().target()).into(),
        );
        object.insert("@timestamp".into(), timestamp.into());
        object.entry("@message").or_insert_with(|| "".into());
        Json::Object(object).to_string()
    }
}

impl<S: Subscriber> Layer<S> for Hclog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Terraform that no longer listens is no reason to fail.
        let _ = writeln!(io::stderr().lock(), "{}", self.line(event));
    }
}

struct Fields(Map<String, Json>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Json>) {
        let name = if field.name() == "message" {
            "@message"
        } else {
            field.name()
        };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
}
