//! Autoscaling: the instance schedules as KEDA objects, or the bounds of Kubernetes' own autoscaler. Nothing else ever writes
//! replicas, so nothing competes with them.
//!
//! With KEDA a rise begins early, by the greater of the warm-up time and 60 s, and 30 s for KEDA to see it, in whole minutes, at least 3;
//! the most instances are held after the plan until a newer one comes (`windows`).

mod hpa;
mod keda;
mod windows;

use std::collections::BTreeMap;

use foremesh_model::{ServiceName, Settings};
use serde_json::{Value, json};

use crate::{
    Autoscaler, RenderError, RenderOptions,
    document::{header, yaml},
    kubernetes::{Objects, Place, kustomization},
    ramp::Position,
};

/// Instances come before the limits and routes that count on them, within one sync of Argo CD.
const WAVE_INSTANCES: i64 = -1;

pub(crate) fn render(
    settings: &Settings,
    options: &RenderOptions,
    ramp: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    let objects = Objects { settings, options };
    let mut files = BTreeMap::new();
    let mut owners: BTreeMap<String, &ServiceName> = BTreeMap::new();
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
        let (api, spec, notes) = match options.autoscaler {
            Autoscaler::Keda => (
                ("keda.sh/v1alpha1", "ScaledObject"),
                keda::spec(settings, options, name, service, &place)?,
                keda::notes(options, service),
            ),
            Autoscaler::Hpa => (
                ("autoscaling/v2", "HorizontalPodAutoscaler"),
                hpa::spec(options, service, &place),
                vec![
                    "this autoscaler knows no hours: it moves between the fewest and the most instances of the schedule by CPU; KEDA follows \
                     the schedule"
                        .to_owned(),
                ],
            ),
        };
        let object = objects.object(api, &place, name, WAVE_INSTANCES, spec);
        let text = yaml(&file, &header(settings, ramp, &notes), &[object])?;
        files.insert(file, text);
    }
    let stateful: Vec<&str> = settings
        .stateful_services
        .keys()
        .map(ServiceName::as_str)
        .collect();
    let notes = (!stateful.is_empty()).then(|| {
        format!(
            "nothing scales what keeps state: {} stay as their manifests say",
            stateful.join(", ")
        )
    });
    let list = kustomization(files.keys());
    let text = yaml(
        "kustomization.yaml",
        &header(settings, ramp, notes.as_slice()),
        &[list],
    )?;
    files.insert("kustomization.yaml".into(), text);
    Ok(files)
}

/// How fast instances may come and go. Every field is written although it is the server's default or near it: a field that the
/// server fills in shows as a difference at each plan.
fn behavior() -> Value {
    json!({
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                { "type": "Pods", "value": 4, "periodSeconds": 15 },
                { "type": "Percent", "value": 100, "periodSeconds": 15 },
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "selectPolicy": "Max",
            "policies": [{ "type": "Percent", "value": 25, "periodSeconds": 60 }],
        },
    })
}

fn replicas(instances: u32) -> u32 {
    instances.clamp(1, i32::MAX as u32)
}
