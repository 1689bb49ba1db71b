//! A resource whose plan stays quiet while what is proposed moves less than a tolerance.

use tfplugin::{
    Attribute, ChangeResponse, CreateRequest, DeleteRequest, Diagnostics, PlanRequest,
    PlanResponse, Resource, Schema, Type, UpdateRequest, Value, async_trait,
};

use crate::Context;

pub struct Adopted;

/// Did no value move by more than `tolerance`, relative to where it was?
fn within(tolerance: f64, prior: &Value, proposed: &Value) -> bool {
    let (Some(prior), Some(proposed)) = (prior.as_map(), proposed.as_map()) else {
        return false;
    };
    prior.keys().eq(proposed.keys())
        && prior.iter().all(|(key, was)| {
            match (was.as_f64(), proposed.get(key).and_then(Value::as_f64)) {
                (Some(was), Some(is)) => (is - was).abs() <= tolerance * was.abs(),
                _ => false,
            }
        })
}

#[async_trait]
impl Resource<Context> for Adopted {
    fn type_name(&self) -> &str {
        "kitchen_adopted"
    }

    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(Attribute::required("proposed", Type::map(Type::Number)))
            .attribute(Attribute::required("tolerance", Type::Number))
            .attribute(Attribute::computed("adopted", Type::map(Type::Number)))
    }

    async fn plan(&self, request: PlanRequest<Context>) -> Result<PlanResponse, Diagnostics> {
        let proposed = request.config.get("proposed");
        if let Some(prior) = &request.prior {
            let tolerance = request.config.get("tolerance");
            let same_tolerance = tolerance == prior.get("tolerance");
            if same_tolerance
                && within(
                    tolerance.as_f64().unwrap_or(0.0),
                    prior.get("proposed"),
                    proposed,
                )
            {
                return Ok(PlanResponse::keep_prior(&request));
            }
        }
        // What is adopted is known at plan time where the proposal is, so the diff can show it.
        Ok(PlanResponse::propose(&request).with_planned("adopted", proposed.clone()))
    }

    async fn create(&self, request: CreateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        let adopted = request.config.get("proposed").clone();
        Ok(ChangeResponse::new(
            request.planned.with("adopted", adopted),
        ))
    }

    async fn update(&self, request: UpdateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        let adopted = request.planned.get("proposed").clone();
        Ok(ChangeResponse::new(
            request.planned.with("adopted", adopted),
        ))
    }

    async fn delete(&self, _: DeleteRequest<Context>) -> Result<(), Diagnostics> {
        Ok(())
    }
}
