//! Who computes learned models, and where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who computes learned models, and where. The default needs nothing installed and gives the same bytes wherever it runs the same processor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InferenceSettings {
    /// The runtime. Default `embedded`.
    pub runtime: RuntimeKind,
    /// The device. Default `cpu`.
    pub device: DeviceKind,
    /// The shared library of ONNX Runtime (`libonnxruntime.so`), or the folder it is in. Without it: the one named by
    /// `FOREMESH_ONNXRUNTIME` or `ORT_DYLIB_PATH`, else the first found beside the program, in the system's folders, in Python's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Threads that ONNX Runtime computes one operation with; another number moves the last digits. Default 1. The embedded runtime has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u32>,
    /// The net that joins the statistical methods of the forecast: an ONNX file that `foremesh train forecaster` wrote, or `none` for statistical
    /// methods alone. Without it: the one inside the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecaster: Option<String>,
    /// The net of `policy = "gnn"`, which `"search"` tries as well where an autoscaler is planned: an ONNX file that `foremesh train policy` wrote,
    /// or `none` for a search without one. Without it: the one inside the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_model: Option<String>,
    /// The net that says in which order settings of `policy = "search"` and `"gnn"` are refined under faults: an ONNX file that
    /// `foremesh train refinement --learner dqn` wrote, or `none` for settings as formulas give them. Without it: the one inside the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refinement_model: Option<String>,
}

/// Who computes learned models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuntimeKind {
    /// The runtime inside the program (tract): needs nothing installed.
    #[default]
    Embedded,
    /// ONNX Runtime, from a library on this machine; an error where there is none that will do.
    Onnxruntime,
    /// ONNX Runtime where a library is found, else the embedded runtime with a warning.
    Auto,
}

/// Where learned models are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU; an error where it cannot be used.
    Cuda,
    /// The GPU where it can be used, else the processor.
    Auto,
}

macro_rules! words {
    ($kind:ty { $($variant:path => $word:literal),+ }) => {
        impl $kind {
            /// The word that stands for it.
            pub fn word(self) -> &'static str {
                match self { $($variant => $word),+ }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                match word {
                    $($word => Ok($variant),)+
                    _ => Err(concat!("one of" $(, " ", $word)+).into()),
                }
            }
        }
    };
}

words!(RuntimeKind {
    RuntimeKind::Embedded => "embedded",
    RuntimeKind::Onnxruntime => "onnxruntime",
    RuntimeKind::Auto => "auto"
});
words!(DeviceKind {
    DeviceKind::Cpu => "cpu",
    DeviceKind::Cuda => "cuda",
    DeviceKind::Auto => "auto"
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn words_are_those_of_a_request() {
        for kind in [
            RuntimeKind::Embedded,
            RuntimeKind::Onnxruntime,
            RuntimeKind::Auto,
        ] {
            assert_eq!(serde_json::json!(kind), kind.word());
            assert_eq!(kind.word().parse(), Ok(kind));
        }
        for kind in [DeviceKind::Cpu, DeviceKind::Cuda, DeviceKind::Auto] {
            assert_eq!(serde_json::json!(kind), kind.word());
            assert_eq!(kind.word().parse(), Ok(kind));
        }
        assert_eq!(
            "gpu".parse::<DeviceKind>(),
            Err("one of cpu cuda auto".into())
        );
    }

    #[test]
    fn the_settings_are_a_noun_like_the_others() {
        assert!(Shape::of::<InferenceSettings>().is_ok());
        let settings: InferenceSettings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings.runtime, RuntimeKind::Embedded);
        assert_eq!(settings.device, DeviceKind::Cpu);
        assert!(serde_json::from_str::<InferenceSettings>(r#"{"gpu": true}"#).is_err());
    }
}
