//! Many regions as one graph, with what is allowed in each.

use burn::tensor::{Device, Int, Tensor, TensorData};
use foremesh_policy::{
    drill::{Drill, KNOBS, Steps},
    gnn::States,
};

use super::episode::allowed;
use crate::policy::Inputs;

/// Things that can be done with a knob.
pub(super) const MOVES: usize = 3;

/// One region at one moment.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub states: States,
    /// `[service][knob][move]`: 0 where it may be done, else a large negative number.
    pub forbidden: Vec<f32>,
}

impl Moment {
    pub fn of(drill: &Drill<'_>, steps: &[Steps], states: States) -> Self {
        let mut forbidden = Vec::with_capacity(steps.len() * KNOBS * MOVES);
        for s in 0..steps.len() {
            for k in 0..KNOBS {
                for moved in 0..MOVES as u8 {
                    let may = allowed(drill, steps, s, k, moved);
                    forbidden.push(if may { 0.0 } else { -1e6 });
                }
            }
        }
        Self { states, forbidden }
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
