//! The running average of a net's weights, which answers better than the last of them (Polyak & Juditsky 1992).

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

/// What an average keeps of itself from one look at the weights to the next.
const DECAY: f32 = 0.99;
/// Steps between looks.
const EVERY: u64 = 5;

/// Averages of all weights, by parameter.
#[derive(Debug, Clone)]
pub(crate) struct Average {
    weights: BTreeMap<u64, Vec<f32>>,
    looks: u64,
}

impl Average {
    /// The average that `net` holds after `steps` steps.
    pub fn of<N: Module>(net: &N, steps: u64) -> Self {
        let mut look = Look(BTreeMap::new());
        net.visit(&mut look);
        Self {
            weights: look.0,
            looks: steps / EVERY,
        }
    }

    /// Looks at the weights, if the step is one for it.
    pub fn add<N: Module>(&mut self, net: &N, step: u64) {
        if !step.is_multiple_of(EVERY) {
            return;
        }
        let mut look = Look(BTreeMap::new());
        net.visit(&mut look);
        self.looks += 1;
        // At first the average is short.
        let keep = DECAY.min(self.looks as f32 / (self.looks as f32 + 10.0));
        for (id, now) in look.0 {
            if let Some(average) = self.weights.get_mut(&id) {
                for (average, now) in average.iter_mut().zip(now) {
                    *average = keep * *average + (1.0 - keep) * now;
                }
            }
        }
    }

    /// A net with the averages in place of its weights.
    pub fn net<N: Module>(&self, net: N) -> N {
        net.map(&mut Put(&self.weights))
    }
}

struct Look(BTreeMap<u64, Vec<f32>>);

impl ModuleVisitor for Look {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let values = param.val().into_data_as::<f32>().try_to_vec::<f32>();
        self.0.insert(param.id.val(), values.unwrap_or_default());
    }
}

struct Put<'a>(&'a BTreeMap<u64, Vec<f32>>);

impl ModuleMapper for Put<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(values) = self.0.get(&param.id.val()) else {
            return param;
        };
        param.map(|tensor| {
            let data = TensorData::new(values.clone(), tensor.dims());
            Tensor::from_data(data, &tensor.device())
        })
    }
}
