//! Demand as one compressed, versioned string: what Terraform keeps in its state.
//!
//! `fmd1.` and base64 of zstd of: the length of a JSON header (u32, little endian), the header, then the logarithms of the
//! quantiles on a grid of 1%, as differences (the median from the step before, each other level from its neighbour and from the
//! same difference one step before), zigzag varints. Level by level, then entry by entry, step by step: differences of one
//! level are alike, so that they compress better side by side. 500 entries × 72 steps × 14 levels take some 120 kB.

use serde::{Deserialize, Serialize};

use super::{DEMAND_FORMAT_VERSION, Demand, EntryDemand, QUANTILE_LEVELS};
use crate::packed::{PackedError, pack, unpack};

const SOURCE_ATTRIBUTE: &str = "data.foremesh_predictive_region.NAME.demand";
/// Steps of the logarithmic grid for one natural unit: 1% each, an order below what any forecast knows.
const GRID: f64 = 100.0;
/// Code of "nothing at all"; every positive value has a greater code.
const ZERO: i64 = -10_000;
const MEDIAN: usize = 6;
#[derive(Serialize, Deserialize)]
struct Header {
    demand: Demand,
    steps: usize,
}

pub(super) fn code_of(value: f64) -> i64 {
    if value.is_finite() && value > 1e-6 {
        (value.ln() * GRID).round() as i64
    } else {
        ZERO
    }
}

pub(super) fn value_of(code: i64) -> f64 {
    if code <= ZERO {
        0.0
    } else {
        (code as f64 / GRID).exp()
    }
}

impl Demand {
    /// The demand as one string of ASCII letters, for Terraform's state. Numbers are kept to 0.5%: see [`Demand::canonical`].
    pub fn encode(&self) -> String {
        let steps = self.steps();
        let mut head = self.clone();
        for entry in head.entries.values_mut() {
            entry.quantiles_rps.clear();
        }
        let header = serde_json::to_vec(&Header {
            demand: head,
            steps,
        })
        .unwrap_or_default();
        let mut bytes = (header.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&header);
        let entries: Vec<Vec<Codes>> = self
            .entries
            .values()
            .map(|entry| codes_of(entry, steps))
            .collect();
        for level in visiting_order() {
            for codes in &entries {
                let mut before = &[0; QUANTILE_LEVELS.len()];
                for codes in codes {
                    put(&mut bytes, codes[level] - predicted(codes, before, level));
                    before = codes;
                }
            }
        }
        pack("fmd", DEMAND_FORMAT_VERSION, &bytes)
    }

    /// Reads what [`Demand::encode`] wrote.
    ///
    /// # Errors
    /// [`PackedError`] when the text is something else, of another version, or damaged.
    pub fn decode(text: &str) -> Result<Self, PackedError> {
        let bytes = unpack("fmd", DEMAND_FORMAT_VERSION, SOURCE_ATTRIBUTE, text)?;
        let damaged = |cause: &dyn std::fmt::Display| PackedError::Damaged {
            cause: cause.to_string(),
            source_attribute: SOURCE_ATTRIBUTE,
        };
        let short = || damaged(&"it ends early");
        let (length, rest) = bytes.split_at_checked(4).ok_or_else(short)?;
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let (header, mut body) = rest.split_at_checked(length).ok_or_else(short)?;
        let Header { mut demand, steps } =
            serde_json::from_slice(header).map_err(|e| damaged(&e))?;
        if steps
            .saturating_mul(demand.entries.len())
            .saturating_mul(QUANTILE_LEVELS.len())
            > body.len()
        {
            return Err(short());
        }
        let mut entries = vec![vec![[0i64; QUANTILE_LEVELS.len()]; steps]; demand.entries.len()];
        for level in visiting_order() {
            for entry in &mut entries {
                read_level(entry, level, &mut body).ok_or_else(short)?;
            }
        }
        for (entry, codes) in demand.entries.values_mut().zip(entries) {
            entry.quantiles_rps = codes
                .iter()
                .map(|codes| codes.iter().map(|code| value_of(*code)).collect())
                .collect();
        }
        Ok(demand)
    }
}

/// The codes of every level at one step.
type Codes = [i64; QUANTILE_LEVELS.len()];

fn codes_of(entry: &EntryDemand, steps: usize) -> Vec<Codes> {
    let code = |step: usize, level: usize| {
        let values = entry.quantiles_rps.get(step)?;
        values.get(level).map(|value| code_of(*value))
    };
    (0..steps)
        .map(|step| std::array::from_fn(|level| code(step, level).unwrap_or(ZERO)))
        .collect()
}

/// Reads the codes of one level; those between it and the median have been read.
fn read_level(entry: &mut [Codes], level: usize, body: &mut &[u8]) -> Option<()> {
    let mut before = [0; QUANTILE_LEVELS.len()];
    for codes in entry {
        codes[level] = take(body)?.checked_add(predicted(codes, &before, level))?;
        before = *codes;
    }
    Some(())
}

/// The median first, then outwards on both sides, so that each level's inner neighbour is known before it.
fn visiting_order() -> impl Iterator<Item = usize> {
    std::iter::once(MEDIAN)
        .chain((0..MEDIAN).rev())
        .chain(MEDIAN + 1..QUANTILE_LEVELS.len())
}

fn predicted(codes: &[i64], before: &[i64], level: usize) -> i64 {
    let inner = match level.cmp(&MEDIAN) {
        std::cmp::Ordering::Equal => return before[MEDIAN],
        std::cmp::Ordering::Less => level + 1,
        std::cmp::Ordering::Greater => level - 1,
    };
    codes[inner]
        .saturating_add(before[level])
        .saturating_sub(before[inner])
}

fn put(bytes: &mut Vec<u8>, value: i64) {
    let mut zigzag = ((value << 1) ^ (value >> 63)) as u64;
    while zigzag >= 0x80 {
        bytes.push(zigzag as u8 | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag as u8);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut zigzag = 0u64;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        zigzag |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::{Dependence, RegionName, ServiceName, Timestamp};

    fn demand(entries: Vec<Vec<Vec<f64>>>) -> Demand {
        let entries: BTreeMap<_, _> = entries
            .into_iter()
            .enumerate()
            .map(|(i, quantiles_rps)| {
                let entry = EntryDemand {
                    quantiles_rps,
                    peak_to_mean: 1.2345,
                    dispersion: 1.5,
                    common_loading: 0.6,
                };
                (ServiceName::new(format!("shop/s{i}")).unwrap(), entry)
            })
            .collect();
        Demand {
            region: RegionName::new("eu-west-3").unwrap(),
            timezone: "Europe/Paris".into(),
            as_of: Timestamp::UNIX_EPOCH,
            starts: Timestamp::UNIX_EPOCH,
            step_s: 3600,
            entries,
            dependence: Dependence {
                autocorrelation: 0.8,
            },
            seed: 7,
            method: "test".into(),
        }
    }

    proptest! {
        #[test]
        fn decoding_gives_back_the_canonical_demand(
            entries in (1usize..4, 1usize..6).prop_flat_map(|(entries, steps)| proptest::collection::vec(
                proptest::collection::vec(proptest::collection::vec(0.0f64..1e7, 14), steps), entries))
        ) {
            let canonical = demand(entries.clone()).canonical();
            prop_assert_eq!(&Demand::decode(&canonical.encode()).unwrap(), &canonical);
            prop_assert_eq!(&canonical.clone().canonical(), &canonical);
            for (raw, kept) in entries.iter().flatten().flatten().zip(canonical.entries.values().flat_map(|e| e.quantiles_rps.iter().flatten())) {
                prop_assert!((raw - kept).abs() <= 0.00502 * raw + 1e-6);
            }
        }

        #[test]
        fn no_text_panics(text in "fmd1\\.[A-Za-z0-9+/]{0,80}") {
            let _ = Demand::decode(&text);
        }
    }

    #[test]
    fn damage_is_named() {
        let text = demand(vec![vec![vec![1.0; 14]; 3]]).encode();
        assert_eq!(
            Demand::decode("hello"),
            Err(PackedError::Prefix {
                prefix: "fmd",
                source_attribute: SOURCE_ATTRIBUTE
            })
        );
        assert!(matches!(
            Demand::decode(&text.replace("fmd1", "fmd9")),
            Err(PackedError::Version { found: 9, .. })
        ));
        assert!(matches!(
            Demand::decode(&text[..text.len() - 9]),
            Err(PackedError::Damaged { .. })
        ));
    }
}
