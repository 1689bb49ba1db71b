//! Many regions as one graph, with what is allowed in each.

use burn::tensor::{Device, Int, Tensor, TensorData};
use foremesh_policy::{
    drill::{Episode, KNOBS, MOVES},
    gnn::States,
};

use crate::policy::Inputs;

/// One region at one moment.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub states: States,
    /// `[service][knob][move]`: 0 where it may be done, else a large negative number.
    pub forbidden: Vec<f32>,
}

impl Moment {
    /// Before a round of an episode.
    pub fn of(episode: &Episode<'_, '_>, round: usize) -> Self {
        let steps = episode.steps();
        let mut forbidden = Vec::with_capacity(steps.len() * KNOBS * MOVES);
        for s in 0..steps.len() {
            for k in 0..KNOBS {
                for moved in 0..MOVES as u8 {
                    let may = episode.drill().allows(steps, (s, k, moved));
                    forbidden.push(if may { 0.0 } else { -1e6 });
                }
            }
        }
        Self {
            states: episode.states(round),
            forbidden,
        }
    }

    pub fn services(&self) -> usize {
        self.states.services
    }
}

/// Moments on a device.
pub(super) struct Batch {
    pub inputs: Inputs,
    pub services: usize,
    pub regions: usize,
    /// `[services, KNOBS, MOVES]`.
    pub forbidden: Tensor<3>,
    /// `[services]`: the moment of each service.
    pub region_of: Tensor<1, Int>,
    /// `[services, 1]`: 1 ÷ services of its region.
    pub share: Tensor<2>,
}

impl Batch {
    /// One region in which nothing is forbidden.
    pub fn of_states(states: &States, device: &Device) -> Self {
        let moment = Moment {
            forbidden: vec![0.0; states.services * KNOBS * MOVES],
            states: states.clone(),
        };
        Self::of([&moment], device)
    }

    pub fn of<'m>(moments: impl IntoIterator<Item = &'m Moment>, device: &Device) -> Self {
        let mut states = States::default();
        let (mut forbidden, mut region_of, mut share) = (Vec::new(), Vec::new(), Vec::new());
        let mut regions = 0;
        for moment in moments {
            states.append(&moment.states);
            forbidden.extend_from_slice(&moment.forbidden);
            let services = moment.services();
            region_of.extend(std::iter::repeat_n(regions, services));
            share.extend(std::iter::repeat_n(1.0 / services.max(1) as f32, services));
            regions += 1;
        }
        let services = states.services;
        let shape = [services, KNOBS, MOVES];
        Self {
            inputs: Inputs::of(&states, device),
            services,
            regions: regions as usize,
            forbidden: Tensor::from_data(TensorData::new(forbidden, shape), device),
            region_of: Tensor::from_data(TensorData::new(region_of, [services]), device),
            share: Tensor::from_data(TensorData::new(share, [services, 1]), device),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use foremesh_policy::{
        drill::DRILL_FEATURES,
        gnn::{CALL_FEATURES, ENTRY_FEATURES, VISIT_FEATURES},
    };

    use super::*;

    /// One service that calls nobody, of which nothing is known; every turn of it is allowed.
    pub(in super::super) fn lonely() -> Moment {
        let states = States {
            services: 1,
            entries: 1,
            service: vec![0.0; DRILL_FEATURES],
            entry: vec![0.0; ENTRY_FEATURES],
            // Links without weight.
            call: vec![0.0; CALL_FEATURES],
            caller: vec![0],
            callee: vec![0],
            call_share: vec![0.0; 2],
            visit: vec![0.0; VISIT_FEATURES],
            visited: vec![0],
            visitor: vec![0],
            visit_share: vec![0.0; 2],
        };
        Moment {
            states,
            forbidden: vec![0.0; KNOBS * MOVES],
        }
    }

    /// Nothing at all, then each single turn by itself.
    pub(in super::super) fn single_turns() -> Vec<[u8; KNOBS]> {
        let mut all = vec![[0; KNOBS]];
        for k in 0..KNOBS {
            for moved in 1..MOVES as u8 {
                let mut moves = [0; KNOBS];
                moves[k] = moved;
                all.push(moves);
            }
        }
        all
    }
}
