//! What runs today, from manifests: the simulator's mesh with their limits, and Istio's defaults where they set none
//! (<https://istio.io/latest/docs/reference/config/networking/destination-rule/>, `…/virtual-service/`).

use std::collections::BTreeSet;

use foremesh_model::{LoadBalancing, OutlierEjection, RateLimit, Retries, ServiceName, WarmUp};
use foremesh_observe::{ExistingLimit, ExistingLimits, LimitField, LimitValue};
use foremesh_simulate::{InstanceStep, Mesh, RetryModel, baselines};

use crate::{
    audit::scale::{Replicas, Scale},
    windows::Autoscaled,
};

/// What an autoscaler aims at where its manifest does not say it in percent of the processors: Kubernetes' default.
const DEFAULT_TARGET: f64 = 0.8;
/// On what Istio tries again where nobody says.
const DEFAULT_RETRY_ON: &str = "connect-failure,refused-stream,unavailable,cancelled";

/// What runs today.
pub(super) struct Live {
    pub mesh: Mesh,
    pub scaled: Vec<Autoscaled>,
    /// What was not known and what was taken in its place.
    pub notes: Vec<String>,
}

/// Lays what manifests set over Istio's defaults. `planned` gives what services do, and their instances where nothing says how many run.
pub(super) fn live(
    planned: &Mesh,
    limits: &ExistingLimits,
    scale: &Scale<'_>,
    is_planned: &dyn Fn(&str) -> bool,
) -> Live {
    let reader = Reader { limits };
    let mut found = Live {
        mesh: baselines::istio_defaults(planned),
        scaled: Vec::new(),
        notes: Vec::new(),
    };
    let (mut unknown, mut unlimited, mut untold) = (Vec::new(), Vec::new(), Vec::new());
    for (i, service) in found.mesh.services.iter_mut().enumerate() {
        let Some(name) = reader
            .name(&service.name)
            .filter(|_| is_planned(&service.name))
        else {
            if is_planned(&service.name) {
                unknown.push(service.name.clone());
            }
            continue;
        };
        let fixed = |instances: u32| {
            vec![InstanceStep {
                starts_s: 0.0,
                instances,
            }]
        };
        match scale.replicas(&name) {
            Replicas::Fixed(replicas) => service.instances = fixed(replicas.max(1)),
            Replicas::Default => service.instances = fixed(1),
            Replicas::Scaled { fewest, most } => {
                let aims_at = reader.number(&name, None, LimitField::TargetUtilisation);
                if aims_at.is_none() {
                    untold.push(service.name.clone());
                }
                let target = aims_at.map_or(DEFAULT_TARGET, |percent| percent / 100.0);
                let fewest = fewest.max(1);
                service.instances = fixed(fewest);
                service.max_instances = most.max(fewest);
                found.scaled.push(Autoscaled {
                    service: i,
                    target: target.clamp(0.05, 1.0),
                    fewest,
                    most: most.max(fewest),
                    cron: Vec::new(),
                });
            }
            Replicas::Unknown => unknown.push(service.name.clone()),
        }
        service.rate_limit = reader.rate_limit(&name);
        let limited = limits
            .values
            .iter()
            .any(|limit| limit.service == name && !SCALING.contains(&limit.field));
        if !limited {
            unlimited.push(service.name.clone());
        }
    }
    for at in 0..found.mesh.edges.len() {
        let service = |index: usize| found.mesh.services.get(index).map(|s| s.name.clone());
        let Some(edge) = found.mesh.edges.get(at) else {
            continue;
        };
        let callee = service(edge.callee).and_then(|name| reader.name(&name));
        let caller = edge.caller.and_then(service).and_then(|n| reader.name(&n));
        if let (Some(callee), Some(edge)) = (callee, found.mesh.edges.get_mut(at)) {
            reader.lay_over(edge, caller.as_ref(), &callee);
        }
    }
    let note = |services: Vec<String>, text: &str| {
        (!services.is_empty()).then(|| format!("{}: {text}", services.join(", ")))
    };
    let crons: BTreeSet<String> = limits
        .values
        .iter()
        .filter(|limit| limit.field == LimitField::ScheduledReplicas)
        .map(|limit| limit.service.to_string())
        .collect();
    let parts: BTreeSet<String> = limits
        .values
        .iter()
        .filter(|limit| limit.part.is_some() || limit.subset.is_some())
        .map(|limit| limit.service.to_string())
        .collect();
    found.notes = [
        note(
            unknown,
            "no manifest says how many instances run: live stands at the plan's, and has Istio's defaults where no limit is set",
        ),
        note(
            unlimited,
            "no manifest sets a limit, a timeout or a retry: live has Istio's defaults",
        ),
        note(
            untold,
            "the autoscaler's target is not said in percent of the processors: 80% is taken",
        ),
        note(
            crons.into_iter().collect(),
            "the cron windows of the autoscaler are not followed, its lowest and highest number are",
        ),
        note(
            parts.into_iter().collect(),
            "limits that bind only a part (a subset, a port, a route) are used where nothing binds the whole",
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    found
}

/// Fields that say how many run, and none that limits a request.
const SCALING: [LimitField; 5] = [
    LimitField::Replicas,
    LimitField::MinReplicas,
    LimitField::MaxReplicas,
    LimitField::TargetUtilisation,
    LimitField::ScheduledReplicas,
];

struct Reader<'a> {
    limits: &'a ExistingLimits,
}

impl Reader<'_> {
    /// A service of the mesh as the manifests know it: by its full name, else by its short one where only one has it.
    fn name(&self, service: &str) -> Option<ServiceName> {
        let name = ServiceName::new(service).ok()?;
        if self.limits.services.contains_key(&name) {
            return Some(name);
        }
        let mut alike = self
            .limits
            .services
            .keys()
            .filter(|known| known.short() == name.short());
        match (alike.next(), alike.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }

    /// The value that counts for calls of a caller: its own before everybody's, the whole's before a part's.
    fn value(
        &self,
        service: &ServiceName,
        caller: Option<&ServiceName>,
        field: LimitField,
    ) -> Option<&ExistingLimit> {
        self.limits
            .of(service, field)
            .filter(|limit| limit.caller.is_none() || limit.caller.as_ref() == caller)
            .min_by_key(|limit| {
                let part = limit.part.is_some() || limit.subset.is_some();
                (part, limit.caller.is_none())
            })
    }

    fn number(
        &self,
        service: &ServiceName,
        caller: Option<&ServiceName>,
        field: LimitField,
    ) -> Option<f64> {
        self.value(service, caller, field)?.number()
    }

    fn text(
        &self,
        service: &ServiceName,
        caller: Option<&ServiceName>,
        field: LimitField,
    ) -> Option<&str> {
        match &self.value(service, caller, field)?.value {
            LimitValue::Text(text) => Some(text),
            LimitValue::Number(_) => None,
        }
    }

    /// The token bucket of a service's proxies.
    fn rate_limit(&self, service: &ServiceName) -> Option<RateLimit> {
        let number = |field| self.number(service, None, field);
        let burst = number(LimitField::RateLimitMaxTokens)?;
        // Envoy adds one token where nothing is said.
        let tokens = number(LimitField::RateLimitTokensPerFill).unwrap_or(1.0);
        let interval_ms = number(LimitField::RateLimitFillIntervalMs)?;
        (tokens > 0.0 && interval_ms > 0.0).then(|| RateLimit {
            requests_per_second: tokens * 1000.0 / interval_ms,
            burst: whole(burst).max(1),
        })
    }

    fn lay_over(
        &self,
        edge: &mut foremesh_simulate::EdgeModel,
        caller: Option<&ServiceName>,
        callee: &ServiceName,
    ) {
        use LimitField as F;
        let number = |field| self.number(callee, caller, field);
        let text = |field| self.text(callee, caller, field);
        let limits = [
            (F::MaxConnections, &mut edge.limits.max_connections),
            (F::MaxPendingRequests, &mut edge.limits.max_pending_requests),
            (F::MaxRequests, &mut edge.limits.max_concurrent_requests),
            (F::MaxRetries, &mut edge.limits.max_concurrent_retries),
        ];
        for (field, limit) in limits {
            if let Some(value) = number(field) {
                *limit = whole(value);
            }
        }
        if let Some(ms) = number(F::RequestTimeoutMs) {
            edge.timeout_ms = Some(ms).filter(|ms| *ms > 0.0);
        }
        if let Some(ms) = number(F::PerTryTimeoutMs) {
            edge.per_try_timeout_ms = Some(ms).filter(|ms| *ms > 0.0);
        }
        if let Some(attempts) = number(F::RetryAttempts) {
            let on = text(F::RetryOn).unwrap_or(DEFAULT_RETRY_ON);
            let budget_percent = number(F::RetryBudgetPercent);
            edge.retries = RetryModel {
                budget_percent,
                ..RetryModel::from(&Retries {
                    attempts: whole(attempts),
                    retry_on: on.split(',').map(|word| word.trim().into()).collect(),
                    budget_percent: 0.0,
                    budget_min_concurrent: number(F::RetryBudgetMinConcurrency).map_or(3, whole),
                    base_backoff_ms: 25,
                })
            };
        }
        let errors = number(F::ConsecutiveErrors);
        let detection = [
            F::ConsecutiveErrors,
            F::ConsecutiveGatewayErrors,
            F::EjectionIntervalMs,
            F::BaseEjectionTimeMs,
            F::MaxEjectionPercent,
        ];
        let detects = detection.into_iter().any(|field| number(field).is_some());
        if detects && errors != Some(0.0) {
            let seconds = |field, default: f64| {
                let seconds = number(field).map_or(default, |ms| (ms / 1000.0).ceil());
                whole(seconds).max(1)
            };
            edge.ejection = Some(OutlierEjection {
                consecutive_errors: errors.map_or(5, whole),
                interval_s: seconds(F::EjectionIntervalMs, 10.0),
                base_ejection_s: seconds(F::BaseEjectionTimeMs, 30.0),
                max_ejection_percent: number(F::MaxEjectionPercent).map_or(10, whole),
                min_health_percent: number(F::MinHealthPercent).map_or(0, whole),
            });
        }
        if let Some(ms) = number(F::WarmupMs).filter(|ms| *ms > 0.0) {
            edge.slow_start = Some(WarmUp {
                duration_s: whole((ms / 1000.0).ceil()),
                minimum_percent: number(F::WarmupMinimumPercent).map_or(10, whole),
                aggression: 1.0,
            });
        }
        edge.load_balancing = match text(F::LoadBalancing) {
            _ if text(F::ConsistentHash).is_some() => LoadBalancing::RingHash,
            Some("ROUND_ROBIN") => LoadBalancing::RoundRobin,
            Some("RANDOM") => LoadBalancing::Random,
            Some("RING_HASH") => LoadBalancing::RingHash,
            Some("MAGLEV") => LoadBalancing::Maglev,
            _ => LoadBalancing::LeastRequest,
        };
    }
}

/// A count, as large as the field holds.
fn whole(value: f64) -> u32 {
    value.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use foremesh_observe::parse_limits;
    use foremesh_simulate::{Arrivals, EdgeModel, LimitsModel, ServiceModel, Times};

    use super::*;

    const MANIFESTS: &str = r#"
kind: Deployment
apiVersion: apps/v1
metadata: { name: cart, namespace: shop }
spec: { replicas: 4, selector: { matchLabels: { app: cart } }, template: { metadata: { labels: { app: cart } }, spec: { containers: [{ name: c, image: c }] } } }
---
kind: Service
apiVersion: v1
metadata: { name: cart, namespace: shop }
spec: { selector: { app: cart }, ports: [{ name: http, port: 80 }] }
---
kind: Deployment
apiVersion: apps/v1
metadata: { name: web, namespace: shop }
spec: { replicas: 3, selector: { matchLabels: { app: web } }, template: { metadata: { labels: { app: web } }, spec: { containers: [{ name: c, image: c }] } } }
---
kind: Service
apiVersion: v1
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ name: http, port: 80 }] }
---
kind: HorizontalPodAutoscaler
apiVersion: autoscaling/v2
metadata: { name: web, namespace: shop }
spec:
  scaleTargetRef: { kind: Deployment, name: web }
  minReplicas: 2
  maxReplicas: 9
  metrics: [{ type: Resource, resource: { name: cpu, target: { type: Utilization, averageUtilization: 65 } } }]
---
kind: DestinationRule
apiVersion: networking.istio.io/v1
metadata: { name: cart, namespace: shop }
spec:
  host: cart.shop.svc.cluster.local
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 7 }, http: { http2MaxRequests: 50 } }
    outlierDetection: { interval: 5s }
    loadBalancer: { simple: ROUND_ROBIN }
---
kind: VirtualService
apiVersion: networking.istio.io/v1
metadata: { name: cart, namespace: shop }
spec:
  hosts: [cart.shop.svc.cluster.local]
  http: [{ route: [{ destination: { host: cart.shop.svc.cluster.local } }], timeout: 2s, retries: { attempts: 5, perTryTimeout: 500ms, retryOn: 5xx } }]
"#;

    fn planned() -> Mesh {
        let service =
            |name: &str| ServiceModel::plain(name, 6, 8, Times::Exponential { mean_ms: 10.0 });
        let mut mesh = Mesh::single(
            service("shop/web"),
            LoadBalancing::LeastRequest,
            Arrivals::steady(10.0),
        );
        mesh.services.push(service("shop/cart"));
        mesh.services.push(service("shop/stock"));
        for (caller, callee) in [(0, 1), (1, 2)] {
            mesh.edges.push(EdgeModel::plain(
                Some(caller),
                callee,
                LoadBalancing::Maglev,
            ));
        }
        mesh.edges[2].timeout_ms = Some(100.0);
        mesh
    }

    #[test]
    fn what_is_set_counts_and_the_rest_is_istios() {
        let read = parse_limits(&[("shop.yaml", MANIFESTS.as_bytes())]).unwrap();
        let scale = Scale::of(&read.value, &read.warnings);
        let live = live(&planned(), &read.value, &scale, &|_| true);
        let web = live.scaled.first().unwrap();
        assert_eq!((web.service, web.target), (0, 0.65));
        assert_eq!((web.fewest, web.most), (2, 9));
        assert_eq!(live.mesh.services[1].instances[0].instances, 4);
        let to_cart = &live.mesh.edges[1];
        assert_eq!(to_cart.limits.max_connections, 7);
        assert_eq!(to_cart.limits.max_concurrent_requests, 50);
        assert_eq!(to_cart.limits.max_pending_requests, u32::MAX);
        assert_eq!(to_cart.timeout_ms, Some(2000.0));
        assert_eq!(to_cart.per_try_timeout_ms, Some(500.0));
        assert!(to_cart.retries.on_5xx && to_cart.retries.attempts == 5);
        assert_eq!(to_cart.load_balancing, LoadBalancing::RoundRobin);
        let ejection = to_cart.ejection.unwrap();
        assert_eq!((ejection.consecutive_errors, ejection.interval_s), (5, 5));
        assert_eq!(ejection.max_ejection_percent, 10);
        // Nobody says anything of the stock: Istio's defaults, at the plan's instances.
        let to_stock = &live.mesh.edges[2];
        assert_eq!(
            (to_stock.timeout_ms, to_stock.limits),
            (None, LimitsModel::NONE)
        );
        assert_eq!(live.mesh.services[2].instances[0].instances, 6);
        assert!(
            live.notes
                .iter()
                .any(|n| n.starts_with("shop/stock: no manifest says how many")),
            "{:?}",
            live.notes
        );
    }

    #[test]
    fn without_any_manifest_live_is_istio_at_the_plans_instances() {
        let none = ExistingLimits::default();
        let live = live(&planned(), &none, &Scale::of(&none, &[]), &|_| true);
        assert_eq!(live.mesh, baselines::istio_defaults(&planned()));
        assert_eq!(live.notes.len(), 1);
        assert!(live.scaled.is_empty());
    }
}
