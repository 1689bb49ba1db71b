//! Services that keep state are left as they are: what is planned around them, what is said of them, and what an adoption does.

#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use foremesh_model::{
    Capacity, ConnectionSettings, EdgeName, Protocol, Service, ServiceGraph, Severity,
};
use foremesh_policy::{PolicyInput, PolicyOutput, adopt, guards, plan};

/// The shop with a database that speaks TCP.
fn shop_with(database: impl Fn(&mut Service)) -> ServiceGraph {
    let shop = shop();
    let services = shop.services().cloned().map(|mut service| {
        if service.name == name("shop/db") {
            service.protocol = Protocol::Tcp;
            service.capacity = Capacity {
                service_time_mean_ms: Some(4.0),
                ..Capacity::default()
            };
            database(&mut service);
        }
        service
    });
    ServiceGraph::new(services.collect(), shop.edges().cloned().collect()).unwrap()
}

fn planned(graph: &ServiceGraph, scale: f64) -> PolicyOutput {
    let output = plan(&PolicyInput {
        graph,
        demand: &shop_demand(scale),
        request: &request(),
    })
    .unwrap();
    assert_eq!(guards::check(&output.settings), []);
    output
}

fn codes<'a>(output: &'a PolicyOutput, about: &str) -> Vec<(Severity, &'a str)> {
    output
        .warnings
        .iter()
        .filter(|w| w.subject == about && w.code.starts_with("stateful"))
        .map(|w| (w.severity, w.code.as_str()))
        .collect()
}

fn connection(output: &PolicyOutput, caller: &str) -> ConnectionSettings {
    output.settings.connections[&EdgeName::new(name(caller), name("shop/db"))]
}

#[test]
fn a_store_is_left_as_it_is() {
    let output = planned(&shop_with(|db| db.instances = Some(3)), 1.0);
    let settings = &output.settings;
    assert!(!settings.services.contains_key(&name("shop/db")));
    assert!(
        settings
            .edges
            .keys()
            .all(|edge| edge.callee() != &name("shop/db"))
    );
    let store = &settings.stateful_services[&name("shop/db")];
    assert_eq!((store.instances, store.max_connections), (Some(3), None));
    assert_eq!(connection(&output, "shop/cart").max_connections, None);
    assert_eq!(connection(&output, "shop/catalogue").max_connections, None);
    // Nobody said what it can do: that is said, and the demand with it.
    assert_eq!(
        codes(&output, "shop/db"),
        [(Severity::Caution, "stateful_capacity_unknown")]
    );
    assert_eq!(output.kpis.services[&name("shop/db")].utilisation, None);
    assert!(output.kpis.services[&name("shop/db")].demand_p99_rps > 100.0);
    assert!(
        !output
            .warnings
            .iter()
            .any(|w| w.code == "capacity_assumed" && w.subject == "shop/db")
    );
}

#[test]
fn the_catalogue_decides_both_ways() {
    let planned_tcp = planned(&shop_with(|db| db.stateful = Some(false)), 1.0);
    assert!(planned_tcp.settings.services.contains_key(&name("shop/db")));
    assert!(planned_tcp.settings.connections.is_empty());
    let left_http = planned(
        &shop_with(|db| {
            db.protocol = Protocol::Http;
            db.stateful = Some(true);
        }),
        1.0,
    );
    assert!(
        left_http
            .settings
            .stateful_services
            .contains_key(&name("shop/db"))
    );
    assert_eq!(
        codes(&left_http, "shop/db"),
        [
            (Severity::Caution, "stateful_capacity_unknown"),
            (Severity::Caution, "stateful_instances_unknown")
        ]
    );
}

#[test]
fn demand_beyond_its_capacity_is_for_the_engineer_to_mend() {
    let of = |capacity_rps: f64| {
        planned(
            &shop_with(|db| {
                db.instances = Some(2);
                db.capacity.capacity_rps = Some(capacity_rps);
            }),
            1.0,
        )
    };
    let asked = of(1e6).kpis.services[&name("shop/db")].demand_p99_rps;
    for (capacity_rps, severity, code) in [
        (
            asked / 2.0 * 0.9,
            Severity::Severe,
            "stateful_capacity_exceeded",
        ),
        (
            asked / 2.0 / 0.85,
            Severity::Caution,
            "stateful_capacity_close",
        ),
    ] {
        let output = of(capacity_rps);
        assert_eq!(
            codes(&output, "shop/db"),
            [(severity, code)],
            "{capacity_rps}"
        );
        assert_eq!(output.kpis.holds, severity != Severity::Severe);
        assert_eq!(
            output.settings.stateful_services[&name("shop/db")].instances,
            Some(2)
        );
    }
    assert_eq!(codes(&of(asked), "shop/db"), []);
}

#[test]
fn known_connections_are_shared_by_the_callers_and_never_exceeded() {
    let with = |accepted: u32| {
        planned(
            &shop_with(|db| {
                db.instances = Some(1);
                db.capacity.capacity_rps = Some(1e5);
                db.capacity.max_connections = Some(accepted);
            }),
            1.0,
        )
    };
    let output = with(400);
    let callers = ["shop/cart", "shop/catalogue"].map(|caller| connection(&output, caller));
    let open: u32 = callers
        .iter()
        .map(|c| c.max_connections.unwrap() * c.most_caller_proxies)
        .sum();
    assert!(open <= 400 && open > 200, "{open} of 400: {callers:?}");
    assert_eq!(codes(&output, "shop/db"), []);
    assert_eq!(
        codes(&with(20), "shop/db"),
        [(Severity::Caution, "stateful_connections_short")]
    );
    // A guard finds callers that together open more than is accepted.
    let mut settings = output.settings;
    settings
        .connections
        .values_mut()
        .for_each(|c| c.max_connections = Some(400));
    assert!(
        guards::check(&settings)
            .iter()
            .any(|v| v.invariant == "connections_within_what_is_accepted")
    );
}

#[test]
fn limits_of_connections_are_adopted_together_and_stay_within_what_is_accepted() {
    let graph = shop_with(|db| {
        db.instances = Some(1);
        db.capacity.capacity_rps = Some(1e5);
        db.capacity.max_connections = Some(400);
    });
    let prior = planned(&graph, 1.0).settings;
    for scale in [1.01, 1.05, 1.2, 0.7, 2.0] {
        let proposed = planned(&graph, scale).settings;
        for tolerance in [0.0, 0.1, 0.3] {
            let adoption = adopt(&prior, &proposed, tolerance);
            assert_eq!(guards::check(&adoption.adopted), [], "{scale} {tolerance}");
            let kept = adoption.adopted == prior.clone().without_needs();
            assert_eq!(adoption.moved.is_empty(), kept, "{scale} {tolerance}");
        }
    }
    let quiet = adopt(&prior, &planned(&graph, 1.01).settings, 0.1);
    assert_eq!(quiet.adopted, prior.clone().without_needs());
    // A count of instances is a fact and follows at once.
    let larger = planned(
        &shop_with(|db| {
            db.instances = Some(2);
            db.capacity.capacity_rps = Some(1e5);
        }),
        1.0,
    );
    let adopted = adopt(&prior, &larger.settings, 0.5).adopted;
    assert_eq!(
        adopted.stateful_services[&name("shop/db")].instances,
        Some(2)
    );
}

#[test]
fn the_same_connections_among_another_number_of_proxies_are_held() {
    let prior = planned(
        &shop_with(|db| {
            db.instances = Some(1);
            db.capacity.capacity_rps = Some(1e5);
            db.capacity.max_connections = Some(1000);
        }),
        1.0,
    )
    .settings;
    let edge = EdgeName::new(name("shop/cart"), name("shop/db"));
    let before = prior.connections[&edge];
    let limit = before.max_connections.unwrap();
    assert!(limit > 40, "{limit} must be far from its half");
    let followed = |limit: u32, most_caller_proxies: u32| {
        let mut proposed = prior.clone();
        let after = ConnectionSettings {
            max_connections: Some(limit),
            most_caller_proxies,
            ..before
        };
        proposed.connections.insert(edge.clone(), after);
        let adoption = adopt(&prior, &proposed, 0.1);
        let adopted = adoption.adopted.connections[&edge];
        assert_eq!(adoption.moved.is_empty(), adopted == before);
        assert!(adopted == before || adopted == after);
        adopted == after
    };
    assert!(!followed(limit / 2, 2 * before.most_caller_proxies));
    assert!(followed(limit / 2, before.most_caller_proxies));
    assert!(followed(limit / 4, 2 * before.most_caller_proxies));
}

#[test]
fn no_retry_is_planned_towards_a_store_and_no_time_of_its_caller_is_kept_for_one() {
    let critical = |db: &mut Service| {
        db.protocol = Protocol::Http;
        db.stateful = Some(true);
        db.criticality = foremesh_model::Criticality::Critical;
    };
    let output = planned(&shop_with(critical), 1.0);
    assert!(
        output
            .reasons
            .keys()
            .all(|path| !path.contains("->shop/db\"].retries"))
    );
    assert!(
        output
            .reasons
            .keys()
            .any(|path| path == "connections[\"shop/cart->shop/db\"].idle_timeout_s")
    );
}
