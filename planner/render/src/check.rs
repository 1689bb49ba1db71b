//! Refuses values that no mesh accepts, before anything is written: settings come back from Terraform's state and from files
//! that people edit.

use foremesh_model::{
    CallerLimits, ConnectionSettings, EdgeSettings, EntrySettings, Protocol, ServiceSettings,
    Settings,
};

use crate::{RenderError, RenderOptions};

/// Checks every value that is rendered.
pub(crate) fn check(settings: &Settings, options: &RenderOptions) -> Result<(), RenderError> {
    if let Some(server) = &options.prometheus_address {
        let after = |scheme: &str| {
            server
                .strip_prefix(scheme)
                .is_some_and(|rest| !rest.is_empty())
        };
        if !after("http://") && !after("https://") {
            return Err(refuse(
                "prometheus_address",
                server,
                "the address of a Prometheus server, for example http://prometheus.monitoring:9090",
            ));
        }
    }
    if jiff::tz::TimeZone::get(&settings.timezone).is_err() {
        return Err(refuse(
            "timezone",
            &settings.timezone,
            "an IANA time zone, for example Europe/Paris",
        ));
    }
    for (name, service) in &settings.services {
        check_service(&format!("services[{:?}]", name.as_str()), service)?;
    }
    for (name, edge) in &settings.edges {
        let path = format!("edges[{:?}]", name.to_string());
        if !settings.services.contains_key(name.callee()) {
            return Err(RenderError::UnknownService {
                path,
                service: name.callee().to_string(),
            });
        }
        check_edge(&path, edge)?;
    }
    for (name, service) in &settings.stateful_services {
        let path = format!("stateful_services[{:?}]", name.as_str());
        positive(&format!("{path}.port"), service.port.into())?;
        if settings.services.contains_key(name) {
            return Err(refuse(
                &path,
                name.as_str(),
                "a service that services does not name too: it is planned or left as it is",
            ));
        }
    }
    for (name, connection) in &settings.connections {
        let path = format!("connections[{:?}]", name.to_string());
        if !settings.stateful_services.contains_key(name.callee()) {
            return Err(RenderError::UnknownService {
                path,
                service: name.callee().to_string(),
            });
        }
        check_connection(&path, *connection)?;
    }
    for (name, entry) in &settings.entries {
        let path = format!("entries[{:?}]", name.as_str());
        if !settings.services.contains_key(name) {
            return Err(RenderError::UnknownService {
                path,
                service: name.to_string(),
            });
        }
        check_entry(&path, entry)?;
    }
    for (index, stage) in settings.ramp.iter().enumerate() {
        within(
            &format!("ramp[{index}].percent"),
            stage.percent.into(),
            0.0,
            100.0,
        )?;
        within(
            &format!("ramp[{index}].stage"),
            stage.stage.into(),
            1.0,
            f64::from(u32::MAX),
        )?;
    }
    Ok(())
}

fn check_service(path: &str, service: &ServiceSettings) -> Result<(), RenderError> {
    let at = |field: &str| format!("{path}.{field}");
    positive(&at("port"), service.port.into())?;
    positive(
        &at("max_concurrent_requests"),
        service.max_concurrent_requests.into(),
    )?;
    if service.protocol != Protocol::Tcp {
        positive(
            &at("rate_limit.requests_per_second"),
            service.rate_limit.requests_per_second,
        )?;
    }
    let ejection = service.outlier_ejection;
    positive(
        &at("outlier_ejection.consecutive_errors"),
        ejection.consecutive_errors.into(),
    )?;
    positive(
        &at("outlier_ejection.interval_s"),
        ejection.interval_s.into(),
    )?;
    positive(
        &at("outlier_ejection.base_ejection_s"),
        ejection.base_ejection_s.into(),
    )?;
    within(
        &at("outlier_ejection.max_ejection_percent"),
        ejection.max_ejection_percent.into(),
        0.0,
        99.0,
    )?;
    within(
        &at("outlier_ejection.min_health_percent"),
        ejection.min_health_percent.into(),
        0.0,
        100.0,
    )?;
    within(&at("preconnect_ratio"), service.preconnect_ratio, 1.0, 3.0)?;
    within(
        &at("warm_up.minimum_percent"),
        service.warm_up.minimum_percent.into(),
        0.0,
        100.0,
    )?;
    within(
        &at("warm_up.aggression"),
        service.warm_up.aggression,
        1.0,
        1000.0,
    )
}

fn check_edge(path: &str, edge: &EdgeSettings) -> Result<(), RenderError> {
    let at = |field: &str| format!("{path}.{field}");
    positive(&at("timeout_ms"), edge.timeout_ms.into())?;
    within(
        &at("per_try_timeout_ms"),
        edge.per_try_timeout_ms.into(),
        1.0,
        edge.timeout_ms.into(),
    )?;
    within(
        &at("retries.budget_percent"),
        edge.retries.budget_percent,
        0.0,
        100.0,
    )?;
    if let Some(word) = edge
        .retries
        .retry_on
        .iter()
        .find(|word| !is_condition(word))
    {
        return Err(refuse(
            &at("retries.retry_on"),
            word,
            "a condition in Envoy's words, for example connect-failure, or a status code",
        ));
    }
    check_limits(&at("caller_limits"), edge.caller_limits)
}

fn check_connection(path: &str, connection: ConnectionSettings) -> Result<(), RenderError> {
    let at = |field: &str| format!("{path}.{field}");
    positive(
        &at("connect_timeout_ms"),
        connection.connect_timeout_ms.into(),
    )?;
    positive(&at("idle_timeout_s"), connection.idle_timeout_s.into())?;
    match connection.max_connections {
        Some(limit) => positive(&at("max_connections"), limit.into()),
        None => Ok(()),
    }
}

fn check_limits(path: &str, limits: CallerLimits) -> Result<(), RenderError> {
    positive(
        &format!("{path}.max_connections"),
        limits.max_connections.into(),
    )?;
    positive(
        &format!("{path}.max_concurrent_requests"),
        limits.max_concurrent_requests.into(),
    )
}

fn check_entry(path: &str, entry: &EntrySettings) -> Result<(), RenderError> {
    positive(&format!("{path}.timeout_ms"), entry.timeout_ms.into())?;
    check_limits(&format!("{path}.gateway_limits"), entry.gateway_limits)?;
    let sum: u64 = entry
        .localities
        .iter()
        .map(|locality| u64::from(locality.percent))
        .sum();
    if !entry.localities.is_empty() && sum != 100 {
        return Err(refuse(
            &format!("{path}.localities"),
            &format!("a list whose percents sum to {sum}"),
            "a list whose percents sum to 100",
        ));
    }
    for locality in &entry.localities {
        let parts: Vec<&str> = locality.locality.split('/').collect();
        if parts.len() > 3
            || parts.iter().any(|part| {
                part.is_empty() || part.contains(|c: char| c.is_whitespace() || c == '*')
            })
        {
            return Err(refuse(
                &format!("{path}.localities"),
                &locality.locality,
                "written region/zone, for example eu-west-3/eu-west-3a",
            ));
        }
    }
    Ok(())
}

fn is_condition(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn positive(path: &str, value: f64) -> Result<(), RenderError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(refuse(path, &value.to_string(), "greater than 0"))
    }
}

fn within(path: &str, value: f64, least: f64, most: f64) -> Result<(), RenderError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(refuse(
            path,
            &value.to_string(),
            &format!("between {least} and {most}"),
        ))
    }
}

fn refuse(path: &str, value: &str, must: &str) -> RenderError {
    RenderError::Value {
        path: path.into(),
        value: value.into(),
        must: must.into(),
    }
}
