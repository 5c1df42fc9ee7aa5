//! What the rules of an outlet do: a brake on floods, holds that lapse, lines below the text.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Poll, Post, PublicationState};
use babelfeed_actors::logic::compose::{Link, Long, Style};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::hashtags::Hashtags;
use babelfeed_actors::logic::policy::Mentions;
use babelfeed_actors::messages::{Approve, Depth, OutletView, Outlets, PublicationError, Review};
use babelfeed_actors::ports::OutletError;
use babelfeed_actors::setup::{Hold, Lapse, Lapsed};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, finish};

use crate::helpers::{
    assert_out_once, hand_in, pass, poll, poll_and_settle, publication, publications, publish,
    settle, texts, translation,
};

fn with_outlet(world: &mut World) -> FakeOutlet {
    let outlet = FakeOutlet::default();
    world.outlets = vec![("es", outlet.clone(), "es")];
    outlet
}

fn translated(n: usize) -> impl Iterator<Item = String> {
    texts(n).map(|text| format!("[es] {text}"))
}

async fn view(handles: &Handles) -> OutletView {
    let mut views = handles.outlets.send(Outlets).await.expect("heard");
    views.remove(0)
}

#[test]
fn no_more_begins_within_an_hour_than_is_allowed() {
    world::run(901, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        world.rules.per_hour = Some(10);
        let handles = world.start();
        let ids = publish(&handles, texts(35), "es").await;
        assert_eq!(finish(&handles, &ids).await, 35);
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.out().len(), 10);
        assert_eq!(view(&handles).await.state, "waiting");
        pass(Duration::from_secs(3_400)).await;
        assert_eq!(outlet.out().len(), 10);
        pass(Duration::from_secs(300)).await;
        assert_eq!(outlet.out().len(), 20);
        settle(&handles).await;
        assert_out_once(&outlet, translated(35));
        assert_eq!(outlet.texts(), translated(35).collect::<Vec<_>>());
    });
}

#[test]
fn a_restart_does_not_release_the_brake() {
    let outlet = FakeOutlet::default();
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.rules.per_hour = Some(5);
    };
    world::run_lives(902, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives == 1 {
            let ids = publish(&handles, texts(40), "es").await;
            assert_eq!(finish(&handles, &ids).await, 40);
        }
        pass(Duration::from_secs(30)).await;
        (lives == 10).then_some(())
    });
    assert_eq!(outlet.out().len(), 5);
}

#[test]
fn what_did_not_go_out_is_not_counted_and_what_began_is_not_cut() {
    world::run(903, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_batch(1);
        outlet.set_limit(Limit::Characters { max: 40 });
        world.rules.per_hour = Some(2);
        for _ in 0..6 {
            outlet.fail_next(OutletFault::Error(OutletError::Unreachable {
                detail: "no connection".into(),
            }));
        }
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let long = "One sentence of some length. ".repeat(6);
        let texts = [long.clone(), long + "And so on.", "A third.".to_owned()];
        let ids = publish(&handles, texts, "es").await;
        assert_eq!(finish(&handles, &ids).await, 3);
        pass(Duration::from_secs(1_200)).await;
        let mut n_parts = 0;
        for &id in &ids[..2] {
            let record = publication(&handles, id).await;
            assert_eq!(record.state, PublicationState::Published);
            n_parts += record.publication.parts.len();
        }
        assert_eq!(outlet.out().len(), n_parts);
        let third = publication(&handles, ids[2]).await;
        assert_eq!(third.state, PublicationState::Planned);
    });
}

#[test]
fn a_hold_lapses_as_it_was_set() {
    let cases = [
        (Lapsed::Published, PublicationState::Published),
        (Lapsed::Rejected, PublicationState::Refused),
    ];
    for (into, state) in cases {
        world::run(904, async |mut world: World| {
            with_outlet(&mut world);
            world.hold = Hold::Always;
            world.rules.lapse = Some(Lapse {
                after: Duration::from_secs(3_600),
                into,
            });
            let handles = world.start();
            let ids = publish(&handles, texts(1), "es").await;
            assert_eq!(finish(&handles, &ids).await, 1);
            pass(Duration::from_secs(3_500)).await;
            let held = publication(&handles, ids[0]).await;
            assert_eq!(held.state, PublicationState::Held);
            pass(Duration::from_secs(300)).await;
            let lapsed = publication(&handles, ids[0]).await;
            assert_eq!(lapsed.state, state);
        });
    }
}

#[test]
fn what_cannot_be_published_does_not_lapse_into_it() {
    world::run(905, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Characters { max: 30 });
        world.rules.lapse = Some(Lapse {
            after: Duration::from_secs(3_600),
            into: Lapsed::Published,
        });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let unfit = format!("See https://example.org/{}", "a".repeat(60));
        let ids = publish(&handles, [unfit], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        pass(Duration::from_secs(4_000)).await;
        let lapsed = publication(&handles, ids[0]).await;
        assert_eq!(lapsed.state, PublicationState::Refused);
        assert!(outlet.out().is_empty());
    });
}

#[test]
fn the_lines_of_an_outlet_stand_below_each_text_and_within_the_limit() {
    world::run(906, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Characters { max: 100 });
        world.rules.style = Arc::new(Style {
            long: Long::Link,
            link: Link::First,
            attribution: Some("By {author}".into()),
            mark: Some("translated automatically".into()),
            ..Style::default()
        });
        let source = FakeSource::new("news");
        world.sources = vec![("news", source.clone())];
        let url = "https://example.org/1";
        let post = |id: &str, text: String| Post {
            author: Some("@ann".to_owned()),
            url: Some(url.to_owned()),
            ..Post::new("news".into(), id, text)
        };
        source.show_post(post("a", "Short.".to_owned()));
        source.show_post(post("b", "Long words. ".repeat(20)));
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        poll_and_settle(&handles).await;
        let tail = format!("By @ann\ntranslated automatically\n{url}");
        let texts = outlet.texts();
        assert_eq!(texts[0], format!("[es] Short.\n\n{tail}"));
        assert!(texts[1].starts_with("[es] Long words. Long words"));
        assert!(texts[1].ends_with(&format!("…\n\n{tail}")));
        assert_eq!(texts.len(), 2);
        assert!(texts.iter().all(|text| text.chars().count() <= 100));
    });
}

#[test]
fn mentions_go_out_as_the_outlet_wants_them_and_within_the_limit() {
    let accounts = [("@ann@example.org".to_owned(), "@ann.bsky.social".to_owned())];
    let text = format!("Ask @ann@example.org or @bob. {}", "Words. ".repeat(20));
    let cases = [
        (Mentions::Alive, "[es] Ask @ann@example.org or @bob."),
        (
            Mentions::Plain,
            "[es] Ask @\u{200b}ann@\u{200b}example.org or @\u{200b}bob.",
        ),
        (
            Mentions::Mapped(Arc::new(accounts.into())),
            "[es] Ask @ann.bsky.social or @\u{200b}bob.",
        ),
    ];
    for (mentions, begin) in cases {
        world::run(908, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            outlet.set_limit(Limit::Characters { max: 60 });
            world.rules.style = Arc::new(Style {
                mentions,
                ..Style::default()
            });
            let handles = world.start();
            pass(Duration::from_secs(1)).await;
            publish(&handles, [text.trim().to_owned()], "es").await;
            settle(&handles).await;
            let out = outlet.texts();
            assert!(out[0].starts_with(begin), "{out:?}");
            assert!(out.len() > 2, "{out:?}");
            assert!(out.iter().all(|text| text.chars().count() <= 60));
        });
    }
}

#[test]
fn no_words_that_hang_on_a_text_alert_anybody_where_the_text_does_not() {
    world::run(911, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::X);
        world.rules.style = Arc::new(Style {
            mentions: Mentions::Plain,
            ..Style::default()
        });
        let source = FakeSource::new("news");
        world.sources = vec![("news", source.clone())];
        source.show_post(Post {
            warning: Some("About @ann".to_owned()),
            poll: Some(Poll {
                options: vec!["For @bob".to_owned(), "For ＠eve".to_owned()],
                is_multiple: false,
                lasts: None,
            }),
            ..Post::new("news".into(), "a", "Who wins?")
        });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        poll_and_settle(&handles).await;
        let published = publications(&handles).await;
        let attached = published[0].publication.attached.clone();
        let attached = attached.expect("what hangs on it");
        let words: Vec<&str> = attached.words().collect();
        let expected = [
            "About @\u{200b}ann",
            "For @\u{200b}bob",
            "For ＠\u{200b}eve",
        ];
        assert_eq!(words, expected);
    });
}

#[test]
fn what_is_held_because_it_cannot_be_split_is_held_as_it_would_go_out() {
    world::run(912, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Characters { max: 40 });
        world.rules.style = Arc::new(Style {
            mark: Some("translated automatically".into()),
            mentions: Mentions::Plain,
            ..Style::default()
        });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let address = format!("https://example.org/{}", "a".repeat(30));
        let ids = publish(&handles, [format!("Ask @bob {address}")], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let held = publication(&handles, ids[0]).await;
        assert_eq!(held.state, PublicationState::Held);
        let parts = &held.publication.parts;
        let whole = format!("[es] Ask @\u{200b}bob {address}\n\ntranslated automatically");
        assert_eq!((parts.len(), &*parts[0].text), (1, &*whole));
    });
}

#[test]
fn what_takes_too_many_parts_is_held_and_goes_out_whole_when_a_person_wants_it() {
    world::run(913, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Characters { max: 40 });
        world.rules.style = Arc::new(Style {
            numbers: true,
            max_parts: Some(3),
            ..Style::default()
        });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let long = "Some more words. ".repeat(12);
        let ids = publish(&handles, [long.trim().to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let held = publication(&handles, ids[0]).await;
        assert_eq!(held.state, PublicationState::Held);
        let why = held.why.unwrap_or_default();
        assert!(why.contains("wanted at most 3"), "{why}");
        let approve = Approve {
            id: held.publication.id,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok(), "{approved:?}");
        settle(&handles).await;
        let out = outlet.texts();
        assert!(out.len() > 3, "{out:?}");
        let last = format!(" {0}/{0}", out.len());
        assert!(out[out.len() - 1].ends_with(&last), "{out:?}");
        assert!(out.iter().all(|text| text.chars().count() <= 40));
    });
}

#[test]
fn a_persons_text_alerts_nobody_either_and_is_known_with_its_mentions() {
    world::run(909, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        world.hold = Hold::Always;
        world.rules.style = Arc::new(Style {
            mentions: Mentions::Plain,
            ..Style::default()
        });
        let handles = world.start();
        let text = "Ask @ann about it.";
        let ids = publish(&handles, [text.to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let held = publication(&handles, ids[0]).await;
        let approve = Approve {
            id: held.publication.id,
            text: Some("Pregunta a @ann.".into()),
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok(), "{approved:?}");
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["Pregunta a @\u{200b}ann."]);
        let again = hand_in(&handles, [text.to_owned()], "es").await;
        assert_eq!(finish(&handles, &again).await, 1);
        let known = translation(&handles, again[0]).await;
        assert_eq!(&*known.text, "Pregunta a @ann.");
    });
}

#[test]
fn hashtags_are_translated_with_their_text_and_only_where_that_is_wanted() {
    for (hashtags, expected) in [
        (Hashtags::Keep, "[es] The #FerryStrike ends."),
        (Hashtags::Translate, "La #HuelgaDeFerris acaba."),
        (Hashtags::Both, "La #FerryStrike acaba.\n\n#HuelgaDeFerris"),
    ] {
        world::run(910, async |mut world: World| {
            let outlet = with_outlet(&mut world);
            world.rules.style = Arc::new(Style {
                hashtags,
                ..Style::default()
            });
            if hashtags != Hashtags::Keep {
                let says = "La ⟦0⟧ acaba.\n⟦1⟧\nhuelga de ferris";
                world.providers[0].1.then(ProviderFault::Says(says));
            }
            let handles = world.start();
            let text = "The #FerryStrike ends.".to_owned();
            let ids = publish(&handles, [text.clone()], "es").await;
            assert_eq!(finish(&handles, &ids).await, 1);
            settle(&handles).await;
            assert_eq!(outlet.texts(), [expected]);
            let told = translation(&handles, ids[0]).await;
            assert!(told.text.contains("#FerryStrike"), "{}", told.text);
            assert!(!told.text.contains('\u{1e}'), "{}", told.text);
            assert_eq!(world.providers[0].1.n_calls(), 1);
            // The same text is known with its hashtags.
            let again = publish(&handles, [text], "es").await;
            assert_eq!(finish(&handles, &again).await, 1);
            settle(&handles).await;
            assert_eq!(outlet.texts(), [expected, expected]);
            assert_eq!(world.providers[0].1.n_calls(), 1);
        });
    }
}

#[test]
fn a_persons_text_that_is_long_is_put_together_as_the_outlet_wants_it() {
    world::run(911, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        outlet.set_limit(Limit::Characters { max: 60 });
        world.hold = Hold::Always;
        world.rules.style = Arc::new(Style {
            mark: Some("translated automatically".into()),
            numbers: true,
            ..Style::default()
        });
        let handles = world.start();
        pass(Duration::from_secs(1)).await;
        let ids = publish(&handles, texts(2), "es").await;
        assert_eq!(finish(&handles, &ids).await, 2);
        let corrected = "Una frase. ".repeat(8).trim().to_owned();
        let marked = format!("{corrected}\n\ntranslated automatically");
        for (id, text) in ids.into_iter().zip([marked, corrected]) {
            let held = publication(&handles, id).await;
            let approve = Approve {
                id: held.publication.id,
                text: Some(text.into()),
            };
            let approved = handles.approve.send(approve).await.expect("heard");
            assert!(approved.is_ok(), "{approved:?}");
            settle(&handles).await;
        }
        let out = outlet.texts();
        assert!(out.iter().all(|text| text.chars().count() <= 60), "{out:?}");
        let is_first = |text: &String| text.contains(" 1/");
        let second = out.iter().rposition(is_first).expect("is numbered");
        let marks = |texts: &[String]| texts.join("\n").matches("automatically").count();
        assert_eq!(marks(&out[..second]), 1, "{out:?}");
        assert_eq!(
            marks(&out[second..]),
            0,
            "a person has left it out: {out:?}"
        );
        for text in [&out[..second], &out[second..]] {
            assert_eq!(text.join(" ").matches("Una frase.").count(), 8, "{out:?}");
        }
    });
}

#[test]
fn what_a_person_corrected_is_known_from_then_on() {
    world::run(907, async |mut world: World| {
        let outlet = with_outlet(&mut world);
        world.hold = Hold::Always;
        world.rules.style = Arc::new(Style {
            mark: Some("translated automatically".into()),
            ..Style::default()
        });
        let handles = world.start();
        let text = "Ask @ann@example.org about the computer.";
        let ids = publish(&handles, [text.to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        let held = publication(&handles, ids[0]).await;
        let corrected = "Pregunta a @ann@example.org por la computadora.";
        let approve = Approve {
            id: held.publication.id,
            text: Some(format!("{corrected}\n\ntranslated automatically").into()),
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok(), "{approved:?}");
        settle(&handles).await;
        assert_eq!(outlet.out().len(), 1);
        let n_calls = world.providers[0].1.n_calls();
        let again = hand_in(&handles, [text.to_owned()], "es").await;
        assert_eq!(finish(&handles, &again).await, 1);
        let known = translation(&handles, again[0]).await;
        assert_eq!(
            (&*known.text, known.provider.as_str()),
            (corrected, "person")
        );
        assert_eq!(world.providers[0].1.n_calls(), n_calls);
    });
}

#[test]
fn what_waits_for_an_outlet_that_is_not_there_any_more_is_shown_and_not_translated() {
    world::run(920, async |mut world: World| {
        let source = FakeSource::new("news");
        let (held, other) = (FakeOutlet::default(), FakeOutlet::default());
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", held.clone(), "es"), ("fr", other.clone(), "fr")];
        let all = world.outlets.clone();
        world.hold = Hold::Always;
        source.show("A first text.");
        poll_and_settle(&world.start()).await;
        world.store = world.store.crash();
        world.pauses.lanes = vec!["fake".into()];
        source.show("A second text.");
        poll(&world.start()).await;
        world.pauses.lanes.clear();
        let n_before = world.providers[0].1.n_texts();
        world.hold = Hold::Never;
        world.store = world.store.crash();
        world.outlets = vec![all[1].clone()];
        let handles = world.start();
        pass(Duration::from_secs(600)).await;
        let views = handles.outlets.send(Outlets).await.expect("heard");
        let gone = views.last().expect("it is shown");
        assert_eq!((gone.name.as_str(), gone.state), ("es", "gone"));
        let review = handles.review.send(Review { limit: 9 }).await;
        let held = review.expect("heard").expect("read");
        assert_eq!(held.len(), 2, "one for each outlet");
        let approve = Approve {
            id: held[0].publication.id,
            text: None,
        };
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(matches!(approved, Err(PublicationError::Unfit(_))));
        let depth = handles
            .depth
            .send(Depth)
            .await
            .expect("heard")
            .expect("read");
        assert_eq!((depth.queued, depth.parked), (1, 1));
        assert_eq!(world.providers[0].1.n_texts() - n_before, 1);
        assert_eq!(other.texts(), ["[fr] A second text."]);
        world.store = world.store.crash();
        world.outlets = all;
        let handles = world.start();
        settle(&handles).await;
        assert_eq!(world.outlets[0].1.texts(), ["[es] A second text."]);
        let views = handles.outlets.send(Outlets).await.expect("heard");
        assert_eq!(views.len(), 2);
    });
}
