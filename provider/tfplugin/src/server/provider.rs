//! RPCs about the provider as a whole.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use tonic::Status;

use super::{Server, decode, deferral_allowed, run::OnStop};
use crate::{ConfigureRequest, Provider, diagnostic::Diagnostics, proto};

/// Plans of deletions are asked for, the schema need not be fetched again by each process, states can be moved, and a
/// configuration can be made from a state.
const CAPABILITIES: proto::ServerCapabilities = proto::ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: true,
    generate_resource_config: true,
};

impl<P: Provider> Server<P> {
    pub(super) async fn get_metadata(
        self: Arc<Self>,
        _: proto::GetMetadataRequest,
    ) -> Result<proto::GetMetadataResponse, Status> {
        let catalogue = self.catalogue()?;
        let metadata = |type_name: &String| proto::TypeMetadata {
            type_name: type_name.clone(),
        };
        Ok(proto::GetMetadataResponse {
            server_capabilities: Some(CAPABILITIES),
            diagnostics: Vec::new(),
            data_sources: catalogue.data_sources.keys().map(metadata).collect(),
            resources: catalogue.resources.keys().map(metadata).collect(),
            functions: catalogue
                .functions
                .keys()
                .map(|name| proto::FunctionMetadata { name: name.clone() })
                .collect(),
        })
    }

    pub(super) async fn get_provider_schema(
        self: Arc<Self>,
        _: proto::GetProviderSchemaRequest,
    ) -> Result<proto::GetProviderSchemaResponse, Status> {
        let catalogue = self.catalogue()?;
        Ok(proto::GetProviderSchemaResponse {
            provider: Some(catalogue.provider.to_proto()),
            resource_schemas: catalogue
                .resources
                .iter()
                .map(|(n, e)| (n.clone(), e.schema.to_proto()))
                .collect(),
            data_source_schemas: catalogue
                .data_sources
                .iter()
                .map(|(n, e)| (n.clone(), e.schema.to_proto()))
                .collect(),
            functions: catalogue
                .functions
                .iter()
                .map(|(n, e)| (n.clone(), e.signature.to_proto()))
                .collect(),
            server_capabilities: Some(CAPABILITIES),
            diagnostics: Vec::new(),
            provider_meta: None,
        })
    }

    pub(super) async fn get_resource_identity_schemas(
        self: Arc<Self>,
        _: proto::GetResourceIdentitySchemasRequest,
    ) -> Result<proto::GetResourceIdentitySchemasResponse, Status> {
        Ok(proto::GetResourceIdentitySchemasResponse {
            identity_schemas: HashMap::new(),
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn upgrade_resource_identity(
        self: Arc<Self>,
        request: proto::UpgradeResourceIdentityRequest,
    ) -> Result<proto::UpgradeResourceIdentityResponse, Status> {
        Err(Status::invalid_argument(format!(
            "{} has no identity",
            request.type_name
        )))
    }

    pub(super) async fn validate_provider_config(
        self: Arc<Self>,
        request: proto::ValidateProviderConfigRequest,
    ) -> Result<proto::ValidateProviderConfigResponse, Status> {
        let catalogue = self.catalogue()?;
        let config = decode(request.config.as_ref(), &catalogue.provider_type)?;
        let mut diagnostics = catalogue.provider.block.deprecations(&config);
        let server = Arc::clone(&self);
        let answer = self
            .run(
                "Validating the provider's configuration",
                OnStop::Abandon,
                |_| async move { server.provider.validate(&config).await },
            )
            .await;
        diagnostics.append(answer.unwrap_or_else(|diagnostics| diagnostics));
        Ok(proto::ValidateProviderConfigResponse {
            diagnostics: diagnostics.to_proto(&catalogue.provider.block),
        })
    }

    pub(super) async fn configure_provider(
        self: Arc<Self>,
        request: proto::ConfigureProviderRequest,
    ) -> Result<proto::ConfigureProviderResponse, Status> {
        let catalogue = self.catalogue()?;
        let config = decode(request.config.as_ref(), &catalogue.provider_type)?;
        let server = Arc::clone(&self);
        let configured = self
            .run(
                "Configuring the provider",
                OnStop::Abandon,
                move |cancel| async move {
                    let request = ConfigureRequest {
                        config,
                        terraform_version: request.terraform_version,
                        deferral_allowed: deferral_allowed(request.client_capabilities.as_ref()),
                        cancel,
                    };
                    server.provider.configure(request).await
                },
            )
            .await
            .and_then(|configured| configured);
        let diagnostics: Diagnostics = match configured {
            Ok(configured) => {
                let context = Arc::new(configured.context);
                *self.context.write().unwrap_or_else(PoisonError::into_inner) = Some(context);
                configured.diagnostics
            }
            Err(diagnostics) => diagnostics,
        };
        Ok(proto::ConfigureProviderResponse {
            diagnostics: diagnostics.to_proto(&catalogue.provider.block),
        })
    }

    pub(super) async fn stop_provider(
        self: Arc<Self>,
        _: proto::StopProviderRequest,
    ) -> Result<proto::StopProviderResponse, Status> {
        tracing::debug!("Terraform asks to stop what is in flight");
        self.stop.cancel();
        Ok(proto::StopProviderResponse::default())
    }
}
