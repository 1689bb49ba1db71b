//! What a port speaks: its `appProtocol`, its name by Istio's rule (`grpc-web`, `http2-api`), or a well known number.

use foremesh_model::Protocol;

use crate::yaml::Node;

/// The port through which a service serves requests, and what it speaks where that is known. Ports of metrics and
/// administration are passed over where there is another.
pub(super) fn main_port(ports: &[Node]) -> (Option<u16>, Option<Protocol>) {
    let aside = |port: &&Node| {
        let name = port.text_at(&["name"]).unwrap_or_default().to_lowercase();
        [
            "prom",
            "metric",
            "admin",
            "health",
            "status",
            "debug",
            "profil",
            "exporter",
            "management",
        ]
        .iter()
        .any(|word| name.contains(word))
    };
    let udp = |port: &&Node| port.text_at(&["protocol"]) == Some("UDP");
    let candidates = || ports.iter().filter(|p| !udp(p));
    let Some(port) = candidates()
        .find(|p| !aside(p))
        .or_else(|| candidates().next())
    else {
        return (None, None);
    };
    let number = port.get("port").and_then(Node::number);
    let number = number
        .filter(|n| (1.0..65536.0).contains(n))
        .map(|n| n as u16);
    (number, protocol(port, number))
}

fn protocol(port: &Node, number: Option<u16>) -> Option<Protocol> {
    if let Some(declared) = port.text_at(&["appProtocol"]) {
        let word = declared.rsplit('/').next().unwrap_or(declared);
        if let Some(protocol) = by_word(word) {
            return Some(protocol);
        }
    }
    let name = port.text_at(&["name"]).unwrap_or_default();
    by_word(name.split('-').next().unwrap_or_default()).or_else(|| by_number(number?))
}

fn by_word(word: &str) -> Option<Protocol> {
    match word.to_ascii_lowercase().as_str() {
        "grpc" | "grpcs" => Some(Protocol::Grpc),
        "http2" | "h2" | "h2c" => Some(Protocol::Http2),
        "http" | "https" | "ws" | "wss" | "web" => Some(Protocol::Http),
        "tcp" | "tls" | "mongo" | "mysql" | "redis" | "postgres" | "postgresql" | "amqp"
        | "kafka" | "memcached" | "cassandra" | "nats" => Some(Protocol::Tcp),
        _ => None,
    }
}

fn by_number(port: u16) -> Option<Protocol> {
    match port {
        80 | 8080 | 443 | 8443 => Some(Protocol::Http),
        1433 | 2181 | 3306 | 4222 | 5432 | 5671 | 5672 | 6379 | 6380 | 9042 | 9092 | 11211
        | 27017 => Some(Protocol::Tcp),
        _ => None,
    }
}
