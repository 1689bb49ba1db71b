//! Limits of real manifests that nobody here wrote (../shared/data): none is lost, and none is made up.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::{Path, PathBuf};

use foremesh_model::ServiceName;
use foremesh_observe::{LimitField, read_limits};

fn manifests(name: &str) -> Option<PathBuf> {
    let path = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/manifests"
    ))
    .join(name);
    if !path.exists() {
        println!("SKIPPED: {} is absent", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn bookinfo_splits_reviews_and_sets_replicas() {
    let Some(path) = manifests("bookinfo") else {
        return;
    };
    let limits = read_limits(&[
        path.join("bookinfo.yaml"),
        path.join("virtual-service-reviews-50-v3.yaml"),
        path.join("destination-rule-all.yaml"),
    ])
    .unwrap();
    assert!(limits.warnings.is_empty(), "{:?}", limits.warnings);
    let reviews = ServiceName::new("reviews").unwrap();
    let weights: Vec<_> = limits
        .value
        .of(&reviews, LimitField::RouteWeight)
        .map(|w| (w.subset.as_deref().unwrap(), w.number().unwrap()))
        .collect();
    assert_eq!(weights, [("v1", 50.0), ("v3", 50.0)]);
    // Three deployments of one replica serve it, and nothing else is set anywhere.
    assert_eq!(limits.value.of(&reviews, LimitField::Replicas).count(), 3);
    assert!(
        limits
            .value
            .values
            .iter()
            .all(|v| matches!(v.field, LimitField::RouteWeight | LimitField::Replicas))
    );
    assert_eq!(limits.value.services.len(), 4);
}

#[test]
fn whole_folders_are_read() {
    for name in [
        "bookinfo",
        "online-boutique",
        "sock-shop",
        "emojivoto",
        "teastore",
    ] {
        let Some(path) = manifests(name) else { return };
        let limits = read_limits(&[path]).unwrap();
        println!(
            "{name}: {} services, {} values, {} warnings",
            limits.value.services.len(),
            limits.value.values.len(),
            limits.warnings.len()
        );
        for warning in &limits.warnings {
            println!(
                "  {} | {} | {}",
                warning.code, warning.subject, warning.text
            );
        }
        assert!(limits.value.services.len() >= 4, "{name}");
        assert!(
            limits
                .value
                .values
                .iter()
                .all(|v| v.line > 0 && v.path.starts_with("spec."))
        );
    }
}
