//! Which inputs moved what the net says of a service: exact occlusion.
//!
//! A group of numbers is replaced by what it is for the average service (or entry) of the region, everywhere at once, and the net is asked again: what the
//! answer moves by is the group's influence. Nothing is linearised, and no model of the model is fitted (Zeiler & Fergus, *Visualizing and understanding
//! convolutional networks*, 2014, for pictures). Influences of groups do not add up to the answer: inputs act together.

use super::{
    action::{ACTIONS, Action},
    contract::{Network, NetworkError},
    state::{ENTRY_FEATURES, SERVICE_FEATURES, States},
};

/// A group of numbers that one thing of the region stands behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Influence {
    /// What it is, in the words of a reason.
    pub name: &'static str,
    service: &'static [usize],
    entry: &'static [usize],
}

const fn of_service(name: &'static str, service: &'static [usize]) -> Influence {
    Influence {
        name,
        service,
        entry: &[],
    }
}

/// What each of [`INFLUENCES`] moves of a service's answers.
pub type Moved = [[f64; ACTIONS]; INFLUENCES.len()];

/// All groups; every number of a service and of an entry is in one.
pub const INFLUENCES: [Influence; 9] = [
    of_service("its load", &[0, 21]),
    of_service("its work and workers", &[1, 2, 3, 22, 23]),
    of_service("bursts", &[4, 5, 9]),
    of_service("how uncertain the forecast is", &[6]),
    of_service("how demand moves over the day", &[7, 8]),
    of_service("how long an instance takes to start", &[10]),
    of_service("how many instances there are", &[11, 12, 13, 14, 20]),
    of_service("its cost and weight", &[15, 16, 18, 19]),
    Influence {
        name: "what time the objectives leave",
        service: &[17],
        entry: &[0, 1, 2, 3, 4, 5],
    },
];

/// What the net says of a service, and why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learned {
    /// What is planned, made safe.
    pub action: Action,
    /// The floor's rule in its place.
    pub rule: Action,
    /// What making it safe added to the net's answers, the same for all services.
    pub made_safe: [f64; ACTIONS],
    /// What each of [`INFLUENCES`] moves of the answers.
    pub influences: Moved,
}

impl Learned {
    /// The influences on one of the answers, the strongest first.
    pub fn strongest(&self, action: usize) -> impl Iterator<Item = (&'static str, f64)> {
        let mut order: Vec<(&'static str, f64)> = INFLUENCES
            .iter()
            .zip(&self.influences)
            .map(|(influence, moved)| (influence.name, moved[action]))
            .collect();
        order.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        order.into_iter()
    }
}

/// Replaces columns by their mean.
fn level(values: &mut [f32], width: usize, columns: &[usize]) {
    let rows = (values.len() / width).max(1) as f32;
    for column in columns {
        let sum: f32 = values.iter().skip(*column).step_by(width).sum();
        for value in values.iter_mut().skip(*column).step_by(width) {
            *value = sum / rows;
        }
    }
}

/// What each group moves of each service's answers, `[services][groups]`, for the states of one region.
///
/// # Errors
/// [`NetworkError`] where the net gives no answer.
pub fn influences(network: &dyn Network, states: &States) -> Result<Vec<Moved>, NetworkError> {
    let whole = States::answers(&network.answer(states)?);
    let mut all = vec![[[0.0; ACTIONS]; INFLUENCES.len()]; whole.len()];
    for (group, influence) in INFLUENCES.iter().enumerate() {
        let mut without = states.clone();
        level(&mut without.service, SERVICE_FEATURES, influence.service);
        level(&mut without.entry, ENTRY_FEATURES, influence.entry);
        let said = States::answers(&network.answer(&without)?);
        for ((moved, whole), said) in all.iter_mut().zip(&whole).zip(said) {
            for action in 0..ACTIONS {
                moved[group][action] = whole[action] - said[action];
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_in_one_group() {
        let count = |of: fn(&Influence) -> &'static [usize], width: usize| {
            let mut all: Vec<usize> = INFLUENCES.iter().flat_map(|i| of(i).to_vec()).collect();
            all.sort_unstable();
            assert_eq!(all, (0..width).collect::<Vec<_>>());
        };
        count(|i| i.service, SERVICE_FEATURES);
        count(|i| i.entry, ENTRY_FEATURES);
    }

    /// Answers the number of one column.
    #[derive(Debug)]
    struct Column(usize);

    impl Network for Column {
        fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
            let rows = states.service.chunks_exact(SERVICE_FEATURES);
            Ok(rows.flat_map(|row| [row[self.0], 0.0]).collect())
        }
    }

    #[test]
    fn what_is_read_is_what_moves() {
        let mut states = States {
            services: 2,
            ..States::default()
        };
        states.service = vec![0.0; 2 * SERVICE_FEATURES];
        states.service[10] = 1.0;
        states.service[SERVICE_FEATURES + 10] = 3.0;
        let moved = influences(&Column(10), &states).unwrap();
        for (service, by) in [(0, -1.0), (1, 1.0)] {
            for (group, influence) in INFLUENCES.iter().enumerate() {
                let expected = if influence.name.contains("to start") {
                    by
                } else {
                    0.0
                };
                assert!((moved[service][group][0] - expected).abs() < 1e-6);
            }
        }
    }
}
