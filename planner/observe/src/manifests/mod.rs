//! Kubernetes and Istio manifests: which services exist, what they speak, and which addresses their workloads are given.

pub(crate) mod addresses;
mod environment;
mod graph;
mod helm;
pub(crate) mod objects;
mod ports;
pub(crate) mod services;
mod stateful;
mod texts;

pub(crate) use graph::fragment;
pub(crate) use objects::Objects;
pub use texts::read_manifests;
