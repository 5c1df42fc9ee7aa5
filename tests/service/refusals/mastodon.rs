//! What a server that speaks Mastodon's API refuses an account of ours, and what becomes of the rest.

use super::{await_failure, await_lines, await_return, pictured, submit};
use crate::harness::{Program, until};
use crate::patient::Patient;
use crate::simulators::files::{Files, PNG};
use crate::simulators::mastodon::{ACCOUNT, Handling, Keys, Mastodon, Posted, TOKEN};

/// A program with an outlet on Mastodon, which does not run yet.
fn program(account: &Mastodon, patient: &Patient) -> Program {
    let outlet = format!(
        "kind = \"mastodon\"\nbase_url = \"{}\"\ntoken_env = \"ACCOUNT\"\n",
        account.base_url()
    );
    let mut program = super::program(patient, &outlet);
    program.set("ACCOUNT", TOKEN);
    program
}

fn texts(account: &Mastodon) -> Vec<String> {
    account.statuses().into_iter().map(|it| it.text).collect()
}

fn await_statuses(account: &Mastodon, n_statuses: usize) {
    until(&format!("{n_statuses} statuses stand"), || {
        (account.statuses().len() >= n_statuses).then_some(())
    });
}

/// The program once it has published a text there.
fn publishing(account: &Mastodon, patient: &Patient) -> Program {
    let mut program = program(account, patient);
    program.start();
    submit(&program, &["One"]);
    await_statuses(account, 1);
    program
}

#[test]
fn a_revoked_token_waits_for_another_and_the_rest_goes_on() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    let mut program = publishing(&account, &patient);

    account.replace_token("another-token");
    submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);

    program.kill();
    program.set("ACCOUNT", "another-token");
    program.start();
    await_statuses(&account, 3);
    assert_eq!(texts(&account), ["[es] One", "[es] Two", "[es] Three"]);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
    for secret in [TOKEN, "another-token"] {
        assert!(!program.log().contains(secret));
    }
}

#[test]
fn a_suspended_account_waits_for_a_person_and_the_rest_goes_on() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    let program = publishing(&account, &patient);

    account.suspend();
    submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);

    account.restore();
    program.run(&["resume", "es"]).well();
    await_statuses(&account, 3);
    await_return(&program);
    assert_eq!(texts(&account), ["[es] One", "[es] Two", "[es] Three"]);
}

#[test]
fn a_picture_that_is_refused_becomes_a_link_and_the_others_are_attached() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    let files = Files::start();
    let picture = files.put("/a.png", "image/png", PNG);
    let (_web, source) = pictured(&[("One", &picture), ("Two", &picture), ("Three", &picture)]);
    account.handle_next(Handling::Refused(422, "File is broken".to_owned()));
    let mut program = program(&account, &patient);
    program.add(&source);
    program.start();
    await_statuses(&account, 3);
    await_lines(&program, 3);

    let statuses = account.statuses();
    let (attached, linked): (Vec<Posted>, Vec<Posted>) =
        statuses.into_iter().partition(|it| it.media.len() == 1);
    assert_eq!((attached.len(), linked.len()), (2, 1));
    assert!(
        linked[0].text.ends_with(&format!("\n\n{picture}")),
        "{linked:?}"
    );
    assert!(attached.iter().all(|it| !it.text.contains(&picture)));
    assert_eq!(
        program.n_logged("a medium cannot be attached, and becomes a link"),
        1
    );
    assert_eq!(program.n_logged("an outlet takes no posts"), 0);
}

#[test]
fn an_answer_to_a_post_that_was_deleted_is_refused_and_the_rest_goes_on() {
    let patient = Patient::start(0, 0);
    let author = Mastodon::start(Keys::Kept);
    let account = Mastodon::start(Keys::Kept);
    let mut program = program(&account, &patient);
    program.add(&format!(
        "[[source]]\nname = \"author\"\nkind = \"mastodon\"\nbase_url = \"{}\"\n\
         account = \"bot\"\nlanguage = \"en\"\nevery = \"1s\"\nbackfill = \"all\"\n",
        author.base_url()
    ));
    let parent = author.post_elsewhere("One");
    program.start();
    await_statuses(&account, 1);
    account.remove(&account.statuses()[0].id);

    author.write(Posted {
        text: "Two".to_owned(),
        in_reply_to_id: Some(parent),
        in_reply_to_account_id: Some(ACCOUNT.to_owned()),
        ..Posted::default()
    });
    author.post_elsewhere("Alone");
    await_statuses(&account, 1);
    await_lines(&program, 3);

    let refused = until("the answer is refused", || {
        let tasks = program.all_tasks();
        let task = tasks.iter().find(|it| it["result"]["text"] == "[es] Two")?;
        let mut publications = task["publications"].as_array()?.iter();
        publications.find(|it| it["state"] == "Refused").cloned()
    });
    let why = refused["why"].as_str().expect("a reason");
    assert!(why.contains("does not appear to exist"), "{refused}");
    assert_eq!(texts(&account), ["[es] Alone"]);
    assert_eq!(program.n_logged("a publication is refused"), 1);
    assert_eq!(program.n_logged("an outlet takes no posts"), 0);
}

#[test]
fn a_text_is_planned_as_one_part_where_its_server_takes_eleven_thousand_characters() {
    let patient = Patient::start(0, 0);
    let account = Mastodon::start(Keys::Kept);
    account.set_max_characters(11_000);
    let mut program = program(&account, &patient);
    program.start();
    // With the sign of its language it is as long as can be; the other is longer by a letter.
    let whole = format!("{}words", "word ".repeat(2_198));
    let long = format!("{whole}s");

    let ids = submit(&program, &[&whole, &long]);

    let publication = program.wait_for_publication(&ids[0], "es", "Published");
    assert_eq!(publication["parts"].as_array().map(Vec::len), Some(1));
    let publication = program.wait_for_publication(&ids[1], "es", "Published");
    assert_eq!(publication["parts"].as_array().map(Vec::len), Some(2));
    assert_eq!(account.n_standing(&format!("[es] {whole}")), 1);
    await_lines(&program, 2);
}
