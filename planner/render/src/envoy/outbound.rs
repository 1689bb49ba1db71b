//! The listeners and clusters through which the application calls its callees.

use std::collections::BTreeMap;

use foremesh_model::{EdgeSettings, Protocol, ServiceName, ServiceSettings};
use serde_json::{Map, Value, json};

use super::{
    Context,
    cluster::{self, CONNECT_TIMEOUT_MS, Group, Upstream},
    edge, filters, hash_policy,
};
use crate::{
    Address, RenderError,
    document::{protobuf_seconds, slug},
    policy::{self, Pool, RetryBudget},
};

/// How far the wait before a retry grows, as a multiple of the first.
const LONGEST_BACKOFF: u64 = 10;
/// How often another instance is drawn so that a retry does not meet the one that failed.
const RETRY_HOST_ATTEMPTS: u32 = 3;

/// One port for each callee, in order of name.
pub(super) fn ports(context: &Context<'_>) -> Result<BTreeMap<ServiceName, u16>, RenderError> {
    let mut ports = BTreeMap::new();
    let callees = policy::callees(context.settings, context.name).into_keys();
    let stateful = policy::connections_of(context.settings, context.name).into_keys();
    for (index, callee) in callees.chain(stateful).enumerate() {
        let port = u16::try_from(index)
            .ok()
            .and_then(|index| context.options.outbound_port.checked_add(index))
            .ok_or_else(|| RenderError::RenderOption {
                option: "outbound_port".into(),
                value: context.options.outbound_port.to_string(),
                cure: format!(
                    "choose a lower one: the callees of {} need ports up to 65535 and more",
                    context.name
                ),
            })?;
        ports.insert(callee.clone(), port);
    }
    Ok(ports)
}

pub(super) fn render(
    context: &Context<'_>,
    ports: &BTreeMap<ServiceName, u16>,
) -> (Vec<Value>, Vec<Value>) {
    let (mut listeners, mut clusters) = (Vec::new(), Vec::new());
    for (callee, settings) in policy::callees(context.settings, context.name) {
        let (Some(service), Some(port)) =
            (context.settings.services.get(callee), ports.get(callee))
        else {
            continue;
        };
        let name = format!("outbound.{}", slug(callee.as_str()));
        let filter = if service.protocol == Protocol::Tcp {
            filters::tcp_proxy(&name, ("cluster", json!(name)))
        } else {
            filters::connection_manager(&name, route(context, &name, service, settings), Vec::new())
        };
        let budget =
            (service.protocol != Protocol::Tcp).then(|| RetryBudget::of(&settings.retries));
        listeners.push(filters::listener(&name, "127.0.0.1", *port, filter));
        let groups = groups(context, callee, service);
        let mut hosts: Vec<String> = groups.iter().map(|g| g.address.host.clone()).collect();
        hosts.dedup();
        let mut cluster = cluster::remote(
            &Upstream {
                name: &name,
                service,
                groups,
                pool: Pool::of_caller(&settings.caller_limits),
                budget,
                connect_timeout_ms: CONNECT_TIMEOUT_MS.min(settings.per_try_timeout_ms),
            },
            context.options,
        );
        edge::speak_tls(context, (callee, service), &hosts, &mut cluster);
        clusters.push(Value::Object(cluster));
    }
    for (callee, connection) in policy::connections_of(context.settings, context.name) {
        let (Some(service), Some(port)) = (
            context.settings.stateful_services.get(callee),
            ports.get(callee),
        ) else {
            continue;
        };
        let name = format!("outbound.{}", slug(callee.as_str()));
        // Whatever it speaks passes as it is.
        let filter = filters::idle_tcp_proxy(&name, connection.idle_timeout_s);
        listeners.push(filters::listener(&name, "127.0.0.1", *port, filter));
        let address = context
            .options
            .addresses
            .get(callee)
            .cloned()
            .unwrap_or_else(|| Address {
                host: callee.short().into(),
                port: service.port,
            });
        clusters.push(cluster::left_alone(
            &name,
            &address,
            context.settings.region.as_str(),
            connection,
        ));
    }
    (listeners, clusters)
}

fn route(
    context: &Context<'_>,
    cluster: &str,
    service: &ServiceSettings,
    edge: &EdgeSettings,
) -> Value {
    let mut route = Map::new();
    route.insert("cluster".into(), json!(cluster));
    route.insert(
        "timeout".into(),
        json!(protobuf_seconds(edge.timeout_ms.into())),
    );
    if let Some(policy) = hash_policy(service, context.options) {
        route.insert("hash_policy".into(), policy);
    }
    let retries = &edge.retries;
    if retries.attempts > 0 && !retries.retry_on.is_empty() {
        let mut policy = json!({
            "retry_on": retries.retry_on.join(","),
            "num_retries": retries.attempts,
            "per_try_timeout": protobuf_seconds(edge.per_try_timeout_ms.into()),
            "retry_host_predicate": [{
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
                },
            }],
            "host_selection_retry_max_attempts": RETRY_HOST_ATTEMPTS,
        });
        if let (1.., Some(fields)) = (retries.base_backoff_ms, policy.as_object_mut()) {
            let base = u64::from(retries.base_backoff_ms);
            fields.insert(
                "retry_back_off".into(),
                json!({
                    "base_interval": protobuf_seconds(base),
                    "max_interval": protobuf_seconds(base * LONGEST_BACKOFF),
                }),
            );
        }
        route.insert("retry_policy".into(), policy);
    }
    Value::Object(route)
}

/// The callee's instances in this region, by zone where their addresses are known; then the regions that take over.
fn groups(context: &Context<'_>, callee: &ServiceName, service: &ServiceSettings) -> Vec<Group> {
    let options = context.options;
    let entry = context.settings.entries.get(callee);
    let by_locality = options.locality_addresses.get(callee);
    let mut groups: Vec<Group> = entry
        .into_iter()
        .flat_map(|entry| &entry.localities)
        .filter(|locality| locality.percent > 0)
        .filter_map(|locality| {
            Some(Group {
                address: by_locality?.get(&locality.locality)?.clone(),
                locality: locality.locality.clone(),
                weight: Some(locality.percent),
                priority: 0,
            })
        })
        .collect();
    if groups.is_empty() {
        groups.push(Group {
            address: context.address(callee, service),
            locality: context.settings.region.to_string(),
            weight: None,
            priority: 0,
        });
    }
    let weighted = groups.iter().any(|group| group.weight.is_some());
    let mut priority = 0;
    for region in entry.into_iter().flat_map(|entry| &entry.failover) {
        let address = options
            .failover_addresses
            .get(region)
            .and_then(|addresses| addresses.get(callee));
        if let Some(address) = address {
            priority += 1;
            groups.push(Group {
                address: address.clone(),
                locality: region.to_string(),
                weight: weighted.then_some(100),
                priority,
            });
        }
    }
    groups
}
