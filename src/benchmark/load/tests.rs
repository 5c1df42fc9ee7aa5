//! The load generator against a service that keeps nothing.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::super::simulator::{Plan, Simulator};
use super::*;

/// What the service says to a body: a status, and a body.
type Answer = Rc<dyn Fn(&str) -> (u16, String)>;

/// A service that answers what its function says, and keeps nothing.
struct FakeService {
    folder: tempfile::TempDir,
    listener: UnixListener,
}

impl FakeService {
    fn bind() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self { folder, listener }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Answers every request with what `answer` says about its body.
    async fn serve(&self, answer: Answer) {
        while let Ok((stream, _)) = self.listener.accept().await {
            drop(tokio::task::spawn_local(serve(stream, answer.clone())));
        }
    }
}

async fn serve(mut stream: UnixStream, answer: Answer) -> io::Result<()> {
    let mut received = Vec::new();
    while stream.read_buf(&mut received).await? > 0 {
        while let Some((body, length)) = request_in(&received) {
            // The answer to lines may begin before the request has ended, which costs the connection.
            let connection = match body.ends_with('\n') {
                true => "close",
                false => "keep-alive",
            };
            let (status, body) = answer(&body);
            let head = format!(
                "HTTP/1.1 {status} x\r\nconnection: {connection}\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await?;
            received.drain(..length);
            if connection == "close" {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Returns the body of the first request, and how long the request is, once it is whole.
fn request_in(received: &[u8]) -> Option<(String, usize)> {
    let text = std::str::from_utf8(received).ok()?;
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let body = rest.get(..length)?;
    Some((body.to_owned(), head.len() + 4 + length))
}

/// Does a job against a fake service and a simulated provider.
fn work_against(
    answer: impl Fn(&str) -> (u16, String) + 'static,
    job: impl FnOnce(PathBuf, SocketAddr) -> Job,
) -> anyhow::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let service = FakeService::bind();
        let provider = Simulator::bind(Plan::default()).await?;
        let job = job(service.socket(), provider.address()?);
        tokio::select! {
            outcome = work(job) => outcome,
            () = service.serve(Rc::new(answer)) => anyhow::bail!("the service ended"),
            served = provider.serve() => anyhow::bail!("the provider ended: {served:?}"),
        }
    })
}

fn bulk(socket: PathBuf, n_texts: u64) -> Bulk {
    Bulk::new(&socket, 4, n_texts)
}

fn of_texts(outcome: anyhow::Result<Outcome>) -> BulkOutcome {
    match outcome.unwrap() {
        Outcome::Bulk(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_text_is_submitted_once_and_some_ids_are_kept() {
    let bodies = Rc::new(RefCell::new(Vec::new()));
    let seen = bodies.clone();

    let outcome = of_texts(work_against(
        move |body| {
            seen.borrow_mut().push(body.to_owned());
            (202, r#"{"id":"r","tasks":[{"id":"t"}]}"#.into())
        },
        |socket, _| Job::Submits(bulk(socket, 50)),
    ));

    let mut texts: Vec<String> = bodies
        .borrow()
        .iter()
        .map(|body| serde_json::from_str::<serde_json::Value>(body).unwrap())
        .map(|body| body["text"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 50);
    assert_eq!((outcome.n_acknowledged, outcome.calls.n), (50, 50));
    assert_eq!(outcome.sample.len(), 50);
}

#[test]
fn a_text_that_met_a_full_service_is_tried_again() {
    let n_calls = Cell::new(0);

    let outcome = of_texts(work_against(
        move |_| {
            n_calls.set(n_calls.get() + 1);
            let status = if n_calls.get() <= 2 { 503 } else { 202 };
            (status, r#"{"tasks":[]}"#.into())
        },
        |socket, _| Job::Submits(bulk(socket, 8)),
    ));

    assert_eq!((outcome.n_acknowledged, outcome.n_busy), (8, 2));
}

#[test]
fn lines_are_acknowledged_one_by_one() {
    let outcome = of_texts(work_against(
        |body| {
            let line = "{\"status\":202,\"tasks\":[{\"id\":\"t\"}]}\n";
            (200, line.repeat(body.lines().count()))
        },
        |socket, _| Job::Lines(bulk(socket, 3_000)),
    ));

    assert_eq!((outcome.n_acknowledged, outcome.n_refused), (3_000, 0));
    assert_eq!(outcome.sample.len(), 3);
}

#[test]
fn questions_alternate_with_direct_calls_and_known_ones_are_counted() {
    let known = RefCell::new(std::collections::BTreeSet::new());

    let outcome = work_against(
        move |body| {
            let cached = !known.borrow_mut().insert(body.to_owned());
            (
                200,
                format!(
                    r#"{{"translations":[{{"text":"x","provider":"bench","cached":{cached}}}]}}"#
                ),
            )
        },
        |socket, provider| {
            Job::Interactive(Interactive {
                socket,
                provider,
                first: 3,
                n_new: 5,
                n_known: 7,
            })
        },
    );

    let Outcome::Interactive(asked) = outcome.unwrap() else {
        panic!("expected an outcome of questions");
    };
    assert_eq!(
        (asked.n_answered, asked.n_cached, asked.n_direct),
        (12, 7, 5)
    );
    assert_eq!((asked.known.n, asked.empty.n), (7, 7));
}

#[test]
fn a_service_that_refuses_a_question_is_an_error() {
    let outcome = work_against(
        |_| (422, "too long".into()),
        |socket, provider| {
            Job::Interactive(Interactive {
                socket,
                provider,
                first: 0,
                n_new: 1,
                n_known: 0,
            })
        },
    );

    let error = outcome.unwrap_err().to_string();
    assert_eq!(error, "the service answered 422: too long");
}

#[test]
fn a_call_carries_the_texts_from_its_first_number_on() {
    let mut template = line_calls(&bulk(PathBuf::new(), 5_000));

    let request = String::from_utf8(template.numbered(2_000).to_vec()).unwrap();

    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let texts: Vec<String> = body
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    let wanted: Vec<String> = (2_000..3_000).map(corpus::text).collect();
    assert_eq!(texts, wanted);
}

#[test]
fn lines_count_one_by_one_and_the_first_refusal_is_kept() {
    let mut outcome = BulkOutcome::default();
    let body = concat!(
        r#"{"status":202,"id":"r","tasks":[{"id":"t","target":"es","state":"Submitted"}]}"#,
        "\n",
        r#"{"status":400,"title":"bad"}"#,
        "\n",
        r#"{"status":503,"title":"full"}"#,
        "\n",
        "broken\n",
    );

    outcome.read_lines(200, body.as_bytes());

    assert_eq!((outcome.n_acknowledged, outcome.n_refused), (1, 2));
    assert_eq!(outcome.n_busy, 1);
    assert_eq!(outcome.sample, ["t"]);
    assert_eq!(
        outcome.first_refusal.as_deref(),
        Some(r#"400: {"status":400,"title":"bad"}"#)
    );
}
