//! A real server that speaks Mastodon's API, read from and published to by the built program.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until, until_within};
use crate::patient::Patient;
use crate::simulators::files::PNG;
use crate::simulators::snac::{Resetting, Snac, User};

const POSTS: usize = 200;
/// The posts of one thread.
const THREAD: usize = 5;
/// One post in so many has a picture, and one a warning.
const ONE_WITH_PICTURE: usize = 4;
const ONE_WITH_WARNING: usize = 3;
const KILLS: usize = 20;
const POSTS_BETWEEN_KILLS: usize = 6;
/// After so many kills of ours, theirs is killed as well.
const ONE_OF_THEIRS: usize = 7;
/// Of so many posts on their way, two connections are reset.
const ONE_RESET: usize = 25;
/// How long the whole may take: what may be out is looked for after 30 s of quiet, again and
/// again where that is reset as well.
const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn two_hundred_posts_stand_once_and_in_their_threads_through_twenty_kills_and_resets() {
    let Some(mut snac) = Snac::start() else {
        return;
    };
    let (ana, bot) = (snac.add_user("ana"), snac.add_user("bot"));
    let way = Resetting::start(snac.port(), ONE_RESET);
    let mut author = Author::new(&ana);
    author.write(&snac, POSTS / 2);
    let (mut program, _patient) = service(&snac, &way, &bot);
    let mut random = Rng::with_seed(0x5_ac2);
    program.start();
    for kill in 1..=KILLS {
        let n_wanted = kill * POSTS_BETWEEN_KILLS;
        until_within(PATIENCE, &format!("{n_wanted} posts stand"), || {
            (snac.statuses(&bot).len() >= n_wanted).then_some(())
        });
        thread::sleep(Duration::from_millis(random.u64(0..40)));
        program.kill();
        if kill % ONE_OF_THEIRS == 0 {
            snac.kill();
            snac.start_again();
        }
        program.start();
        if kill == KILLS / 2 {
            author.write(&snac, POSTS - POSTS / 2);
        }
    }
    until_within(PATIENCE, "everything is out", || {
        let open = &program.status()["publications"];
        let is_done = open["unknown"] == 0 && open["publishing"] == 0;
        (is_done && snac.statuses(&bot).len() >= POSTS).then_some(())
    });
    author.check(&snac.statuses(&bot));
    assert!(way.n_resets() > 0);
    println!("{} posts, {} resets on the way", POSTS, way.n_resets());
}

#[test]
fn what_its_author_edits_is_edited_where_it_was_published() {
    let Some(snac) = Snac::start() else {
        return;
    };
    let (ana, bot) = (snac.add_user("ana"), snac.add_user("bot"));
    let way = Resetting::start(snac.port(), usize::MAX);
    let (mut program, _patient) = service(&snac, &way, &bot);
    let status = snac.post(&ana, &json!({"status": "One"}));
    program.start();
    let standing = || snac.statuses(&bot);
    until("it is out", || {
        standing()
            .iter()
            .any(|it| it["text"] == "[es] One")
            .then_some(())
    });
    let id = status["id"].as_str().expect("an id");
    snac.edit(&ana, id, &json!({"status": "One, mended"}));
    until("the edit is out", || {
        let statuses = standing();
        let is_edited = statuses.iter().any(|it| it["text"] == "[es] One, mended");
        is_edited.then(|| assert_eq!(statuses.len(), 1, "{statuses:?}"))
    });
}

/// The program that reads ana and publishes as bot, with the provider that it asks.
fn service(snac: &Snac, way: &Resetting, bot: &User) -> (Program, Patient) {
    let patient = Patient::start(0, 20);
    let settings = format!(
        "[publishing]\nmedia_from_private = true\n{UNCHECKED}{}\
         [[source]]\nname = \"ana\"\nkind = \"mastodon\"\nbase_url = \"{}\"\naccount = \"ana\"\n\
         language = \"en\"\nevery = \"1s\"\nbackfill = \"all\"\n\
         [[outlet]]\nname = \"bot\"\nkind = \"mastodon\"\nbase_url = \"{}\"\nlanguage = \"es\"\n\
         token_env = \"ACCOUNT\"\n",
        patient.settings(),
        snac.base_url(),
        way.base_url()
    );
    let mut program = Program::new(&settings);
    program.set("ACCOUNT", &bot.token);
    (program, patient)
}

/// Writes posts, and knows what must become of them.
struct Author<'a> {
    user: &'a User,
    /// Ids of its own posts.
    ids: Vec<String>,
}

impl<'a> Author<'a> {
    fn new(user: &'a User) -> Self {
        Self {
            user,
            ids: Vec::new(),
        }
    }

    fn write(&mut self, snac: &Snac, n_posts: usize) {
        for number in self.ids.len()..self.ids.len() + n_posts {
            let mut status = json!({"status": text(number)});
            if number % ONE_WITH_PICTURE == 1 {
                let picture = snac.hand_in(self.user, PNG, &description(number));
                status["media_ids"] = json!([picture]);
            }
            if number % ONE_WITH_WARNING == 1 {
                status["spoiler_text"] = json!(warning(number));
                status["sensitive"] = json!(true);
            }
            if let Some(parent) = parent(number) {
                status["in_reply_to_id"] = json!(self.ids[parent]);
            }
            let posted = snac.post(self.user, &status);
            let id = posted["id"].as_str().expect("an id");
            self.ids.push(id.to_owned());
        }
    }

    /// Each post once, with all that it had, after the one that it answers.
    fn check(&self, statuses: &[Value]) {
        let mut standing: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, status) in statuses.iter().enumerate() {
            let text = status["text"].as_str().expect("a text");
            standing.entry(text).or_default().push(place);
        }
        let place = |number: usize| {
            let wanted = format!("[es] {}", text(number));
            match standing.get(wanted.as_str()).map_or(&[][..], Vec::as_slice) {
                [place] => *place,
                places => panic!("{wanted} stands {} times", places.len()),
            }
        };
        for number in 0..self.ids.len() {
            let status = &statuses[place(number)];
            let pictures = status["media_attachments"].as_array().map_or(0, Vec::len);
            if number % ONE_WITH_PICTURE == 1 {
                let shown = &status["media_attachments"][0]["description"];
                assert_eq!(*shown, description(number).as_str(), "{status}");
            }
            assert_eq!(
                pictures,
                usize::from(number % ONE_WITH_PICTURE == 1),
                "{status}"
            );
            if number % ONE_WITH_WARNING == 1 {
                assert_eq!(status["spoiler_text"], warning(number).as_str(), "{status}");
            }
            if let Some(parent) = parent(number) {
                assert!(place(parent) < place(number), "{number} comes too early");
                let answered = &statuses[place(parent)]["id"];
                assert_eq!(status["in_reply_to_id"], *answered, "{number}");
            } else {
                assert_eq!(status["in_reply_to_id"], Value::Null, "{status}");
            }
        }
        assert_eq!(statuses.len(), self.ids.len(), "nothing else was published");
    }
}

fn text(number: usize) -> String {
    format!("Post number {number} of ana, see https://example.org/posts?number={number} #post")
}

fn description(number: usize) -> String {
    format!("Picture {number}")
}

fn warning(number: usize) -> String {
    format!("Warning {number}")
}

fn parent(number: usize) -> Option<usize> {
    (!number.is_multiple_of(THREAD)).then(|| number - 1)
}
