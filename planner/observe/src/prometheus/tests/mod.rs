//! History and graph from a server, sound and unsound: what is asked, what is made of the answers, and what an error says.

mod answers;
mod graphs;
mod secrets;

use std::{fmt::Write, path::Path, time::Duration};

use foremesh_model::{History, Prometheus, SeriesKey, Timestamp, Warning};

use super::{parse_prometheus_answer, range::query_with};
use crate::{
    ObserveError, Observed,
    http::{
        Patience,
        server::{Asked, Reply, Server},
    },
};
use answers::{Told, failure, matrix, success};

const AS_OF: &str = "2026-11-20T00:00:00Z";
const CART: &[(&str, &str)] = &[("region", "eu"), ("service", "shop/cart")];

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Quick, and as often as usual.
fn quick() -> Patience {
    Patience {
        attempts: 3,
        first_wait: Duration::ZERO,
        timeout: None,
    }
}

fn request(url: &str) -> Prometheus {
    Prometheus {
        url: url.into(),
        days: Some(1),
        step_s: Some(3600),
        ..Prometheus::default()
    }
}

async fn ask(request: &Prometheus) -> Result<Observed<History>, ObserveError> {
    query_with(request, at(AS_OF), Path::new("/"), quick()).await
}

/// The error's text, with the port that differs in every run taken out.
fn told(error: &ObserveError, server: &Server) -> String {
    error.to_string().replace(&server.port.to_string(), "PORT")
}

fn texts(warnings: &[Warning], server: &Server) -> String {
    warnings
        .iter()
        .fold(String::new(), |mut text, w| {
            writeln!(
                text,
                "{:?} {} | {} | {}",
                w.severity, w.code, w.subject, w.text
            )
            .unwrap();
            text
        })
        .replace(&server.port.to_string(), "PORT")
}

fn values<'a>(history: &'a History, region: &str, service: &str) -> &'a [f64] {
    let key = SeriesKey::requests(region.parse().unwrap(), service.parse().unwrap());
    &history.series[&key].values
}

#[tokio::test]
async fn nothing_at_or_after_as_of_is_asked_for_and_every_step_is() {
    let server = Server::start(|asked, _| {
        // The value is the second at which the step begins, in hours.
        let value = |ms: i64| Some((ms + 1) as f64 / 3_600_000.0 - 1.0);
        Reply::Answer(200, matrix(asked, &[(CART, &value)]))
    })
    .await;
    for (as_of, days, step_s) in [
        (AS_OF, 1, 3600),
        ("2026-11-20T00:30:00Z", 1, 3600),
        ("2026-11-20T00:00:00.5Z", 28, 300),
        ("2026-11-20T07:07:07Z", 3, 7200),
    ] {
        let before = server.asked().len();
        let request = Prometheus {
            days: Some(days),
            step_s: Some(step_s),
            ..request(&server.url())
        };
        let observed = query_with(&request, at(as_of), Path::new("/"), quick())
            .await
            .unwrap();
        assert!(observed.warnings.is_empty(), "{:?}", observed.warnings);
        let asked: Vec<Asked> = server.asked().split_off(before);
        let mut instants: Vec<i64> = asked.iter().flat_map(Asked::instants).collect();
        assert!(instants.iter().all(|ms| *ms < at(as_of).as_millisecond()));
        let number = i64::from(days) * 86_400 / i64::from(step_s);
        assert_eq!(instants.len() as i64, number, "each step once");
        assert!(asked.iter().all(|a| a.instants().len() <= 2000));
        instants.sort_unstable();
        instants.dedup();
        assert_eq!(instants.len() as i64, number);
        // No step is begun later than a step before as_of, and the newest whole step is there.
        let newest = instants.last().unwrap() + 1;
        assert!(at(as_of).as_millisecond() - newest < i64::from(step_s) * 1000);
        let series = observed.value.series.values().next().unwrap();
        assert_eq!(series.step_s, step_s);
        assert_eq!(series.values.len() as i64, number);
        // What was measured over [t, t + step) stands at t.
        let begins = series.start.as_second() + i64::from(step_s);
        assert!((series.values[0] * 3600.0 + 3600.0 - begins as f64).abs() < 1e-3);
        assert!(
            asked
                .iter()
                .all(|a| a.parameters["query"].contains(&format!("[{step_s}s]")))
        );
        // VictoriaMetrics would round the end up to the next whole step, which is as_of.
        assert!(asked.iter().all(|a| a.parameters["nocache"] == "1"));
    }
}

#[tokio::test]
async fn chunks_that_are_too_large_are_split_until_the_server_can_carry_them_out() {
    let server = Server::start(|asked, _| {
        if asked.instants().len() > 300 {
            let text =
                "query processing would load too many samples into memory in query execution";
            return Reply::Answer(422, failure(text));
        }
        Reply::Answer(
            200,
            matrix(asked, &[(CART, &|ms| Some((ms / 60_000 % 1000) as f64))]),
        )
    })
    .await;
    let request = Prometheus {
        days: Some(2),
        step_s: Some(60),
        ..request(&server.url())
    };
    let observed = ask(&request).await.unwrap();
    assert!(observed.warnings.is_empty(), "{:?}", observed.warnings);
    let found = values(&observed.value, "eu", "shop/cart");
    assert_eq!(found.len(), 2880);
    assert!(
        found.iter().all(|v| !v.is_nan()),
        "no gap, and no step twice"
    );
    assert!(found.windows(2).all(|w| w[1] == w[0] + 1.0 || w[1] == 0.0));
    // A server to which nothing is small enough is told so.
    let never =
        Server::start(|_, _| Reply::Answer(422, failure("exceeded maximum resolution"))).await;
    let error = ask(&Prometheus {
        url: never.url(),
        ..request
    })
    .await
    .unwrap_err();
    insta::assert_snapshot!(told(&error, &never), @"Prometheus at http://127.0.0.1:PORT answers 422: exceeded maximum resolution; the server cannot carry the query out: give a cheaper query (a recording rule) or raise step_s");
}

#[tokio::test]
async fn what_may_pass_is_asked_again_and_what_may_not_is_not() {
    for (status, times) in [
        (500, 3),
        (503, 3),
        (429, 3),
        (400, 1),
        (401, 1),
        (403, 1),
        (404, 1),
    ] {
        let server = Server::start(move |_, _| Reply::Answer(status, failure("no"))).await;
        let error = ask(&request(&server.url())).await.unwrap_err();
        assert_eq!(server.asked().len(), times, "{status}");
        assert_eq!(error.is_outside(), times == 3, "{status}");
        assert!(matches!(error, ObserveError::PrometheusRefused { status: s, .. } if s == status));
    }
    // Once more is enough; the wait that the server names is taken and not the much longer one of its own.
    let server = Server::start(|asked, before| match before {
        0 => Reply::With(503, "retry-after: 0", failure("starting")),
        _ => Reply::Answer(200, matrix(asked, &[(CART, &|_| Some(1.0))])),
    })
    .await;
    let patience = Patience {
        first_wait: Duration::from_secs(3600),
        ..quick()
    };
    let request = request(&server.url());
    let answered = query_with(&request, at(AS_OF), Path::new("/"), patience);
    let answered = tokio::time::timeout(Duration::from_secs(8), answered).await;
    assert!(answered.expect("retry-after is followed").is_ok());
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let mut told_all = String::new();
    for (status, body) in [
        (
            400,
            failure("invalid parameter \"query\": 1:5: parse error: unexpected <by>"),
        ),
        (401, "Unauthorized".into()),
        (403, failure("")),
        (404, "404 page not found".into()),
        (422, failure("query timed out in expression evaluation")),
        (429, failure("too many requests")),
        (500, failure("no space left on device")),
        (502, "<html><body>Bad Gateway</body></html>".into()),
        (304, String::new()),
        (418, String::new()),
        (200, "<!DOCTYPE html><title>Grafana</title>".into()),
        (200, failure("it went wrong")),
        (200, "{\"status\":\"success\"}".into()),
        (200, success("string", Vec::new())),
        (
            200,
            success(
                "matrix",
                vec![serde_json::json!({ "metric": {}, "values": [[1, 2]] })],
            ),
        ),
    ] {
        let server = Server::start(move |_, _| Reply::Answer(status, body.clone())).await;
        let error = ask(&request(&server.url())).await.unwrap_err();
        writeln!(told_all, "{}", told(&error, &server)).unwrap();
    }
    insta::assert_snapshot!(told_all, @r##"
Prometheus at http://127.0.0.1:PORT answers 400: invalid parameter "query": 1:5: parse error: unexpected <by>; mend prometheus.query (try it in the expression browser)
Prometheus at http://127.0.0.1:PORT answers 401: give bearer_token, or username and password, that the server knows
Prometheus at http://127.0.0.1:PORT answers 403: this user may not query: give another bearer_token or username
Prometheus at http://127.0.0.1:PORT answers 404: check that url is the server's root (the part before /api/v1)
Prometheus at http://127.0.0.1:PORT answers 422: query timed out in expression evaluation; the server cannot carry the query out: give a cheaper query (a recording rule) or raise step_s
Prometheus at http://127.0.0.1:PORT answers 429: too many requests; the server limits queries: try again later, raise step_s or lower days
Prometheus at http://127.0.0.1:PORT answers 500: no space left on device; the server fails: look at its log, or try again later
Prometheus at http://127.0.0.1:PORT answers 502: the server fails: look at its log, or try again later
Prometheus at http://127.0.0.1:PORT answers 304: the server redirects: give the address that it names as url
Prometheus at http://127.0.0.1:PORT answers 418: check url and query
Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: expected value at line 1 column 1; check that url is the server's root (the part before /api/v1)
Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: status "error": it went wrong; check that url is the server's root (the part before /api/v1)
Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: it holds no data; check that url is the server's root (the part before /api/v1)
Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: the query answers a string, not series; check that url is the server's root (the part before /api/v1)
Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: invalid type: integer `2`, expected a number as text at line 1 column 46; check that url is the server's root (the part before /api/v1)
"##);
}

#[tokio::test]
async fn an_answer_that_ends_in_the_middle_is_not_used() {
    let server = Server::start(|asked, _| {
        let body = matrix(asked, &[(CART, &|_| Some(1.0))]);
        Reply::Cut(body)
    })
    .await;
    let error = ask(&request(&server.url())).await.unwrap_err();
    assert!(
        matches!(
            error,
            ObserveError::PrometheusUnreachable { attempts: 3, .. }
        ),
        "{error}"
    );
    assert_eq!(server.asked().len(), 3);
    // Cut by someone between who then tells a length that fits.
    let server = Server::start(|asked, _| {
        let body = matrix(asked, &[(CART, &|_| Some(1.0))]);
        Reply::Answer(200, body[..body.len() / 2].into())
    })
    .await;
    let error = ask(&request(&server.url())).await.unwrap_err();
    insta::assert_snapshot!(told(&error, &server), @"Prometheus at http://127.0.0.1:PORT gave an answer that is not the Prometheus HTTP API's: the answer ends in the middle; check that url is the server's root (the part before /api/v1)");
}

#[tokio::test]
async fn a_server_that_is_slow_or_down_is_named() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let patience = Patience {
        timeout: Some(Duration::from_millis(30)),
        ..quick()
    };
    let error = query_with(&request(&server.url()), at(AS_OF), Path::new("/"), patience)
        .await
        .unwrap_err();
    insta::assert_snapshot!(told(&error, &server), @"Prometheus at http://127.0.0.1:PORT did not answer within 30 s, 3 times; raise prometheus.timeout_s, raise step_s, lower days, or give a cheaper query (a recording rule)");
    assert!(error.is_outside());
    // A port that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let error = ask(&request(&format!("http://127.0.0.1:{port}")))
        .await
        .unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&port.to_string(), "PORT"), @"Prometheus at http://127.0.0.1:PORT cannot be reached after 3 attempts: Connection refused (os error 111); check the address, the network and that the server is up");
    assert!(error.is_outside());
}

#[tokio::test]
async fn one_chunk_may_be_missing_and_is_said_but_not_two() {
    // 6000 steps: three chunks.
    let fails =
        |ms: i64, which: &[i64], first: i64| which.contains(&((ms - first) / 60_000 / 2000));
    for (which, works) in [
        (vec![1], true),
        (vec![2], true),
        (vec![0], false),
        (vec![1, 2], false),
    ] {
        let bad = which.clone();
        let server = Server::start(move |asked, _| {
            let first = at(AS_OF).as_millisecond() - 1 - 5759 * 60_000;
            if fails(asked.ms("start"), &bad, first) {
                return Reply::Answer(503, failure("store gateway is away"));
            }
            Reply::Answer(200, matrix(asked, &[(CART, &|_| Some(2.0))]))
        })
        .await;
        let request = Prometheus {
            days: Some(4),
            step_s: Some(60),
            ..request(&server.url())
        };
        let observed = ask(&request).await;
        assert_eq!(observed.is_ok(), works, "{which:?}");
        let Ok(observed) = observed else { continue };
        let found = values(&observed.value, "eu", "shop/cart");
        let gaps = found.iter().filter(|v| v.is_nan()).count();
        if which == [1] {
            assert_eq!((found.len(), gaps), (5760, 2000));
            insta::assert_snapshot!(texts(&observed.warnings, &server), @r##"
Caution prometheus_chunk_failed | http://127.0.0.1:PORT | nothing could be read between 2026-11-17T09:20:00Z and 2026-11-18T18:40:00Z, these steps are gaps: Prometheus at http://127.0.0.1:PORT answers 503: store gateway is away; the server fails: look at its log, or try again later
Caution history_gaps | http://127.0.0.1:PORT | 1 of 1 series of requests_per_second have missing steps, the worst is eu/shop/cart: 2000 of 5760 steps (34.7%), the first at 2026-11-17T09:20:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
"##);
        } else {
            assert_eq!((found.len(), gaps), (4000, 0));
            assert_eq!(observed.warnings[0].code, "prometheus_chunk_failed");
        }
    }
}

#[tokio::test]
async fn odd_series_are_used_as_far_as_they_go() {
    let server = Server::start(|asked, _| {
        let hour = |ms: i64| (ms / 3_600_000) % 24;
        let mut body: serde_json::Value = serde_json::from_str(&matrix(
            asked,
            &[
                (CART, &|ms| (hour(ms) != 4).then_some(1.0)),
                // The same pair from another Prometheus of the pair: summed.
                (
                    &[("region", "eu"), ("service", "shop/cart"), ("replica", "b")],
                    &|_| Some(2.0),
                ),
                (&[("region", "eu"), ("service", "web")], &|ms| {
                    Some(match hour(ms) {
                        1 => f64::NAN,
                        2 => f64::INFINITY,
                        3 => -1.0,
                        _ => 5.0,
                    })
                }),
                (&[("job", "x"), ("service", "web")], &|_| Some(7.0)),
                (&[("region", "eu"), ("service", "")], &|_| Some(7.0)),
                (&[("region", "eu"), ("service", "shop/unknown")], &|_| {
                    Some(7.0)
                }),
                (&[("region", "bad region!"), ("service", "web")], &|_| {
                    Some(7.0)
                }),
                (&[("region", "eu"), ("service", "late")], &|_| None),
            ],
        ))
        .unwrap();
        body["warnings"] = serde_json::json!([
            "PromQL warning: one store failed",
            "PromQL warning: one store failed"
        ]);
        Reply::Answer(200, body.to_string())
    })
    .await;
    let observed = ask(&request(&server.url())).await.unwrap();
    assert_eq!(observed.value.series.len(), 2);
    let cart = values(&observed.value, "eu", "shop/cart");
    assert_eq!(
        (cart.len(), cart.iter().filter(|v| **v == 3.0).count()),
        (24, 23)
    );
    let web = values(&observed.value, "eu", "web");
    assert_eq!(web.iter().filter(|v| v.is_nan()).count(), 3);
    insta::assert_snapshot!(texts(&observed.warnings, &server), @r##"
Caution prometheus_warning | http://127.0.0.1:PORT | the server answers in part: PromQL warning: one store failed
Caution history_not_finite | http://127.0.0.1:PORT | 2 samples NaN or infinite; treated as missing
Caution history_negative_values | http://127.0.0.1:PORT | 1 sample below 0; treated as missing: use rate() or increase() and not a difference
Caution prometheus_series_unnamed | http://127.0.0.1:PORT | 4 answered lines without usable labels region and service; they are left out
Caution prometheus_series_summed | http://127.0.0.1:PORT | 1 pair of region and service have several series (eu/shop/cart has 2), which are summed; write sum by (region, service) (…) to be sure what is meant
Caution history_gaps | http://127.0.0.1:PORT | 1 of 2 series of requests_per_second have missing steps, the worst is eu/web: 3 of 24 steps (12.5%), the first at 2026-11-19T01:00:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
"##);
}

#[tokio::test]
async fn answers_without_usable_series_say_why() {
    let mut told_all = String::new();
    let unlabelled: &[(&str, &str)] = &[("job", "istio"), ("pod", "a")];
    for labels in [None, Some(unlabelled), Some(&[])] {
        let server = Server::start(move |asked, _| {
            let value = |_| Some(1.0);
            let series: Vec<Told<'_>> = labels.into_iter().map(|l| (l, &value as _)).collect();
            Reply::Answer(200, matrix(asked, &series))
        })
        .await;
        let error = ask(&request(&server.url())).await.unwrap_err();
        writeln!(told_all, "{}", told(&error, &server)).unwrap();
    }
    insta::assert_snapshot!(told_all, @r##"
Prometheus at http://127.0.0.1:PORT: the query answers no value between 2026-11-19T00:00:00Z and 2026-11-20T00:00:00Z: sum by (region, service) (label_join(rate(istio_requests_total{reporter="destination"}[3600s]), "service", "/", "destination_service_namespace", "destination_service_name")); try it in the expression browser, and wrap a gauge that is written rarely in last_over_time(…[$step])
Prometheus at http://127.0.0.1:PORT: the query answers series without the labels region and service; the first has job, pod. Set region_label and service_label to the labels that name them, or add them in the query: label_replace(…, "region", "eu-west-1", "", "")
Prometheus at http://127.0.0.1:PORT: the query answers series without the labels region and service; the first has no label. Set region_label and service_label to the labels that name them, or add them in the query: label_replace(…, "region", "eu-west-1", "", "")
"##);
}

#[tokio::test]
async fn history_that_begins_late_or_pauses_is_said() {
    let server = Server::start(|asked, _| {
        let begin = at("2026-11-14T00:00:00Z").as_millisecond();
        let pause = at("2026-11-16T00:00:00Z").as_millisecond();
        let end = at("2026-11-18T00:00:00Z").as_millisecond();
        let known = move |ms: i64| (ms >= begin && !(pause..end).contains(&ms)).then_some(1.0);
        let instants = asked.instants();
        let any = instants.iter().any(|ms| known(*ms).is_some());
        let series: &[Told<'_>] = &[(CART, &known)];
        Reply::Answer(200, matrix(asked, if any { series } else { &[] }))
    })
    .await;
    let request = Prometheus {
        days: Some(10),
        step_s: Some(60),
        ..request(&server.url())
    };
    let observed = ask(&request).await.unwrap();
    insta::assert_snapshot!(texts(&observed.warnings, &server), @r##"
Note prometheus_history_short | http://127.0.0.1:PORT | values begin at 2026-11-14T00:00:00Z, 14400 steps were asked for from 2026-11-10T00:00:00Z: the server keeps no more
Caution history_gaps | http://127.0.0.1:PORT | 1 of 1 series of requests_per_second have missing steps, the worst is eu/shop/cart: 2880 of 8640 steps (33.3%), the first at 2026-11-16T00:00:00Z; missing steps are gaps and not zeros: fill them in the export if values exist
"##);
}

#[tokio::test]
async fn own_queries_labels_and_long_texts_are_passed_on() {
    let server = Server::start(|asked, _| {
        let labels = &[("cluster", "eu"), ("app", "cart")];
        Reply::Answer(200, matrix(asked, &[(labels, &|_| Some(1.0))]))
    })
    .await;
    let long = format!(
        "sum by (cluster, app) (rate(x{{p=~\"{}\"}}[$step]))",
        "a|".repeat(1500)
    );
    for (query, method) in [("rate(x[$step])", "GET"), (long.as_str(), "POST")] {
        let request = Prometheus {
            url: format!("{}/prometheus/api/v1/", server.url()),
            query: Some(query.into()),
            region_label: Some("cluster".into()),
            service_label: Some("app".into()),
            ..request("")
        };
        let observed = ask(&request).await.unwrap();
        assert_eq!(values(&observed.value, "eu", "cart"), [1.0; 24]);
        let asked = server.asked().pop().unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.path.as_str()),
            (method, "/prometheus/api/v1/query_range")
        );
        assert_eq!(asked.parameters["query"], query.replace("$step", "3600s"));
    }
}

#[test]
fn a_saved_answer_is_read_without_a_server() {
    let body = success(
        "matrix",
        vec![serde_json::json!({
            "metric": { "region": "eu", "service": "shop/cart" },
            "values": [[at(AS_OF).as_second() - 3600, "4"], [at(AS_OF).as_second(), "5"], [at(AS_OF).as_second() + 1, "6"]],
        })],
    );
    let observed =
        parse_prometheus_answer(body.as_bytes(), &request("http://saved"), at(AS_OF)).unwrap();
    assert_eq!(values(&observed.value, "eu", "shop/cart"), [4.0, 5.0]);
    assert!(parse_prometheus_answer(b"{", &request("http://saved"), at(AS_OF)).is_err());
}
