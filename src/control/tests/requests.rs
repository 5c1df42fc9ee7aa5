//! Requests, tasks, translations at once, and the errors that they end with.

use std::time::{Duration, Instant};

use actix_rt::test;
use babelfeed_actors::domain::PublicationState;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::client::{call, raw};
use super::served::served;

#[test]
async fn a_request_is_taken_and_found() {
    let served = served(None);
    let body = r#"{"text":"hello","targets":["es","fr"],"source":"en","key":"mine"}"#;
    let taken = served.post("/v1/requests", body).await;
    assert_eq!(taken.status, 202);
    let taken = taken.json();
    assert_eq!(taken["tasks"][1]["target"], "fr");
    assert_eq!(taken["tasks"][1]["state"], "Queued");

    let id = taken["id"].as_str().expect("an id");
    let found = served.get(&format!("/v1/requests/{id}")).await.json();
    assert_eq!(found["key"], "mine");
    assert_eq!(found["tasks"][0]["history"][0]["state"], "Submitted");
    assert_eq!(found["tasks"][0]["result"], json!(null));

    let task = taken["tasks"][0]["id"].as_str().expect("an id");
    let found = served.get(&format!("/v1/tasks/{task}")).await.json();
    assert_eq!(
        (&found["request"], &found["source"]),
        (&taken["id"], &json!("en"))
    );
}

#[test]
async fn a_key_means_one_body() {
    let served = served(None);
    let body = r#"{"text":"hello","targets":["es"],"key":"k"}"#;
    let first = served.post("/v1/requests", body).await;
    let again = served.post("/v1/requests", body).await;
    let other = served
        .post(
            "/v1/requests",
            r#"{"text":"bye","targets":["es"],"key":"k"}"#,
        )
        .await;
    assert_eq!((first.status, again.status, other.status), (202, 200, 409));
    assert_eq!(first.json()["id"], again.json()["id"]);
}

#[test]
async fn every_error_is_a_problem_that_says_what_was_wanted() {
    let served = served(None);
    let (_, task) = served.submitted().await;
    let unknown = "019aa5c3-1c5e-7000-8000-000000000100";
    let requests = "/v1/requests";
    let json = "application/json";
    let huge = format!(r#"{{"text":"{}","targets":["es"]}}"#, "x".repeat(2 << 20));
    let cases = [
        ("GET", "/nowhere".into(), json, "", 404, "/nowhere"),
        ("DELETE", requests.into(), json, "", 405, "DELETE"),
        (
            "POST",
            requests.into(),
            "text/plain",
            "hello",
            415,
            "application/json",
        ),
        ("POST", requests.into(), json, "{", 400, "EOF"),
        (
            "POST",
            requests.into(),
            json,
            r#"{"text":"a","targets":["?"]}"#,
            400,
            "`?`",
        ),
        ("POST", requests.into(), json, &huge, 413, "at most"),
        (
            "POST",
            requests.into(),
            json,
            r#"{"text":"a","targets":["fr"],"publish":true}"#,
            422,
            "`fr`",
        ),
        ("GET", "/v1/tasks/seven".into(), json, "", 400, "`seven`"),
        (
            "GET",
            format!("/v1/tasks/{unknown}"),
            json,
            "",
            404,
            "no task",
        ),
        (
            "GET",
            format!("/v1/requests/{unknown}"),
            json,
            "",
            404,
            "no request",
        ),
        (
            "GET",
            format!("/v1/tasks/{task}?wait=-1"),
            json,
            "",
            400,
            "`wait`",
        ),
        (
            "GET",
            format!("/v1/tasks/{task}?weight=1"),
            json,
            "",
            400,
            "weight",
        ),
        (
            "GET",
            "/v1/tasks?state=Lost".into(),
            json,
            "",
            400,
            "RateLimited",
        ),
        ("GET", "/v1/tasks?limit=0".into(), json, "", 400, "`limit`"),
        (
            "POST",
            format!("/v1/tasks/{task}/retry"),
            json,
            "",
            409,
            "Queued",
        ),
        (
            "POST",
            format!("/v1/tasks/{unknown}/cancel"),
            json,
            "",
            404,
            "no task",
        ),
        (
            "POST",
            "/v1/translate".into(),
            json,
            r#"{"texts":[],"target":"es"}"#,
            400,
            "1 to",
        ),
        (
            "POST",
            "/v1/translate".into(),
            json,
            r#"{"texts":["slow"],"target":"es"}"#,
            504,
            "time",
        ),
        ("POST", "/v1/control/dance".into(), json, "", 404, "`dance`"),
        (
            "POST",
            "/v1/control/pause".into(),
            json,
            r#"{"name":"none"}"#,
            404,
            "`none`",
        ),
        (
            "POST",
            "/v1/control/drain".into(),
            json,
            r#"{"name":"news"}"#,
            400,
            "`news`",
        ),
    ];
    for (method, path, mime, body, status, wanted) in cases {
        let answer = raw(&served.socket, &call(method, &path, mime, body)).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        let is_problem = answer
            .head
            .contains("content-type: application/problem+json");
        assert!(is_problem, "{method} {path}: {}", answer.head);
        let problem = answer.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].is_string() && problem["title"].is_string());
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(wanted), "{method} {path}: {detail}");
    }
}

#[test]
async fn a_full_service_says_when_to_come_back() {
    let served = served(None);
    served.memory.lock().expect("free").is_full = true;
    let answer = served
        .post("/v1/requests", r#"{"text":"a","targets":["es"]}"#)
        .await;
    assert_eq!(answer.status, 503);
    assert!(answer.head.contains("retry-after: 3"), "{}", answer.head);
}

#[test]
async fn who_waits_is_answered_when_task_and_publication_are_settled() {
    let served = served(None);
    let (request, task) = served.submitted().await;
    let waiting = actix_rt::spawn({
        let path = format!("/v1/requests/{request}?wait=60");
        let socket = served.socket.clone();
        async move { raw(&socket, &call("GET", &path, "application/json", "")).await }
    });
    // The one who waits listens before it looks, so nothing told from here on is missed.
    while !served.events_are_heard() {
        tokio::task::yield_now().await;
    }
    served.complete(task, PublicationState::Planned);
    served.tell_completed(task);
    served.complete_publication(task, PublicationState::Held);
    let answer = waiting.await.expect("an answer").json();
    assert_eq!(answer["tasks"][0]["state"], "Completed");
    assert_eq!(answer["tasks"][0]["result"]["text"], "hola");
    assert_eq!(answer["tasks"][0]["publications"][0]["state"], "Held");
    assert_eq!(
        answer["tasks"][0]["publications"][0]["parts"][0]["state"],
        "Held"
    );
}

#[test]
async fn who_hangs_up_is_not_waited_for_any_more() {
    let served = served(None);
    let (request, _) = served.submitted().await;
    let path = format!("/v1/requests/{request}?wait=60");
    let bytes = call("GET", &path, "application/json", "");
    let mut connection = UnixStream::connect(&served.socket).await.expect("a server");
    connection.write_all(&bytes).await.expect("a reader");
    while !served.events_are_heard() {
        tokio::task::yield_now().await;
    }

    drop(connection);

    // Listening ends with the first event after the last who waits.
    let heard_no_more = async {
        while served.events_are_heard() {
            tokio::task::yield_now().await;
        }
    };
    let within = Duration::from_secs(30);
    assert!(timeout(within, heard_no_more).await.is_ok());
}

#[test]
async fn who_waits_too_long_is_told_how_it_stands() {
    let served = served(None);
    let (_, task) = served.submitted().await;
    let began = Instant::now();
    let answer = served.get(&format!("/v1/tasks/{task}?wait=0.05")).await;
    assert!(began.elapsed() >= Duration::from_millis(50));
    assert_eq!(answer.json()["state"], "Queued");
}

#[test]
async fn tasks_are_listed_by_pages_and_cancelled_once() {
    let served = served(None);
    let body = r#"{"text":"hello","targets":["es","fr","de"]}"#;
    served.post("/v1/requests", body).await;
    let page = served.get("/v1/tasks?state=Queued&limit=2").await.json();
    assert_eq!(page["tasks"].as_array().expect("tasks").len(), 2);
    let next = page["next"].as_str().expect("another page");
    let rest = served
        .get(&format!("/v1/tasks?limit=2&after={next}"))
        .await
        .json();
    assert_eq!(rest["tasks"].as_array().expect("tasks").len(), 1);
    assert_eq!(rest["next"], json!(null));

    let cancel = format!("/v1/tasks/{next}/cancel");
    let cancelled = served.post(&cancel, "").await;
    assert_eq!(cancelled.json()["state"], "Failed");
    assert_eq!(served.post(&cancel, "").await.status, 409);
}

#[test]
async fn translations_at_once_come_in_order() {
    let served = served(None);
    let body = r#"{"texts":["one","two"],"target":"es","deadline_ms":500}"#;
    let answer = served.post("/v1/translate", body).await;
    let wanted = json!({"translations": [
        {"text": "ONE", "provider": "groq", "cached": false},
        {"text": "TWO", "provider": "groq", "cached": false},
    ]});
    assert_eq!((answer.status, answer.json()), (200, wanted));

    let refused = served
        .post("/v1/translate", r#"{"texts":["one","bad"],"target":"es"}"#)
        .await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json()["index"], 1);
    assert_eq!(refused.json()["reason"], "rejected");
}

#[test]
async fn what_is_held_is_shown_beside_its_texts_by_one_question() {
    let served = served(None);
    for _ in 0..3 {
        let (_, task) = served.submitted().await;
        served.complete(task, PublicationState::Held);
    }
    let held = served.get("/v1/review").await.json();
    let held = held["publications"].as_array().expect("a list");
    assert_eq!(held.len(), 3);
    assert!(held.iter().all(|it| it["original"].is_string()));
    assert_eq!(served.memory.lock().expect("free").orders, ["find 3"]);
}

#[test]
async fn a_person_decides_about_what_is_held() {
    let served = served(None);
    let (_, task) = served.submitted().await;
    served.complete(task, PublicationState::Held);
    let held = served.get("/v1/review").await.json();
    let id = held["publications"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(held["publications"][0]["parts"][0]["text"], "hola");
    assert!(held["publications"][0]["original"].is_string(), "{held}");
    let asked = served.memory.lock().expect("free").orders.pop();
    assert_eq!(asked.as_deref(), Some("find 1"));

    let approve = format!("/v1/publications/{id}/approve");
    let approved = served.post(&approve, r#"{"text":"¡hola!"}"#).await;
    assert_eq!(approved.json()["state"], "Planned");
    let order = served.memory.lock().expect("free").orders.pop();
    assert_eq!(order.as_deref(), Some("approve Some(\"¡hola!\")"));
    assert_eq!(served.post(&approve, "").await.status, 200);
    let reject = format!("/v1/publications/{id}/reject");
    assert_eq!(served.post(&reject, "").await.status, 409);
    let retry = format!("/v1/publications/{id}/retry");
    assert_eq!(served.post(&retry, "{}").await.status, 200);
}
