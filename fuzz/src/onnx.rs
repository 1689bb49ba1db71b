//! Model files: held against a contract, and loaded and run by the runtime inside the program where they keep it.

use foremesh_model::InferenceSettings;
use foremesh_onnx::{Contract, ElementType::F32, Inference, Port, Surroundings, Tensor};

/// The contract that the seeds keep.
pub fn contract() -> Contract {
    Contract::new("fuzz.scale", 1)
        .input(Port::new("x", F32, ["batch".into(), 2.into()]))
        .output(Port::new("y", F32, ["batch".into(), 2.into()]))
}

pub fn onnx_model(data: &[u8]) {
    let inference = Inference::discover(&InferenceSettings::default(), Surroundings::default());
    match inference.load(data, "m.onnx", &contract()) {
        Err(error) => assert!(error.to_string().starts_with("m.onnx: "), "{error}"),
        Ok(model) => {
            let Ok(x) = Tensor::f32([1, 2], vec![1.0, 2.0]) else {
                return;
            };
            // What comes out is of the contract's shape, or an error says that it is not.
            if let Ok(answer) = model.run(&[("x", x)]) {
                assert_eq!(answer.len(), 1);
                assert_eq!(answer[0].shape(), [1, 2]);
            }
        }
    }
}
