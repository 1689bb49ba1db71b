//! Fuzzing of Foremesh's parsers: see README.md.

pub mod inputs;
pub mod request;
