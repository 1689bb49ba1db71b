//! What the neural method looks at and answers: steps, tokens, and the numbers of each.

use foremesh_model::QUANTILE_LEVELS;

/// Steps of a token: a day of hours, two hours of five minutes.
pub const TOKEN_STEPS: usize = 24;
/// Numbers of a token.
pub const TOKEN_FEATURES: usize = 8 * TOKEN_STEPS + 13;
/// Numbers of a whole window.
pub const GLOBAL_FEATURES: usize = 12;
/// Quantiles of each step, those of [`QUANTILE_LEVELS`].
pub const LEVELS: usize = QUANTILE_LEVELS.len();
/// The place of the median among them.
pub const MEDIAN: usize = 6;

/// How much of the past a model sees, how far it looks ahead, and in what steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Seconds of a step.
    pub step_s: u32,
    /// Tokens of history.
    pub history_tokens: usize,
    /// Tokens ahead.
    pub horizon_tokens: usize,
}

impl Layout {
    /// Eight weeks of hours, for two weeks ahead.
    pub const HOURLY: Layout = Layout {
        step_s: 3600,
        history_tokens: 56,
        horizon_tokens: 14,
    };
    /// Two weeks of five minutes, for a day ahead.
    pub const FIVE_MINUTES: Layout = Layout {
        step_s: 300,
        history_tokens: 168,
        horizon_tokens: 12,
    };

    /// All tokens.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.history_tokens + self.horizon_tokens
    }

    /// Steps of history.
    #[must_use]
    pub const fn history(&self) -> usize {
        self.history_tokens * TOKEN_STEPS
    }

    /// Steps ahead.
    #[must_use]
    pub const fn horizon(&self) -> usize {
        self.horizon_tokens * TOKEN_STEPS
    }

    /// Steps of a week.
    #[must_use]
    pub const fn week(&self) -> usize {
        7 * self.day()
    }

    /// Steps of a day.
    #[must_use]
    pub const fn day(&self) -> usize {
        (86_400 / self.step_s) as usize
    }
}
