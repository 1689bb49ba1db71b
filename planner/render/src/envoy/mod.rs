//! Envoy: a complete bootstrap for a host of each service, in `SERVICE/envoy.yaml`.
//!
//! Inbound, the proxy admits what one instance can serve and passes it on to the application beside it. Outbound it listens
//! on the loopback address, one port for each callee; the application calls that port and the proxy adds the edge's timeout, retries and
//! limits. What the settings do not know (addresses, ports) comes from the options.

mod cluster;
mod edge;
pub(crate) mod filters;
mod inbound;
mod outbound;

use std::collections::BTreeMap;

use foremesh_model::{LoadBalancing, ProxyMode, ServiceName, ServiceSettings, Settings};
use serde_json::{Value, json};

use crate::{
    Address, RenderError, RenderOptions,
    document::{header, slug, yaml},
    policy,
    ramp::Position,
};

/// What the parts of one bootstrap need.
struct Context<'a> {
    settings: &'a Settings,
    options: &'a RenderOptions,
    ramp: &'a Position,
    name: &'a ServiceName,
    service: &'a ServiceSettings,
}

impl Context<'_> {
    /// Whether requests from outside reach the service.
    fn is_entry(&self) -> bool {
        self.settings.entries.contains_key(self.name)
    }

    /// Where the proxies of a service are reached, or the service itself where it has none.
    fn address(&self, name: &ServiceName, service: &ServiceSettings) -> Address {
        self.options
            .addresses
            .get(name)
            .cloned()
            .unwrap_or_else(|| Address {
                host: name.short().into(),
                port: match service.proxy_mode {
                    ProxyMode::None => service.port,
                    ProxyMode::Sidecar | ProxyMode::Waypoint => self.options.inbound_port,
                },
            })
    }
}

/// One host's proxy as the bootstrap and the variables for Ansible both need it.
pub(crate) struct Host {
    /// The service's name in file names.
    pub(crate) slug: String,
    /// Where its proxy accepts requests.
    pub(crate) inbound_port: u16,
    /// Where the application listens.
    pub(crate) application: Address,
    /// Where the application reaches its callees, by their names.
    pub(crate) outbound_ports: BTreeMap<ServiceName, u16>,
    /// The bootstrap.
    pub(crate) bootstrap: String,
}

pub(crate) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    Ok(hosts(settings, options, ramp)?
        .into_values()
        .map(|host| (format!("{}/envoy.yaml", host.slug), host.bootstrap))
        .collect())
}

/// The bootstraps by service; services without a proxy have none.
pub(crate) fn hosts<'a>(
    settings: &'a Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<&'a ServiceName, Host>, RenderError> {
    let mut hosts = BTreeMap::new();
    let mut owners: BTreeMap<String, &ServiceName> = BTreeMap::new();
    for (name, service) in &settings.services {
        match service.proxy_mode {
            ProxyMode::Sidecar => {}
            ProxyMode::None => continue,
            ProxyMode::Waypoint => {
                return Err(RenderError::Inexpressible {
                    path: format!("services[{:?}].proxy_mode", name.as_str()),
                    target: "envoy",
                    what: "a waypoint: its bootstrap stands beside one instance".into(),
                    cure: "set proxy_mode to \"sidecar\", or render target \"istio\"".into(),
                });
            }
        }
        let slug = slug(name.as_str());
        if let Some(first) = owners.insert(slug.clone(), name) {
            return Err(RenderError::Collision {
                first: first.to_string(),
                second: name.to_string(),
                file: slug,
            });
        }
        let context = Context {
            settings,
            options,
            ramp,
            name,
            service,
        };
        hosts.insert(name, host(&context, slug)?);
    }
    Ok(hosts)
}

fn host(context: &Context<'_>, slug: String) -> Result<Host, RenderError> {
    let (settings, options) = (context.settings, context.options);
    let inbound_port = context.address(context.name, context.service).port;
    let application = options
        .applications
        .get(context.name)
        .cloned()
        .unwrap_or_else(|| Address {
            host: "127.0.0.1".into(),
            port: context.service.port,
        });
    let outbound_ports = outbound::ports(context)?;
    check_ports(context, inbound_port, &application, &outbound_ports)?;
    let inbound = inbound::render(context, inbound_port, &application);
    let outbound = outbound::render(context, &outbound_ports);
    let mut listeners = [inbound.0, outbound.0].concat();
    let mut clusters = [inbound.1, outbound.1].concat();
    edge::accept_tls(context, &mut listeners)?;
    let mut admin = json!({ "address": filters::socket("127.0.0.1", options.admin_port) });
    let overload = context
        .is_entry()
        .then(|| edge::harden(context, &mut listeners, &mut clusters, &mut admin))
        .transpose()?;
    let mut bootstrap = json!({
        "node": {
            "id": context.name.as_str(),
            "cluster": context.name.as_str(),
            "locality": { "region": settings.region.as_str() },
            "metadata": { "foremesh": { "criticality": context.service.criticality } },
        },
        "admin": admin,
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters,
        },
    });
    if let (Some(overload), Some(fields)) = (overload, bootstrap.as_object_mut()) {
        fields.insert("overload_manager".into(), overload);
    }
    let file = format!("{slug}/envoy.yaml");
    let notes = notes(context);
    let bootstrap = yaml(&file, &header(settings, context.ramp, &notes), &[bootstrap])?;
    Ok(Host {
        slug,
        inbound_port,
        application,
        outbound_ports,
        bootstrap,
    })
}

/// Two listeners on one port would keep Envoy from starting, and a proxy that calls itself would never end.
fn check_ports(
    context: &Context<'_>,
    inbound_port: u16,
    application: &Address,
    outbound_ports: &BTreeMap<ServiceName, u16>,
) -> Result<(), RenderError> {
    let mut taken: BTreeMap<u16, String> = BTreeMap::new();
    let loopback = application.host.starts_with("127.") || application.host == "localhost";
    let application_port = (application.port, "the application".to_owned());
    let own = [
        (inbound_port, "the inbound listener".to_owned()),
        (
            context.options.admin_port,
            "the option admin_port".to_owned(),
        ),
    ];
    let outbound = outbound_ports
        .iter()
        .map(|(callee, port)| (*port, format!("the listener for calls to {callee}")));
    let application_port = loopback.then_some(application_port);
    for (port, owner) in own.into_iter().chain(application_port).chain(outbound) {
        if let Some(first) = taken.insert(port, owner.clone()) {
            return Err(RenderError::RenderOption {
                option: format!("addresses[{:?}]", context.name.as_str()),
                value: format!("such that port {port} is taken by {first} and by {owner}"),
                cure:
                    "give addresses, applications, outbound_port or admin_port ports of their own"
                        .into(),
            });
        }
    }
    Ok(())
}

fn notes(context: &Context<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if context.settings.entries.contains_key(context.name)
        && context.ramp.percent < 100
        && inbound::failover(context).is_none()
    {
        notes.push(format!(
            "this stage lets in {}%, but the options name no address of a failover region for {}: hold the rest back where regions are chosen \
             (DNS, global load balancer)",
            context.ramp.percent, context.name
        ));
    }
    if context.is_entry() && !context.options.certificates.contains_key(context.name) {
        notes.push(
            "the inbound listener speaks plain text: end TLS in front of it, or name a certificate in the option certificates".into(),
        );
    }
    let called = policy::callees(context.settings, context.name).into_keys();
    let held_back = (context.ramp.percent < 100 && inbound::failover(context).is_some())
        .then_some(context.name);
    for callee in called.chain(held_back) {
        let service = context.settings.services.get(callee);
        if let Some(reason) =
            service.and_then(|service| policy::nothing_to_hash(service, context.options))
        {
            notes.push(format!(
                "the plan balances {callee} by hash, but {reason}, and the source address is the same for all calls through this proxy: \
                 least_request is set instead"
            ));
        }
    }
    notes
}

/// By what an instance is chosen, where a service balances by hash.
fn hash_policy(service: &ServiceSettings, options: &RenderOptions) -> Option<Value> {
    if !matches!(
        policy::load_balancing(service, options),
        LoadBalancing::RingHash | LoadBalancing::Maglev
    ) {
        return None;
    }
    let header = options.hash_header.as_ref()?;
    Some(json!([{ "header": { "header_name": header } }]))
}

/// The longest that any known caller waits for a service.
fn longest_timeout_ms(context: &Context<'_>) -> Option<u32> {
    policy::callers(context.settings, context.name)
        .map(|(_, edge)| edge.timeout_ms)
        .chain(
            context
                .settings
                .entries
                .get(context.name)
                .map(|entry| entry.timeout_ms),
        )
        .max()
}
