//! Numbers with dimensions, as they go into a model and come out: no runtime's own type leaves this crate.

use std::fmt;

use thiserror::Error;

use crate::proto::DataType;

/// What the elements of a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElementType {
    /// 32-bit floating point.
    F32,
    /// 64-bit whole numbers.
    I64,
}

impl ElementType {
    /// Its number in a model file.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::F32 => DataType::Float,
            Self::I64 => DataType::Int64,
        }
    }

    /// The type with that number in a model file.
    pub(crate) fn of(number: i32) -> Option<Self> {
        match DataType::try_from(number) {
            Ok(DataType::Float) => Some(Self::F32),
            Ok(DataType::Int64) => Some(Self::I64),
            _ => None,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::I64 => "i64",
        })
    }
}

/// The elements of a tensor, the last dimension fastest.
#[derive(Debug, Clone, PartialEq)]
pub enum Elements {
    /// Numbers.
    F32(Vec<f32>),
    /// Whole numbers.
    I64(Vec<i64>),
}

impl Elements {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Dimensions that do not fit the number of elements.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a tensor of {} holds {} elements, not {given}", dimensions(.shape), product(.shape).map_or_else(|| "too many".into(), |n| n.to_string()))]
pub struct ShapeError {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// How many elements were given.
    pub given: usize,
}

/// Numbers with dimensions. Always as many elements as the dimensions say.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    elements: Elements,
}

impl Tensor {
    /// A tensor of numbers.
    ///
    /// # Errors
    /// Where there are more or fewer than the dimensions say.
    pub fn f32(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Result<Self, ShapeError> {
        Self::new(shape.into(), Elements::F32(values))
    }

    /// A tensor of whole numbers.
    ///
    /// # Errors
    /// Where there are more or fewer than the dimensions say.
    pub fn i64(shape: impl Into<Vec<usize>>, values: Vec<i64>) -> Result<Self, ShapeError> {
        Self::new(shape.into(), Elements::I64(values))
    }

    fn new(shape: Vec<usize>, elements: Elements) -> Result<Self, ShapeError> {
        let given = elements.len();
        if product(&shape) == Some(given) {
            Ok(Self { shape, elements })
        } else {
            Err(ShapeError { shape, given })
        }
    }

    /// Its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    pub fn elements(&self) -> &Elements {
        &self.elements
    }

    /// What its elements are.
    pub fn element_type(&self) -> ElementType {
        match self.elements {
            Elements::F32(_) => ElementType::F32,
            Elements::I64(_) => ElementType::I64,
        }
    }

    /// Its elements, where they are numbers.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.elements {
            Elements::F32(values) => Some(values),
            Elements::I64(_) => None,
        }
    }

    /// Its elements, where they are whole numbers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.elements {
            Elements::I64(values) => Some(values),
            Elements::F32(_) => None,
        }
    }
}

/// How many elements such dimensions have; `None` beyond what can be counted.
pub(crate) fn product(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1_usize, |all, length| all.checked_mul(*length))
}

/// `[10, 24]`
pub(crate) fn dimensions(shape: &[usize]) -> String {
    format!("{shape:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_holds_as_many_elements_as_it_says() {
        assert!(Tensor::f32([2, 3], vec![0.0; 6]).is_ok());
        assert!(
            Tensor::f32([], vec![1.0]).is_ok(),
            "a number has no dimension"
        );
        assert!(Tensor::i64([0, 3], vec![]).is_ok(), "an empty batch");
        let error = Tensor::f32([2, 3], vec![0.0; 5]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a tensor of [2, 3] holds 6 elements, not 5"
        );
        assert!(Tensor::f32([usize::MAX, 2], vec![]).is_err());
    }
}
