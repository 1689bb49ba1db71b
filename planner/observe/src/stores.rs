//! Databases, caches and brokers by what they are called: the image of a container, the system that a span names, a service's own name.
//!
//! The lists name what is common; what they miss is caught by its workload (a StatefulSet) or by what it speaks (opaque TCP), and the
//! catalogue has the last word both ways.

use foremesh_model::Protocol;

/// Stores that speak a protocol of their own.
const OWN_PROTOCOL: [&str; 53] = [
    "activemq",
    "aerospike",
    "artemis",
    "cassandra",
    "cockroach",
    "cockroachdb",
    "couchbase",
    "db2",
    "dragonfly",
    "emqx",
    "foundationdb",
    "galera",
    "hazelcast",
    "ignite",
    "kafka",
    "keydb",
    "mariadb",
    "memcache",
    "memcached",
    "mongo",
    "mongod",
    "mongodb",
    "mosquitto",
    "mssql",
    "mysql",
    "mysqld",
    "mysqldb",
    "nats",
    "neo4j",
    "nsqd",
    "oracle",
    // OpenTelemetry's word for a SQL database without a word of its own.
    "other_sql",
    "percona",
    "pgvector",
    "postgis",
    "postgres",
    "postgresql",
    "pulsar",
    "rabbitmq",
    "redis",
    "redpanda",
    "rethinkdb",
    "rocketmq",
    "scylla",
    "scylladb",
    "spilo",
    "tarantool",
    "tidb",
    "tikv",
    "timescaledb",
    "valkey",
    "yugabyte",
    "zookeeper",
];

/// Stores that are called by HTTP or gRPC.
const OVER_HTTP: [&str; 17] = [
    "arangodb",
    "clickhouse",
    "couchdb",
    "cratedb",
    "dynamodb",
    "elasticsearch",
    "etcd",
    "influxdb",
    "meilisearch",
    "milvus",
    "minio",
    "opensearch",
    "qdrant",
    "solr",
    "typesense",
    "weaviate",
    "questdb",
];

/// Words behind the name of a store that say nothing else about it: `mongodb-community-server`, `redis-stack`.
const OF_NO_MEANING: [&str; 17] = [
    "alpine",
    "cluster",
    "community",
    "db",
    "debian",
    "enterprise",
    "ha",
    "headless",
    "local",
    "master",
    "node",
    "oss",
    "primary",
    "server",
    "stack",
    "streaming",
    "ubi8",
];

/// A recognised store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Store {
    /// What it is, for example `redis`.
    pub kind: String,
    /// What it speaks, where only one answer is usual.
    pub protocol: Option<Protocol>,
}

fn by_word(word: &str) -> Option<Store> {
    let known = |list: &[&str]| list.contains(&word);
    if known(&OWN_PROTOCOL) {
        return Some(Store {
            kind: word.into(),
            protocol: Some(Protocol::Tcp),
        });
    }
    known(&OVER_HTTP).then(|| Store {
        kind: word.into(),
        protocol: None,
    })
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// The store that the last word names, words without meaning and versions left out: an exporter, an operator or a console of a store is
/// none, and carries its own word behind the store's.
fn by_last_word(name: &str) -> Option<Store> {
    let words = words(name);
    let last = words.iter().rev().find(|word| {
        !OF_NO_MEANING.contains(&word.as_str()) && !word.chars().all(|c| c.is_ascii_digit())
    })?;
    by_word(last)
}

/// The store that a container's image is: `docker.io/bitnami/redis:7.2`, `mcr.microsoft.com/mssql/server`.
pub(crate) fn by_image(image: &str) -> Option<Store> {
    let image = image.split('@').next().unwrap_or(image);
    let (path, last) = image.rsplit_once('/').unwrap_or(("", image));
    let last = last.split(':').next().unwrap_or(last);
    by_last_word(last).or_else(|| {
        // An image that is called `server` or `db` is named after its folder, or is some database.
        let meaningless = words(last)
            .iter()
            .all(|word| OF_NO_MEANING.contains(&word.as_str()));
        if meaningless {
            return by_last_word(path.rsplit('/').next().unwrap_or(path));
        }
        let database = last.ends_with("-db") || last.ends_with("-database");
        database.then(|| Store {
            kind: "database".into(),
            protocol: None,
        })
    })
}

/// The store that a span's `db.system` or `messaging.system` names. Any is one: what the word is tells the protocol alone.
pub(crate) fn by_system(system: &str) -> Store {
    let word = system.trim().to_ascii_lowercase();
    by_word(&word)
        .or_else(|| by_word(words(&word).first()?))
        .unwrap_or(Store {
            kind: word,
            protocol: None,
        })
}

/// The store that a service's own name begins or ends with: `redis-cart`, `mongodb-geo`, `user-mongodb`. A guess, for services of
/// which nothing else is known.
pub(crate) fn by_name(name: &str) -> Option<Store> {
    by_last_word(name).or_else(|| {
        let words = words(name);
        // `redis-cart` may be a cache of the cart; `redis-exporter` and `kafka-ui` are tools.
        const TOOLS: [&str; 14] = [
            "admin",
            "api",
            "backup",
            "cli",
            "client",
            "commander",
            "connect",
            "console",
            "consumer",
            "exporter",
            "operator",
            "producer",
            "proxy",
            "ui",
        ];
        let tool = words.iter().any(|word| TOOLS.contains(&word.as_str()));
        by_word(words.first().filter(|_| !tool)?)
    })
}

/// The system (as `db.system.name` has it) that a service's own name tells: `redis` for `redis-cart`; None where it tells none.
#[must_use]
pub fn store_system(name: &str) -> Option<String> {
    by_name(name).map(|store| store.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_stores_are_known_and_their_tools_are_not() {
        for (image, kind) in [
            ("redis:alpine", "redis"),
            ("docker.io/bitnami/postgresql:16.2@sha256:aa", "postgresql"),
            ("registry:5000/mongo", "mongo"),
            ("docker.io/istio/examples-bookinfo-mongodb:1.20", "mongodb"),
            ("mcr.microsoft.com/mssql/server:2022-latest", "mssql"),
            ("confluentinc/cp-kafka:7.6", "kafka"),
            ("mongodb/mongodb-community-server:7.0", "mongodb"),
            ("ghcr.io/x/redis7:1", ""),
            ("eclipse-mosquitto:2", "mosquitto"),
            ("clickhouse/clickhouse-server", "clickhouse"),
            ("quay.io/coreos/etcd:v3.5", "etcd"),
            ("weaveworksdemos/catalogue-db:0.3.0", "database"),
            ("oliver006/redis_exporter:v1", ""),
            ("mongo-express", ""),
            ("provectuslabs/kafka-ui", ""),
            ("example/orders-mongo-api:3", ""),
            ("example/cart-server", ""),
            ("", ""),
        ] {
            let found = by_image(image).map(|store| store.kind).unwrap_or_default();
            assert_eq!(found, kind, "{image}");
        }
    }

    #[test]
    fn names_and_systems_tell_what_a_store_speaks() {
        for name in [
            "redis-cart",
            "mongodb-geo",
            "user-mongodb",
            "postgres-0",
            "rabbitmq",
        ] {
            assert_eq!(
                by_name(name).and_then(|store| store.protocol),
                Some(Protocol::Tcp),
                "{name}"
            );
        }
        for name in [
            "kafka-ui",
            "redis-exporter",
            "cart",
            "order-api",
            "mysql-client",
        ] {
            assert_eq!(by_name(name), None, "{name}");
        }
        assert_eq!(by_system("postgresql").protocol, Some(Protocol::Tcp));
        assert_eq!(
            by_system("microsoft.sql_server").kind,
            "microsoft.sql_server"
        );
        assert_eq!(by_system("other_sql").protocol, Some(Protocol::Tcp));
        assert_eq!(by_system("elasticsearch").protocol, None);
    }
}
