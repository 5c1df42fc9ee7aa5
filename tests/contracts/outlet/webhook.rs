//! What a webhook outlet does when receivers behave as programs do.

use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::outlets::webhook::{Doubt, WebhookConfig, WebhookOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Attached, Publication};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Outlet, OutletError, OutletRemedy, ReadBack};

use super::{
    Stage, dispatch, failure, frozen, hung, keeps_the_contract, medium, n_standing, publication,
    publish, settle,
};
use crate::simulators::faults::Fault;
use crate::simulators::server::Answer;
use crate::simulators::webhook::{Receiver, SECRET};

struct Program {
    outlet: WebhookOutlet,
    receiver: Receiver,
}

impl Program {
    fn new(doubt: Doubt) -> Self {
        let receiver = Receiver::start();
        let outlet = outlet(&receiver, doubt, SECRET);
        Self { outlet, receiver }
    }

    async fn failure(&self, status: u16) -> OutletError {
        let refusal = Answer::new(status, "text/plain", "no").with("Retry-After", "7");
        self.receiver.fail_next(Fault::Answer(refusal));
        failure(&self.outlet).await
    }
}

fn outlet(receiver: &Receiver, doubt: Doubt, secret: &str) -> WebhookOutlet {
    WebhookOutlet::new(&WebhookConfig {
        url: Secret::new(&receiver.url()),
        secret: Some(Secret::new(secret)),
        doubt,
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    })
    .expect("an address")
}

impl Stage for Program {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.receiver.n_standing(text))
    }
}

#[actix_rt::test]
async fn a_receiver_keeps_the_contract() {
    for doubt in [Doubt::Waits, Doubt::Repeats] {
        keeps_the_contract(Program::new(doubt)).await;
    }
}

#[actix_rt::test]
async fn a_receiver_gets_task_and_publication_with_all_that_hangs_on_it() {
    let program = Program::new(Doubt::Waits);
    assert_eq!(program.outlet.limit().await, Ok(Limit::Unbounded));
    let attached = Attached {
        warning: Some("Ojo".into()),
        media: vec![medium("https://a.example/1.png", Some("un gato"))],
        ..Attached::default()
    };
    let one = hung(1, "hola", attached);
    publish(&program.outlet, &one).await.expect("publishes");
    let delivery = program.receiver.deliveries().remove(0);
    let body = &delivery.body;
    assert_eq!(body["event"], "published");
    assert_eq!(body["key"], delivery.key);
    assert_eq!(body["task"]["id"], one.id.task().to_string());
    assert_eq!(body["task"]["source"], "news");
    assert_eq!(body["publication"]["id"], one.id.to_string());
    assert_eq!(body["publication"]["text"], "hola");
    let attached = &body["publication"]["attached"];
    assert_eq!(attached["warning"], "Ojo");
    assert_eq!(attached["media"][0]["alt"], "un gato");
}

#[actix_rt::test]
async fn what_may_have_arrived_is_repeated_only_where_repeats_are_dropped() {
    for fault in [
        Fault::ReplyLost,
        Fault::BadGateway,
        Fault::RequestLost,
        Fault::page(503),
    ] {
        for doubt in [Doubt::Waits, Doubt::Repeats] {
            let program = Program::new(doubt);
            let one = publication(1, &["hola"]);
            let parts = frozen(&program.outlet, vec![dispatch(&one, 0)]).await;
            program.receiver.fail_next(fault.clone());
            let answer = program.outlet.publish(&parts).await.remove(0);
            let remedy = answer.expect_err("is lost").remedy();
            let restarted = outlet(&program.receiver, doubt, SECRET);
            let fate = restarted.read_back(&parts[0]).await;
            if doubt == Doubt::Waits {
                assert_eq!(remedy, OutletRemedy::ReadBack, "{fault:?}");
                fate.expect_err("unknown");
                continue;
            }
            assert_eq!(remedy, OutletRemedy::Retry(None), "{fault:?}");
            assert_eq!(fate, Ok(ReadBack::Absent));
            settle(&restarted, &parts[0]).await;
            let [delivery] = &program.receiver.deliveries()[..] else {
                panic!("{fault:?}: {:?}", program.receiver.deliveries());
            };
            assert_eq!(delivery.n_times, 1 + usize::from(fault.takes()));
        }
    }
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy() {
    let program = Program::new(Doubt::Waits);
    let wait = Some(Duration::from_secs(8));
    for (status, remedy) in [
        (400, OutletRemedy::GiveUp),
        (401, OutletRemedy::Person),
        (404, OutletRemedy::Person),
        (410, OutletRemedy::Person),
        (422, OutletRemedy::GiveUp),
        (429, OutletRemedy::Retry(wait)),
        (500, OutletRemedy::ReadBack),
    ] {
        let error = program.failure(status).await;
        assert_eq!(error.remedy(), remedy, "{status}");
    }
}

#[actix_rt::test]
async fn another_secret_signs_otherwise() {
    let program = Program::new(Doubt::Waits);
    let forger = outlet(&program.receiver, Doubt::Waits, "a guess");
    let error = publish(&forger, &publication(1, &["hola"])).await;
    let error = error.expect_err("is refused");
    assert_eq!(error.remedy(), OutletRemedy::Person, "{error}");
    assert_eq!(program.receiver.n_forged(), 1);
}

#[actix_rt::test]
async fn a_receiver_is_told_of_changes_and_deletions_and_knows_repeats() {
    let program = Program::new(Doubt::Waits);
    let one = publication(1, &["hola"]);
    let out = publish(&program.outlet, &one).await.expect("publishes");
    let after = publication(1, &["adiós"]);
    let parts = frozen(&program.outlet, vec![dispatch(&after, 0)]).await;
    for _ in 0..2 {
        program.outlet.edit(&parts[0], &out).await.expect("is told");
        program.outlet.delete(&out).await.expect("is told");
    }
    let told: Vec<_> = program
        .receiver
        .deliveries()
        .iter()
        .map(|it| (it.body["event"].clone(), it.body["key"].clone(), it.n_times))
        .collect();
    let key = serde_json::Value::from(&*out.id);
    let expected = [
        ("published".into(), key.clone(), 1),
        ("edited".into(), key.clone(), 2),
        ("deleted".into(), key, 2),
    ];
    assert_eq!(told, expected);
}

#[actix_rt::test]
async fn trying_a_receiver_posts_nothing() {
    let program = Program::new(Doubt::Waits);
    let note = program.outlet.probe().await.expect("answers");
    assert!(note.expect("a note").contains("405"));
    assert_eq!(program.receiver.deliveries().len(), 0);
}
