//! The Sidecar of a workload: what its own proxy lets through to one instance.

use foremesh_model::ProxyMode;
use serde_json::{Value, json};

use super::{Context, WAVE_LIMITS, destination_rule::connection_pool};
use crate::policy::Pool;

/// Without it Istio would bound an instance's inbound requests by what a *caller* may send to all instances.
pub(super) fn render(context: &Context<'_>) -> Option<Value> {
    if context.service.proxy_mode != ProxyMode::Sidecar {
        return None;
    }
    let mut pool = connection_pool(Pool::of_instance(context.service), context.service.protocol);
    if let Some(http) = pool.get_mut("http").and_then(Value::as_object_mut) {
        http.remove("maxRetries");
    }
    Some(context.object(
        ("networking.istio.io/v1", "Sidecar"),
        &context.place,
        WAVE_LIMITS,
        json!({
            "workloadSelector": { "labels": { context.options().app_label.as_str(): context.place.name } },
            "inboundConnectionPool": pool,
        }),
    ))
}
