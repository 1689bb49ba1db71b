//! `provider::foremesh::render(profile, target)`: the files of one target, without writing them.

use foremesh_pipeline::{RenderError, RenderOptions, Target, render_target};
use tfplugin::{Call, Function, FunctionError, Parameter, Signature, Type, Value, async_trait};

/// The function.
pub struct Render;

#[async_trait]
impl Function for Render {
    fn name(&self) -> &str {
        "render"
    }

    fn signature(&self) -> Signature {
        Signature::returning(Type::map(Type::String))
            .summary("Renders a profile into the files of one target.")
            .description(format!(
                "Answers the files of one target as a map from path to content, without writing them. The targets are {}.",
                Target::ALL.map(|target| format!("`{target}`")).join(", ")
            ))
            .parameter(Parameter::new("profile", Type::Dynamic).description(
                "`foremesh_adopted_profile.NAME.adopted`, or the packed `data.foremesh_mesh_profile.NAME.profile`.",
            ))
            .parameter(Parameter::new("target", Type::String).description("The target."))
            .variadic(
                Parameter::new("stage", Type::Number)
                    .description("The go-live stage to render, counted from 1; without it the last."),
            )
    }

    async fn call(&self, call: Call) -> Result<Value, FunctionError> {
        let settings = super::settings(call.argument(0), 0)?;
        let target: Target = call
            .argument(1)
            .as_str()
            .unwrap_or_default()
            .parse()
            .map_err(|e: RenderError| FunctionError::argument(1, e.to_string()))?;
        let stage = call
            .argument(2)
            .deserialize::<Option<u32>>()
            .map_err(|e| FunctionError::argument(2, e.detail))?;
        let options = RenderOptions {
            stage,
            ..RenderOptions::default()
        };
        let files = render_target(&settings, target, &options)
            .map_err(|e| FunctionError::new(e.to_string()))?;
        Ok(Value::from(files))
    }
}
