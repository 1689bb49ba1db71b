//! Names and small closed vocabularies: newtypes where mixing two strings up would hurt.

use std::{borrow::Borrow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name is empty or only white space.
    #[error("a {kind} name is empty: give it a name")]
    Empty {
        /// What was being named.
        kind: &'static str,
    },
    /// The name holds a character that no mesh accepts in a name.
    #[error(
        "the {kind} name {name:?} holds {character:?}: names hold letters, digits, '-', '_', '.', ':' and at most one '/' between namespace and name"
    )]
    Character {
        /// What was being named.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// The first character that is not allowed.
        character: char,
    },
    /// More than one `/`, or one at an end.
    #[error("the {kind} name {name:?} is not `namespace/name` or `name`")]
    Slashes {
        /// What was being named.
        kind: &'static str,
        /// The name as given.
        name: String,
    },
}

fn check(kind: &'static str, name: &str, slashes: usize) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Empty { kind });
    }
    if let Some(character) = name
        .chars()
        .find(|c| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/')))
    {
        return Err(NameError::Character {
            kind,
            name: name.into(),
            character,
        });
    }
    let parts = name.split('/');
    if parts.clone().count() > slashes + 1 || parts.clone().any(str::is_empty) {
        return Err(NameError::Slashes {
            kind,
            name: name.into(),
        });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $slashes:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty or holds a character that names cannot hold.
            pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
                let name = name.into();
                check($kind, &name, $slashes)?;
                Ok(Self(name))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name! {
    /// A service: `namespace/name`, or `name` where no namespace is known.
    ServiceName, "service", 1
}
name! {
    /// A region of a stack, for example `eu-west-3`.
    RegionName, "region", 0
}

impl ServiceName {
    /// The namespace, where one is known.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The name without its namespace.
    pub fn short(&self) -> &str {
        self.0
            .split_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }
}

/// An edge of the graph, written `caller->callee`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct EdgeName {
    caller: ServiceName,
    callee: ServiceName,
}

impl EdgeName {
    /// The edge from `caller` to `callee`.
    pub fn new(caller: ServiceName, callee: ServiceName) -> Self {
        Self { caller, callee }
    }

    /// The service that calls.
    pub fn caller(&self) -> &ServiceName {
        &self.caller
    }

    /// The service that is called.
    pub fn callee(&self) -> &ServiceName {
        &self.callee
    }
}

impl fmt::Display for EdgeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.caller, self.callee)
    }
}

impl TryFrom<String> for EdgeName {
    type Error = NameError;
    fn try_from(name: String) -> Result<Self, NameError> {
        let (caller, callee) = name.split_once("->").ok_or_else(|| NameError::Slashes {
            kind: "edge (caller->callee)",
            name: name.clone(),
        })?;
        Ok(Self {
            caller: ServiceName::new(caller)?,
            callee: ServiceName::new(callee)?,
        })
    }
}

impl From<EdgeName> for String {
    fn from(edge: EdgeName) -> String {
        edge.to_string()
    }
}

/// What a service speaks on its port.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without gRPC.
    Http2,
    /// gRPC.
    Grpc,
    /// Opaque TCP: no retries, no request limits, no request timeouts.
    Tcp,
}

/// How much a service matters when something must give.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// May be shed first: reports, recommendations.
    Deferrable,
    /// The usual case.
    #[default]
    Standard,
    /// Shed last, sized with the most headroom: checkout, sign-in.
    Critical,
}
