//! A training that can go on after it was killed: weights, averages, best weights, the optimiser's state, the curve.

use std::{fs, path::Path};

use burn::{module::Module, optim::OptimizerRecord, store::ModuleRecord, tensor::Bytes};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::TrainError;

/// Where a training stands: `R` is how it is done, `P` a point of its curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Checkpoint<R, P> {
    pub recipe: R,
    pub step: u64,
    pub seconds: f64,
    pub best: f64,
    pub not_better: u32,
    pub curve: Vec<P>,
}

impl<R: Clone, P> Checkpoint<R, P> {
    pub fn begin(recipe: &R) -> Self {
        Self {
            recipe: recipe.clone(),
            step: 0,
            seconds: 0.0,
            best: f64::MAX,
            not_better: 0,
            curve: Vec::new(),
        }
    }
}

/// What was found.
pub(crate) struct Found<R, P, N> {
    pub state: Checkpoint<R, P>,
    pub net: N,
    pub average: N,
    pub best: N,
    pub optimiser: OptimizerRecord,
}

const STATE: &str = "state.json";
const NETS: [&str; 3] = ["weights", "average", "best"];
const OPTIMISER: &str = "optimiser";

/// Keeps a checkpoint; the one before it stays whole until this one is.
pub(crate) fn save<R: Serialize, P: Serialize, N: Module>(
    folder: &Path,
    state: &Checkpoint<R, P>,
    nets: [N; 3],
    optimiser: OptimizerRecord,
) -> Result<(), TrainError> {
    let broken = |what: &str, cause: String| TrainError::Checkpoint {
        path: folder.join(what),
        cause,
    };
    let new = folder.with_extension("new");
    let old = folder.with_extension("old");
    let said = |e: std::io::Error| broken("", e.to_string());
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new).map_err(said)?;
    for (net, name) in nets.into_iter().zip(NETS) {
        let bytes = net.into_record().into_bytes();
        let bytes = bytes.map_err(|e| broken(name, e.to_string()))?;
        fs::write(new.join(name), &bytes[..]).map_err(said)?;
    }
    let bytes = optimiser.into_bytes();
    let bytes = bytes.map_err(|e| broken(OPTIMISER, e.to_string()))?;
    fs::write(new.join(OPTIMISER), &bytes[..]).map_err(said)?;
    let text = serde_json::to_string(state).map_err(|e| broken(STATE, e.to_string()))?;
    fs::write(new.join(STATE), text).map_err(said)?;
    let _ = fs::remove_dir_all(&old);
    if folder.exists() {
        fs::rename(folder, &old).map_err(said)?;
    }
    fs::rename(&new, folder).map_err(said)?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

/// The checkpoint of a folder. `None`: there is none.
pub(crate) fn load<R, P, N>(
    folder: &Path,
    recipe: &R,
    blank: &N,
) -> Result<Option<Found<R, P, N>>, TrainError>
where
    R: PartialEq + DeserializeOwned,
    P: DeserializeOwned,
    N: Module,
{
    // Killed between two renames: the one before is whole.
    let old = folder.with_extension("old");
    let folder = if folder.join(STATE).exists() {
        folder
    } else if old.join(STATE).exists() {
        &old
    } else {
        return Ok(None);
    };
    let broken = |what: &str, cause: String| TrainError::Checkpoint {
        path: folder.join(what),
        cause,
    };
    let read = |what: &str| fs::read(folder.join(what)).map_err(|e| broken(what, e.to_string()));
    let state: Checkpoint<R, P> =
        serde_json::from_slice(&read(STATE)?).map_err(|e| broken(STATE, e.to_string()))?;
    if state.recipe != *recipe {
        return Err(broken(
            STATE,
            "it was begun with another recipe: give the options it was begun with, or remove it"
                .into(),
        ));
    }
    let net = |name: &str| -> Result<N, TrainError> {
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(read(name)?));
        let record = record.map_err(|e| broken(name, e.to_string()))?;
        let loaded = blank.clone().try_load_record(record);
        loaded.map_err(|e| broken(name, e.to_string()))
    };
    let optimiser = OptimizerRecord::from_bytes(Bytes::from_bytes_vec(read(OPTIMISER)?));
    Ok(Some(Found {
        net: net(NETS[0])?,
        average: net(NETS[1])?,
        best: net(NETS[2])?,
        optimiser: optimiser.map_err(|e| broken(OPTIMISER, e.to_string()))?,
        state,
    }))
}
