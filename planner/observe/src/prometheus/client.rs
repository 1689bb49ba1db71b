//! One request to the server, and errors that name the address and the cure and never a secret.

use std::path::Path;

use foremesh_model::Prometheus;
use reqwest::{RequestBuilder, StatusCode, Url};

use super::answer::{Answer, parse};
use crate::{
    ObserveError,
    http::{Access, FieldFault, HttpClient, HttpFault, Patience},
};

/// A body that is larger is refused: chunks are planned to stay far below.
const MOST_BODY_BYTES: usize = 256 << 20;
/// Longer queries are posted: proxies limit the length of an address.
const LONGEST_GET: usize = 2000;

/// A server.
pub(super) struct Client {
    http: HttpClient,
    root: Url,
    /// Scheme, host, port and path, for diagnostics: never with user or password.
    pub address: String,
}

impl Client {
    pub fn new(
        request: &Prometheus,
        base: &Path,
        patience: Patience,
    ) -> Result<Self, ObserveError> {
        let access = Access {
            url: &request.url,
            bearer_token: request.bearer_token.as_deref(),
            username: request.username.as_deref(),
            password: request.password.as_deref(),
            ca_file: request.ca_file.as_deref(),
            timeout_s: request.timeout_s,
            example: "https://prometheus.example:9090",
        };
        let (http, mut root) = HttpClient::new(&access, base, patience, MOST_BODY_BYTES).map_err(
            |FieldFault { field, cause }| ObserveError::PrometheusRequest { field, cause },
        )?;
        root.set_query(None);
        let path = root
            .path()
            .trim_end_matches('/')
            .trim_end_matches("/api/v1")
            .to_owned();
        root.set_path(&path);
        Ok(Self {
            http,
            address: root.as_str().trim_end_matches('/').to_owned(),
            root,
        })
    }

    /// Asks `path` below `/api/v1/`, again where that may help.
    pub async fn ask(
        &self,
        path: &str,
        parameters: &[(&str, String)],
    ) -> Result<Answer, ObserveError> {
        let answered = self.http.ask(|http| self.request(http, path, parameters));
        let body = answered.await.map_err(|fault| self.told(fault))?;
        parse(&body).map_err(|cause| self.answer_error(&cause))
    }

    fn request(
        &self,
        http: &reqwest::Client,
        path: &str,
        parameters: &[(&str, String)],
    ) -> RequestBuilder {
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
        if long {
            http.post(url).form(parameters)
        } else {
            http.get(url).query(parameters)
        }
    }

    fn told(&self, fault: HttpFault) -> ObserveError {
        let address = self.address.clone();
        match fault {
            HttpFault::Slow {
                timeout_s,
                attempts,
            } => ObserveError::PrometheusSlow {
                address,
                timeout_s,
                attempts,
            },
            HttpFault::Unreachable {
                attempts,
                mut cause,
                untrusted,
            } => {
                if untrusted {
                    cause.push_str(
                        " (set prometheus.ca_file to the authority that signed the server's certificate)",
                    );
                }
                ObserveError::PrometheusUnreachable {
                    address,
                    attempts,
                    cause,
                }
            }
            HttpFault::Status { status, body } => ObserveError::PrometheusRefused {
                address,
                status: status.as_u16(),
                cause: explain(status, &body),
            },
            HttpFault::TooLarge => self.answer_error(
                "the answer is larger than 256 MiB: group the query by region and service, or raise step_s",
            ),
        }
    }

    fn answer_error(&self, cause: &str) -> ObserveError {
        ObserveError::PrometheusAnswer {
            address: self.address.clone(),
            cause: cause.into(),
        }
    }
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
