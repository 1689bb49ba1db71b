//! A provider with something of everything: the tests drive it by gRPC and by the real Terraform.
//!
//! Its dishes live as files in a folder, the pantry, so that a test can change or remove them behind Terraform's back.

mod adopted;
mod data;
mod dish;
mod functions;

use std::{path::PathBuf, process::ExitCode};

use tfplugin::{
    Attribute, ConfigureRequest, Configured, DataSource, Diagnostic, Diagnostics, Function,
    Options, Provider, Resource, Schema, Type, Value, async_trait,
};

struct Kitchen;

/// What configuring yields.
struct Context {
    pantry: PathBuf,
    /// Known only after apply when the configuration refers to a resource that does not exist yet.
    chef: Value,
}

#[async_trait]
impl Provider for Kitchen {
    type Context = Context;

    fn schema(&self) -> Schema {
        Schema::new()
            .description("A kitchen.")
            .attribute(
                Attribute::optional("pantry", Type::String)
                    .description("The folder in which dishes are kept."),
            )
            .attribute(
                Attribute::optional("chef", Type::String)
                    .description("Who cooks.")
                    .sensitive(),
            )
    }

    fn data_sources(&self) -> Vec<Box<dyn DataSource<Context>>> {
        vec![
            Box::new(data::Recipe),
            Box::new(data::Slow),
            Box::new(data::Broken),
        ]
    }

    fn resources(&self) -> Vec<Box<dyn Resource<Context>>> {
        vec![Box::new(dish::Dish), Box::new(adopted::Adopted)]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![
            Box::new(functions::Echo),
            Box::new(functions::Add),
            Box::new(functions::Positive),
            Box::new(functions::Explode),
        ]
    }

    async fn validate(&self, config: &Value) -> Diagnostics {
        match config.get("chef").as_str() {
            Some("") => Diagnostic::error("No chef", "A kitchen needs a chef with a name.")
                .at("chef")
                .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn configure(
        &self,
        request: ConfigureRequest,
    ) -> Result<Configured<Context>, Diagnostics> {
        tracing::info!(terraform = request.terraform_version, "configured");
        let pantry = request
            .config
            .get("pantry")
            .as_str()
            .map_or_else(std::env::temp_dir, PathBuf::from);
        Ok(Configured::new(Context {
            pantry,
            chef: request.config.get("chef").clone(),
        }))
    }
}

fn main() -> ExitCode {
    tfplugin::serve(
        Kitchen,
        Options {
            name: "kitchen".into(),
            version: "1.0.0".into(),
            address: "registry.terraform.io/acme/kitchen".into(),
        },
    )
}
