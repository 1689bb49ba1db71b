//! How unevenly requests arrive at one instance, as its queue feels it.

use super::flows::Flow;
use crate::analytic::{Workers, queue::FULL};

impl Flow {
    /// Squared coefficient of variation of the time between arrivals at one instance, as its queue feels it: departures of its callers split
    /// and superposed (Whitt, *The queueing network analyzer*, 1983), calls made together, and seconds with a rate of their own, as much of
    /// which is felt as lies in the time in which the queue forgets (index of dispersion for counts of that time).
    pub(super) fn arrival_cv2(&self, workers: &Workers, instances: u32, utilisation: f64) -> f64 {
        if self.requests_rps <= 0.0 {
            return 1.0;
        }
        let idle = (1.0 - utilisation).max(1.0 - FULL);
        let streams = self.proxies.equal();
        let felt = 1.0 / (1.0 + 4.0 * idle * idle * (streams - 1.0).max(0.0));
        let variability = 0.5 * (1.0 + workers.service_cv2);
        let forgets_s = workers.holding_ms / 1000.0 * variability
            / (f64::from(workers.per_instance.max(1)) * idle * idle);
        let burst = if forgets_s < 1.0 {
            forgets_s - forgets_s * forgets_s / 3.0
        } else {
            1.0 - 1.0 / (3.0 * forgets_s)
        };
        let each = self.requests_rps / f64::from(instances.max(1));
        let cv2 = 1.0
            + felt * self.departures / self.requests_rps
            + self.together / self.requests_rps
            + each * self.factor_variance * burst;
        cv2.clamp(0.1, 1e4)
    }
}
