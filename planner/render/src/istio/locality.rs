//! Where an entry's traffic goes: shares by zone, the share that is not let in yet, and the region that takes over.
//!
//! Istio does one of two things, never both: distribute by fixed shares, or fail over. While the ramp holds traffic back, shares
//! send the rest to the first failover region of the same mesh. Once everything is let in, failover is set where
//! a region is known to take over (losing a region costs more than uneven zones), else the shares of the zones. A failover region
//! that is no part of the mesh is reached through a ServiceEntry and weights of the route instead.
//!
//! What is no entry, and an entry of which neither zones nor a failover region are known, prefers its region and no zone. Wherever ejection is set Istio sends what it can to the caller's own zone, and a zone with too few
//! instances for its callers overflows while others idle: what a service is planned with, all of its instances must be able to bear together.

use std::net::IpAddr;

use foremesh_model::{EntrySettings, Protocol};
use serde_json::{Map, Value, json};

use super::{Context, WAVE_LIMITS};
use crate::{Address, RenderError, kubernetes::Place, ramp::split};

/// A region outside the mesh that takes the share of an entry that is not let in.
pub(super) struct Outside {
    pub(super) host: String,
    pub(super) port: u16,
    address: Option<IpAddr>,
}

fn entry<'a>(context: &'a Context<'_>) -> Option<&'a EntrySettings> {
    context.settings().entries.get(context.name)
}

fn outside_address<'a>(context: &'a Context<'_>) -> Option<(&'a str, &'a Address)> {
    let options = context.options();
    entry(context)?.failover.iter().find_map(|region| {
        let address = options.failover_addresses.get(region)?.get(context.name)?;
        Some((region.as_str(), address))
    })
}

/// The first region outside the mesh for which an address is known.
pub(super) fn outside(context: &Context<'_>) -> Option<Outside> {
    let (region, address) = outside_address(context)?;
    let ip: Option<IpAddr> = address.host.parse().ok();
    Some(Outside {
        host: match ip {
            Some(_) => format!(
                "{}.{}.{}.foremesh.internal",
                context.place.name, context.place.namespace, region
            ),
            None => address.host.clone(),
        },
        port: address.port,
        address: ip,
    })
}

/// The ServiceEntry for a failover region outside the mesh. A host inside the cluster's domain is known to Istio already.
pub(super) fn service_entries(context: &Context<'_>) -> Result<Option<Value>, RenderError> {
    let Some(outside) = outside(context) else {
        return Ok(None);
    };
    let domain = format!(".svc.{}", context.options().cluster_domain);
    if outside.host.ends_with(&domain) {
        return Ok(None);
    }
    let (name, protocol) = match context.service.protocol {
        Protocol::Http => ("http", "HTTP"),
        Protocol::Http2 => ("http2", "HTTP2"),
        Protocol::Grpc => ("grpc", "GRPC"),
        Protocol::Tcp => ("tcp", "TCP"),
    };
    let mut spec = Map::new();
    spec.insert("hosts".into(), json!([outside.host]));
    spec.insert("location".into(), json!("MESH_EXTERNAL"));
    spec.insert(
        "ports".into(),
        json!([{ "number": outside.port, "name": name, "protocol": protocol }]),
    );
    match outside.address {
        Some(address) => {
            spec.insert("resolution".into(), json!("STATIC"));
            spec.insert(
                "endpoints".into(),
                json!([{ "address": address.to_string() }]),
            );
        }
        None => {
            spec.insert("resolution".into(), json!("DNS"));
        }
    }
    let place = Place {
        namespace: context.place.namespace.clone(),
        name: format!("{}.failover", context.place.name),
    };
    Ok(Some(context.object(
        ("networking.istio.io/v1", "ServiceEntry"),
        &place,
        WAVE_LIMITS,
        Value::Object(spec),
    )))
}

/// Locality settings of the balancer.
pub(super) fn setting(context: &Context<'_>) -> Value {
    let Some(entry) = entry(context) else {
        return own_region();
    };
    let region = context.settings().region.as_str();
    let inside = if outside_address(context).is_some() {
        None
    } else {
        entry.failover.first()
    };
    let held_back = 100 - context.ramp.percent;
    match inside {
        Some(failover) if held_back == 0 => json!({
            "enabled": true,
            "failover": [{ "from": region, "to": failover.as_str() }],
        }),
        Some(failover) => {
            let mut shares = shares(entry, region, context.ramp.percent);
            shares.insert(format!("{failover}/*"), held_back.into());
            distribute(region, shares)
        }
        None if entry.localities.is_empty() => own_region(),
        None => distribute(region, shares(entry, region, 100)),
    }
}

/// All zones of the caller's region alike, then other regions.
fn own_region() -> Value {
    json!({ "enabled": true, "failoverPriority": ["topology.kubernetes.io/region"] })
}

fn shares(entry: &EntrySettings, region: &str, percent: u32) -> Map<String, Value> {
    if entry.localities.is_empty() {
        let whole = (format!("{region}/*"), json!(percent));
        return std::iter::once(whole).filter(|_| percent > 0).collect();
    }
    let weights: Vec<u32> = entry
        .localities
        .iter()
        .map(|locality| locality.percent)
        .collect();
    entry
        .localities
        .iter()
        .zip(split(percent, &weights))
        .filter(|(_, share)| *share > 0)
        .map(|(locality, share)| (format!("{}/*", locality.locality), json!(share)))
        .collect()
}

fn distribute(region: &str, shares: Map<String, Value>) -> Value {
    json!({
        "enabled": true,
        "distribute": [{ "from": format!("{region}/*"), "to": shares }],
    })
}

/// What the reader must know about the entry's traffic.
pub(super) fn note(context: &Context<'_>) -> Vec<String> {
    let Some(entry) = entry(context) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if context.ramp.percent < 100 && entry.failover.is_empty() {
        notes.push(format!(
            "this stage lets in {}%, but no failover region is known that could take the rest: hold it back where regions are chosen (DNS, \
             global load balancer)",
            context.ramp.percent
        ));
    }
    let fails_over_inside = !entry.failover.is_empty() && outside_address(context).is_none();
    if fails_over_inside && context.ramp.percent == 100 && !entry.localities.is_empty() {
        notes.push(
            "Istio cannot both fail over and distribute by zone; failover is set, zones are preferred by proximity"
                .into(),
        );
    }
    notes
}
