//! One request to the server: authentication, TLS, timeouts, bounded retries, and errors that name the address and the cure
//! and never a secret.

use std::{path::Path, time::Duration};

use foremesh_model::Prometheus;
use reqwest::{Certificate, RequestBuilder, StatusCode, Url};

use super::answer::{Answer, parse};
use crate::ObserveError;

/// Seconds that one query may take where the request does not say.
const DEFAULT_TIMEOUT_S: u32 = 30;
/// A body that is larger is refused: chunks are planned to stay far below.
const MOST_BODY_BYTES: usize = 256 << 20;
/// Longer queries are posted: proxies limit the length of an address.
const LONGEST_GET: usize = 2000;
/// The longest wait that a server's Retry-After is followed for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub attempts: u32,
    /// The wait before the first repeat; it doubles.
    pub first_wait: Duration,
    /// Overrides the request's timeout.
    pub timeout: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(500),
            timeout: None,
        }
    }
}

/// A server.
pub(super) struct Client {
    http: reqwest::Client,
    root: Url,
    /// Scheme, host, port and path, for diagnostics: never with user or password.
    pub address: String,
    auth: Auth,
    timeout_s: u32,
    patience: Patience,
}

enum Auth {
    None,
    Bearer(String),
    Basic(String, Option<String>),
}

/// What one attempt came to.
enum Attempt {
    Done(Answer),
    /// Not worth a repeat.
    Refused(ObserveError),
    /// Worth a repeat, after the wait that the server asks for.
    Failed(ObserveError, Option<Duration>),
}

impl Client {
    pub fn new(
        request: &Prometheus,
        base: &Path,
        patience: Patience,
    ) -> Result<Self, ObserveError> {
        let refuse = |field, cause: String| ObserveError::PrometheusRequest { field, cause };
        let example = "write it as https://prometheus.example:9090";
        let mut root =
            Url::parse(request.url.trim()).map_err(|e| refuse("url", format!("{e}; {example}")))?;
        if !matches!(root.scheme(), "http" | "https") || root.host_str().is_none() {
            return Err(refuse(
                "url",
                format!("it is neither http nor https; {example}"),
            ));
        }
        let mut auth = match (&request.bearer_token, &request.username) {
            (Some(_), Some(_)) => {
                return Err(refuse(
                    "bearer_token",
                    "bearer_token and username exclude each other: give one".into(),
                ));
            }
            (Some(token), None) => Auth::Bearer(token.clone()),
            (None, Some(user)) => Auth::Basic(user.clone(), request.password.clone()),
            (None, None) if request.password.is_some() => {
                return Err(refuse("password", "a password needs a username".into()));
            }
            (None, None) => Auth::None,
        };
        if !root.username().is_empty() {
            if matches!(auth, Auth::None) {
                auth = Auth::Basic(root.username().into(), root.password().map(str::to_owned));
            }
            // Both only fail for addresses without a host, which were refused above.
            let _ = root.set_username("");
            let _ = root.set_password(None);
        }
        root.set_query(None);
        root.set_fragment(None);
        let path = root
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/api/v1")
            .to_owned();
        root.set_path(&path);
        let timeout_s = request.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
        if timeout_s == 0 {
            return Err(refuse("timeout_s", "it must be at least 1".into()));
        }
        let timeout = patience
            .timeout
            .unwrap_or_else(|| Duration::from_secs(timeout_s.into()));
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .user_agent(concat!("foremesh/", env!("CARGO_PKG_VERSION")));
        if let Some(file) = &request.ca_file {
            let path = base.join(file);
            let refuse_file = |cause: String| {
                refuse(
                    "ca_file",
                    format!(
                        "{}: {cause}; give the PEM file of the authority that signed the server's certificate",
                        path.display()
                    ),
                )
            };
            let pem = std::fs::read(&path).map_err(|e| refuse_file(e.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|certificates| !certificates.is_empty())
                .ok_or_else(|| refuse_file("it holds no certificate in PEM form".into()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder
            .build()
            .map_err(|e| refuse("ca_file", innermost(&e.without_url())))?;
        Ok(Self {
            http,
            address: root.as_str().trim_end_matches('/').to_owned(),
            root,
            auth,
            timeout_s,
            patience,
        })
    }

    /// Asks `path` below `/api/v1/`, again where that may help.
    pub async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Answer, ObserveError> {
        let mut attempt = 1;
        loop {
            match self.attempt(path, parameters, attempt).await {
                Attempt::Done(answer) => return Ok(answer),
                Attempt::Refused(error) => return Err(error),
                Attempt::Failed(error, _) if attempt >= self.patience.attempts => {
                    return Err(error);
                }
                Attempt::Failed(error, wait) => {
                    tracing::debug!(attempt, %error, "asking Prometheus again");
                    let own = self.patience.first_wait * 2u32.saturating_pow(attempt - 1);
                    tokio::time::sleep(wait.unwrap_or(own).min(LONGEST_WAIT)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn attempt(&self, path: &str, parameters: &[(&str, String)], attempt: u32) -> Attempt {
        let mut response = match self.request(path, parameters).send().await {
            Ok(response) => response,
            Err(error) => return Attempt::Failed(self.unreachable(error, attempt), None),
        };
        let status = response.status();
        let wait = response
            .headers()
            .get("retry-after")
            .and_then(|v| v.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > MOST_BODY_BYTES => {
                    return Attempt::Refused(self.answer_error(
                        "the answer is larger than 256 MiB: group the query by region and service, or raise step_s",
                    ));
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Attempt::Failed(self.unreachable(error, attempt), None),
            }
        }
        if status.is_success() {
            return match parse(&body) {
                Ok(answer) => Attempt::Done(answer),
                Err(cause) => Attempt::Refused(self.answer_error(&cause)),
            };
        }
        let refused = ObserveError::PrometheusRefused {
            address: self.address.clone(),
            status: status.as_u16(),
            cause: explain(status, &body),
        };
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Attempt::Failed(refused, wait)
        } else {
            Attempt::Refused(refused)
        }
    }

    fn request(&self, path: &str, parameters: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.root.clone();
        url.set_path(&format!(
            "{}/api/v1/{path}",
            self.root.path().trim_end_matches('/')
        ));
        let long = parameters
            .iter()
            .map(|(_, value)| value.len())
            .sum::<usize>()
            > LONGEST_GET;
        let request = if long {
            self.http.post(url).form(parameters)
        } else {
            self.http.get(url).query(parameters)
        };
        match &self.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(user, password) => request.basic_auth(user, password.as_ref()),
        }
    }

    fn unreachable(&self, error: reqwest::Error, attempts: u32) -> ObserveError {
        if error.is_timeout() {
            return ObserveError::PrometheusSlow {
                address: self.address.clone(),
                timeout_s: self.timeout_s,
                attempts,
            };
        }
        let mut cause = innermost(&error.without_url());
        if cause.contains("certificate") || cause.contains("UnknownIssuer") {
            cause.push_str(
                " (set prometheus.ca_file to the authority that signed the server's certificate)",
            );
        }
        ObserveError::PrometheusUnreachable {
            address: self.address.clone(),
            attempts,
            cause,
        }
    }

    fn answer_error(&self, cause: &str) -> ObserveError {
        ObserveError::PrometheusAnswer {
            address: self.address.clone(),
            cause: cause.into(),
        }
    }
}

/// The last cause in a chain: the one that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// What the server says, and how to mend it.
fn explain(status: StatusCode, body: &[u8]) -> String {
    let said = super::answer::error_text(body);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("{said}; ")
    };
    let cure = match status.as_u16() {
        401 => "give bearer_token, or username and password, that the server knows",
        403 => "this user may not query: give another bearer_token or username",
        404 => "check that url is the server's root (the part before /api/v1)",
        400 => "mend prometheus.query (try it in the expression browser)",
        422 => {
            "the server cannot carry the query out: give a cheaper query (a recording rule) or raise step_s"
        }
        429 => "the server limits queries: try again later, raise step_s or lower days",
        300..=399 => "the server redirects: give the address that it names as url",
        500..=599 => "the server fails: look at its log, or try again later",
        _ => "check url and query",
    };
    format!("{said}{cure}")
}
