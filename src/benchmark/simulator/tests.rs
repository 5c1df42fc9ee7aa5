//! The simulated provider, asked over its own port.

use serde_json::Value;

use super::super::client::{TcpConnection, connect_tcp, get, post};
use super::*;

/// Asks a provider of this plan what `exercise` asks.
fn with_simulator<T>(plan: Plan, exercise: impl AsyncFnOnce(SocketAddr) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let simulator = Simulator::bind(plan).await.unwrap();
        let address = simulator.address().unwrap();
        let serving = tokio::task::spawn_local(simulator.serve());
        let outcome = exercise(address).await;
        serving.abort();
        outcome
    })
}

fn call(body: &[u8]) -> Vec<u8> {
    post(TRANSLATE_PATH, "application/json", body)
}

async fn ask(connection: &mut TcpConnection, request: &[u8]) -> (u16, Vec<u8>) {
    let response = connection.exchange(request).await.unwrap();
    (response.status, response.body.to_vec())
}

async fn counts(address: SocketAddr) -> Counts {
    let mut connection = connect_tcp(address).await.unwrap();
    let (_, body) = ask(&mut connection, &get(COUNTS_PATH)).await;
    serde_json::from_slice(&body).unwrap()
}

/// Makes calls one after the other; returns the status codes, 0 where the connection broke.
async fn statuses(address: SocketAddr, n: u64) -> Vec<u16> {
    let mut statuses = Vec::new();
    for n in 0..n {
        let mut connection = connect_tcp(address).await.unwrap();
        let request = call(&call_body(&corpus::text(n)));
        let answer = connection.exchange(&request).await;
        statuses.push(answer.map_or(0, |answer| answer.status));
    }
    statuses
}

fn translation_in(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body).unwrap();
    let content = body["choices"][0]["message"]["content"].as_str().unwrap();
    serde_json::from_str(content).unwrap()
}

#[test]
fn a_call_is_answered_item_by_item_with_its_ids() {
    let content = r#"{"target":"es","source":null,"items":[{"id":"a","text":"one \"x\""},{"id":"b","text":"⟦0⟧"}]}"#;
    let body = serde_json::json!({"messages": [{"role": "user", "content": content}]});
    let request = call(body.to_string().as_bytes());

    let answer = with_simulator(Plan::default(), async |address| {
        let mut connection = connect_tcp(address).await.unwrap();
        translation_in(&ask(&mut connection, &request).await.1)
    });

    assert_eq!(
        answer,
        serde_json::json!({"items": [{"id": "a", "text": "«one \"x\"»"}, {"id": "b", "text": "«⟦0⟧»"}]})
    );
}

#[test]
fn calls_and_texts_are_counted_and_what_is_not_understood_apart() {
    let plan = Plan::constant(Duration::from_millis(1));

    let counts = with_simulator(plan, async |address| {
        let mut connection = connect_tcp(address).await.unwrap();
        for body in [call_body("one"), call_body("two"), b"{}".to_vec()] {
            ask(&mut connection, &call(&body)).await;
        }
        counts(address).await
    });

    assert_eq!((counts.received, counts.calls, counts.texts), (3, 2, 2));
    assert_eq!((counts.misunderstood, counts.peak_in_flight), (1, 1));
    assert!(counts.tokens_in > 0 && counts.tokens_out > 0);
}

#[test]
fn an_answer_waits_for_the_latency() {
    let latency = Duration::from_millis(30);
    let request = call(&call_body("one"));

    let taken = with_simulator(Plan::constant(latency), async |address| {
        let mut connection = connect_tcp(address).await.unwrap();
        let started = Instant::now();
        ask(&mut connection, &request).await;
        started.elapsed()
    });

    assert!(taken >= latency, "{taken:?}");
}

#[test]
fn a_call_over_a_limit_is_refused_and_counted() {
    let plan = Plan {
        limits: vec![Limit::new(Unit::Requests, Per::Day, 3)],
        ..Plan::default()
    };

    let (statuses, counts) = with_simulator(plan, async |address| {
        (statuses(address, 5).await, counts(address).await)
    });

    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!((counts.received, counts.calls, counts.throttled), (5, 3, 2));
    assert_eq!(counts.episodes, 1);
}

#[test]
fn the_planned_refusal_comes_at_its_call_alone() {
    let plan = Plan {
        throttle: Some(Throttle {
            at_call: 2,
            wait: Duration::from_secs(1),
            hint: Hint::Seconds,
        }),
        ..Plan::default()
    };

    let statuses = with_simulator(plan, async |address| statuses(address, 4).await);

    assert_eq!(statuses, [200, 429, 200, 200]);
}

#[test]
fn an_outage_turns_every_call_away_until_it_is_over() {
    let seen = with_simulator(Plan::default(), async |address| {
        let mut control = connect_tcp(address).await.unwrap();
        let mut seen = Vec::new();
        for outage in [Outage::Reset, Outage::Unavailable, Outage::Over] {
            let body = serde_json::to_vec(&outage).unwrap();
            let switch = post(OUTAGE_PATH, "application/json", &body);
            assert_eq!(ask(&mut control, &switch).await.0, 200);
            seen.extend(statuses(address, 1).await);
        }
        let (_, timeline) = ask(&mut control, &get(TIMELINE_PATH)).await;
        let timeline: Timeline = serde_json::from_slice(&timeline).unwrap();
        (seen, timeline.during_outage_ms.len(), counts(address).await)
    });

    let (statuses, n_listed, counts) = seen;
    assert_eq!(statuses, [0, 503, 200]);
    assert_eq!((n_listed, counts.during_outage, counts.received), (2, 2, 1));
}

#[test]
fn an_answer_ends_at_the_tokens_that_its_call_allows() {
    let mut body: Value = serde_json::from_slice(&call_body(&corpus::text(1))).unwrap();
    body["max_completion_tokens"] = 5.into();
    let request = call(body.to_string().as_bytes());

    let (answer, counts) = with_simulator(Plan::default(), async |address| {
        let mut connection = connect_tcp(address).await.unwrap();
        let (_, answer) = ask(&mut connection, &request).await;
        (answer, counts(address).await)
    });

    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 5);
    assert_eq!((counts.cut, counts.tokens_out), (1, 5));
}

#[test]
fn failures_come_by_their_share_and_are_counted() {
    let plan = Plan {
        faults: vec![(Fault::ServerError, 0.25), (Fault::Reset, 0.25)],
        seed: 5,
        ..Plan::default()
    };

    let (statuses, counts) = with_simulator(plan, async |address| {
        (statuses(address, 40).await, counts(address).await)
    });

    let n_well = statuses.iter().filter(|status| **status == 200).count() as u64;
    assert!(statuses.contains(&0) && statuses.iter().any(|status| *status >= 500));
    assert_eq!((counts.calls, counts.failed), (n_well, 40 - n_well));
}

#[test]
fn an_answer_that_trickles_arrives_whole() {
    let plan = Plan {
        faults: vec![(Fault::Trickle, 1.0)],
        ..Plan::default()
    };
    let request = call(&call_body(&corpus::text(3)));

    let answer = with_simulator(plan, async |address| {
        let mut connection = connect_tcp(address).await.unwrap();
        translation_in(&ask(&mut connection, &request).await.1)
    });

    assert_eq!(answer["items"][0]["text"], corpus::translation(3, "es"));
}
