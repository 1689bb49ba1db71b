//! Data sources: one that computes, one that takes long, one with a bug.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use tfplugin::{
    Attribute, Block, DataReadRequest, DataReadResponse, DataSource, DeferredReason, Diagnostic,
    Diagnostics, Nested, NestedBlock, Path, Schema, Type, Value, async_trait,
};

use crate::Context;

pub struct Recipe;

#[derive(Deserialize)]
struct RecipeConfig {
    ingredients: Option<BTreeMap<String, Ingredient>>,
    payload_bytes: Option<usize>,
}

#[derive(Deserialize)]
struct Ingredient {
    grams: f64,
    pieces: Option<u8>,
}

#[derive(Serialize)]
struct Portion {
    grams: f64,
    share: f64,
}

fn portion() -> Type {
    Type::map(Type::object([
        ("grams", Type::Number),
        ("share", Type::Number),
    ]))
}

#[async_trait]
impl DataSource<Context> for Recipe {
    fn type_name(&self) -> &str {
        "kitchen_recipe"
    }

    fn schema(&self) -> Schema {
        let ingredient = vec![
            Attribute::required("grams", Type::Number),
            Attribute::optional("pieces", Type::Number),
            Attribute::optional("tags", Type::set(Type::String)),
        ];
        let step = Block::new()
            .attribute(Attribute::required("text", Type::String))
            .attribute(Attribute::optional("minutes", Type::Number));
        let season = Type::object_with_optional(
            [("from", Type::String), ("until", Type::String)],
            ["until"],
        );
        Schema::new()
            .description("A recipe, **computed**.")
            .attribute(Attribute::required("name", Type::String).description("What it is called."))
            .attribute(Attribute::optional("ingredients", Nested::Map(ingredient)))
            .attribute(Attribute::optional("seasons", Type::list(season)))
            .attribute(Attribute::optional("anything", Type::Dynamic))
            .attribute(Attribute::optional("payload_bytes", Type::Number))
            .attribute(
                Attribute::optional("old_name", Type::String).deprecated("Use name instead."),
            )
            .attribute(Attribute::computed("portions", portion()))
            .attribute(Attribute::computed("steps_known", Type::Number))
            .attribute(Attribute::computed("echo", Type::Dynamic))
            .attribute(Attribute::computed("chef", Type::String))
            .attribute(Attribute::computed("blob", Type::String))
            .block(NestedBlock::list("step", step).max_items(9))
            .block(NestedBlock::single(
                "oven",
                Block::new().attribute(Attribute::required("degrees", Type::Number)),
            ))
    }

    async fn validate(&self, config: &Value) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        for (name, ingredient) in config.get("ingredients").as_map().into_iter().flatten() {
            // Unknown is not wrong: as_f64 answers None for it.
            if ingredient
                .get("grams")
                .as_f64()
                .is_some_and(|grams| grams <= 0.0)
            {
                let path = Path::attribute("ingredients").key(name).attr("grams");
                diagnostics.push(
                    Diagnostic::error("No weight", "An ingredient weighs more than nothing.")
                        .at(path),
                );
            }
        }
        diagnostics
    }

    async fn read(
        &self,
        request: DataReadRequest<Context>,
    ) -> Result<DataReadResponse, Diagnostics> {
        if request.context.chef.is_unknown() {
            return request.defer(DeferredReason::ProviderConfigUnknown, "The provider's chef");
        }
        let config: RecipeConfig = request.config.deserialize()?;
        let ingredients = config.ingredients.unwrap_or_default();
        let total: f64 = ingredients
            .values()
            .map(|i| i.grams * f64::from(i.pieces.unwrap_or(1)))
            .sum();
        let portions: BTreeMap<_, _> = ingredients
            .iter()
            .map(|(n, i)| {
                (
                    n,
                    Portion {
                        grams: i.grams,
                        share: i.grams / total,
                    },
                )
            })
            .collect();
        let steps = request.config.get("step").as_list().map_or(0, <[_]>::len);
        let state = request
            .config
            .clone()
            .with("portions", Value::from_serialize(&portions, &portion())?)
            .with("steps_known", steps)
            .with("echo", request.config.get("anything").clone())
            .with("chef", request.context.chef.clone())
            .with("blob", config.payload_bytes.map(|bytes| "x".repeat(bytes)));
        Ok(DataReadResponse::new(state))
    }
}

/// Takes until it is cancelled, waiting or computing. It leaves a mark when it starts, for a test to act on.
pub struct Slow;

#[async_trait]
impl DataSource<Context> for Slow {
    fn type_name(&self) -> &str {
        "kitchen_slow"
    }

    fn schema(&self) -> Schema {
        Schema::new()
            .attribute(
                Attribute::required("mark", Type::String)
                    .description("A file that is created when it starts."),
            )
            .attribute(
                Attribute::optional("computing", Type::Bool)
                    .description("Does it compute instead of waiting?"),
            )
    }

    async fn read(
        &self,
        request: DataReadRequest<Context>,
    ) -> Result<DataReadResponse, Diagnostics> {
        if let Some(mark) = request.config.get("mark").as_str() {
            std::fs::write(mark, "started")
                .map_err(|error| Diagnostic::error("No mark", error.to_string()).at("mark"))?;
        }
        if request.config.get("computing").as_bool() == Some(true) {
            while !request.cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
        } else {
            std::future::pending::<()>().await;
        }
        Err(Diagnostic::error("Burnt", "It was cancelled.").into())
    }
}

pub struct Broken;

#[async_trait]
impl DataSource<Context> for Broken {
    fn type_name(&self) -> &str {
        "kitchen_broken"
    }

    fn schema(&self) -> Schema {
        Schema::new().attribute(Attribute::optional("message", Type::String))
    }

    async fn read(
        &self,
        request: DataReadRequest<Context>,
    ) -> Result<DataReadResponse, Diagnostics> {
        panic!(
            "the soup boiled over: {}",
            request
                .config
                .get("message")
                .as_str()
                .unwrap_or("no message")
        );
    }
}
