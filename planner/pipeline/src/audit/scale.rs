//! How many instances manifests let run: what a workload fixes, or what an autoscaler moves between.

use std::collections::BTreeSet;

use foremesh_model::{ServiceName, Warning};
use foremesh_observe::{ExistingLimits, LimitField};

/// What manifests say of instances.
pub(crate) struct Scale<'a> {
    /// What is set.
    pub limits: &'a ExistingLimits,
    /// Documents of which a value was not understood: what they seem to leave unset may be set.
    pub unread: BTreeSet<&'a str>,
}

/// How many replicas manifests let a service have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Replicas {
    /// Nothing says it.
    Unknown,
    /// A fixed number.
    Fixed(u32),
    /// One workload says none and no autoscaler is known: Kubernetes runs one.
    Default,
    /// An autoscaler moves between both.
    Scaled {
        /// Fewest.
        fewest: u32,
        /// Most.
        most: u32,
    },
}

impl<'a> Scale<'a> {
    /// Of limits and the warnings that came with them.
    pub fn of(limits: &'a ExistingLimits, warnings: &'a [Warning]) -> Self {
        let unread = warnings
            .iter()
            .filter(|warning| warning.code == "limit_not_read")
            .map(|warning| warning.subject.as_str())
            .collect();
        Self { limits, unread }
    }

    /// The numbers of one field that bind every caller of a service, the lowest and the highest.
    fn span(&self, service: &ServiceName, field: LimitField) -> Option<(f64, f64)> {
        let numbers = self.limits.of(service, field).filter_map(|l| l.number());
        numbers.fold(None, |span, number| match span {
            None => Some((number, number)),
            Some((low, high)) => Some((number.min(low), number.max(high))),
        })
    }

    /// How many replicas a service may have.
    pub fn replicas(&self, service: &ServiceName) -> Replicas {
        let whole = |value: f64| value.clamp(0.0, 1e9) as u32;
        let fixed = self.span(service, LimitField::Replicas);
        match self.span(service, LimitField::MaxReplicas) {
            Some((_, most)) => Replicas::Scaled {
                // Kubernetes keeps at least one where nothing else is said.
                fewest: self
                    .span(service, LimitField::MinReplicas)
                    .map_or(1, |(fewest, _)| whole(fewest)),
                most: whole(most),
            },
            None => match fixed {
                Some((_, most)) => Replicas::Fixed(whole(most)),
                None if self.defaulted_workload(service).is_some() => Replicas::Default,
                None => Replicas::Unknown,
            },
        }
    }

    /// The document of the only workload of a service, where neither it nor an autoscaler says how many replicas run.
    pub fn defaulted_workload(&self, service: &ServiceName) -> Option<&'a str> {
        const SCALING: [LimitField; 4] = [
            LimitField::Replicas,
            LimitField::MinReplicas,
            LimitField::MaxReplicas,
            LimitField::ScheduledReplicas,
        ];
        let is_set = |field| self.limits.of(service, field).next().is_some();
        if SCALING.into_iter().any(is_set) {
            return None;
        }
        let documents = self.limits.services.get(service)?;
        let has_kind = |document: &str, kinds: &[&str]| {
            let kind = document.split(' ').next().unwrap_or_default();
            kinds.contains(&kind)
        };
        const SCALERS: [&str; 2] = ["HorizontalPodAutoscaler", "ScaledObject"];
        const WORKLOADS: [&str; 4] = ["Deployment", "StatefulSet", "Rollout", "ReplicaSet"];
        if documents.iter().any(|d| has_kind(d, &SCALERS)) {
            return None;
        }
        let mut workloads = documents.iter().filter(|d| has_kind(d, &WORKLOADS));
        match (workloads.next(), workloads.next()) {
            // Of several workloads behind one service nothing says which share each has.
            (Some(only), None)
                if has_kind(only, &WORKLOADS[..2]) && !self.unread.contains(only.as_str()) =>
            {
                Some(only)
            }
            _ => None,
        }
    }
}
