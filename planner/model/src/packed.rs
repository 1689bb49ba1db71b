//! Nouns as one compressed, versioned string of ASCII letters: prefix, version, a dot, base64 of zstd of the content.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Content larger than this was not written by us.
const MOST_BYTES: u64 = 256 << 20;

/// Why a packed string was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PackedError {
    /// It does not start with the prefix and a version.
    #[error(
        "the text does not start with {prefix:?} and a version: pass {source_attribute} unchanged"
    )]
    Prefix {
        /// What it should start with.
        prefix: &'static str,
        /// Where the right text comes from.
        source_attribute: &'static str,
    },
    /// It is of another version.
    #[error(
        "the text is of format version {found}, this build reads version {expected}: read {source_attribute} again with this version"
    )]
    Version {
        /// The version in the text.
        found: u32,
        /// The version that this build reads.
        expected: u32,
        /// Where the right text comes from.
        source_attribute: &'static str,
    },
    /// It was cut or altered.
    #[error("the text is damaged ({cause}): pass {source_attribute} unchanged")]
    Damaged {
        /// What the decoder met.
        cause: String,
        /// Where the right text comes from.
        source_attribute: &'static str,
    },
}

pub(crate) fn pack(prefix: &'static str, version: u32, content: &[u8]) -> String {
    // Compressing memory into memory fails only for want of memory.
    let packed = zstd::bulk::compress(content, 19).unwrap_or_default();
    format!("{prefix}{version}.{}", BASE64.encode(packed))
}

pub(crate) fn unpack(
    prefix: &'static str,
    expected: u32,
    source_attribute: &'static str,
    text: &str,
) -> Result<Vec<u8>, PackedError> {
    let (found, packed) = text
        .trim()
        .strip_prefix(prefix)
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(version, packed)| Some((version.parse::<u32>().ok()?, packed)))
        .ok_or(PackedError::Prefix {
            prefix,
            source_attribute,
        })?;
    if found != expected {
        return Err(PackedError::Version {
            found,
            expected,
            source_attribute,
        });
    }
    let damaged = |cause: &dyn std::fmt::Display| PackedError::Damaged {
        cause: cause.to_string(),
        source_attribute,
    };
    let packed = BASE64.decode(packed).map_err(|e| damaged(&e))?;
    let mut content = Vec::new();
    zstd::Decoder::new(packed.as_slice())
        .and_then(|decoder| decoder.take(MOST_BYTES).read_to_end(&mut content))
        .map_err(|e| damaged(&e))?;
    Ok(content)
}

pub(crate) fn encode<T: Serialize>(prefix: &'static str, version: u32, value: &T) -> String {
    pack(
        prefix,
        version,
        &serde_json::to_vec(value).unwrap_or_default(),
    )
}

pub(crate) fn decode<T: DeserializeOwned>(
    prefix: &'static str,
    version: u32,
    source_attribute: &'static str,
    text: &str,
) -> Result<T, PackedError> {
    let content = unpack(prefix, version, source_attribute, text)?;
    serde_json::from_slice(&content).map_err(|e| PackedError::Damaged {
        cause: e.to_string(),
        source_attribute,
    })
}
