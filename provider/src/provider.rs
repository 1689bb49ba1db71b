//! The provider block, and what the provider offers.

use foremesh_model::{SourceRequest, shape::Field};
use tfplugin::{
    Block, ConfigureRequest, Configured, DataSource, Diagnostics, Function, NestedBlock, Provider,
    Resource, Schema, Value, async_trait,
};

use crate::{context::Context, data_sources, functions, resources, schema};

/// The field that is written as a block of its own.
const BLOCK: &str = "prometheus";

/// The provider.
#[derive(Debug, Clone, Copy, Default)]
pub struct Foremesh;

#[async_trait]
impl Provider for Foremesh {
    type Context = Context;

    fn schema(&self) -> Schema {
        let (blocks, plain): (Vec<Field>, Vec<Field>) = schema::fields::<SourceRequest>()
            .into_iter()
            .partition(|field| field.name == BLOCK);
        let mut attributes = schema::inputs::<SourceRequest>();
        attributes.retain(|attribute| plain.iter().any(|field| field.name == attribute.name));
        let mut top = Schema::new()
            .description(
                "Plans a service mesh for a region before the region takes its first request: from the telemetry of other \
                 regions, the graph of services and what their instances can do.",
            )
            .attributes(attributes);
        for field in blocks {
            let block = Block::new()
                .description(&field.description)
                .attributes(schema::inputs::<foremesh_model::Prometheus>());
            top = top.block(NestedBlock::single(&field.name, block));
        }
        top
    }

    fn data_sources(&self) -> Vec<Box<dyn DataSource<Context>>> {
        vec![
            Box::new(data_sources::PredictiveRegion),
            Box::new(data_sources::MeshProfile),
        ]
    }

    fn resources(&self) -> Vec<Box<dyn Resource<Context>>> {
        vec![
            Box::new(resources::AdoptedProfile),
            Box::new(resources::Bundle),
        ]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![
            Box::new(functions::Render),
            Box::new(functions::DecodeProfile),
        ]
    }

    async fn validate(&self, config: &Value) -> Diagnostics {
        let set = |name: &str| !config.get(name).is_null();
        if set("history") && set("prometheus") {
            return crate::diagnostics::error(&foremesh_pipeline::PipelineError::TwoHistories);
        }
        Diagnostics::new()
    }

    async fn configure(
        &self,
        request: ConfigureRequest,
    ) -> Result<Configured<Context>, Diagnostics> {
        // A provider block that refers to something not yet created is known only after apply; reads that need it say so.
        let sources = if request.config.is_wholly_known() {
            Some(schema::without_nulls(&request.config).deserialize::<SourceRequest>()?)
        } else {
            None
        };
        Ok(Configured::new(Context::new(sources)))
    }
}
