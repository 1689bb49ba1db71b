//! Ansible: the variables of a role that installs an Envoy beside each service, and the bootstraps it copies.
//!
//! `group_vars/foremesh.yml` is read by every playbook whose inventory lies in the same folder and has a group `foremesh`; the
//! bootstraps lie beside it in `envoy/`. The same variables can be had from `terraform output -json`.

use std::collections::BTreeMap;

use foremesh_model::{ProxyMode, Settings};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{
    RenderError, RenderOptions,
    document::{header, yaml},
    envoy,
    ramp::Position,
};

const VARIABLES: &str = "group_vars/foremesh.yml";

pub(crate) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    let mut files = BTreeMap::new();
    let (mut services, mut hashes) = (Map::new(), Map::new());
    for (name, host) in envoy::hosts(settings, options, ramp)? {
        let Some(service) = settings.services.get(name) else {
            continue;
        };
        let file = format!("{}/envoy.yaml", host.slug);
        hashes.insert(file.clone(), json!(sha256(&host.bootstrap)));
        services.insert(
            name.to_string(),
            json!({
                "folder": host.slug,
                "inbound_port": host.inbound_port,
                "application_host": host.application.host,
                "application_port": host.application.port,
                "outbound_ports": host.outbound_ports,
                "admin_port": options.admin_port,
                "instances": service.instances.to_string(),
                "standby_instances": service.standby_instances,
                "fewest_instances": service.fewest_instances(),
                "most_instances": service.most_scheduled_instances(),
                "autoscaling": service.autoscaling,
                "rate_limit_requests_per_second": service.rate_limit.requests_per_second,
                "max_concurrent_requests": service.max_concurrent_requests,
                "max_pending_requests": service.max_pending_requests,
                "criticality": service.criticality,
            }),
        );
        files.insert(format!("envoy/{file}"), host.bootstrap);
    }
    let without: Vec<&str> = settings
        .services
        .iter()
        .filter(|(_, service)| service.proxy_mode == ProxyMode::None)
        .map(|(name, _)| name.as_str())
        .collect();
    let stateful: Map<String, Value> = settings
        .stateful_services
        .iter()
        .map(|(name, service)| {
            let value = json!({ "port": service.port, "protocol": service.protocol, "instances": service.instances });
            (name.to_string(), value)
        })
        .collect();
    let mut notes = Vec::new();
    if !stateful.is_empty() {
        let names: Vec<&str> = stateful.keys().map(String::as_str).collect();
        notes.push(format!(
            "what keeps state is left as it is, so no proxy is installed for {}: callers' proxies reach it directly",
            names.join(", ")
        ));
    }
    if !without.is_empty() {
        notes.push(format!(
            "no proxy handles {}, so nothing is installed for it",
            without.join(", ")
        ));
    }
    let ramp_stages: Vec<Value> = settings
        .ramp
        .iter()
        .map(|stage| json!({ "stage": stage.stage, "percent": stage.percent, "starts_minute": stage.starts_minute }))
        .collect();
    let variables = json!({
        "foremesh_region": settings.region.as_str(),
        "foremesh_timezone": settings.timezone,
        "foremesh_starts": settings.starts.to_string(),
        "foremesh_horizon_hours": settings.horizon_hours,
        "foremesh_stage": ramp.stage,
        "foremesh_stage_percent": ramp.percent,
        "foremesh_ramp": ramp_stages,
        "foremesh_envoy_source": "{{ inventory_dir }}/envoy",
        "foremesh_envoy_files": hashes,
        "foremesh_services": services,
        "foremesh_stateful_services": stateful,
    });
    let text = yaml(VARIABLES, &header(settings, ramp, &notes), &[variables])?;
    files.insert(VARIABLES.into(), text);
    Ok(files)
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
