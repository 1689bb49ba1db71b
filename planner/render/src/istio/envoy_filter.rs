//! EnvoyFilters: what Istio has no words for. A payload is checked by nobody but Envoy, so it is kept small and tests run it through a
//! real one.

use std::collections::BTreeSet;

use foremesh_model::{Protocol, ProxyMode};
use serde_json::{Value, json};

use super::{Context, WAVE_LIMITS};
use crate::{RenderError, document::number, envoy::filters, kubernetes::Place};

const API: (&str, &str) = ("networking.istio.io/v1alpha3", "EnvoyFilter");
const CONNECTION_MANAGER: &str = "envoy.filters.network.http_connection_manager";

pub(super) fn render(context: &Context<'_>) -> Result<Vec<Value>, RenderError> {
    if context.service.proxy_mode != ProxyMode::Sidecar {
        return Ok(Vec::new());
    }
    let mut filters: Vec<Value> = rate_limit(context).into_iter().collect();
    filters.extend(preconnect(context)?);
    Ok(filters)
}

/// What one instance admits. It matches every inbound HTTP listener of the workload: the port in the settings may be the Service's
/// or the container's, and a filter that matches nothing would limit nothing.
fn rate_limit(context: &Context<'_>) -> Option<Value> {
    if context.service.protocol == Protocol::Tcp {
        return None;
    }
    let filter = filters::local_rate_limit(context.service)?;
    let place = Place {
        namespace: context.place.namespace.clone(),
        name: format!("{}.rate-limit", context.place.name),
    };
    Some(context.object(API, &place, WAVE_LIMITS, json!({
        "workloadSelector": { "labels": { context.options().app_label.as_str(): context.place.name } },
        "configPatches": [{
            "applyTo": "HTTP_FILTER",
            "match": {
                "context": "SIDECAR_INBOUND",
                "listener": { "filterChain": { "filter": { "name": CONNECTION_MANAGER } } },
            },
            "patch": { "operation": "INSERT_BEFORE", "value": filter },
        }],
    })))
}

/// Connections that callers open ahead, set for every workload of each namespace that calls.
fn preconnect(context: &Context<'_>) -> Result<Vec<Value>, RenderError> {
    if context.service.preconnect_ratio <= 1.0 {
        return Ok(Vec::new());
    }
    let namespaces: BTreeSet<String> = context
        .callers()?
        .into_iter()
        .map(|caller| caller.place.namespace)
        .collect();
    Ok(namespaces
        .into_iter()
        .map(|namespace| {
            let name = if namespace == context.place.namespace {
                format!("{}.preconnect", context.place.name)
            } else {
                format!("{}.{}.preconnect", context.place.name, context.place.namespace)
            };
            context.object(API, &Place { namespace, name }, WAVE_LIMITS, json!({
                "configPatches": [{
                    "applyTo": "CLUSTER",
                    "match": { "context": "SIDECAR_OUTBOUND", "cluster": { "service": context.host } },
                    "patch": {
                        "operation": "MERGE",
                        "value": { "preconnect_policy": { "per_upstream_preconnect_ratio": number(context.service.preconnect_ratio) } },
                    },
                }],
            }))
        })
        .collect())
}
