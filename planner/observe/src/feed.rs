//! A small text that is named by a file or by an address: lists of events and calendars.

use std::{io::Read, path::Path};

use reqwest::StatusCode;

use crate::{
    ObserveError, files,
    http::{Access, FieldFault, HttpClient, HttpFault, Patience},
};

/// More than this is no list of events and no calendar.
const MOST_BYTES: usize = 16 << 20;

/// A text, and what diagnostics call it: the path, or the address without user, password and query.
#[derive(Debug)]
pub(crate) struct Text {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Whether a source is an address and not a file.
fn is_address(source: &str) -> bool {
    let scheme = source.trim().split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}

/// Reads the text that a field names; files are relative to `base`, and unpacked where they are gzip.
pub(crate) async fn fetch(
    access: &Access<'_>,
    field: &str,
    base: &Path,
    patience: Patience,
) -> Result<Text, ObserveError> {
    let refuse = |field: String, cause: String| ObserveError::FeedRequest { field, cause };
    if access.url.trim().is_empty() {
        let cause = format!(
            "it names nothing; give a file, or an address as {}",
            access.example
        );
        return Err(refuse(field.into(), cause));
    }
    if !is_address(access.url) {
        let set = [
            ("bearer_token", access.bearer_token.is_some()),
            ("username", access.username.is_some()),
            ("password", access.password.is_some()),
            ("ca_file", access.ca_file.is_some()),
            ("timeout_s", access.timeout_s.is_some()),
        ];
        if let Some((name, _)) = set.iter().find(|(_, is_set)| *is_set) {
            let cause = format!(
                "it is for addresses, and {:?} is a file; write an address as {}",
                access.url, access.example
            );
            return Err(refuse(format!("{field}.{name}"), cause));
        }
        return read(&base.join(access.url));
    }
    let (client, mut url) = HttpClient::new(access, base, patience, MOST_BYTES).map_err(
        |FieldFault { field: of, cause }| {
            refuse(format!("{field}.{}", of.replace("url", "source")), cause)
        },
    )?;
    let answered = client.ask(|http| http.get(url.clone())).await;
    url.set_query(None);
    let address = url.to_string();
    let field = field.to_owned();
    match answered {
        Ok(bytes) => Ok(Text {
            name: address,
            bytes,
        }),
        Err(HttpFault::Unreachable {
            attempts,
            mut cause,
            untrusted,
        }) => {
            if untrusted {
                cause.push_str(" (the system does not know the authority that signed the server's certificate: ca_file names it, or download the file)");
            }
            Err(ObserveError::FeedUnreachable {
                field,
                address,
                attempts,
                cause,
            })
        }
        Err(HttpFault::Slow {
            timeout_s,
            attempts,
        }) => Err(ObserveError::FeedSlow {
            field,
            address,
            timeout_s,
            attempts,
        }),
        Err(HttpFault::Status { status, .. }) => Err(ObserveError::FeedRefused {
            field,
            address,
            status: status.as_u16(),
            cause: explain(status),
        }),
        Err(HttpFault::TooLarge) => Err(too_large(address)),
    }
}

fn read(path: &Path) -> Result<Text, ObserveError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    files::open(path)?
        .take(MOST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| files::refused(path, e))?;
    if bytes.len() > MOST_BYTES {
        return Err(too_large(name));
    }
    Ok(Text { name, bytes })
}

fn too_large(source_name: String) -> ObserveError {
    ObserveError::FeedFormat {
        source_name,
        cause: format!(
            "it holds more than {} MiB: give what concerns this plan alone",
            MOST_BYTES >> 20
        ),
    }
}

/// How to mend what a server refuses for.
fn explain(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "give bearer_token, or username and password, that the server knows",
        403 => "this user may not read it: give another bearer_token or username",
        404 | 410 => "nothing is there: check the address",
        429 => "the server limits requests: try again later, or give a file",
        300..=399 => "the server redirects: give the address that it names",
        500..=599 => "the server fails: look at its log, or try again later",
        _ => "check the address",
    }
}

/// Whether bytes are a web page, as servers answer to who is not logged in.
pub(crate) fn is_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.trim_ascii_start().starts_with(b"<")
}
