//! hcl
use crate::{RenderError, RenderOptions, ramp::Position};
use foremesh_model::Settings;
use std::collections::BTreeMap;
pub(crate) fn render(
    _s: &Settings,
    _o: &RenderOptions,
    _r: &Position,
) -> Result<BTreeMap<String, String>, RenderError> {
    Ok(BTreeMap::new())
}
