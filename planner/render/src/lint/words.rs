//! Closed vocabularies and Go's durations: what Istio, Envoy and KEDA accept as text and check late or never.

/// Conditions of `retry_on` for HTTP and gRPC.
const RETRY_CONDITIONS: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

/// The words of a `retry_on` that nothing knows; Envoy passes over them in silence. Istio takes status codes too.
pub(super) fn unknown_retry_conditions(retry_on: &str) -> Vec<&str> {
    retry_on
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .filter(|word| {
            let status = word
                .parse::<u16>()
                .is_ok_and(|code| (100..600).contains(&code));
            !status && !RETRY_CONDITIONS.contains(word)
        })
        .collect()
}

/// A duration of Go or of protobuf (`1.5s`, `1h5m`, `250ms`) in seconds.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .filter(|end| *end > 0)?;
        let value: f64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit_end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += value
            * match rest.get(..unit_end)? {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = rest.get(unit_end..)?;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("1h5m"), Some(3900.0));
        assert_eq!(seconds("250ms"), Some(0.25));
        for wrong in ["", "5", "banana", "s", "1x"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn conditions_are_known_or_named() {
        assert!(unknown_retry_conditions("connect-failure, 503,unavailable").is_empty());
        assert_eq!(unknown_retry_conditions("5xx,on-tuesdays"), ["on-tuesdays"]);
    }
}
