//! What came back and is no translation: asked for again, of others, and never published unseen.

use std::time::Duration;

use babelfeed_actors::domain::{Class, PublicationState, State};
use babelfeed_actors::logic::checks::Checks;
use babelfeed_actors::messages::{NowError, ReportNow, Submission, TranslateNow};
use babelfeed_actors::setup::{Hold, LaneLimits, Same};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, tag};

use crate::helpers::{
    ending, hand_in, hand_in_all, publication, publish, settle, translation, until_publication,
};

const TEXT: &str = "We are going to the beach with our dog and you are not.";
const GOOD: &str = "Vamos a la playa con nuestro perro y vosotros no.";
const REFUSAL: &str = "Lo siento, no puedo ayudar con esa solicitud.";
const NOTED: &str = "Vamos a la playa con nuestro perro y vosotros no.\n\nNota: traducción libre.";

/// A world that checks what its providers say; there are two.
fn checked(world: &mut World) -> (FakeProvider, FakeProvider) {
    world.config.checks = Checks::ALL;
    let second = FakeProvider::new();
    world
        .providers
        .push(("second", second.clone(), LaneLimits::default()));
    (world.providers[0].1.clone(), second)
}

/// A world whose only provider says this, whatever it is asked.
fn that_says(world: &mut World, fault: ProviderFault) -> FakeOutlet {
    world.config.checks = Checks::ALL;
    world.providers[0].1.always(Some(fault));
    let outlet = FakeOutlet::default();
    world.outlets = vec![("es", outlet.clone(), "es")];
    outlet
}

async fn count(handles: &Handles, name: &str) -> u64 {
    let report = handles.report.send(ReportNow).await.expect("heard");
    let service = format!("checks.{name}");
    let found = report.services.iter().find(|it| *it.name == *service);
    found.map_or(0, |it| it.errors)
}

#[test]
fn what_fails_a_check_is_asked_for_again_alone_with_the_reason() {
    for (seed, says, remark, name) in [
        (61, ProviderFault::Echo, "it was the text itself", "echo"),
        (
            62,
            ProviderFault::Says(REFUSAL),
            "it was a refusal",
            "refusal",
        ),
        (
            63,
            ProviderFault::Says(NOTED),
            "a note of the translator",
            "notes",
        ),
        (
            64,
            ProviderFault::Says("Wir gehen mit unserem Hund an den Strand und ihr nicht."),
            "it was in another language (`de`), not in `es`",
            "language",
        ),
        (
            65,
            ProviderFault::Says("Мы идём на пляж."),
            "Cyrillic",
            "script",
        ),
    ] {
        world::run(seed, async |mut world: World| {
            let (first, second) = checked(&mut world);
            first.then(says.clone());
            first.then(ProviderFault::Says(GOOD));
            let handles = world.start();

            let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;

            assert_eq!(finish(&handles, &ids).await, 1, "{says:?}");
            assert_eq!(&*translation(&handles, ids[0]).await.text, GOOD);
            let packs = first.packs();
            assert_eq!((packs.len(), second.n_calls()), (2, 0), "{says:?}");
            let guide = packs[1].guide.clone().expect("it is told why");
            let told = guide.remark.clone().expect("it is told why");
            assert!(told.contains(remark), "{told}");
            assert_eq!(count(&handles, name).await, 1, "{name}");
        });
    }
}

#[test]
fn another_provider_is_asked_before_a_text_is_given_up() {
    world::run(66, async |mut world: World| {
        let (first, second) = checked(&mut world);
        first.always(Some(ProviderFault::Echo));
        second.always(Some(ProviderFault::Says(GOOD)));
        let handles = world.start();

        let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(&*translation(&handles, ids[0]).await.text, GOOD);
        assert_eq!((first.n_calls(), second.n_calls()), (2, 1));
    });
}

#[test]
fn the_least_grave_of_several_doubtful_translations_is_taken() {
    const SHORT: &str = "A la playa.";
    let long = "It says that it is going to be a long and warm day, and that we are all going to \
                the beach with our dog, our bread and our books, while you are not coming with us.";
    world::run(67, async |mut world: World| {
        let (first, second) = checked(&mut world);
        first.always(Some(ProviderFault::Says(SHORT)));
        second.always(Some(ProviderFault::Says(REFUSAL)));
        let handles = world.start();

        let ids = hand_in(&handles, [long.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(&*translation(&handles, ids[0]).await.text, SHORT);
        assert!(second.n_calls() > 0);
    });
}

#[test]
fn what_is_no_translation_fails_where_nobody_would_hold_it() {
    for (seed, says) in [
        (68, ProviderFault::Echo),
        (69, ProviderFault::Says(REFUSAL)),
        (70, ProviderFault::Says(NOTED)),
        (71, ProviderFault::Says("Мы идём на пляж с собакой.")),
    ] {
        world::run(seed, async |mut world: World| {
            let outlet = that_says(&mut world, says.clone());
            let handles = world.start();

            let ids = publish(&handles, [TEXT.to_owned()], "es").await;
            settle(&handles).await;

            assert_eq!(ending(&handles, ids[0]).await, "checks", "{says:?}");
            assert_eq!(outlet.texts(), Vec::<String>::new(), "{says:?}");
            let calls = world.providers[0].1.n_calls();
            assert_eq!(calls, 2, "{says:?}");
        });
    }
}

#[test]
fn what_is_no_translation_is_held_where_a_person_looks() {
    world::run(72, async |mut world: World| {
        let outlet = that_says(&mut world, ProviderFault::Says(REFUSAL));
        world.hold = Hold::Doubtful;
        let handles = world.start();

        let ids = publish(&handles, [TEXT.to_owned()], "es").await;

        until_publication(&handles, ids[0], PublicationState::Held).await;
        let held = publication(&handles, ids[0]).await;
        let why = held.why.as_deref();
        assert_eq!(why, Some("it was a refusal, not a translation"));
        settle(&handles).await;
        assert_eq!(outlet.texts(), Vec::<String>::new());
    });
}

#[test]
fn a_translation_that_lost_a_span_is_held_for_a_person_with_those_that_came_back() {
    world::run(73, async |mut world: World| {
        let says = "Lee ⟦0⟧ y vuelve a casa.";
        let outlet = that_says(&mut world, ProviderFault::Says(says));
        let handles = world.start();
        let text = "Read https://example.org/a and tell @ann to come home.";

        let ids = publish(&handles, [text.to_owned()], "es").await;

        until_publication(&handles, ids[0], PublicationState::Held).await;
        let held = publication(&handles, ids[0]).await;
        let why = held.why.expect("it says why");
        assert!(why.contains("missing: ⟦1⟧"), "{why}");
        let part = &held.publication.parts[0].text;
        assert_eq!(&**part, "Lee https://example.org/a y vuelve a casa.");
        settle(&handles).await;
        assert_eq!(outlet.texts(), Vec::<String>::new());
        assert_eq!(count(&handles, "spans").await, 2);
    });
}

#[test]
fn a_text_that_lost_a_span_and_is_not_published_fails() {
    world::run(74, async |mut world: World| {
        that_says(&mut world, ProviderFault::Unmarked);
        let handles = world.start();

        let text = "Read https://example.org/a and come home.".to_owned();
        let ids = hand_in(&handles, [text], "es").await;

        assert_eq!(finish(&handles, &ids).await, 0);
        assert_eq!(ending(&handles, ids[0]).await, "checks");
    });
}

#[test]
fn what_is_only_too_short_is_published_and_held_where_doubts_are() {
    let text = format!("{TEXT} {TEXT} {TEXT}");
    for (seed, hold, state) in [
        (75, Hold::Never, PublicationState::Published),
        (76, Hold::Doubtful, PublicationState::Held),
    ] {
        world::run(seed, async |mut world: World| {
            that_says(&mut world, ProviderFault::Says("Vamos a la playa."));
            world.hold = hold;
            let handles = world.start();
            let ids = publish(&handles, [text.clone()], "es").await;
            until_publication(&handles, ids[0], state).await;
        });
    }
}

#[test]
fn no_known_translation_is_made_of_what_is_none() {
    world::run(77, async |mut world: World| {
        let outlet = that_says(&mut world, ProviderFault::Says(REFUSAL));
        world.hold = Hold::Doubtful;
        let handles = world.start();
        let provider = world.providers[0].1.clone();

        let first = publish(&handles, [TEXT.to_owned(), TEXT.to_owned()], "es").await;
        finish(&handles, &first).await;
        let asked = provider.n_calls();
        provider.always(Some(ProviderFault::Says(GOOD)));
        let later = publish(&handles, [TEXT.to_owned()], "es").await;
        settle(&handles).await;

        assert_eq!(asked, 4, "each of both asked for itself");
        until_publication(&handles, first[1], PublicationState::Held).await;
        until_publication(&handles, later[0], PublicationState::Published).await;
        assert_eq!(outlet.texts(), [GOOD]);
    });
}

#[test]
fn who_waits_for_a_text_is_told_that_it_failed_its_checks() {
    world::run(78, async |mut world: World| {
        that_says(&mut world, ProviderFault::Echo);
        let handles = world.start();
        let now = TranslateNow {
            texts: vec![TEXT].into(),
            source: Some(tag("en")),
            target: tag("es"),
            deadline: Duration::from_secs(10),
            class: Class::Interactive,
            flow: "requests".into(),
        };
        let answer = handles.translate_now.send(now).await.expect("heard");
        let Err(NowError::Refused { index: 0, failure }) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(failure.kind.name(), "checks");
    });
}

fn in_language(text: &str, source: Option<&str>) -> Submission {
    Submission {
        publish: true,
        source: source.map(tag),
        ..submission(text, "es")
    }
}

#[test]
fn a_post_in_its_outlets_language_is_not_translated() {
    for (seed, same, declared, n_out) in [
        (79, Same::Publish, Some("es-MX"), 1),
        (80, Same::Skip, Some("es-MX"), 0),
        (81, Same::Publish, None, 1),
        (82, Same::Skip, None, 0),
    ] {
        world::run(seed, async |mut world: World| {
            let outlet = that_says(&mut world, ProviderFault::Echo);
            world.rules.same = same;
            let handles = world.start();
            let text = "El gobierno anunció el martes nuevas medidas para ayudar a las familias.";

            let ids = hand_in_all(&handles, vec![in_language(text, declared)]).await;
            settle(&handles).await;

            let view = find(&handles, ids[0]).await;
            assert_eq!(view.record.lifecycle.state(), State::Completed);
            assert_eq!(view.record.lifecycle.attempts(), 0);
            assert_eq!(outlet.texts(), vec![text.to_owned(); n_out]);
            assert_eq!(world.providers[0].1.n_calls(), 0);
        });
    }
}

#[test]
fn a_post_of_emoji_alone_is_published_though_posts_in_the_language_are_skipped() {
    world::run(83, async |mut world: World| {
        let outlet = that_says(&mut world, ProviderFault::Echo);
        world.rules.same = Same::Skip;
        let handles = world.start();
        hand_in_all(&handles, vec![in_language("🎉🎉", Some("en"))]).await;
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["🎉🎉"]);
    });
}
