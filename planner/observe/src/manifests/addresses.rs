//! Addresses in text: `cart:7070`, `http://cart.shop.svc/items`, `mongodb://user@orders-db:27017,orders-db-1:27017/x`.

/// A host that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host<'a> {
    pub host: &'a str,
    /// It stands with a scheme or a port: an address and not merely a word.
    pub certain: bool,
}

/// Every host that a text may name, in order.
pub(crate) fn hosts(text: &str) -> Vec<Host<'_>> {
    let is_host = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    // Behind the host of an address comes its path, in which words are no hosts, until the text pauses.
    let mut in_path = false;
    while let Some(byte) = bytes.get(at) {
        if !is_host(*byte) {
            if byte.is_ascii_whitespace()
                || matches!(byte, b',' | b';' | b'"' | b'\'' | b'(' | b'|')
            {
                in_path = false;
            } else if *byte == b'/' && bytes.get(at + 1) == Some(&b'/') {
                in_path = false;
                at += 1;
                while bytes.get(at + 1) == Some(&b'/') {
                    at += 1;
                }
            } else if matches!(byte, b'/' | b'?' | b'#') {
                in_path = true;
            }
            at += 1;
            continue;
        }
        let start = at;
        while bytes.get(at).is_some_and(|b| is_host(*b)) {
            at += 1;
        }
        let host = text[start..at].trim_end_matches('.');
        let scheme = bytes[at..].starts_with(b"://");
        let user = bytes.get(at) == Some(&b'@') || credentials(&bytes[at..]);
        let port = port_behind(&bytes[at..]);
        if in_path || scheme || user || host.is_empty() {
            continue;
        }
        let before = &bytes[..start];
        let certain = port.is_some() || before.ends_with(b"//") || before.ends_with(b"@");
        found.push(Host { host, certain });
        // The digits of the port are no host.
        at += port.unwrap_or(0);
    }
    found
}

/// Whether `:password@` follows.
fn credentials(rest: &[u8]) -> bool {
    if rest.first() != Some(&b':') {
        return false;
    }
    let end = rest
        .iter()
        .position(|b| matches!(b, b'@' | b'/' | b',' | b' '))
        .unwrap_or(rest.len());
    rest.get(end) == Some(&b'@')
}

/// How many bytes `:port` takes, where it follows.
fn port_behind(rest: &[u8]) -> Option<usize> {
    if rest.first() != Some(&b':') {
        return None;
    }
    let digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let ends = rest
        .get(1 + digits)
        .is_none_or(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_')));
    ((1..=5).contains(&digits) && ends).then_some(digits + 1)
}

/// Whether the name of a variable says that its value is where to send requests.
pub(crate) fn names_an_address(variable: &str) -> bool {
    let words: Vec<String> = variable
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_ascii_lowercase)
        .collect();
    let is = |word: &str| words.iter().any(|w| w == word);
    if is("name") && !is("host") {
        return false;
    }
    [
        "host",
        "hosts",
        "hostname",
        "addr",
        "address",
        "addresses",
        "url",
        "urls",
        "uri",
        "endpoint",
        "endpoints",
        "server",
        "servers",
        "broker",
        "brokers",
        "upstream",
        "backend",
        "target",
        "dsn",
    ]
    .iter()
    .any(|word| is(word))
}

/// Whether a variable is about telemetry: what it names gets spans and metrics, and no requests of users.
pub(crate) fn is_telemetry(variable: &str) -> bool {
    let upper = variable.to_ascii_uppercase();
    [
        "OTEL_",
        "JAEGER",
        "ZIPKIN",
        "STATSD",
        "DD_",
        "DATADOG",
        "ELASTIC_APM",
        "SENTRY",
        "PROMETHEUS",
    ]
    .iter()
    .any(|prefix| upper.starts_with(prefix))
        || upper.contains("COLLECTOR")
        || upper.contains("TRACING")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certain(text: &str) -> Vec<&str> {
        hosts(text)
            .into_iter()
            .filter(|h| h.certain)
            .map(|h| h.host)
            .collect()
    }

    #[test]
    fn addresses_are_found_in_all_their_forms() {
        assert_eq!(
            certain("productcatalogservice:3550"),
            ["productcatalogservice"]
        );
        assert_eq!(
            certain("http://cart.shop.svc.cluster.local:80/items/orders:7"),
            ["cart.shop.svc.cluster.local"]
        );
        assert_eq!(certain("dns:///cart:7070"), ["cart"]);
        assert_eq!(
            certain("mongodb://user:pass@orders-db:27017,orders-db-1:27017/x?a=b:1"),
            ["orders-db", "orders-db-1"]
        );
        assert_eq!(certain("jdbc:mysql://db:3306/shop"), ["db"]);
        assert_eq!(
            certain("--backend=http://cart/a http://user/b"),
            ["cart", "user"]
        );
        assert_eq!(certain("amqp://guest@rabbitmq"), ["rabbitmq"]);
        assert!(certain("12:30:45").contains(&"12"));
        assert!(certain("-Xmx128m -Djava.security.egd=file:/dev/urandom").is_empty());
        assert_eq!(
            hosts("mysqldb"),
            [Host {
                host: "mysqldb",
                certain: false
            }]
        );
        assert!(certain("image: a/b:1.2-x").is_empty());
    }

    #[test]
    fn names_of_variables_say_what_they_hold() {
        for name in [
            "CART_SERVICE_ADDR",
            "WEB_HOST",
            "MONGO_DB_URL",
            "KAFKA_BROKERS",
            "cart.url",
        ] {
            assert!(names_an_address(name), "{name}");
        }
        for name in ["OTEL_SERVICE_NAME", "LOG_LEVEL", "ADDRESSEE"] {
            assert!(!names_an_address(name), "{name}");
        }
    }
}
