//! The made-up shop: its regions, its services and which of them calls which. Every other module reads these tables.

/// A region in which the shop runs.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// Its name.
    pub name: &'static str,
    /// Its IANA time zone.
    pub timezone: &'static str,
    /// Requests a second of the web shop on an average evening.
    pub frontend_rps: f64,
    /// Requests a second of the mobile interface on an average evening.
    pub api_rps: f64,
}

/// The regions, in order of name.
pub const REGIONS: [Region; 3] = [
    Region {
        name: "eu-central-1",
        timezone: "Europe/Berlin",
        frontend_rps: 260.0,
        api_rps: 190.0,
    },
    Region {
        name: "eu-west-1",
        timezone: "Europe/Dublin",
        frontend_rps: 420.0,
        api_rps: 330.0,
    },
    Region {
        name: "us-east-1",
        timezone: "America/New_York",
        frontend_rps: 640.0,
        api_rps: 560.0,
    },
];

/// The region that launched last, after the examples' `as_of`: what `foremesh hindcast` plans after the fact. No traces were sampled there.
pub const LAUNCHED: (Region, &str) = (
    Region {
        name: "eu-west-2",
        timezone: "Europe/London",
        frontend_rps: 620.0,
        api_rps: 500.0,
    },
    "2026-11-26T06:00:00Z",
);

/// The namespace of every service.
pub const NAMESPACE: &str = "shop";

/// A service of the shop.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name without the namespace.
    pub name: &'static str,
    /// Whether requests enter here.
    pub entry: bool,
    /// The port it listens on.
    pub port: u16,
    /// Mean time in milliseconds that one request keeps one worker busy.
    pub service_time_ms: f64,
    /// Squared coefficient of variation of that time.
    pub service_time_cv2: f64,
    /// Requests that one instance works on at once.
    pub concurrency: u32,
    /// Seconds until an instance is ready.
    pub startup_s: f64,
    /// Seconds from ready to warm.
    pub warm_up_s: f64,
    /// Cost of an instance for an hour.
    pub cost_per_hour: f64,
    /// Word for how much it matters.
    pub criticality: &'static str,
    /// Whether the same key should reach the same instance.
    pub cache_affinity: bool,
    /// Mean bytes of an answer.
    pub response_bytes: u32,
    /// Share of its answers that are errors on a quiet day.
    pub error_rate: f64,
    /// Services that it calls: name and calls for each request that reaches it.
    pub calls: &'static [(&'static str, f64)],
}

const fn service(
    name: &'static str,
    service_time_ms: f64,
    concurrency: u32,
    calls: &'static [(&'static str, f64)],
) -> Service {
    Service {
        name,
        entry: false,
        port: 8080,
        service_time_ms,
        service_time_cv2: 0.6,
        concurrency,
        startup_s: 30.0,
        warm_up_s: 30.0,
        cost_per_hour: 0.08,
        criticality: "standard",
        cache_affinity: false,
        response_bytes: 2048,
        error_rate: 0.0004,
        calls,
    }
}

/// The services, callers before those they call.
pub const SERVICES: [Service; 8] = [
    Service {
        entry: true,
        response_bytes: 24_576,
        ..service(
            "frontend",
            40.0,
            8,
            &[
                ("catalogue", 1.6),
                ("recommendation", 0.7),
                ("cart", 0.5),
                ("checkout", 0.06),
            ],
        )
    },
    Service {
        entry: true,
        ..service(
            "api",
            18.0,
            8,
            &[("catalogue", 1.2), ("cart", 0.6), ("checkout", 0.09)],
        )
    },
    Service {
        criticality: "deferrable",
        startup_s: 75.0,
        warm_up_s: 90.0,
        cost_per_hour: 0.16,
        ..service("recommendation", 45.0, 6, &[("catalogue", 0.5)])
    },
    Service {
        criticality: "critical",
        service_time_cv2: 1.0,
        ..service(
            "checkout",
            50.0,
            8,
            &[("cart", 1.0), ("inventory", 1.0), ("payment", 1.0)],
        )
    },
    Service {
        cache_affinity: true,
        warm_up_s: 60.0,
        response_bytes: 8192,
        ..service("catalogue", 12.0, 6, &[])
    },
    Service {
        criticality: "critical",
        ..service("cart", 15.0, 6, &[])
    },
    service("inventory", 20.0, 4, &[]),
    Service {
        criticality: "critical",
        service_time_cv2: 1.4,
        startup_s: 45.0,
        error_rate: 0.0012,
        ..service("payment", 120.0, 12, &[])
    },
];

/// Where carts are kept: a store that a plan leaves as it is. Its one caller is `cart`.
pub const STORE: Store = Store {
    name: "carts",
    image: "redis:7.4",
    system: "redis",
    port: 6379,
    caller: "cart",
    capacity_rps: 20_000,
    max_connections: 1000,
};

/// A store of the shop.
#[derive(Debug, Clone, Copy)]
pub struct Store {
    /// Its name without the namespace.
    pub name: &'static str,
    /// The image that runs.
    pub image: &'static str,
    /// What traces call it.
    pub system: &'static str,
    /// The port it listens on.
    pub port: u16,
    /// The service that calls it, once for each request.
    pub caller: &'static str,
    /// Requests a second that it sustains.
    pub capacity_rps: u32,
    /// Connections that it accepts.
    pub max_connections: u32,
}

/// A service by its name.
pub fn find(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.name == name)
}

/// Requests a second that reach each service of [`SERVICES`] when `frontend_rps` and `api_rps` enter. The shop has no circle, so one
/// pass from callers to callees is enough.
pub fn rates(frontend_rps: f64, api_rps: f64) -> [f64; SERVICES.len()] {
    let mut rates = [0.0; SERVICES.len()];
    for (caller, service) in SERVICES.iter().enumerate() {
        rates[caller] += match service.name {
            "frontend" => frontend_rps,
            "api" => api_rps,
            _ => 0.0,
        };
        for (callee, calls) in service.calls {
            if let Some(index) = SERVICES.iter().position(|other| other.name == *callee) {
                rates[index] += rates[caller] * calls;
            }
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_stand_before_those_they_call_so_that_one_pass_is_enough() {
        for (index, service) in SERVICES.iter().enumerate() {
            for (callee, _) in service.calls {
                let place = SERVICES
                    .iter()
                    .position(|other| other.name == *callee)
                    .unwrap();
                assert!(place > index, "{} calls {callee}", service.name);
            }
        }
    }

    #[test]
    fn rates_follow_the_calls() {
        let rates = rates(100.0, 10.0);
        let of = |name: &str| rates[SERVICES.iter().position(|s| s.name == name).unwrap()];
        assert!((of("recommendation") - 70.0).abs() < 1e-9);
        assert!((of("checkout") - 6.9).abs() < 1e-9);
        // 160 from the frontend, 12 from the interface, 35 from the recommendations.
        assert!((of("catalogue") - 207.0).abs() < 1e-9);
        assert!((of("payment") - 6.9).abs() < 1e-9);
    }
}
