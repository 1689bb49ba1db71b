//! The net: messages between services that call each other, and between entries and the services on their way.
//!
//! Each layer, entries hear the services on their way, then services hear their callers, their callees and the entries that pass them. Messages
//! are added with the shares that the states give (means over neighbours), so that what a net has learned on few neighbours holds for many. No layer
//! knows how many services there are.

use burn::{
    module::{Initializer, Module, Param},
    nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig},
    tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData, activation::relu},
};
use foremesh_policy::gnn::{
    ACTIONS, CALL_FEATURES, ENTRY_FEATURES, Network, NetworkError, SERVICE_FEATURES, States,
    VISIT_FEATURES,
};
use serde::{Deserialize, Serialize};

/// The size of a net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Numbers of a service's and of an entry's vector.
    pub width: usize,
    /// Numbers of a message.
    pub message: usize,
    /// Hidden numbers of an update.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
}

impl Size {
    /// What trains on two cores in less than an hour.
    pub const SMALL: Size = Size {
        width: 48,
        message: 32,
        hidden: 96,
        layers: 3,
    };
}

/// A kind of message: what the sender says and what the link adds.
#[derive(Module, Debug)]
pub struct Message {
    pub(super) sender: Linear,
    pub(super) link: Linear,
}

/// What a vector becomes by what it heard.
#[derive(Module, Debug)]
pub struct Update {
    pub(super) before: LayerNorm,
    pub(super) hidden: Linear,
    pub(super) out: Linear,
}

/// A round of messages.
#[derive(Module, Debug)]
pub struct Layer {
    pub(super) to_entry: Message,
    pub(super) entry: Update,
    pub(super) to_callee: Message,
    pub(super) to_caller: Message,
    pub(super) to_service: Message,
    pub(super) service: Update,
}

/// The policy's net.
#[derive(Module, Debug)]
pub struct Gnn {
    pub(super) service: Linear,
    pub(super) entry: Linear,
    pub(super) layers: Vec<Layer>,
    pub(super) before_head: LayerNorm,
    pub(super) head: Linear,
}

/// States on a device.
#[derive(Debug, Clone)]
pub struct Inputs {
    service: Tensor<2>,
    entry: Tensor<2>,
    call: Tensor<2>,
    caller: Tensor<1, Int>,
    callee: Tensor<1, Int>,
    to_callee_share: Tensor<2>,
    to_caller_share: Tensor<2>,
    visit: Tensor<2>,
    visited: Tensor<1, Int>,
    visitor: Tensor<1, Int>,
    to_entry_share: Tensor<2>,
    to_service_share: Tensor<2>,
}

impl Inputs {
    /// States as tensors.
    #[must_use]
    pub fn of(states: &States, device: &Device) -> Self {
        let numbers = |rows: usize, columns: usize, values: &[f32]| {
            Tensor::<2>::from_data(TensorData::new(values.to_vec(), [rows, columns]), device)
        };
        let places = |values: &[i64]| {
            Tensor::<1, Int>::from_data(TensorData::new(values.to_vec(), [values.len()]), device)
        };
        let (calls, visits) = (states.caller.len(), states.visited.len());
        let call_share = numbers(calls, 2, &states.call_share);
        let visit_share = numbers(visits, 2, &states.visit_share);
        Self {
            // A drill says more of each service.
            service: numbers(
                states.services,
                states.service.len() / states.services.max(1),
                &states.service,
            ),
            entry: numbers(states.entries, ENTRY_FEATURES, &states.entry),
            call: numbers(calls, CALL_FEATURES, &states.call),
            caller: places(&states.caller),
            callee: places(&states.callee),
            to_callee_share: call_share.clone().narrow(1, 0, 1),
            to_caller_share: call_share.narrow(1, 1, 1),
            visit: numbers(visits, VISIT_FEATURES, &states.visit),
            visited: places(&states.visited),
            visitor: places(&states.visitor),
            to_entry_share: visit_share.clone().narrow(1, 0, 1),
            to_service_share: visit_share.narrow(1, 1, 1),
        }
    }
}

impl Message {
    fn new(from: usize, link: usize, to: usize, device: &Device) -> Self {
        Self {
            sender: LinearConfig::new(from, to).init(device),
            link: LinearConfig::new(link, to).init(device),
        }
    }

    /// What `receivers` hear.
    fn heard(
        &self,
        senders: &Tensor<2>,
        receivers: usize,
        link: &Tensor<2>,
        [from, to]: [&Tensor<1, Int>; 2],
        share: &Tensor<2>,
    ) -> Tensor<2> {
        let said = self.sender.forward(senders.clone()).select(0, from.clone());
        let said = relu(said + self.link.forward(link.clone())) * share.clone();
        let [_, width] = said.dims();
        Tensor::zeros([receivers, width], &said.device()).select_assign(
            0,
            to.clone(),
            said,
            IndexingUpdateOp::Add,
        )
    }
}

impl Update {
    fn new(width: usize, heard: usize, hidden: usize, device: &Device) -> Self {
        Self {
            before: LayerNormConfig::new(width + heard).init(device),
            hidden: LinearConfig::new(width + heard, hidden).init(device),
            out: LinearConfig::new(hidden, width).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>, heard: Vec<Tensor<2>>) -> Tensor<2> {
        let all = std::iter::once(x.clone()).chain(heard).collect();
        let all = self.before.forward(Tensor::cat(all, 1));
        x + self.out.forward(relu(self.hidden.forward(all)))
    }
}

impl Gnn {
    /// A net that has learned nothing and answers 0; `device.seed` says which.
    pub fn new(size: Size, device: &Device) -> Self {
        Self::between(size, [SERVICE_FEATURES, ACTIONS], device)
    }

    /// The same from so many numbers of each service to so many answers.
    pub fn between(size: Size, [features, answers]: [usize; 2], device: &Device) -> Self {
        let Size {
            width,
            message,
            hidden,
            layers,
        } = size;
        let between = |link: usize| Message::new(width, link, message, device);
        let layers = (0..layers).map(|_| Layer {
            to_entry: between(VISIT_FEATURES),
            entry: Update::new(width, message, hidden, device),
            to_callee: between(CALL_FEATURES),
            to_caller: between(CALL_FEATURES),
            to_service: between(VISIT_FEATURES),
            service: Update::new(width, 3 * message, hidden, device),
        });
        let layers = layers.collect();
        let mut head = LinearConfig::new(width, answers)
            .with_initializer(Initializer::Normal {
                mean: 0.0,
                std: 0.01,
            })
            .init(device);
        head.bias = Some(Param::from_tensor(
            Tensor::<1>::zeros([answers], device).require_grad(),
        ));
        Self {
            service: LinearConfig::new(features, width).init(device),
            entry: LinearConfig::new(ENTRY_FEATURES, width).init(device),
            layers,
            before_head: LayerNormConfig::new(width).init(device),
            head,
        }
    }

    /// The same net, whose answers are more by these.
    #[must_use]
    pub(crate) fn with_more(mut self, more: &[f32]) -> Self {
        let bias = self.head.bias.as_ref().map(|bias| bias.val());
        self.head.bias = bias.map(|bias| {
            let more = Tensor::<1>::from_floats(more, &bias.device());
            Param::from_tensor(bias + more)
        });
        self
    }

    /// `[services, answers]`.
    pub fn forward(&self, inputs: &Inputs) -> Tensor<2> {
        let [services, _] = inputs.service.dims();
        let [entries, _] = inputs.entry.dims();
        let mut service = self.service.forward(inputs.service.clone());
        let mut entry = self.entry.forward(inputs.entry.clone());
        for layer in &self.layers {
            let heard = layer.to_entry.heard(
                &service,
                entries,
                &inputs.visit,
                [&inputs.visited, &inputs.visitor],
                &inputs.to_entry_share,
            );
            entry = layer.entry.forward(entry, vec![heard]);
            let from_callers = layer.to_callee.heard(
                &service,
                services,
                &inputs.call,
                [&inputs.caller, &inputs.callee],
                &inputs.to_callee_share,
            );
            let from_callees = layer.to_caller.heard(
                &service,
                services,
                &inputs.call,
                [&inputs.callee, &inputs.caller],
                &inputs.to_caller_share,
            );
            let from_entries = layer.to_service.heard(
                &entry,
                services,
                &inputs.visit,
                [&inputs.visitor, &inputs.visited],
                &inputs.to_service_share,
            );
            let heard = vec![from_callers, from_callees, from_entries];
            service = layer.service.forward(service, heard);
        }
        self.head.forward(self.before_head.forward(service))
    }
}

impl Network for Gnn {
    fn answer(&self, states: &States) -> Result<Vec<f32>, NetworkError> {
        if states.services == 0 {
            return Ok(Vec::new());
        }
        let device = self.head.weight.val().device();
        let answers = self.forward(&Inputs::of(states, &device));
        let said = answers.into_data_as::<f32>().try_to_vec::<f32>();
        let said = said.unwrap_or_default();
        let finite = said.iter().filter(|number| number.is_finite()).count();
        match finite == states.services * ACTIONS {
            true => Ok(said),
            false => Err(NetworkError::Answer {
                services: states.services,
                answers: finite,
                each: ACTIONS,
            }),
        }
    }
}
