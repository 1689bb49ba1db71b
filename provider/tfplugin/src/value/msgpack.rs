//! The wire form of values: MessagePack, guided by the type.
//!
//! A number is an integer, a float or a text; an extension of any code is an unknown value (code 12 carries refinements,
//! hints that core does not hold a provider to); a value in a dynamic place is the pair of its type's JSON and itself.

use std::collections::BTreeMap;

use rmp::{Marker, decode, encode};

use super::{Dynamic, Number, Step, Type, Value, ValueError, number::Wire};

/// Deeper values are no honest input, and following them would overflow the stack.
const MAX_DEPTH: usize = 128;

impl Value {
    /// Reads a value of type `ty` from its wire form.
    ///
    /// # Errors
    /// The bytes are cut short, hold more than one value, or hold one of another type; the error names the part.
    pub fn from_msgpack(bytes: &[u8], ty: &Type) -> Result<Self, ValueError> {
        let mut reader = Reader { rest: bytes };
        let value = reader.value(ty, 0)?;
        if reader.rest.is_empty() {
            Ok(value)
        } else {
            Err(ValueError::new("bytes follow the value"))
        }
    }

    /// Writes the value as one of type `ty`. Attributes that an object leaves out are written as null, which the
    /// protocol asks for.
    ///
    /// # Errors
    /// The value does not fit the type; the error names the part.
    pub fn to_msgpack(&self, ty: &Type) -> Result<Vec<u8>, ValueError> {
        let mut bytes = Vec::new();
        write(self, ty, &mut bytes)?;
        Ok(bytes)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

/// rmp's many error types, all of which mean that the bytes are no such value.
fn malformed(error: impl std::fmt::Display) -> ValueError {
    ValueError::new(format!("malformed MessagePack: {error}"))
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u32) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(length as usize).ok_or_else(|| {
            ValueError::new("malformed MessagePack: the bytes end inside a value")
        })?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a str, ValueError> {
        let length = decode::read_str_len(&mut self.rest).map_err(malformed)?;
        std::str::from_utf8(self.take(length)?).map_err(malformed)
    }

    fn value(&mut self, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        if depth > MAX_DEPTH {
            return Err(ValueError::new(format!(
                "nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let marker = self.rest.first().map(|byte| Marker::from_u8(*byte));
        match marker.ok_or_else(|| malformed("the bytes end where a value should begin"))? {
            Marker::Null => {
                self.take(1)?;
                Ok(Value::Null)
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => {
                let extension = decode::read_ext_meta(&mut self.rest).map_err(malformed)?;
                self.take(extension.size)?;
                Ok(Value::Unknown)
            }
            marker => self.known(marker, ty, depth),
        }
    }

    fn known(&mut self, marker: Marker, ty: &Type, depth: usize) -> Result<Value, ValueError> {
        match ty {
            Type::Bool => Ok(Value::Bool(
                decode::read_bool(&mut self.rest).map_err(malformed)?,
            )),
            Type::String => Ok(Value::String(self.text()?.to_owned())),
            Type::Number => Ok(Value::Number(self.number(marker)?)),
            Type::List(element) | Type::Set(element) => {
                let length = decode::read_array_len(&mut self.rest).map_err(malformed)?;
                self.elements(length, std::iter::repeat(element.as_ref()), depth)
            }
            Type::Tuple(elements) => {
                let length = decode::read_array_len(&mut self.rest).map_err(malformed)?;
                if length as usize != elements.len() {
                    return Err(ValueError::new(format!(
                        "{length} elements in a tuple of {}",
                        elements.len()
                    )));
                }
                self.elements(length, elements.iter(), depth)
            }
            Type::Map(element) => self.attributes(depth, |_| Some(element.as_ref()), Step::Key),
            Type::Object(object) => {
                self.attributes(depth, |name| object.attributes.get(name), Step::Attribute)
            }
            Type::Dynamic => {
                if decode::read_array_len(&mut self.rest).map_err(malformed)? != 2 {
                    return Err(ValueError::new(
                        "a dynamic value must be a pair of type and value",
                    ));
                }
                let length = decode::read_bin_len(&mut self.rest).map_err(malformed)?;
                let ty = Type::from_json(
                    &serde_json::from_slice(self.take(length)?).map_err(malformed)?,
                )?;
                let value = self.value(&ty, depth + 1)?;
                Ok(Value::Dynamic(Box::new(Dynamic { ty, value })))
            }
        }
    }

    fn number(&mut self, marker: Marker) -> Result<Number, ValueError> {
        match marker {
            Marker::F32 => Ok(Number::from_wire_f64(
                decode::read_f32(&mut self.rest).map_err(malformed)?.into(),
            )),
            Marker::F64 => Ok(Number::from_wire_f64(
                decode::read_f64(&mut self.rest).map_err(malformed)?,
            )),
            Marker::U64 => Ok(decode::read_u64(&mut self.rest).map_err(malformed)?.into()),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                self.text()?.parse()
            }
            _ => Ok(decode::read_int::<i64, _>(&mut self.rest)
                .map_err(malformed)?
                .into()),
        }
    }

    fn elements<'t>(
        &mut self,
        length: u32,
        types: impl Iterator<Item = &'t Type>,
        depth: usize,
    ) -> Result<Value, ValueError> {
        // A length that lies must not make room for more than the bytes could hold.
        let mut elements = Vec::with_capacity((length as usize).min(self.rest.len()));
        for (i, ty) in (0..length).zip(types) {
            elements.push(
                self.value(ty, depth + 1)
                    .map_err(|error| error.inside(Step::Index(i.into())))?,
            );
        }
        Ok(Value::List(elements))
    }

    fn attributes<'t>(
        &mut self,
        depth: usize,
        type_of: impl Fn(&str) -> Option<&'t Type>,
        step: fn(String) -> Step,
    ) -> Result<Value, ValueError> {
        let length = decode::read_map_len(&mut self.rest).map_err(malformed)?;
        let mut attributes = BTreeMap::new();
        for _ in 0..length {
            let name = self.text()?.to_owned();
            let ty = type_of(&name)
                .ok_or_else(|| ValueError::new(format!("no attribute is called {name:?}")))?;
            let value = self
                .value(ty, depth + 1)
                .map_err(|error| error.inside(step(name.clone())))?;
            attributes.insert(name, value);
        }
        Ok(Value::Map(attributes))
    }
}

fn length_of(elements: usize) -> Result<u32, ValueError> {
    u32::try_from(elements)
        .map_err(|_| ValueError::new(format!("{elements} elements do not fit the protocol")))
}

fn write(value: &Value, ty: &Type, into: &mut Vec<u8>) -> Result<(), ValueError> {
    match (value, ty) {
        (Value::Dynamic(dynamic), Type::Dynamic) => {
            write_dynamic(&dynamic.value, &dynamic.ty, into)?
        }
        (Value::Dynamic(dynamic), _) => write(&dynamic.value, ty, into)?,
        (Value::Null, _) => encode::write_nil(into).map_err(malformed)?,
        // An extension of one byte; core ignores code and content.
        (Value::Unknown, _) => into.extend_from_slice(&[0xd4, 0, 0]),
        (_, Type::Dynamic) => write_dynamic(value, &value.infer_type(), into)?,
        (Value::Bool(b), Type::Bool) => encode::write_bool(into, *b).map_err(malformed)?,
        (Value::String(s), Type::String) => encode::write_str(into, s).map_err(malformed)?,
        (Value::Number(n), Type::Number) => match n.wire() {
            Wire::Int(i) => drop(encode::write_sint(into, i).map_err(malformed)?),
            Wire::UInt(u) => drop(encode::write_uint(into, u).map_err(malformed)?),
            Wire::Float(f) => encode::write_f64(into, f).map_err(malformed)?,
            Wire::Text(text) => encode::write_str(into, text).map_err(malformed)?,
        },
        (Value::List(elements), Type::List(element) | Type::Set(element)) => {
            write_elements(elements, std::iter::repeat(element.as_ref()), into)?;
        }
        (Value::List(elements), Type::Tuple(types)) => {
            if elements.len() != types.len() {
                return Err(ValueError::new(format!(
                    "{} elements in a tuple of {}",
                    elements.len(),
                    types.len()
                )));
            }
            write_elements(elements, types.iter(), into)?;
        }
        (Value::Map(elements), Type::Map(element)) => {
            encode::write_map_len(into, length_of(elements.len())?).map_err(malformed)?;
            for (key, value) in elements {
                encode::write_str(into, key).map_err(malformed)?;
                write(value, element, into)
                    .map_err(|error| error.inside(Step::Key(key.clone())))?;
            }
        }
        (Value::Map(given), Type::Object(object)) => {
            if let Some(name) = given
                .keys()
                .find(|name| !object.attributes.contains_key(*name))
            {
                return Err(ValueError::new(format!("no attribute is called {name:?}")));
            }
            encode::write_map_len(into, length_of(object.attributes.len())?).map_err(malformed)?;
            for (name, ty) in &object.attributes {
                encode::write_str(into, name).map_err(malformed)?;
                write(given.get(name).unwrap_or(&Value::Null), ty, into)
                    .map_err(|error| error.inside(Step::Attribute(name.clone())))?;
            }
        }
        _ => {
            return Err(ValueError::new(format!(
                "{} where {} is expected",
                value.noun(),
                ty.noun()
            )));
        }
    }
    Ok(())
}

fn write_dynamic(value: &Value, ty: &Type, into: &mut Vec<u8>) -> Result<(), ValueError> {
    if *ty == Type::Dynamic {
        // Only null and unknown values have no type of their own.
        return match value {
            Value::Null | Value::Unknown => write(value, &Type::Bool, into),
            _ => write_dynamic(value, &value.infer_type(), into),
        };
    }
    encode::write_array_len(into, 2).map_err(malformed)?;
    encode::write_bin(into, &ty.to_bytes()).map_err(malformed)?;
    write(value, ty, into)
}

fn write_elements<'t>(
    elements: &[Value],
    types: impl Iterator<Item = &'t Type>,
    into: &mut Vec<u8>,
) -> Result<(), ValueError> {
    encode::write_array_len(into, length_of(elements.len())?).map_err(malformed)?;
    for (i, (element, ty)) in (0..).zip(elements.iter().zip(types)) {
        write(element, ty, into).map_err(|error| error.inside(Step::Index(i)))?;
    }
    Ok(())
}
