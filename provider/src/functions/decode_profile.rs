//! `provider::foremesh::decode_profile(profile)`: a packed profile as an object.

use tfplugin::{Call, Function, FunctionError, Parameter, Signature, Type, Value, async_trait};

use crate::schema;

/// The function.
pub struct DecodeProfile;

#[async_trait]
impl Function for DecodeProfile {
    fn name(&self) -> &str {
        "decode_profile"
    }

    fn signature(&self) -> Signature {
        Signature::returning(schema::settings())
            .summary("Reads a packed profile as an object.")
            .description(
                "Reads the string `data.foremesh_mesh_profile.NAME.profile` as the object it stands for, the same shape as \
                 `foremesh_adopted_profile.NAME.adopted`.",
            )
            .parameter(Parameter::new("profile", Type::String).description("The packed profile."))
    }

    async fn call(&self, call: Call) -> Result<Value, FunctionError> {
        let settings = super::settings(call.argument(0), 0)?;
        schema::typed(&settings).map_err(|e| FunctionError::new(e.to_string()))
    }
}
