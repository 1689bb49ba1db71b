//! Baselines that are settings and not reactions.

use crate::mesh::{InstanceStep, LimitsModel, Mesh, RetryModel};

/// What a mesh has when nobody sets anything (Istio 1.30): breakers at 2³², no rate limit, no ejection, no timeout, two retries of failed
/// connections, least request. Instances stay as they are.
#[must_use]
pub fn istio_defaults(mesh: &Mesh) -> Mesh {
    let mut plain = mesh.clone();
    for service in &mut plain.services {
        service.rate_limit = None;
        service.max_concurrent_requests = u32::MAX;
        service.max_pending_requests = u32::MAX;
        // Nobody made another region take over.
        service.remote.clear();
    }
    for edge in &mut plain.edges {
        edge.timeout_ms = None;
        edge.per_try_timeout_ms = None;
        edge.limits = LimitsModel::NONE;
        edge.retries = RetryModel {
            attempts: 2,
            on_connect_failure: true,
            on_5xx: false,
            budget_percent: None,
            budget_min_concurrent: 0,
            base_backoff_ms: 25.0,
            other_draws: 5,
        };
        edge.ejection = None;
        edge.success_rate_ejection = None;
        // Without ejection Istio prefers no locality.
        edge.locality_balancing = None;
        edge.slow_start = None;
        edge.preconnect_ratio = 1.0;
        edge.load_balancing = foremesh_model::LoadBalancing::LeastRequest;
    }
    plain
}

/// As many instances at every hour as the highest hour's mean load needs at this utilisation (0.5: twice as many workers as are busy).
/// `peak_rps`: by service, requests a second in the highest hour.
#[must_use]
pub fn static_headroom(mesh: &Mesh, peak_rps: &[f64], utilisation: f64) -> Mesh {
    let mut fixed = mesh.clone();
    for (service, rps) in fixed.services.iter_mut().zip(peak_rps) {
        let busy = rps * service.work.mean_ms() / 1e3;
        let instances = (busy / utilisation.clamp(0.05, 1.0) / f64::from(service.workers))
            .ceil()
            .max(1.0) as u32;
        service.instances = vec![InstanceStep {
            starts_s: 0.0,
            instances,
        }];
        service.max_instances = service.max_instances.max(instances);
    }
    fixed
}
