//! Istio: for each service a file with its DestinationRules, VirtualService, EnvoyFilters, Sidecar and ServiceEntries.
//!
//! Who is bound by which object decides its shape. A DestinationRule and a VirtualService act in the *caller's* proxy; one
//! that selects workloads is honoured only in the namespace where it stands and hides the callee's own rule for the whole namespace, so
//! a caller with limits of its own gets a complete rule there, and a rule without selector beside it. Inbound,
//! Istio takes the connection pool of the callee's own rule without selector unless a Sidecar says otherwise, so that rule never gives less
//! than one instance needs, and the limits of an instance stand in a Sidecar where one can be written without taking the place of
//! the namespace's (`sidecar`). Rate limits and connections opened ahead have no words but Envoy's own (EnvoyFilter).

mod destination_rule;
mod envoy_filter;
mod locality;
mod sidecar;
mod stateful;
mod virtual_service;

use std::collections::BTreeMap;

use foremesh_model::{ProxyMode, ServiceName, ServiceSettings, Settings};
use serde_json::Value;

use crate::{
    RenderError, RenderOptions,
    document::{header, yaml},
    kubernetes::{Objects, Place, kustomization},
    policy,
    ramp::Position,
};

/// Limits and endpoints come before the routes that let traffic in, within one sync of Argo CD.
const WAVE_LIMITS: i64 = 0;
const WAVE_ROUTES: i64 = 1;

/// What every object of one service needs.
struct Context<'a> {
    objects: Objects<'a>,
    ramp: &'a Position,
    name: &'a ServiceName,
    service: &'a ServiceSettings,
    place: Place,
    host: String,
    scopes: &'a sidecar::Scopes,
}

impl Context<'_> {
    fn settings(&self) -> &Settings {
        self.objects.settings
    }

    fn options(&self) -> &RenderOptions {
        self.objects.options
    }

    fn object(&self, api: (&str, &str), place: &Place, wave: i64, spec: Value) -> Value {
        self.objects.object(api, place, self.name, wave, spec)
    }

    /// The callers in whose own proxy something can be set for this service, and where they live.
    fn callers(&self) -> Result<Vec<Caller<'_>>, RenderError> {
        policy::callers(self.settings(), self.name)
            .filter(|(caller, _)| policy::proxy_mode(self.settings(), caller) == ProxyMode::Sidecar)
            .map(|(caller, edge)| {
                Ok(Caller {
                    place: Place::of(caller, self.options())?,
                    edge,
                })
            })
            .collect()
    }
}

/// A caller that has a proxy of its own.
struct Caller<'a> {
    place: Place,
    edge: &'a foremesh_model::EdgeSettings,
}

pub(crate) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    let mut files = BTreeMap::new();
    let mut owners: BTreeMap<String, &ServiceName> = BTreeMap::new();
    let mut without_proxy = Vec::new();
    let scopes = sidecar::scopes(options)?;
    for (name, service) in &settings.services {
        let place = Place::of(name, options)?;
        let file = place.file();
        if let Some(first) = owners.insert(file.clone(), name) {
            return Err(RenderError::Collision {
                first: first.to_string(),
                second: name.to_string(),
                file,
            });
        }
        if service.proxy_mode == ProxyMode::None {
            without_proxy.push(name.as_str());
            continue;
        }
        let context = Context {
            objects: Objects { settings, options },
            ramp,
            name,
            service,
            host: place.host(options),
            place,
            scopes: &scopes,
        };
        let mut documents = destination_rule::render(&context)?;
        documents.extend(locality::service_entries(&context)?);
        documents.extend(envoy_filter::render(&context)?);
        documents.extend(sidecar::render(&context));
        documents.extend(virtual_service::render(&context)?);
        let text = yaml(
            &file,
            &header(settings, ramp, &notes(&context)?),
            &documents,
        )?;
        files.insert(file, text);
    }
    for (name, service) in &settings.stateful_services {
        let place = Place::of(name, options)?;
        let file = place.file();
        if let Some(first) = owners.insert(file.clone(), name) {
            return Err(RenderError::Collision {
                first: first.to_string(),
                second: name.to_string(),
                file,
            });
        }
        let objects = Objects { settings, options };
        let (documents, notes) = stateful::render(&objects, name, service, &place)?;
        if !documents.is_empty() {
            let text = yaml(&file, &header(settings, ramp, &notes), &documents)?;
            files.insert(file, text);
        }
    }
    let mut all_notes = Vec::new();
    if !without_proxy.is_empty() {
        all_notes.push(format!(
            "no proxy handles {}, so nothing is set for it",
            without_proxy.join(", ")
        ));
    }
    let list = kustomization(files.keys());
    let file = "kustomization.yaml";
    let text = yaml(file, &header(settings, ramp, &all_notes), &[list])?;
    files.insert(file.into(), text);
    Ok(files)
}

/// What the plan asks of this service and Istio cannot carry out.
fn notes(context: &Context<'_>) -> Result<Vec<String>, RenderError> {
    let mut notes = Vec::new();
    if context.service.proxy_mode == ProxyMode::Waypoint {
        notes.push(
            "a waypoint acts for all callers at once: label the Service istio.io/use-waypoint; the limits of single callers and of single \
             instances (rate, concurrency, connections opened ahead) cannot be expressed and are left out"
                .into(),
        );
    } else {
        for (caller, _) in policy::callers(context.settings(), context.name) {
            let mode = policy::proxy_mode(context.settings(), caller);
            if mode != ProxyMode::Sidecar {
                notes.push(format!(
                    "{caller} calls without a proxy of its own, so its timeout, retries and limits cannot be set"
                ));
            }
        }
    }
    if let Some(reason) = policy::nothing_to_hash(context.service, context.options()) {
        notes.push(format!(
            "the plan balances this service by hash, but {reason}, and the source address would tie each calling pod to one instance: \
             LEAST_REQUEST is set instead"
        ));
    }
    notes.extend(locality::note(context));
    notes.extend(sidecar::note(context, destination_rule::inbound(context)?));
    Ok(notes)
}
