//! The invariants of connections to services that keep state.

use std::collections::BTreeMap;

use foremesh_model::{ServiceName, Settings};

use super::Found;

pub(super) fn check(settings: &Settings, found: &mut Found) {
    // By callee: what its callers may hold open together, and the least that can be said.
    let mut open: BTreeMap<&ServiceName, (u64, u64)> = BTreeMap::new();
    for (name, connection) in &settings.connections {
        let path = |field: &str| format!("connections[\"{name}\"].{field}");
        found.unless(
            connection.connect_timeout_ms >= 1,
            "timeout",
            || path("connect_timeout_ms"),
            || "0 is no timeout at all: write at least 1".into(),
        );
        found.unless(
            connection.max_connections != Some(0),
            "limit_passes_some",
            || path("max_connections"),
            || "0 passes nothing, or everything: write at least 1".into(),
        );
        let most = settings
            .services
            .get(name.caller())
            .map(|caller| caller.most_instances())
            .or_else(|| settings.stateful_services.get(name.caller())?.instances);
        if let Some(most) = most {
            found.unless(
                connection.most_caller_proxies >= most,
                "limits_of_the_most_callers",
                || path("most_caller_proxies"),
                || {
                    format!(
                        "the limit was made for at most {} proxies of the caller, it has {most} in its busiest hour",
                        connection.most_caller_proxies
                    )
                },
            );
        }
        if let Some(limit) = connection.max_connections {
            let proxies = u64::from(connection.most_caller_proxies);
            let (sum, least) = open.entry(name.callee()).or_default();
            *sum += u64::from(limit) * proxies;
            *least += proxies;
        }
    }
    for (callee, (sum, least)) in open {
        let accepted = settings
            .stateful_services
            .get(callee)
            .and_then(|service| service.max_connections);
        if let Some(accepted) = accepted.map(u64::from) {
            found.unless(
                sum <= accepted.max(least),
                "connections_within_what_is_accepted",
                || format!("stateful_services[\"{callee}\"].max_connections"),
                || format!("it accepts {accepted} connections, its callers may open {sum}"),
            );
        }
    }
}
