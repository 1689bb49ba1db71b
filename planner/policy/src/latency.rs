//! Latency along the call tree: distributions are composed, percentiles are not summed.
//!
//! Each service's own time has a mean, a variance and a third central moment. Calls one after the other add all three (with a
//! random number of calls, those of that number too); calls beside each other take the distribution of the slowest. At an
//! entry a shifted gamma distribution (Pearson's type III) with the resulting moments answers percentiles: exact for a sum of
//! alike exponential times, and within a few percent for the mixtures that rare calls make (see the tests against drawn
//! latencies; with two moments alone a rare slow call was understated by 12%).

use foremesh_model::{ServiceGraph, graph::Visits};
use petgraph::visit::EdgeRef;
use statrs::function::gamma::{gamma_lr, gamma_ur, ln_gamma};

use crate::draw::normal_score;

/// The moments of a time in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Mean in milliseconds.
    pub mean: f64,
    /// Variance in milliseconds squared.
    pub variance: f64,
    /// Third central moment in milliseconds cubed.
    pub third: f64,
}

impl Moments {
    /// A time with a gamma distribution of this mean and squared coefficient of variation (1: exponential).
    pub fn gamma(mean: f64, cv2: f64) -> Self {
        let variance = cv2 * mean * mean;
        Self {
            mean,
            variance,
            third: 2.0 * variance * cv2 * mean,
        }
    }

    /// From the mean of the first, second and third power.
    pub(crate) fn from_powers(first: f64, second: f64, third: f64) -> Self {
        Self {
            mean: first,
            variance: (second - first * first).max(0.0),
            third: third - 3.0 * first * second + 2.0 * first.powi(3),
        }
    }

    /// The sum of two independent times.
    pub(crate) fn plus(self, other: Moments) -> Moments {
        Moments {
            mean: self.mean + other.mean,
            variance: self.variance + other.variance,
            third: self.third + other.third,
        }
    }

    /// As a shifted gamma distribution: its shape, where it begins and the scale of its gamma part. None where it does not vary.
    fn shifted_gamma(self) -> Option<(f64, f64, f64)> {
        let deviation = self.variance.max(0.0).sqrt();
        if deviation.is_nan() || deviation <= 1e-9 * self.mean.max(1e-9) {
            return None;
        }
        let skewness = self.third / (self.variance * deviation);
        // The bounds of the table of quantiles: nearly normal below, a level before what makes the skewness above.
        let skewness = if skewness.is_nan() {
            0.005
        } else {
            skewness.clamp(0.005, 10.0)
        };
        let shape = 4.0 / (skewness * skewness);
        let scale = deviation / shape.sqrt();
        Some((shape, self.mean - shape * scale, scale))
    }

    /// The share of times above `limit_ms`.
    pub(crate) fn tail(self, limit_ms: f64) -> f64 {
        match self.shifted_gamma() {
            None => f64::from(u8::from(self.mean > limit_ms)),
            Some((shape, start, scale)) => {
                let at = (limit_ms - start) / scale;
                if at > 0.0 { gamma_ur(shape, at) } else { 1.0 }
            }
        }
    }

    /// The times that are not above `limit_ms`: the moments of E\[Xⁿ; X ≤ limit\] ÷ P(X ≤ limit), with the incomplete gamma function's
    /// recursion. What a timeout cuts is counted where it is cut, and makes no call above it longer.
    pub(crate) fn below(self, limit_ms: f64) -> Moments {
        let Some((shape, start, scale)) = self.shifted_gamma() else {
            return self;
        };
        let at = (limit_ms - start) / scale;
        let kept = if at > 0.0 { gamma_lr(shape, at) } else { 0.0 };
        if kept < 1e-6 {
            return Moments {
                mean: limit_ms.max(0.0),
                ..Moments::default()
            };
        }
        // E[Gⁿ; G ≤ at] = shape·(shape + 1)…(shape + n − 1) · P(shape + n, at), around the mean shape.
        let raw = |n: u32| {
            let rising: f64 = (0..n).map(|k| shape + f64::from(k)).product();
            rising * gamma_lr(shape + f64::from(n), at) / kept
        };
        let powers = Moments::from_powers(raw(1), raw(2), raw(3));
        Moments {
            mean: start + scale * powers.mean,
            variance: scale * scale * powers.variance,
            third: (scale.powi(3) * powers.third).max(0.0),
        }
    }

    /// The sum over a random number of calls with mean `fan_out`: the whole part always, one more with the rest's probability.
    fn repeated(self, fan_out: f64) -> Moments {
        let rest = fan_out.fract();
        let (m, v) = (self.mean, self.variance);
        let count_variance = rest * (1.0 - rest);
        let count_third = count_variance * (1.0 - 2.0 * rest);
        Moments {
            mean: fan_out * m,
            variance: fan_out * v + count_variance * m * m,
            third: fan_out * self.third + 3.0 * count_variance * m * v + count_third * m.powi(3),
        }
    }
}

/// The quantile of a shifted gamma distribution at one level. Tabulated by shape because the search for instances asks for it
/// many thousand times.
#[derive(Debug, Clone)]
pub struct GammaQuantile {
    normal: f64,
    /// Deviations above the mean at the shapes e^(FROM + i·STEP).
    table: Vec<f64>,
}

impl GammaQuantile {
    /// Shape 0.04, a skewness of 10: beyond it the level lies before what makes the skewness.
    const FROM: f64 = -3.218_875_824_868_201;
    const STEP: f64 = 0.1;
    const KNOTS: usize = 136;

    /// Prepares a level, 0 … 1.
    pub fn at(level: f64) -> Self {
        let level = level.clamp(0.01, 0.999_999);
        let table = (0..Self::KNOTS)
            .map(|i| {
                let shape = (Self::FROM + i as f64 * Self::STEP).exp();
                (multiple_of_mean(shape, level) - 1.0) * shape.sqrt()
            })
            .collect();
        Self {
            normal: normal_score(level),
            table,
        }
    }

    /// The quantile in milliseconds of the distribution with these moments.
    pub fn of(&self, moments: Moments) -> f64 {
        let Moments {
            mean,
            variance,
            third,
        } = moments;
        if mean.is_nan() || mean <= 0.0 {
            return 0.0;
        }
        if variance.is_nan() || variance <= 0.0 {
            return mean;
        }
        let deviation = variance.sqrt();
        let skewness = third / (variance * deviation);
        let last = Self::KNOTS - 1;
        let position = if skewness > 1e-3 {
            ((4.0 / (skewness * skewness)).ln() - Self::FROM) / Self::STEP
        } else {
            f64::INFINITY
        };
        let deviations = if position >= last as f64 {
            // Nearly normal from a shape of some ten thousand on.
            self.normal
        } else {
            let position = position.max(0.0);
            let below = (position as usize).min(last - 1);
            let weight = position - below as f64;
            self.table[below] * (1.0 - weight) + self.table[below + 1] * weight
        };
        (mean + deviations * deviation).max(0.01 * mean)
    }
}

fn multiple_of_mean(shape: f64, level: f64) -> f64 {
    let (mut low, mut high) = (0.0f64, 1.0f64);
    while gamma_lr(shape, high * shape) < level && high < 1e6 {
        high *= 2.0;
    }
    for _ in 0..44 {
        let middle = 0.5 * (low + high);
        if gamma_lr(shape, middle * shape) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// One kind of call that a service makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Call {
    pub callee: usize,
    pub fan_out: f64,
    /// Made one after the other (true), or beside the other calls.
    pub sequential: bool,
    /// Position of the edge in order of (caller, callee).
    pub edge: usize,
}

/// Who calls whom, in an order in which latencies can be composed.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    /// By service, in order of name.
    pub by_caller: Vec<Vec<Call>>,
    /// Groups of services, callers first; true: a circle.
    pub groups: Vec<(Vec<usize>, bool)>,
    /// The group of each service.
    pub group_of: Vec<usize>,
}

impl Calls {
    pub(crate) fn of(graph: &ServiceGraph, visits: &Visits) -> Self {
        let petgraph = graph.petgraph();
        let mut by_caller: Vec<Vec<Call>> = vec![Vec::new(); graph.len()];
        for edge in petgraph.edge_references() {
            by_caller[edge.source().index()].push(Call {
                callee: edge.target().index(),
                fan_out: edge.weight().fan_out(),
                sequential: edge.weight().sequential.unwrap_or(true),
                edge: edge.id().index(),
            });
        }
        let mut circle_of: Vec<Option<usize>> = vec![None; graph.len()];
        for (i, members) in visits.circles().enumerate() {
            for member in members {
                circle_of[*member] = Some(i);
            }
        }
        let mut groups: Vec<(Vec<usize>, bool)> = Vec::new();
        let mut last_circle = None;
        for service in visits.order() {
            let circle = circle_of[service];
            match groups.last_mut() {
                Some((members, true)) if circle.is_some() && circle == last_circle => {
                    members.push(service);
                }
                _ => groups.push((vec![service], circle.is_some())),
            }
            last_circle = circle;
        }
        let mut group_of = vec![0; graph.len()];
        for (i, (members, _)) in groups.iter().enumerate() {
            for member in members {
                group_of[*member] = i;
            }
        }
        Self {
            by_caller,
            groups,
            group_of,
        }
    }

    /// Latency at each service with everything it calls, from each service's own time.
    pub(crate) fn compose(&self, own: &[Moments]) -> Vec<Moments> {
        self.compose_as(own, |_, callee| callee)
    }

    /// The same, with what a caller sees of each call in place of what the callee takes.
    pub(crate) fn compose_as(
        &self,
        own: &[Moments],
        seen: impl Fn(&Call, Moments) -> Moments,
    ) -> Vec<Moments> {
        let mut whole = vec![Moments::default(); own.len()];
        for (members, circle) in self.groups.iter().rev() {
            if *circle {
                for member in members {
                    whole[*member] = own[*member];
                }
                // The gain around a circle is below 1, so the sweeps converge; a slow one is cut where it no longer matters.
                for _ in 0..200 {
                    let mut moved = 0.0f64;
                    for member in members {
                        let next = self.one(*member, own, &whole, &seen);
                        moved = moved
                            .max((next.mean - whole[*member].mean).abs() / next.mean.max(1e-9));
                        whole[*member] = next;
                    }
                    if moved < 1e-4 {
                        break;
                    }
                }
            } else {
                for member in members {
                    whole[*member] = self.one(*member, own, &whole, &seen);
                }
            }
        }
        whole
    }

    fn one(
        &self,
        service: usize,
        own: &[Moments],
        whole: &[Moments],
        seen: &impl Fn(&Call, Moments) -> Moments,
    ) -> Moments {
        let calls = &self.by_caller[service];
        let mut sum = own[service];
        for call in calls.iter().filter(|call| call.sequential) {
            sum = sum.plus(seen(call, whole[call.callee]).repeated(call.fan_out));
        }
        if calls.iter().any(|call| !call.sequential) {
            let beside: Vec<(Moments, f64)> = calls
                .iter()
                .filter(|call| !call.sequential && call.fan_out > 0.0)
                .map(|call| (seen(call, whole[call.callee]), call.fan_out))
                .filter(|(moments, _)| moments.mean > 0.0)
                .collect();
            sum = sum.plus(slowest(&beside));
        }
        sum
    }
}

/// The slowest of calls beside each other, each made `fan_out` times: Π Fᵢ^fan-out, or 1 − fan-out·(1 − Fᵢ) where it is made
/// only sometimes. Each Fᵢ is taken as a Weibull distribution with its mean and variance (exact for exponential times; its
/// shape by Justus et al., *Methods for estimating wind speed frequency distributions*, 1978), and the moments of the
/// slowest are integrated over a logarithmic grid.
fn slowest(branches: &[(Moments, f64)]) -> Moments {
    match branches {
        [] => return Moments::default(),
        [(only, fan_out)] if *fan_out <= 1.0 => return only.repeated(*fan_out),
        _ => {}
    }
    struct Branch {
        log_scale: f64,
        shape: f64,
        fan_out: f64,
    }
    let branches: Vec<Branch> = branches
        .iter()
        .map(|(moments, fan_out)| {
            let cv = (moments.variance.sqrt() / moments.mean).clamp(0.02, 3.0);
            let shape = cv.powf(-1.086);
            Branch {
                log_scale: moments.mean.ln() - ln_gamma(1.0 + 1.0 / shape),
                shape,
                fan_out: *fan_out,
            }
        })
        .collect();
    // The grid reaches from where 1 in 10⁴ calls has ended to where all but 1 in 10⁷ have.
    let low = branches
        .iter()
        .map(|b| b.log_scale - 9.2 / b.shape)
        .fold(f64::INFINITY, f64::min);
    let high = branches
        .iter()
        .map(|b| b.log_scale + (16.0 + b.fan_out.max(1.0).ln()).ln() / b.shape)
        .fold(f64::NEG_INFINITY, f64::max);
    const CELLS: usize = 64;
    let width = (high - low) / CELLS as f64;
    // (t/scale)^shape of each branch, which grows by the same factor from cell to cell.
    let mut powers: Vec<(f64, f64)> = branches
        .iter()
        .map(|b| {
            (
                ((low - b.log_scale) * b.shape).exp(),
                (width * b.shape).exp(),
            )
        })
        .collect();
    let cumulated = |powers: &[(f64, f64)]| {
        branches
            .iter()
            .zip(powers)
            .map(|(b, (power, _))| {
                let f = -(-power).exp_m1();
                if b.fan_out == 1.0 {
                    f
                } else if b.fan_out > 1.0 {
                    f.powf(b.fan_out)
                } else {
                    1.0 - b.fan_out * (1.0 - f)
                }
            })
            .product::<f64>()
    };
    // What lies below the grid (calls that are not made at all) takes no time.
    let mut before = cumulated(&powers);
    let mut t = (low + 0.5 * width).exp();
    let grow = width.exp();
    let (mut first, mut second, mut third) = (0.0, 0.0, 0.0);
    for _ in 0..CELLS {
        for (power, factor) in &mut powers {
            *power *= *factor;
        }
        let after = cumulated(&powers);
        let share = after - before;
        first += t * share;
        second += t * t * share;
        third += t * t * t * share;
        before = after;
        t *= grow;
    }
    Moments::from_powers(first, second, third)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::mix;
    use foremesh_model::{Edge, Service, ServiceName};

    fn exponential(mean: f64) -> Moments {
        Moments::gamma(mean, 1.0)
    }

    fn graph(edges: &[(&str, &str, f64, bool)]) -> (ServiceGraph, Calls) {
        let mut names: Vec<&str> = edges.iter().flat_map(|(a, b, ..)| [*a, *b]).collect();
        names.sort_unstable();
        names.dedup();
        let name = |n: &str| ServiceName::new(n).unwrap();
        let graph = ServiceGraph::new(
            names.iter().map(|n| Service::named(name(n))).collect(),
            edges
                .iter()
                .map(|(a, b, f, sequential)| Edge {
                    fan_out: Some(*f),
                    sequential: Some(*sequential),
                    ..Edge::between(name(a), name(b))
                })
                .collect(),
        )
        .unwrap();
        let visits = Visits::of(&graph).unwrap();
        let calls = Calls::of(&graph, &visits);
        (graph, calls)
    }

    /// Draws a request's latency with exponential own times of the given means.
    fn drawn(calls: &Calls, means: &[f64], service: usize, key: &mut u64) -> f64 {
        let mut uniform = || {
            *key = key.wrapping_add(1);
            ((mix(*key, 9) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        let own = -means[service] * uniform().ln();
        let counts: Vec<(Call, u32)> = calls.by_caller[service]
            .iter()
            .map(|call| {
                let more = uniform() < call.fan_out.fract();
                (*call, call.fan_out as u32 + u32::from(more))
            })
            .collect();
        let (mut sum, mut most) = (own, 0.0f64);
        for (call, count) in counts {
            for _ in 0..count {
                let latency = drawn(calls, means, call.callee, key);
                if call.sequential {
                    sum += latency;
                } else {
                    most = most.max(latency);
                }
            }
        }
        sum + most
    }

    fn compare(edges: &[(&str, &str, f64, bool)], means: &[f64], tolerance: f64) {
        let (_, calls) = graph(edges);
        let own: Vec<Moments> = means.iter().map(|m| exponential(*m)).collect();
        let composed = calls.compose(&own)[0];
        let mut key = 1;
        let mut samples: Vec<f64> = (0..40_000)
            .map(|_| drawn(&calls, means, 0, &mut key))
            .collect();
        samples.sort_by(f64::total_cmp);
        let p99 = samples[samples.len() * 99 / 100];
        let answer = GammaQuantile::at(0.99).of(composed);
        assert!(
            (answer / p99 - 1.0).abs() < tolerance,
            "composed {answer:.1} ms, drawn {p99:.1} ms"
        );
    }

    #[test]
    fn gamma_quantiles_are_the_tables() {
        let p99 = GammaQuantile::at(0.99);
        assert!((p99.of(exponential(1.0)) - 4.605_17).abs() < 5e-3);
        // Erlang of two stages of 1: 6.638.
        assert!((p99.of(Moments::gamma(2.0, 0.5)) - 6.638).abs() < 1e-2);
        assert!((p99.of(Moments::gamma(100.0, 1e-8)) - 100.023).abs() < 1e-3);
        assert_eq!(p99.of(Moments::default()), 0.0);
    }

    #[test]
    fn what_is_cut_and_what_is_left_are_those_of_the_distribution() {
        let gamma = Moments::gamma(100.0, 1.0);
        // Exponential: e^(−t/mean), and the mean of what is below.
        assert!((gamma.tail(300.0) - (-3.0f64).exp()).abs() < 1e-9);
        let below = gamma.below(300.0);
        let mean = 100.0 - 300.0 * (-3.0f64).exp() / (1.0 - (-3.0f64).exp());
        assert!((below.mean - mean).abs() < 1e-6, "{below:?}");
        assert!(below.variance < gamma.variance && below.third < gamma.third);
        let all = gamma.below(1e5);
        assert!((all.mean - 100.0).abs() < 1e-6 && (all.variance / 1e4 - 1.0).abs() < 1e-6);
        // The tail is the quantile's own inverse, also where the distribution begins late or never varies.
        for moments in [
            Moments {
                mean: 50.0,
                variance: 400.0,
                third: 20_000.0,
            },
            Moments {
                mean: 10.0,
                variance: 1.0,
                third: 0.001,
            },
            Moments::gamma(20.0, 4.0),
        ] {
            for level in [0.9, 0.99, 0.9995] {
                let tail = moments.tail(GammaQuantile::at(level).of(moments));
                assert!(
                    (tail / (1.0 - level) - 1.0).abs() < 0.05,
                    "{moments:?} {level}: {tail}"
                );
            }
        }
        let constant = Moments {
            mean: 5.0,
            ..Moments::default()
        };
        assert_eq!((constant.tail(4.0), constant.tail(6.0)), (1.0, 0.0));
    }

    #[test]
    fn a_chain_agrees_with_drawn_requests() {
        compare(
            &[("a", "b", 1.0, true), ("b", "c", 2.0, true)],
            &[10.0, 20.0, 15.0],
            0.04,
        );
    }

    #[test]
    fn rare_calls_agree_with_drawn_requests() {
        compare(
            &[("a", "b", 0.1, true), ("a", "c", 1.5, true)],
            &[5.0, 100.0, 20.0],
            0.08,
        );
    }

    #[test]
    fn calls_beside_each_other_agree_with_drawn_requests() {
        compare(
            &[
                ("a", "b", 1.0, false),
                ("a", "c", 1.0, false),
                ("a", "d", 3.0, false),
            ],
            &[5.0, 20.0, 30.0, 10.0],
            0.12,
        );
    }

    #[test]
    fn a_circle_agrees_with_drawn_requests() {
        compare(
            &[
                ("a", "b", 1.0, true),
                ("b", "a", 0.3, true),
                ("b", "c", 1.0, true),
            ],
            &[5.0, 10.0, 10.0],
            0.08,
        );
    }

    #[test]
    fn adding_percentiles_would_overstate() {
        let (_, calls) = graph(&[
            ("a", "b", 1.0, true),
            ("b", "c", 1.0, true),
            ("c", "d", 1.0, true),
        ]);
        let own = vec![exponential(10.0); 4];
        let p99 = GammaQuantile::at(0.99);
        let summed = 4.0 * p99.of(own[0]);
        let composed = p99.of(calls.compose(&own)[0]);
        assert!(composed < 0.6 * summed, "{composed} {summed}");
    }
}
