//! `foremesh_mesh_profile`: the settings that answer a demand.

use std::collections::BTreeMap;

use foremesh_model::{Candidate, Demand, FaultVerdict, PlanIdentity, ProfileRequest, Warning};
use foremesh_pipeline::{
    PipelineError, compute_profile, condense, entry_line, explain, settings_summary,
};
use tfplugin::{
    Attribute, DataReadRequest, DataReadResponse, DataSource, Diagnostic, Diagnostics, Schema,
    Type, Value, async_trait,
};

use super::{compute, deferred, lines};
use crate::{context::Context, diagnostics, schema};

/// The data source.
pub struct MeshProfile;

#[async_trait]
impl DataSource<Context> for MeshProfile {
    fn type_name(&self) -> &str {
        "foremesh_mesh_profile"
    }

    fn schema(&self) -> Schema {
        let why = Type::map(Type::map(Type::String));
        Schema::new()
            .description(
                "Computes the settings of a region's mesh: instances by hour, standby, rate limits, circuit breakers, retries, \
                 timeouts, load balancing, ejection, warm-up and the go-live ramp, so that every entry keeps its objective at the \
                 0.99 quantile of demand. It proposes; `foremesh_adopted_profile` holds what was adopted.",
            )
            .attribute(Attribute::required("region", Type::String).description("The region of the demand."))
            .attribute(
                Attribute::required("demand", Type::String)
                    .description("The demand: `data.foremesh_predictive_region.NAME.demand`."),
            )
            .attributes(schema::inputs::<ProfileRequest>())
            .attribute(
                Attribute::optional("explain", Type::list(Type::String))
                    .description("Services whose reasons `why` shall hold; none by default, to keep the state small."),
            )
            .attribute(Attribute::computed("profile", Type::String).description(
                "The settings as one compressed, versioned string: pass it to `foremesh_adopted_profile`, or read it with the function \
                 `decode_profile`.",
            ))
            .attribute(
                Attribute::computed("summary", Type::map(Type::String))
                    .description("The settings of each service in one line."),
            )
            .attribute(
                Attribute::computed("entries", Type::map(Type::String))
                    .description("What each entry service is expected to show in its hardest hour, in one line: latency at its percentile, availability, and whether it holds."),
            )
            .attribute(Attribute::computed("holds", Type::Bool).description("Whether every entry keeps its objective."))
            .attribute(
                Attribute::computed("instance_cost", Type::Number)
                    .description("Cost of all instances over the horizon, standby included."),
            )
            .attribute(
                Attribute::computed("instance_hours", Type::Number)
                    .description("Instance hours over the horizon, standby included."),
            )
            .attribute(
                Attribute::computed("why", why)
                    .description("Why each value of the services in `explain` is what it is, by service and path."),
            )
            .attribute(
                Attribute::computed("identity", schema::output::<PlanIdentity>())
                    .description("What made the settings: equal identities and inputs give equal bytes."),
            )
            .attribute(
                Attribute::computed("candidates", schema::output::<Vec<Candidate>>())
                    .description("What was weighed against each other; the first is the one chosen."),
            )
            .attribute(
                Attribute::computed("faults", schema::output::<Vec<FaultVerdict>>())
                    .description("What the plan does under the faults that would hurt most, in simulation; empty where none were tried (`prove_faults`)."),
            )
            .attribute(
                Attribute::computed("warnings", schema::output::<Vec<Warning>>())
                    .description("What to beware of, the worst first."),
            )
    }

    async fn read(
        &self,
        request: DataReadRequest<Context>,
    ) -> Result<DataReadResponse, Diagnostics> {
        if let Some(answer) = deferred(&request) {
            return answer;
        }
        let config = &request.config;
        let asked: ProfileRequest =
            schema::only(config, &schema::fields::<ProfileRequest>()).deserialize()?;
        let demand = Demand::decode(config.get("demand").as_str().unwrap_or_default())
            .map_err(|e| Diagnostic::error("Not a demand", e.to_string()).at("demand"))?;
        let region = config.get("region").as_str().unwrap_or_default();
        if region != demand.region.as_str() {
            let detail = format!(
                "region is {region:?}, but the demand was forecast for {:?}: use one for both",
                demand.region.as_str()
            );
            return Err(Diagnostic::error("Demand of another region", detail)
                .at("region")
                .into());
        }
        let sources = request
            .context
            .sources(demand.as_of)
            .await
            .map_err(|e| diagnostics::error(&e))?;
        let explained: Vec<String> = config
            .get("explain")
            .deserialize::<Option<Vec<String>>>()?
            .unwrap_or_default();
        let (plan, why) = compute(move || {
            let plan = compute_profile(&sources.graph, &demand, &asked, &sources.models)?;
            let why = explained
                .iter()
                .map(|name| {
                    let reasons = explain(&plan, name)?.values.into_iter();
                    let texts = reasons
                        .map(|v| (v.path, v.reason.text))
                        .collect::<BTreeMap<_, _>>();
                    Ok((name.clone(), texts))
                })
                .collect::<Result<BTreeMap<_, _>, PipelineError>>()?;
            Ok((plan, why))
        })
        .await?;
        let warnings = condense(&plan.warnings);
        let state = request
            .config
            .clone()
            .with("profile", plan.settings.encode())
            .with(
                "summary",
                lines(&settings_summary(&plan), ToString::to_string),
            )
            .with("entries", lines(&plan.kpis.entries, entry_line))
            .with("holds", plan.kpis.holds)
            .with("instance_cost", plan.kpis.instance_cost)
            .with("instance_hours", plan.kpis.instance_hours)
            .with(
                "why",
                Value::from_serialize(&why, &Type::map(Type::map(Type::String)))?,
            )
            .with(
                "identity",
                Value::from_serialize(&plan.identity, &schema::output::<PlanIdentity>())?,
            )
            .with(
                "candidates",
                Value::from_serialize(&plan.candidates, &schema::output::<Vec<Candidate>>())?,
            )
            .with(
                "faults",
                Value::from_serialize(&plan.faults, &schema::output::<Vec<FaultVerdict>>())?,
            )
            .with(
                "warnings",
                Value::from_serialize(&warnings, &schema::output::<Vec<Warning>>())?,
            );
        Ok(DataReadResponse::new(state).with_diagnostics(diagnostics::warnings(&warnings)))
    }
}
