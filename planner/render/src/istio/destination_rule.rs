//! DestinationRules: limits, ejection, balancing and warm-up, in the callers' proxies.

use std::collections::BTreeSet;

use foremesh_model::{LoadBalancing, Protocol, ProxyMode};
use serde_json::{Map, Value, json};

use super::{Context, WAVE_LIMITS, locality, sidecar};
use crate::{
    RenderError,
    document::number,
    kubernetes::Place,
    policy::{self, Pool, RetryBudget},
};

const API: (&str, &str) = ("networking.istio.io/v1", "DestinationRule");

pub(super) fn render(context: &Context<'_>) -> Result<Vec<Value>, RenderError> {
    let callers = if context.service.proxy_mode == ProxyMode::Waypoint {
        Vec::new()
    } else {
        context.callers()?
    };
    let common = (common_pool(context, &callers), common_budget(&callers));
    let mut rules = vec![rule(context, &context.place, None, common)];
    let mut namespaces = BTreeSet::new();
    for caller in &callers {
        let own = (
            Pool::of_caller(&caller.edge.caller_limits),
            Some(RetryBudget::of(&caller.edge.retries)),
        );
        if own == common {
            continue;
        }
        let foreign = caller.place.namespace != context.place.namespace;
        if foreign && namespaces.insert(caller.place.namespace.clone()) {
            let place = Place {
                namespace: caller.place.namespace.clone(),
                name: format!("{}.{}", context.place.name, context.place.namespace),
            };
            rules.push(rule(context, &place, None, common));
        }
        let place = Place {
            namespace: caller.place.namespace.clone(),
            name: if foreign {
                format!(
                    "{}.{}.from.{}",
                    context.place.name, context.place.namespace, caller.place.name
                )
            } else {
                format!("{}.from.{}", context.place.name, caller.place.name)
            },
        };
        rules.push(rule(context, &place, Some(&caller.place.name), own));
    }
    Ok(rules)
}

/// What an instance's proxy lets in where no Sidecar says so: Istio reads the callee's rule without selector there too.
pub(super) fn inbound(context: &Context<'_>) -> Result<Pool, RenderError> {
    Ok(common_pool(context, &context.callers()?))
}

/// The limits of callers that have no rule of their own. In front of an entry these are the gateway's proxies. Where they hold inbound
/// too they are never below an instance's own, or a service with many callers would refuse what the plan lets through.
fn common_pool(context: &Context<'_>, callers: &[super::Caller<'_>]) -> Pool {
    let pool = callers_pool(context, callers);
    let binds_inbound =
        context.service.proxy_mode == ProxyMode::Sidecar && !sidecar::is_rendered(context);
    if binds_inbound {
        pool.or_greater(Pool::of_instance(context.service))
    } else {
        pool
    }
}

fn callers_pool(context: &Context<'_>, callers: &[super::Caller<'_>]) -> Pool {
    let of_service = Pool::of_service(context.service);
    if context.service.proxy_mode == ProxyMode::Waypoint {
        return of_service;
    }
    if let Some(entry) = context.settings().entries.get(context.name) {
        return Pool::of_caller(&entry.gateway_limits);
    }
    callers
        .iter()
        .map(|caller| Pool::of_caller(&caller.edge.caller_limits))
        .reduce(Pool::or_greater)
        .unwrap_or(of_service)
}

fn common_budget(callers: &[super::Caller<'_>]) -> Option<RetryBudget> {
    callers
        .iter()
        .map(|caller| RetryBudget::of(&caller.edge.retries))
        .reduce(RetryBudget::or_greater)
}

fn rule(
    context: &Context<'_>,
    place: &Place,
    caller: Option<&str>,
    (pool, budget): (Pool, Option<RetryBudget>),
) -> Value {
    let mut spec = Map::new();
    spec.insert("host".into(), json!(context.host));
    if let Some(caller) = caller {
        spec.insert(
            "workloadSelector".into(),
            json!({ "matchLabels": { context.options().app_label.as_str(): caller } }),
        );
    }
    if place.namespace != context.place.namespace {
        spec.insert("exportTo".into(), json!(["."]));
    }
    spec.insert(
        "trafficPolicy".into(),
        traffic_policy(context, pool, budget),
    );
    context.object(API, place, WAVE_LIMITS, Value::Object(spec))
}

fn traffic_policy(context: &Context<'_>, pool: Pool, budget: Option<RetryBudget>) -> Value {
    let service = context.service;
    let ejection = service.outlier_ejection;
    let mut policy = Map::new();
    policy.insert(
        "connectionPool".into(),
        connection_pool(pool, service.protocol),
    );
    policy.insert(
        "outlierDetection".into(),
        json!({
            "consecutive5xxErrors": ejection.consecutive_errors,
            "consecutiveGatewayErrors": ejection.consecutive_errors,
            "interval": format!("{}s", ejection.interval_s),
            "baseEjectionTime": format!("{}s", ejection.base_ejection_s),
            "maxEjectionPercent": ejection.max_ejection_percent,
            "minHealthPercent": ejection.min_health_percent,
        }),
    );
    policy.insert("loadBalancer".into(), load_balancer(context));
    // Percent is always written: its default was a hundredth of what was meant before Istio 1.29.2.
    if let Some(budget) = budget.filter(|_| service.protocol != Protocol::Tcp) {
        policy.insert(
            "retryBudget".into(),
            json!({ "percent": number(budget.percent), "minRetryConcurrency": budget.min_concurrent }),
        );
    }
    Value::Object(policy)
}

/// Istio reads 0 as "no limit", so 1 is the tightest that can be said; its numbers are 32 bits with a sign.
pub(super) fn connection_pool(pool: Pool, protocol: Protocol) -> Value {
    let limit = |value: u32| value.clamp(1, i32::MAX as u32);
    let tcp = json!({ "maxConnections": limit(pool.max_connections) });
    if protocol == Protocol::Tcp {
        return json!({ "tcp": tcp });
    }
    json!({
        "tcp": tcp,
        "http": {
            "http1MaxPendingRequests": limit(pool.max_pending_requests),
            "http2MaxRequests": limit(pool.max_concurrent_requests),
            "maxRetries": limit(pool.max_concurrent_retries),
        },
    })
}

fn load_balancer(context: &Context<'_>) -> Value {
    let service = context.service;
    let mut balancer = Map::new();
    match policy::load_balancing(service, context.options()) {
        LoadBalancing::LeastRequest => balancer.insert("simple".into(), json!("LEAST_REQUEST")),
        LoadBalancing::RoundRobin => balancer.insert("simple".into(), json!("ROUND_ROBIN")),
        LoadBalancing::Random => balancer.insert("simple".into(), json!("RANDOM")),
        LoadBalancing::RingHash => {
            balancer.insert("consistentHash".into(), hash(context, "ringHash"))
        }
        LoadBalancing::Maglev => balancer.insert("consistentHash".into(), hash(context, "maglev")),
    };
    if policy::warms_up(service, context.options()) {
        balancer.insert(
            "warmup".into(),
            json!({
                "duration": format!("{}s", service.warm_up.duration_s),
                "minimumPercent": service.warm_up.minimum_percent,
                "aggression": number(service.warm_up.aggression),
            }),
        );
    }
    balancer.insert("localityLbSetting".into(), locality::setting(context));
    Value::Object(balancer)
}

fn hash(context: &Context<'_>, kind: &str) -> Value {
    let mut hash = Map::new();
    if let Some(header) = &context.options().hash_header {
        hash.insert("httpHeaderName".into(), json!(header));
    }
    hash.insert(kind.into(), json!({}));
    Value::Object(hash)
}
