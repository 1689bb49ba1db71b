//! What the provider offers, by name, with its schemas.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    DataSource, Function, Provider, Resource, Signature,
    schema::{Schema, SchemaError},
    value::Type,
};

pub(super) struct Catalogue<C> {
    pub(super) provider: Arc<Schema>,
    pub(super) provider_type: Type,
    pub(super) data_sources: BTreeMap<String, Entry<dyn DataSource<C>>>,
    pub(super) resources: BTreeMap<String, Entry<dyn Resource<C>>>,
    pub(super) functions: BTreeMap<String, FunctionEntry>,
}

/// A handler with its schema and the type of its values.
pub(super) struct Entry<H: ?Sized> {
    pub(super) handler: Arc<H>,
    pub(super) schema: Arc<Schema>,
    pub(super) ty: Type,
}

pub(super) struct FunctionEntry {
    pub(super) handler: Arc<dyn Function>,
    pub(super) signature: Signature,
}

impl<C: Send + Sync + 'static> Catalogue<C> {
    pub(super) fn of<P: Provider<Context = C>>(provider: &P) -> Result<Self, String> {
        let schema = provider.schema();
        schema.check("provider").map_err(text)?;
        let mut catalogue = Self {
            provider_type: schema.object_type(),
            provider: Arc::new(schema),
            data_sources: BTreeMap::new(),
            resources: BTreeMap::new(),
            functions: BTreeMap::new(),
        };
        for handler in provider.data_sources() {
            let (name, schema) = (handler.type_name().to_owned(), handler.schema());
            insert(&mut catalogue.data_sources, name, handler, schema)?;
        }
        for handler in provider.resources() {
            let (name, schema) = (handler.type_name().to_owned(), handler.schema());
            insert(&mut catalogue.resources, name, handler, schema)?;
        }
        for handler in provider.functions() {
            let entry = FunctionEntry {
                signature: handler.signature(),
                handler: handler.into(),
            };
            let name = entry.handler.name().to_owned();
            if catalogue.functions.insert(name.clone(), entry).is_some() {
                return Err(format!("two functions are called {name}"));
            }
        }
        Ok(catalogue)
    }
}

fn insert<H: ?Sized>(
    entries: &mut BTreeMap<String, Entry<H>>,
    name: String,
    handler: Box<H>,
    schema: Schema,
) -> Result<(), String> {
    schema.check(&name).map_err(text)?;
    let entry = Entry {
        handler: handler.into(),
        ty: schema.object_type(),
        schema: Arc::new(schema),
    };
    match entries.insert(name.clone(), entry) {
        None => Ok(()),
        Some(_) => Err(format!("{name} is declared twice")),
    }
}

fn text(error: SchemaError) -> String {
    error.to_string()
}
