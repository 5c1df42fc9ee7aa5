//! Takes a stream of requests in, a line each, and answers each in its place.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Bytes, BytesMut};
use actix_web::{HttpResponse, web};
use babelfeed_actors::messages::Submission;
use babelfeed_actors::ports::Admitted;
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use futures_util::stream::{self, FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::body::parse;
use super::client::Client;
use super::problem::Problem;
use super::requests::{admit, short_answer, status_of};
use super::server::Face;
use super::submission::SubmitBody;
use super::wire;

/// The longest line that is taken, in bytes.
const MAX_LINE: usize = 1 << 20;
/// The most lines that are handed in together.
const MAX_BATCH: usize = 256;
/// The most batches of one stream that are on their way.
const MAX_FLIGHTS: usize = 4;
/// The most bytes of answers that wait for the client to read them.
///
/// Many clients send all they have before they read: this is some 200,000 answers.
const MAX_UNREAD: usize = 32 << 20;

/// Answers a body of lines with a stream of answers.
pub(super) fn submit(face: web::Data<Face>, payload: web::Payload, client: Client) -> HttpResponse {
    let (outbox, answers) = outbox(face.patience);
    actix_rt::spawn(async move {
        // An error means that the client is gone; what it handed in is worked on all the same.
        let _ = answer_all(&face, payload, client, outbox).await;
    });
    let answers = stream::unfold(answers, async |mut answers: UnboundedReceiver<Unread>| {
        let (bytes, _room) = answers.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), answers))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/x-ndjson"))
        .streaming(answers)
}

/// Reads lines, hands them in batch by batch, and answers in order.
async fn answer_all(
    face: &web::Data<Face>,
    mut payload: web::Payload,
    client: Client,
    outbox: Outbox,
) -> Result<(), Gone> {
    let mut splitter = Splitter::default();
    let mut flights: FuturesOrdered<LocalBoxFuture<'_, Vec<u8>>> = FuturesOrdered::new();
    let mut end = None;
    loop {
        while flights.len() < MAX_FLIGHTS
            && let Some(batch) = splitter.batch(face, client)
        {
            flights.push_back(batch.hand_in(face).boxed_local());
        }
        if flights.is_empty() && end.is_some() {
            break;
        }
        tokio::select! {
            biased;
            Some(answers) = flights.next(), if !flights.is_empty() => outbox.put(answers).await?,
            chunk = timeout(face.patience, payload.next()), if end.is_none() && flights.len() < MAX_FLIGHTS => {
                end = take(chunk, &mut payload, &mut splitter);
            }
        }
    }
    match end {
        Some(End::Silence) => outbox.put(silence(face.patience)).await,
        _ => Ok(()),
    }
}

/// Why no more lines come.
enum End {
    /// The body ended.
    Whole,
    /// The connection broke.
    Broken,
    /// No byte came for too long.
    Silence,
}

type Chunk =
    Result<Option<Result<Bytes, actix_web::error::PayloadError>>, tokio::time::error::Elapsed>;

/// Takes one chunk and all that has arrived with it, up to a full batch.
fn take(chunk: Chunk, payload: &mut web::Payload, splitter: &mut Splitter) -> Option<End> {
    let mut chunk = match chunk {
        Err(_) => return Some(End::Silence),
        Ok(chunk) => chunk,
    };
    loop {
        match chunk {
            None => {
                splitter.finish();
                return Some(End::Whole);
            }
            Some(Err(_)) => return Some(End::Broken),
            Some(Ok(bytes)) => splitter.take(&bytes),
        }
        if splitter.lines.len() >= MAX_BATCH {
            return None;
        }
        chunk = payload.next().now_or_never()?;
    }
}

fn silence(patience: Duration) -> Vec<u8> {
    let problem = Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        format!(
            "no byte came for {} s, expected a line or the end",
            patience.as_secs_f32()
        ),
    );
    let mut line = Vec::new();
    problem.write(&mut line);
    line.push(b'\n');
    line
}

/// Cuts chunks into lines.
#[derive(Default)]
struct Splitter {
    /// The beginning of a line whose end has not come.
    rest: BytesMut,
    /// Whether the line whose end has not come is already too long to be kept.
    overflows: bool,
    /// Lines that wait to be handed in.
    lines: VecDeque<Line>,
}

/// A line, or what is left of one that was too long.
enum Line {
    Whole(Bytes),
    TooLong,
}

impl Splitter {
    fn take(&mut self, mut chunk: &[u8]) {
        while let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
            self.append(&chunk[..end]);
            self.finish();
            chunk = &chunk[end + 1..];
        }
        self.append(chunk);
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.rest.len() + bytes.len() > MAX_LINE {
            self.overflows = true;
            self.rest.clear();
        }
        if !self.overflows {
            self.rest.extend_from_slice(bytes);
        }
    }

    /// Ends the line; one without a word in it asks for no answer.
    fn finish(&mut self) {
        if std::mem::take(&mut self.overflows) {
            self.lines.push_back(Line::TooLong);
            return;
        }
        let line = self.rest.split().freeze();
        if !line.trim_ascii().is_empty() {
            self.lines.push_back(Line::Whole(line));
        }
    }

    /// The next lines that are handed in together; none when there is none.
    fn batch(&mut self, face: &Face, client: Client) -> Option<Batch> {
        if self.lines.is_empty() {
            return None;
        }
        let n_lines = self.lines.len().min(MAX_BATCH);
        let mut batch = Batch {
            places: Vec::with_capacity(n_lines),
            submissions: Vec::with_capacity(n_lines),
        };
        for line in self.lines.drain(..n_lines) {
            batch.add(line, face, client);
        }
        Some(batch)
    }
}

/// Lines that are handed in together.
struct Batch {
    /// For each line its problem, or none when it is among the submissions.
    places: Vec<Option<Problem>>,
    submissions: Vec<Submission>,
}

impl Batch {
    fn add(&mut self, line: Line, face: &Face, client: Client) {
        let parsed = match line {
            Line::TooLong => Err(Problem::too_large(format!(
                "the line is too long, expected at most {MAX_LINE} bytes"
            ))),
            Line::Whole(line) => parse::<SubmitBody>(&line)
                .and_then(|body| body.into_submission(&face.control.outlets, client)),
        };
        match parsed {
            Ok(submission) => {
                self.submissions.push(submission);
                self.places.push(None);
            }
            Err(problem) => self.places.push(Some(problem)),
        }
    }

    /// Hands the batch in and writes the answers, a line each, in order.
    async fn hand_in(self, face: &Face) -> Vec<u8> {
        let admitted = match self.submissions.is_empty() {
            true => Ok(Vec::new()),
            false => admit(face, self.submissions).await,
        };
        let mut answers = Vec::with_capacity(self.places.len() * 192);
        let mut n_taken = 0;
        for place in self.places {
            match (place, &admitted) {
                (Some(problem), _) => problem.write(&mut answers),
                (None, Err(problem)) => problem.write(&mut answers),
                (None, Ok(admitted)) => {
                    write_line(&mut answers, admitted.get(n_taken));
                    n_taken += 1;
                }
            }
            answers.push(b'\n');
        }
        answers
    }
}

fn write_line(answers: &mut Vec<u8>, admitted: Option<&Admitted>) {
    let checked = admitted
        .ok_or_else(short_answer)
        .and_then(|admitted| Ok((admitted, status_of(admitted)?)));
    match checked {
        Ok((admitted, status)) => wire::write_accepted(answers, admitted, Some(status)),
        Err(problem) => problem.write(answers),
    }
}

type Unread = (Bytes, OwnedSemaphorePermit);

/// Answers that the client has not read, bounded by their bytes.
struct Outbox {
    answers: UnboundedSender<Unread>,
    room: Arc<Semaphore>,
    /// How long to wait for room.
    patience: Duration,
}

/// The client is gone, or reads no more.
struct Gone;

fn outbox(patience: Duration) -> (Outbox, UnboundedReceiver<Unread>) {
    let (sender, receiver) = unbounded_channel();
    let outbox = Outbox {
        answers: sender,
        room: Arc::new(Semaphore::new(MAX_UNREAD)),
        patience,
    };
    (outbox, receiver)
}

impl Outbox {
    /// Puts answers there as soon as there is room.
    async fn put(&self, answers: Vec<u8>) -> Result<(), Gone> {
        let size = u32::try_from(answers.len().min(MAX_UNREAD)).map_err(|_| Gone)?;
        let room = Arc::clone(&self.room).acquire_many_owned(size);
        let room = tokio::select! {
            room = timeout(self.patience, room) => room.map_err(|_: tokio::time::error::Elapsed| Gone)?,
            () = self.answers.closed() => return Err(Gone),
        };
        let room = room.map_err(|_| Gone)?;
        self.answers.send((answers.into(), room)).map_err(|_| Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<Option<String>> {
        let mut splitter = Splitter::default();
        for chunk in chunks {
            splitter.take(chunk);
        }
        splitter.finish();
        let shown = |line| match line {
            Line::TooLong => None,
            Line::Whole(line) => Some(String::from_utf8_lossy(&line).into_owned()),
        };
        splitter.lines.into_iter().map(shown).collect()
    }

    #[test]
    fn lines_are_whole_wherever_the_chunks_are_cut() {
        let wanted = [
            Some("one".into()),
            Some("two\r".into()),
            Some("three".into()),
        ];
        assert_eq!(split(&[b"one\ntwo\r\n\n \nthree"]), wanted);
        assert_eq!(split(&[b"on", b"e", b"\n", b"two\r\nthr", b"ee\n"]), wanted);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let long = vec![b'x'; MAX_LINE];
        let lines = split(&[b"a\n", &long, b"x", &long, b"\nb\n"]);
        assert_eq!(lines, [Some("a".into()), None, Some("b".into())]);
    }
}
