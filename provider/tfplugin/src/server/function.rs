//! RPCs of functions.

use std::sync::Arc;

use tonic::Status;

use super::{Server, decode, no_such, run::OnStop};
use crate::{Call, FunctionError, Provider, diagnostic::Diagnostics, proto};

impl<P: Provider> Server<P> {
    pub(super) async fn get_functions(
        self: Arc<Self>,
        _: proto::GetFunctionsRequest,
    ) -> Result<proto::GetFunctionsResponse, Status> {
        let functions = &self.catalogue()?.functions;
        Ok(proto::GetFunctionsResponse {
            functions: functions
                .iter()
                .map(|(name, entry)| (name.clone(), entry.signature.to_proto()))
                .collect(),
            diagnostics: Vec::new(),
        })
    }

    pub(super) async fn call_function(
        self: Arc<Self>,
        request: proto::CallFunctionRequest,
    ) -> Result<proto::CallFunctionResponse, Status> {
        let functions = &self.catalogue()?.functions;
        let entry = functions
            .get(&request.name)
            .ok_or_else(|| no_such("function", &request.name))?;
        let mut arguments = Vec::with_capacity(request.arguments.len());
        for (position, argument) in request.arguments.iter().enumerate() {
            let parameter = entry.signature.parameter_at(position).ok_or_else(|| {
                Status::invalid_argument(format!("{} takes {position} arguments", request.name))
            })?;
            arguments.push(decode(Some(argument), &parameter.ty)?);
        }
        let handler = Arc::clone(&entry.handler);
        let what = format!("The function {}", request.name);
        let result = self
            .run(&what, OnStop::Abandon, move |cancel| async move {
                handler.call(Call { arguments, cancel }).await
            })
            .await
            .unwrap_or_else(|diagnostics| Err(FunctionError::new(details(&diagnostics))));
        let result = result.and_then(|value| {
            value.to_msgpack(&entry.signature.returns).map_err(|error| {
                FunctionError::new(format!(
                    "{what} returned an invalid value: {error}. This is a bug in the provider."
                ))
            })
        });
        Ok(match result {
            Ok(msgpack) => proto::CallFunctionResponse {
                result: Some(proto::DynamicValue {
                    msgpack,
                    json: Vec::new(),
                }),
                error: None,
            },
            Err(error) => proto::CallFunctionResponse {
                result: None,
                error: Some(error.to_proto()),
            },
        })
    }
}

/// Functions have no diagnostics; what there is to say must fit one text.
fn details(diagnostics: &Diagnostics) -> String {
    diagnostics
        .iter()
        .map(|diagnostic| diagnostic.detail.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
