//! What a Slack outlet does when webhooks behave as webhooks do.

use std::time::Duration;

use babelfeed::http::HttpConfig;
use babelfeed::outlets::slack::{SlackConfig, SlackOutlet};
use babelfeed::secret::Secret;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::{Outlet, OutletRemedy};

use super::{
    Stage, dispatch, failure, frozen, hung, keeps_the_contract, n_standing, pictured, publication,
    publish, publish_warned,
};
use crate::simulators::faults::Fault;
use crate::simulators::server::Answer;
use crate::simulators::slack::Slack;

struct Channel {
    outlet: SlackOutlet,
    server: Slack,
}

impl Channel {
    fn new() -> Self {
        let server = Slack::start();
        let outlet = outlet(&server.url());
        Self { outlet, server }
    }
}

fn outlet(url: &str) -> SlackOutlet {
    SlackOutlet::new(&SlackConfig {
        url: Secret::new(url),
        http: HttpConfig::default(),
        timeout: Duration::from_secs(5),
    })
    .expect("an address")
}

impl Stage for Channel {
    fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn n_standing(&self, publication: &Publication) -> usize {
        n_standing(publication, |text| self.server.n_standing(text))
    }
}

#[actix_rt::test]
async fn a_webhook_of_slack_keeps_the_contract() {
    keeps_the_contract(Channel::new()).await;
}

#[actix_rt::test]
async fn signs_that_slack_takes_for_its_own_stand_as_they_are() {
    let channel = Channel::new();
    let text = "<!channel> & <https://a.example|b> &amp; *no*";
    publish(&channel.outlet, &publication(1, &[text]))
        .await
        .expect("publishes");
    assert_eq!(channel.server.n_standing(text), 1);
}

#[actix_rt::test]
async fn the_longest_text_fits_with_a_picture_too() {
    let channel = Channel::new();
    let max = channel.outlet.limit().await.expect("a limit").max();
    let text = "& ".repeat(max.expect("a number") / 2);
    let text = text.trim_end();
    let attached = pictured("https://a.example/1.png", Some("un gato"));
    let one = hung(1, text, attached);
    publish(&channel.outlet, &one).await.expect("publishes");
    let message = channel.server.messages().remove(0);
    assert_eq!(message.text, text);
    assert_eq!(message.sections, text);
    let picture = ("https://a.example/1.png".into(), "un gato".into());
    assert_eq!(message.pictures, [picture]);
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words() {
    let channel = Channel::new();
    let attached = pictured("https://a.example/1.png", Some("un gato"));
    let one = hung(1, "", attached);
    publish(&channel.outlet, &one).await.expect("publishes");
    let message = channel.server.messages().remove(0);
    let picture = ("https://a.example/1.png".into(), "un gato".into());
    assert_eq!(message.pictures, [picture]);
}

#[actix_rt::test]
async fn a_picture_that_slack_does_not_take_becomes_a_link() {
    let channel = Channel::new();
    channel.server.refuse("https://a.example/1.png");
    let attached = pictured("https://a.example/1.png", None);
    let one = hung(1, "hola", attached);
    publish(&channel.outlet, &one).await.expect("publishes");
    let n_standing = channel.server.n_standing("hola\n\nhttps://a.example/1.png");
    assert_eq!((n_standing, channel.server.messages().len()), (1, 1));
}

#[actix_rt::test]
async fn a_warning_stands_above_every_part_of_a_thread() {
    let channel = Channel::new();
    publish_warned(&channel.outlet).await;
    for text in ["ruido\n\nuno", "ruido\n\ndos"] {
        assert_eq!(channel.server.n_standing(text), 1, "{text}");
    }
}

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_at_most_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::HalfReply,
        Fault::BadGateway,
        Fault::RequestLost,
        Fault::page(200),
        Fault::Answer(Answer::new(500, "text/plain", "rollup_error")),
    ] {
        let channel = Channel::new();
        let one = publication(1, &["hola"]);
        let parts = frozen(&channel.outlet, vec![dispatch(&one, 0)]).await;
        channel.server.fail_next(fault.clone());
        let answer = channel.outlet.publish(&parts).await.remove(0);
        let error = answer.expect_err("is lost");
        assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
        let restarted = outlet(&channel.server.url());
        for outlet in [&channel.outlet, &restarted] {
            outlet.read_back(&parts[0]).await.expect_err("unknown");
        }
        let n_standing = channel.server.n_standing("hola");
        assert_eq!(n_standing, usize::from(fault.takes()));
    }
}

#[actix_rt::test]
async fn each_refusal_has_its_remedy_and_shows_no_address() {
    for (status, words, remedy) in [
        (400, "invalid_payload", OutletRemedy::GiveUp),
        (403, "action_prohibited", OutletRemedy::Person),
        (404, "no_service", OutletRemedy::Person),
        (410, "channel_is_archived", OutletRemedy::Person),
    ] {
        let channel = Channel::new();
        channel.server.refuse_all(status, words);
        let error = failure(&channel.outlet).await;
        assert_eq!(error.remedy(), remedy, "{words}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!format!("{error:?}").contains("the-secret"), "{error:?}");
    }
}

#[actix_rt::test]
async fn a_wait_that_is_asked_for_is_kept_with_a_margin() {
    let channel = Channel::new();
    channel.server.set_budget(0, 30);
    let wait = Some(Duration::from_secs(31));
    assert_eq!(
        failure(&channel.outlet).await.remedy(),
        OutletRemedy::Retry(wait)
    );
}

#[actix_rt::test]
async fn nothing_is_published_to_try_it() {
    let channel = Channel::new();
    let note = channel.outlet.probe().await.expect("cannot fail");
    assert!(note.expect("a note").contains("cannot be tried"));
    assert_eq!(channel.server.messages().len(), 0);
}
