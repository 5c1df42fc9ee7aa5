//! A real server that speaks Mastodon's API, read from and published to by the built program.

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::series::{self, Network, ONE_LOST, Standing, Written};
use crate::simulators::files::PNG;
use crate::simulators::resetting::{Losses, Resetting};
use crate::simulators::snac::{Snac, User};

#[test]
fn two_hundred_posts_stand_once_and_in_order_through_twenty_kills_and_resets() {
    let Some(mut network) = OnSnac::start() else {
        return;
    };
    let way = way(&network.snac, ONE_LOST);
    let (mut program, _patient) = service(&way, &network.bot);
    let posts = series::come_through(&mut network, &mut program);
    series::check(&posts, &network.standing());
    assert!(way.n_resets() > 0);
    let (n_reads, n_uploads) = way.n_other_resets();
    assert!(
        n_reads > 0 && n_uploads > 0,
        "{n_reads} reads, {n_uploads} uploads"
    );
    println!(
        "{} posts, {} resets on the way",
        posts.len(),
        way.n_resets()
    );
}

#[test]
fn what_its_author_edits_is_edited_where_it_was_published() {
    let Some(snac) = Snac::start() else {
        return;
    };
    let (ana, bot) = (snac.add_user("ana"), snac.add_user("bot"));
    let way = way(&snac, usize::MAX);
    let (mut program, _patient) = service(&way, &bot);
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

/// The program that reads ana and publishes as bot by that way, with the provider that it asks.
fn service(way: &Resetting, bot: &User) -> (Program, Patient) {
    let patient = Patient::start(0, 20);
    let way = way.base_url();
    let settings = format!(
        "[publishing]\nmedia_from_private = true\n{UNCHECKED}{}\
         [[source]]\nname = \"ana\"\nkind = \"mastodon\"\nbase_url = \"{way}\"\naccount = \"ana\"\n\
         language = \"en\"\nevery = \"1s\"\nbackfill = \"all\"\n\
         [[outlet]]\nname = \"bot\"\nkind = \"mastodon\"\nbase_url = \"{way}\"\nlanguage = \"es\"\n\
         token_env = \"ACCOUNT\"\nquiet = \"2s\"\n{AT_ONCE}",
        patient.settings(),
    );
    let mut program = Program::new(&settings);
    program.set("ACCOUNT", &bot.token);
    (program, patient)
}

/// The way to a server, on which one post in so many is lost.
fn way(snac: &Snac, one_in: usize) -> Resetting {
    let losses = Losses {
        path: "/api/v1/statuses",
        one_in,
        answers: 1,
        uploads: "/api/v2/media",
        one_other_in: one_in.saturating_mul(2),
    };
    Resetting::start(snac.port(), losses)
}

/// An author and a bot on one server.
struct OnSnac {
    snac: Snac,
    author: User,
    bot: User,
    /// Ids of the author's posts.
    ids: Vec<String>,
}

impl OnSnac {
    fn start() -> Option<Self> {
        let snac = Snac::start()?;
        Some(Self {
            author: snac.add_user("ana"),
            bot: snac.add_user("bot"),
            snac,
            ids: Vec::new(),
        })
    }
}

impl Network for OnSnac {
    fn text(&self, number: usize) -> String {
        format!("Post number {number} of ana, see https://example.org/posts?number={number} #post")
    }

    fn warning(&self, number: usize) -> String {
        format!("Warning {number}")
    }

    fn write(&mut self, post: &Written) {
        let mut status = json!({"status": post.text});
        if let Some(shown) = &post.picture {
            let picture = self.snac.hand_in(&self.author, PNG, shown);
            status["media_ids"] = json!([picture]);
        }
        if let Some(warning) = &post.warning {
            status["spoiler_text"] = json!(warning);
            status["sensitive"] = json!(true);
        }
        if let Some(parent) = post.parent {
            status["in_reply_to_id"] = json!(self.ids[parent]);
        }
        let posted = self.snac.post(&self.author, &status);
        self.ids.push(text(&posted["id"]).expect("an id"));
    }

    fn n_out(&self) -> usize {
        self.snac.statuses(&self.bot).len()
    }

    fn standing(&self) -> Vec<Standing> {
        let statuses = self.snac.statuses(&self.bot);
        statuses.iter().map(standing).collect()
    }

    fn restart(&mut self) {
        self.snac.kill();
        self.snac.start_again();
    }
}

fn standing(status: &Value) -> Standing {
    let pictures = status["media_attachments"].as_array();
    let pictures = pictures.into_iter().flatten();
    Standing {
        id: text(&status["id"]).expect("an id"),
        text: text(&status["text"]).expect("a text"),
        pictures: pictures
            .map(|picture| text(&picture["description"]).expect("a description"))
            .collect(),
        warning: text(&status["spoiler_text"]).filter(|it| !it.is_empty()),
        parent: text(&status["in_reply_to_id"]),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
