//! Streams of requests and of events.

use std::time::Duration;

use actix_rt::test;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::client::{Answer, raw};
use super::served::{EVENTS, Served, served, served_with};

fn line(number: usize) -> String {
    format!(r#"{{"text":"text {number}","targets":["es"],"key":"{number}"}}"#)
}

#[test]
async fn a_refused_line_keeps_its_place_and_the_later_ones_go_on() {
    let served = served(None);
    let long = format!(r#"{{"text":"{}","targets":["es"]}}"#, "x".repeat(2 << 20));
    let bodies = [
        line(1),
        r#"{"text":"a","targets":["english!"]}"#.into(),
        line(2),
        "{".into(),
        long,
        r#"{"text":"other","targets":["es"],"key":"1"}"#.into(),
        r#"{"text":"a","targets":["fr"],"publish":true}"#.into(),
        line(1),
    ];
    let answer = served.lines(&bodies.join("\n")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("application/x-ndjson"));
    let lines = answer.lines();
    let statuses: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["status"].as_u64())
        .collect();
    assert_eq!(statuses, [202, 400, 202, 400, 413, 409, 422, 200]);
    assert_eq!(lines[0]["id"], lines[7]["id"]);
    assert!(
        lines[1]["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("`english!`"))
    );
}

#[test]
async fn who_sends_everything_before_reading_gets_every_answer_in_order() {
    let served = served(None);
    let n_lines = 20_000;
    let body: Vec<String> = (0..n_lines).map(line).collect();
    let lines = served.lines(&body.join("\n")).await.lines();
    assert_eq!(lines.len(), n_lines);
    let memory = served.memory.lock().expect("free");
    for (number, line) in lines.iter().enumerate() {
        let (id, _) = &memory.keys[number.to_string().as_str()];
        assert_eq!(line["id"], id.to_string());
    }
    let largest = memory.batches.iter().max().copied();
    assert!(
        largest <= Some(256) && memory.batches.len() < n_lines / 8,
        "{largest:?}"
    );
}

#[test]
async fn a_line_is_answered_while_the_stream_stays_open() {
    let served = served(None);
    let mut connection = UnixStream::connect(&served.socket).await.expect("a server");
    let head = "POST /v1/requests HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection
        .write_all(head.as_bytes())
        .await
        .expect("a reader");
    let mut answer = Vec::new();
    for number in 0..3 {
        let line = line(number) + "\n";
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        connection
            .write_all(chunk.as_bytes())
            .await
            .expect("a reader");
        let wanted = number + 1;
        while String::from_utf8_lossy(&answer)
            .matches("\"status\":202")
            .count()
            < wanted
        {
            let read = connection.read_buf(&mut answer).await.expect("an answer");
            assert!(read > 0, "the server hung up");
        }
    }
    connection.write_all(b"0\r\n\r\n").await.expect("a reader");
    connection.read_to_end(&mut answer).await.expect("the end");
    assert_eq!(Answer::parse(&answer).lines().len(), 3);
}

#[test]
async fn a_body_that_trickles_is_cut_and_what_came_whole_is_answered() {
    let served = served_with(None, Duration::from_millis(100));
    let head =
        "POST /v1/requests HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9999\r\n";
    let stream = format!(
        "{head}Content-Type: application/x-ndjson\r\n\r\n{}\n{{\"te",
        line(1)
    );
    let answer = raw(&served.socket, stream.as_bytes()).await;
    let lines = answer.lines();
    assert_eq!(
        (&lines[0]["status"], &lines[1]["status"]),
        (&json!(202), &json!(408))
    );
    assert_eq!(lines.len(), 2);

    let single = format!("{head}Content-Type: application/json\r\n\r\n{{\"te");
    assert_eq!(raw(&served.socket, single.as_bytes()).await.status, 408);
}

#[test]
async fn a_full_service_answers_every_line() {
    let served = served(None);
    served.memory.lock().expect("free").is_full = true;
    let lines = served
        .lines(&[line(1), "{".into(), line(2)].join("\n"))
        .await
        .lines();
    let statuses: Vec<u64> = lines
        .iter()
        .filter_map(|line| line["status"].as_u64())
        .collect();
    assert_eq!(statuses, [503, 400, 503]);
    assert_eq!(lines[0]["retry_after"], 3);
}

/// Opens the stream of events and waits until it listens.
async fn listening(served: &Served) -> UnixStream {
    let mut connection = UnixStream::connect(&served.socket).await.expect("a server");
    connection
        .write_all(b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .expect("a reader");
    read_until(&mut connection, ": listening").await;
    connection
}

async fn read_until(connection: &mut UnixStream, wanted: &str) -> String {
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if text.contains(wanted) {
            return text;
        }
        let read = connection.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "the server hung up before `{wanted}`: {text}");
    }
}

#[test]
async fn events_are_told_as_they_happen() {
    let served = served(None);
    let (_, task) = served.submitted().await;
    let mut connection = listening(&served).await;
    served.tell_completed(task);
    let text = read_until(&mut connection, "Completed").await;
    let wanted = format!("event: task\ndata: {{\"id\":\"{task}\",\"state\":\"Completed\",");
    assert!(text.contains(&wanted), "{text}");
}

#[test]
async fn a_slow_reader_is_told_that_it_lags_and_is_cut() {
    let served = served(None);
    let (_, task) = served.submitted().await;
    let mut connection = listening(&served).await;
    // Nothing is read until far more was told than the bus and the socket's buffers can hold.
    for _ in 0..200 {
        for _ in 0..EVENTS * 4 {
            served.tell_completed(task);
        }
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("the end");
    let text = String::from_utf8_lossy(&answer);
    let missed = text
        .find("event: lagged\ndata: {\"missed\":")
        .expect("a word about it");
    assert!(
        !text[missed..].contains("event: task"),
        "nothing comes behind it"
    );
}

#[test]
async fn readers_are_let_go_at_the_stop() {
    let served = served(None);
    let mut connection = listening(&served).await;
    served.running.stop().await;
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).await.expect("the end");
}
