//! Renders settings into the files that meshes, autoscalers, Terraform and Ansible read. Pure: settings in, texts out, by path.
//!
//! One module for each [`Target`]. The same settings and options give the same bytes: maps are written in order of their
//! keys and nothing depends on the clock. Every file begins with a comment that names the region and the stage of the go-live ramp,
//! and says what the target could not express. [`lint()`] finds what a schema check of such files does not see,
//! [`clashes`] what does not go together with files that are there already.
//!
//! ```
//! use foremesh_render::{RenderOptions, Target, render};
//! # fn settings() -> foremesh_model::Settings { serde_json::from_str(include_str!("../tests/data/shop.json")).unwrap() }
//! let files = render(&settings(), "istio".parse()?, &RenderOptions::default())?;
//! assert!(files["shop/cart.yaml"].contains("kind: DestinationRule"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod ansible;
mod autoscaling;
mod chaos;
mod check;
mod document;
mod envoy;
mod error;

mod istio;
mod kubernetes;
mod lint;
mod options;
mod policy;
mod ramp;
mod terraform;
mod token_bucket;

use std::collections::BTreeMap;

use foremesh_model::Settings;

pub use chaos::{ChaosRequest, render_chaos};
pub use error::RenderError;
pub use lint::{Finding, Level, clashes, lint};
pub use options::{Address, Autoscaler, Certificate, RenderOptions, Target};

/// Renders `settings` for `target`: texts by path relative to the folder they belong in, with `/` between folders.
///
/// # Errors
/// [`RenderError`] when a value cannot be expressed or the options do not fit the settings; it names the value by its path. The targets of
/// chaos tools render faults, not settings alone: [`render_chaos`].
pub fn render(
    settings: &Settings,
    target: Target,
    options: &RenderOptions,
) -> Result<BTreeMap<String, String>, RenderError> {
    check::check(settings, options)?;
    let ramp = ramp::Position::find(settings, options)?;
    match target {
        Target::Istio => istio::render(settings, options, &ramp),
        Target::Envoy => envoy::render(settings, options, &ramp),
        Target::Autoscaling => autoscaling::render(settings, options, &ramp),
        Target::Hcl => terraform::render(settings, options, &ramp),
        Target::Ansible => ansible::render(settings, options, &ramp),
        Target::ChaosMesh | Target::Litmus => Err(RenderError::NoFaults {
            target: target.name(),
        }),
    }
}
