//! Functions: one that takes anything, one with many arguments, one that refuses, one with a bug.

use tfplugin::{Call, Function, FunctionError, Parameter, Signature, Type, Value, async_trait};

/// Gives back what it is given, whatever its type, every digit of it.
pub struct Echo;

#[async_trait]
impl Function for Echo {
    fn name(&self) -> &str {
        "echo"
    }

    fn signature(&self) -> Signature {
        Signature::returning(Type::Dynamic)
            .summary("Gives back its argument")
            .description("Gives back its argument, whatever its type.")
            .parameter(Parameter::new("anything", Type::Dynamic).allow_null())
    }

    async fn call(&self, call: Call) -> Result<Value, FunctionError> {
        Ok(call.argument(0).clone())
    }
}

pub struct Add;

#[async_trait]
impl Function for Add {
    fn name(&self) -> &str {
        "add"
    }

    fn signature(&self) -> Signature {
        Signature::returning(Type::Number)
            .summary("Adds numbers")
            .parameter(Parameter::new("first", Type::Number))
            .variadic(Parameter::new("others", Type::Number))
    }

    async fn call(&self, call: Call) -> Result<Value, FunctionError> {
        Ok(call
            .arguments
            .iter()
            .filter_map(Value::as_f64)
            .sum::<f64>()
            .into())
    }
}

pub struct Positive;

#[async_trait]
impl Function for Positive {
    fn name(&self) -> &str {
        "positive"
    }

    fn signature(&self) -> Signature {
        let parameter = |name| Parameter::new(name, Type::Number);
        Signature::returning(Type::Bool)
            .parameter(parameter("a"))
            .parameter(parameter("b"))
    }

    async fn call(&self, call: Call) -> Result<Value, FunctionError> {
        match call
            .arguments
            .iter()
            .position(|n| n.as_f64().is_some_and(|n| n <= 0.0))
        {
            None => Ok(true.into()),
            Some(position) => Err(FunctionError::argument(position, "must be positive")),
        }
    }
}

pub struct Explode;

#[async_trait]
impl Function for Explode {
    fn name(&self) -> &str {
        "explode"
    }

    fn signature(&self) -> Signature {
        Signature::returning(Type::String)
    }

    async fn call(&self, _: Call) -> Result<Value, FunctionError> {
        panic!("the oven exploded");
    }
}
