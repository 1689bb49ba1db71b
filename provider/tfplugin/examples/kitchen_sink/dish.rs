//! A managed resource with everything: update, replacement, import, upgrade, private bytes, nested attributes and blocks.

use std::{fs, io, path::PathBuf};

use tfplugin::{
    Attribute, Block, ChangeResponse, CreateRequest, DeleteRequest, Diagnostic, Diagnostics,
    ImportRequest, ImportResponse, Nested, NestedBlock, PlanRequest, PlanResponse, ReadRequest,
    ReadResponse, Resource, Schema, Type, UpdateRequest, UpgradeRequest, Value, async_trait,
};

use crate::Context;

pub struct Dish;

impl Dish {
    fn path(context: &Context, id: &str) -> PathBuf {
        context.pantry.join(format!("{id}.json"))
    }

    /// Fills in what was unknown and stores the dish.
    fn store(
        &self,
        context: &Context,
        config: &Value,
        planned: Value,
        edition: i64,
    ) -> Result<Value, Diagnostics> {
        let name = planned.get("name").as_str().unwrap_or_default().to_owned();
        let id = match planned.get("id").as_str() {
            Some(id) => id.to_owned(),
            None => format!("dish-{name}"),
        };
        let mut state = planned.with("id", id.as_str());
        if state.get("edition").is_unknown() {
            state.set("edition", edition);
        }
        if state.get("colour").is_unknown() {
            // The sauce gives the colour and is kept nowhere.
            state.set("colour", config.get("sauce").as_str().unwrap_or("brown"));
        }
        if state.get("garnish").get("grams").is_unknown() {
            let garnish = state
                .get("garnish")
                .clone()
                .with("grams", Value::Number("0.1".parse()?));
            state.set("garnish", garnish);
        }
        let courses: Vec<Value> = state
            .get("course")
            .as_list()
            .unwrap_or_default()
            .iter()
            .zip(1..)
            .map(|(course, rank)| course.clone().with("rank", rank))
            .collect();
        state.set("course", courses);
        fs::write(Self::path(context, &id), state.to_json().to_string())
            .map_err(|error| Diagnostic::error("The dish cannot be stored", error.to_string()))?;
        Ok(state)
    }
}

#[async_trait]
impl Resource<Context> for Dish {
    fn type_name(&self) -> &str {
        "kitchen_dish"
    }

    fn schema(&self) -> Schema {
        let garnish = vec![
            Attribute::required("herb", Type::String),
            Attribute::optional_computed("grams", Type::Number),
        ];
        let course = Block::new()
            .attribute(Attribute::required("title", Type::String))
            .attribute(Attribute::computed("rank", Type::Number));
        Schema::new()
            .version(1)
            .attribute(Attribute::computed("id", Type::String).stable())
            .attribute(Attribute::required("name", Type::String))
            .attribute(Attribute::required("oven", Type::String).requires_replace())
            .attribute(Attribute::optional("price", Type::Number))
            .attribute(Attribute::optional_computed("colour", Type::String))
            .attribute(
                Attribute::optional("lazy", Type::Bool)
                    .description("Is nothing changed that need not be?"),
            )
            .attribute(Attribute::optional("sauce", Type::String).write_only())
            .attribute(Attribute::computed("edition", Type::Number))
            .attribute(Attribute::optional("garnish", Nested::Single(garnish)))
            .block(NestedBlock::list("course", course))
    }

    async fn plan(&self, request: PlanRequest<Context>) -> Result<PlanResponse, Diagnostics> {
        Ok(if request.config.get("lazy").as_bool() == Some(true) {
            PlanResponse::keep_prior(&request)
        } else {
            PlanResponse::propose(&request)
        })
    }

    async fn create(&self, request: CreateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        if request.planned.get("name").as_str() == Some("half-baked") {
            let state = self.store(&request.context, &request.config, request.planned, 1)?;
            let error = Diagnostic::error("Half baked", "The oven went out.");
            return Ok(ChangeResponse::new(state).with_diagnostics(error));
        }
        let state = self.store(&request.context, &request.config, request.planned, 1)?;
        Ok(ChangeResponse::new(state).with_private(b"1".to_vec()))
    }

    async fn update(&self, request: UpdateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        // The edition is counted in the private bytes, which Terraform keeps beside the state.
        let edition = String::from_utf8_lossy(&request.private)
            .parse()
            .unwrap_or(0)
            + 1;
        let state = self.store(&request.context, &request.config, request.planned, edition)?;
        Ok(ChangeResponse::new(state).with_private(edition.to_string().into_bytes()))
    }

    async fn delete(&self, request: DeleteRequest<Context>) -> Result<(), Diagnostics> {
        let id = request.prior.get("id").as_str().unwrap_or_default();
        match fs::remove_file(Self::path(&request.context, id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Diagnostic::error("The dish cannot be removed", error.to_string()).into())
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, request: ReadRequest<Context>) -> Result<ReadResponse, Diagnostics> {
        let id = request.state.get("id").as_str().unwrap_or_default();
        match fs::read(Self::path(&request.context, id)) {
            Ok(stored) => {
                let state = Value::from_state_json(&stored, &self.schema().object_type())?;
                let edition = state.get("edition").as_i64().unwrap_or(0);
                Ok(ReadResponse::new(state).with_private(edition.to_string().into_bytes()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ReadResponse::gone()),
            Err(error) => {
                Err(Diagnostic::error("The dish cannot be read", error.to_string()).into())
            }
        }
    }

    async fn import(&self, request: ImportRequest<Context>) -> Result<ImportResponse, Diagnostics> {
        Ok(ImportResponse::new(
            request.schema.empty_value().with("id", request.id),
        ))
    }

    /// Version 0 called the name `title`.
    async fn upgrade(&self, request: UpgradeRequest) -> Result<Value, Diagnostics> {
        let old = request.json()?;
        let state = request.decode(&request.schema.object_type())?;
        Ok(state.with("name", old["title"].as_str()))
    }
}
