//! Lists of events from a server and from files, sound and unsound: what is asked, what is made of it, and what an error says.

use std::{fs, time::Duration};

use super::*;
use crate::http::server::{Reply, Server};

const SECRET: &str = "s3cr3t-w0rd";
const SALE: &str = r#"{"name": "sale", "starts": "2026-11-27T00:00:00Z", "ends": "2026-11-28T00:00:00Z", "uplift": 1.8}"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn quick() -> Patience {
    Patience {
        first_wait: Duration::ZERO,
        ..Patience::default()
    }
}

fn source(source: impl Into<String>) -> EventSource {
    EventSource {
        source: source.into(),
        ..EventSource::default()
    }
}

async fn read(sources: &[EventSource], base: &Path) -> Result<Observed<Vec<Event>>, ObserveError> {
    read_with(sources, at("2026-11-20T00:00:00Z"), base, quick()).await
}

async fn served(body: String) -> (Server, Observed<Vec<Event>>) {
    let server = Server::start(move |_, _| Reply::Answer(200, body.clone())).await;
    let events = read(&[source(server.url())], Path::new("/")).await.unwrap();
    (server, events)
}

async fn refused(source: EventSource, server: &Server) -> String {
    let error = read(&[source], Path::new("/")).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    error.to_string().replace(&server.port.to_string(), "PORT")
}

fn named(events: &[Event]) -> Vec<(&str, Option<f64>)> {
    let named = events
        .iter()
        .map(|event| (event.name.as_str(), event.uplift));
    named.collect()
}

#[tokio::test]
async fn servers_and_files_are_read_in_order_and_asked_with_what_they_need() {
    let server = Server::start(|_, _| Reply::Answer(200, format!("[{SALE}]"))).await;
    let folder = tempfile::tempdir().unwrap();
    let launch = r#"[{"name": "launch", "starts": "2026-11-27T08:00:00+01:00", "ends": "2026-11-27T09:00:00Z", "services": ["shop/web"], "regions": ["eu-west-3"]}]"#;
    // With a byte order mark, as editors on Windows write it.
    fs::write(
        folder.path().join("launch.json"),
        format!("\u{feff}{launch}"),
    )
    .unwrap();
    let with_token = EventSource {
        bearer_token: Some(SECRET.into()),
        ..source(format!("{}/list?year=2026#top", server.url()))
    };
    let asked = [source("launch.json"), with_token];
    let events = read(&asked, folder.path()).await.unwrap();
    assert!(events.warnings.is_empty());
    assert_eq!(
        named(&events.value),
        [("launch", None), ("sale", Some(1.8))]
    );
    assert_eq!(events.value[0].starts, at("2026-11-27T07:00:00Z"));
    assert_eq!(events.value[0].regions[0].as_str(), "eu-west-3");
    let asked = server.asked().pop().unwrap();
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("GET", "/list")
    );
    assert_eq!(asked.parameters["year"], "2026");
    assert_eq!(asked.authorization.unwrap(), format!("Bearer {SECRET}"));
    // No list, no event.
    assert!(read(&[], folder.path()).await.unwrap().value.is_empty());
    assert!(served(" [] ".into()).await.1.value.is_empty());
}

#[tokio::test]
async fn what_was_announced_later_is_not_known() {
    for (since, known) in [
        ("2026-11-19T23:59:59Z", 2),
        ("2026-11-20T00:00:00Z", 2),
        ("2026-11-20T00:00:01Z", 1),
    ] {
        let flash = format!(
            r#"{{"name": "flash", "starts": "2026-11-21T00:00:00Z", "ends": "2026-11-22T00:00:00Z", "uplift": 3, "known_since": "{since}"}}"#
        );
        let (_, events) = served(format!("[{SALE}, {flash}]")).await;
        assert_eq!(events.value.len(), known, "{since}");
        assert_eq!(events.value[0].name, "sale");
    }
    // Not even as the other one of two that disagree.
    let later = SALE.replace("1.8", "9, \"known_since\": \"2026-11-25T00:00:00Z\"");
    for body in [format!("[{SALE}, {later}]"), format!("[{later}, {SALE}]")] {
        let (_, events) = served(body).await;
        assert_eq!(named(&events.value), [("sale", Some(1.8))]);
        assert!(events.warnings.is_empty());
    }
}

#[tokio::test]
async fn of_two_that_agree_the_first_counts() {
    let other = SALE.replace("1.8", "2.5");
    let elsewhere = SALE.replace('}', ", \"regions\": [\"eu-west-3\"]}");
    let (server, events) = served(format!("[{SALE}, {SALE}, {other}, {elsewhere}]")).await;
    assert_eq!(
        named(&events.value),
        [("sale", Some(1.8)), ("sale", Some(1.8))]
    );
    assert_eq!(events.value[1].regions.len(), 1);
    assert_eq!(events.warnings.len(), 1);
    let said = events.warnings[0]
        .text
        .replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(said, @r#"http://127.0.0.1:PORT/ lists "sale" of 2026-11-27T00:00:00Z once more, with another end or uplift: the first one counts; keep one"#);
}

#[tokio::test]
async fn refusals_name_the_list_and_say_what_to_do() {
    let mut told = String::new();
    let entry = |from: &str, to: &str| (200, format!("[{SALE}, {}]", SALE.replace(from, to)));
    for (status, body) in [
        (401, "who are you".to_owned()),
        (403, String::new()),
        (404, "<html>not here".into()),
        (302, String::new()),
        (418, String::new()),
        (429, String::new()),
        (500, "oops".into()),
        (200, "  <!DOCTYPE html><title>Log in</title>".into()),
        (200, format!("{{\"events\": [{SALE}]}}")),
        (200, "\"sale\"".into()),
        (200, String::new()),
        (200, format!("[{SALE},\n {{\"name\":")),
        (200, format!("[{SALE}, 7]")),
        entry("1.8", "\"much\""),
        entry("1.8", "-1"),
        entry("uplift", "up_lift"),
        entry("2026-11-27T00", "2026-11-29T00"),
        entry("2026-11-27T00:00:00Z", "tomorrow"),
        entry("\"name\": \"sale\", ", ""),
        entry("}", ", \"services\": [\"a\", \"\"]}"),
    ] {
        let server = Server::start(move |_, _| Reply::Answer(status, body.clone())).await;
        let asked = source(format!("{}/list?token={SECRET}", server.url()));
        told += &format!("{}\n", refused(asked, &server).await);
        let times = if status >= 429 { 3 } else { 1 };
        assert_eq!(server.asked().len(), times, "{status}");
    }
    insta::assert_snapshot!(told, @r#"
http://127.0.0.1:PORT/list (events[0]) answers 401: give bearer_token, or username and password, that the server knows
http://127.0.0.1:PORT/list (events[0]) answers 403: this user may not read it: give another bearer_token or username
http://127.0.0.1:PORT/list (events[0]) answers 404: nothing is there: check the address
http://127.0.0.1:PORT/list (events[0]) answers 302: the server redirects: give the address that it names
http://127.0.0.1:PORT/list (events[0]) answers 418: check the address
http://127.0.0.1:PORT/list (events[0]) answers 429: the server limits requests: try again later, or give a file
http://127.0.0.1:PORT/list (events[0]) answers 500: the server fails: look at its log, or try again later
http://127.0.0.1:PORT/list: it is a web page (HTML) and not JSON: give the address of the list itself; a page is often what a server answers to who is not logged in
http://127.0.0.1:PORT/list: it holds an object where a list of events is needed: [{"name": "sale", "starts": "2026-11-27T00:00:00Z", "ends": "2026-11-28T00:00:00Z"}]
http://127.0.0.1:PORT/list: it holds a text where a list of events is needed: [{"name": "sale", "starts": "2026-11-27T00:00:00Z", "ends": "2026-11-28T00:00:00Z"}]
http://127.0.0.1:PORT/list, line 1, column 0: not JSON: EOF while parsing a value; mend or export the file again
http://127.0.0.1:PORT/list, line 2, column 9: not JSON: EOF while parsing a value; mend or export the file again
http://127.0.0.1:PORT/list, entry 1: cannot be used: invalid type: integer `7`, expected struct Event
http://127.0.0.1:PORT/list, entry 1 ("sale"): uplift cannot be used: invalid type: string "much", expected f64
http://127.0.0.1:PORT/list, entry 1 ("sale"): uplift must be 0 or more and finite, for example 1.8 for 80% more
http://127.0.0.1:PORT/list, entry 1 ("sale"): up_lift cannot be used: unknown field `up_lift`, expected one of `name`, `starts`, `ends`, `uplift`, `known_since`, `services`, `regions`
http://127.0.0.1:PORT/list, entry 1 ("sale"): ends must lie after starts: swap or correct them
http://127.0.0.1:PORT/list, entry 1 ("sale"): starts cannot be used: failed to parse four digit integer as year: invalid digit, expected 0-9 but got t
http://127.0.0.1:PORT/list, entry 1: cannot be used: missing field `name`
http://127.0.0.1:PORT/list, entry 1 ("sale"): services[1] cannot be used: a service name is empty: give it a name
"#);
}

#[tokio::test]
async fn servers_that_fail_are_outside_and_named_without_secrets() {
    let server = Server::start(|_, before| match before {
        0..3 => Reply::Cut("[".into()),
        _ => Reply::Silence,
    })
    .await;
    let host = format!("127.0.0.1:{}", server.port);
    let address = format!("http://reader:{SECRET}@{host}/e?k={SECRET}");
    let cut = refused(source(&address), &server).await;
    assert!(
        cut.starts_with("http://127.0.0.1:PORT/e (events[0]) cannot be reached after 3"),
        "{cut}"
    );
    let authorization = server.asked()[0].authorization.clone();
    assert!(authorization.unwrap().starts_with("Basic "));
    let impatient = Patience {
        timeout: Some(Duration::from_millis(30)),
        ..quick()
    };
    let as_of = at("2026-11-20T00:00:00Z");
    let asked = [source(&address)];
    let slow = read_with(&asked, as_of, Path::new("/"), impatient)
        .await
        .unwrap_err();
    assert!(matches!(slow, ObserveError::FeedSlow { attempts: 3, .. }) && slow.is_outside());
    assert!(!format!("{slow} {slow:?}").contains(SECRET));
    // A port that was free a moment ago.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let asked = [source(format!("http://127.0.0.1:{port}/e"))];
    let down = read(&asked, Path::new("/")).await.unwrap_err();
    assert!(down.is_outside());
    insta::assert_snapshot!(down.to_string().replace(&port.to_string(), "PORT"), @"http://127.0.0.1:PORT/e (events[0]) cannot be reached after 3 attempts: Connection refused (os error 111); check the address, the network and that the server is up");
}

#[tokio::test]
async fn too_much_is_not_read() {
    let server = Server::start(|_, _| Reply::Answer(200, " ".repeat((16 << 20) + 1))).await;
    let large = refused(source(server.url()), &server).await;
    insta::assert_snapshot!(large, @"http://127.0.0.1:PORT/: it holds more than 16 MiB: give what concerns this plan alone");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("e.json"), vec![b' '; (16 << 20) + 1]).unwrap();
    let large = read(&[source("e.json")], folder.path()).await.unwrap_err();
    assert!(
        large
            .to_string()
            .contains("e.json: it holds more than 16 MiB"),
        "{large}"
    );
}

#[tokio::test]
async fn descriptions_that_contradict_themselves_are_refused() {
    let token = |of: &str| EventSource {
        bearer_token: Some(SECRET.into()),
        ..source(of)
    };
    let mut told = String::new();
    for asked in [
        source(""),
        source("no-such.json"),
        source("https://"),
        token("events.json"),
        EventSource {
            username: Some("u".into()),
            ..token("https://e.example")
        },
        EventSource {
            password: Some(SECRET.into()),
            ..source("https://e.example")
        },
        EventSource {
            timeout_s: Some(0),
            ..source("https://e.example")
        },
        EventSource {
            ca_file: Some("no-such.pem".into()),
            ..source("https://e.example")
        },
    ] {
        let error = read(&[asked], Path::new("/no/such")).await.unwrap_err();
        let said = format!("{error} {error:?}");
        assert!(!said.contains(SECRET) && !error.is_outside(), "{said}");
        told += &format!("{error}\n");
    }
    insta::assert_snapshot!(told, @r#"
events[0]: it names nothing; give a file, or an address as https://promotions.example/events.json
cannot read /no/such/no-such.json: No such file or directory (os error 2); check that it exists and that this user may read it
events[0].source: empty host; write it as https://promotions.example/events.json
events[0].bearer_token: it is for addresses, and "events.json" is a file; write an address as https://promotions.example/events.json
events[0].bearer_token: bearer_token and username exclude each other: give one
events[0].password: a password needs a username
events[0].timeout_s: it must be at least 1
events[0].ca_file: /no/such/no-such.pem: No such file or directory (os error 2); give the PEM file of the authority that signed the server's certificate
"#);
}
