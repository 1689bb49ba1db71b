//! How many tracks of 70 days a second one core draws: `cargo run --release -p foremesh-trainer --example prior_speed`.

#![allow(clippy::print_stdout)]

use std::time::Instant;

use foremesh_trainer::prior::Prior;

const TRACKS: u64 = 4_000;

fn main() {
    for (step_s, days) in [(3600, 70), (300, 16)] {
        let prior = Prior::new(1, step_s);
        let steps = days * 86_400 / step_s as usize;
        let started = Instant::now();
        let mut values = 0;
        for index in 0..TRACKS {
            let track = prior.draw(index, steps);
            values += track.steps() * (1 + track.donors.len() + track.metrics.len());
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{days} days of {step_s} s: {:.0} tracks/s, {:.1} M values/s",
            TRACKS as f64 / seconds,
            values as f64 / seconds / 1e6
        );
    }
}
