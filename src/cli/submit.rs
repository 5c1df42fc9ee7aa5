//! `submit`: hands in texts, and may wait for their translations.

mod in_order;
mod taken;

use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::in_order::{InOrder, Word};
use self::taken::Taken;
use super::client::{Answer, Client, LineWriter, Refused};
use super::input::{Input, Line};
use super::options::{Exit, ExitError};
use super::{complain, is_unread};
use crate::control::wire::{Request, Submission, Task};

/// The most lines that are sent without an answer; more than one chunk can hold.
const MAX_UNANSWERED: usize = 1 << 16;
/// The most lines that are read before they are sent.
const MAX_AHEAD: usize = 256;
/// After how long without a line an empty one is sent, which asks for nothing; a service that hears
/// nothing for 30 seconds ends the stream.
const SILENCE: Duration = Duration::from_secs(10);
/// For how long one question waits; it is asked again.
const WAIT_SECONDS: u32 = 60;
/// How long a service that is not heard may take to come back.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long to wait before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What `submit` is told.
#[derive(Args, Debug)]
pub(super) struct SubmitOptions {
    /// The text
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    text: Option<String>,
    /// Lines of text, or JSON objects for `.jsonl`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The languages wanted, like es,fr
    #[arg(long, value_name = "TAGS", value_delimiter = ',')]
    to: Vec<String>,
    /// The text's language
    #[arg(long, value_name = "TAG")]
    from: Option<String>,
    /// Publishes the translations
    #[arg(long)]
    publish: bool,
    /// How urgent it is
    #[arg(long, value_parser = ["high", "normal", "low"])]
    priority: Option<String>,
    /// Waits, and gives the translations in the order of the texts
    #[arg(long)]
    wait: bool,
    /// Where the ids or translations go; JSON for `.jsonl`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Hands the texts in.
pub(super) fn submit(client: &Client, options: &SubmitOptions, json: bool) -> anyhow::Result<Exit> {
    let input = Input::new(options.text.as_deref(), options.file.as_deref())?;
    if options.to.is_empty() && !input.is_json() {
        return Err(ExitError::usage("expected `--to` with a language, like `--to es,fr`").into());
    }
    let mut output = Output::new(options.out.as_deref(), json)?;
    let mut n_failed = 0;
    let taken = Taken::default();
    let listening = taken.tell_when_interrupted();
    listening.context("signals cannot be heard")?;
    let handed_in = hand_in(client, &input, options, &taken, |place| {
        match place.answer {
            Err(why) => {
                n_failed += 1;
                complain(format_args!("line {}: {why}", place.number));
            }
            Ok(_) if options.wait => (),
            Ok(answer) => {
                output.id(&answer)?;
                taken.forget(place.number);
            }
        }
        Ok(())
    });
    let waited = handed_in.and_then(|()| match options.wait {
        true => wait_for(client, &taken, &mut output),
        false => Ok(0),
    });
    n_failed += waited.inspect_err(|error| {
        if !is_unread(error) {
            taken.tell();
        }
    })?;
    output.writer.flush()?;
    Ok(if n_failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// A line with what became of it.
struct Place {
    number: usize,
    answer: Result<TakenLine, String>,
}

/// A line of the answer that took something in, as it came and with its id.
struct TakenLine {
    id: String,
    text: String,
}

/// A line of the answer.
#[derive(Deserialize)]
struct AnswerLine {
    id: Option<String>,
    detail: Option<String>,
    status: Option<u16>,
    retry_after: Option<u64>,
}

/// A line that was sent, or why it was not.
struct Sent {
    line: Line,
    refused: Option<String>,
}

/// Streams the lines to the service and tells, in order, what became of each.
///
/// Lines that the service cannot take now, as while it reloads, are handed in again behind the others,
/// as long as some line is taken within the time that a restart may take; those of standard input,
/// whose end may be far, are not.
fn hand_in(
    client: &Client,
    input: &Input,
    options: &SubmitOptions,
    taken: &Taken,
    tell: impl FnMut(Place) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut places = InOrder::new(taken, tell);
    let lines = read_ahead(input.lines()?);
    let is_json = input.is_json();
    let handed_in = stream(client, lines, is_json, options, &mut places)
        .and_then(|()| hand_in_again(client, is_json, options, &mut places));
    // Whatever came of the others, what was said of a line is told.
    let told = places.end();
    handed_in.and(told)
}

fn hand_in_again(
    client: &Client,
    is_json: bool,
    options: &SubmitOptions,
    places: &mut InOrder<impl FnMut(Place) -> anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let mut is_told = false;
    while let Some(wait) = places.wait(PATIENCE) {
        thread::sleep(wait);
        let later = places.take_later();
        if let Some((_, why)) = later
            .first()
            .filter(|_| !std::mem::replace(&mut is_told, true))
        {
            let n_lines = later.len();
            complain(format_args!(
                "{n_lines} lines were not taken, and are handed in again for a while: {why}"
            ));
        }
        let lines: Vec<_> = later.iter().map(|(line, _)| Ok(line.clone())).collect();
        let lines = read_ahead(lines.into_iter());
        match stream(client, lines, is_json, options, places) {
            Ok(()) => (),
            // None of them was taken: the service is not there yet, or takes nothing.
            Err(error) if is_unreachable(&error) || put_off(&error).is_some() => {
                for (line, why) in later {
                    let wait = put_off(&error).unwrap_or(ASK_AGAIN);
                    places.hear(line, Word::Later { why, wait })?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_unreachable(error: &anyhow::Error) -> bool {
    let exit = error.downcast_ref::<ExitError>();
    exit.is_some_and(|error| matches!(error.exit, Exit::Unreachable))
}

/// Hands lines in, and hears what the service says of each.
fn stream(
    client: &Client,
    lines: Receiver<io::Result<Line>>,
    is_json: bool,
    options: &SubmitOptions,
    places: &mut InOrder<impl FnMut(Place) -> anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let (writer, connection) = client.stream("/v1/requests")?;
    let hangup = connection.try_clone()?;
    thread::scope(|scope| {
        let (sender, sent) = sync_channel(MAX_UNANSWERED);
        let writing = scope.spawn(move || send(&lines, SILENCE, is_json, options, writer, &sender));
        let told =
            Answer::read(connection).and_then(|answer| receive(answer, &sent, options, places));
        drop(sent);
        if told.is_err() {
            // A writer that waits for room would wait for ever; an error means that it is gone.
            let _ = hangup.shutdown(Shutdown::Both);
        }
        let written = writing
            .join()
            .map_err(|_| anyhow!("the lines could not be sent"))?;
        told.and(written)
    })
}

/// The lines, read on a thread of its own, which stays behind where no more are wanted: nobody need
/// wait for the next one of a pipe.
fn read_ahead(
    lines: impl Iterator<Item = io::Result<Line>> + Send + 'static,
) -> Receiver<io::Result<Line>> {
    let (sender, ahead) = sync_channel(MAX_AHEAD);
    thread::spawn(move || {
        for line in lines {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    ahead
}

fn send(
    lines: &Receiver<io::Result<Line>>,
    silence: Duration,
    is_json: bool,
    options: &SubmitOptions,
    mut writer: LineWriter,
    sent: &SyncSender<Sent>,
) -> anyhow::Result<()> {
    let is_live = is_live(options);
    let mut broken = None;
    loop {
        let line = match lines.recv_timeout(silence) {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => {
                broken = Some(error);
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                writer.write(b"")?;
                writer.flush()?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let encoded = encode(&line.text, is_json, options);
        let refused = encoded.as_ref().err().cloned();
        if sent.send(Sent { line, refused }).is_err() {
            return Ok(());
        }
        if let Ok(line) = encoded {
            writer.write(&line)?;
        }
        if is_live {
            writer.flush()?;
        }
    }
    writer.finish()?;
    match broken {
        None => Ok(()),
        Some(error) => Err(error).context("the input cannot be read on"),
    }
}

fn receive(
    mut answer: Answer,
    sent: &Receiver<Sent>,
    options: &SubmitOptions,
    places: &mut InOrder<impl FnMut(Place) -> anyhow::Result<()>>,
) -> anyhow::Result<()> {
    for Sent { line, refused } in sent {
        let number = line.number;
        let word = match refused {
            Some(why) => Word::Done(Err(why)),
            None => answered(&mut answer)
                .with_context(|| format!("line {number} and those after it have no answer"))?,
        };
        let word = match word {
            // Its end, at which lines are handed in again, may be far.
            Word::Later { why, .. } if is_live(options) => Word::Done(Err(why)),
            word => word,
        };
        places.hear(line, word)?;
    }
    Ok(())
}

/// Whether lines come as somebody writes them.
fn is_live(options: &SubmitOptions) -> bool {
    options.file.as_deref() == Some(Path::new("-"))
}

fn answered(answer: &mut Answer) -> anyhow::Result<Word> {
    let Some(text) = answer.line()? else {
        bail!("the service stopped answering, expected an answer for every line");
    };
    let line: AnswerLine =
        serde_json::from_str(&text).context("the service answered something unexpected")?;
    Ok(match line.id {
        Some(id) => Word::Done(Ok(TakenLine { id, text })),
        None if line.status == Some(503) => Word::Later {
            why: line.detail.unwrap_or(text),
            wait: line.retry_after.map_or(ASK_AGAIN, Duration::from_secs),
        },
        None => Word::Done(Err(line.detail.unwrap_or(text))),
    })
}

/// The submission that a line asks for, or why it asks for none.
fn encode(text: &str, is_json: bool, options: &SubmitOptions) -> Result<Vec<u8>, String> {
    if !is_json {
        return Ok(encode_text(text, options));
    }
    match serde_json::from_str(text) {
        Ok(Value::String(text)) => Ok(encode_text(&text, options)),
        Ok(Value::Object(object)) => encode_object(object, options),
        Ok(_) => Err("expected a JSON object or a JSON string".into()),
        Err(error) => Err(format!("expected JSON: {error}")),
    }
}

fn encode_text(text: &str, options: &SubmitOptions) -> Vec<u8> {
    let submission = Submission {
        text,
        targets: &options.to,
        source: options.from.as_deref(),
        priority: options.priority.as_deref(),
        publish: options.publish,
    };
    serde_json::to_vec(&submission).expect("texts are JSON")
}

/// What the line does not say, the command line says.
fn encode_object(
    mut object: Map<String, Value>,
    options: &SubmitOptions,
) -> Result<Vec<u8>, String> {
    let defaults = [
        (
            "targets",
            (!options.to.is_empty()).then(|| json!(options.to)),
        ),
        ("source", options.from.as_ref().map(|from| json!(from))),
        (
            "priority",
            options.priority.as_ref().map(|name| json!(name)),
        ),
        ("publish", options.publish.then_some(Value::Bool(true))),
    ];
    for (name, value) in defaults {
        if let Some(value) = value {
            object.entry(name).or_insert(value);
        }
    }
    serde_json::to_vec(&object).map_err(|error| error.to_string())
}

/// Waits for requests in their order and gives their translations; tells how many failed.
///
/// What it is done with leaves `taken`, so that after an error the others can be told of.
fn wait_for(client: &Client, taken: &Taken, output: &mut Output) -> anyhow::Result<usize> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}, {eta} left")
        .context("the progress bar has a bad template")?;
    let progress = ProgressBar::new(taken.len() as u64).with_style(style);
    let mut n_failed = 0;
    while let Some((number, id)) = taken.first() {
        let request = match settled(client, &id) {
            Ok(request) => request,
            Err(error) if error.is::<Refused>() => {
                n_failed += 1;
                progress.suspend(|| complain(format_args!("line {number}: {error}")));
                taken.forget(number);
                continue;
            }
            Err(error) => return Err(error),
        };
        let troubles = troubles(&request);
        n_failed += usize::from(!troubles.is_empty());
        for trouble in troubles {
            progress.suspend(|| complain(format_args!("line {number}: {trouble}")));
        }
        progress.suspend(|| output.translations(&request))?;
        progress.inc(1);
        taken.forget(number);
    }
    progress.finish_and_clear();
    Ok(n_failed)
}

/// A request whose tasks and publications are settled.
///
/// A service that reloads or restarts meanwhile is not heard for a while; what was handed in is
/// durable, so it is asked again for as long as a restart may take. One that is heard and says that
/// it cannot tell now is asked again as long as it does.
fn settled(client: &Client, id: &str) -> anyhow::Result<Request> {
    let mut last_heard = Instant::now();
    loop {
        let asked: anyhow::Result<Request> =
            client.get(&format!("/v1/requests/{id}?wait={WAIT_SECONDS}"));
        match asked {
            Ok(request) if request.tasks.iter().all(is_settled) => return Ok(request),
            Ok(_) => last_heard = Instant::now(),
            Err(error) if error.is::<Refused>() => {
                let wait = put_off(&error).ok_or(error)?;
                thread::sleep(wait);
                last_heard = Instant::now();
            }
            Err(error) if last_heard.elapsed() > PATIENCE => {
                return Err(error.context(format!("request {id} was taken, and is not lost")));
            }
            Err(_) => thread::sleep(ASK_AGAIN),
        }
    }
}

/// How long to wait before the same is asked again, where the service says that it cannot tell now.
fn put_off(error: &anyhow::Error) -> Option<Duration> {
    let Refused(problem) = error.downcast_ref()?;
    let told = problem.retry_after.map(Duration::from_secs);
    let wait = told.map_or(ASK_AGAIN, |wait| wait.min(PATIENCE));
    (problem.status == 503).then_some(wait)
}

fn is_settled(task: &Task) -> bool {
    matches!(task.state.as_str(), "Completed" | "Failed")
        && task
            .publications
            .iter()
            .all(|publication| !matches!(publication.state.as_str(), "Planned" | "Sending"))
}

/// What went wrong with a request, a sentence each.
fn troubles(request: &Request) -> Vec<String> {
    let mut troubles = Vec::new();
    for task in &request.tasks {
        if let Some(error) = &task.error {
            troubles.push(format!("{}: {}: {}", task.target, error.kind, error.detail));
        }
        for publication in &task.publications {
            if matches!(publication.state.as_str(), "Refused" | "Unknown") {
                let why = publication.why.as_deref().unwrap_or("no reason given");
                let (outlet, state) = (&publication.outlet, &publication.state);
                troubles.push(format!("outlet {outlet}: {state}: {why}"));
            }
        }
    }
    troubles
}

/// Where ids and translations go.
struct Output {
    writer: Box<dyn Write>,
    is_json: bool,
}

impl Output {
    fn new(out: Option<&Path>, json: bool) -> anyhow::Result<Self> {
        let Some(out) = out else {
            return Ok(Self {
                writer: Box::new(io::stdout()),
                is_json: json,
            });
        };
        let file =
            File::create(out).with_context(|| format!("{} cannot be written", out.display()))?;
        Ok(Self {
            writer: Box::new(io::LineWriter::new(file)),
            is_json: json || out.extension().is_some_and(|end| end == "jsonl"),
        })
    }

    fn id(&mut self, answer: &TakenLine) -> anyhow::Result<()> {
        let line = match self.is_json {
            true => &answer.text,
            false => &answer.id,
        };
        Ok(writeln!(self.writer, "{line}")?)
    }

    fn translations(&mut self, request: &Request) -> anyhow::Result<()> {
        if self.is_json {
            let line = serde_json::to_string(request).context("the answer is not JSON")?;
            return Ok(writeln!(self.writer, "{line}")?);
        }
        for task in &request.tasks {
            let text = task.result.as_ref().map_or("", |result| &result.text);
            match request.tasks.len() {
                1 => writeln!(self.writer, "{text}")?,
                _ => writeln!(self.writer, "{}\t{text}", task.target)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn options() -> SubmitOptions {
        SubmitOptions {
            text: None,
            file: None,
            to: vec!["es".into(), "fr".into()],
            from: Some("en".into()),
            publish: true,
            priority: None,
            wait: false,
            out: None,
        }
    }

    fn encoded(text: &str, is_json: bool) -> Value {
        let line = encode(text, is_json, &options()).expect("a good line");
        serde_json::from_slice(&line).expect("JSON")
    }

    #[test]
    fn a_line_of_text_is_asked_for_as_the_command_line_says() {
        let wanted =
            json!({"text": "a \"b\"", "targets": ["es", "fr"], "source": "en", "publish": true});
        assert_eq!(encoded("a \"b\"", false), wanted);
        assert_eq!(encoded(r#""a \"b\"""#, true), wanted);
    }

    #[test]
    fn what_a_line_says_itself_wins_over_the_command_line() {
        let line = encoded(
            r#"{"text":"a","targets":["de"],"publish":false,"key":"k"}"#,
            true,
        );
        let wanted =
            json!({"text": "a", "targets": ["de"], "source": "en", "publish": false, "key": "k"});
        assert_eq!(line, wanted);
    }

    #[test]
    fn a_line_that_is_no_submission_is_refused_here() {
        for line in ["7", "{", "[]"] {
            let why = encode(line, true, &options()).expect_err("no submission");
            assert!(why.contains("expected"), "{why}");
        }
    }

    #[test]
    fn a_pipe_that_is_silent_for_long_is_kept_open() {
        let (ours, mut theirs) = UnixStream::pair().expect("a pair");
        let (typed, lines) = sync_channel(1);
        let (sender, sent) = sync_channel(1);
        let writer = LineWriter::new(ours);
        let silence = Duration::from_millis(1);
        let mut empty_line = [0; 6];
        let mut rest = String::new();
        thread::scope(|scope| {
            scope.spawn(move || send(&lines, silence, false, &options(), writer, &sender));
            theirs.read_exact(&mut empty_line).expect("a line");
            let (number, text) = (1, "Good day".to_owned());
            typed.send(Ok(Line { number, text })).expect("it is read");
            drop(typed);
            theirs.read_to_string(&mut rest).expect("an end");
        });
        assert_eq!(&empty_line, b"1\r\n\n\r\n");
        assert!(
            rest.contains("Good day") && rest.ends_with("0\r\n\r\n"),
            "{rest}"
        );
        assert_eq!(sent.iter().count(), 1, "an empty line asks for no answer");
    }
}
