//! VirtualServices: timeouts and retries by caller, and the split of an entry's traffic while it is let in.

use foremesh_model::{EdgeSettings, Protocol, ProxyMode};
use serde_json::{Map, Value, json};

use super::{Caller, Context, WAVE_ROUTES, locality};
use crate::{RenderError, document::milliseconds, kubernetes::Place};

const API: (&str, &str) = ("networking.istio.io/v1", "VirtualService");

pub(super) fn render(context: &Context<'_>) -> Result<Option<Value>, RenderError> {
    let route = route(context);
    let mut spec = Map::new();
    if context.service.protocol == Protocol::Tcp {
        // Opaque TCP has no timeouts and no retries: a route is needed for the split alone.
        if locality::outside(context).is_none() || context.ramp.percent == 100 {
            return Ok(None);
        }
        spec.insert("tcp".into(), json!([{ "route": route }]));
    } else {
        let routes = http_routes(context, &route)?;
        if routes.is_empty() {
            return Ok(None);
        }
        spec.insert("http".into(), Value::Array(routes));
    }
    let mut hosts = vec![context.host.clone()];
    if context.settings().entries.contains_key(context.name) {
        let options = context.options();
        hosts.extend(
            options
                .entry_hosts
                .get(context.name)
                .into_iter()
                .flatten()
                .cloned(),
        );
        if !options.gateways.is_empty() {
            let gateways: Vec<&str> = options
                .gateways
                .iter()
                .map(String::as_str)
                .chain(["mesh"])
                .collect();
            spec.insert("gateways".into(), json!(gateways));
        }
    }
    spec.insert("hosts".into(), json!(hosts));
    Ok(Some(context.object(
        API,
        &context.place,
        WAVE_ROUTES,
        Value::Object(spec),
    )))
}

fn route(context: &Context<'_>) -> Value {
    let here = json!({ "host": context.host });
    match locality::outside(context) {
        Some(outside) if context.ramp.percent < 100 => json!([
            { "destination": here, "weight": context.ramp.percent },
            {
                "destination": { "host": outside.host, "port": { "number": outside.port } },
                "weight": 100 - context.ramp.percent,
            },
        ]),
        _ => json!([{ "destination": here }]),
    }
}

/// What a route sets beside where it leads.
#[derive(Clone, PartialEq)]
struct Rule {
    timeout_ms: u32,
    /// None: no retries.
    retries: Option<Value>,
}

impl Rule {
    fn of_edge(edge: &EdgeSettings, remote: bool) -> Self {
        let retries = &edge.retries;
        let mut fields = Map::new();
        fields.insert(
            "attempts".into(),
            json!(retries.attempts.min(i32::MAX as u32)),
        );
        fields.insert(
            "perTryTimeout".into(),
            json!(milliseconds(edge.per_try_timeout_ms)),
        );
        if !retries.retry_on.is_empty() {
            fields.insert("retryOn".into(), json!(retries.retry_on.join(",")));
        }
        if retries.base_backoff_ms > 0 {
            fields.insert(
                "backoff".into(),
                json!(milliseconds(retries.base_backoff_ms)),
            );
        }
        if remote {
            fields.insert("retryRemoteLocalities".into(), json!(true));
        }
        Self {
            timeout_ms: edge.timeout_ms,
            retries: (retries.attempts > 0).then_some(Value::Object(fields)),
        }
    }

    fn write(&self, name: &str, matches: Option<Vec<Value>>, route: &Value) -> Value {
        let mut http = Map::new();
        http.insert("name".into(), json!(name));
        if let Some(matches) = matches {
            http.insert("match".into(), json!(matches));
        }
        http.insert("route".into(), route.clone());
        http.insert("timeout".into(), json!(milliseconds(self.timeout_ms)));
        // Left out, Istio would retry twice.
        let none = || json!({ "attempts": 0 });
        http.insert("retries".into(), self.retries.clone().unwrap_or_else(none));
        Value::Object(http)
    }
}

/// One route for each group of callers that are treated alike, the last one for everybody else: a request that matches no
/// route would be answered with 404. A caller that the plan does not know gets the longest timeout and no retries,
/// because amplification was bounded without it.
fn http_routes(context: &Context<'_>, route: &Value) -> Result<Vec<Value>, RenderError> {
    let entry = context.settings().entries.get(context.name);
    let remote = entry.is_some_and(|entry| !entry.failover.is_empty());
    let waypoint = context.service.proxy_mode == ProxyMode::Waypoint;
    let callers = context.callers_of_routes(waypoint)?;
    let mut groups: Vec<(Rule, Vec<Place>)> = Vec::new();
    for caller in &callers {
        let rule = Rule::of_edge(caller.edge, remote);
        match groups.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, places)) => places.push(caller.place.clone()),
            None => groups.push((rule, vec![caller.place.clone()])),
        }
    }
    let longest = groups.iter().map(|(rule, _)| rule.timeout_ms).max();
    let Some(timeout_ms) = entry.map(|entry| entry.timeout_ms).or(longest) else {
        return Ok(Vec::new());
    };
    let rest = match groups.as_slice() {
        [(only, _)] if entry.is_none() => only.clone(),
        _ => Rule {
            timeout_ms,
            retries: None,
        },
    };
    let mut routes = Vec::new();
    if !waypoint {
        for (rule, places) in groups.iter().filter(|(rule, _)| *rule != rest) {
            let name = format!(
                "from.{}",
                places
                    .iter()
                    .map(|place| place.name.as_str())
                    .collect::<Vec<_>>()
                    .join(".")
            );
            let matches = places.iter().map(|place| source(context, place)).collect();
            routes.push(rule.write(&name, Some(matches), route));
        }
    }
    routes.push(rest.write("default", None, route));
    Ok(routes)
}

fn source(context: &Context<'_>, caller: &Place) -> Value {
    json!({
        "sourceLabels": { context.options().app_label.as_str(): caller.name },
        "sourceNamespace": caller.namespace,
        // A request through a gateway carries the labels of the gateway, never of a caller.
        "gateways": ["mesh"],
    })
}

impl Context<'_> {
    /// The callers whose routes can differ; a waypoint routes for callers without a proxy too, but for all alike.
    fn callers_of_routes(&self, waypoint: bool) -> Result<Vec<Caller<'_>>, RenderError> {
        if !waypoint {
            return self.callers();
        }
        crate::policy::callers(self.settings(), self.name)
            .map(|(caller, edge)| {
                Ok(Caller {
                    place: Place::of(caller, self.options())?,
                    edge,
                })
            })
            .collect()
    }
}
