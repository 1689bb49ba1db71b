//! `foremesh_predictive_region`: the demand that a region will see, as quantiles by entry service and hour.

use std::path::Path;

use foremesh_model::{RegionRequest, Warning};
use foremesh_pipeline::{condense, days_off, demand_summary, predict_region};
use tfplugin::{
    Attribute, DataReadRequest, DataReadResponse, DataSource, Diagnostics, Schema, Type, Value,
    async_trait,
};

use super::{compute, deferred, lines};
use crate::{context::Context, diagnostics, schema};

/// The data source.
pub struct PredictiveRegion;

#[async_trait]
impl DataSource<Context> for PredictiveRegion {
    fn type_name(&self) -> &str {
        "foremesh_predictive_region"
    }

    fn schema(&self) -> Schema {
        Schema::new()
            .description(
                "Forecasts what a region will be asked for: quantiles of requests a second for each entry service and hour from \
                 go-live on, from the region's own history or, while it has none, from that of its donors.",
            )
            .attributes(schema::inputs::<RegionRequest>())
            .attribute(Attribute::computed("demand", Type::String).description(
                "The demand as one compressed, versioned string: pass it to `foremesh_mesh_profile`.",
            ))
            .attribute(
                Attribute::computed("summary", Type::map(Type::String))
                    .description("The demand of each entry service in one line."),
            )
            .attribute(
                Attribute::computed("warnings", schema::output::<Vec<Warning>>())
                    .description("What to beware of in telemetry and forecast, the worst first."),
            )
    }

    async fn read(
        &self,
        request: DataReadRequest<Context>,
    ) -> Result<DataReadResponse, Diagnostics> {
        if let Some(answer) = deferred(&request) {
            return answer;
        }
        let asked: RegionRequest =
            schema::only(&request.config, &schema::fields::<RegionRequest>()).deserialize()?;
        let sources = request
            .context
            .sources(asked.as_of)
            .await
            .map_err(|e| diagnostics::error(&e))?;
        let days_off = days_off(&asked, Path::new(""))
            .await
            .map_err(|e| diagnostics::error(&e))?;
        let (forecast, warnings) = compute(move || {
            let forecast = predict_region(&sources, &asked, &days_off)?;
            let mut warnings = [sources.warnings.clone(), forecast.warnings.clone()].concat();
            warnings.sort();
            Ok((forecast, condense(&warnings)))
        })
        .await?;
        let summary = lines(&demand_summary(&forecast.demand), ToString::to_string);
        let listed = Value::from_serialize(&warnings, &schema::output::<Vec<Warning>>())?;
        let state = request
            .config
            .with("demand", forecast.demand.encode())
            .with("summary", summary)
            .with("warnings", listed);
        Ok(DataReadResponse::new(state).with_diagnostics(diagnostics::warnings(&warnings)))
    }
}
