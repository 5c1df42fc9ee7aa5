//! The client against servers that say exactly what a test wants, byte by byte.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use super::*;
use crate::http::Reach;

/// Serves one connection after another with `answer`, and tells where.
fn serve(answer: impl Fn(&mut TcpStream, String) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            while let Some(request) = read_request(&mut stream) {
                answer(&mut stream, request);
            }
        }
    });
    format!("http://{address}")
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().expect("a length"));
            if body.len() >= length {
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(n_read) if n_read > 0 => request.extend_from_slice(&buffer[..n_read]),
            _ => return None,
        }
    }
}

fn say(stream: &mut TcpStream, head: &str, body: &str) {
    let length = body.len();
    let text = format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\n\r\n{body}");
    let _ = stream.write_all(text.as_bytes());
}

fn client(redirects: u8) -> HttpClient {
    HttpClient::new(&HttpConfig {
        connect_timeout: Duration::from_secs(2),
        redirects,
        ..HttpConfig::default()
    })
}

async fn post(client: &HttpClient, url: &str, timeout: Duration) -> Result<Response, HttpError> {
    let call = Call {
        method: Method::POST,
        url: &url.parse().expect("an address"),
        headers: &[("content-type", "text/plain")],
        body: Bytes::from_static(b"question"),
        timeout,
        max_body: 10_000,
    };
    client.call(call).await
}

async fn get(client: &HttpClient, url: &str) -> Result<Response, HttpError> {
    let call = Call {
        method: Method::GET,
        url: &url.parse().expect("an address"),
        headers: &[("authorization", "Bearer secret"), ("accept", "text/plain")],
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        max_body: 10_000,
    };
    client.call(call).await
}

const LONG: Duration = Duration::from_secs(5);

#[actix_rt::test]
async fn an_answer_comes_with_status_header_and_body() {
    let url = serve(|stream, request| {
        assert!(request.ends_with("question"), "{request}");
        assert!(request.contains("user-agent: babelfeed/"), "{request}");
        say(stream, "418 Teapot\r\nRetry-After: 7", "answer");
    });

    let response = post(&client(0), &url, LONG).await.expect("an answer");

    assert_eq!(response.status, 418);
    assert_eq!(response.header("retry-after"), Some("7"));
    assert_eq!(&response.body[..], b"answer");
}

#[actix_rt::test]
async fn a_refused_connection_was_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);

    let error = post(&client(0), &format!("http://{address}"), LONG).await;

    assert!(matches!(error, Err(HttpError::NotSent { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_name_that_does_not_resolve_was_not_sent() {
    let error = post(&client(0), "http://nowhere.invalid", LONG).await;
    assert!(matches!(error, Err(HttpError::NotSent { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_server_that_speaks_no_tls_was_not_sent_anything() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.write_all(b"220 no tls here\r\n");
    });

    let error = post(&client(0), &format!("https://{address}"), LONG).await;

    assert!(matches!(error, Err(HttpError::NotSent { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_connection_closed_without_an_answer_is_perhaps_sent() {
    let url = serve(|stream, _| stream.shutdown(Shutdown::Both).expect("closed"));
    let error = post(&client(0), &url, LONG).await;
    assert!(matches!(error, Err(HttpError::Broken { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_body_cut_short_is_broken_off() {
    let url = serve(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
        let _ = stream.shutdown(Shutdown::Both);
    });
    let error = post(&client(0), &url, LONG).await;
    assert!(matches!(error, Err(HttpError::Broken { .. })), "{error:?}");
}

#[actix_rt::test]
async fn an_answer_that_is_no_http_is_broken_off() {
    let url = serve(|stream, _| {
        let _ = stream.write_all(b"hello, who is there?\r\n\r\n");
    });
    let error = post(&client(0), &url, LONG).await;
    assert!(matches!(error, Err(HttpError::Broken { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_body_that_trickles_is_cut_at_the_timeout() {
    let url = serve(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
        let pace = Some(Duration::from_millis(20));
        stream.set_read_timeout(pace).expect("a pace");
        // The client's end is read at once, and until then nothing for the time of a byte.
        while stream.read(&mut [0]).is_err() && stream.write_all(b".").is_ok() {}
    });

    let error = post(&client(0), &url, Duration::from_millis(200)).await;

    assert!(
        matches!(error, Err(HttpError::TimedOut { .. })),
        "{error:?}"
    );
}

#[actix_rt::test]
async fn a_call_that_never_left_the_pool_was_not_sent() {
    let url = serve(|stream, _| {
        // Says nothing for as long as the client listens.
        let _ = stream.read(&mut [0]);
    });
    let client = HttpClient::new(&HttpConfig {
        connections: 1,
        ..HttpConfig::default()
    });

    let wait = Duration::from_millis(200);
    let (first, second) =
        futures_util::join!(post(&client, &url, wait), post(&client, &url, wait / 2));

    assert!(
        matches!(first, Err(HttpError::TimedOut { .. })),
        "{first:?}"
    );
    assert!(
        matches!(second, Err(HttpError::NotSent { .. })),
        "{second:?}"
    );
}

#[actix_rt::test]
async fn a_body_without_end_is_too_large() {
    let url = serve(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nconnection: close\r\n\r\n");
        while stream.write_all(&[b'.'; 4096]).is_ok() {}
    });
    let error = post(&client(0), &url, LONG).await;
    assert!(
        matches!(error, Err(HttpError::TooLarge { .. })),
        "{error:?}"
    );
}

#[actix_rt::test]
async fn a_body_of_unknown_length_is_never_taken_for_an_empty_one() {
    let url = serve(|stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsome text");
        let _ = stream.shutdown(Shutdown::Both);
    });
    let error = post(&client(0), &url, LONG).await;
    assert!(matches!(error, Err(HttpError::Broken { .. })), "{error:?}");
}

#[actix_rt::test]
async fn a_redirect_is_handed_over_unless_it_is_wanted() {
    let url = serve(|stream, _| say(stream, "302 Found\r\nlocation: /other", ""));
    let response = get(&client(0), &url).await.expect("an answer");
    assert_eq!(response.status, 302);
}

#[actix_rt::test]
async fn redirects_are_followed_and_counted() {
    let url = serve(|stream, request| match request.starts_with("GET /c ") {
        true => say(stream, "200 OK", "here"),
        false if request.starts_with("GET /b ") => say(stream, "308 Moved\r\nlocation: c", ""),
        false => say(stream, "302 Found\r\nlocation: /b", ""),
    });

    let enough = get(&client(2), &url).await.expect("an answer");
    let too_few = get(&client(1), &url).await;

    assert_eq!(enough.url.path(), "/c");
    assert!(
        matches!(too_few, Err(HttpError::Broken { .. })),
        "{too_few:?}"
    );
}

#[actix_rt::test]
async fn a_redirect_to_another_origin_takes_no_secret_along() {
    let elsewhere = serve(|stream, request| {
        let is_clean = !request.contains("secret") && request.contains("accept: text/plain");
        say(stream, "200 OK", if is_clean { "clean" } else { "leaked" });
    });
    let url = serve(move |stream, _| {
        say(stream, &format!("302 Found\r\nlocation: {elsewhere}/x"), "");
    });

    let response = get(&client(3), &url).await.expect("an answer");

    assert_eq!(&response.body[..], b"clean");
}

#[actix_rt::test]
async fn connections_that_idle_are_closed() {
    let (sender, closed) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        while read_request(&mut stream).is_some() {
            say(&mut stream, "200 OK", "");
        }
        sender.send(()).expect("a listener");
    });
    let client = HttpClient::new(&HttpConfig {
        keep_alive: Duration::from_millis(50),
        ..HttpConfig::default()
    });

    post(&client, &url, LONG).await.expect("an answer");
    let seen = actix_rt::task::spawn_blocking(move || closed.recv_timeout(LONG)).await;

    assert_eq!(seen.expect("no panic"), Ok(()));
}

#[actix_rt::test]
async fn a_hint_in_the_headers_is_read_the_most_exact_form_first() {
    for (headers, millis) in [
        ("retry-after: 7\r\nretry-after-ms: 1500", Some(1_500)),
        ("retry-after: 7", Some(7_000)),
        (
            "date: Sat, 21 Nov 2026 12:00:00 GMT\r\nretry-after: Sat, 21 Nov 2026 12:00:09 GMT",
            Some(9_000),
        ),
        (
            "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 2m59.56s",
            Some(179_560),
        ),
        (
            "x-ratelimit-remaining-tokens: 5\r\nx-ratelimit-reset-tokens: 2m59.56s",
            None,
        ),
        ("x-ratelimit-reset-requests: 1h23m31s", None),
        (
            "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 1.5s",
            Some(1_500),
        ),
        (
            "x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: 23h59m0s",
            None,
        ),
        ("retry-after: soon", None),
    ] {
        let url = serve(move |stream, _| {
            say(stream, &format!("429 Too Many Requests\r\n{headers}"), "");
        });
        let response = post(&client(0), &url, LONG).await.expect("an answer");
        let wait = crate::http::hints::from_headers(&response);
        assert_eq!(wait, millis.map(Duration::from_millis), "{headers}");
    }
}

#[test]
fn addresses_are_resolved_without_their_fragment_and_only_to_the_web() {
    let https: Uri = "https://example.org/a".parse().expect("an address");
    let next = resolve(&https, "//other.example/b?c#d").expect("an address");
    assert_eq!(next, "https://other.example/b?c");
    assert_eq!(resolve(&https, "ftp://example.org"), None);
}

#[test]
fn https_never_becomes_http() {
    let uri = |text: &str| text.parse::<Uri>().expect("an address");
    assert!(is_downgrade(&uri("https://a/"), &uri("http://a/")));
    assert!(!is_downgrade(&uri("https://a/"), &uri("https://b/")));
    assert!(!is_downgrade(&uri("http://a/"), &uri("http://b/")));
}

#[actix_rt::test]
async fn an_answer_without_end_is_read_piece_by_piece() {
    let url = serve(|stream, _| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = stream.write_all(head.as_bytes());
        let _ = stream.write_all(b"5\r\none\n\n\r\n");
        // The rest never comes.
        let _ = stream.read(&mut [0; 1]);
    });
    let call = Call {
        method: Method::GET,
        url: &url.parse().expect("an address"),
        headers: &[],
        body: Bytes::new(),
        timeout: Duration::from_secs(5),
        max_body: 0,
    };
    let mut incoming = client(0).open(call).await.expect("an answer");
    assert_eq!(incoming.status, 200);
    let piece = incoming.next(Duration::from_secs(5)).await;
    assert_eq!(piece, Ok(Some(Bytes::from_static(b"one\n\n"))));
    let nothing = incoming.next(Duration::from_millis(50)).await;
    assert!(matches!(nothing, Err(HttpError::TimedOut { .. })));
}

#[actix_rt::test]
async fn a_client_of_the_public_internet_reaches_nothing_on_this_machine() {
    let url = serve(|stream, _| say(stream, "200 OK", "secret"));
    let client = HttpClient::new(&HttpConfig {
        reach: Reach::Public,
        ..HttpConfig::default()
    });
    let port = url.rsplit(':').next().expect("a port");
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let error = get(&client, &format!("http://{host}:{port}/")).await;
        let error = error.expect_err("is not reached");
        assert!(
            matches!(
                error,
                HttpError::OutOfReach { .. } | HttpError::TimedOut { .. }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("public internet"), "{error}");
    }
}
