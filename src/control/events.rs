//! Tells events as they happen, as server-sent events.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, web};
use babelfeed_actors::messages::Event;
use futures_util::stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;

use super::app::Answer;
use super::problem::Problem;
use super::server::Face;
use super::wire::Happened;

/// The most readers at a time.
const MAX_READERS: usize = 64;
/// How long it is silent before a comment keeps the connection alive.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many bytes are gathered before they are sent.
const CHUNK: usize = 16 << 10;

/// `GET /v1/events`
pub(super) async fn events(face: web::Data<Face>) -> Answer {
    let reader = Reader::enter(face)?;
    let stream = stream::unfold(Some(reader), async |reader| {
        let mut reader = reader?;
        let (chunk, goes_on) = reader.next().await?;
        Some((Ok::<_, Infallible>(chunk), goes_on.then_some(reader)))
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .force_close()
        .streaming(stream))
}

/// Somebody who reads events, counted while the connection lives.
struct Reader {
    face: web::Data<Face>,
    events: Receiver<Event>,
    greeted: bool,
}

impl Reader {
    fn enter(face: web::Data<Face>) -> Result<Self, Problem> {
        let before = face.n_readers.fetch_add(1, Ordering::Relaxed);
        let reader = Self {
            events: face.control.handles.events.listen(),
            face,
            greeted: false,
        };
        if before >= MAX_READERS {
            let detail = format!("{MAX_READERS} readers listen already, expected one to leave");
            return Err(Problem::unavailable(detail, Duration::from_secs(10)));
        }
        Ok(reader)
    }

    /// What comes next, and whether more can come; none at the end.
    async fn next(&mut self) -> Option<(Bytes, bool)> {
        if !self.greeted {
            // The first bytes tell the client that it misses nothing from now on.
            self.greeted = true;
            return Some((Bytes::from_static(b": listening\n\n"), true));
        }
        let first = tokio::select! {
            first = timeout(HEARTBEAT, self.events.recv()) => first,
            () = self.face.closed() => return None,
        };
        let mut chunk = Vec::new();
        match first {
            Err(_) => chunk.extend_from_slice(b": still here\n\n"),
            Ok(Err(RecvError::Closed)) => return None,
            Ok(Err(RecvError::Lagged(n_missed))) => return Some(lagged(chunk, n_missed)),
            Ok(Ok(event)) => write_event(&mut chunk, &event),
        }
        while chunk.len() < CHUNK {
            match self.events.try_recv() {
                Ok(event) => write_event(&mut chunk, &event),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                Err(TryRecvError::Lagged(n_missed)) => return Some(lagged(chunk, n_missed)),
            }
        }
        Some((chunk.into(), true))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.face.n_readers.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lagged(mut chunk: Vec<u8>, n_missed: u64) -> (Bytes, bool) {
    let last = format!("event: lagged\ndata: {{\"missed\":{n_missed}}}\n\n");
    chunk.extend_from_slice(last.as_bytes());
    (chunk.into(), false)
}

fn write_event(chunk: &mut Vec<u8>, event: &Event) {
    let (name, happened) = Happened::of(event);
    chunk.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
    serde_json::to_writer(&mut *chunk, &happened)
        .expect("texts are JSON, and memory takes every byte");
    chunk.extend_from_slice(b"\n\n");
}
