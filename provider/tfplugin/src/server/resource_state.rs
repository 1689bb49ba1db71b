//! RPCs of the states of managed resources: read, upgrade, import, move, and configuration made from a state.

use std::sync::Arc;

use tonic::Status;

use super::{Server, decode, deferral_allowed, deferred, encode, run::OnStop};
use crate::{
    ImportRequest, MoveRequest, Provider, ReadRequest, UpgradeRequest,
    diagnostic::{Diagnostic, Diagnostics},
    proto,
    schema::{Block, Mode},
    value::Value,
};

impl<P: Provider> Server<P> {
    /// Core sends every stored state through this before it uses it, whether its schema is old or not.
    pub(super) async fn upgrade_resource_state(
        self: Arc<Self>,
        request: proto::UpgradeResourceStateRequest,
    ) -> Result<proto::UpgradeResourceStateResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let name = &request.type_name;
        let state_json = request.raw_state.map(|raw| raw.json).unwrap_or_default();
        let (version, now) = (request.version, entry.schema.version);
        let upgraded = if state_json.is_empty() {
            let detail = format!(
                "The state of {name} was stored by Terraform 0.11 or earlier; apply it once with 0.12."
            );
            Err(Diagnostic::error("The stored state is too old", detail).into())
        } else if version > now {
            let detail = format!(
                "The state of {name} has schema version {version}, and this provider knows versions up to {now}. Use the \
                 version of the provider that stored it, or a newer one."
            );
            Err(Diagnostic::error("The stored state is newer than the provider", detail).into())
        } else if version == now {
            Value::from_state_json(&state_json, &entry.ty).map_err(|error| {
                let detail = format!("The stored state of {name} does not fit its schema: {error}");
                Diagnostic::error("The stored state is damaged", detail).into()
            })
        } else {
            let handler = Arc::clone(&entry.handler);
            let request = UpgradeRequest {
                version,
                state_json,
                schema: Arc::clone(&entry.schema),
            };
            self.run(
                &format!("Upgrading the state of {name}"),
                OnStop::Abandon,
                |_| async move { handler.upgrade(request).await },
            )
            .await
            .and_then(|answer| answer)
        };
        let mut response = proto::UpgradeResourceStateResponse::default();
        let mut diagnostics = Diagnostics::new();
        match upgraded {
            Ok(state) => response.upgraded_state = encode(&state, &entry.ty, &mut diagnostics),
            Err(errors) => diagnostics = errors,
        }
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }

    pub(super) async fn read_resource(
        self: Arc<Self>,
        request: proto::ReadResourceRequest,
    ) -> Result<proto::ReadResourceResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let state = decode(request.current_state.as_ref(), &entry.ty)?;
        let handler = Arc::clone(&entry.handler);
        let private = request.private.clone();
        let deferral_allowed = deferral_allowed(request.client_capabilities.as_ref());
        let what = format!("Reading {}", request.type_name);
        let answer = match self.context() {
            Err(diagnostics) => Err(diagnostics),
            Ok(context) => self
                .run(&what, OnStop::Abandon, move |cancel| async move {
                    handler
                        .read(ReadRequest {
                            context,
                            state,
                            private,
                            deferral_allowed,
                            cancel,
                        })
                        .await
                })
                .await
                .and_then(|answer| answer),
        };
        let mut response = proto::ReadResourceResponse::default();
        let diagnostics = match answer {
            Ok(mut read) => {
                let state = read.state.unwrap_or_default();
                response.new_state = encode(&state, &entry.ty, &mut read.diagnostics);
                response.private = read.private.unwrap_or(request.private);
                response.deferred = deferred(read.deferred);
                read.diagnostics
            }
            Err(diagnostics) => {
                response.new_state = request.current_state;
                response.private = request.private;
                diagnostics
            }
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }

    pub(super) async fn import_resource_state(
        self: Arc<Self>,
        request: proto::ImportResourceStateRequest,
    ) -> Result<proto::ImportResourceStateResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let (handler, schema) = (Arc::clone(&entry.handler), Arc::clone(&entry.schema));
        let (what, id) = (format!("Importing {}", request.type_name), request.id);
        let answer = match self.context() {
            Err(diagnostics) => Err(diagnostics),
            Ok(context) => self
                .run(&what, OnStop::Abandon, move |cancel| async move {
                    handler
                        .import(ImportRequest {
                            context,
                            id,
                            schema,
                            cancel,
                        })
                        .await
                })
                .await
                .and_then(|answer| answer),
        };
        let mut response = proto::ImportResourceStateResponse::default();
        let diagnostics = match answer {
            Ok(mut import) => {
                let state = encode(&import.state, &entry.ty, &mut import.diagnostics);
                response
                    .imported_resources
                    .extend(state.map(|state| proto::ImportedResource {
                        type_name: request.type_name,
                        state: Some(state),
                        private: import.private,
                        identity: None,
                    }));
                import.diagnostics
            }
            Err(diagnostics) => diagnostics,
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }

    pub(super) async fn move_resource_state(
        self: Arc<Self>,
        request: proto::MoveResourceStateRequest,
    ) -> Result<proto::MoveResourceStateResponse, Status> {
        let entry = self.resource(&request.target_type_name)?;
        let handler = Arc::clone(&entry.handler);
        let source_private = request.source_private.clone();
        let moved = MoveRequest {
            source_provider_address: request.source_provider_address,
            source_type_name: request.source_type_name,
            source_schema_version: request.source_schema_version,
            source_state_json: request.source_state.map(|raw| raw.json).unwrap_or_default(),
            source_private: request.source_private,
            schema: Arc::clone(&entry.schema),
        };
        let what = format!("Moving to {}", request.target_type_name);
        let answer = self
            .run(&what, OnStop::Abandon, |_| async move {
                handler.take_over(moved).await
            })
            .await
            .and_then(|answer| answer);
        let mut response = proto::MoveResourceStateResponse::default();
        let diagnostics = match answer {
            Ok(mut change) => {
                response.target_state = encode(&change.state, &entry.ty, &mut change.diagnostics);
                response.target_private = change.private.unwrap_or(source_private);
                change.diagnostics
            }
            Err(diagnostics) => diagnostics,
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }

    /// The configuration that would lead to a state: the state without what only the provider sets.
    pub(super) async fn generate_resource_config(
        self: Arc<Self>,
        request: proto::GenerateResourceConfigRequest,
    ) -> Result<proto::GenerateResourceConfigResponse, Status> {
        let entry = self.resource(&request.type_name)?;
        let mut config = decode(request.state.as_ref(), &entry.ty)?;
        clear_computed(&entry.schema.block, &mut config);
        let mut diagnostics = Diagnostics::new();
        let config = encode(&config, &entry.ty, &mut diagnostics);
        Ok(proto::GenerateResourceConfigResponse {
            config,
            diagnostics: diagnostics.to_proto(&entry.schema.block),
        })
    }
}

fn clear_computed(block: &Block, value: &mut Value) {
    match value {
        // The blocks of a list or set; those of a map look like a block themselves and are told apart by the caller.
        Value::List(elements) => elements
            .iter_mut()
            .for_each(|element| clear_computed(block, element)),
        Value::Map(values) => {
            for attribute in block
                .attributes
                .iter()
                .filter(|attribute| attribute.mode == Mode::Computed)
            {
                values.insert(attribute.name.clone(), Value::Null);
            }
            for nested in &block.blocks {
                match (nested.nesting, values.get_mut(&nested.name)) {
                    (crate::schema::Nesting::Map, Some(Value::Map(elements))) => {
                        elements
                            .values_mut()
                            .for_each(|element| clear_computed(&nested.block, element));
                    }
                    (_, Some(inner)) => clear_computed(&nested.block, inner),
                    (_, None) => {}
                }
            }
        }
        _ => {}
    }
}
