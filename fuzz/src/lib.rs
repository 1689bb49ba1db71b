//! Fuzzing of Foremesh's parsers: see README.md.

pub mod inputs;
pub mod onnx;
pub mod request;
