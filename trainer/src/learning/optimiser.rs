//! The optimiser of every training here, and its learning rate: it rises for some steps and falls along a cosine (Loshchilov & Hutter, *SGDR*, 2017).

use std::f64::consts::PI;

use burn::{
    grad_clipping::GradientClippingConfig,
    optim::{AdamWConfig, ModuleOptimizer},
};

/// AdamW, gradients kept to a norm.
pub(crate) fn adam_w(weight_decay: f64, most_norm: f32) -> ModuleOptimizer {
    AdamWConfig::new()
        .with_weight_decay(weight_decay as f32)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(most_norm)))
        .init()
}

/// How learning rates rise and fall.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// Steps until it is highest.
    pub rising: u64,
    /// Steps in all.
    pub steps: u64,
    /// Share of the highest that it never falls below.
    pub least: f64,
}

impl Schedule {
    /// The share of the highest rate at a step.
    pub fn at(self, step: u64) -> f64 {
        let rising = ((step + 1) as f64 / self.rising.max(1) as f64).min(1.0);
        let passed = step as f64 / self.steps.max(1) as f64;
        rising * (0.5 * (1.0 + (PI * passed).cos())).max(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls_to_its_least() {
        let schedule = Schedule {
            rising: 10,
            steps: 100,
            least: 0.05,
        };
        assert!((schedule.at(0) - 0.1).abs() < 1e-9);
        assert!(schedule.at(9) > schedule.at(4) && schedule.at(9) > schedule.at(50));
        assert!((schedule.at(50) - 0.5).abs() < 1e-9);
        assert_eq!(schedule.at(100), 0.05);
        let none = Schedule {
            rising: 0,
            steps: 0,
            least: 1.0,
        };
        assert_eq!(none.at(0), 1.0);
    }
}
