//! What X refuses an account of ours, and what becomes of the rest.

use serde_json::json;

use super::{await_failure, await_lines, await_return, pictured, submit};
use crate::harness::until;
use crate::patient::Patient;
use crate::simulators::faults::Fault;
use crate::simulators::files::{Files, PNG};
use crate::simulators::x::X;
use crate::x::{KEYS, TOKENS, program};

/// What the simulated X takes for the refresh token once all that were given out are revoked.
const AFTER_REVOCATION: &str = "revoked";

#[test]
fn a_suspended_account_and_a_refused_answer_leave_the_rest_alone() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let unsummoned = json!({
        "title": "Forbidden", "status": 403, "type": "about:blank",
        "detail": "You are not permitted to perform this action.",
    });
    server.fail_next(Fault::answer(403, &[], unsummoned.to_string()));
    let program = program(&server, &patient, KEYS);
    let refused = submit(&program, &["Zero"]).remove(0);
    let publication = program.wait_for_publication(&refused, "es", "Refused");
    let why = publication["why"].as_str().expect("a reason");
    assert!(why.contains("not permitted"), "{publication}");
    assert_eq!(program.n_logged("a publication is refused"), 1);

    server.suspend();
    let ids = submit(&program, &["One", "Two", "Three"]);
    await_lines(&program, 4);
    await_failure(&program);
    assert_eq!(server.posts().len(), 0);

    server.restore();
    program.run(&["resume", "es"]).well();
    for id in &ids {
        program.wait_for_publication(id, "es", "Published");
    }
    assert_eq!(server.posts().len(), 3);
    await_return(&program);
}

#[test]
fn a_revoked_token_waits_for_another_and_the_rest_goes_on() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let mut program = program(&server, &patient, TOKENS);
    let first = submit(&program, &["One"]).remove(0);
    program.wait_for_publication(&first, "es", "Published");

    server.revoke();
    let ids = submit(&program, &["Two", "Three"]);
    await_lines(&program, 3);
    await_failure(&program);
    assert_eq!(server.posts().len(), 1);

    program.kill();
    program.set("X_REFRESH", AFTER_REVOCATION);
    program.start();
    for id in &ids {
        program.wait_for_publication(id, "es", "Published");
    }
    assert_eq!(server.posts().len(), 3);
    assert_eq!(program.n_logged("an outlet takes no posts"), 1);
    for token in ["refresh-1", "refresh-2", "access-1", "access-2"] {
        assert!(!program.log().contains(token), "{token} is in the log");
    }
}

#[test]
fn a_picture_that_is_refused_becomes_a_link_and_the_others_are_attached() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let files = Files::start();
    let good = files.put("/good.png", "image/png", PNG);
    let page = files.put("/page.png", "text/html", b"<html>");
    let (_web, source) = pictured(&[("One", &good), ("Two", &page), ("Three", &good)]);
    let more = format!("{KEYS}{source}[publishing]\nmedia_from_private = true\n");
    let program = program(&server, &patient, &more);
    await_lines(&program, 3);
    until("all are out", || (server.posts().len() == 3).then_some(()));

    for post in server.posts() {
        let is_linked = post.text.ends_with(&format!("\n\n{page}"));
        let (n_attached, is_two) = (post.media.len(), post.text.starts_with("[es] Two"));
        let expected = if is_two { (0, true) } else { (1, false) };
        assert_eq!((n_attached, is_linked), expected, "{post:?}");
    }
    let told = "a medium does not go up, and its address stands behind the text";
    assert_eq!(program.n_logged(told), 1);
    assert_eq!(program.n_logged("an outlet takes no posts"), 0);
}
