//! Orders, figures, health, and who may ask over TCP.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_rt::test;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Answer, call, raw};
use super::served::{Served, served};
use crate::control::{Command, NotReloaded};

#[test]
async fn a_name_is_found_wherever_it_is_known() {
    let served = served(None);
    for (name, wanted) in [
        ("news", "pause source news"),
        ("groq", "Pause lane groq"),
        ("es", "pause outlet es"),
    ] {
        let body = format!(r#"{{"name":"{name}"}}"#);
        assert_eq!(served.post("/v1/control/pause", &body).await.status, 200);
        let orders = std::mem::take(&mut served.memory.lock().expect("free").orders);
        assert_eq!(orders, [wanted]);
    }
    for (name, also) in [("twin", json!(["groq"])), ("groq", json!(["twin"]))] {
        let body = format!(r#"{{"name":"{name}"}}"#);
        let answer = served.post("/v1/control/resume", &body).await;
        assert_eq!((answer.status, &answer.json()["also"]), (200, &also));
        let orders = std::mem::take(&mut served.memory.lock().expect("free").orders);
        assert_eq!(orders, ["Resume lane groq"], "{name}");
    }
    for (order, orders) in [
        // Not the lanes of outlets, and each that is shared once.
        (
            "pause",
            ["pause source all", "Pause lane groq", "pause outlet all"],
        ),
        (
            "resume",
            ["resume source all", "Resume lane all", "resume outlet all"],
        ),
    ] {
        let path = format!("/v1/control/{order}");
        assert_eq!(served.post(&path, "").await.status, 200);
        let given = std::mem::take(&mut served.memory.lock().expect("free").orders);
        assert_eq!(given, orders);
    }
    served.post("/v1/control/resume", r#"{"name":"es"}"#).await;
    let orders = std::mem::take(&mut served.memory.lock().expect("free").orders);
    assert_eq!(orders, ["Resume lane outlet:es", "resume outlet es"]);
    assert_eq!(
        served
            .post("/v1/control/poll", r#"{"name":"es"}"#)
            .await
            .status,
        404
    );
    assert_eq!(
        served
            .post("/v1/control/poll", r#"{"name":"news"}"#)
            .await
            .status,
        200
    );
}

#[test]
async fn what_a_system_after_a_reload_would_not_know_is_refused_while_that_is_built() {
    const CHANGES: [&str; 3] = ["pause", "resume", "drain"];
    for change in CHANGES {
        let served = served(None);
        let path = format!("/v1/control/{change}");
        let is_rebuilding = Arc::clone(&served.running.is_rebuilding);
        let begin = move || is_rebuilding.store(true, Ordering::Release);
        served.memory.lock().expect("free").meanwhile = Some(Box::new(begin));
        let meanwhile = served.post(&path, "").await;
        assert_eq!(meanwhile.status, 503, "{change} {meanwhile:?}");
    }
    let served = served(None);
    served.running.refuse_changes();
    for change in CHANGES {
        let refused = served.post(&format!("/v1/control/{change}"), "").await;
        assert_eq!(refused.status, 503, "{change} {refused:?}");
        assert!(refused.head.contains("retry-after: 5"), "{refused:?}");
        assert!(refused.body.contains("being reloaded"), "{refused:?}");
    }
    let memory = served.memory.lock().expect("free");
    assert_eq!((memory.orders.len(), memory.is_draining), (0, false));
}

#[test]
async fn an_order_is_carried_out_whole_though_whoever_gave_it_hangs_up() {
    for (change, wanted) in [
        (
            "pause",
            vec!["pause source all", "Pause lane groq", "pause outlet all"],
        ),
        (
            "resume",
            vec!["resume source all", "Resume lane all", "resume outlet all"],
        ),
    ] {
        let served = served(None);
        let path = format!("/v1/control/{change}");
        let bytes = call("POST", &path, "application/json", "");
        let mut connection = UnixStream::connect(&served.socket).expect("a server");
        connection.write_all(&bytes).expect("a reader");
        let socket = served.socket.clone();
        // The one thread that serves has noticed when it has answered somebody else twice.
        let hang_up = move || {
            drop(connection);
            for _ in 0..2 {
                let mut other = UnixStream::connect(&socket).expect("a server");
                let bytes = call("GET", "/healthz", "application/json", "");
                other.write_all(&bytes).expect("a reader");
                other.read_to_end(&mut Vec::new()).expect("an answer");
            }
        };
        served.memory.lock().expect("free").meanwhile = Some(Box::new(hang_up));

        let n_carried_out = || served.memory.lock().expect("free").orders.len();
        let carried_out = async {
            while n_carried_out() < wanted.len() {
                tokio::task::yield_now().await;
            }
        };
        let within = Duration::from_secs(30);
        assert!(timeout(within, carried_out).await.is_ok(), "{change}");
        assert_eq!(served.memory.lock().expect("free").orders, wanted);
    }
}

#[test]
async fn a_drained_service_is_not_ready_until_resumed() {
    let served = served(None);
    assert_eq!(served.get("/readyz").await.json()["status"], "ready");
    served.post("/v1/control/drain", "").await;
    let drained = served.get("/readyz").await;
    assert_eq!(
        (drained.status, served.get("/healthz").await.status),
        (503, 200)
    );
    let status = served.get("/v1/status").await.json();
    assert_eq!(status["closed"], drained.json()["why"][0], "{status}");
    assert_eq!(status["is_open"], false);
    served.post("/v1/control/resume", "").await;
    assert_eq!(served.get("/readyz").await.status, 200);
}

#[test]
async fn what_goes_wrong_makes_the_service_degraded_with_the_reason() {
    let served = served(None);
    let paused = ["failing".to_owned(), "unknown".to_owned()];
    served.memory.lock().expect("free").paused.extend(paused);
    let ready = served.get("/readyz").await;
    assert_eq!(
        (ready.status, &ready.json()["status"]),
        (200, &json!("degraded"))
    );
    let why = ready.json()["why"].to_string();
    assert!(
        why.contains("source news fails: no route") && why.contains("open fate"),
        "{why}"
    );
}

#[test]
async fn orders_to_the_service_wait_for_its_word() {
    let mut served = served(None);
    let mut commands = std::mem::replace(&mut served.commands, tokio::sync::mpsc::channel(1).1);
    let service = actix_rt::spawn(async move {
        while let Some(command) = commands.recv().await {
            match command {
                Command::KeepPauses(reply) => drop(reply.send(Ok(()))),
                Command::Reload(reply) => {
                    let why = NotReloaded::Refused("no key `x`".into());
                    drop(reply.send(Err(why)));
                }
                Command::Stop(reply) => drop(reply.send(())),
            }
        }
    });
    let reload = served.post("/v1/control/reload", "").await;
    assert_eq!(reload.status, 422);
    assert!(reload.body.contains("no key `x`"), "{}", reload.body);
    assert_eq!(served.post("/v1/control/stop", "").await.status, 200);
    service.abort();
}

#[test]
async fn status_and_figures_have_their_fixed_names() {
    let served = served(None);
    let status = served.get("/v1/status").await.json();
    assert_eq!(status["version"], "1.2.3");
    assert_eq!(status["uptime_s"], 60.0);
    assert_eq!(
        (&status["is_open"], &status["closed"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(status["sources"][0]["lag_s"], 1.5);
    assert_eq!(status["lanes"][0]["windows"][0]["known_by"], "settings");
    assert_eq!(status["providers"][0]["share"], 0.75);
    assert_eq!(status["providers"][0]["p50_ms"], 120.0);
    assert_eq!(status["queue"]["Queued"], 3);
    assert_eq!(status["queue"]["RateLimited"], 0);
    assert_eq!(status["cache"]["entries"], 5);

    let metrics = served.get("/v1/metrics").await.json();
    assert_eq!(metrics["services"][0]["p90_ms"], 20.0);
    assert_eq!(
        metrics["tasks"],
        json!({"submitted": 6, "completed": 2, "failed": 1})
    );
    assert!(metrics["rss_bytes"].as_u64() > Some(0));

    let page = served.get("/metrics").await;
    assert!(page.head.contains("text/plain; version=0.0.4"));
    for line in [
        "# TYPE babelfeed_calls_total counter",
        "babelfeed_calls_total{service=\"groq\"} 12",
        "babelfeed_call_duration_seconds{service=\"groq\",quantile=\"0.5\"} 0.01",
        "babelfeed_tasks{state=\"Queued\"} 3",
    ] {
        assert!(
            page.body.lines().any(|found| found == line),
            "{line} in {}",
            page.body
        );
    }
}

#[test]
async fn the_cache_is_warmed_in_the_background_and_forgotten() {
    let served = served(None);
    let warm = r#"{"texts":["one","bad","two"],"target":"es"}"#;
    let answer = served.post("/v1/cache/warm", warm).await;
    assert_eq!((answer.status, answer.json()), (202, json!({"texts": 3})));
    // Warming runs on the server's thread; it asks once, leaves the refused text out, asks again.
    while served.memory.lock().expect("free").orders.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        served.memory.lock().expect("free").orders,
        ["warm 3", "warm 2"]
    );
    let clear = call("DELETE", "/v1/cache", "application/json", "");
    assert_eq!(raw(&served.socket, &clear).await.status, 200);
}

async fn over_tcp(served: &Served, call: &str, token: &str, body: &str) -> Answer {
    let address = served.running.tcp().expect("an address");
    let mut connection = TcpStream::connect(address).await.expect("a server");
    let call = format!(
        "{call} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {token}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection
        .write_all(call.as_bytes())
        .await
        .expect("a reader");
    let mut answer = Vec::new();
    connection
        .read_to_end(&mut answer)
        .await
        .expect("an answer");
    Answer::parse(&answer)
}

#[test]
async fn tcp_needs_the_token_for_all_but_health() {
    let served = served(Some("open sesame"));
    let ask =
        async |path: &str, token: &str| over_tcp(&served, &format!("GET {path}"), token, "").await;
    assert_eq!(ask("/v1/status", "Bearer open sesame").await.status, 200);
    assert_eq!(ask("/healthz", "").await.status, 200);
    for token in ["", "Bearer", "Bearer open", "Basic open sesame"] {
        for path in ["/v1/status", "/metrics", "/nowhere"] {
            let answer = ask(path, token).await;
            assert_eq!(answer.status, 401, "{path} with `{token}`");
            assert_eq!(answer.json()["status"], 401);
        }
    }
}

#[test]
async fn a_text_is_taken_on_tcp_as_on_the_socket() {
    let served = served(Some("open sesame"));
    let body = r#"{"text":"Good day","targets":["es"]}"#;
    let answer = over_tcp(&served, "POST /v1/requests", "Bearer open sesame", body).await;
    assert_eq!(answer.status, 202, "{}", answer.json());
    let nowhere = over_tcp(&served, "GET /nowhere", "Bearer open sesame", "").await;
    assert_eq!(nowhere.json()["status"], 404);
}

#[test]
async fn the_socket_is_the_owners_and_goes_at_the_stop() {
    let served = served(None);
    let mode = std::fs::metadata(&served.socket)
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    served.running.stop().await;
    assert!(!served.socket.exists());
}

#[test]
async fn a_process_at_the_socket_is_one_client_and_on_tcp_each_connection() {
    let served = served(Some("open sesame"));
    let body = r#"{"text":"hello","targets":["es"]}"#;
    for _ in 0..2 {
        assert_eq!(served.post("/v1/requests", body).await.status, 202);
        assert_eq!(served.lines(body).await.status, 200);
        let call = "POST /v1/requests";
        let taken = over_tcp(&served, call, "Bearer open sesame", body).await;
        assert_eq!(taken.status, 202, "{taken:?}");
    }
    let memory = served.memory.lock().expect("free");
    let mut n_texts: HashMap<String, usize> = HashMap::new();
    for view in memory.requests.values().flatten() {
        let flow = view.record.task.request.flow.to_string();
        *n_texts.entry(flow).or_default() += 1;
    }
    let own = format!("requests/{}", std::process::id() % 64);
    let n_own = n_texts.remove(&own).expect("this process is a client");
    // One of the two connections may share its flow.
    assert!(n_own >= 4, "{n_own}");
    assert_eq!(n_own + n_texts.len(), 6, "{n_texts:?}");
    assert!(!n_texts.is_empty());
}
