//! Where the places of a text on Bluesky lead: its links, tags and mentions.

use std::time::Duration;

use babelfeed_actors::ports::{Outlet as _, OutletRemedy};
use serde_json::{Value, json};

use super::super::{dispatch, publication};
use super::{RICH, Real, Shown, Simulated, published};
use crate::simulators::bluesky::{DID, HANDLE};
use crate::simulators::pds::Account;

/// The places of a record's text, as a reader cuts them out by their bytes.
fn places(post: &Value) -> Vec<(String, Value)> {
    let text = post["text"].as_str().expect("a text").as_bytes();
    let facets = post["facets"].as_array().cloned().unwrap_or_default();
    facets
        .iter()
        .map(|facet| {
            let at = |name: &str| facet["index"][name].as_u64().expect("an offset") as usize;
            let place = &text[at("byteStart")..at("byteEnd")];
            let place = String::from_utf8(place.to_vec()).expect("whole characters");
            (place, facet["features"][0].clone())
        })
        .collect()
}

fn rich_places() -> Vec<(String, Value)> {
    let link = |uri: &str| json!({"$type": "app.bsky.richtext.facet#link", "uri": uri});
    let tag = json!({"$type": "app.bsky.richtext.facet#tag", "tag": "Новости"});
    let long = "https://example.org/ruta?a=1&b=ñ#x";
    vec![
        (long.to_owned(), link(long)),
        ("example.com/y".to_owned(), link("https://example.com/y")),
        ("#Новости".to_owned(), tag),
    ]
}

#[actix_rt::test]
async fn places_in_a_text_are_read_back_byte_for_byte() {
    let simulated = Simulated::new();
    let real = Real::new();
    for stage in [&simulated as &dyn Shown, &real] {
        published(stage, &publication(1, &[RICH])).await;
        let posts = stage.posts();
        assert_eq!(posts[0].1["text"], RICH);
        assert_eq!(places(&posts[0].1), rich_places());
    }
}

#[actix_rt::test]
async fn a_mention_leads_to_its_account_and_a_plain_one_to_nobody() {
    let simulated = Simulated::new();
    let real = Real::new();
    let Account { handle, did, .. } = &real.account;
    for (stage, handle, did) in [
        (&simulated as &dyn Shown, HANDLE, DID),
        (&real, handle, did),
    ] {
        let text = format!("Ñ @{handle}, @nadie.test y @\u{200b}{handle}");
        published(stage, &publication(1, &[&text])).await;
        let feature = json!({"$type": "app.bsky.richtext.facet#mention", "did": did});
        assert_eq!(
            places(&stage.posts()[0].1),
            [(format!("@{handle}"), feature)]
        );
    }
}

#[actix_rt::test]
async fn a_handle_that_cannot_be_looked_up_now_is_looked_up_again() {
    let account = Simulated::new();
    let one = publication(1, &[&format!("hola @{HANDLE}")]);
    let wait = Some(Duration::from_secs(7));
    for (status, remedy) in [
        (429, OutletRemedy::Retry(wait)),
        (500, OutletRemedy::Retry(None)),
        (502, OutletRemedy::Retry(None)),
    ] {
        let headers = [("Retry-After", "7")];
        account.server.refuse_next_handle(status, &headers, "Later");
        let frozen = account.outlet.freeze(vec![dispatch(&one, 0)]).await;
        assert_eq!(frozen.expect_err("waits").remedy(), remedy, "{status}");
    }
    published(&account, &one).await;
    assert_eq!(places(&account.posts()[0].1).len(), 1);
}

#[actix_rt::test]
async fn a_handle_that_can_never_be_looked_up_does_not_hold_posts_up_for_ever() {
    let account = Simulated::new();
    let text = format!("hola @{HANDLE}");
    let one = publication(1, &[&text]);
    let freeze = async || {
        account.server.refuse_next_handle(500, &[], "Broken");
        account.outlet.freeze(vec![dispatch(&one, 0)]).await
    };
    let mut n_tries = 1;
    while freeze().await.is_err() {
        n_tries += 1;
        assert!(n_tries < 20, "it waits still");
    }
    assert!(n_tries > 10, "{n_tries}");
    freeze().await.expect("nothing waits for it any more");
    published(&account, &one).await;
    assert_eq!(places(&account.posts()[0].1).len(), 1, "it is known again");
}
