//! go-plugin's own gRPC services beside the provider's.
//!
//! The controller ends the process. The others exist because go-plugin opens them: the streams of standard output and of
//! the broker stay open and silent until the end (a stream that ended early would be reopened or logged as a failure),
//! and the health check answers that all is well.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use tokio_stream::Stream;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService, StreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use crate::{
    Cancel,
    cancel::CancelSource,
    proto::plugin::{ConnInfo, Empty, HealthCheckRequest, HealthCheckResponse, StdioData},
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type HttpFuture = BoxFuture<Result<http::Response<Body>, Infallible>>;

/// `plugin.GRPCController`: Shutdown.
#[derive(Clone)]
pub(super) struct Controller {
    pub(super) shutdown: CancelSource,
}

/// `plugin.GRPCStdio`: StreamStdio. Logs go over standard error, so nothing is sent.
#[derive(Clone)]
pub(super) struct Stdio {
    pub(super) shutdown: Cancel,
}

/// `plugin.GRPCBroker`: StartStream. A Terraform provider opens no further connections.
#[derive(Clone)]
pub(super) struct Broker {
    pub(super) shutdown: Cancel,
}

/// `grpc.health.v1.Health`: Check.
#[derive(Clone)]
pub(super) struct Health;

impl NamedService for Controller {
    const NAME: &'static str = "plugin.GRPCController";
}

impl NamedService for Stdio {
    const NAME: &'static str = "plugin.GRPCStdio";
}

impl NamedService for Broker {
    const NAME: &'static str = "plugin.GRPCBroker";
}

impl NamedService for Health {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl UnaryService<Empty> for Controller {
    type Response = Empty;
    type Future = BoxFuture<Result<Response<Empty>, Status>>;

    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        self.shutdown.cancel();
        Box::pin(async { Ok(Response::new(Empty {})) })
    }
}

impl UnaryService<HealthCheckRequest> for Health {
    type Response = HealthCheckResponse;
    type Future = BoxFuture<Result<Response<HealthCheckResponse>, Status>>;

    fn call(&mut self, _: Request<HealthCheckRequest>) -> Self::Future {
        const SERVING: i32 = 1;
        Box::pin(async { Ok(Response::new(HealthCheckResponse { status: SERVING })) })
    }
}

/// A stream of nothing that ends with the server.
pub(super) struct Silence<T> {
    end: BoxFuture<()>,
    item: std::marker::PhantomData<fn() -> T>,
}

impl<T> Silence<T> {
    fn until(shutdown: &Cancel) -> Self {
        let shutdown = shutdown.clone();
        Self {
            end: Box::pin(async move { shutdown.cancelled().await }),
            item: std::marker::PhantomData,
        }
    }
}

impl<T> Stream for Silence<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.end.as_mut().poll(context).map(|()| None)
    }
}

impl ServerStreamingService<Empty> for Stdio {
    type Response = StdioData;
    type ResponseStream = Silence<StdioData>;
    type Future = BoxFuture<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Empty>) -> Self::Future {
        let silence = Silence::until(&self.shutdown);
        Box::pin(async { Ok(Response::new(silence)) })
    }
}

impl StreamingService<ConnInfo> for Broker {
    type Response = ConnInfo;
    type ResponseStream = Silence<ConnInfo>;
    type Future = BoxFuture<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, _: Request<Streaming<ConnInfo>>) -> Self::Future {
        let silence = Silence::until(&self.shutdown);
        Box::pin(async { Ok(Response::new(silence)) })
    }
}

/// Each of these services has one method that matters, so the path is compared with it alone.
macro_rules! serve {
    ($service:ty, $method:literal, $kind:ident, $request:ty, $response:ty) => {
        impl Service<http::Request<Body>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = HttpFuture;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                let service = self.clone();
                Box::pin(async move {
                    Ok(if request.uri().path().ends_with(concat!("/", $method)) {
                        Grpc::new(ProstCodec::<$response, $request>::default())
                            .$kind(service, request)
                            .await
                    } else {
                        Status::unimplemented("not supported").into_http()
                    })
                })
            }
        }
    };
}

serve!(Controller, "Shutdown", unary, Empty, Empty);
serve!(Stdio, "StreamStdio", server_streaming, Empty, StdioData);
serve!(Broker, "StartStream", streaming, ConnInfo, ConnInfo);
serve!(
    Health,
    "Check",
    unary,
    HealthCheckRequest,
    HealthCheckResponse
);
