//! A plan's instances as the net says them, made safe.

use foremesh_model::random::mix;

use super::{
    action::{ACTIONS, Action},
    contract::Network,
    explain::{Learned, Moved, influences},
    region::Region,
    search::Searched,
    state::States,
};
use crate::{
    Method, PolicyError, PolicyInput,
    autoscaler::{MOST_SCORE, Minute, expectation, with_loss_borne},
    candidates::{self, Weighed},
    ground::Ground,
    schedule::round_instances_up,
    sizing::{Sized, Sizing, Tracking},
};

/// Paths of demand that plans are made safe on, and minutes of each.
const SAFE: [usize; 2] = [32, 24];
/// Sets these minutes apart from those that candidates are weighed on.
const PURPOSE: u64 = 0x0067_6e6e;

/// What the net says of a region, or the floor's rule where there is none.
pub(crate) struct Proposal<'a> {
    input: PolicyInput<'a>,
    region: Region<'a>,
    /// On which it is made safe.
    minutes: Vec<Minute>,
    answers: Vec<[f64; ACTIONS]>,
    /// By service, what moved the answers; None: the rule.
    influences: Option<Vec<Moved>>,
}

impl<'a> Proposal<'a> {
    pub(crate) fn of(
        input: PolicyInput<'a>,
        ground: &'a Ground<'a>,
        network: Option<&dyn Network>,
    ) -> Result<Self, PolicyError> {
        let region = Region::lent(ground, input);
        let [paths, each] = SAFE;
        let minutes = region.minutes(mix(input.demand.seed, PURPOSE), paths, each)?;
        let (answers, influences) = match network {
            Some(network) => {
                let states = States::of(&region);
                let answers = States::answers(&network.answer(&states)?);
                (answers, Some(influences(network, &states)?))
            }
            None => (vec![[0.0; ACTIONS]; region.services()], None),
        };
        Ok(Self {
            input,
            region,
            minutes,
            answers,
            influences,
        })
    }

    /// Made safe with each share of what is allowed, and weighed on minutes that took no part in that.
    pub(crate) fn weighed(
        &self,
        floor: &Sizing,
        shares: &[f64],
        minutes: &[Minute],
    ) -> Vec<Weighed> {
        let safe = self
            .region
            .secured_each(&self.answers, &self.minutes, shares);
        let each = shares.iter().zip(&safe);
        each.map(|(share, safe)| self.weighed_at(floor, *share, safe, minutes))
            .collect()
    }

    fn weighed_at(
        &self,
        floor: &Sizing,
        share: f64,
        safe: &Searched,
        minutes: &[Minute],
    ) -> Weighed {
        let ground = &self.region.ground;
        let method = match self.influences {
            Some(_) => Method::Gnn { share },
            None => Method::Rule { share },
        };
        let mut sizing = sizing(ground, floor, safe, method);
        if let Some(influences) = &self.influences {
            let of = |s: usize, answer: [f64; ACTIONS]| {
                Action::of(answer, self.region.planned_utilization[s])
            };
            let moved = influences.iter().enumerate();
            sizing.learned = moved
                .map(|(s, influences)| Learned {
                    action: of(s, safe.answers[s]),
                    rule: of(s, [0.0; ACTIONS]),
                    made_safe: [0, 1].map(|a| safe.answers[s][a] - self.answers[s][a]),
                    influences: *influences,
                })
                .collect();
        }
        sizing.expectation = Some(expectation(ground, &sizing, minutes, 1.0).0);
        candidates::weigh(ground, self.input.request, sizing)
    }
}

/// What was found as it is planned: the loss of an instance borne at every hour's median, whatever the autoscaler does.
fn sizing(ground: &Ground<'_>, floor: &Sizing, found: &Searched, method: Method) -> Sizing {
    let hours = ground.demand.hours();
    let services: Vec<Sized> = floor
        .services
        .iter()
        .enumerate()
        .map(|(s, sized)| {
            let schedule: Vec<u32> = found.plan.schedule.iter().map(|row| row[s]).collect();
            let station = &ground.stations[s];
            let most_rps = (0..hours)
                .map(|hour| ground.rate_at(hour, s, MOST_SCORE))
                .fold(0.0, f64::max);
            let instance_rps = found.plan.instance_rps[s];
            let wanted = (most_rps / instance_rps).ceil().clamp(1.0, 1e6) as u32;
            let scheduled = schedule.iter().copied().max().unwrap_or(1);
            let tracks = !station.stateful && ground.reached[s];
            Sized {
                needs: schedule.clone(),
                schedule,
                standby: 0,
                tracking: tracks.then(|| Tracking {
                    instance_rps,
                    most: round_instances_up(wanted)
                        .max(scheduled)
                        .min(station.max_instances.max(scheduled)),
                }),
                bears_loss: None,
                ..sized.clone()
            }
        })
        .collect();
    Sizing::of(ground, method, with_loss_borne(ground, services))
}
