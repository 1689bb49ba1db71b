//! Asking a server over HTTP: authentication, TLS, timeouts, a limit on size and bounded repeats, for every reader that asks one.
//!
//! What went wrong is told without names: each reader says in its own words what was asked and how to mend it, and never a secret.

#[cfg(test)]
pub(crate) mod server;

use std::{path::Path, time::Duration};

use reqwest::{Certificate, RequestBuilder, StatusCode, Url};

/// Seconds that one request may take where nobody says.
const DEFAULT_TIMEOUT_S: u32 = 30;
/// The longest wait that a server's Retry-After is followed for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
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

/// Where a server is and how it is asked, as the user wrote it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Access<'a> {
    pub url: &'a str,
    pub bearer_token: Option<&'a str>,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
    /// Relative to the base.
    pub ca_file: Option<&'a str>,
    pub timeout_s: Option<u32>,
    /// How an address looks, for who wrote none.
    pub example: &'a str,
}

/// A field of an [`Access`] that cannot be used.
#[derive(Debug)]
pub(crate) struct FieldFault {
    pub field: &'static str,
    /// What is wrong and how to mend it.
    pub cause: String,
}

/// Why nothing was answered.
#[derive(Debug)]
pub(crate) enum HttpFault {
    /// The server cannot be reached, or breaks off.
    Unreachable {
        attempts: u32,
        cause: String,
        /// Its certificate is not trusted.
        untrusted: bool,
    },
    /// The server is too slow.
    Slow { timeout_s: u32, attempts: u32 },
    /// The server refuses.
    Status { status: StatusCode, body: Vec<u8> },
    /// The answer is larger than what is read.
    TooLarge,
}

/// What one attempt came to.
enum Attempt {
    Done(Vec<u8>),
    /// Not worth a repeat.
    Refused(HttpFault),
    /// Worth a repeat, after the wait that the server asks for.
    Failed(HttpFault, Option<Duration>),
}

enum Auth {
    None,
    Bearer(String),
    Basic(String, Option<String>),
}

/// A server that can be asked.
pub(crate) struct HttpClient {
    http: reqwest::Client,
    auth: Auth,
    timeout_s: u32,
    patience: Patience,
    most_bytes: usize,
}

impl HttpClient {
    /// The client, and the address without user, password and fragment.
    pub fn new(
        access: &Access<'_>,
        base: &Path,
        patience: Patience,
        most_bytes: usize,
    ) -> Result<(Self, Url), FieldFault> {
        let refuse = |field, cause: String| FieldFault { field, cause };
        let example = access.example;
        let mut url = Url::parse(access.url.trim())
            .map_err(|e| refuse("url", format!("{e}; write it as {example}")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            let cause = format!("it is neither http nor https; write it as {example}");
            return Err(refuse("url", cause));
        }
        let mut auth = match (access.bearer_token, access.username) {
            (Some(_), Some(_)) => {
                return Err(refuse(
                    "bearer_token",
                    "bearer_token and username exclude each other: give one".into(),
                ));
            }
            (Some(token), None) => Auth::Bearer(token.into()),
            (None, Some(user)) => Auth::Basic(user.into(), access.password.map(str::to_owned)),
            (None, None) if access.password.is_some() => {
                return Err(refuse("password", "a password needs a username".into()));
            }
            (None, None) => Auth::None,
        };
        if !url.username().is_empty() {
            if matches!(auth, Auth::None) {
                auth = Auth::Basic(url.username().into(), url.password().map(str::to_owned));
            }
            // Both only fail for addresses without a host, which were refused above.
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        url.set_fragment(None);
        let timeout_s = access.timeout_s.unwrap_or(DEFAULT_TIMEOUT_S);
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
        if let Some(file) = access.ca_file {
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
        let client = Self {
            http,
            auth,
            timeout_s,
            patience,
            most_bytes,
        };
        Ok((client, url))
    }

    /// The body of a successful answer to what `request` makes, asked again where that may help.
    pub async fn ask(
        &self,
        request: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Vec<u8>, HttpFault> {
        let mut attempt = 1;
        loop {
            match self.attempt(request(&self.http), attempt).await {
                Attempt::Done(body) => return Ok(body),
                Attempt::Refused(fault) => return Err(fault),
                Attempt::Failed(fault, _) if attempt >= self.patience.attempts => {
                    return Err(fault);
                }
                Attempt::Failed(_, wait) => {
                    tracing::debug!(attempt, "asking a server again");
                    let own = self.patience.first_wait * 2u32.saturating_pow(attempt - 1);
                    tokio::time::sleep(wait.unwrap_or(own).min(LONGEST_WAIT)).await;
                    attempt += 1;
                }
            }
        }
    }

    async fn attempt(&self, request: RequestBuilder, attempt: u32) -> Attempt {
        let request = match &self.auth {
            Auth::None => request,
            Auth::Bearer(token) => request.bearer_auth(token),
            Auth::Basic(user, password) => request.basic_auth(user, password.as_ref()),
        };
        let mut response = match request.send().await {
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
                Ok(Some(chunk)) if body.len() + chunk.len() > self.most_bytes => {
                    return Attempt::Refused(HttpFault::TooLarge);
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Attempt::Failed(self.unreachable(error, attempt), None),
            }
        }
        if status.is_success() {
            return Attempt::Done(body);
        }
        let refused = HttpFault::Status { status, body };
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            Attempt::Failed(refused, wait)
        } else {
            Attempt::Refused(refused)
        }
    }

    fn unreachable(&self, error: reqwest::Error, attempts: u32) -> HttpFault {
        if error.is_timeout() {
            return HttpFault::Slow {
                timeout_s: self.timeout_s,
                attempts,
            };
        }
        let cause = innermost(&error.without_url());
        HttpFault::Unreachable {
            untrusted: cause.contains("certificate") || cause.contains("UnknownIssuer"),
            attempts,
            cause,
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
