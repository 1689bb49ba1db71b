//! Many warnings of one kind as a few: hundreds of services with the same gap in the catalogue are one thing to know.

use foremesh_model::Warning;

/// Warnings of one kind that are kept as they are.
const KEPT: usize = 3;
/// Subjects of the others that are named.
const NAMED: usize = 5;

/// The warnings with each kind (severity and code) cut to its first few and one line that counts and names the others. Order is kept.
pub fn condense(warnings: &[Warning]) -> Vec<Warning> {
    let mut condensed = Vec::new();
    for kind in warnings.chunk_by(|a, b| (a.severity, &a.code) == (b.severity, &b.code)) {
        if kind.len() <= KEPT + 1 {
            condensed.extend_from_slice(kind);
            continue;
        }
        let (kept, rest) = kind.split_at(KEPT);
        condensed.extend_from_slice(kept);
        let named: Vec<&str> = rest
            .iter()
            .take(NAMED)
            .map(|warning| warning.subject.as_str())
            .collect();
        let more = if rest.len() > NAMED { ", …" } else { "" };
        condensed.push(Warning {
            severity: rest[0].severity,
            code: rest[0].code.clone(),
            subject: format!("{} more", rest.len()),
            text: format!("the same is so of {}{more}", named.join(", ")),
        });
    }
    condensed
}

#[cfg(test)]
mod tests {
    use foremesh_model::Severity;

    use super::*;

    #[test]
    fn a_few_stay_and_many_are_counted() {
        let warning = |code: &str, subject: usize| Warning {
            severity: Severity::Caution,
            code: code.into(),
            subject: format!("s{subject}"),
            text: "assumed".into(),
        };
        let few: Vec<Warning> = (0..4).map(|i| warning("a", i)).collect();
        assert_eq!(condense(&few), few);
        let many: Vec<Warning> = (0..12)
            .map(|i| warning("a", i))
            .chain([warning("b", 0)])
            .collect();
        let condensed = condense(&many);
        assert_eq!(condensed.len(), 5);
        assert_eq!(condensed[3].subject, "9 more");
        assert_eq!(condensed[3].text, "the same is so of s3, s4, s5, s6, s7, …");
        assert_eq!(condensed[4].code, "b");
    }
}
