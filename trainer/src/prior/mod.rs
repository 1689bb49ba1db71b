//! The synthetic prior: services of a mesh as they might be, drawn without end.
//!
//! [`Prior::draw`] is a pure function of the prior's seed and a number: a track does not depend on which thread draws it, when,
//! or after what. One file holds one ingredient; mixture.rs is the table of how often and how strongly each is drawn.

mod burst;
mod calendar;
mod campaign;
mod clock;
mod count;
mod drift;
mod gap;
mod gate;
mod kernel;
mod metric;
mod mixture;
mod noise;
mod outage;
mod profile;
mod random;
mod region;
mod season;
mod trend;

use crate::Track;

use self::{
    burst::Bursts,
    calendar::{Answer, Calendar},
    clock::Clock,
    count::Measure,
    mixture::{CHANCES, FAMILIES, Family, Process},
    noise::Noise,
    profile::Profile,
    random::Random,
    region::{Place, Service},
};

/// An endless source of synthetic tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prior {
    seed: u64,
    step_s: u32,
}

impl Prior {
    /// A prior of hourly (`step_s` 3600) or five-minute (300) tracks; another step is taken as the nearer of both.
    pub fn new(seed: u64, step_s: u32) -> Self {
        let step_s = if step_s < 1800 { 300 } else { 3600 };
        Self { seed, step_s }
    }

    /// Draws track number `index` with `steps` steps.
    pub fn draw(&self, index: u64, steps: usize) -> Track {
        let mut random = Random::keyed(self.seed, index, self.step_s);
        let weights: [f32; FAMILIES.len()] =
            std::array::from_fn(|i| FAMILIES.get(i).map_or(0.0, |family| family.weight));
        let family = FAMILIES
            .get(random.weighted(&weights))
            .unwrap_or(&FAMILIES[0]);
        self.track(family, index, steps, &mut random)
    }

    /// The names of the families that are drawn, for reports.
    pub fn families() -> impl Iterator<Item = &'static str> {
        FAMILIES.iter().map(|family| family.name)
    }

    fn track(
        &self,
        family: &'static Family,
        index: u64,
        steps: usize,
        random: &mut Random,
    ) -> Track {
        let clock = Clock::draw(steps, self.step_s, random);
        let donor_count = if family.process == Process::Launch {
            // A launch without donors teaches little.
            random.weighted(&CHANCES.donors).max(random.below(4))
        } else {
            random.weighted(&CHANCES.donors)
        };
        let profile = Profile::draw(family, clock.steps_per_day(), random);
        let drivers = metric::draw(&clock, &profile, random);
        let replicas = donor_count > 0 && random.chance(CHANCES.replicas);
        let service = service(family, &clock, profile, &drivers, donor_count > 0, random);
        let calendar = Calendar::draw(&clock, &service.profile.off, random);
        let home = Place {
            target: true,
            log_share: 0.0,
            late: clock.hours(0.3) * random.normal(),
            difference: 0.0,
            shared_noise: match (donor_count, replicas) {
                (0, _) => 0.0,
                (_, true) => random.between(0.9, 0.995),
                (_, false) => random.between(0.0, 0.8),
            },
            own: if replicas { 0.1 } else { 1.0 },
            lead: 0,
            touched: 1.0,
        };
        let demand = region::demand(&service, &home, &calendar, &clock, random);
        let mut event_log_uplift = vec![0.0; steps];
        for campaign in &service.campaigns {
            campaign.tell(&mut event_log_uplift);
        }
        let likeness = if replicas {
            0.01
        } else {
            random.log_between((0.02, 0.35))
        };
        let donors = (0..donor_count)
            .map(|_| donor(&service, &home, &calendar, &clock, likeness, random))
            .collect();
        Track {
            family: family.name.to_owned(),
            cluster: format!("prior-{index}"),
            step_s: self.step_s,
            first_step_of_week: clock.first as u32,
            calendar_known: true,
            demand,
            day_off: calendar.day_off(&clock),
            event_log_uplift,
            metrics: drivers.into_iter().map(|driver| driver.metric).collect(),
            donors,
        }
    }
}

fn service(
    family: &'static Family,
    clock: &Clock,
    profile: Profile,
    drivers: &[metric::Driver],
    with_donors: bool,
    random: &mut Random,
) -> Service {
    let mean_rps = random.log_between(family.rate_rps);
    let noise = Noise::draw(family, clock, random);
    let steady = family.process == Process::Steady;
    let calm = (random.chance(CHANCES.calm) && family.process != Process::OnAndOff) || steady;
    // Social services are never without bursts.
    let bursts = random
        .chance(if calm {
            family.bursts.0.powi(4)
        } else {
            family.bursts.0
        })
        .then(|| Bursts::draw(family.bursts.1, clock, random));
    let mut common = Vec::new();
    let mut common_noise = Vec::new();
    let shared_trend = with_donors && random.chance(0.7);
    if with_donors {
        common = vec![0.0; clock.steps];
        if shared_trend {
            let strength = match (steady, calm) {
                (true, _) => region::STEADY_TREND,
                (false, true) => region::CALM_TREND,
                (false, false) => 1.0,
            };
            trend::add_trend(clock, strength, &mut common, random);
            if !calm {
                drift::add_days(family.process, clock, &mut common, random);
            }
        }
        if !calm {
            trend::add_shifts(clock, &mut common, random);
        }
        if let Some(bursts) = &bursts
            && random.chance(0.4)
        {
            bursts.add(clock, &mut common, random);
        }
        common_noise = noise.sequence(clock.steps, random);
    }
    let mut driven = Vec::new();
    for driver in drivers
        .iter()
        .filter(|driver| !driver.effect.is_empty() && !steady)
    {
        driven.resize(clock.steps, 0.0);
        for (sum, effect) in driven.iter_mut().zip(&driver.effect) {
            *sum += effect;
        }
    }
    let later = (!calm && random.chance(CHANCES.morph)).then(|| {
        let change = random.log_between((0.05, 0.5));
        let middle = clock.any_step(random) as f32;
        let width = clock.hours(random.log_between((2.0, 400.0)));
        (profile.varied(change, random), middle, width)
    });
    let (path, path_size) = if family.process == Process::Kernels {
        (
            kernel::path(clock, random),
            random.log_between(family.swing),
        )
    } else {
        (Vec::new(), 0.0)
    };
    Service {
        family,
        later,
        path,
        path_size,
        noise,
        bursts,
        answer: Answer::draw(family, random),
        campaigns: if steady {
            Vec::new()
        } else {
            campaign::draw(clock, random)
        },
        drivers: driven,
        common,
        common_noise,
        mean_rps,
        measure: Measure::draw(clock, mean_rps, family.noise.1, random),
        shared_trend,
        calm,
        profile,
    }
}

/// Another region's demand for the same service, or for another one.
fn donor(
    service: &Service,
    home: &Place,
    calendar: &Calendar,
    clock: &Clock,
    likeness: f32,
    random: &mut Random,
) -> Vec<f32> {
    if random.chance(CHANCES.donor_unrelated) {
        let family = FAMILIES
            .get(random.below(FAMILIES.len()))
            .unwrap_or(&FAMILIES[0]);
        let profile = Profile::draw(family, clock.steps_per_day(), random);
        let other = self::service(family, clock, profile, &[], false, random);
        let place = Place {
            target: false,
            ..home.clone()
        };
        let abroad = Calendar::draw(clock, &other.profile.off, random);
        return region::demand(&other, &place, &abroad, clock, random);
    }
    let replica = home.own < 0.5;
    let far = !replica && random.chance(0.5);
    let place = Place {
        target: false,
        log_share: random.gaussian((0.0, 1.0)),
        late: home.late
            + if replica {
                0.0
            } else {
                clock.hours(0.5) * random.normal()
            },
        difference: likeness * random.log_between((0.5, 2.0)),
        shared_noise: if replica {
            home.shared_noise
        } else {
            (home.shared_noise * random.between(0.5, 1.25)).min(0.95)
        },
        own: home.own,
        lead: if far {
            (clock.hours(1.0) * random.between(-12.0, 12.0).round()) as i32
        } else {
            0
        },
        touched: if replica {
            1.0
        } else if random.chance(0.3) {
            0.0
        } else {
            random.between(0.3, 1.3)
        },
    };
    if random.chance(CHANCES.donor_abroad) {
        let abroad = Calendar::draw(clock, &service.profile.off, random);
        region::demand(service, &place, &abroad, clock, random)
    } else {
        region::demand(service, &place, calendar, clock, random)
    }
}
