//! Terraform plugin protocol 6: serve a provider from Rust.
//!
//! A provider implements [`Provider`] and lists its [`DataSource`]s, [`Resource`]s and [`Function`]s; [`serve`] is the
//! whole of its `main`. Handshake, AutoMTLS, logs, cancellation, panics and the wire are this crate's affair. It knows
//! nothing of any product, needs no `protoc`, and runs on Unix.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use tfplugin::{
//!     Attribute, ConfigureRequest, Configured, DataReadRequest, DataReadResponse, DataSource, Diagnostic, Diagnostics,
//!     Options, Path, Provider, Schema, Type, Value, async_trait,
//! };
//!
//! struct Shop;
//! struct Context { currency: String }
//!
//! #[async_trait]
//! impl Provider for Shop {
//!     type Context = Context;
//!
//!     fn schema(&self) -> Schema {
//!         Schema::new().attribute(Attribute::optional("currency", Type::String).description("Three letters."))
//!     }
//!
//!     fn data_sources(&self) -> Vec<Box<dyn DataSource<Context>>> {
//!         vec![Box::new(Price)]
//!     }
//!
//!     async fn configure(&self, request: ConfigureRequest) -> Result<Configured<Context>, Diagnostics> {
//!         let currency = request.config.get("currency").as_str().unwrap_or("EUR").to_owned();
//!         Ok(Configured::new(Context { currency }))
//!     }
//! }
//!
//! struct Price;
//!
//! #[async_trait]
//! impl DataSource<Context> for Price {
//!     fn type_name(&self) -> &str {
//!         "shop_price"
//!     }
//!
//!     fn schema(&self) -> Schema {
//!         Schema::new()
//!             .attribute(Attribute::required("items", Type::map(Type::Number)).description("Cents by item."))
//!             .attribute(Attribute::computed("total", Type::String))
//!     }
//!
//!     async fn validate(&self, config: &Value) -> Diagnostics {
//!         // Parts may be unknown here; the accessors answer None for them.
//!         let wrong = |(name, cents): (&String, &Value)| {
//!             cents.as_f64().is_some_and(|cents| cents < 0.0).then(|| {
//!                 Diagnostic::error("Negative price", "A price must not be negative.")
//!                     .at(Path::attribute("items").key(name))
//!             })
//!         };
//!         config.get("items").as_map().into_iter().flatten().filter_map(wrong).collect()
//!     }
//!
//!     async fn read(&self, request: DataReadRequest<Context>) -> Result<DataReadResponse, Diagnostics> {
//!         let items: std::collections::BTreeMap<String, u64> = request.config.get("items").deserialize()?;
//!         let total = format!("{} {}", items.values().sum::<u64>(), request.context.currency);
//!         Ok(DataReadResponse::new(request.config.with("total", total)))
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     tfplugin::serve(Shop, Options {
//!         name: "shop".into(),
//!         version: env!("CARGO_PKG_VERSION").into(),
//!         address: "registry.terraform.io/acme/shop".into(),
//!     })
//! }
//! ```
//!
//! `examples/kitchen_sink` has something of everything: resources with update, replacement, import and upgrade, nested
//! attributes and blocks, functions, deferral, cancellation.
//!
//! # Rules that core enforces and this crate helps to keep
//!
//! - **Reads are wholly known.** A data source is read only when its configuration is wholly known, and must answer
//!   wholly known. What depends on an unknown *provider* configuration calls [`DataReadRequest::defer`].
//! - **A planned value is the configured one, or the prior one, or computed.** [`PlanResponse::propose`] makes the usual
//!   plan and [`PlanResponse::keep_prior`] the one that ignores a change too small to act on: core accepts the prior
//!   value of a configured attribute too, and when the whole planned state equals the prior state Terraform says "No
//!   changes", calls no apply, and leaves the stored configuration as it was. The next plan is measured from
//!   there again, so that small steps add up instead of creeping by.
//! - **What was planned as known must come out of the apply unchanged**, so a change starts from
//!   `request.planned` and sets what is unknown in it.
//! - **Numbers are exact.** Terraform compares 512-bit numbers; see [`Number`]. Hand configured values on as [`Value`]s
//!   (`request.config.with("computed", …)`) instead of through an `f64`.
//! - **A write-only attribute is null in every plan and state.** This crate sees to that; a handler finds the value in
//!   `request.config`. Core does not notice when it changes, so a plan that must notice keeps a hash of it.
//! - **Functions are pure** and run without a configured provider.
//!
//! # Diagnostics
//!
//! [`Diagnostic::at`] takes the full path of a fault. The schema turns it into the place that Terraform can underline, and what
//! lies deeper is put before the text. `Value::deserialize` makes such diagnostics by itself. A warning about each
//! configured attribute that is [`Attribute::deprecated`] is given by this crate.
//!
//! # Running
//!
//! Every handler runs on a thread of its own and may block or compute. Ctrl-C in Terraform abandons reads, plans,
//! imports and function calls, and is only told to changes (see [`Cancel`]). A panic in a handler becomes a diagnostic
//! with its message, and the server lives on. `tracing` events go to Terraform's log under `TF_LOG`,
//! `TF_LOG_PROVIDER` and `TF_LOG_PROVIDER_<NAME>`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(not(unix))]
compile_error!(
    "tfplugin serves over Unix sockets and watches its parent process, so it needs a Unix"
);

mod cancel;
mod data_source;
mod diagnostic;
mod function;
mod plugin;
pub mod proto;
mod provider;
mod resource;
mod schema;
mod server;
mod value;

pub use cancel::Cancel;
pub use data_source::{DataReadRequest, DataReadResponse, DataSource};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use function::{Call, Function, FunctionError, Parameter, Signature};
pub use plugin::{Options, serve};
pub use proto::DeferredReason;
pub use provider::{ConfigureRequest, Configured, Provider};
pub use resource::{
    ChangeResponse, CreateRequest, DeleteRequest, ImportRequest, ImportResponse, MoveRequest,
    PlanRequest, PlanResponse, ReadRequest, ReadResponse, Resource, UpdateRequest, UpgradeRequest,
};
pub use schema::{
    Attribute, AttributeKind, Block, Mode, Nested, NestedBlock, Nesting, Schema, SchemaError,
};
pub use tonic::async_trait;
pub use value::{Dynamic, Number, ObjectType, Path, Step, Type, Value, ValueError};
