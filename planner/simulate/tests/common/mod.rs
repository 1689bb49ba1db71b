//! Queues whose answer is known, numerical inversion of Laplace transforms, and a ledger of comparisons.

#![allow(dead_code)]

pub mod queues;

use std::ops::{Add, Div, Mul, Sub};

use foremesh_simulate::Estimate;

/// A complex number: only what the inversion needs, so no crate for it.
#[derive(Debug, Clone, Copy)]
pub struct Complex {
    pub re: f64,
    pub im: f64,
}

impl Complex {
    pub fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub fn powf(self, power: f64) -> Self {
        let radius = self.re.hypot(self.im).powf(power);
        let angle = self.im.atan2(self.re) * power;
        Self {
            re: radius * angle.cos(),
            im: radius * angle.sin(),
        }
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self {
            re: self.re + o.re,
            im: self.im + o.im,
        }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self {
            re: self.re - o.re,
            im: self.im - o.im,
        }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self {
            re: self.re * o.re - self.im * o.im,
            im: self.re * o.im + self.im * o.re,
        }
    }
}

impl Mul<f64> for Complex {
    type Output = Self;
    fn mul(self, o: f64) -> Self {
        Self {
            re: self.re * o,
            im: self.im * o,
        }
    }
}

impl Div for Complex {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let norm = o.re * o.re + o.im * o.im;
        Self {
            re: (self.re * o.re + self.im * o.im) / norm,
            im: (self.im * o.re - self.re * o.im) / norm,
        }
    }
}

/// The distribution function at `t` of a time with this transform: Abate & Whitt, *Numerical inversion of Laplace transforms of
/// probability distributions* (ORSA Journal on Computing 1995), the Euler algorithm.
pub fn invert_cdf(transform: impl Fn(Complex) -> Complex, t: f64) -> f64 {
    const A: f64 = 18.4;
    const TERMS: usize = 15;
    const EULER: [f64; 12] = [
        1.0, 11.0, 55.0, 165.0, 330.0, 462.0, 462.0, 330.0, 165.0, 55.0, 11.0, 1.0,
    ];
    // The tail is inverted, which vanishes at infinity: (1 − F*(s)) ÷ s.
    let tail = |s: Complex| (Complex::real(1.0) - transform(s)) / s;
    let x = A / (2.0 * t);
    let h = std::f64::consts::PI / t;
    let u = (A / 2.0).exp() / t;
    let mut sum = tail(Complex::real(x)).re / 2.0;
    let term = |n: usize| {
        let value = tail(Complex {
            re: x,
            im: n as f64 * h,
        })
        .re;
        if n.is_multiple_of(2) { value } else { -value }
    };
    for n in 1..=TERMS {
        sum += term(n);
    }
    let mut partial = sum;
    let mut sums = vec![partial];
    for n in TERMS + 1..=TERMS + 11 {
        partial += term(n);
        sums.push(partial);
    }
    let averaged: f64 = sums.iter().zip(EULER).map(|(s, w)| s * w).sum::<f64>() / 2048.0;
    1.0 - u * averaged
}

/// Where a distribution function reaches a level.
pub fn quantile(cdf: impl Fn(f64) -> f64, level: f64, start: f64) -> f64 {
    let (mut low, mut high) = (0.0, start);
    while cdf(high) < level {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if cdf(middle) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// What was compared.
#[derive(Default)]
pub struct Known {
    inside: u32,
    all: u32,
    faults: Vec<String>,
    lines: Vec<String>,
}

impl Known {
    pub fn hold(&mut self, label: &str, found: Estimate, known: f64, tolerance: f64) {
        let off = found.mean / known - 1.0;
        self.all += 1;
        self.inside += u32::from(found.covers(known));
        let line = format!(
            "| {label} | {known:.3} | {:.3} ± {:.3} | {:+.2}% | {} |",
            found.mean,
            found.half_width.unwrap_or(0.0),
            off * 100.0,
            if found.covers(known) { "yes" } else { "no" }
        );
        eprintln!("{line}");
        if off.abs() > tolerance {
            self.faults.push(line.clone());
        }
        self.lines.push(line);
    }

    /// Every comparison as a row: what, known, found ± half of the 95% interval, off by, inside.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether all lie within their tolerance, and how many of how many lie inside their interval.
    pub fn verdict(&self) -> (bool, u32, u32) {
        (self.faults.is_empty(), self.inside, self.all)
    }

    /// All within their tolerance, and at most one in five (one at least, by chance) outside its 95% interval.
    pub fn finish(self) {
        assert!(self.faults.is_empty(), "{:#?}", self.faults);
        assert!(
            self.all - self.inside <= (self.all / 5).max(1),
            "{} of {} inside",
            self.inside,
            self.all
        );
    }
}
