//! Ridge regression from running sums, so that a fit at a later origin costs one small solve (smartcore's Cholesky).

use smartcore::linalg::basic::arrays::Array2;
use smartcore::linalg::{basic::matrix::DenseMatrix, traits::cholesky::CholeskyDecomposable};

/// Sums of products of features with each other and with the target.
#[derive(Debug, Clone)]
pub(crate) struct NormalEquations {
    features: usize,
    /// Row-major; only the lower triangle is kept up.
    gram: Vec<f64>,
    right: Vec<f64>,
}

impl NormalEquations {
    pub fn new(features: usize) -> Self {
        Self {
            features,
            gram: vec![0.0; features * features],
            right: vec![0.0; features],
        }
    }

    /// Adds one row with its weight.
    pub fn add(&mut self, row: &[f64], target: f64, weight: f64) {
        for (i, value) in row.iter().enumerate().take(self.features) {
            if *value == 0.0 {
                continue;
            }
            let weighted = weight * value;
            self.right[i] += weighted * target;
            for (sum, other) in self.gram[i * self.features..=i * self.features + i]
                .iter_mut()
                .zip(row)
            {
                *sum += weighted * other;
            }
        }
    }

    /// The coefficients with a penalty on the square of each; `None` where no solution can be computed.
    pub fn solve(&self, penalty: impl Fn(usize) -> f64) -> Option<Vec<f64>> {
        let n = self.features;
        let mut full = self.gram.clone();
        for i in 0..n {
            full[i * n + i] += penalty(i) + 1e-12;
            for j in 0..i {
                full[j * n + i] = full[i * n + j];
            }
        }
        let gram = DenseMatrix::new(n, n, full, false).ok()?;
        let right = DenseMatrix::new(n, 1, self.right.clone(), true).ok()?;
        let solved = gram.cholesky_solve_mut(right).ok()?;
        let coefficients: Vec<f64> = solved.get_col(0).iterator(0).copied().collect();
        coefficients
            .iter()
            .all(|c| c.is_finite())
            .then_some(coefficients)
    }

    /// The sum of the squares of a feature.
    pub fn square(&self, feature: usize) -> f64 {
        self.gram[feature * self.features + feature]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_plane_and_shrinks_it() {
        let mut equations = NormalEquations::new(2);
        for i in 0..50 {
            let row = [1.0, f64::from(i % 7)];
            equations.add(&row, 3.0 + 2.0 * row[1], 1.0 + f64::from(i % 3));
        }
        let exact = equations.solve(|_| 0.0).unwrap();
        assert!(
            (exact[0] - 3.0).abs() < 1e-6 && (exact[1] - 2.0).abs() < 1e-6,
            "{exact:?}"
        );
        let shrunk = equations.solve(|i| if i == 1 { 1e4 } else { 0.0 }).unwrap();
        assert!(shrunk[1] < 0.5);
        assert_eq!(NormalEquations::new(1).solve(|_| 0.0), Some(vec![0.0]));
    }
}
