//! DAGOR (Zhou et al., *Overload control for scaling WeChat microservices*, SoCC 2018): a service is overloaded when requests waited for more
//! than 20 ms on average in a window, of a second or 2000 requests, whichever is over first. Then it aims at 5% fewer than it let in; else
//! at more by 1% of what came. The priority of a request is drawn where it enters and holds for all of its calls.
//!
//! Threshold, window and the two shares are the paper's; the two steps are read off the implementation of Breakwater's authors
//! (shenango/caladan, `breakwater/src/dg_server.c`: `dagor_prio_update`, and `dg_config.h`), who compared themselves with it;
//! there are implementations that take the 1% of what was let in, not of what came.
//!
//! Simplified: priorities are uniform, so that a level and the share that it lets in are the same and no histogram is kept; business and user
//! priority are one number; the instances of a service share one level. Callers do not learn the level of those whom they call, as WeChat's
//! do: a refused request costs the way there and back, and no work.

use crate::controller::{Controller, Order, View};

const OVERLOADED_MS: f64 = 20.0;
const WINDOW_S: f64 = 1.0;
const WINDOW_REQUESTS: f64 = 2000.0;
const ALPHA: f64 = 0.05;
const BETA: f64 = 0.01;

/// Admission levels of services.
#[derive(Debug)]
pub struct Dagor(Vec<Level>);

#[derive(Debug, Clone, Copy)]
struct Level {
    service: usize,
    share: f64,
    seconds: f64,
    /// At one instance.
    came: f64,
    done: f64,
    waited_ms: f64,
}

impl Dagor {
    /// One level for each of these services.
    #[must_use]
    pub fn new(services: &[usize]) -> Self {
        let start = |service: &usize| Level {
            service: *service,
            share: 1.0,
            seconds: 0.0,
            came: 0.0,
            done: 0.0,
            waited_ms: 0.0,
        };
        Self(services.iter().map(start).collect())
    }
}

impl Controller for Dagor {
    fn interval_s(&self) -> f64 {
        0.1
    }

    fn decide(&mut self, view: &View<'_>, orders: &mut Vec<Order>) {
        for level in &mut self.0 {
            let Some(seen) = view.services.get(level.service) else {
                continue;
            };
            let done = seen.done_rps * view.interval_s;
            level.seconds += view.interval_s;
            level.came += seen.arrivals_rps * view.interval_s / f64::from(seen.ready.max(1));
            level.done += done;
            level.waited_ms += done * seen.mean_wait_ms;
            // Looks are a little apart from tenths of a second.
            if level.seconds < WINDOW_S - 0.01 && level.came < WINDOW_REQUESTS {
                continue;
            }
            let mean_ms = level.waited_ms / level.done.max(1.0);
            level.share = if mean_ms > OVERLOADED_MS {
                level.share * (1.0 - ALPHA)
            } else {
                level.share + BETA
            }
            .clamp(0.001, 1.0);
            orders.push(Order::Priority {
                service: level.service,
                share: level.share,
            });
            *level = Level {
                seconds: 0.0,
                came: 0.0,
                done: 0.0,
                waited_ms: 0.0,
                ..*level
            };
        }
    }
}
