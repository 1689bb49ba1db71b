//! `foremesh_adopted_profile`: keeps plans quiet.
//!
//! A data source is read again at every plan, and a forecast moves a little every day. This resource measures the proposal
//! against what was adopted: while nothing moved beyond the tolerance, the prior state is planned whole, the proposal included,
//! and Terraform reports no change; else exactly the values that moved are taken over. Many small steps are measured from the
//! same place, so they add up instead of creeping by.

use foremesh_model::Settings;
use foremesh_pipeline::adopt;
use tfplugin::{
    Attribute, ChangeResponse, CreateRequest, DeleteRequest, Diagnostic, Diagnostics, PlanRequest,
    PlanResponse, Resource, Schema, Type, UpdateRequest, Value, async_trait,
};

use super::settings_of;
use crate::{context::Context, schema};

const DEFAULT_TOLERANCE: f64 = 0.1;

/// The resource.
pub struct AdoptedProfile;

#[async_trait]
impl Resource<Context> for AdoptedProfile {
    fn type_name(&self) -> &str {
        "foremesh_adopted_profile"
    }

    fn schema(&self) -> Schema {
        Schema::new()
            .version(1)
            .description(
                "Adopts a proposed profile and keeps it while the proposal moves only a little, so that a quiet day makes a quiet \
                 plan. A value that must move for safety moves in spite of the tolerance.",
            )
            .attribute(
                Attribute::required("proposed", Type::String)
                    .description("The proposal: `data.foremesh_mesh_profile.NAME.profile`."),
            )
            .attribute(Attribute::optional_computed("tolerance", Type::Number).description(
                "How far, as a ratio, a proposed number may lie from the adopted one before it is taken over. Default 0.1; \
                 0 takes over every change.",
            ))
            .attribute(
                Attribute::computed("adopted", schema::settings())
                    .description("The settings that hold: what renderers read."),
            )
    }

    async fn validate(&self, config: &Value) -> Diagnostics {
        match config.get("tolerance").as_f64() {
            Some(tolerance) if !(0.0..=1.0).contains(&tolerance) => Diagnostic::error(
                "Tolerance out of range",
                "tolerance must lie between 0 and 1.",
            )
            .at("tolerance")
            .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn plan(&self, request: PlanRequest<Context>) -> Result<PlanResponse, Diagnostics> {
        let tolerance = match request.config.get("tolerance") {
            unset if unset.is_null() => Value::from(DEFAULT_TOLERANCE),
            set => set.clone(),
        };
        let response = PlanResponse::propose(&request).with_planned("tolerance", tolerance.clone());
        let (false, Some(ratio)) = (
            request.config.get("proposed").is_unknown(),
            tolerance.as_f64(),
        ) else {
            return Ok(response);
        };
        let outcome = adoption(&request.config, request.prior.as_ref(), ratio)?;
        let prior_tolerance = request.prior.as_ref().map(|prior| prior.get("tolerance"));
        if outcome.quiet && prior_tolerance == Some(&tolerance) {
            return Ok(PlanResponse::keep_prior(&request));
        }
        Ok(response
            .with_planned("adopted", outcome.adopted)
            .with_diagnostics(outcome.released))
    }

    async fn create(&self, request: CreateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        reached(&request.config, None, request.planned)
    }

    async fn update(&self, request: UpdateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        reached(&request.config, Some(&request.prior), request.planned)
    }

    async fn delete(&self, _request: DeleteRequest<Context>) -> Result<(), Diagnostics> {
        Ok(())
    }
}

/// What adopting comes to.
struct Outcome {
    /// Whether nothing moved.
    quiet: bool,
    /// The settings that hold then.
    adopted: Value,
    /// What was let go of for safety.
    released: Diagnostics,
}

fn adoption(config: &Value, prior: Option<&Value>, tolerance: f64) -> Result<Outcome, Diagnostics> {
    let proposed = Settings::decode(config.get("proposed").as_str().unwrap_or_default())
        .map_err(|e| Diagnostic::error("Not a profile", e.to_string()).at("proposed"))?;
    let Some(prior) = prior else {
        return Ok(Outcome {
            quiet: false,
            adopted: schema::typed(&proposed)?,
            released: Diagnostics::new(),
        });
    };
    let held = settings_of(prior.get("adopted"), "adopted")?;
    let outcome = adopt(&held, &proposed, tolerance);
    let released = outcome
        .released
        .iter()
        .map(|(path, why)| {
            Diagnostic::warning(
                format!("{path} is taken over in spite of the tolerance"),
                why.clone(),
            )
        })
        .collect();
    Ok(Outcome {
        quiet: outcome.adopted == held,
        adopted: schema::typed(&outcome.adopted)?,
        released,
    })
}

/// The state after apply: what was planned, computed now where the proposal was not known at the plan.
fn reached(
    config: &Value,
    prior: Option<&Value>,
    planned: Value,
) -> Result<ChangeResponse, Diagnostics> {
    if !planned.get("adopted").is_unknown() {
        return Ok(ChangeResponse::new(planned));
    }
    let tolerance = planned
        .get("tolerance")
        .as_f64()
        .unwrap_or(DEFAULT_TOLERANCE);
    let outcome = adoption(config, prior, tolerance)?;
    Ok(
        ChangeResponse::new(planned.with("adopted", outcome.adopted))
            .with_diagnostics(outcome.released),
    )
}
