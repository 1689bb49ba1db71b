//! go-plugin's own services, package `plugin`, and the gRPC health check that go-plugin asks for.

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Empty {}

/// `StdioData`: a piece of the plugin's standard output or standard error.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct StdioData {
    #[prost(int32, tag = "1")]
    pub channel: i32,
    #[prost(bytes = "vec", tag = "2")]
    pub data: Vec<u8>,
}

/// `ConnInfo` of the broker, which opens further connections between client and plugin; Terraform needs none.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ConnInfo {
    #[prost(uint32, tag = "1")]
    pub service_id: u32,
    #[prost(string, tag = "2")]
    pub network: String,
    #[prost(string, tag = "3")]
    pub address: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    pub service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub status: i32,
}
