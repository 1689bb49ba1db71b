//! Seeded draws. Each purpose has its own stream, so that drawing more for one file never moves another.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

/// A stream of draws for one purpose.
#[derive(Debug)]
pub struct Draws {
    rng: ChaCha8Rng,
    normal: Normal,
}

impl Draws {
    /// The stream of `purpose` under `seed`.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // FNV-1a: a stable number for a name, which std's hashers do not promise.
        let stream = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, b| {
            (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        rng.set_stream(stream);
        Self {
            rng,
            normal: Normal::standard(),
        }
    }

    /// Uniform between 0 and 1, neither included.
    pub fn uniform(&mut self) -> f64 {
        self.rng.random::<f64>().clamp(1e-12, 1.0 - 1e-12)
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let u = self.uniform();
        self.normal.inverse_cdf(u)
    }

    /// Log-normal with mean `mean` and squared coefficient of variation `cv2`.
    pub fn log_normal(&mut self, mean: f64, cv2: f64) -> f64 {
        let variance = (1.0 + cv2).ln();
        mean * (variance.sqrt() * self.normal() - variance / 2.0).exp()
    }

    /// A whole number whose mean is `mean`: its floor, or one more.
    pub fn count(&mut self, mean: f64) -> u32 {
        let floor = mean.floor();
        floor as u32 + u32::from(self.uniform() < mean - floor)
    }

    /// `length` hexadecimal digits.
    pub fn hex(&mut self, length: usize) -> String {
        (0..length)
            .map(|_| char::from_digit(self.rng.random_range(0..16), 16).unwrap_or('0'))
            .collect()
    }
}
