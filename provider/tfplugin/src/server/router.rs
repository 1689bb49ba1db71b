//! gRPC in and out: the path of a request to its RPC, in the shape that tonic's generated code has.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::Server;
use crate::{Provider, plugin::MAX_MESSAGE_BYTES};

type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// The service `tfplugin6.Provider`.
pub(crate) struct ProviderService<P: Provider>(pub(crate) Arc<Server<P>>);

impl<P: Provider> Clone for ProviderService<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<P: Provider> NamedService for ProviderService<P> {
    const NAME: &'static str = "tfplugin6.Provider";
}

/// An RPC as tonic wants to call it.
struct Rpc<S, F> {
    server: Arc<S>,
    method: F,
}

impl<S, F, Q, A, Fut> UnaryService<Q> for Rpc<S, F>
where
    F: Fn(Arc<S>, Q) -> Fut,
    Fut: Future<Output = Result<A, Status>> + Send + 'static,
{
    type Response = A;
    type Future = BoxFuture<Result<Response<A>, Status>>;

    fn call(&mut self, request: Request<Q>) -> Self::Future {
        let answer = (self.method)(Arc::clone(&self.server), request.into_inner());
        Box::pin(async move { answer.await.map(Response::new) })
    }
}

/// Decodes a request, calls the RPC and encodes its answer.
fn unary<S, Q, A, Fut>(
    server: Arc<S>,
    request: http::Request<Body>,
    method: fn(Arc<S>, Q) -> Fut,
) -> BoxFuture<Result<http::Response<Body>, Infallible>>
where
    S: Send + Sync + 'static,
    Q: prost::Message + Default + 'static,
    A: prost::Message + 'static,
    Fut: Future<Output = Result<A, Status>> + Send + 'static,
{
    Box::pin(async move {
        let mut grpc = Grpc::new(ProstCodec::<A, Q>::default())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(grpc.unary(Rpc { server, method }, request).await)
    })
}

impl<P: Provider> Service<http::Request<Body>> for ProviderService<P> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let server = Arc::clone(&self.0);
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        match method {
            "GetMetadata" => unary(server, request, Server::get_metadata),
            "GetProviderSchema" => unary(server, request, Server::get_provider_schema),
            "GetResourceIdentitySchemas" => {
                unary(server, request, Server::get_resource_identity_schemas)
            }
            "UpgradeResourceIdentity" => unary(server, request, Server::upgrade_resource_identity),
            "ValidateProviderConfig" => unary(server, request, Server::validate_provider_config),
            "ConfigureProvider" => unary(server, request, Server::configure_provider),
            "StopProvider" => unary(server, request, Server::stop_provider),
            "ValidateResourceConfig" => unary(server, request, Server::validate_resource_config),
            "UpgradeResourceState" => unary(server, request, Server::upgrade_resource_state),
            "ReadResource" => unary(server, request, Server::read_resource),
            "PlanResourceChange" => unary(server, request, Server::plan_resource_change),
            "ApplyResourceChange" => unary(server, request, Server::apply_resource_change),
            "ImportResourceState" => unary(server, request, Server::import_resource_state),
            "MoveResourceState" => unary(server, request, Server::move_resource_state),
            "GenerateResourceConfig" => unary(server, request, Server::generate_resource_config),
            "ValidateDataResourceConfig" => {
                unary(server, request, Server::validate_data_resource_config)
            }
            "ReadDataSource" => unary(server, request, Server::read_data_source),
            "GetFunctions" => unary(server, request, Server::get_functions),
            "CallFunction" => unary(server, request, Server::call_function),
            // Ephemeral resources, list resources, actions and state stores: no schema offers them, so Terraform does
            // not ask, and the protocol's answer to whoever does is this.
            _ => {
                let status =
                    Status::unimplemented(format!("{method} is not supported by this provider"));
                Box::pin(async move { Ok(status.into_http()) })
            }
        }
    }
}
