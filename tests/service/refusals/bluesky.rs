//! What the real Bluesky refuses an account of ours, and what becomes of the rest.

use serde_json::{Value, json};

use super::{await_failure, await_lines, await_return, pictured, submit};
use crate::bluesky::{mirroring, record};
use crate::harness::{Program, until};
use crate::patient::Patient;
use crate::simulators::files::{Files, PNG};
use crate::simulators::pds::{Account, PASSWORD, Pds};

/// A program with an outlet on Bluesky, which does not run yet.
fn program(bot: &Account, password: &str, patient: &Patient, more: &str) -> Program {
    let outlet = format!(
        "kind = \"bluesky\"\nbase_url = \"{}\"\naccount = \"{}\"\n\
         password_env = \"APP_PASSWORD\"\n{more}",
        bot.base_url(),
        bot.handle,
    );
    let mut program = super::program(patient, &outlet);
    program.set("APP_PASSWORD", password);
    program
}

fn texts(bot: &Account) -> Vec<Value> {
    let posts = bot.posts().into_iter();
    posts.map(|(_, post)| post["text"].clone()).collect()
}

fn await_posts(bot: &Account, n_posts: usize) {
    until(&format!("{n_posts} posts stand"), || {
        (bot.posts().len() >= n_posts).then_some(())
    });
}

#[test]
fn an_account_that_is_taken_down_waits_for_a_person_and_the_rest_goes_on() {
    let pds = Pds::start();
    let bot = pds.add_account();
    let patient = Patient::start(0, 0);
    let mut program = program(&bot, PASSWORD, &patient, "");
    program.start();
    submit(&program, &["One"]);
    await_posts(&bot, 1);

    pds.suspend(&bot);
    submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);

    pds.restore(&bot);
    program.run(&["resume", "es"]).well();
    await_posts(&bot, 3);
    await_return(&program);
    assert_eq!(texts(&bot), ["[es] One", "[es] Two", "[es] Three"]);
}

#[test]
fn forgotten_tokens_are_replaced_and_a_revoked_password_waits_for_another() {
    let mut pds = Pds::start();
    let bot = pds.add_account();
    let (first, second) = (bot.add_password("first"), bot.add_password("second"));
    let patient = Patient::start(0, 0);
    let mut program = program(&bot, &first, &patient, "");
    program.start();
    submit(&program, &["One"]);
    await_posts(&bot, 1);

    bot.revoke_password("first");
    pds.forget_sessions();
    submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);

    program.kill();
    program.set("APP_PASSWORD", &second);
    program.start();
    await_posts(&bot, 3);
    pds.forget_sessions();
    submit(&program, &["Four"]);
    await_posts(&bot, 4);
    let wanted = ["One", "Two", "Three", "Four"].map(|text| format!("[es] {text}"));
    assert_eq!(texts(&bot), wanted);
    for secret in [first, second] {
        assert!(!program.log().contains(&secret));
    }
}

#[test]
fn a_thread_goes_on_below_a_post_that_was_deleted_under_it() {
    let (author, bot) = (Account::new(), Account::new());
    let root = author.post_referred(&record("One", 0));
    let patient = Patient::start(0, 0);
    let mut program = mirroring(
        (&author, &author.base_url()),
        (&bot, &bot.base_url()),
        &patient,
    );
    program.start();
    await_posts(&bot, 1);
    let gone = bot.records().remove(0);
    bot.delete(gone["uri"].as_str().expect("an address"));

    let mut answer = record("Two", 1);
    answer["reply"] = json!({"root": root, "parent": root});
    author.post(&answer);
    author.post(&record("Alone", 2));
    await_posts(&bot, 2);

    let records = bot.records();
    let texts = records.iter().map(|it| &it["value"]["text"]);
    assert_eq!(Vec::from_iter(texts), ["[es] Two", "[es] Alone"]);
    let reply = &records[0]["value"]["reply"];
    let reference = json!({"uri": gone["uri"], "cid": gone["cid"]});
    assert_eq!(*reply, json!({"root": reference, "parent": reference}));
}

#[test]
fn a_picture_that_is_refused_is_left_out_and_its_post_and_the_others_go_out() {
    let pds = Pds::start();
    let bot = pds.add_account();
    let files = Files::start();
    let good = files.put("/good.png", "image/png", PNG);
    let page = files.put("/page.png", "text/html", b"<html>");
    let (_web, source) = pictured(&[("One", &good), ("Two", &page), ("Three", &good)]);
    let patient = Patient::start(0, 0);
    let mut program = program(&bot, PASSWORD, &patient, "");
    program.add(&source);
    program.start();
    await_posts(&bot, 3);
    await_lines(&program, 3);

    let n_pictures = |text: &str| {
        let posts = bot.posts();
        let post = posts
            .iter()
            .find(|(_, it)| it["text"] == format!("[es] {text}"));
        let (_, post) = post.unwrap_or_else(|| panic!("{text} is not among {posts:?}"));
        post["embed"]["images"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(["One", "Two", "Three"].map(n_pictures), [1, 0, 1]);
    assert_eq!(program.n_logged("a picture is left out"), 1);
    assert_eq!(program.n_logged("an outlet takes no posts"), 0);
}
