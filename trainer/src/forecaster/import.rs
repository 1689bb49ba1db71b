//! A net from its ONNX file: the inverse of the export, so that a model that is only shipped as ONNX can be trained further.
//!
//! The file's constants are the net's parameters, under the names that the export gives them. Whether the operations between them are ours as
//! well is not guessed: the net is exported again, and its graph must have the hash of the file's.

use std::collections::BTreeMap;

use burn::{
    module::{Module, Param},
    nn::{LayerNorm, Linear},
    tensor::{Device, Tensor, TensorData},
};
use foremesh_forecast::neural::{Layout, contract};
use foremesh_onnx::{KEY_GRAPH_SHA256, ModelFile, check, constants};

use super::{
    export::export,
    model::{Mixer, Size},
};
use crate::TrainError;

/// What a model file holds.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The net, with automatic differentiation.
    pub net: Mixer,
    /// Its size.
    pub size: Size,
    /// The file's hash and metadata.
    pub file: ModelFile,
}

/// Reads a net from the bytes of a model file that [`export`] wrote for this layout, of any size. `origin` names the bytes in errors;
/// the net goes to `device`, made ready to be trained.
///
/// # Errors
/// [`TrainError::Model`] for what is no model of this layout, or damaged; [`TrainError::OtherNet`] for a net of another kind.
pub fn import(
    bytes: &[u8],
    origin: &str,
    layout: Layout,
    device: &Device,
) -> Result<Imported, TrainError> {
    let device = &device.clone().autodiff();
    let (file, found) = constants(bytes, origin, &contract(layout))?;
    let constants = Constants {
        origin,
        device,
        found,
    };
    let size = constants.size(layout)?;
    let mut net = Mixer::new(layout, size, device);
    constants.fill(&mut net)?;
    let again = export(&net.valid(), layout, &[])?;
    let again = check(&again, origin, &contract(layout))?;
    let hash = |file: &ModelFile| file.metadata.get(KEY_GRAPH_SHA256).cloned();
    if hash(&again) != hash(&file) {
        return Err(constants.other("its operations are not those of this program's net"));
    }
    Ok(Imported { net, size, file })
}

struct Constants<'a> {
    origin: &'a str,
    device: &'a Device,
    found: BTreeMap<String, foremesh_onnx::Tensor>,
}

impl Constants<'_> {
    fn other(&self, cause: &str) -> TrainError {
        TrainError::OtherNet {
            origin: self.origin.into(),
            cause: cause.into(),
        }
    }

    fn shape<const D: usize>(&self, name: &str) -> Result<[usize; D], TrainError> {
        let found = self.found.get(name).map(foremesh_onnx::Tensor::shape);
        let shape = found.and_then(|shape| <[usize; D]>::try_from(shape).ok());
        shape.ok_or_else(|| self.other(&format!("it has no constant {name} of {D} dimensions")))
    }

    fn size(&self, layout: Layout) -> Result<Size, TrainError> {
        let [_, tokens, width] = self.shape("place")?;
        let blocks = (0..)
            .take_while(|i| self.found.contains_key(&format!("block{i}.time_in.weight")))
            .count();
        if blocks == 0 || tokens != layout.tokens() {
            return Err(self.other("it has no blocks over the tokens of this layout"));
        }
        let [from_tokens, time_hidden] = self.shape("block0.time_in.weight")?;
        let [from_features, feature_hidden] = self.shape("block0.features_in.weight")?;
        // A net is made of these before its constants are looked at: sizes that the file does not hold would ask for any amount of memory.
        if from_tokens != tokens || from_features != width {
            return Err(self.other("its first block does not fit its tokens and their width"));
        }
        Ok(Size {
            width,
            time_hidden,
            feature_hidden,
            blocks,
        })
    }

    fn fill(&self, net: &mut Mixer) -> Result<(), TrainError> {
        self.linear("history", &mut net.history)?;
        self.linear("horizon", &mut net.horizon)?;
        self.linear("global", &mut net.global)?;
        let [places, width] = net.place.val().dims();
        net.place = self.param("place", &[1, places, width], [places, width])?;
        for (i, block) in net.blocks.iter_mut().enumerate() {
            let named = |part: &str| format!("block{i}.{part}");
            self.norm(&named("before_time"), &mut block.before_time)?;
            self.linear(&named("time_in"), &mut block.time_in)?;
            self.linear(&named("time_out"), &mut block.time_out)?;
            self.norm(&named("before_features"), &mut block.before_features)?;
            self.linear(&named("features_in"), &mut block.features_in)?;
            self.linear(&named("features_out"), &mut block.features_out)?;
        }
        self.norm("before_head", &mut net.before_head)?;
        self.linear("head", &mut net.head)
    }

    fn linear(&self, name: &str, layer: &mut Linear) -> Result<(), TrainError> {
        let [from, to] = layer.weight.val().dims();
        layer.weight = self.param(&format!("{name}.weight"), &[from, to], [from, to])?;
        layer.bias = Some(self.param(&format!("{name}.bias"), &[to], [to])?);
        Ok(())
    }

    fn norm(&self, name: &str, layer: &mut LayerNorm) -> Result<(), TrainError> {
        let [width] = layer.gamma.val().dims();
        layer.gamma = self.param(&format!("{name}.scale"), &[width], [width])?;
        layer.beta = Some(self.param(&format!("{name}.bias"), &[width], [width])?);
        Ok(())
    }

    /// A constant of the dimensions `stored`, as a parameter of the dimensions `wanted`.
    fn param<const D: usize>(
        &self,
        name: &str,
        stored: &[usize],
        wanted: [usize; D],
    ) -> Result<Param<Tensor<D>>, TrainError> {
        let found = self
            .found
            .get(name)
            .filter(|tensor| tensor.shape() == stored)
            .and_then(foremesh_onnx::Tensor::as_f32);
        let Some(values) = found else {
            return Err(self.other(&format!("it has no constant {name} of {stored:?}")));
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.other(&format!("{name} holds what is no number")));
        }
        let data = TensorData::new(values.to_vec(), wanted);
        Ok(Param::from_tensor(Tensor::from_data(data, self.device)))
    }
}

#[cfg(test)]
mod tests {
    use foremesh_onnx::{Attribute, GraphBuilder, ModelError, Value};

    use super::*;

    const SHIPPED: &[u8] = include_bytes!("../../../models/forecaster-1h.onnx");
    const SIZE: Size = Size {
        width: 6,
        time_hidden: 5,
        feature_hidden: 7,
        blocks: 2,
    };

    fn cpu() -> Device {
        crate::cpu()
    }

    #[test]
    fn what_is_exported_is_imported_and_exported_byte_for_byte() {
        for layout in [Layout::HOURLY, Layout::FIVE_MINUTES] {
            let net = Mixer::new(layout, SIZE, &cpu().autodiff()).valid();
            let metadata = [("foremesh.seed", "7".to_owned())];
            let file = export(&net, layout, &metadata).unwrap();
            let read = import(&file, "test.onnx", layout, &cpu()).unwrap();
            assert_eq!(read.size, SIZE);
            assert_eq!(read.file.metadata["foremesh.seed"], "7");
            let again = export(&read.net.valid(), layout, &metadata).unwrap();
            assert!(again == file, "the bytes differ");
        }
    }

    #[test]
    fn the_shipped_model_is_imported_and_exported_byte_for_byte() {
        let read = import(SHIPPED, "shipped", Layout::HOURLY, &cpu()).unwrap();
        assert_eq!(read.size, Size::SMALL);
        let ours = ["foremesh.command", "foremesh.seed", "foremesh.steps"];
        let metadata = ours.map(|key| (key, read.file.metadata[key].clone()));
        let again = export(&read.net.valid(), Layout::HOURLY, &metadata).unwrap();
        assert!(again == SHIPPED, "the bytes differ");
    }

    #[test]
    fn what_is_another_model_is_refused_by_name() {
        let said = |bytes: &[u8], layout: Layout| {
            let error = import(bytes, "mine.onnx", layout, &cpu()).unwrap_err();
            assert!(error.to_string().starts_with("mine.onnx"), "{error}");
            error
        };
        let other = said(SHIPPED, Layout::FIVE_MINUTES);
        let TrainError::Model(ModelError::OtherContract { .. }) = other else {
            panic!("{other}");
        };
        let short = said(&SHIPPED[..SHIPPED.len() / 2], Layout::HOURLY);
        assert!(matches!(short, TrainError::Model(_)), "{short}");
        let mut flipped = SHIPPED.to_vec();
        flipped[SHIPPED.len() / 2] ^= 1;
        let flipped = said(&flipped, Layout::HOURLY);
        assert!(matches!(flipped, TrainError::Model(_)), "{flipped}");
        assert!(matches!(
            said(b"", Layout::HOURLY),
            TrainError::Model(ModelError::Empty { .. })
        ));

        // Its first constants tell of a net of terabytes.
        let huge = |name: &str, shape: Vec<usize>| {
            let values = vec![0.0; shape.iter().product()];
            (
                name.to_owned(),
                foremesh_onnx::Tensor::f32(shape, values).unwrap(),
            )
        };
        let device = cpu();
        let constants = Constants {
            origin: "huge.onnx",
            device: &device,
            found: BTreeMap::from([
                huge("place", vec![1, Layout::HOURLY.tokens(), 1000]),
                huge("block0.time_in.weight", vec![1, 1_000_000]),
                huge("block0.features_in.weight", vec![1, 1_000_000]),
            ]),
        };
        let refused = constants.size(Layout::HOURLY).unwrap_err();
        assert!(matches!(refused, TrainError::OtherNet { .. }), "{refused}");

        // Keeps the contract, and is no net of ours.
        let contract = contract(Layout::HOURLY);
        let mut graph = GraphBuilder::new("forecaster");
        let inputs: Vec<Value> = contract
            .inputs
            .iter()
            .map(|port| graph.input(port.clone()))
            .collect();
        let axis = [("axis", Attribute::Int(1))];
        let sum = graph.node("Concat", &[&inputs[0], &inputs[1]], &axis);
        graph.output(contract.outputs[0].clone(), &sum);
        let stranger = graph.finish(&contract, ("another", "1")).unwrap();
        let said = said(&stranger, Layout::HOURLY);
        assert!(matches!(said, TrainError::OtherNet { .. }), "{said}");
    }
}
