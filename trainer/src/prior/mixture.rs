//! How often each ingredient of the prior is drawn, and how strongly: the one table to turn.
//!
//! What it follows: ForecastPFN learned from nothing but drawn series (trend × seasons × noise); Chronos draws sums and products
//! of Gaussian-process kernels (KernelSynth); TempoPFN adds steps, spikes, stochastic differential equations and anomalies;
//! CauKer lets series cause one another; Prophet's trend bends at changepoints; Hawkes processes set off their own bursts. Outages,
//! retries, campaigns, cron spikes and regions that copy each other are what services of a mesh live through. The ranges were set
//! so that the permitted real series lie inside of what is drawn: bench/prior_statistics.txt.

/// What a service's day looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayShape {
    /// A random smooth periodic function.
    Smooth,
    /// A night trough, a midday and an evening peak.
    Consumer,
    /// A plateau in office hours.
    Office,
    /// The same all day.
    Flat,
    /// Blocks of work at fixed hours.
    Blocks,
}

pub(super) const DAY_SHAPES: [DayShape; 5] = [
    DayShape::Smooth,
    DayShape::Consumer,
    DayShape::Office,
    DayShape::Flat,
    DayShape::Blocks,
];

/// What replaces or gates the seasonal process of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Season × trend × noise.
    Seasonal,
    /// The same, but only while it is switched on, at random.
    OnAndOff,
    /// The same rate for ever: nothing is driven, planned or out of the ordinary.
    Steady,
    /// A composition of Gaussian-process kernels.
    Kernels,
    /// Comes into being within the track: canary stages or an S curve.
    Launch,
}

/// Ranges are (least, most) of a number drawn evenly in its logarithm, spreads (mean, deviation) of a normal number.
#[derive(Debug)]
pub(super) struct Family {
    pub name: &'static str,
    /// How often it is drawn, relative to the others.
    pub weight: f32,
    pub process: Process,
    /// How often each of [`DAY_SHAPES`].
    pub day_shapes: [f32; 5],
    /// Factor on the logarithm of the day's shape.
    pub swing: (f32, f32),
    /// Spread of the ln of days off against working days.
    pub weekend_log: (f32, f32),
    /// Range of the mean requests a second.
    pub rate_rps: (f32, f32),
    /// Range of the deviation of the log noise.
    pub noise: (f32, f32),
    /// Chance of bursts, and the range of bursts a day.
    pub bursts: (f32, (f32, f32)),
    /// Spread of the ln of a public holiday beyond its likeness to a day off.
    pub holiday_log: (f32, f32),
}

/// The kinds of services.
pub(super) const FAMILIES: [Family; 12] = [
    // Shops, media, travel: people's leisure; the larger part of what meets a region's ingress.
    Family {
        name: "consumer",
        weight: 0.20,
        process: Process::Seasonal,
        day_shapes: [0.35, 0.65, 0.0, 0.0, 0.0],
        swing: (0.25, 1.5),
        weekend_log: (0.02, 0.2),
        rate_rps: (0.5, 50_000.0),
        noise: (0.015, 0.25),
        bursts: (0.35, (0.02, 1.0)),
        holiday_log: (0.05, 0.25),
    },
    // Tools people work with: office hours, quiet weekends.
    Family {
        name: "office",
        weight: 0.13,
        process: Process::Seasonal,
        day_shapes: [0.2, 0.1, 0.7, 0.0, 0.0],
        swing: (0.3, 1.5),
        weekend_log: (-0.8, 0.5),
        rate_rps: (0.1, 20_000.0),
        noise: (0.02, 0.3),
        bursts: (0.25, (0.02, 0.5)),
        holiday_log: (-0.2, 0.25),
    },
    // Any smooth week: the periodic kernels of KernelSynth.
    Family {
        name: "smooth",
        weight: 0.12,
        process: Process::Seasonal,
        day_shapes: [1.0, 0.0, 0.0, 0.0, 0.0],
        swing: (0.1, 2.0),
        weekend_log: (-0.15, 0.3),
        rate_rps: (0.05, 50_000.0),
        noise: (0.01, 0.5),
        bursts: (0.2, (0.02, 0.5)),
        holiday_log: (0.0, 0.2),
    },
    // Mentions, feeds, webhooks: faint seasons, heavy noise, cascades.
    Family {
        name: "social",
        weight: 0.13,
        process: Process::Seasonal,
        day_shapes: [0.4, 0.4, 0.2, 0.0, 0.0],
        swing: (0.25, 1.3),
        weekend_log: (-0.3, 0.25),
        rate_rps: (0.001, 20.0),
        noise: (0.1, 1.0),
        bursts: (0.95, (0.1, 6.0)),
        holiday_log: (0.0, 0.2),
    },
    // Calls between machines: flat, with cron.
    Family {
        name: "machine",
        weight: 0.09,
        process: Process::Seasonal,
        day_shapes: [0.25, 0.0, 0.1, 0.65, 0.0],
        swing: (0.05, 0.5),
        weekend_log: (-0.02, 0.06),
        rate_rps: (0.1, 50_000.0),
        noise: (0.01, 0.3),
        bursts: (0.2, (0.02, 1.0)),
        holiday_log: (0.0, 0.03),
    },
    // Pipelines: blocks of work at fixed hours or once a week.
    Family {
        name: "batch",
        weight: 0.06,
        process: Process::Seasonal,
        day_shapes: [0.0, 0.0, 0.0, 0.0, 1.0],
        swing: (0.4, 1.2),
        weekend_log: (-0.2, 0.4),
        rate_rps: (0.02, 5_000.0),
        noise: (0.03, 0.5),
        bursts: (0.2, (0.02, 0.5)),
        holiday_log: (-0.05, 0.15),
    },
    // A tenant or a job that is there for hours and away for hours.
    Family {
        name: "on and off",
        weight: 0.10,
        process: Process::OnAndOff,
        day_shapes: [0.4, 0.2, 0.2, 0.2, 0.0],
        swing: (0.1, 1.0),
        weekend_log: (-0.2, 0.4),
        rate_rps: (0.05, 500.0),
        noise: (0.1, 1.2),
        bursts: (0.3, (0.02, 0.5)),
        holiday_log: (0.0, 0.2),
    },
    // A handful of requests a day: mostly zeros.
    Family {
        name: "tiny",
        weight: 0.04,
        process: Process::Seasonal,
        day_shapes: [0.3, 0.3, 0.3, 0.1, 0.0],
        swing: (0.2, 1.2),
        weekend_log: (-0.4, 0.5),
        rate_rps: (0.000_02, 0.005),
        noise: (0.02, 0.6),
        bursts: (0.3, (0.02, 1.0)),
        holiday_log: (-0.1, 0.2),
    },
    // Health checks and pollers: constant but for counting.
    Family {
        name: "constant",
        weight: 0.02,
        process: Process::Steady,
        day_shapes: [0.0, 0.0, 0.0, 1.0, 0.0],
        swing: (0.000_1, 0.05),
        weekend_log: (0.0, 0.002),
        rate_rps: (0.01, 5_000.0),
        noise: (0.000_1, 0.01),
        bursts: (0.05, (0.01, 0.1)),
        holiday_log: (0.0, 0.002),
    },
    // Sums and products of kernels, as KernelSynth and TempoPFN draw them; no calendar.
    Family {
        name: "kernels",
        weight: 0.08,
        process: Process::Kernels,
        day_shapes: [0.0, 0.0, 0.0, 1.0, 0.0],
        swing: (0.05, 1.0),
        weekend_log: (0.0, 0.02),
        rate_rps: (0.1, 50_000.0),
        noise: (0.005, 0.2),
        bursts: (0.1, (0.02, 0.3)),
        holiday_log: (0.0, 0.02),
    },
    // A region or service that is launched while the donors are grown up.
    Family {
        name: "launch",
        weight: 0.05,
        process: Process::Launch,
        day_shapes: [0.4, 0.4, 0.2, 0.0, 0.0],
        swing: (0.2, 1.3),
        weekend_log: (-0.2, 0.35),
        rate_rps: (0.5, 20_000.0),
        noise: (0.02, 0.3),
        bursts: (0.3, (0.02, 0.5)),
        holiday_log: (0.0, 0.2),
    },
    // Aggregates of very many users (a taxi city, a telephone net, a zone of a power grid): hardly any noise.
    Family {
        name: "aggregate",
        weight: 0.06,
        process: Process::Seasonal,
        day_shapes: [0.5, 0.4, 0.1, 0.0, 0.0],
        swing: (0.1, 1.0),
        weekend_log: (-0.05, 0.15),
        rate_rps: (50.0, 50_000.0),
        noise: (0.004, 0.06),
        bursts: (0.05, (0.01, 0.1)),
        holiday_log: (-0.05, 0.3),
    },
];

/// Chances of what may happen to a track of any family.
#[derive(Debug)]
pub(super) struct Chances {
    /// Nothing out of the ordinary: no shift, burst, outage, drift or change of profile, and hardly a trend. Most services are calm
    /// most of the time.
    pub calm: f32,
    /// A trend of each kind: none, linear, exponential, saturating, random walk with drift, changepoints (Prophet's model).
    pub trends: [f32; 6],
    /// A level that shifts: deploys, migrations.
    pub level_shifts: f32,
    /// Day and week drift in phase.
    pub phase_drift: f32,
    /// Day and week drift in amplitude.
    pub amplitude_drift: f32,
    /// Days have a level of their own, which fades over the next days; a tenant's days wander far.
    pub day_levels: f32,
    pub tenant_wanders: f32,
    /// One week's profile passes into another's.
    pub morph: f32,
    /// Spikes at fixed minutes or hours.
    pub cron: f32,
    /// No week at all, only days.
    pub no_week: f32,
    /// A change of clocks within the track.
    pub clock_change: f32,
    /// Days off are Friday and Saturday; Sunday alone.
    pub other_weekends: [f32; 2],
    /// The country's holidays touch the service.
    pub holidays_matter: f32,
    /// A holiday that touches the service and that no calendar told.
    pub untold_holiday: f32,
    /// Campaigns; and that somebody told of one of them.
    pub campaigns: f32,
    pub campaign_told: f32,
    /// Told, and nothing came of it.
    pub campaign_void: f32,
    /// Noise that grows or shrinks with the hour's demand.
    pub noise_by_demand: f32,
    /// Noise whose variance changes at some step.
    pub noise_regimes: f32,
    /// Shocks with a heavy tail; more often in loud families, less in quiet ones.
    pub heavy_shocks: f32,
    /// Outages; that one is followed by a wave of retries; that one is only a lack of data.
    pub outages: f32,
    /// A step or a few, calm or not, at which next to nothing was counted: a restart, a lost scrape.
    pub blips: f32,
    pub retry_wave: f32,
    pub outage_unseen: f32,
    /// Capacity that cuts peaks off.
    pub capped: f32,
    /// Missing data: single steps; blocks; whole days; the whole beginning.
    pub gaps: [f32; 4],
    /// How a step is measured: as it is, Poisson counts, over-dispersed counts, a counter that is scraped.
    pub counting: [f32; 4],
    /// Values that are rounded to few digits.
    pub rounded: f32,
    /// Number of business metrics: 0, 1, 2; and that one says nothing.
    pub metrics: [f32; 3],
    pub metric_idle: f32,
    /// Number of donors: 0 … 4; that one is another service altogether; that one knows another country's holidays.
    pub donors: [f32; 5],
    pub donor_unrelated: f32,
    /// All regions are hardly more than replicas of one another, behind one balancer.
    pub replicas: f32,
    pub donor_abroad: f32,
}

pub(super) const CHANCES: Chances = Chances {
    calm: 0.35,
    trends: [0.28, 0.1, 0.15, 0.1, 0.22, 0.15],
    level_shifts: 0.25,
    phase_drift: 0.3,
    amplitude_drift: 0.5,
    day_levels: 0.45,
    tenant_wanders: 0.7,
    morph: 0.15,
    cron: 0.12,
    no_week: 0.12,
    clock_change: 0.12,
    other_weekends: [0.08, 0.05],
    holidays_matter: 0.7,
    untold_holiday: 0.1,
    campaigns: 0.35,
    campaign_told: 0.6,
    campaign_void: 0.1,
    noise_by_demand: 0.4,
    noise_regimes: 0.12,
    heavy_shocks: 0.45,
    outages: 0.25,
    blips: 0.12,
    retry_wave: 0.4,
    outage_unseen: 0.3,
    capped: 0.06,
    gaps: [0.25, 0.2, 0.08, 0.08],
    counting: [0.25, 0.4, 0.25, 0.1],
    rounded: 0.08,
    metrics: [0.6, 0.25, 0.15],
    metric_idle: 0.25,
    donors: [0.3, 0.2, 0.2, 0.15, 0.15],
    donor_unrelated: 0.1,
    replicas: 0.15,
    donor_abroad: 0.45,
};
