//! What the provider block configures: where telemetry comes from. Sources are read on first use, once for each instant.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
};

use foremesh_model::{SourceRequest, Timestamp};
use foremesh_pipeline::{PipelineError, Sources};
use tokio::sync::Mutex;

/// What data sources work with.
#[derive(Debug)]
pub struct Context {
    /// What the provider block says; `None` while parts of it are known only after apply.
    pub request: Option<SourceRequest>,
    read: Mutex<BTreeMap<Timestamp, Arc<Sources>>>,
    manifests: OnceLock<BTreeMap<String, String>>,
}

impl Context {
    /// A context that has read nothing yet.
    pub fn new(request: Option<SourceRequest>) -> Self {
        Self {
            request,
            read: Mutex::default(),
            manifests: OnceLock::new(),
        }
    }

    /// The texts of the manifests among the sources of the graph, by path; none while the provider block is not known.
    pub fn manifests(&self) -> &BTreeMap<String, String> {
        self.manifests.get_or_init(|| {
            self.request
                .as_ref()
                .map(|request| Sources::manifests(request, Path::new("")))
                .unwrap_or_default()
        })
    }

    /// The sources as of an instant. Paths are relative to the folder that Terraform runs in.
    pub async fn sources(&self, as_of: Timestamp) -> Result<Arc<Sources>, PipelineError> {
        let request = self.request.as_ref().ok_or(PipelineError::NoHistory)?;
        // Held while reading, so that two data sources that start together read once.
        let mut read = self.read.lock().await;
        if let Some(sources) = read.get(&as_of) {
            return Ok(Arc::clone(sources));
        }
        let sources = Arc::new(Sources::load(request, as_of, Path::new("")).await?);
        read.insert(as_of, Arc::clone(&sources));
        Ok(sources)
    }
}
