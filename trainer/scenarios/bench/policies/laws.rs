//! Whose instances run: plans, and what people use today, each with the one number by which it is tuned.

use foremesh_model::{Settings, station::Station};

use crate::minutes::Path;

/// Minutes for which an autoscaler waits before it gives back (Kubernetes' default stabilization window).
const STABILIZATION_MINUTES: usize = 5;
/// Instances that an autoscaled deployment keeps.
const FEWEST: u32 = 2;

/// How instances come about.
#[derive(Debug, Clone)]
pub enum Law<'a> {
    /// A plan's schedule with its standby.
    Plan(&'a Settings),
    /// A plan's schedule with its standby, and beyond it what its autoscalers ask for: late as [`Law::Hpa`].
    Tracked(&'a Settings),
    /// As many as the busiest hour's median needs at this utilisation, all the time.
    Static { utilisation: f64 },
    /// The horizontal pod autoscaler at this utilisation: a minute behind, and behind by what an instance takes to start.
    Hpa { utilisation: f64 },
    /// The horizontal pod autoscaler at this utilisation if it knew what is asked in the next minute and instances came at once.
    Foresight { utilisation: f64 },
    /// AWS predictive scaling at this utilisation: what the forecast's median of the hour needs, ordered ahead, and what the autoscaler asks for
    /// where that is more.
    Predictive { utilisation: f64 },
}

/// What the laws need to know of a region.
pub struct Known<'a> {
    pub stations: &'a [Station],
    /// Requests a second of the forecast's median, `[hour][service]`.
    pub median_rps: &'a [Vec<f64>],
    pub names: &'a [foremesh_model::ServiceName],
}

impl Law<'_> {
    /// Instances of every service in a minute of a path.
    pub fn instances(&self, known: &Known<'_>, path: &Path<'_>, minute: usize) -> Vec<u32> {
        let hour = minute / 60;
        match self {
            Self::Plan(settings) => known
                .names
                .iter()
                .zip(known.stations)
                .map(|(name, station)| {
                    let planned = settings.services.get(name);
                    planned.map_or(station.min_instances.max(1), |service| {
                        service.instances.at(hour as u32) + service.standby_instances
                    })
                })
                .collect(),
            Self::Tracked(settings) => {
                let scheduled = Law::Plan(settings).instances(known, path, minute);
                let asked = late(known, path, minute, |s, rate| {
                    let scaled = settings.services.get(&known.names[s])?.autoscaling?;
                    Some(scaled.asks(rate))
                });
                let each = scheduled.iter().zip(&asked);
                each.map(|(a, b)| *a.max(b)).collect()
            }
            Self::Static { utilisation } => {
                let hours = known.median_rps.iter();
                let busiest = hours.fold(vec![0.0f64; known.stations.len()], |most, hour| {
                    most.iter().zip(hour).map(|(m, r)| m.max(*r)).collect()
                });
                needed(known, &busiest, *utilisation)
            }
            Self::Foresight { utilisation } => {
                needed(known, &path.service_rps(minute), *utilisation)
            }
            Self::Hpa { utilisation } => reacting(known, path, minute, *utilisation),
            Self::Predictive { utilisation } => {
                let predicted = needed(known, &known.median_rps[hour], *utilisation);
                let reacted = reacting(known, path, minute, *utilisation);
                predicted
                    .iter()
                    .zip(&reacted)
                    .map(|(a, b)| *a.max(b))
                    .collect()
            }
        }
    }
}

/// The instances that keep these rates at a utilisation.
pub fn needed(known: &Known<'_>, rates_rps: &[f64], utilisation: f64) -> Vec<u32> {
    let services = known.stations.iter().zip(rates_rps);
    services
        .map(|(station, rate)| one(station, *rate, utilisation))
        .collect()
}

fn one(station: &Station, rate_rps: f64, utilisation: f64) -> u32 {
    if station.stateful {
        return station.min_instances.max(1);
    }
    let needed = (rate_rps / (station.saturation_rps * utilisation) - 1e-9).ceil();
    (needed.clamp(0.0, 1e6) as u32)
        .max(FEWEST)
        .max(station.min_instances)
        .min(station.max_instances)
}

fn reacting(known: &Known<'_>, path: &Path<'_>, minute: usize, utilisation: f64) -> Vec<u32> {
    late(known, path, minute, |s, rate| {
        Some(one(&known.stations[s], rate, utilisation))
    })
}

/// What autoscalers asked for while their orders of now were placed: the most of the last minutes, because they give back late.
fn late(
    known: &Known<'_>,
    path: &Path<'_>,
    minute: usize,
    asks: impl Fn(usize, f64) -> Option<u32>,
) -> Vec<u32> {
    let leads: Vec<usize> = known
        .stations
        .iter()
        .map(|station| 1 + (station.lead_s() / 60.0).round() as usize)
        .collect();
    let longest = leads.iter().copied().max().unwrap_or(1) + STABILIZATION_MINUTES;
    let mut most = vec![0; known.stations.len()];
    for ago in 1..=longest {
        let rates = path.service_rps(minute.saturating_sub(ago));
        for s in 0..known.stations.len() {
            if (leads[s]..=leads[s] + STABILIZATION_MINUTES).contains(&ago) {
                most[s] = most[s].max(asks(s, rates[s]).unwrap_or(0));
            }
        }
    }
    most
}
