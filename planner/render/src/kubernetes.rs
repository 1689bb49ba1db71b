//! Names and metadata of Kubernetes objects.

use foremesh_model::{ServiceName, Settings};
use serde_json::{Map, Value, json};

use crate::{RenderError, RenderOptions};

/// A service's place in a cluster, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Its namespace.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

impl Place {
    /// Where a service lives.
    pub(crate) fn of(service: &ServiceName, options: &RenderOptions) -> Result<Self, RenderError> {
        let path = || format!("services[{:?}]", service.as_str());
        let namespace = service
            .namespace()
            .or(options.namespace.as_deref())
            .unwrap_or("default");
        let name = service.short();
        for label in [namespace, name] {
            if !is_label(label) {
                return Err(RenderError::KubernetesName {
                    path: path(),
                    name: label.into(),
                });
            }
        }
        Ok(Self {
            namespace: namespace.into(),
            name: name.into(),
        })
    }

    /// The host name by which the mesh knows the service.
    pub(crate) fn host(&self, options: &RenderOptions) -> String {
        format!(
            "{}.{}.svc.{}",
            self.name, self.namespace, options.cluster_domain
        )
    }

    /// The path of the file that holds the service's objects.
    pub(crate) fn file(&self) -> String {
        format!("{}/{}.yaml", self.namespace, self.name)
    }
}

/// Whether a text is a DNS label as Kubernetes wants it for services: it may begin with a letter only.
fn is_label(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What all objects of one render share.
pub(crate) struct Objects<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) options: &'a RenderOptions,
}

impl Objects<'_> {
    /// An object: `wave` orders it within one sync of Argo CD (limits before the traffic they bound).
    pub(crate) fn object(
        &self,
        (api_version, kind): (&str, &str),
        place: &Place,
        service: &ServiceName,
        wave: i64,
        spec: Value,
    ) -> Value {
        let mut labels = Map::new();
        labels.insert("app.kubernetes.io/managed-by".into(), "foremesh".into());
        labels.insert(
            "foremesh.io/region".into(),
            label_value(self.settings.region.as_str()).into(),
        );
        let planned = self.settings.services.get(service).map(|s| s.criticality);
        let stateful = self.settings.stateful_services.get(service);
        if let Some(criticality) = planned.or(stateful.map(|s| s.criticality)) {
            labels.insert("foremesh.io/criticality".into(), json!(criticality));
        }
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": place.name,
                "namespace": place.namespace,
                "labels": labels,
                "annotations": {
                    "argocd.argoproj.io/sync-wave": wave.to_string(),
                },
            },
            "spec": spec,
        })
    }
}

/// A label's value: at most 63 letters, digits, `-`, `_` and `.`, alphanumeric at both ends.
fn label_value(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        })
        .take(63)
        .collect();
    kept.trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .into()
}

/// The list of the files that were written, for `kubectl apply -k` and Argo CD.
pub(crate) fn kustomization<'a>(files: impl Iterator<Item = &'a String>) -> Value {
    json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": files.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_refuses_are_refused_here() {
        let place = |name: &str| Place::of(&name.parse().unwrap(), &RenderOptions::default());
        assert_eq!(
            place("cart").unwrap().host(&RenderOptions::default()),
            "cart.default.svc.cluster.local"
        );
        for name in [
            "shop/Cart",
            "../cart",
            "shop/my_cart",
            "shop/1st",
            "shop/cart-",
        ] {
            assert!(
                matches!(place(name), Err(RenderError::KubernetesName { .. })),
                "{name}"
            );
        }
    }
}
