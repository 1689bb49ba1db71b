//! `traces/REGION.json`: sampled traces as Zipkin v2 JSON, in which the two halves of a call share one span id, as B3 does.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    GenerateError,
    random::Draws,
    shop::{Region, STORE, Service, find},
};

/// Traces of one region.
const TRACES: usize = 240;
/// The window from which they are drawn: the evening of the day before the examples' `as_of`.
const WINDOW: (&str, i64) = ("2026-11-19T17:00:00Z", 3600);
/// Network between two services, there and back.
const NETWORK_MS: f64 = 0.6;

/// The traces of a region: an array of traces, each an array of spans, as Zipkin's `/api/v2/traces` answers.
///
/// # Errors
/// [`GenerateError`] when a constant is no instant.
pub fn traces(seed: u64, region: &Region) -> Result<Value, GenerateError> {
    let mut draws = Draws::new(seed, &format!("traces {}", region.name));
    let from = WINDOW.0.parse::<Timestamp>()?.as_microsecond();
    let web_share = region.frontend_rps / (region.frontend_rps + region.api_rps);
    let mut all = Vec::with_capacity(TRACES);
    for _ in 0..TRACES {
        let entry = if draws.uniform() < web_share {
            "frontend"
        } else {
            "api"
        };
        let starts = from + (draws.uniform() * (WINDOW.1 * 1_000_000) as f64) as i64;
        let mut trace = Trace {
            id: draws.hex(32),
            spans: Vec::new(),
            draws: &mut draws,
        };
        if let Some(service) = find(entry) {
            let id = trace.draws.hex(16);
            trace.serve(service, &id, None, starts, false);
        }
        all.push(Value::Array(trace.spans));
    }
    Ok(Value::Array(all))
}

struct Trace<'a> {
    id: String,
    spans: Vec<Value>,
    draws: &'a mut Draws,
}

impl Trace<'_> {
    /// Adds the server span of a request and all that follows from it; answers when it ended (µs).
    fn serve(
        &mut self,
        service: &Service,
        id: &str,
        parent: Option<&str>,
        starts: i64,
        shared: bool,
    ) -> i64 {
        let place = self.spans.len();
        let own_ms = self
            .draws
            .log_normal(service.service_time_ms, service.service_time_cv2);
        let mut now = starts + (own_ms * 400.0) as i64;
        let callees: Vec<_> = service
            .calls
            .iter()
            .flat_map(|(name, mean)| {
                let calls = self.draws.count(*mean);
                find(name).into_iter().flat_map(move |callee| {
                    std::iter::repeat_n(callee, usize::try_from(calls).unwrap_or(0))
                })
            })
            .collect();
        for callee in callees {
            now = self.call(service, callee, id, now);
        }
        if service.name == STORE.caller {
            self.ask_store(service, id, now, own_ms);
        }
        let ends = now + (own_ms * 600.0) as i64 + 1;
        let failed = self.draws.uniform() < service.error_rate;
        let mut span = json!({
            "traceId": self.id,
            "id": id,
            "kind": "SERVER",
            "name": format!("{} request", service.name),
            "timestamp": starts,
            "duration": ends - starts,
            "localEndpoint": { "serviceName": service.name, "port": service.port },
            "tags": { "http.status_code": if failed { "500" } else { "200" } },
        });
        if let Some(parent) = parent {
            span["parentId"] = parent.into();
        }
        if shared {
            span["shared"] = true.into();
        }
        if failed {
            span["tags"]["error"] = "500".into();
        }
        self.spans.insert(place, span);
        ends
    }

    /// Adds a query to the store, within the caller's own time. A store writes no spans: the client's is all there is. Nothing is
    /// drawn for it, so that the rest of a trace is the same with and without a store.
    fn ask_store(&mut self, caller: &Service, parent: &str, starts: i64, own_ms: f64) {
        let id: String = parent.chars().rev().collect();
        self.spans.push(json!({
            "traceId": self.id,
            "id": id,
            "parentId": parent,
            "kind": "CLIENT",
            "name": "GET",
            "timestamp": starts,
            "duration": (own_ms * 60.0) as i64 + 1,
            "localEndpoint": { "serviceName": caller.name },
            "remoteEndpoint": { "serviceName": STORE.name, "port": STORE.port },
            "tags": { "db.system": STORE.system },
        }));
    }

    /// Adds a call: the client span in the caller and what the callee does; answers when the caller had its answer (µs).
    fn call(&mut self, caller: &Service, callee: &Service, parent: &str, starts: i64) -> i64 {
        let place = self.spans.len();
        let id = self.draws.hex(16);
        let one_way = (self.draws.log_normal(NETWORK_MS, 0.3) * 500.0) as i64;
        let ends = self.serve(callee, &id, Some(parent), starts + one_way, true) + one_way;
        let span = json!({
            "traceId": self.id,
            "id": id,
            "parentId": parent,
            "kind": "CLIENT",
            "name": format!("call {}", callee.name),
            "timestamp": starts,
            "duration": ends - starts,
            "localEndpoint": { "serviceName": caller.name },
            "remoteEndpoint": { "serviceName": callee.name, "port": callee.port },
        });
        self.spans.insert(place, span);
        ends
    }
}
