//! `foremesh_bundle`: one target's files in a folder, for GitOps, Helm values or Ansible.
//!
//! The profile is write-only: the state keeps the hashes of the files and nothing else. Files are rendered again at every plan, so
//! a changed profile, a changed option and an altered file all show as changed hashes.

use std::collections::BTreeMap;

use foremesh_model::Settings;
use foremesh_pipeline::{
    FileHashes, Folder, RenderError, RenderOptions, Target, clashes, condense, hash_files,
    render_target,
};
use tfplugin::{
    Attribute, ChangeResponse, CreateRequest, DeleteRequest, Diagnostic, Diagnostics, PlanRequest,
    PlanResponse, ReadRequest, ReadResponse, Resource, Schema, Type, UpdateRequest, Value,
    async_trait,
};

use super::settings_of;
use crate::{context::Context, diagnostics, schema};

/// The resource.
pub struct Bundle;

#[async_trait]
impl Resource<Context> for Bundle {
    fn type_name(&self) -> &str {
        "foremesh_bundle"
    }

    fn schema(&self) -> Schema {
        Schema::new()
            .version(1)
            .description(
                "Writes the files of one target into a folder, whole or not at all. Altered and missing files are seen and mended; \
                 only its own files are ever removed; a machine on which the folder was never written shows no change. Objects in the manifests of the \
                 provider's `graph` that do not go together with what is rendered (an autoscaler of the same workload, a VirtualService of the same \
                 host) are named as warnings at each plan.",
            )
            .attribute(
                Attribute::required("profile", schema::settings())
                    .write_only()
                    .description("The settings: `foremesh_adopted_profile.NAME.adopted`. Not kept in the state."),
            )
            .attribute(
                Attribute::required("target", Type::String)
                    .description(format!("What to render: {}.", Target::ALL.map(Target::name).join(", "))),
            )
            .attribute(Attribute::required("path", Type::String).description("The folder; created where it does not exist."))
            .attributes(schema::inputs::<RenderOptions>())
            .attribute(
                Attribute::computed("files", Type::map(Type::String))
                    .description("SHA-256 of each file, by its path within the folder."),
            )
    }

    async fn validate(&self, config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        if let Some(Err(error)) = config.get("target").as_str().map(str::parse::<Target>) {
            found.push(Diagnostic::error("Unknown target", error.to_string()).at("target"));
        }
        if config.get("path").as_str().is_some_and(str::is_empty) {
            found.push(Diagnostic::error("No folder", "path is empty: name a folder.").at("path"));
        }
        found
    }

    async fn plan(&self, request: PlanRequest<Context>) -> Result<PlanResponse, Diagnostics> {
        if !request.config.is_wholly_known() {
            return Ok(PlanResponse::propose(&request).with_planned("files", Value::Unknown));
        }
        let asked = asked(&request.config)?;
        let files = hash_files(&asked.rendered()?);
        let warnings = diagnostics::passing_warnings(&condense(&clashes(
            &asked.settings,
            &[asked.target],
            &asked.options,
            request.context.manifests(),
        )));
        let unchanged = |prior: &Value| {
            let kept = request
                .schema
                .block
                .attributes
                .iter()
                .filter(|a| !a.write_only && !a.is_computed());
            kept.into_iter()
                .all(|a| prior.get(&a.name) == request.config.get(&a.name))
                && hashes(prior) == files
        };
        if request.prior.as_ref().is_some_and(unchanged) {
            return Ok(PlanResponse::keep_prior(&request).with_diagnostics(warnings));
        }
        Ok(PlanResponse::propose(&request)
            .with_planned("files", files)
            .with_diagnostics(warnings))
    }

    async fn create(&self, request: CreateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        written(&request.config, &FileHashes::new(), request.planned)
    }

    async fn update(&self, request: UpdateRequest<Context>) -> Result<ChangeResponse, Diagnostics> {
        let (before, after) = (folder(&request.prior), folder(&request.planned));
        let owned = hashes(&request.prior);
        if request.prior.get("path") == request.planned.get("path") {
            return written(&request.config, &owned, request.planned);
        }
        tracing::debug!(from = ?before, to = ?after, "the bundle moves to another folder");
        let response = written(&request.config, &FileHashes::new(), request.planned)?;
        before
            .remove(&owned)
            .map_err(|e| diagnostics::error(&e.into()))?;
        Ok(response)
    }

    async fn delete(&self, request: DeleteRequest<Context>) -> Result<(), Diagnostics> {
        folder(&request.prior)
            .remove(&hashes(&request.prior))
            .map_err(|e| diagnostics::error(&e.into()))
    }

    async fn read(&self, request: ReadRequest<Context>) -> Result<ReadResponse, Diagnostics> {
        let found = folder(&request.state)
            .hashes(&hashes(&request.state))
            .map_err(|e| diagnostics::error(&e.into()))?;
        Ok(ReadResponse::new(match found {
            Some(found) => request.state.with("files", found),
            None => request.state,
        }))
    }
}

/// What a configuration asks to be written.
struct Asked {
    settings: Settings,
    target: Target,
    options: RenderOptions,
}

impl Asked {
    fn rendered(&self) -> Result<BTreeMap<String, String>, Diagnostics> {
        render_target(&self.settings, self.target, &self.options)
            .map_err(|e| diagnostics::error(&e))
    }
}

fn asked(config: &Value) -> Result<Asked, Diagnostics> {
    let settings = settings_of(config.get("profile"), "profile")?;
    let target: Target = config
        .get("target")
        .as_str()
        .unwrap_or_default()
        .parse()
        .map_err(|e: RenderError| {
            Diagnostic::error("Unknown target", e.to_string()).at("target")
        })?;
    let options: RenderOptions =
        schema::only(config, &schema::fields::<RenderOptions>()).deserialize()?;
    Ok(Asked {
        settings,
        target,
        options,
    })
}

fn written(
    config: &Value,
    owned: &FileHashes,
    planned: Value,
) -> Result<ChangeResponse, Diagnostics> {
    let files = folder(config)
        .write(&asked(config)?.rendered()?, owned)
        .map_err(|e| diagnostics::error(&e.into()))?;
    Ok(ChangeResponse::new(planned.with("files", files)))
}

fn folder(value: &Value) -> Folder {
    Folder::new(value.get("path").as_str().unwrap_or_default())
}

fn hashes(state: &Value) -> FileHashes {
    let text = |(name, hash): (&String, &Value)| Some((name.clone(), hash.as_str()?.to_owned()));
    state
        .get("files")
        .as_map()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect()
}
