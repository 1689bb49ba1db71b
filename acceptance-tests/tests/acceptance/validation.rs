//! The simulator beside a real Envoy, the quick part of `make validate-simulator`: a token bucket, and retries under a budget. The simulator is
//! given what was truly sent and how long backends truly worked, so a slow machine moves both.

use foremesh_acceptance_tests::{
    need,
    validation::{Bench, Budget, Limit},
};

#[tokio::test]
async fn the_simulators_token_bucket_lets_through_what_envoys_does() {
    let program = need!(Envoy);
    let bench = Bench { program, seed: 7 };
    let limit = Limit {
        offered_rps: 120.0,
        seconds: 4.0,
        burst: 40,
        refill: (5, 100),
    };
    let (row, _) = limit.compare(&bench).await;
    assert!(row.held(), "{row:?}");
    // Something was let through, and something was not: the comparison could have failed.
    assert!((0.3..0.9).contains(&row.envoy), "{row:?}");
}

#[tokio::test]
async fn the_simulator_tries_again_as_often_as_envoy_does() {
    let program = need!(Envoy);
    let bench = Bench { program, seed: 8 };
    let budget = Budget {
        offered_rps: 100.0,
        seconds: 6.0,
        work_ms: 120.0,
        fails: 0.6,
        percent: Some(20.0),
        min_concurrent: 1,
    };
    let ([attempts, failed], _) = budget.compare(&bench).await;
    assert!(attempts.held_but_for_chance(), "{attempts:?}");
    assert!(failed.held_but_for_chance(), "{failed:?}");
    // The budget held back some retries, not all.
    assert!((1.05..1.6).contains(&attempts.envoy), "{attempts:?}");
}
