//! RPCs of data sources.

use std::sync::Arc;

use tonic::Status;

use super::{
    Server, catalogue::Entry, decode, deferral_allowed, deferred, encode, no_such, run::OnStop,
};
use crate::{DataReadRequest, DataSource, Provider, proto};

impl<P: Provider> Server<P> {
    fn data_source(&self, name: &str) -> Result<&Entry<dyn DataSource<P::Context>>, Status> {
        self.catalogue()?
            .data_sources
            .get(name)
            .ok_or_else(|| no_such("data source", name))
    }

    pub(super) async fn validate_data_resource_config(
        self: Arc<Self>,
        request: proto::ValidateDataResourceConfigRequest,
    ) -> Result<proto::ValidateDataResourceConfigResponse, Status> {
        let entry = self.data_source(&request.type_name)?;
        let config = decode(request.config.as_ref(), &entry.ty)?;
        let mut diagnostics = entry.schema.block.deprecations(&config);
        let handler = Arc::clone(&entry.handler);
        let what = format!("Validating {}", request.type_name);
        let answer = self
            .run(&what, OnStop::Abandon, |_| async move {
                handler.validate(&config).await
            })
            .await;
        diagnostics.append(answer.unwrap_or_else(|diagnostics| diagnostics));
        Ok(proto::ValidateDataResourceConfigResponse {
            diagnostics: diagnostics.to_proto(&entry.schema.block),
        })
    }

    pub(super) async fn read_data_source(
        self: Arc<Self>,
        request: proto::ReadDataSourceRequest,
    ) -> Result<proto::ReadDataSourceResponse, Status> {
        let entry = self.data_source(&request.type_name)?;
        let config = decode(request.config.as_ref(), &entry.ty)?;
        let context = match self.context() {
            Ok(context) => context,
            Err(diagnostics) => {
                return Ok(proto::ReadDataSourceResponse {
                    diagnostics: diagnostics.to_proto(&entry.schema.block),
                    ..Default::default()
                });
            }
        };
        let (handler, schema) = (Arc::clone(&entry.handler), Arc::clone(&entry.schema));
        let deferral_allowed = deferral_allowed(request.client_capabilities.as_ref());
        let what = format!("Reading {}", request.type_name);
        let answer = self
            .run(&what, OnStop::Abandon, move |cancel| async move {
                handler
                    .read(DataReadRequest {
                        config,
                        context,
                        deferral_allowed,
                        schema,
                        cancel,
                    })
                    .await
            })
            .await
            .and_then(|answer| answer);
        let mut response = proto::ReadDataSourceResponse::default();
        let diagnostics = match answer {
            Ok(mut answer) => {
                response.state = encode(&answer.state, &entry.ty, &mut answer.diagnostics);
                response.deferred = deferred(answer.deferred);
                answer.diagnostics
            }
            Err(diagnostics) => diagnostics,
        };
        response.diagnostics = diagnostics.to_proto(&entry.schema.block);
        Ok(response)
    }
}
