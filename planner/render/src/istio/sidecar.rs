//! The Sidecar of a workload: what its own proxy lets through to one instance, where that can be said without taking anything away.
//!
//! Istio merges no Sidecars: one that selects a workload takes the place of its namespace's for that workload, with all that stands there
//! (egress hosts, the policy for unknown destinations, listeners). So none is written unless the option `namespace_sidecars` says what the
//! namespace has today; then everything of that one is carried over, word for word, and only the inbound limits are added.

use std::collections::BTreeMap;

use foremesh_model::ProxyMode;
use serde_json::{Map, Value, json};

use super::{Context, WAVE_LIMITS, destination_rule::connection_pool};
use crate::{RenderError, RenderOptions, policy::Pool};

/// The specs of the namespaces' own Sidecars, by namespace; an empty one where the namespace has none.
pub(super) type Scopes = BTreeMap<String, Map<String, Value>>;

/// Reads the option.
pub(super) fn scopes(options: &RenderOptions) -> Result<Scopes, RenderError> {
    options
        .namespace_sidecars
        .iter()
        .map(|(namespace, text)| {
            let refuse = |found: String| RenderError::RenderOption {
                option: format!("namespace_sidecars[{namespace:?}]"),
                value: found,
                cure: "give the YAML of the one Sidecar without workloadSelector that holds for this namespace, or \"\" where there is none"
                    .into(),
            };
            Ok((namespace.clone(), spec(text).map_err(refuse)?))
        })
        .collect()
}

/// The spec of a Sidecar; the error says what is there instead.
fn spec(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    let mut object: Value = serde_saphyr::from_str(text).map_err(|cause| {
        let cause = cause.to_string();
        format!(
            "no YAML object ({})",
            cause.lines().next().unwrap_or_default()
        )
    })?;
    if object["kind"] != "Sidecar" {
        return Err(match object["kind"].as_str() {
            Some(kind) => format!("a {kind}"),
            None => "an object without kind".into(),
        });
    }
    let spec = match object["spec"].take() {
        Value::Object(spec) => spec,
        Value::Null => Map::new(),
        _ => return Err("a Sidecar whose spec is no object".into()),
    };
    if spec
        .get("workloadSelector")
        .is_some_and(|selector| !selector.is_null())
    {
        return Err("a Sidecar with a workloadSelector".into());
    }
    Ok(spec)
}

/// Whether the service's instances get a Sidecar with limits of their own.
pub(super) fn is_rendered(context: &Context<'_>) -> bool {
    context.service.proxy_mode == ProxyMode::Sidecar
        && context.scopes.contains_key(&context.place.namespace)
}

/// The Sidecar, where the option says what it takes the place of.
pub(super) fn render(context: &Context<'_>) -> Option<Value> {
    if !is_rendered(context) {
        return None;
    }
    let mut spec = context.scopes.get(&context.place.namespace)?.clone();
    let mut pool = connection_pool(Pool::of_instance(context.service), context.service.protocol);
    if let Some(http) = pool.get_mut("http").and_then(Value::as_object_mut) {
        http.remove("maxRetries");
    }
    spec.insert(
        "workloadSelector".into(),
        json!({ "labels": { context.options().app_label.as_str(): context.place.name } }),
    );
    spec.insert("inboundConnectionPool".into(), pool);
    Some(context.object(
        ("networking.istio.io/v1", "Sidecar"),
        &context.place,
        WAVE_LIMITS,
        Value::Object(spec),
    ))
}

/// What stays unsaid without a Sidecar.
pub(super) fn note(context: &Context<'_>, inbound: Pool) -> Option<String> {
    if context.service.proxy_mode != ProxyMode::Sidecar || is_rendered(context) {
        return None;
    }
    let instance = Pool::of_instance(context.service);
    (inbound.max_concurrent_requests > instance.max_concurrent_requests
        || inbound.max_pending_requests > instance.max_pending_requests
        || inbound.max_connections > instance.max_connections)
        .then(|| {
            format!(
                "the plan lets one instance work on {} requests and queue {}, but Istio says that only in a Sidecar, which would take the place of \
                 the namespace's own with its egress hosts: an instance's proxy lets in {} and queues {}, as this rule gives a caller; name the \
                 namespace's Sidecar in the option namespace_sidecars to set the instance's own limits",
                instance.max_concurrent_requests,
                instance.max_pending_requests,
                inbound.max_concurrent_requests,
                inbound.max_pending_requests,
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sidecar_of_a_namespace_is_refused_with_what_it_is() {
        let refused = |text: &str| {
            let options = RenderOptions {
                namespace_sidecars: [("shop".to_owned(), text.to_owned())].into(),
                ..RenderOptions::default()
            };
            scopes(&options).unwrap_err().to_string()
        };
        assert_eq!(
            refused("kind: Service\nspec: {}\n"),
            "the option namespace_sidecars[\"shop\"] is a Service: give the YAML of the one Sidecar without workloadSelector that holds for \
             this namespace, or \"\" where there is none"
        );
        assert!(
            refused("kind: Sidecar\nspec: {workloadSelector: {labels: {app: a}}}\n")
                .contains("with a workloadSelector")
        );
        assert!(refused("kind: Sidecar\nspec: 4\n").contains("no object"));
        assert!(refused("kind: [\n").contains("no YAML object"));
        assert!(refused("egress: []\n").contains("without kind"));
        assert!(spec("\n").unwrap().is_empty());
        assert!(
            spec("kind: Sidecar\nmetadata: {name: a}\n")
                .unwrap()
                .is_empty()
        );
    }
}
