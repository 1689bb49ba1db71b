//! Where a plan's instances stand, and how an entry's traffic is shared among the places.

use foremesh_model::{EntrySettings, Settings};

use super::{OVERPROVISIONING_PERCENT, PlanAssumptions};
use crate::{Localities, Locality, LocalityBalancing};

/// The zones that entries name and the first region that takes over; none where nothing is known of either.
pub(super) fn localities(settings: &Settings, assumptions: &PlanAssumptions) -> Localities {
    let region = settings.region.to_string();
    let mut all: Vec<Locality> = Vec::new();
    let zones = settings.entries.values().flat_map(|set| &set.localities);
    for zone in zones {
        if all.iter().all(|known| known.name != zone.locality) {
            all.push(Locality {
                name: zone.locality.clone(),
                region: region.clone(),
            });
        }
    }
    let takes_over = settings
        .entries
        .values()
        .find_map(|set| set.failover.first());
    if let Some(other) = takes_over {
        if all.is_empty() {
            all.push(Locality {
                name: region.clone(),
                region,
            });
        }
        all.push(Locality {
            name: other.to_string(),
            region: other.to_string(),
        });
    }
    Localities {
        all,
        other_zone_ms: assumptions.other_zone_ms,
        other_region_ms: assumptions.other_region_ms,
    }
}

pub(super) fn distribute(set: &EntrySettings, localities: &Localities) -> LocalityBalancing {
    let place = |name: &str| localities.all.iter().position(|l| l.name == name);
    LocalityBalancing::Distribute {
        weights: set
            .localities
            .iter()
            .filter_map(|zone| Some((place(&zone.locality)?, zone.percent)))
            .collect(),
        overprovisioning_percent: OVERPROVISIONING_PERCENT,
    }
}
