//! Hubs that tell the built program of a feed's news.

use std::net::SocketAddr;

use crate::harness::{Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::websub::{Hub, Manner, Named, Signed, call};

const OUTLET: &str =
    "[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n";
const TOKEN: &str = "the token of the face";

/// A program that reads the hub's feed as seldom as told, and can be called by it.
fn program(hub: &Hub, patient: &Patient, every: &str) -> Program {
    let mut program = Program::new(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntoken_env = \"FACE\"\n\
         public_url = \"https://bot.example/\"\n{UNCHECKED}{}{OUTLET}\
         [[source]]\nname = \"news\"\nkind = \"feed\"\nurl = \"{}\"\nevery = \"{every}\"\n\
         backfill = \"all\"\nlanguage = \"en\"\nwebsub = true\n",
        patient.settings(),
        hub.feed_url()
    ));
    program.set("FACE", TOKEN);
    program.start();
    hub.reach(port(&program));
    program
}

/// The port at which the program is heard since its last start.
fn port(program: &Program) -> u16 {
    let log = program.log();
    let ready = log
        .lines()
        .rfind(|line| line.contains("tcp="))
        .expect("TCP");
    let (_, rest) = ready.split_once("tcp=").expect("was found");
    let address = rest.split_whitespace().next().expect("an address");
    let address: SocketAddr = address.trim_matches('"').parse().expect("an address");
    address.port()
}

fn wait_for_items(program: &Program, items: &[&str]) {
    until(&format!("{items:?} are published"), || {
        (program.published("es.jsonl").len() >= items.len()).then_some(())
    });
    let published = program.published("es.jsonl");
    let posts: Vec<_> = published
        .iter()
        .filter_map(|it| it["post"].as_str())
        .collect();
    let expected: Vec<String> = items.iter().map(|item| format!("urn:{item}")).collect();
    assert_eq!(posts, expected);
}

/// Waits until what was agreed with the hub would outlive a crash.
fn wait_until_kept(program: &Program) {
    until("the lease is kept", || {
        let kept = program.read("data/websub.json");
        kept.contains("\"leased_until\": 1").then_some(())
    });
}

fn wait_until_told(hub: &Hub) {
    until("the hub tells of news", || {
        (hub.told().len() == 1).then_some(())
    });
}

#[test]
fn news_are_published_at_once_and_once_wherever_the_hub_is_named() {
    for (named, signed) in [
        (Named::InHeaders, Signed::Sha256),
        (Named::InBody, Signed::Sha512),
    ] {
        let (hub, patient) = (
            Hub::start(Manner::Grants(864_000), named),
            Patient::start(0, 0),
        );
        let program = program(&hub, &patient, "1h");
        wait_for_items(&program, &["first"]);
        wait_until_told(&hub);
        hub.add("second");
        for _ in 0..3 {
            assert_eq!(hub.deliver(signed), [202]);
        }
        wait_for_items(&program, &["first", "second"]);
        assert_eq!(hub.asked().len(), 1, "{named:?}");
        assert_eq!(hub.asked()[0].topic, hub.feed_url());
        assert_eq!(program.n_logged("is not signed"), 0);
    }
}

#[test]
fn what_is_not_signed_as_agreed_is_passed_over() {
    let (hub, patient) = (
        Hub::start(Manner::Grants(864_000), Named::InBody),
        Patient::start(0, 0),
    );
    let program = program(&hub, &patient, "1h");
    wait_for_items(&program, &["first"]);
    wait_until_told(&hub);
    // The lease brings about a poll of its own, which must be over.
    wait_until_kept(&program);
    until("the feed is read again", || {
        (hub.n_reads() == 2).then_some(())
    });
    hub.add("second");
    assert_eq!(hub.deliver(Signed::Wrongly), [202]);
    assert_eq!(hub.deliver(Signed::Not), [202]);
    assert_eq!(program.n_logged("is not signed"), 2);
    assert_eq!(hub.n_reads(), 2);
    hub.deliver(Signed::Sha256);
    wait_for_items(&program, &["first", "second"]);
    assert_eq!(hub.n_reads(), 3);
}

#[test]
fn a_subscription_outlives_a_crash() {
    let (hub, patient) = (
        Hub::start(Manner::Grants(864_000), Named::InBody),
        Patient::start(0, 0),
    );
    let mut program = program(&hub, &patient, "1h");
    wait_for_items(&program, &["first"]);
    wait_until_told(&hub);
    wait_until_kept(&program);
    program.kill();
    let n_reads = hub.n_reads();
    program.start();
    hub.reach(port(&program));
    until("the feed is read again", || {
        (hub.n_reads() > n_reads).then_some(())
    });
    hub.add("second");
    assert_eq!(hub.deliver(Signed::Sha256), [202]);
    wait_for_items(&program, &["first", "second"]);
    assert_eq!(hub.asked().len(), 1);
}

#[test]
fn a_lease_is_renewed_before_its_end_at_the_same_address() {
    let (hub, patient) = (
        Hub::start(Manner::Grants(4), Named::InHeaders),
        Patient::start(0, 0),
    );
    let _program = program(&hub, &patient, "1h");
    until("the lease was renewed twice", || {
        (hub.asked().len() >= 3).then_some(())
    });
    let asked = hub.asked();
    assert!(asked.iter().all(|it| it.callback == asked[0].callback));
    assert!(asked.iter().all(|it| it.secret == asked[0].secret));
    assert_eq!(asked[0].secret.len(), 64);
}

#[test]
fn a_hub_that_does_not_want_to_is_told_of_once_and_the_feed_is_polled() {
    for manner in [Manner::Denies, Manner::Refuses(403)] {
        let (hub, patient) = (
            Hub::start(manner.clone(), Named::InBody),
            Patient::start(0, 0),
        );
        let program = program(&hub, &patient, "1s");
        wait_for_items(&program, &["first"]);
        until("the hub has said no", || {
            (program.n_logged("polled for its news") + program.n_logged("which is polled for") > 0)
                .then_some(())
        });
        hub.add("second");
        wait_for_items(&program, &["first", "second"]);
        let n_reads = hub.n_reads();
        until("it was polled twice more", || {
            (hub.n_reads() >= n_reads + 2).then_some(())
        });
        let n_told =
            program.n_logged("polled for its news") + program.n_logged("which is polled for");
        assert_eq!((n_told, hub.asked().len()), (1, 1), "{manner:?}");
    }
}

#[test]
fn only_hubs_pass_without_the_token_and_only_to_their_address() {
    let (hub, patient) = (
        Hub::start(Manner::Grants(864_000), Named::InBody),
        Patient::start(0, 0),
    );
    let program = program(&hub, &patient, "1h");
    wait_until_told(&hub);
    let port = port(&program);
    let status = |method: &str, path: &str| call(port, method, path, &[], "").0;
    assert_eq!(status("GET", "/v1/status"), 401);
    assert_eq!(status("GET", "/websub"), 401);
    assert_eq!(status("POST", "/websub/guessed"), 410);
    assert_eq!(
        status("GET", "/websub/guessed?hub.mode=subscribe&hub.challenge=1"),
        404
    );
    let own = hub.told()[0].callback.clone();
    let again = format!("{own}?hub.mode=subscribe&hub.topic=x&hub.challenge=1");
    assert_eq!(status("GET", &again), 404, "it was not asked for");
    assert_eq!(status("GET", &own), 400);
    assert_eq!(
        program.get(&own).status,
        404,
        "the socket has no such route"
    );
    let secret = &hub.told()[0].secret;
    assert!(!program.log().contains(secret.as_str()));
}

#[test]
fn without_a_public_address_no_hub_is_heard() {
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&format!(
        "[http]\nlisten = \"127.0.0.1:0\"\ntoken_env = \"FACE\"\n{UNCHECKED}{}{OUTLET}",
        patient.settings()
    ));
    program.set("FACE", TOKEN);
    program.start();
    let (status, _) = call(port(&program), "POST", "/websub/guessed", &[], "");
    assert_eq!(status, 401);
}
