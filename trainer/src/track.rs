//! The noun that prior and corpus share: one series and what may be known beside it.

/// Most business metrics of a track.
pub const MOST_METRICS: usize = 2;
/// Most donors of a track.
pub const MOST_DONORS: usize = 4;

const WEEK_S: u32 = 7 * 86_400;

/// One series of demand with all that may be known beside it, step by step. All vectors have one length, except that there
/// may be no metric and no donor.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    /// Which generator drew it, or the name of the series it was read from.
    pub family: String,
    /// Near-copies share one, and weigh as one series together.
    pub cluster: String,
    /// Seconds of a step: 300 or 3600.
    pub step_s: u32,
    /// Local step of the week at which the first step lies; Monday 00:00 is 0.
    pub first_step_of_week: u32,
    /// Whether `first_step_of_week` is known; where it is not, training gives the week a random phase.
    pub calendar_known: bool,
    /// Requests a second, at least 0; NaN is a gap. What the net sees and predicts.
    pub demand: Vec<f32>,
    /// 1 on a public holiday of the series' country, which is known in advance.
    pub day_off: Vec<u8>,
    /// ln of the uplift that somebody expected of a known event; 0 where none is known. The truth differs.
    pub event_log_uplift: Vec<f32>,
    /// At most [`MOST_METRICS`] business metrics known in advance (active users, planned spend); NaN is a gap.
    pub metrics: Vec<Vec<f32>>,
    /// At most [`MOST_DONORS`] other regions' demand in requests a second at the same local step; NaN is a gap. Where a donor lies
    /// further west, its value of a local step is measured later than the target's: what is known of donors when a forecast is
    /// made is for whoever cuts windows to say.
    pub donors: Vec<Vec<f32>>,
}

impl Track {
    /// How many steps it has.
    pub fn steps(&self) -> usize {
        self.demand.len()
    }

    /// The local step of the week of a step, Monday 00:00 being 0.
    pub fn step_of_week(&self, step: usize) -> u32 {
        let week = u64::from(WEEK_S / self.step_s.max(1)).max(1);
        ((u64::from(self.first_step_of_week) + step as u64) % week) as u32
    }

    /// The first `steps` steps of it: what training may see of a series that is also tested.
    #[must_use]
    pub fn until(&self, steps: usize) -> Self {
        let head = |values: &Vec<f32>| values.iter().copied().take(steps).collect::<Vec<f32>>();
        Self {
            demand: head(&self.demand),
            day_off: self.day_off.iter().copied().take(steps).collect(),
            event_log_uplift: head(&self.event_log_uplift),
            metrics: self.metrics.iter().map(head).collect(),
            donors: self.donors.iter().map(head).collect(),
            ..self.clone()
        }
    }
}
