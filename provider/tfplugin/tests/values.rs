//! Values survive their wire forms, and what does not fit is refused with its path.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use proptest::{collection, prelude::*};
use serde_json::json;
use tfplugin::{Dynamic, Number, Type, Value};

/// Types without dynamic places, whose values keep their shape in every notation.
fn plain_type() -> impl Strategy<Value = Type> {
    let leaf = prop_oneof![Just(Type::Bool), Just(Type::String), Just(Type::Number)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Type::list),
            inner.clone().prop_map(Type::set),
            inner.clone().prop_map(Type::map),
            collection::vec(inner.clone(), 0..4).prop_map(Type::Tuple),
            collection::btree_map("[a-z_]{1,6}", inner, 0..4).prop_map(Type::object),
        ]
    })
}

/// Numbers that JSON's usual 64 bits hold.
fn short_number() -> BoxedStrategy<Number> {
    prop_oneof![
        any::<i64>().prop_map(Number::from),
        any::<u64>().prop_map(Number::from),
        any::<f64>().prop_filter_map("finite", Number::from_f64),
    ]
    .boxed()
}

fn number() -> BoxedStrategy<Number> {
    prop_oneof![
        short_number(),
        "-?[0-9]{1,40}(\\.[0-9]{1,40})?(e-?[0-9]{1,3})?".prop_map(|text| text.parse().unwrap()),
    ]
    .boxed()
}

/// A value of a type: sometimes null or unknown, at any depth.
fn value_of(ty: Type, number: fn() -> BoxedStrategy<Number>) -> BoxedStrategy<Value> {
    let value_of = move |ty| value_of(ty, number);
    let known = match ty {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::String => any::<String>().prop_map(Value::String).boxed(),
        Type::Number => number().prop_map(Value::Number).boxed(),
        Type::List(element) | Type::Set(element) => collection::vec(value_of(*element), 0..4)
            .prop_map(Value::List)
            .boxed(),
        Type::Map(element) => collection::btree_map(".{0,6}", value_of(*element), 0..4)
            .prop_map(Value::Map)
            .boxed(),
        Type::Tuple(types) => types
            .into_iter()
            .map(value_of)
            .collect::<Vec<_>>()
            .prop_map(Value::List)
            .boxed(),
        Type::Object(object) => {
            let (names, types): (Vec<_>, Vec<_>) = object.attributes.into_iter().unzip();
            types
                .into_iter()
                .map(value_of)
                .collect::<Vec<_>>()
                .prop_map(move |values| Value::Map(names.iter().cloned().zip(values).collect()))
                .boxed()
        }
        Type::Dynamic => plain_type()
            .prop_flat_map(move |ty| {
                value_of(ty.clone()).prop_map(move |value| (ty.clone(), value))
            })
            .prop_map(|(ty, value)| Value::Dynamic(Box::new(Dynamic { ty, value })))
            .boxed(),
    };
    prop_oneof![1 => Just(Value::Null), 1 => Just(Value::Unknown), 8 => known].boxed()
}

fn typed() -> impl Strategy<Value = (Type, Value)> {
    prop_oneof![3 => plain_type(), 1 => Just(Type::Dynamic), 1 => Just(Type::map(Type::Dynamic))]
        .prop_flat_map(|ty| value_of(ty.clone(), number).prop_map(move |value| (ty.clone(), value)))
}

proptest! {
    #[test]
    fn types_survive_their_json(ty in plain_type()) {
        prop_assert_eq!(Type::from_json(&ty.to_json()).unwrap(), ty);
    }

    #[test]
    fn values_survive_the_wire((ty, value) in typed()) {
        let bytes = value.to_msgpack(&ty).unwrap();
        prop_assert_eq!(Value::from_msgpack(&bytes, &ty).unwrap(), value);
    }

    #[test]
    fn numbers_survive_as_text(number in number()) {
        prop_assert_eq!(number.to_string().parse::<Number>().unwrap(), number);
    }

    #[test]
    fn known_values_survive_plain_json(
        (ty, value) in plain_type().prop_flat_map(|ty| (Just(ty.clone()), value_of(ty, short_number)))
    ) {
        prop_assume!(value.is_wholly_known());
        prop_assert_eq!(Value::from_json(&value.to_json(), &ty).unwrap(), value);
    }

    /// Foreign bytes are refused or read; they never panic, and what was read can be written.
    #[test]
    fn any_bytes_are_answered(ty in plain_type(), bytes in collection::vec(any::<u8>(), 0..64)) {
        if let Ok(value) = Value::from_msgpack(&bytes, &ty) {
            prop_assert!(value.to_msgpack(&ty).is_ok());
        }
        let _ = Value::from_msgpack(&bytes, &Type::Dynamic);
        let _ = Value::from_state_json(&bytes, &ty);
    }

    /// A message that was cut short or has a byte flipped is no panic either.
    #[test]
    fn damaged_messages_are_answered((ty, value) in typed(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = value.to_msgpack(&ty).unwrap();
        let at = at.index(bytes.len());
        prop_assert!(Value::from_msgpack(&bytes[..at], &ty).is_err());
        bytes[at] ^= flip;
        let _ = Value::from_msgpack(&bytes, &ty);
    }
}

#[test]
fn numbers_come_as_integer_float_or_text() {
    let read = |bytes: &[u8]| Value::from_msgpack(bytes, &Type::Number).unwrap();
    assert_eq!(read(&[0x07]).as_i64(), Some(7));
    assert_eq!(read(&[0xff]).as_i64(), Some(-1));
    assert_eq!(
        read(&[0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).as_u64(),
        Some(u64::MAX)
    );
    assert_eq!(
        read(&[0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0]).as_f64(),
        Some(0.5)
    );
    assert_eq!(read(&[0xa3, b'0', b'.', b'1']).to_json(), json!(0.1));
    assert_eq!(
        Value::from(0.1).to_msgpack(&Type::Number).unwrap(),
        [0xa3, b'0', b'.', b'1']
    );
}

#[test]
fn an_extension_of_any_code_is_unknown() {
    for bytes in [
        &[0xd4, 0, 0][..],
        &[0xc7, 2, 12, 1, 2],
        &[0xd8, 99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(
            Value::from_msgpack(bytes, &Type::list(Type::Bool)).unwrap(),
            Value::Unknown
        );
    }
}

#[test]
fn every_attribute_is_written_and_null_where_unset() {
    let ty = Type::object([("a", Type::Bool), ("b", Type::String)]);
    let value = Value::object([("a", true)]);
    let read = Value::from_msgpack(&value.to_msgpack(&ty).unwrap(), &ty).unwrap();
    assert_eq!(
        read,
        Value::object([("a", Value::Bool(true)), ("b", Value::Null)])
    );
}

#[test]
fn a_dynamic_place_takes_bare_values() {
    let value = Value::object([("x", Value::List(vec![1.into(), "two".into(), Value::Null]))]);
    let read =
        Value::from_msgpack(&value.to_msgpack(&Type::Dynamic).unwrap(), &Type::Dynamic).unwrap();
    assert_eq!(
        read.infer_type(),
        Type::object([(
            "x",
            Type::tuple([Type::Number, Type::String, Type::Dynamic])
        )])
    );
    assert_eq!(read.inner(), &value);
    assert_eq!(read.get("x").as_list().unwrap()[1].as_str(), Some("two"));
}

#[test]
fn faults_name_their_path() {
    let ty = Type::object([(
        "services",
        Type::map(Type::object([("ports", Type::list(Type::Number))])),
    )]);
    let json = json!({"services": {"cart": {"ports": [80, "http"]}}});
    let error = Value::from_json(&json, &ty).unwrap_err();
    insta::assert_snapshot!(error, @r#"services["cart"].ports[1]: a string where a number is expected"#);
    let error = Value::from_state_json(json.to_string().as_bytes(), &ty).unwrap_err();
    insta::assert_snapshot!(error, @r#"services["cart"].ports[1]: "http" is not a number"#);
    let value = Value::object([(
        "services",
        Value::object([("cart", Value::object([("ports", true)]))]),
    )]);
    insta::assert_snapshot!(value.to_msgpack(&ty).unwrap_err(), @r#"services["cart"].ports: a bool where a list is expected"#);
    let value = Value::object([("service", Value::Null)]);
    insta::assert_snapshot!(value.to_msgpack(&ty).unwrap_err(), @r#"no attribute is called "service""#);

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        #[allow(dead_code)]
        services: BTreeMap<String, Service>,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Service {
        #[allow(dead_code)]
        ports: Vec<u16>,
    }
    let value =
        Value::from_json(&json!({"services": {"cart": {"ports": [80, 70000]}}}), &ty).unwrap();
    let error = value.deserialize::<Config>().unwrap_err();
    insta::assert_snapshot!(format!("{}: {}", error.path, error.detail),
        @"services.cart.ports[1]: invalid value: integer `70000`, expected u16");
    let value = Value::object([("services", Value::object([("cart", Value::Unknown)]))]);
    assert_eq!(
        value.deserialize::<Config>().unwrap_err().path.to_string(),
        "services.cart"
    );
}

#[test]
fn states_of_other_schemas_are_read_as_far_as_they_fit() {
    let ty = Type::object([
        ("id", Type::String),
        ("price", Type::Number),
        ("open", Type::Bool),
        ("new", Type::list(Type::String)),
        ("any", Type::Dynamic),
    ]);
    let json = br#"{"id": 7, "price": "1234567890123456789012.5", "open": "true", "gone": [1],
        "any": {"type": ["list", "number"], "value": [0.1, 12345678901234567890123]}}"#;
    let value = Value::from_state_json(json, &ty).unwrap();
    assert_eq!(value.get("id").as_str(), Some("7"));
    assert_eq!(
        value.get("price").as_number().unwrap().to_string(),
        "1234567890123456789012.5"
    );
    assert_eq!(value.get("open").as_bool(), Some(true));
    assert!(value.get("new").is_null());
    let list = value.get("any").as_list().unwrap();
    assert_eq!(list[0].as_number().unwrap().to_string(), "0.1");
    assert_eq!(
        list[1].as_number().unwrap().to_string(),
        "12345678901234567890123"
    );
}

#[test]
fn deep_nesting_is_refused_before_the_stack_overflows() {
    // A dynamic value whose value is a list of a list of …: the type's JSON is what nests.
    let depth = 100_000;
    let ty = format!(
        "{}\"bool\"{}",
        "[\"list\",".repeat(depth),
        "]".repeat(depth)
    );
    let mut bytes = vec![0x92, 0xc6];
    bytes.extend(u32::try_from(ty.len()).unwrap().to_be_bytes());
    bytes.extend(ty.as_bytes());
    bytes.push(0xc0);
    assert!(Value::from_msgpack(&bytes, &Type::Dynamic).is_err());
    // Dynamic in dynamic in dynamic.
    let mut bytes = vec![];
    for _ in 0..100_000 {
        bytes.extend([0x92, 0xc4, 9]);
        bytes.extend(b"\"dynamic\"");
    }
    bytes.push(0xc0);
    assert!(Value::from_msgpack(&bytes, &Type::Dynamic).is_err());
}
