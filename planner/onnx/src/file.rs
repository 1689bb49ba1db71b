//! Reads model files: the one place of this crate that does, for those that run models and those that train them.

use std::{fs::File, io::Read, path::Path};

use crate::{check::MOST_MODEL_BYTES, error::ModelError};

/// Reads a model file of at most [`MOST_MODEL_BYTES`].
///
/// # Errors
/// A file that is missing, cannot be read or is too large.
pub fn read_model(path: &Path) -> Result<Vec<u8>, ModelError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => ModelError::Missing { path: path.into() },
        _ => ModelError::Unreadable {
            path: path.into(),
            cause: error.to_string(),
        },
    };
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let too_large = |bytes| ModelError::TooLarge {
        origin: path.display().to_string(),
        bytes,
    };
    if size > MOST_MODEL_BYTES {
        return Err(too_large(size));
    }
    // A pipe or a device does not say its size beforehand.
    let mut bytes = Vec::new();
    file.take(MOST_MODEL_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MOST_MODEL_BYTES {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}
