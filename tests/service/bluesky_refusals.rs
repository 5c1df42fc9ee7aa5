//! What the real Bluesky refuses an account of ours, and what becomes of the rest.

use serde_json::{Value, json};

use crate::bluesky::{mirroring, record};
use crate::harness::{Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::pds::{Account, PASSWORD, Pds};

/// A program with an outlet on Bluesky, and one in a file beside it.
fn program(bot: &Account, password: &str, patient: &Patient) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[outlet]]\nname = \"es\"\nkind = \"bluesky\"\nlanguage = \"es\"\n\
         base_url = \"{}\"\naccount = \"{}\"\npassword_env = \"APP_PASSWORD\"\n\
         [[outlet]]\nname = \"file\"\nkind = \"file\"\nlanguage = \"es\"\npath = \"es.jsonl\"\n",
        patient.settings(),
        bot.base_url(),
        bot.handle,
    ));
    program.set("APP_PASSWORD", password);
    program.start();
    program
}

fn submit(program: &Program, texts: &[&str]) {
    for text in texts {
        program.submit(&json!({"text": text, "targets": ["es"], "publish": true, "key": text}));
    }
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

/// The state of the outlet on Bluesky.
fn state(program: &Program) -> Value {
    let status = program.status();
    let mut outlets = status["outlets"].as_array().expect("outlets").iter();
    let outlet = outlets.find(|it| it["name"] == "es").expect("an outlet");
    outlet["state"].clone()
}

fn await_failure(program: &Program) {
    until("the outlet fails", || {
        (state(program) == "failing").then_some(())
    });
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
}

fn await_lines(program: &Program, n_lines: usize) {
    until(&format!("the file has {n_lines}"), || {
        (program.published("es.jsonl").len() == n_lines).then_some(())
    });
}

#[test]
fn an_account_that_is_taken_down_waits_for_a_person_and_the_rest_goes_on() {
    let pds = Pds::start();
    let bot = pds.add_account();
    let patient = Patient::start(0, 0);
    let program = program(&bot, PASSWORD, &patient);
    submit(&program, &["One"]);
    await_posts(&bot, 1);

    pds.suspend(&bot);
    submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);

    pds.restore(&bot);
    program.run(&["resume", "es"]).well();
    await_posts(&bot, 3);
    until("the outlet works again", || {
        (program.n_logged("an outlet takes posts again") == 1).then_some(())
    });
    assert_ne!(state(&program), "failing");
    assert_eq!(texts(&bot), ["[es] One", "[es] Two", "[es] Three"]);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
}

#[test]
fn forgotten_tokens_are_replaced_and_a_revoked_password_waits_for_another() {
    let mut pds = Pds::start();
    let bot = pds.add_account();
    let (first, second) = (bot.add_password("first"), bot.add_password("second"));
    let patient = Patient::start(0, 0);
    let mut program = program(&bot, &first, &patient);
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
