//! What hangs on a text that goes to Bluesky: pictures, cards and what it quotes.

use std::cell::RefCell;
use std::sync::Arc;

use babelfeed::outlets::bluesky::BlueskyOutlet;
use babelfeed_actors::domain::{Attached, Publication, Thread};
use babelfeed_actors::ports::{Outlet, OutletRemedy};
use serde_json::{Value, json};

use super::super::{dispatch, frozen, hung, medium, pictured, publication, settle};
use super::{Real, Shown, Simulated, published};
use crate::simulators::bluesky::DID;
use crate::simulators::files::{Files, MP4, PNG};

/// A thread of three in two publications, the first with two pictures; answers the records.
async fn publish_thread(outlet: &BlueskyOutlet, files: &Files) {
    let picture = |path: &str, alt| medium(&files.put(path, "image/png", PNG), alt);
    let mut first = (*publication(1, &["uno", "dos"])).clone();
    first.attached = Some(Arc::new(Attached {
        warning: Some("ruido".into()),
        media: vec![picture("/a.png", Some("un barco")), picture("/b.png", None)],
        ..Attached::default()
    }));
    for part in 0..2 {
        let parts = frozen(outlet, vec![dispatch(&Arc::new(first.clone()), part)]).await;
        first.parts[part].id = Some(settle(outlet, &parts[0]).await.id);
    }
    let mut second = (*publication(2, &["tres"])).clone();
    second.thread = Some(Thread {
        root: first.parts[0].id.clone().expect("an id"),
        parent: first.parts[1].id.clone().expect("an id"),
    });
    let parts = frozen(outlet, vec![dispatch(&Arc::new(second), 0)]).await;
    settle(outlet, &parts[0]).await;
}

fn assert_thread(posts: &[(String, Value)], did: &str, blob: impl Fn(&Value) -> Vec<u8>) {
    let texts: Vec<&str> = posts
        .iter()
        .map(|(_, post)| post["text"].as_str().expect("a text"))
        .collect();
    assert_eq!(
        texts,
        ["⚠ ruido\n\nuno", "⚠ ruido\n\ndos", "tres"],
        "in order"
    );
    let uri = |number: usize| format!("at://{did}/app.bsky.feed.post/{}", posts[number].0);
    for (number, (_, post)) in posts.iter().enumerate().skip(1) {
        assert_eq!(post["reply"]["root"]["uri"], uri(0));
        assert_eq!(post["reply"]["parent"]["uri"], uri(number - 1));
    }
    for (_, post) in &posts[..2] {
        assert_eq!(post["labels"]["values"][0]["val"], "graphic-media");
    }
    assert_eq!(posts[2].1.get("labels"), None);
    let first = &posts[0].1;
    assert_eq!(first["langs"], json!(["es"]));
    let images = first["embed"]["images"].as_array().expect("pictures");
    let alts: Vec<&Value> = images.iter().map(|image| &image["alt"]).collect();
    assert_eq!(alts, ["un barco", ""]);
    for image in images {
        assert_eq!(blob(&image["image"]), PNG);
        assert_eq!(image["aspectRatio"], json!({"width": 1, "height": 1}));
    }
    assert!(posts[1].1.get("embed").is_none());
}

#[actix_rt::test]
async fn a_thread_with_pictures_stands_in_order() {
    let files = Files::start();
    let simulated = Simulated::new();
    publish_thread(&simulated.outlet, &files).await;
    assert_thread(&simulated.server.posts(), DID, |blob| {
        simulated.server.blob(blob).1
    });
    let real = Real::new();
    publish_thread(&real.outlet, &files).await;
    assert_thread(&real.account.posts(), &real.account.did, |blob| {
        real.account.blob(blob)
    });
}

async fn embed_of(account: &Simulated, attached: Attached, text: &str) -> Value {
    let one = hung(1, text, attached);
    let parts = frozen(&account.outlet, vec![dispatch(&one, 0)]).await;
    account.publish(&parts[0]).await.expect("publishes");
    account.server.posts()[0].1["embed"].clone()
}

#[actix_rt::test]
async fn a_link_has_a_card_where_its_page_says_what_it_is() {
    let files = Files::start();
    files.put("/a.png", "image/png", PNG);
    let html = "<title>x</title><meta property='og:title' content='Una página'>\
                <meta property='og:image' content='/a.png'>";
    let page = files.put("/p", "text/html; charset=utf-8", html.as_bytes());
    let account = Simulated::new();
    let text = format!("mira {page} y https://example.org/z");
    let embed = embed_of(&account, Attached::default(), &text).await;
    assert_eq!(embed["external"]["uri"], page);
    assert_eq!(embed["external"]["title"], "Una página");
    assert_eq!(account.server.blob(&embed["external"]["thumb"]).1, PNG);

    let account = Simulated::new();
    let bare = files.refuse("/gone", 404);
    let embed = embed_of(&account, Attached::default(), &bare).await;
    assert_eq!(embed, Value::Null, "the link in the text is enough");
}

#[actix_rt::test]
async fn pictures_that_cannot_be_shown_become_a_card_that_leads_to_the_original() {
    let files = Files::start();
    let account = Simulated::new();
    let attached = Attached {
        media: vec![
            medium(&files.refuse("/gone.png", 404), None),
            medium(&files.put("/film.mp4", "video/mp4", MP4), None),
        ],
        ..Attached::default()
    };
    let embed = embed_of(&account, attached, "hola").await;
    assert_eq!(embed["$type"], "app.bsky.embed.external");
    assert_eq!(embed["external"]["uri"], "https://example.org/a?b=1&c=2");
}

#[actix_rt::test]
async fn a_picture_goes_out_without_words_and_what_shows_nothing_does_not() {
    let files = Files::start();
    let account = Simulated::new();
    let with = |url: String| pictured(&url, None);
    let picture = files.put("/a.png", "image/png", PNG);
    let embed = embed_of(&account, with(picture), "").await;
    assert_eq!(embed["images"].as_array().map(Vec::len), Some(1));
    assert_eq!(account.server.posts()[0].1["text"], "");

    let mut one = Publication::clone(&hung(2, "", with(files.refuse("/gone.png", 404))));
    one.url = None;
    let refused = account.outlet.freeze(vec![dispatch(&Arc::new(one), 0)]);
    let error = refused.await.expect_err("nothing can be shown");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
}

#[actix_rt::test]
async fn a_picture_that_cannot_be_had_now_is_waited_for_and_not_for_ever() {
    let files = Files::start();
    let account = Simulated::new();
    let attached = Attached {
        media: vec![
            medium(&files.refuse("/later.png", 503), None),
            medium(&files.put("/a.png", "image/png", PNG), None),
        ],
        ..Attached::default()
    };
    let one = hung(1, "hola", attached);
    let n_failures = RefCell::new(0);
    let parts = loop {
        match account.outlet.freeze(vec![dispatch(&one, 0)]).await {
            Ok(parts) => break parts,
            Err(error) => assert_eq!(error.remedy(), OutletRemedy::Retry(None)),
        }
        *n_failures.borrow_mut() += 1;
    };
    assert_eq!(n_failures.into_inner(), 3);
    account.publish(&parts[0]).await.expect("publishes");
    let images = account.server.posts()[0].1["embed"]["images"].clone();
    assert_eq!(images.as_array().map(Vec::len), Some(1));
}

#[actix_rt::test]
async fn a_quoted_post_is_shown_where_it_stands() {
    let real = Real::new();
    let quoted = real.account.post(&json!({
        "$type": "app.bsky.feed.post", "text": "original", "createdAt": "2026-11-21T12:00:00Z",
    }));
    let attached = Attached {
        quoted: Some(quoted.as_str().into()),
        ..Attached::default()
    };
    published(&real, &hung(1, "hola", attached)).await;
    let posts = real.account.posts();
    let (_, post) = posts
        .iter()
        .find(|it| it.1["text"] == "hola")
        .expect("a post");
    assert_eq!(post["embed"]["$type"], "app.bsky.embed.record");
    assert_eq!(post["embed"]["record"]["uri"], quoted);
}

#[actix_rt::test]
async fn what_we_published_of_a_quoted_post_is_shown_as_quoted() {
    let simulated = Simulated::new();
    let real = Real::new();
    for stage in [&simulated as &dyn Shown, &real] {
        let first = published(stage, &publication(1, &["antes"])).await;
        let quoting = hung(
            2,
            "mira",
            Attached {
                quoted: Some("https://social.example/@ana/9".into()),
                quoted_as: Some(first.id.clone()),
                ..Attached::default()
            },
        );
        published(stage, &quoting).await;
        let posts = stage.posts();
        let (_, post) = posts
            .iter()
            .find(|it| it.1["text"] == "mira")
            .expect("a post");
        assert_eq!(post["embed"]["$type"], "app.bsky.embed.record");
        let record = &post["embed"]["record"];
        let quoted = format!("{} {}", record["uri"], record["cid"]).replace('"', "");
        assert_eq!(quoted, *first.id);
    }
}
