//! The listener and cluster through which requests reach the application beside the proxy, and the split of an entry's traffic while
//! it is let in.

use foremesh_model::Protocol;
use serde_json::{Value, json};

use super::{
    Context,
    cluster::{self, CONNECT_TIMEOUT_MS, Group, Upstream},
    edge, filters, hash_policy, longest_timeout_ms,
};
use crate::{Address, document::protobuf_seconds, policy::Pool};

const APPLICATION: &str = "application";
const FAILOVER: &str = "failover";

/// The address of the first region that can take what this one does not let in.
pub(super) fn failover<'a>(context: &'a Context<'_>) -> Option<(&'a str, &'a Address)> {
    let entry = context.settings.entries.get(context.name)?;
    entry.failover.iter().find_map(|region| {
        let addresses = context.options.failover_addresses.get(region)?;
        Some((region.as_str(), addresses.get(context.name)?))
    })
}

pub(super) fn render(
    context: &Context<'_>,
    port: u16,
    application: &Address,
) -> (Vec<Value>, Vec<Value>) {
    let service = context.service;
    let percent = context.ramp.percent;
    let held_back = failover(context).filter(|_| percent < 100);
    let filter = if service.protocol == Protocol::Tcp {
        let destination = match held_back {
            Some(_) => ("weighted_clusters", json!({ "clusters": weights(percent) })),
            None => ("cluster", json!(APPLICATION)),
        };
        filters::tcp_proxy("inbound", destination)
    } else {
        // The proxy of an instance waits as long as the most patient caller; where none is known it sets no bound.
        let timeout_ms = longest_timeout_ms(context).unwrap_or(0);
        let timeout = protobuf_seconds(timeout_ms.into());
        let mut route = match held_back {
            Some(_) => {
                json!({ "weighted_clusters": { "clusters": weights(percent) }, "timeout": timeout })
            }
            None => json!({ "cluster": APPLICATION, "timeout": timeout }),
        };
        // Beside the proxy there is one instance; the other region has several to choose among.
        let hash = held_back.and_then(|_| hash_policy(service, context.options));
        if let (Some(policy), Some(fields)) = (hash, route.as_object_mut()) {
            fields.insert("hash_policy".into(), policy);
        }
        let limits = filters::local_rate_limit(service).into_iter().collect();
        filters::connection_manager("inbound", route, limits)
    };
    let group = |address: &Address, locality: &str| Group {
        address: address.clone(),
        locality: locality.into(),
        weight: None,
        priority: 0,
    };
    let mut clusters = vec![Value::Object(cluster::local(&Upstream {
        name: APPLICATION,
        service,
        groups: vec![group(application, "")],
        pool: Pool::of_instance(service),
        budget: None,
        connect_timeout_ms: CONNECT_TIMEOUT_MS,
    }))];
    if let Some((region, address)) = held_back {
        let mut cluster = cluster::remote(
            &Upstream {
                name: FAILOVER,
                service,
                groups: vec![group(address, region)],
                pool: Pool::of_service(service),
                budget: None,
                connect_timeout_ms: CONNECT_TIMEOUT_MS,
            },
            context.options,
        );
        let hosts = [address.host.clone()];
        edge::speak_tls(context, (context.name, service), &hosts, &mut cluster);
        clusters.push(Value::Object(cluster));
    }
    let listener = filters::listener("inbound", "0.0.0.0", port, filter);
    (vec![listener], clusters)
}

fn weights(percent: u32) -> Value {
    json!([
        { "name": APPLICATION, "weight": percent },
        { "name": FAILOVER, "weight": 100 - percent },
    ])
}
