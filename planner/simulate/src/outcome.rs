//! How a call ends.

use serde::{Deserialize, Serialize};

/// How a call, an attempt or a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Outcome {
    /// Answered.
    Ok = 0,
    /// The service failed (5xx), or a service that it needs did.
    Error = 1,
    /// The caller's time for the whole call ran out.
    Timeout = 2,
    /// The time of an attempt ran out and no other was made.
    AttemptTimeout = 3,
    /// The caller's proxy held as much open as it may (circuit breaker).
    Overflow = 4,
    /// The instance's token bucket was empty (429).
    RateLimited = 5,
    /// The instance's proxy had no place left (503).
    Refused = 6,
    /// The instance could not be reached or broke off.
    Connection = 7,
    /// No instance to send it to.
    NoInstance = 8,
    /// Of a request from outside: still open when the run ended, for longer than its objective allows.
    Unanswered = 9,
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = 10;

    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Ok,
        Self::Error,
        Self::Timeout,
        Self::AttemptTimeout,
        Self::Overflow,
        Self::RateLimited,
        Self::Refused,
        Self::Connection,
        Self::NoInstance,
        Self::Unanswered,
    ];

    /// The word in files and tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::AttemptTimeout => "attempt_timeout",
            Self::Overflow => "overflow",
            Self::RateLimited => "rate_limited",
            Self::Refused => "refused",
            Self::Connection => "connection",
            Self::NoInstance => "no_instance",
            Self::Unanswered => "unanswered",
        }
    }

    pub(crate) fn of(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Error)
    }

    /// Whether an instance that answers so counts as failing (5xx and everything that Envoy maps to it).
    pub(crate) fn blames_instance(self) -> bool {
        matches!(
            self,
            Self::Error | Self::AttemptTimeout | Self::Timeout | Self::Refused | Self::Connection
        )
    }
}
