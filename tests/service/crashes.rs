//! Power cuts at random moments, and a checker that joins all that is known afterwards.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, hand_in, until, until_within};
use crate::patient::Patient;
use crate::simulators::mastodon::{Keys, Mastodon, TOKEN};

const ROUNDS: usize = 50;
/// The requests of one round.
const REQUESTS: usize = 500;
/// One request in so many goes to the account, in one round of so many: each crash counts up to a
/// tenth of its minute as used.
const ONE_TO_THE_ACCOUNT: usize = 100;
const ONE_ROUND_WITH_ACCOUNT: usize = 4;
/// The most rounds in which nothing was under way when the process died.
const MOST_IDLE: usize = 10;
/// What was acknowledged in a round and is handed in once more.
const REPEATED: usize = 20;
/// One kill in so many comes after a random number of lines, the others after one of calls.
const ONE_BY_LINES: usize = 5;
/// The calls after which a kill comes: as many as it takes until the first are written down, up to
/// what every round has.
const CALLS: RangeInclusive<u64> = 20..=40;
/// The lines in the outlet's file after which a kill comes.
const LINES: RangeInclusive<usize> = 1..=200;
/// How long the last publications may take: each start counts a block of the account's minute as used,
/// so after many within one it may have to pass.
const PATIENCE: Duration = Duration::from_secs(150);

#[test]
fn fifty_power_cuts_lose_nothing_and_publish_nothing_twice() {
    let seed = 0x0bab_e1fe;
    let mut storm = Storm::start(seed);
    storm.calm_round();
    let mut n_idle = 0;
    for round in 1..=ROUNDS {
        let under_way = storm.round(round);
        n_idle += usize::from(under_way.is_nothing());
        println!("round {round} of seed {seed:#x}: {under_way}");
    }
    storm.check();
    assert!(
        n_idle <= MOST_IDLE,
        "nothing was under way in {n_idle} of {ROUNDS} rounds"
    );
}

/// When a service is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// As so many calls are made for them.
    Calls(u64),
    /// When so many of them stand in the outlet's file.
    Lines(usize),
}

/// What stood in the file of the dead service.
struct UnderWay {
    moment: Moment,
    n_acknowledged: usize,
    n_queued: i64,
    n_processing: i64,
    n_sending: i64,
}

impl UnderWay {
    const fn is_nothing(&self) -> bool {
        self.n_processing + self.n_sending == 0
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "killed {:?} with {} acknowledged, {} Queued, {} Processing, {} Sending",
            self.moment, self.n_acknowledged, self.n_queued, self.n_processing, self.n_sending
        )
    }
}

struct Storm {
    program: Program,
    account: Mastodon,
    random: Rng,
    patient: Patient,
    /// By key: the request's id as it was first acknowledged.
    acknowledged: HashMap<String, String>,
    /// By key.
    texts: HashMap<String, String>,
}

/// A round's requests, each with its key and its line.
type Lines = Vec<(String, String)>;

impl Storm {
    fn start(seed: u64) -> Self {
        let patient = Patient::start(5, 60);
        let account = Mastodon::start(Keys::Kept);
        let settings = format!(
            "[translation]\nconcurrency = 20\ntranslators = 3\n{UNCHECKED}{}\n\
             [[outlet]]\nname = \"es\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n\
             [[outlet]]\nname = \"fr\"\nkind = \"mastodon\"\nlanguage = \"fr\"\n\
             token_env = \"ACCOUNT\"\nbase_url = \"{}\"\nquiet = \"2s\"\nper_hour = 0\n{AT_ONCE}",
            patient.settings(),
            account.base_url()
        );
        let mut program = Program::new(&settings);
        program.set("ACCOUNT", TOKEN);
        program.start();
        Self {
            program,
            account,
            random: Rng::with_seed(seed),
            patient,
            acknowledged: HashMap::new(),
            texts: HashMap::new(),
        }
    }

    /// A round without a power cut.
    fn calm_round(&mut self) {
        let lines = self.lines(0);
        let answers = self.program.hand_in(&joined(&lines));
        self.note(&lines, &answers);
        self.wait_until_done();
    }

    fn round(&mut self, round: usize) -> UnderWay {
        let lines = self.lines(round);
        let moment = self.moment(round);
        let (n_calls, n_lines) = (self.patient.n_calls(), self.n_lines());
        let answers = thread::scope(|scope| {
            let (socket, body) = (self.program.socket(), joined(&lines));
            let answers = scope.spawn(move || hand_in(&socket, &body));
            match moment {
                // However long the kill takes, these calls are under way until then.
                Moment::Calls(n_more) => self.patient.hold_from(n_calls + n_more),
                Moment::Lines(n_more) => until("the lines are written", || {
                    (self.n_lines() >= n_lines + n_more).then_some(())
                }),
            }
            self.program.kill();
            answers.join().expect("no panic")
        });
        self.patient.release();
        let n_acknowledged = answers.len();
        self.note(&lines, &answers);
        let under_way = UnderWay {
            moment,
            n_acknowledged,
            ..self.look_into_the_file()
        };
        self.program.start();
        let again = &lines[n_acknowledged.saturating_sub(REPEATED)..];
        let answers = self.program.hand_in(&joined(again));
        assert_eq!(answers.len(), again.len(), "every line is answered");
        self.note(again, &answers);
        self.wait_until_done();
        under_way
    }

    fn moment(&mut self, round: usize) -> Moment {
        match round.is_multiple_of(ONE_BY_LINES) {
            true => Moment::Lines(self.random.usize(LINES)),
            false => Moment::Calls(self.random.u64(CALLS)),
        }
    }

    /// How many lines the outlet's file has, none before it is there.
    fn n_lines(&self) -> usize {
        let file = fs::read(self.program.path("es.jsonl")).unwrap_or_default();
        file.iter().filter(|byte| **byte == b'\n').count()
    }

    fn lines(&mut self, round: usize) -> Lines {
        let has_account = round % ONE_ROUND_WITH_ACCOUNT == 1;
        (0..REQUESTS)
            .map(|number| {
                let key = format!("{round}-{number}");
                let text = format!("Message {number} of round {round}");
                let target = match number % ONE_TO_THE_ACCOUNT {
                    7 if has_account => "fr",
                    _ => "es",
                };
                let body = json!({"key": key, "text": text, "targets": [target], "publish": true});
                self.texts.insert(key.clone(), format!("[{target}] {text}"));
                (key, body.to_string())
            })
            .collect()
    }

    /// Notes what was acknowledged; an id that was told once stays.
    fn note(&mut self, lines: &[(String, String)], answers: &[Value]) {
        for ((key, _), answer) in lines.iter().zip(answers) {
            let status = answer["status"].as_u64();
            assert!(matches!(status, Some(200 | 202)), "{key}: {answer}");
            let id = answer["id"].as_str().expect("an id").to_owned();
            if let Some(known) = self.acknowledged.get(key) {
                assert_eq!(*known, id, "the same key, the same id");
                assert_eq!(status, Some(200), "{key} was acknowledged before");
            }
            self.acknowledged.insert(key.clone(), id);
        }
    }

    /// Counts what a life that ended left under way.
    fn look_into_the_file(&self) -> UnderWay {
        let path = self.program.path("data/babelfeed.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = Connection::open_with_flags(path, flags).expect("a database");
        let count = |sql: &str| file.query_row(sql, (), |row| row.get(0)).expect("a count");
        UnderWay {
            moment: Moment::Lines(0),
            n_acknowledged: 0,
            n_queued: count("SELECT count(*) FROM task WHERE state = 1"),
            n_processing: count("SELECT count(*) FROM task WHERE state = 2"),
            n_sending: count(
                "SELECT count(*) FROM publication JOIN name ON name.id = outlet
                 WHERE state = 2 AND name.text = 'es'",
            ),
        }
    }

    /// Waits until all is final but what the account has to be asked about in a while.
    fn wait_until_done(&self) {
        until_within(PATIENCE, "everything is done", || {
            let status = self.program.status();
            let queue = status["queue"].as_object().expect("a queue");
            let is_done = queue.values().all(|count| count == 0);
            let (open, asked) = (&status["publications"]["publishing"], &status["outlets"][1]);
            (is_done && open.as_u64() <= asked["unknown"].as_u64()).then_some(())
        });
    }

    /// Joins what was acknowledged with what the store holds and what the outlets got.
    fn check(&self) {
        until_within(PATIENCE, "the fate of every publication is known", || {
            let open = &self.program.status()["publications"];
            (open["unknown"] == 0 && open["publishing"] == 0).then_some(())
        });
        let tasks = self.program.all_tasks();
        let keys: HashMap<&str, &str> = self
            .acknowledged
            .iter()
            .map(|(key, id)| (id.as_str(), key.as_str()))
            .collect();
        assert_eq!(keys.len(), (ROUNDS + 1) * REQUESTS, "ids are unique");
        assert_eq!(tasks.len(), keys.len(), "each key made one task");
        let published = self.program.published("es.jsonl");
        let identities: HashSet<&str> = published.iter().map(|line| text(line, "key")).collect();
        assert_eq!(identities.len(), published.len(), "keys stand once");
        let mut lines: HashMap<&str, Vec<&Value>> = HashMap::new();
        for line in &published {
            lines.entry(text(line, "task")).or_default().push(line);
        }
        let mut standing: HashMap<String, usize> = HashMap::new();
        for status in self.account.statuses() {
            *standing.entry(status.text).or_default() += 1;
        }
        let mut seen = HashSet::new();
        for task in &tasks {
            let key = keys.get(text(task, "request")).expect("acknowledged");
            assert!(seen.insert(*key), "{key} has one task");
            let wanted = &self.texts[*key];
            check_history(task);
            assert_eq!(text(task, "state"), "Completed", "{task}");
            assert_eq!(text(&task["result"], "text"), wanted);
            let publications = task["publications"].as_array().expect("publications");
            assert_eq!(publications.len(), 1, "{task}");
            assert_eq!(text(&publications[0], "state"), "Published", "{task}");
            match text(task, "target") {
                "fr" => assert_eq!(standing.remove(wanted), Some(1), "{wanted} stands once"),
                _ => {
                    let lines = lines.remove(text(task, "id")).unwrap_or_default();
                    let [line] = lines[..] else {
                        panic!("{} lines for {task}", lines.len());
                    };
                    assert_eq!(text(line, "text"), wanted);
                    assert_eq!(text(line, "post"), *key);
                    assert_eq!(text(line, "source"), "requests");
                    assert_eq!(text(line, "key"), text(&publications[0], "id"));
                }
            }
        }
        assert!(
            lines.is_empty() && standing.is_empty(),
            "nothing else was published"
        );
    }
}

fn joined(lines: &[(String, String)]) -> Vec<u8> {
    let lines = lines.iter().map(|(_, line)| format!("{line}\n"));
    lines.collect::<String>().into_bytes()
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// Holds a history to the table of states.
fn check_history(task: &Value) {
    const EDGES: [&str; 12] = [
        "Submitted>Queued",
        "Queued>Processing",
        "Processing>RateLimited",
        "RateLimited>Processing",
        "Processing>Completed",
        "Processing>Failed",
        "Submitted>Failed",
        "Queued>Failed",
        "RateLimited>Failed",
        "Processing>Queued",
        "RateLimited>Queued",
        "Failed>Queued",
    ];
    let history = task["history"].as_array().expect("a history");
    let states: Vec<&str> = history.iter().map(|entry| text(entry, "state")).collect();
    assert_eq!(states.first(), Some(&"Submitted"), "{task}");
    assert_eq!(states.last(), Some(&text(task, "state")), "{task}");
    for edge in states.windows(2) {
        let edge = edge.join(">");
        assert!(EDGES.contains(&&*edge), "{edge} in {task}");
    }
    for entry in history.windows(2) {
        assert!(text(&entry[0], "at") <= text(&entry[1], "at"), "{task}");
    }
}
