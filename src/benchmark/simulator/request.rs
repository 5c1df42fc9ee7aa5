//! A request of HTTP/1.1 in the bytes received, at the least cost.

use super::super::client::MAX_HEADERS;

/// The longest body that is taken.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// A translation.
    Translate,
    /// The counts.
    Counts,
    /// The timeline.
    Timeline,
    /// The begin or the end of an outage.
    Outage,
    /// Nothing that is there.
    Unknown,
    /// Nothing that can be understood.
    Refused,
}

/// A whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// What it is for.
    pub(super) route: Route,
    /// Where its body begins.
    pub(super) body_at: usize,
    /// How long its body is.
    pub(super) length: usize,
}

/// Returns the request at the start of what was received, once it is whole.
pub(super) fn parse(received: &[u8], translate_path: &str) -> Option<Request> {
    const REFUSED: Option<Request> = Some(Request {
        route: Route::Refused,
        body_at: 0,
        length: 0,
    });
    if received.is_empty() {
        return None;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let body_at = match request.parse(received) {
        Ok(httparse::Status::Complete(body_at)) => body_at,
        Ok(httparse::Status::Partial) => return None,
        Err(_) => return REFUSED,
    };
    let mut length = 0;
    for header in request.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            let Some(n) = std::str::from_utf8(header.value)
                .ok()
                .and_then(|n| n.parse().ok())
            else {
                return REFUSED;
            };
            length = n;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            return REFUSED;
        }
    }
    if length > MAX_BODY {
        return REFUSED;
    }
    if received.len() < body_at + length {
        return None;
    }
    let route = match (request.method, request.path) {
        (Some("POST"), Some(path)) if path == translate_path => Route::Translate,
        (Some("GET"), Some(super::COUNTS_PATH)) => Route::Counts,
        (Some("GET"), Some(super::TIMELINE_PATH)) => Route::Timeline,
        (Some("POST"), Some(super::OUTAGE_PATH)) => Route::Outage,
        _ => Route::Unknown,
    };
    Some(Request {
        route,
        body_at,
        length,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::client::post;
    use super::*;

    #[test]
    fn a_request_is_whole_only_with_its_body() {
        let request = post("/v1/messages", "application/json", b"{}");

        assert_eq!(parse(&request[..request.len() - 1], "/v1/messages"), None);
        let route = |path| parse(&request, path).map(|request| request.route);
        assert_eq!(route("/v1/messages"), Some(Route::Translate));
        assert_eq!(route("/v1/chat/completions"), Some(Route::Unknown));
    }
}
