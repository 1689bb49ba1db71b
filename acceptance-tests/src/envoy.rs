//! A real Envoy: it validates a configuration, or runs one with every port moved to a free one.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{Finished, process::Running, process::run};

/// Where a cluster's traffic goes in a test.
pub type EnvoyPlace = SocketAddr;

/// A running Envoy; it stops when dropped.
#[derive(Debug)]
pub struct Envoy {
    admin: SocketAddr,
    listeners: BTreeMap<String, SocketAddr>,
    started: Instant,
    process: Running,
    _folder: TempDir,
}

impl Envoy {
    /// `envoy --mode validate`.
    pub fn validate(program: &Path, config: &Path) -> Finished {
        run(Command::new(program)
            .args(["--mode", "validate", "--log-level", "error", "-c"])
            .arg(config))
    }

    /// Reads a configuration as written by the renderer, YAML or JSON.
    ///
    /// # Panics
    /// When it is neither.
    pub fn read(config: &Path) -> Value {
        let text =
            fs::read_to_string(config).unwrap_or_else(|e| panic!("{}: {e}", config.display()));
        serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", config.display()))
    }

    /// Runs a bootstrap configuration with every listener and the admin interface on a free port of this machine, and with
    /// the endpoints of each cluster that `places` names replaced by that one. Nothing else is touched: the filters, limits and thresholds
    /// under test are those of the configuration. Returns when Envoy has started its workers.
    ///
    /// # Panics
    /// With Envoy's words when it does not start.
    pub async fn start(
        program: PathBuf,
        mut config: Value,
        places: &BTreeMap<String, EnvoyPlace>,
    ) -> Self {
        move_to_this_machine(&mut config, places);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (file, admin_file) = (
            folder.path().join("envoy.json"),
            folder.path().join("admin-address"),
        );
        fs::write(&file, config.to_string()).expect("the folder can be written");
        let process = Running::start(
            Command::new(program)
                .args(["--use-dynamic-base-id", "--concurrency", "1"])
                .args(["--log-level", "info", "--admin-address-path"])
                .arg(&admin_file)
                .arg("-c")
                .arg(&file),
        );
        let (process, started) = tokio::task::spawn_blocking(move || {
            process.wait_for(|line| line.contains("starting main dispatch loop"));
            (process, Instant::now())
        })
        .await
        .expect("waiting does not panic unless Envoy ended");
        let admin = fs::read_to_string(admin_file).expect("Envoy has written its admin address");
        let mut envoy = Self {
            admin: admin.trim().parse().expect("an address"),
            listeners: BTreeMap::new(),
            started,
            process,
            _folder: folder,
        };
        let listeners: Value =
            serde_json::from_str(&envoy.admin("listeners?format=json").await).expect("JSON");
        for listener in listeners["listener_statuses"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let address = &listener["local_address"]["socket_address"];
            let name = listener["name"].as_str().unwrap_or_default().to_owned();
            let port = address["port_value"]
                .as_u64()
                .and_then(|p| u16::try_from(p).ok());
            let port = port.expect("a listener has a port");
            envoy
                .listeners
                .insert(name, SocketAddr::from(([127, 0, 0, 1], port)));
        }
        envoy
    }

    /// The address of a listener, as a URL.
    ///
    /// # Panics
    /// When no listener has this name.
    pub fn url(&self, listener: &str) -> String {
        format!("http://{}/", self.address(listener))
    }

    /// The address of a listener.
    ///
    /// # Panics
    /// When no listener has this name.
    pub fn address(&self, listener: &str) -> SocketAddr {
        *self.listeners.get(listener).unwrap_or_else(|| {
            panic!("no listener {listener}: {:?}", self.listeners.keys());
        })
    }

    /// The program's version.
    ///
    /// # Panics
    /// When it cannot be run.
    pub fn version(program: &Path) -> String {
        let said = run(Command::new(program).arg("--version")).stdout;
        // The last word is commit/version/state/kind/library.
        let build = said.split_whitespace().last().unwrap_or_default();
        build.split('/').nth(1).unwrap_or("unknown").to_owned()
    }

    /// When its main loop began: periodic work is counted from there.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The names of the listeners.
    pub fn listeners(&self) -> Vec<&str> {
        self.listeners.keys().map(String::as_str).collect()
    }

    /// What a page of the admin interface says.
    pub async fn admin(&self, page: &str) -> String {
        let url = format!("http://{}/{page}", self.admin);
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = client.get(&url).send().await;
        let answer = answer.unwrap_or_else(|e| panic!("{url}: {e}\n{}", self.process.said()));
        answer.text().await.expect("text")
    }

    /// The counters and gauges whose name ends with `suffix`, summed.
    pub async fn stat(&self, suffix: &str) -> u64 {
        let stats = self.admin("stats").await;
        stats
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.ends_with(suffix))
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .sum()
    }
}

fn move_to_this_machine(config: &mut Value, places: &BTreeMap<String, EnvoyPlace>) {
    let any_port = || json!({ "socket_address": { "address": "127.0.0.1", "port_value": 0 } });
    config["admin"] = json!({ "address": any_port() });
    let resources = &mut config["static_resources"];
    for listener in resources["listeners"].as_array_mut().into_iter().flatten() {
        listener["address"] = any_port();
        // With it the system may give a port that another Envoy of another test listens on, and share requests among both.
        listener["enable_reuse_port"] = false.into();
    }
    for cluster in resources["clusters"].as_array_mut().into_iter().flatten() {
        let name = cluster["name"].as_str().unwrap_or_default().to_owned();
        let Some(place) = places.get(&name) else {
            continue;
        };
        cluster["type"] = "STATIC".into();
        cluster["load_assignment"]["cluster_name"] = name.into();
        cluster["load_assignment"]["endpoints"] = json!([{ "lb_endpoints": [{ "endpoint": {
            "address": { "socket_address": { "address": place.ip().to_string(), "port_value": place.port() } }
        } }] }]);
    }
}
