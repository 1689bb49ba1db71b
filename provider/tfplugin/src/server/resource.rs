//! RPCs of managed resources: configuration, plan and change. States are in `resource_state.rs`.

use std::sync::Arc;

use tonic::Status;

use super::{
    Server, catalogue::Entry, decode, deferral_allowed, deferred, encode, no_such, run::OnStop,
};
use crate::{
    ChangeResponse, CreateRequest, DeleteRequest, PlanRequest, PlanResponse, Provider, Resource,
    UpdateRequest,
    diagnostic::{Diagnostic, Diagnostics, path_to_proto},
    proto,
    schema::{Attribute, Schema},
    value::Value,
};

impl<P: Provider> Server<P> {
    pub(super) fn resource(&self, name: &str) -> Result<&Entry<dyn Resource<P::Context>>, Status> {
        self.catalogue()?
            .resources
            .get(name)
            .ok_or_else(|| no_such("resource", name))
    }

    pub(super) async fn validate_resource_config(
        self: Arc<Self>,
        request: proto::ValidateResourceConfigRequest,
    ) -> Result<proto::ValidateResourceConfigResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let config = decode(request.config.as_ref(), &entry.ty)?;
        let capable = request
            .client_capabilities
            .as_ref()
            .is_some_and(|client| client.write_only_attributes_allowed);
        if let Some(diagnostic) = refused_write_only(&entry.schema, &config, capable) {
            return Ok(proto::ValidateResourceConfigResponse {
                diagnostics: Diagnostics::from(diagnostic).to_proto(&entry.schema.block),
            });
        }
        let mut diagnostics = entry.schema.block.deprecations(&config);
        let handler = Arc::clone(&entry.handler);
        let what = format!("Validating {}", request.type_name);
        let answer = self
            .run(&what, OnStop::Abandon, |_| async move {
                handler.validate(&config).await
            })
            .await;
        diagnostics.append(answer.unwrap_or_else(|diagnostics| diagnostics));
        Ok(proto::ValidateResourceConfigResponse {
            diagnostics: diagnostics.to_proto(&entry.schema.block),
        })
    }

    pub(super) async fn plan_resource_change(
        self: Arc<Self>,
        request: proto::PlanResourceChangeRequest,
    ) -> Result<proto::PlanResourceChangeResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let prior = decode(request.prior_state.as_ref(), &entry.ty)?;
        let config = decode(request.config.as_ref(), &entry.ty)?;
        let mut proposed = decode(request.proposed_new_state.as_ref(), &entry.ty)?;
        forget_write_only(&entry.schema, &mut proposed);
        let private = request.prior_private;
        let handler = Arc::clone(&entry.handler);
        let schema = Arc::clone(&entry.schema);
        let deferral_allowed = deferral_allowed(request.client_capabilities.as_ref());
        let what = format!("Planning {}", request.type_name);
        let answer = match self.context() {
            Err(diagnostics) => Err(diagnostics),
            Ok(context) if proposed.is_null() => {
                let kept = private.clone();
                self.run(&what, OnStop::Abandon, move |cancel| async move {
                    handler
                        .plan_delete(DeleteRequest {
                            context,
                            prior,
                            private,
                            cancel,
                        })
                        .await
                })
                .await
                .and_then(Diagnostics::into_result)
                .map(|diagnostics| PlanResponse {
                    planned: Value::Null,
                    requires_replace: Vec::new(),
                    private: kept,
                    deferred: None,
                    diagnostics,
                })
            }
            Ok(context) => self
                .run(&what, OnStop::Abandon, move |cancel| async move {
                    let prior = (!prior.is_null()).then_some(prior);
                    handler
                        .plan(PlanRequest {
                            context,
                            prior,
                            config,
                            proposed,
                            private,
                            deferral_allowed,
                            schema,
                            cancel,
                        })
                        .await
                })
                .await
                .and_then(|answer| answer),
        };
        let mut response = proto::PlanResourceChangeResponse::default();
        let diagnostics = match answer {
            Ok(mut plan) => {
                forget_write_only(&entry.schema, &mut plan.planned);
                response.planned_state = encode(&plan.planned, &entry.ty, &mut plan.diagnostics);
                response.requires_replace =
                    plan.requires_replace.iter().map(path_to_proto).collect();
                response.planned_private = plan.private;
                response.deferred = deferred(plan.deferred);
                plan.diagnostics
            }
            Err(diagnostics) => diagnostics,
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }

    pub(super) async fn apply_resource_change(
        self: Arc<Self>,
        request: proto::ApplyResourceChangeRequest,
    ) -> Result<proto::ApplyResourceChangeResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let prior = decode(request.prior_state.as_ref(), &entry.ty)?;
        let planned = decode(request.planned_state.as_ref(), &entry.ty)?;
        let config = decode(request.config.as_ref(), &entry.ty)?;
        let private = request.planned_private.clone();
        let handler = Arc::clone(&entry.handler);
        let name = &request.type_name;
        let answer = match self.context() {
            Err(diagnostics) => Err(diagnostics),
            Ok(context) if planned.is_null() => self
                .run(
                    &format!("Deleting {name}"),
                    OnStop::Finish,
                    move |cancel| async move {
                        handler
                            .delete(DeleteRequest {
                                context,
                                prior,
                                private,
                                cancel,
                            })
                            .await
                    },
                )
                .await
                .and_then(|answer| answer)
                .map(|()| ChangeResponse::new(Value::Null).with_private(Vec::new())),
            Ok(context) if prior.is_null() => self
                .run(
                    &format!("Creating {name}"),
                    OnStop::Finish,
                    move |cancel| async move {
                        handler
                            .create(CreateRequest {
                                context,
                                config,
                                planned,
                                private,
                                cancel,
                            })
                            .await
                    },
                )
                .await
                .and_then(|answer| answer),
            Ok(context) => self
                .run(
                    &format!("Updating {name}"),
                    OnStop::Finish,
                    move |cancel| async move {
                        handler
                            .update(UpdateRequest {
                                context,
                                prior,
                                config,
                                planned,
                                private,
                                cancel,
                            })
                            .await
                    },
                )
                .await
                .and_then(|answer| answer),
        };
        let mut response = proto::ApplyResourceChangeResponse::default();
        let diagnostics = match answer {
            Ok(mut change) => {
                forget_write_only(&entry.schema, &mut change.state);
                response.new_state = encode(&change.state, &entry.ty, &mut change.diagnostics);
                response.private = change.private.unwrap_or(request.planned_private);
                change.diagnostics
            }
            Err(diagnostics) => {
                // Nothing changed: what was before is still there.
                response.new_state = request.prior_state;
                response.private = request.planned_private;
                diagnostics
            }
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }
}

/// What to say where a write-only attribute is set and the client would keep its value.
fn refused_write_only(schema: &Schema, config: &Value, capable: bool) -> Option<Diagnostic> {
    let set =
        |attribute: &&Attribute| attribute.write_only && !config.get(&attribute.name).is_null();
    let attribute = schema
        .block
        .attributes
        .iter()
        .find(set)
        .filter(|_| !capable)?;
    let detail = format!(
        "{} is write-only: its value is kept in no state. Terraform and OpenTofu know such attributes from 1.11 on: use that \
         version or a later one.",
        attribute.name
    );
    Some(
        Diagnostic::error("Write-only attribute not supported", detail).at(attribute.name.as_str()),
    )
}

/// Core insists that a write-only attribute is null in every plan and state. Its proposal holds the configured value
/// all the same, which would look like a change at every plan.
fn forget_write_only(schema: &Schema, state: &mut Value) {
    // Null is the state of what is deleted, and stays it.
    if let Value::Map(values) = state {
        for attribute in schema
            .block
            .attributes
            .iter()
            .filter(|attribute| attribute.write_only)
        {
            values.insert(attribute.name.clone(), Value::Null);
        }
    }
}
