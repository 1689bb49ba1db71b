//! One region's demand for a service: what all regions share, moved, scaled and varied, and what is the region's own.

use super::{
    burst::Bursts,
    calendar::{Answer, Calendar},
    campaign::Campaign,
    clock::Clock,
    count::Measure,
    drift, gap, gate,
    mixture::{CHANCES, Family, Process},
    noise::{self, Noise},
    outage,
    profile::Profile,
    random::Random,
    season, trend,
};

/// The largest ln of demand above or below its level.
const MOST_LOG: f32 = 9.0;
/// Strength of the trend of a calm service.
pub(super) const CALM_TREND: f32 = 0.25;
/// Strength of the trend of a service that is the same for ever.
pub(super) const STEADY_TREND: f32 = 0.01;

/// A service as it is drawn once, for all its regions.
#[derive(Debug)]
pub(super) struct Service {
    pub family: &'static Family,
    pub profile: Profile,
    /// The week that the profile passes into, the step in the middle of that, and the steps it takes.
    pub later: Option<(Profile, f32, f32)>,
    /// A path of kernels instead of a week; empty without.
    pub path: Vec<f32>,
    pub path_size: f32,
    pub noise: Noise,
    pub bursts: Option<Bursts>,
    pub answer: Answer,
    pub campaigns: Vec<Campaign>,
    /// ln of the effect of the business metrics.
    pub drivers: Vec<f32>,
    /// Trend, shifts and bursts that all regions share, and the noise that they share.
    pub common: Vec<f32>,
    pub common_noise: Vec<f32>,
    pub mean_rps: f32,
    pub measure: Measure,
    /// Whether the regions grow together, and have their better and worse days together.
    pub shared_trend: bool,
    /// Nothing out of the ordinary happens to it.
    pub calm: bool,
}

/// How one region differs.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub target: bool,
    /// ln of its share.
    pub log_share: f32,
    /// Steps by which its local day is late.
    pub late: f32,
    /// Deviation of its own week from the service's.
    pub difference: f32,
    /// Part of the noise's variance that it shares.
    pub shared_noise: f32,
    /// Strength of what happens to it alone: 1, or hardly anything for a replica.
    pub own: f32,
    /// Steps by which its local clock is ahead of the target's: what happens everywhere at once is seen so much later there.
    pub lead: i32,
    /// Factor on campaigns and drivers.
    pub touched: f32,
}

/// The measured demand of one region.
pub(super) fn demand(
    service: &Service,
    place: &Place,
    calendar: &Calendar,
    clock: &Clock,
    random: &mut Random,
) -> Vec<f32> {
    let mut log = season::seasons(service, place, calendar, clock, random);
    let mut noise = own_noise(service, place, clock, random);
    if service.noise.by_demand != 0.0 {
        for (noise, log) in noise.iter_mut().zip(&log) {
            *noise *= (service.noise.by_demand * log).exp().clamp(0.3, 3.0);
        }
    }
    if !service.calm {
        noise::add_regimes(&mut noise, clock, random);
    }
    let seen_at = |step: usize| step.saturating_add_signed(-(place.lead as isize));
    let last = clock.steps.saturating_sub(1);
    for (step, (log, noise)) in log.iter_mut().zip(&noise).enumerate() {
        let at = seen_at(step).min(last);
        let shared = service.common.get(at).copied().unwrap_or(0.0);
        let driven = service.drivers.get(step).copied().unwrap_or(0.0);
        *log += noise + shared + place.touched * driven;
    }
    let own_trend = if service.family.process == Process::Steady {
        STEADY_TREND
    } else if service.calm {
        CALM_TREND
    } else if service.shared_trend {
        0.4
    } else {
        1.0
    };
    trend::add_trend(clock, place.own * own_trend, &mut log, random);
    if !service.calm && place.own > 0.5 {
        trend::add_shifts(clock, &mut log, random);
        if !service.shared_trend {
            drift::add_days(service.family.process, clock, &mut log, random);
        }
    }
    for campaign in &service.campaigns {
        campaign.add(place.touched, place.lead, &mut log);
    }
    if let Some(bursts) = &service.bursts
        && place.own > 0.5
    {
        bursts.add(clock, &mut log, random);
    }
    let launched = (service.family.process == Process::Launch && place.target).then(|| {
        let (first, growth) = trend::launch(clock, random);
        for (value, growth) in log.iter_mut().zip(&growth) {
            *value += growth;
        }
        first
    });
    let level = service.mean_rps.ln() + place.log_share;
    let mut rps: Vec<f32> = log
        .iter()
        .map(|log| (level + log.clamp(-MOST_LOG, MOST_LOG)).exp())
        .collect();
    if service.family.process == Process::OnAndOff {
        gate::switch(clock, &mut rps, random);
    }
    if random.chance(CHANCES.capped) {
        gate::cap(&mut rps, random);
    }
    if !service.calm {
        outage::apply(clock, &mut rps, random);
    }
    outage::blips(clock, &mut rps, random);
    service.measure.apply(clock, &mut rps, random);
    if let Some(first) = launched {
        // Before it is launched a region is either not measured or measured as nothing.
        let before = if random.chance(0.7) { f32::NAN } else { 0.0 };
        for value in rps.iter_mut().take(first) {
            *value = before;
        }
    }
    gap::apply(clock, &mut rps, random);
    rps
}

fn own_noise(service: &Service, place: &Place, clock: &Clock, random: &mut Random) -> Vec<f32> {
    let mut noise = service.noise.sequence(clock.steps, random);
    if service.common_noise.is_empty() {
        return noise;
    }
    let (own, shared) = ((1.0 - place.shared_noise).sqrt(), place.shared_noise.sqrt());
    let last = clock.steps.saturating_sub(1);
    for (step, value) in noise.iter_mut().enumerate() {
        let at = step.saturating_add_signed(-(place.lead as isize)).min(last);
        *value = own * *value + shared * service.common_noise.get(at).copied().unwrap_or(0.0);
    }
    noise
}
