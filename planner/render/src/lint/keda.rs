//! KEDA's ScaledObject.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Problems, cron};

/// KEDA's own default for `maxReplicaCount`.
const DEFAULT_MOST: i64 = 100;

/// The types of triggers that KEDA knows; releases add some, so what is missing here is a warning.
const TRIGGERS: [&str; 72] = [
    "activemq",
    "apache-kafka",
    "arangodb",
    "artemis-queue",
    "aws-cloudwatch",
    "aws-dynamodb",
    "aws-dynamodb-streams",
    "aws-kinesis-stream",
    "aws-sqs-queue",
    "azure-app-insights",
    "azure-blob",
    "azure-data-explorer",
    "azure-eventhub",
    "azure-log-analytics",
    "azure-monitor",
    "azure-pipelines",
    "azure-queue",
    "azure-servicebus",
    "beanstalkd",
    "cassandra",
    "couchdb",
    "cpu",
    "cron",
    "datadog",
    "dynatrace",
    "elasticsearch",
    "etcd",
    "external",
    "external-mock",
    "external-push",
    "forgejo-runner",
    "gcp-cloudtasks",
    "gcp-pubsub",
    "gcp-stackdriver",
    "gcp-storage",
    "github-runner",
    "graphite",
    "huawei-cloudeye",
    "ibmmq",
    "influxdb",
    "kafka",
    "kubernetes-resource",
    "kubernetes-workload",
    "liiklus",
    "loki",
    "memory",
    "metrics-api",
    "mongodb",
    "mssql",
    "mysql",
    "nats-jetstream",
    "new-relic",
    "nsq",
    "openstack-metric",
    "openstack-swift",
    "postgresql",
    "predictkube",
    "prometheus",
    "pulsar",
    "rabbitmq",
    "redis",
    "redis-cluster",
    "redis-cluster-streams",
    "redis-sentinel",
    "redis-sentinel-streams",
    "redis-streams",
    "selenium-grid",
    "solace-event-queue",
    "solr",
    "splunk",
    "stan",
    "temporal",
];

pub(super) fn check(spec: &Value, problems: &mut Problems) {
    let empty = Vec::new();
    let triggers = spec["triggers"].as_array().unwrap_or(&empty);
    let most = spec["maxReplicaCount"].as_i64().unwrap_or(DEFAULT_MOST);
    let mut windows: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    for trigger in triggers {
        let kind = trigger["type"].as_str().unwrap_or_default();
        if !TRIGGERS.contains(&kind) {
            problems.warning(
                "trigger-type",
                "type",
                format!("no trigger of type {kind:?} is known: KEDA would scale nothing by it; correct the type"),
            );
        }
        if let Some(name) = trigger["name"].as_str() {
            *names.entry(name).or_default() += 1;
        }
        if kind == "cpu" || kind == "memory" {
            share(
                &trigger["metadata"]["value"],
                &trigger["metricType"],
                problems,
            );
        }
        if kind == "cron" {
            window(&trigger["metadata"], most, problems);
            let text = |field: &str| trigger["metadata"][field].as_str().unwrap_or_default();
            let key = (text("timezone"), text("start"), text("end"));
            if let Some(other) = windows.insert(key, text("desiredReplicas"))
                && other != text("desiredReplicas")
            {
                problems.warning(
                    "cron-same-window",
                    "desiredReplicas",
                    format!(
                        "two cron triggers have the same window ({} to {}) and want {other} and {} instances: KEDA takes the greater; keep one",
                        key.1, key.2, text("desiredReplicas")
                    ),
                );
            }
        }
    }
    for (name, _) in names.into_iter().filter(|(_, count)| *count > 1) {
        problems.error(
            "trigger-name",
            "name",
            format!("more than one trigger is named {name:?}: names must differ"),
        );
    }
    let measures_itself =
        |trigger: &Value| matches!(trigger["type"].as_str(), Some("cpu" | "memory"));
    if spec["fallback"].is_object() && !triggers.is_empty() && triggers.iter().all(measures_itself)
    {
        problems.error(
            "fallback-without-metric",
            "fallback",
            "a fallback does nothing when every trigger is cpu or memory: add a trigger of another type, or remove it",
        );
    }
}

/// A target by processor time or memory.
fn share(value: &Value, metric_type: &Value, problems: &mut Problems) {
    let number = value.as_str().and_then(|text| text.parse::<u32>().ok());
    if metric_type.as_str() == Some("Utilization") && number.is_none_or(|percent| percent == 0) {
        problems.error(
            "utilization-percent",
            "value",
            format!("the target is {value}: write whole percent of what is requested in quotes, at least 1"),
        );
    }
}

fn window(metadata: &Value, most: i64, problems: &mut Problems) {
    let timezone = metadata["timezone"].as_str().unwrap_or_default();
    if jiff::tz::TimeZone::get(timezone).is_err() {
        problems.error(
            "cron-timezone",
            "timezone",
            format!("{timezone:?} is no IANA time zone: write for example Europe/Paris"),
        );
    }
    for field in ["start", "end"] {
        let expression = metadata[field].as_str().unwrap_or_default();
        if let Some(fault) = cron::fault(expression) {
            problems.error("cron-expression", field_name(field), fault);
        }
    }
    if metadata["start"].is_string() && metadata["start"] == metadata["end"] {
        problems.error(
            "cron-empty-window",
            "start",
            "start and end are the same, which KEDA refuses at run time: let the window end later",
        );
    }
    let desired = &metadata["desiredReplicas"];
    match desired.as_str().and_then(|text| text.parse::<i64>().ok()) {
        None => problems.error(
            "cron-desired-replicas",
            "desiredReplicas",
            format!("desiredReplicas is {desired}: write a whole number in quotes"),
        ),
        Some(wanted) if wanted > most => problems.warning(
            "cron-over-most",
            "desiredReplicas",
            format!("desiredReplicas {wanted} is more than maxReplicaCount {most}, which caps it: raise maxReplicaCount"),
        ),
        Some(_) => {}
    }
}

fn field_name(field: &str) -> &'static str {
    if field == "start" { "start" } else { "end" }
}
