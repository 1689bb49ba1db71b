//! Where the region stands in its go-live ramp, and how the share that is let in is split.

use foremesh_model::Settings;

use crate::{RenderError, RenderOptions};

/// Where the region stands in its go-live ramp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The stage, counted from 1; 0 where there is no ramp.
    pub(crate) stage: u32,
    /// The number of stages.
    pub(crate) stages: usize,
    /// Percent of the region's traffic that is let in, 0 … 100.
    pub(crate) percent: u32,
    /// Minutes after go-live.
    pub(crate) starts_minute: u32,
}

impl Position {
    /// The stage that the options ask for, or the last.
    pub(crate) fn find(settings: &Settings, options: &RenderOptions) -> Result<Self, RenderError> {
        let found = match options.stage {
            Some(stage) => {
                let found = settings.ramp.iter().find(|step| step.stage == stage);
                if found.is_none() {
                    return Err(RenderError::UnknownStage {
                        stage,
                        available: available(settings),
                    });
                }
                found
            }
            None => settings.ramp.iter().max_by_key(|step| step.stage),
        };
        Ok(Self {
            stage: found.map_or(0, |step| step.stage),
            stages: settings.ramp.len(),
            percent: found.map_or(100, |step| step.percent),
            starts_minute: found.map_or(0, |step| step.starts_minute),
        })
    }

    /// The position in words, for a header.
    pub(crate) fn describe(&self) -> String {
        if self.stages == 0 {
            "no go-live ramp (all of the traffic is let in)".into()
        } else {
            format!(
                "go-live stage {} of {} ({}% of the traffic is let in, from minute {})",
                self.stage, self.stages, self.percent, self.starts_minute
            )
        }
    }
}

fn available(settings: &Settings) -> String {
    let stages: Vec<String> = settings
        .ramp
        .iter()
        .map(|step| format!("{} ({}%)", step.stage, step.percent))
        .collect();
    if stages.is_empty() {
        "the plan has no ramp, leave the stage out".into()
    } else {
        format!("use one of {}", stages.join(", "))
    }
}

/// Splits `total` in proportion to `weights` into whole numbers that sum to `total` (largest remainders first, then order).
pub(crate) fn split(total: u32, weights: &[u32]) -> Vec<u32> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    let exact = |weight: u32| u64::from(total) * u64::from(weight);
    let mut parts: Vec<u32> = weights
        .iter()
        .map(|weight| (exact(*weight) / sum) as u32)
        .collect();
    let mut order: Vec<(usize, u64)> = weights
        .iter()
        .map(|weight| exact(*weight) % sum)
        .enumerate()
        .collect();
    order.sort_by_key(|(index, remainder)| (std::cmp::Reverse(*remainder), *index));
    let missing = total - parts.iter().sum::<u32>();
    for (index, _) in order.into_iter().take(missing as usize) {
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_by_largest_remainder() {
        assert_eq!(split(10, &[50, 30, 20]), [5, 3, 2]);
        assert_eq!(split(10, &[34, 33, 33]), [4, 3, 3]);
        assert_eq!(split(100, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(split(5, &[]), [0u32; 0]);
    }

    proptest! {
        #[test]
        fn parts_sum_to_the_whole(total in 0u32..=100, weights in prop::collection::vec(1u32..=100, 1..6)) {
            prop_assert_eq!(split(total, &weights).iter().sum::<u32>(), total);
        }
    }
}
