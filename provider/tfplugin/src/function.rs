//! Provider functions: `provider::shop::total(…)`.

use tonic::async_trait;

use crate::{
    Cancel, proto,
    value::{Type, Value},
};

/// A function of the provider. It is pure: Terraform calls it without a configured provider, as often as it likes, and
/// expects the same answer to the same arguments.
#[async_trait]
pub trait Function: Send + Sync + 'static {
    /// Its name, as in `provider::shop::NAME`.
    fn name(&self) -> &str;

    /// Its parameters and result.
    fn signature(&self) -> Signature;

    /// Computes the result.
    ///
    /// # Errors
    /// The arguments are wrong; see [`FunctionError`].
    async fn call(&self, call: Call) -> Result<Value, FunctionError>;
}

/// A call of a function.
#[derive(Debug, Clone)]
pub struct Call {
    /// The arguments in the order of the parameters, those of the variadic parameter at the end. A null or unknown one
    /// comes only to a parameter that allows it.
    pub arguments: Vec<Value>,
    /// Tells when the result is no longer wanted.
    pub cancel: Cancel,
}

impl Call {
    /// The argument at a position; null where there is none.
    #[must_use]
    pub fn argument(&self, position: usize) -> &Value {
        static NULL: Value = Value::Null;
        self.arguments.get(position).unwrap_or(&NULL)
    }
}

/// Why a function has no result. Terraform shows the text below the call and underlines the argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct FunctionError {
    /// The cause, and how to mend it.
    pub text: String,
    /// The position of the argument at fault, counted from 0.
    pub argument: Option<usize>,
}

impl FunctionError {
    /// An error about the call as a whole.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: None,
        }
    }

    /// An error about one argument.
    pub fn argument(position: usize, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            argument: Some(position),
        }
    }

    pub(crate) fn to_proto(&self) -> proto::FunctionError {
        proto::FunctionError {
            text: self.text.clone(),
            function_argument: self
                .argument
                .and_then(|position| i64::try_from(position).ok()),
        }
    }
}

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// The positional parameters.
    pub parameters: Vec<Parameter>,
    /// The parameter that takes all further arguments.
    pub variadic: Option<Parameter>,
    /// The type of the result.
    pub returns: Type,
    /// What it does, in one line.
    pub summary: String,
    /// What it does, in Markdown.
    pub description: String,
    /// If deprecated: what to use instead.
    pub deprecation: Option<String>,
}

impl Signature {
    /// A function without parameters.
    #[must_use]
    pub fn returning(returns: Type) -> Self {
        Self {
            parameters: Vec::new(),
            variadic: None,
            returns,
            summary: String::new(),
            description: String::new(),
            deprecation: None,
        }
    }

    /// Adds a positional parameter.
    #[must_use]
    pub fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Sets the parameter that takes all further arguments.
    #[must_use]
    pub fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// Describes it in one line.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Describes it, in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Marks it as deprecated and says what to use instead.
    #[must_use]
    pub fn deprecated(mut self, message: impl Into<String>) -> Self {
        self.deprecation = Some(message.into());
        self
    }

    /// The parameter that takes the argument at a position.
    #[must_use]
    pub fn parameter_at(&self, position: usize) -> Option<&Parameter> {
        self.parameters.get(position).or(self.variadic.as_ref())
    }

    pub(crate) fn to_proto(&self) -> proto::Function {
        proto::Function {
            parameters: self.parameters.iter().map(Parameter::to_proto).collect(),
            variadic_parameter: self.variadic.as_ref().map(Parameter::to_proto),
            r#return: Some(proto::FunctionReturn {
                r#type: self.returns.to_bytes(),
            }),
            summary: self.summary.clone(),
            description: self.description.clone(),
            description_kind: proto::StringKind::Markdown.into(),
            deprecation_message: self.deprecation.clone().unwrap_or_default(),
        }
    }
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its type; [`Type::Dynamic`] takes anything.
    pub ty: Type,
    /// Is null passed on? Else Terraform refuses it.
    pub allow_null: bool,
    /// Are unknown values passed on? Else the result is unknown and the function is not called.
    pub allow_unknown: bool,
    /// What it means, in Markdown.
    pub description: String,
}

impl Parameter {
    /// A parameter that takes neither null nor unknown values.
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self {
            name: name.into(),
            ty,
            allow_null: false,
            allow_unknown: false,
            description: String::new(),
        }
    }

    /// Describes it, in Markdown.
    #[must_use]
    pub fn description(mut self, markdown: impl Into<String>) -> Self {
        self.description = markdown.into();
        self
    }

    /// Takes null too.
    #[must_use]
    pub fn allow_null(mut self) -> Self {
        self.allow_null = true;
        self
    }

    /// Takes unknown values too.
    #[must_use]
    pub fn allow_unknown(mut self) -> Self {
        self.allow_unknown = true;
        self
    }

    fn to_proto(&self) -> proto::FunctionParameter {
        proto::FunctionParameter {
            name: self.name.clone(),
            r#type: self.ty.to_bytes(),
            allow_null_value: self.allow_null,
            allow_unknown_values: self.allow_unknown,
            description: self.description.clone(),
            description_kind: proto::StringKind::Markdown.into(),
        }
    }
}
