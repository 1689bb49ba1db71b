//! Where nets are trained: the processor, or a GPU in builds with the feature `wgpu` (by Vulkan, Metal or DirectX 12, so NVIDIA's, AMD's, Intel's and Apple's).
//! It is off where nobody asks for it: shader compilers are more code than all the rest of training. burn's CUDA is left out: building it downloads a compiler.

pub use burn::tensor::Device;

use crate::TrainError;

/// The processor.
pub fn cpu() -> Device {
    Device::flex()
}

/// Names one of several GPUs, as wgpu counts them: `DiscreteGpu(1)`.
#[cfg(feature = "wgpu")]
const NAMED: &str = "CUBECL_WGPU_DEFAULT_DEVICE";
/// GPUs of a kind that are looked for.
#[cfg(feature = "wgpu")]
const MOST_OF_A_KIND: usize = 16;

/// The first GPU: one with its own memory, else one inside the processor, else a virtual machine's; or the one that `CUBECL_WGPU_DEFAULT_DEVICE` names. A renderer in
/// software, `Cpu`, must be named: it is ten times as slow as the processor.
///
/// # Errors
/// [`TrainError::Gpu`] where this build has no GPU's code, or no GPU is found, or it does not compute.
#[cfg(feature = "wgpu")]
pub fn gpu() -> Result<Device, TrainError> {
    use burn::tensor::{DeviceKind, DeviceType};

    let broken = |cause| TrainError::Gpu(format!("{cause}; mend its driver, or use --device cpu"));
    let there = foremesh_onnx::contained(|| Device::enumerate(DeviceType::Wgpu).into_vec());
    let there = there.map_err(broken)?;
    let each = |kind: fn(usize) -> DeviceKind| (0..MOST_OF_A_KIND).map(kind);
    let kinds = each(DeviceKind::DiscreteGpu)
        .chain(each(DeviceKind::IntegratedGpu))
        .chain(each(DeviceKind::VirtualGpu))
        .chain([DeviceKind::Cpu]);
    let found: Vec<(String, Device)> = kinds
        .map(|kind| (format!("{kind:?}"), Device::wgpu(kind)))
        .filter(|(_, device)| there.contains(device))
        .collect();
    let named = std::env::var(NAMED).ok();
    let chosen = found.iter().find(|(name, _)| match &named {
        Some(named) => named == name,
        None => name != "Cpu",
    });
    match chosen {
        Some((name, device)) => {
            computes(|| device.clone()).map_err(|cause| broken(format!("{name}: {cause}")))
        }
        None => {
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            Err(TrainError::Gpu(format!(
                "{}drivers show {}; install the GPU's Vulkan driver, name one in {NAMED}, or use --device cpu",
                named.map_or(String::new(), |named| format!("{named} is asked for, ")),
                if names.is_empty() {
                    "none".into()
                } else {
                    names.join(", ")
                },
            )))
        }
    }
}

/// No GPU: this build has no code for one.
///
/// # Errors
/// [`TrainError::Gpu`], always.
#[cfg(not(feature = "wgpu"))]
pub fn gpu() -> Result<Device, TrainError> {
    let cause = "this build trains on the processor alone: build with `cargo build --release --package foremesh-cli --features wgpu`, or use --device cpu";
    Err(TrainError::Gpu(cause.into()))
}

/// The device, where it multiplies as it should. Devices are found when they are first used, and what is missing then is a panic.
#[cfg(any(feature = "wgpu", test))]
fn computes(device: impl FnOnce() -> Device) -> Result<Device, String> {
    use burn::tensor::{Tensor, TensorData};

    foremesh_onnx::contained(|| {
        let device = device();
        let rows = TensorData::from([[1.0f32, 2.0], [3.0, 4.0]]);
        let rows = Tensor::<2>::from_data(rows, &device);
        let squared = rows.clone().matmul(rows).into_data();
        let squared = squared
            .try_to_vec::<f32>()
            .map_err(|cause| format!("{cause:?}"))?;
        if squared == [7.0, 10.0, 15.0, 22.0] {
            Ok(device)
        } else {
            Err(format!("it multiplies wrongly: {squared:?}"))
        }
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_computes() {
        assert!(computes(cpu).is_ok());
    }

    #[test]
    fn what_panics_is_no_device() {
        let cause = computes(|| panic!("no driver")).unwrap_err();
        assert!(cause.starts_with("no driver at "), "{cause}");
    }

    /// Whatever the build and the machine have.
    #[test]
    fn a_gpu_is_one_that_computes_or_an_error_that_says_what_to_do() {
        if let Err(error) = gpu() {
            let text = error.to_string();
            assert!(text.contains("--device cpu"), "{text}");
        }
    }
}
