//! What is rendered, and what the settings do not know about the place they are rendered for.

use std::{collections::BTreeMap, fmt, str::FromStr};

use foremesh_model::{RegionName, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::RenderError;

/// What is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Istio's objects and a `kustomization.yaml` over them.
    Istio,
    /// A complete Envoy bootstrap for a host of each service.
    Envoy,
    /// KEDA's or Kubernetes' autoscaling objects, which follow the instance schedules.
    ///
    /// With KEDA a rise begins early, so that new instances have started and warmed up when they are needed: by the greater of
    /// the warm-up time and 60 s, and 30 s for KEDA to see the hour, rounded up to whole minutes, at least 3. The settings know no start-up
    /// time; the 60 s and the 3 minutes stand for it. The first instances are wanted an hour before the plan's start.
    Autoscaling,
    /// Terraform variables, outputs and, where a module is named, a call of it.
    Hcl,
    /// Variables and Envoy configurations for an Ansible role.
    Ansible,
    /// Faults as a Workflow of Chaos Mesh.
    #[serde(rename = "chaos-mesh")]
    ChaosMesh,
    /// Faults as ChaosEngines of Litmus.
    Litmus,
}

impl Target {
    /// The targets that render faults, which a plan does not hold.
    pub const CHAOS: [Self; 2] = [Self::ChaosMesh, Self::Litmus];

    /// Every target that renders a plan.
    pub const ALL: [Self; 5] = [
        Self::Istio,
        Self::Envoy,
        Self::Autoscaling,
        Self::Hcl,
        Self::Ansible,
    ];

    /// The target's name, as it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Envoy => "envoy",
            Self::Autoscaling => "autoscaling",
            Self::Hcl => "hcl",
            Self::Ansible => "ansible",
            Self::ChaosMesh => "chaos-mesh",
            Self::Litmus => "litmus",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Target {
    type Err = RenderError;
    fn from_str(name: &str) -> Result<Self, RenderError> {
        let every = || Self::ALL.into_iter().chain(Self::CHAOS);
        every()
            .find(|target| target.name() == name.trim())
            .ok_or_else(|| RenderError::UnknownTarget {
                name: name.into(),
                targets: every().map(Self::name).collect::<Vec<_>>().join(", "),
            })
    }
}

/// Who makes the number of instances true.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Autoscaler {
    /// KEDA: follows the schedule hour by hour; a rise begins early by the warm-up time and a minute and a half, at least 3 minutes, for instances to start.
    #[default]
    Keda,
    /// Kubernetes' own autoscaler: knows no hours, moves between the schedule's fewest and most by CPU.
    Hpa,
}

/// Where something listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// A DNS name or an IP address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The certificate of a service's Envoys, as files on their hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// PEM file of the certificate, with those of the authorities between it and the root.
    pub certificate_file: String,
    /// PEM file of its private key. Only the path is written; the key is read by Envoy.
    pub private_key_file: String,
    /// PEM file, on the hosts of its callers, of the authority by which they check the certificate. Default: Debian's, `/etc/ssl/certs/ca-certificates.crt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_file: Option<String>,
}

/// What the settings do not know about the place they are rendered for. The default suits a mesh whose workloads carry
/// the label `app` and whose clusters keep their default domain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RenderOptions {
    /// The stage of the go-live ramp, counted from 1; none: the last.
    pub stage: Option<u32>,
    /// The namespace of services whose name has none. Default `default`.
    pub namespace: Option<String>,
    /// The label that names a workload after its service. Default `app`.
    pub app_label: String,
    /// The cluster's DNS domain. Default `cluster.local`.
    pub cluster_domain: String,
    /// Istio gateways, as `namespace/name`, through which the entries' requests come. Default none: the routes hold inside the mesh only.
    pub gateways: Vec<String>,
    /// Host names under which entries are reached through the gateways.
    pub entry_hosts: BTreeMap<ServiceName, Vec<String>>,
    /// The Sidecar that a namespace has today, as YAML (`file("sidecar.yaml")`), by namespace; `""` where neither the namespace nor the mesh
    /// (Istio's root namespace) has one. Services there get a Sidecar each, with the limits of one instance and all that stands in the given
    /// one, which it takes the place of. Default none: no Sidecar is written, since Istio merges none and the namespace's egress hosts would
    /// be lost; an instance then lets in what its DestinationRule gives a caller.
    pub namespace_sidecars: BTreeMap<String, String>,
    /// The request header by whose hash an instance is chosen, where a service balances by hash. Default none: such a service is balanced
    /// by the fewest requests (LEAST_REQUEST) instead, and warms up as such, because the source address would tie each calling pod to one
    /// instance. Opaque TCP has no header and is balanced so in any case.
    pub hash_header: Option<String>,
    /// Who makes the number of instances true. Default KEDA.
    pub autoscaler: Autoscaler,
    /// A Prometheus server, by whose request rates KEDA scales beyond the schedule.
    pub prometheus_address: Option<String>,
    /// Hours after the horizon for which KEDA holds the most instances of the schedule, in case no newer plan has come; afterwards it falls
    /// to the fewest. Default: until 330 days after the plan's start. Cron knows no year: an object that is applied longer before the start
    /// than the rest of the year (35 days by default) holds the most until then.
    pub hold_hours: Option<u32>,
    /// Percent of the requested CPU at which Kubernetes' own autoscaler aims. Default 60.
    pub cpu_target_percent: u32,
    /// Where the proxies of a service are reached by Envoy; the port is also the one on which its own proxy listens.
    /// Default: its short name as DNS name, port `inbound_port` (or its own port where it has no proxy).
    pub addresses: BTreeMap<ServiceName, Address>,
    /// Where a service itself listens beside its Envoy. Default: `127.0.0.1` and the port in its settings.
    pub applications: BTreeMap<ServiceName, Address>,
    /// Where an entry's proxies are reached in each locality (`region/zone`) of its weights.
    pub locality_addresses: BTreeMap<ServiceName, BTreeMap<String, Address>>,
    /// Where an entry is reached in the regions that take over when this one fails.
    pub failover_addresses: BTreeMap<RegionName, BTreeMap<ServiceName, Address>>,
    /// The port on which an Envoy accepts requests for its service. Default 15006.
    pub inbound_port: u16,
    /// The first of the ports, on the loopback address, on which an Envoy accepts its service's calls, one for each callee in order
    /// of name. Default 15101.
    pub outbound_port: u16,
    /// Proxies (a load balancer, a CDN) between the clients and an entry's Envoy whose `x-forwarded-for` and `x-forwarded-proto` are believed. Default 0:
    /// the Envoy itself is the edge, and what clients say there is replaced.
    pub trusted_hops: u32,
    /// Connections that one Envoy of an entry accepts, all listeners together, before it refuses more. Default 50000.
    pub max_downstream_connections: u32,
    /// The certificates of services whose Envoys accept TLS, by service. Default none: an inbound listener speaks plain text.
    pub certificates: BTreeMap<ServiceName, Certificate>,
    /// The port, on the loopback address, of Envoy's administration. Default 9901.
    pub admin_port: u16,
    /// The source of the Terraform module that generated HCL calls. Default none: variables and outputs alone.
    pub module_source: Option<String>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            stage: None,
            namespace: None,
            app_label: "app".into(),
            cluster_domain: "cluster.local".into(),
            gateways: Vec::new(),
            entry_hosts: BTreeMap::new(),
            namespace_sidecars: BTreeMap::new(),
            hash_header: None,
            autoscaler: Autoscaler::default(),
            prometheus_address: None,
            hold_hours: None,
            cpu_target_percent: 60,
            addresses: BTreeMap::new(),
            applications: BTreeMap::new(),
            locality_addresses: BTreeMap::new(),
            failover_addresses: BTreeMap::new(),
            inbound_port: 15006,
            outbound_port: 15101,
            trusted_hops: 0,
            max_downstream_connections: 50_000,
            certificates: BTreeMap::new(),
            admin_port: 9901,
            module_source: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_back_by_name_and_unknown_ones_are_answered_with_the_list() {
        for target in Target::ALL.into_iter().chain(Target::CHAOS) {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!(
            "linkerd".parse::<Target>().unwrap_err().to_string(),
            "\"linkerd\" is no target: use one of istio, envoy, autoscaling, hcl, ansible, chaos-mesh, litmus"
        );
    }

    #[test]
    fn every_option_has_a_shape_and_a_description_for_other_surfaces() {
        let shape = foremesh_model::shape::Shape::of::<RenderOptions>().unwrap();
        assert!(shape.fields().len() > 15);
        for field in shape.fields() {
            assert!(!field.description.is_empty(), "{}", field.name);
            assert!(!field.required, "{}", field.name);
        }
    }

    #[test]
    fn options_left_out_have_their_defaults() {
        let options: RenderOptions = serde_json::from_str(r#"{"stage":1}"#).unwrap();
        assert_eq!(
            options,
            RenderOptions {
                stage: Some(1),
                ..RenderOptions::default()
            }
        );
    }
}
