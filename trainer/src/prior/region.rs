//! One region's demand for a service: what all regions share, moved, scaled and varied, and what is the region's own.

use super::{
    burst::Bursts,
    calendar::{Answer, Calendar},
    campaign::Campaign,
    clock::{Clock, Knots},
    count::Measure,
    gap,
    mixture::{CHANCES, Family, Process},
    noise::{self, Noise},
    outage,
    profile::Profile,
    random::Random,
    trend,
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
    /// Whether the regions grow together.
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
    let mut log = seasons(service, place, calendar, clock, random);
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
        switch(clock, &mut rps, random);
    }
    if random.chance(CHANCES.capped) {
        cap(&mut rps, random);
    }
    if !service.calm {
        outage::apply(clock, &mut rps, random);
    }
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

/// What the local clock and the calendar say.
fn seasons(
    service: &Service,
    place: &Place,
    calendar: &Calendar,
    clock: &Clock,
    random: &mut Random,
) -> Vec<f32> {
    let mut log = vec![0.0; clock.steps];
    if !service.path.is_empty() {
        let shift = place.late as isize;
        let last = clock.steps.saturating_sub(1);
        for (step, value) in log.iter_mut().enumerate() {
            let at = step.saturating_add_signed(-shift).min(last);
            *value = service.path_size * service.path.get(at).copied().unwrap_or(0.0);
        }
        return log;
    }
    let varied;
    let profile = if place.difference > 0.0 {
        varied = service.profile.varied(place.difference, random);
        &varied
    } else {
        &service.profile
    };
    let phase = phases(service, clock, place.late, random);
    let amplitude = amplitudes(service, clock, random);
    let a_day = clock.steps_per_day();
    let day_off = profile.off.iter().rposition(|off| *off).unwrap_or(6);
    // Of a day: where its row begins, where a day off's begins, how much of the latter, and what is added.
    let days: Vec<(usize, f32, f32)> = (0..clock.days() + 2)
        .map(|day| {
            let row = clock.weekday(day) * a_day;
            let holiday = calendar.0.get(day).copied().unwrap_or_default();
            let free = holiday.weight * service.answer.like_day_off;
            let own = service.answer.log + service.answer.own * holiday.own;
            (row, free, holiday.weight * own)
        })
        .collect();
    let value_at = |week: &[f32], row: usize, within: f32| {
        let left = within as usize;
        let right = if left + 1 < a_day {
            row + left + 1
        } else {
            (row + a_day) % week.len().max(1)
        };
        let (left_value, right_value) = (
            week.get(row + left).copied().unwrap_or(0.0),
            week.get(right).copied().unwrap_or(0.0),
        );
        left_value + (within - left as f32) * (right_value - left_value)
    };
    let last_day = days.len().saturating_sub(1);
    for (step, value) in log.iter_mut().enumerate() {
        let moved = (clock.local(step) as f32 - phase.get(step).copied().unwrap_or(0.0)).max(0.0);
        let day = ((moved as usize) / a_day).min(last_day);
        let within = (moved - (day * a_day) as f32).clamp(0.0, a_day as f32 - 0.001);
        let (row, _, _) = days.get(day).copied().unwrap_or_default();
        let mut season = value_at(&profile.smooth, row, within);
        if let Some((later, middle, width)) = &service.later {
            let passed = 1.0 / (1.0 + (-(step as f32 - middle) / width).exp());
            season += passed * (value_at(&later.smooth, row, within) - season);
        }
        // Holidays begin at midnight by the clock on the wall, whatever the phase of the habits.
        let (_, free, holiday) = days
            .get(clock.local(step) / a_day)
            .copied()
            .unwrap_or_default();
        if free > 0.0 {
            season += free * (value_at(&profile.smooth, day_off * a_day, within) - season);
        }
        *value = amplitude.get(step).copied().unwrap_or(1.0) * season + holiday;
    }
    if !profile.sharp.is_empty() {
        let week = profile.sharp.len();
        for (step, value) in log.iter_mut().enumerate() {
            *value += profile
                .sharp
                .get((clock.first + step) % week)
                .copied()
                .unwrap_or(0.0);
        }
    }
    log
}

/// Steps by which habits are late, by step: constant, drifting, and an hour off after a change of clocks.
fn phases(service: &Service, clock: &Clock, late: f32, random: &mut Random) -> Vec<f32> {
    let mut phase = vec![late; clock.steps];
    if !service.calm && random.chance(CHANCES.phase_drift) {
        let (a_day, pull) = (clock.hours(random.log_between((0.02, 0.35))), 0.9);
        let mut value = 0.0;
        Knots::of(clock, |_| {
            value = pull * value + a_day * random.normal();
            value
        })
        .add_to(clock, &mut phase);
    }
    if random.chance(CHANCES.clock_change) {
        let hour = clock.hours(if random.chance(0.5) { 1.0 } else { -1.0 });
        let from = clock.any_step(random);
        for value in phase.iter_mut().skip(from) {
            *value += hour;
        }
    }
    phase
}

/// Factors on the seasons, by step.
fn amplitudes(service: &Service, clock: &Clock, random: &mut Random) -> Vec<f32> {
    let mut amplitude = vec![1.0; clock.steps];
    if !service.calm && random.chance(CHANCES.amplitude_drift) {
        let (size, keeps) = (random.log_between((0.01, 0.2)), random.between(0.3, 0.98));
        let kick = size * (1.0_f32 - keeps * keeps).sqrt();
        let mut value = 0.0;
        Knots::of(clock, |_| {
            value = keeps * value + kick * random.normal();
            value
        })
        .add_to(clock, &mut amplitude);
    }
    amplitude
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

/// On for some time, off for some time, as tenants and jobs are: each time on has a level of its own, and off may be little
/// instead of nothing.
fn switch(clock: &Clock, rps: &mut [f32], random: &mut Random) {
    let on = clock.hours(random.log_between((2.0, 200.0)));
    let off = on * random.log_between((0.01, 30.0));
    let levels = if random.chance(0.6) {
        random.log_between((0.1, 1.5))
    } else {
        0.0
    };
    let rest = if random.chance(0.75) {
        0.0
    } else {
        random.log_between((0.005, 0.6))
    };
    let mut is_on = random.chance(on / (on + off));
    let mut left = random.exponential() * if is_on { on } else { off };
    let mut factor = if is_on { 1.0 } else { rest };
    for value in rps {
        if left < 1.0 {
            is_on = !is_on;
            left = 1.0 + random.exponential() * if is_on { on } else { off };
            factor = if is_on {
                (levels * random.normal()).exp()
            } else {
                rest
            };
        }
        left -= 1.0;
        *value *= factor;
    }
}

/// Cuts off what is above a capacity between the median and the peak.
fn cap(rps: &mut [f32], random: &mut Random) {
    let mut sorted: Vec<f32> = rps.iter().copied().filter(|v| v.is_finite()).collect();
    let place = random.between(0.6, 0.98) * sorted.len() as f32;
    if sorted.is_empty() {
        return;
    }
    let place = (place as usize).min(sorted.len() - 1);
    let (_, capacity, _) = sorted.select_nth_unstable_by(place, f32::total_cmp);
    let capacity = *capacity;
    let slack = if random.chance(0.5) {
        0.0
    } else {
        random.between(0.0, 0.3)
    };
    for value in rps {
        if *value > capacity {
            *value = capacity + slack * (*value - capacity);
        }
    }
}
