//! The service catalogue: what the team knows about capacity and cost that no telemetry shows.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Capacity, Criticality, Protocol, ServiceName};

/// The catalogue file (YAML): `services.<name>` and `defaults` for those it does not name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogue {
    /// Capacity of every service that is not named, and of the fields that a named one leaves out.
    pub defaults: Capacity,
    /// By `namespace/name` or `name`.
    pub services: BTreeMap<ServiceName, CatalogueService>,
}

/// What the catalogue says about one service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogueService {
    /// What the service speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// The port it listens on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How much it matters when something must give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criticality: Option<Criticality>,
    /// Whether it keeps state and is left as it is: not scaled, not ejected from, not limited, nothing tried again (true), or is planned
    /// like any other (false). Where nobody says: StatefulSets, well-known databases, caches and brokers, and what speaks opaque TCP are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
    /// Instances that run, where it keeps state and no manifest says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u32>,
    /// What one instance can do and costs.
    pub capacity: Capacity,
    /// Services that it calls, with the calls for each request that reaches it: edges that no telemetry or manifest shows.
    pub calls: BTreeMap<ServiceName, f64>,
}

/// Why a catalogue was refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum CatalogueError {
    /// A capacity that no service can have.
    #[error("{place}.{field} {cause}")]
    Capacity {
        /// `defaults` or `services."name".capacity`.
        place: String,
        /// The field.
        field: &'static str,
        /// What is wrong and how to mend it.
        cause: &'static str,
    },
    /// A fan-out that is negative or not a number.
    #[error(
        "services.\"{service}\".calls.\"{callee}\" is {value}: calls for each request must be 0 or more"
    )]
    Calls {
        /// The caller.
        service: ServiceName,
        /// The callee.
        callee: ServiceName,
        /// The value as given.
        value: f64,
    },
}

impl Catalogue {
    /// Checks every value.
    ///
    /// # Errors
    /// [`CatalogueError`] for the first value that no service can have.
    pub fn check(&self) -> Result<(), CatalogueError> {
        let capacity = |place: &dyn Fn() -> String, capacity: &Capacity| match capacity.fault() {
            Some((field, cause)) => Err(CatalogueError::Capacity {
                place: place(),
                field,
                cause,
            }),
            None => Ok(()),
        };
        capacity(&|| "defaults".into(), &self.defaults)?;
        for (name, service) in &self.services {
            capacity(
                &|| format!("services.\"{name}\".capacity"),
                &service.capacity,
            )?;
            if let Some((callee, value)) = service
                .calls
                .iter()
                .find(|(_, v)| !(v.is_finite() && **v >= 0.0))
            {
                return Err(CatalogueError::Calls {
                    service: name.clone(),
                    callee: callee.clone(),
                    value: *value,
                });
            }
        }
        Ok(())
    }

    /// What the catalogue says about `name`: its full name first, then the name without its namespace.
    pub fn service(&self, name: &ServiceName) -> Option<&CatalogueService> {
        self.services
            .get(name)
            .or_else(|| self.services.get(name.short()))
    }
}
