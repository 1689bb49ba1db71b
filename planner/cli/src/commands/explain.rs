//! `foremesh explain`: why the values of a service are what they are.

use foremesh_pipeline::{PipelineError, explain, read_plan};

use crate::{
    args::{Explain, Format},
    output::{self, Outcome},
};

/// Explains one service.
pub fn run(args: &Explain, format: Format) -> Result<Outcome, PipelineError> {
    let explanation = explain(&read_plan(&args.plan)?, &args.service)?;
    match format {
        Format::Json => output::print_json(&explanation),
        _ => {
            let mut text = format!("{}\n", explanation.service);
            for value in &explanation.values {
                text += &format!(
                    "\n{} = {}\n    {}\n",
                    value.path, value.value, value.reason.text
                );
            }
            output::print(&text);
        }
    }
    Ok(Outcome::Done)
}
