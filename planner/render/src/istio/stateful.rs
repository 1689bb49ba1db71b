//! Services that keep state: how their callers' proxies open connections to them, and nothing else.
//!
//! No ejection (the only primary would be the first to go), no balancer but Istio's own, no warm-up, no limit on requests, no Sidecar. A
//! rule is written all the same, because without one a mesh-wide default rule would apply, ejection and all.

use std::collections::{BTreeMap, BTreeSet};

use foremesh_model::{ConnectionSettings, Protocol, ProxyMode, ServiceName, StatefulSettings};
use serde_json::{Map, Value, json};

use super::{WAVE_LIMITS, WAVE_ROUTES};
use crate::{
    RenderError,
    document::milliseconds,
    kubernetes::{Objects, Place},
    policy,
};

/// The documents for one service and what to say of them.
pub(super) fn render(
    objects: &Objects<'_>,
    name: &ServiceName,
    service: &StatefulSettings,
    place: &Place,
) -> Result<(Vec<Value>, Vec<String>), RenderError> {
    let mut notes = vec![format!(
        "{name} keeps state and is left as it is: no autoscaler, no ejection, no rate limit, no retries, Istio's own load balancing"
    )];
    let mut callers: BTreeMap<Place, ConnectionSettings> = BTreeMap::new();
    for (caller, connection) in policy::connections_to(objects.settings, name) {
        if policy::proxy_mode(objects.settings, caller) == ProxyMode::Sidecar {
            callers.insert(Place::of(caller, objects.options)?, *connection);
        } else {
            notes.push(format!(
                "{caller} calls without a proxy of its own, so nothing is set for its connections"
            ));
        }
    }
    let Some(common) = callers.values().copied().reduce(longer) else {
        return Ok((Vec::new(), notes));
    };
    let rule = Rule {
        objects,
        name,
        place,
    };
    let mut documents = vec![rule.write(place, None, common)];
    let mut namespaces = BTreeSet::new();
    for (caller, connection) in callers
        .iter()
        .filter(|(_, own)| pool(**own) != pool(common))
    {
        let foreign = caller.namespace != place.namespace;
        let full_name = if foreign {
            format!("{}.{}", place.name, place.namespace)
        } else {
            place.name.clone()
        };
        let here = |name: String| Place {
            namespace: caller.namespace.clone(),
            name,
        };
        // A rule with a selector hides the service's own from its whole namespace.
        if foreign && namespaces.insert(caller.namespace.clone()) {
            documents.push(rule.write(&here(full_name.clone()), None, common));
        }
        let own = here(format!("{full_name}.from.{}", caller.name));
        documents.push(rule.write(&own, Some(&caller.name), *connection));
    }
    if service.protocol != Protocol::Tcp {
        documents.push(rule.without_retries());
    }
    Ok((documents, notes))
}

/// What holds for a caller without a rule of its own: the longer times, the greater limit, none where one has none.
fn longer(a: ConnectionSettings, b: ConnectionSettings) -> ConnectionSettings {
    ConnectionSettings {
        connect_timeout_ms: a.connect_timeout_ms.max(b.connect_timeout_ms),
        idle_timeout_s: a.idle_timeout_s.max(b.idle_timeout_s),
        max_connections: a
            .max_connections
            .zip(b.max_connections)
            .map(|(a, b)| a.max(b)),
        most_caller_proxies: a.most_caller_proxies.max(b.most_caller_proxies),
    }
}

fn pool(connection: ConnectionSettings) -> Value {
    let mut tcp = Map::new();
    tcp.insert(
        "connectTimeout".into(),
        json!(milliseconds(connection.connect_timeout_ms)),
    );
    tcp.insert(
        "idleTimeout".into(),
        json!(format!("{}s", connection.idle_timeout_s)),
    );
    if let Some(limit) = connection.max_connections {
        tcp.insert(
            "maxConnections".into(),
            json!(limit.clamp(1, i32::MAX as u32)),
        );
    }
    json!({ "tcp": tcp })
}

/// What every object of one service shares.
struct Rule<'a> {
    objects: &'a Objects<'a>,
    name: &'a ServiceName,
    place: &'a Place,
}

impl Rule<'_> {
    fn write(&self, place: &Place, caller: Option<&str>, connection: ConnectionSettings) -> Value {
        let mut spec = Map::new();
        spec.insert("host".into(), json!(self.place.host(self.objects.options)));
        if let Some(caller) = caller {
            let label = self.objects.options.app_label.as_str();
            spec.insert(
                "workloadSelector".into(),
                json!({ "matchLabels": { label: caller } }),
            );
        }
        if place.namespace != self.place.namespace {
            spec.insert("exportTo".into(), json!(["."]));
        }
        spec.insert(
            "trafficPolicy".into(),
            json!({ "connectionPool": pool(connection) }),
        );
        let api = ("networking.istio.io/v1", "DestinationRule");
        self.objects
            .object(api, place, self.name, WAVE_LIMITS, Value::Object(spec))
    }

    /// Where Istio sees requests it tries them twice more unless it is told not to.
    fn without_retries(&self) -> Value {
        let host = self.place.host(self.objects.options);
        let route = json!([{
            "name": "default",
            "route": [{ "destination": { "host": host } }],
            "retries": { "attempts": 0 },
        }]);
        let api = ("networking.istio.io/v1", "VirtualService");
        let spec = json!({ "hosts": [host], "http": route });
        self.objects
            .object(api, self.place, self.name, WAVE_ROUTES, spec)
    }
}
