//! The JSON that goes over the socket, made from nouns and read back by the command line.

mod convert;

use std::fmt::Display;
use std::io::Write as _;

use babelfeed_actors::ports::Admitted;
use serde::{Deserialize, Serialize};

use super::problem::write_string;

/// What was taken in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Accepted {
    /// The request's id.
    pub id: String,
    /// Its tasks.
    pub tasks: Vec<AcceptedTask>,
}

/// A task of what was taken in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AcceptedTask {
    /// Its id.
    pub id: String,
    /// The language wanted.
    pub target: String,
    /// Where it stands.
    pub state: String,
}

/// Appends what was taken in, as [`Accepted`] reads it; by hand, because this is the hot path.
pub(super) fn write_accepted(out: &mut Vec<u8>, admitted: &Admitted, status: Option<u16>) {
    out.extend_from_slice(br#"{"id":""#);
    write_shown(out, &admitted.id);
    out.extend_from_slice(br#"","tasks":["#);
    for (index, (id, target, state)) in admitted.tasks.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"id":""#);
        write_shown(out, id);
        out.extend_from_slice(br#"","target":"#);
        write_string(out, target.as_str());
        out.extend_from_slice(br#","state":""#);
        out.extend_from_slice(state.name().as_bytes());
        out.extend_from_slice(br#""}"#);
    }
    out.push(b']');
    if let Some(status) = status {
        out.extend_from_slice(br#","status":"#);
        write_shown(out, &status);
    }
    out.push(b'}');
}

fn write_shown(out: &mut Vec<u8>, value: &impl Display) {
    write!(out, "{value}").expect("memory takes every byte");
}

/// A request with its tasks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The client's own id of it.
    pub key: Option<String>,
    /// The text.
    pub text: String,
    /// The text's language, where it is known.
    pub source: Option<String>,
    /// Its tasks.
    pub tasks: Vec<Task>,
}

/// A task as it stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// The request's id.
    pub request: String,
    /// The text's language, where it is known.
    pub source: Option<String>,
    /// The language wanted.
    pub target: String,
    /// Where it stands.
    pub state: String,
    /// How many calls were made for it.
    pub attempts: u32,
    /// What happened.
    pub history: Vec<Entry>,
    /// The translation, once it is there.
    pub result: Option<TaskResult>,
    /// Why there is none, if it was given up.
    pub error: Option<TaskError>,
    /// Where it is published.
    pub publications: Vec<Publication>,
}

/// One line of a task's history.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Entry {
    /// The state entered.
    pub state: String,
    /// When.
    pub at: String,
    /// The attempts counted until then.
    pub attempt: u32,
    /// Why, where it is not the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A translation with who made it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TaskResult {
    /// The translation.
    pub text: String,
    /// Who made it.
    pub provider: String,
    /// With which model.
    pub model: String,
    /// Whether no call was made for this task.
    pub cached: bool,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// What it cost, in US dollars.
    pub cost_usd: f64,
}

/// Why a task failed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TaskError {
    /// For programs.
    pub kind: String,
    /// For people.
    pub detail: String,
}

/// A publication as it stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Publication {
    /// Its id.
    pub id: String,
    /// The task's id.
    pub task: String,
    /// The outlet.
    pub outlet: String,
    /// Where it stands.
    pub state: String,
    /// The language of its parts.
    pub language: String,
    /// When the state was entered.
    pub at: String,
    /// What is published.
    pub parts: Vec<Part>,
    /// Why it stands there, where it is not the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The text that was translated, where it is shown beside its translation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
}

/// One post of a publication.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Part {
    /// The outlet's id of it, once it is out.
    pub id: Option<String>,
    /// Where people read it.
    pub url: Option<String>,
    /// Where it stands.
    pub state: String,
    /// The text.
    pub text: String,
}

/// A page of tasks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tasks {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What waits for a person.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Held {
    /// The publications, the oldest first.
    pub publications: Vec<Publication>,
}

/// Translations made at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Translations {
    /// In the order of the texts.
    pub translations: Vec<Translated>,
}

/// One of them.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Translated {
    /// The translation.
    pub text: String,
    /// Who made it.
    pub provider: String,
    /// Whether no call was made for it.
    pub cached: bool,
}

/// Tasks that have ended.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Ended {
    /// With a translation.
    pub completed: u64,
    /// Without one, and not retried.
    pub failed: u64,
}

/// How the whole service does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Seconds since the start.
    pub uptime_s: f64,
    /// Whether new work is taken.
    pub is_open: bool,
    /// Why no new work is taken, where none is.
    #[serde(default)]
    pub closed: Option<String>,
    /// Tasks that have ended, ever.
    pub ended: Ended,
    /// What is watched.
    pub sources: Vec<Source>,
    /// What is counted by whom.
    pub lanes: Vec<Lane>,
    /// What translates, in the order in which it is asked where order decides.
    #[serde(default)]
    pub providers: Vec<Provider>,
    /// Where is published.
    pub outlets: Vec<Outlet>,
    /// Tasks that are not final, by state.
    pub queue: Queue,
    /// Publications that are not out, by state.
    pub publications: OpenPublications,
    /// How the actors do.
    pub actors: Vec<ActorFalls>,
    /// How the cache does.
    pub cache: Cache,
}

/// A source as it does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// What it is doing.
    pub state: String,
    /// When it was last polled.
    pub last_poll: Option<String>,
    /// How far it was behind its latest post, in seconds.
    pub lag_s: Option<f64>,
    /// Why the last poll failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Posts seen since the start.
    pub seen: u64,
    /// Posts of these that were new.
    pub new: u64,
    /// What its server charged since the start, in US dollars.
    #[serde(default)]
    pub cost_usd: f64,
}

/// A provider as it does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Calls made.
    pub calls: u64,
    /// Texts in them.
    pub texts: u64,
    /// Its part of all calls, from 0 to 1.
    pub share: f64,
    /// What half of its latest answered calls did not exceed, in milliseconds.
    pub p50_ms: Option<f64>,
    /// What 99 of 100 of them did not exceed.
    pub p99_ms: Option<f64>,
    /// Slow calls of others that were made here a second time.
    pub hedges: u64,
    /// Whether it gives no sign of life.
    pub hangs: bool,
}

/// A lane as it does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Lane {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub windows: Vec<Window>,
    /// Permits waited for.
    pub waiting: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Until when it grants nothing.
    pub parked_until: Option<String>,
    /// Why it grants nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// US dollars spent today.
    pub usd_today: f64,
    /// The limit that work waits for now.
    #[serde(default)]
    pub binding: Option<Binding>,
}

/// The limit that the work of a lane waits for.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Binding {
    /// What is counted.
    pub unit: String,
    /// Over what time.
    pub per: String,
    /// How it is known.
    pub known_by: String,
    /// When the next call may begin, where time alone decides it.
    pub opens_at: Option<String>,
}

/// One limit of a lane.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Window {
    /// What is counted.
    pub unit: String,
    /// Over what time.
    pub per: String,
    /// The most.
    #[serde(serialize_with = "amount")]
    pub limit: f64,
    /// How much is used.
    #[serde(serialize_with = "amount")]
    pub used: f64,
    /// When all is free again.
    pub resets_at: Option<String>,
    /// How it is known.
    pub known_by: String,
    /// When it was told last, where it was learned.
    #[serde(default)]
    pub told_at: Option<String>,
    /// Whether that was before the service started, which remembers it.
    #[serde(default)]
    pub remembered: bool,
}

/// The most that one part may measure at an outlet.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Limit {
    /// The most.
    pub max: usize,
    /// Of what: `weighted` (as X counts), `graphemes`, `UTF-16 units` or `code points`.
    pub unit: String,
    /// The most bytes, where these are counted as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<usize>,
    /// What each link counts as, where its length does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<usize>,
}

/// An outlet as it does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outlet {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Its language.
    pub language: String,
    /// The most that one part may measure; none where anything fits, or it is not known yet.
    #[serde(flatten)]
    pub limit: Option<Limit>,
    /// What it is doing.
    pub state: String,
    /// Publications waiting for their turn.
    pub waiting: u64,
    /// Those of them that answer what a person has to let out, or whose fate is open.
    #[serde(default)]
    pub behind_held: u64,
    /// Publications whose fate is open.
    pub unknown: u64,
    /// What it publishes by itself at its time.
    #[serde(default)]
    pub scheduled: u64,
    /// Publications that went out since the start.
    pub published: u64,
    /// Publications refused since the start.
    pub refused: u64,
    /// Why the last one did not go out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Tasks that are not final, by state.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Queue {
    /// Not yet durable.
    pub submitted: u64,
    /// In the queue.
    pub queued: u64,
    /// In a call.
    pub processing: u64,
    /// Waiting for a permit.
    pub rate_limited: u64,
    /// Of those in the queue: waiting for an outlet that is not there any more.
    #[serde(default)]
    pub parked: u64,
}

/// Publications that are not out.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct OpenPublications {
    /// On their way.
    pub publishing: u64,
    /// Their fate is open.
    pub unknown: u64,
    /// Waiting for a person.
    pub held: u64,
}

/// How often an actor fell.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ActorFalls {
    /// The actor.
    pub name: String,
    /// How often it fell.
    pub falls: u64,
    /// How often it was restarted.
    pub restarts: u64,
}

/// How the cache does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Cache {
    /// Translations known.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Lookups that were known.
    pub hits: u64,
    /// Lookups that began a call.
    pub misses: u64,
    /// Lookups that joined a call.
    pub joined: u64,
    /// Translations that were asked for anew before their time was over.
    #[serde(default)]
    pub refreshed: u64,
}

/// The figures since the start.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Metrics {
    /// One for each service.
    pub services: Vec<Service>,
    /// How long calls took, of all services outside together.
    #[serde(default)]
    pub outside: Took,
    /// How many tasks there were.
    pub tasks: TaskCounts,
    /// Resident memory now.
    pub rss_bytes: u64,
    /// Processor time now; 100 is one core.
    pub cpu_percent: f64,
    /// Resident memory over time.
    pub rss: Spread,
    /// Processor time over time.
    pub cpu: Spread,
}

/// How long calls took.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Took {
    /// Half of them took at most so long.
    pub p50_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
}

/// The figures of one service.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Calls.
    pub calls: u64,
    /// Calls that went wrong.
    pub errors: u64,
    /// Calls a second over the last minute.
    pub rate: f64,
    /// Half of them took at most so long.
    pub p50_ms: f64,
    /// Nine of ten.
    pub p90_ms: f64,
    /// All but one in a hundred.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// How many tasks there were.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct TaskCounts {
    /// Handed in.
    pub submitted: u64,
    /// Translated.
    pub completed: u64,
    /// Given up.
    pub failed: u64,
}

/// A figure over time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Spread {
    /// Its latest value.
    pub now: f64,
    /// The mean since the start.
    pub average: f64,
    /// The highest since the start.
    pub max: f64,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Happened {
    /// What it happened to.
    pub id: String,
    /// The state entered.
    pub state: String,
    /// When.
    pub at: String,
    /// Why, where it is not the ordinary course.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// An error, as `application/problem+json` has it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ProblemDetails {
    /// The name of the status.
    pub title: String,
    /// The status.
    pub status: u16,
    /// What was wanted.
    pub detail: String,
    /// After how many seconds it is worth trying again.
    #[serde(default)]
    pub retry_after: Option<u64>,
}

/// A submission as the command line sends it.
#[derive(Clone, Debug, Serialize)]
pub struct Submission<'a> {
    /// The text.
    pub text: &'a str,
    /// The languages wanted.
    pub targets: &'a [String],
    /// The text's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<&'a str>,
    /// How urgent it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<&'a str>,
    /// Whether the translations are published.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub publish: bool,
}

/// An amount; whole ones, which all but money are, without a fraction.
fn amount<S: serde::Serializer>(amount: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if amount.fract() == 0.0 && (0.0..1e15).contains(amount) {
        serializer.serialize_u64(*amount as u64)
    } else {
        serializer.serialize_f64(*amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use babelfeed_actors::domain::{IdMint, State, Timestamp};
    use babelfeed_actors::ports::Outcome;

    #[test]
    fn what_is_written_by_hand_reads_as_json() {
        let id = IdMint::default().next(Timestamp::from_millis(1_795_262_700_123), 5);
        let es = "es".parse().expect("a tag");
        let fr = "fr".parse().expect("a tag");
        let admitted = Admitted {
            outcome: Outcome::New,
            revises: None,
            id,
            tasks: vec![
                (id.task(1), es, State::Queued),
                (id.task(2), fr, State::Failed),
            ],
        };
        let mut line = Vec::new();
        write_accepted(&mut line, &admitted, Some(202));
        let accepted: Accepted = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(accepted.id, id.to_string());
        assert_eq!(accepted.tasks[1].id, id.task(2).to_string());
        assert_eq!(accepted.tasks[1].state, "Failed");
        assert!(line.ends_with(br#"],"status":202}"#));
    }
}
