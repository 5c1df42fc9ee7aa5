//! Terms, forbidden words and tone: asked for, looked for in the result, and never asked for ever.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{PublicationState, Term};
use babelfeed_actors::failpoints::{arm, is_armed};
use babelfeed_actors::logic::glossary::{Glossary, Rules};
use babelfeed_actors::logic::known::Quality;
use babelfeed_actors::messages::Approve;
use babelfeed_actors::setup::{Hold, LaneLimits};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, finish, tag};

use crate::helpers::{hand_in, pass, publication, publish, translation, until_publication};

const TEXT: &str = "A computer of my own.";
const GOOD: &str = "Una computadora propia.";

/// A glossary for Spanish with one term and one forbidden word.
fn glossary(computer: &str) -> Arc<Glossary> {
    let rules = Rules {
        source: None,
        target: tag("es"),
        terms: vec![Term {
            source: "computer".into(),
            target: computer.into(),
        }],
        forbidden: vec!["ordenador".into()],
        tone: Some("informal".into()),
    };
    Arc::new(Glossary::new(&[], &[rules]))
}

fn guided(world: &mut World) -> FakeProvider {
    world.config.glossary = glossary("computadora");
    world.providers[0].1.clone()
}

#[test]
fn a_translation_against_the_glossary_is_asked_for_again_alone_with_the_reason() {
    world::run(1, async |mut world: World| {
        let provider = guided(&mut world);
        provider.then(ProviderFault::Says("Un ordenador propio."));
        provider.then(ProviderFault::Says(GOOD));
        let handles = world.start();

        let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(&*translation(&handles, ids[0]).await.text, GOOD);
        let packs = provider.packs();
        assert_eq!(packs.len(), 2);
        let guides: Vec<_> = packs.iter().filter_map(|pack| pack.guide.clone()).collect();
        assert_eq!(guides[0].terms.len(), 1);
        assert_eq!(guides[0].tone.as_deref(), Some("informal"));
        assert_eq!(guides[0].remark, None);
        assert_eq!(packs[1].items.len(), 1);
        assert_eq!(
            guides[1].remark.as_deref(),
            Some("`computer` was wanted as `computadora`, `ordenador` was not wanted")
        );
    });
}

#[test]
fn only_the_text_that_misses_its_term_goes_again() {
    world::run(2, async |mut world: World| {
        let provider = guided(&mut world);
        let handles = world.start();
        let others = ["Nothing of it.", "Nor of that."].map(str::to_owned);

        let ids = hand_in(&handles, others.into_iter().chain([TEXT.to_owned()]), "es").await;

        assert_eq!(finish(&handles, &ids).await, 3);
        let again: Vec<usize> = provider.packs()[1..]
            .iter()
            .map(|it| it.items.len())
            .collect();
        assert!(again.iter().all(|n_items| *n_items == 1), "{again:?}");
        assert_eq!(provider.n_texts(), 4);
    });
}

#[test]
fn another_provider_is_asked_before_a_doubtful_translation_is_accepted() {
    world::run(3, async |mut world: World| {
        let first = guided(&mut world);
        let second = FakeProvider::new();
        world
            .providers
            .push(("second", second.clone(), LaneLimits::default()));
        first.always(Some(ProviderFault::Says("Un PC.")));
        second.always(Some(ProviderFault::Says("Un PC propio.")));
        let handles = world.start();

        let ids = hand_in(&handles, [TEXT.to_owned(), TEXT.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 2);
        let calls = (first.n_calls(), second.n_calls());
        assert!(calls.0 <= 2 && calls.1 <= 2 && calls.1 > 0, "{calls:?}");
        assert_eq!(calls.0 + calls.1, 4, "two of each");
        let later = hand_in(&handles, [TEXT.to_owned()], "es").await;
        assert_eq!(finish(&handles, &later).await, 1);
        assert_eq!(first.n_calls() + second.n_calls(), 4, "it is known now");
    });
}

#[test]
fn the_better_of_two_providers_is_heard() {
    world::run(4, async |mut world: World| {
        let first = guided(&mut world);
        let second = FakeProvider::new();
        world
            .providers
            .push(("second", second.clone(), LaneLimits::default()));
        first.always(Some(ProviderFault::Says("Un PC.")));
        second.always(Some(ProviderFault::Says(GOOD)));
        let handles = world.start();

        let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(&*translation(&handles, ids[0]).await.text, GOOD);
    });
}

#[test]
fn an_engine_that_takes_no_words_is_asked_once() {
    world::run(5, async |mut world: World| {
        let provider = guided(&mut world);
        world.quality = Quality::Engine;
        let handles = world.start();

        let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;

        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(provider.n_calls(), 1);
    });
}

#[test]
fn an_outlet_that_holds_what_is_doubtful_holds_it_with_the_reason() {
    world::run(6, async |mut world: World| {
        guided(&mut world);
        world.hold = Hold::Doubtful;
        world.outlets.push(("es", FakeOutlet::default(), "es"));
        let handles = world.start();
        let texts = [TEXT, "Nothing of it."].map(str::to_owned);

        let ids = publish(&handles, texts, "es").await;

        until_publication(&handles, ids[0], PublicationState::Held).await;
        let held = publication(&handles, ids[0]).await;
        assert_eq!(
            held.why.as_deref(),
            Some("`computer` was wanted as `computadora`")
        );
        until_publication(&handles, ids[1], PublicationState::Published).await;
    });
}

#[test]
fn what_was_held_as_doubtful_is_held_again_wherever_it_comes_from() {
    world::run(12, async |mut world: World| {
        let provider = guided(&mut world);
        world.hold = Hold::Doubtful;
        world.outlets.push(("es", FakeOutlet::default(), "es"));
        let handles = world.start();

        let together = publish(&handles, [TEXT, TEXT].map(str::to_owned), "es").await;
        for id in together {
            until_publication(&handles, id, PublicationState::Held).await;
        }
        let n_calls = provider.n_calls();
        let later = publish(&handles, [TEXT.to_owned()], "es").await;
        until_publication(&handles, later[0], PublicationState::Held).await;
        assert!(provider.n_calls() > n_calls, "it is not known");
    });
}

#[test]
fn another_glossary_asks_anew_and_the_same_one_does_not() {
    let mut life = 0;
    world::run_lives(
        7,
        |world| {
            guided(world).always(Some(ProviderFault::Says("Una computadora, un equipo.")));
        },
        async |world: &World| {
            life += 1;
            let mut config = world.config.clone();
            config.glossary = glossary(if life < 3 { "computadora" } else { "equipo" });
            let handles = world.start_with(config);
            let ids = hand_in(&handles, [TEXT.to_owned()], "es").await;
            assert_eq!(finish(&handles, &ids).await, 1);
            crate::helpers::pass(std::time::Duration::from_secs(5)).await;
            let expected = if life < 3 { 1 } else { 2 };
            assert_eq!(world.providers[0].1.n_calls(), expected, "life {life}");
            (life == 3).then_some(())
        },
    );
}

/// Lets the publication of a text out with another text.
async fn correct(handles: &Handles, text: &str, corrected: &str) {
    let ids = publish(handles, [text.to_owned()], "es").await;
    assert_eq!(finish(handles, &ids).await, 1);
    let held = publication(handles, ids[0]).await;
    let approve = Approve {
        id: held.publication.id,
        text: Some(corrected.into()),
    };
    let approved = handles.approve.send(approve).await.expect("heard");
    assert!(approved.is_ok(), "{approved:?}");
}

#[test]
fn a_word_that_a_person_corrected_twice_is_a_term_from_then_on_and_after_restarts() {
    let provider = FakeProvider::new();
    let outlet = FakeOutlet::default();
    let mut lives = 0;
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.hold = Hold::Always;
    };
    let terms = || {
        let packs = provider.packs();
        let last = packs.last().and_then(|pack| pack.guide.clone());
        let terms = last.map(|guide| guide.terms.clone()).unwrap_or_default();
        terms
            .iter()
            .map(|term| (term.source.to_string(), term.target.to_string()))
            .collect::<Vec<_>>()
    };
    world::run_lives(470, prepare, async |world: &World| {
        lives += 1;
        if lives == 3 {
            // What was corrected is read once more, if that failed.
            arm("publisher.recall", 1);
        }
        let handles = world.start();
        let says = |text| provider.then(ProviderFault::Says(text));
        if lives > 1 {
            pass(Duration::from_secs(1)).await;
            assert!(!is_armed("publisher.recall"));
            let text = format!("Whose computer is it in life {lives}?");
            let ids = hand_in(&handles, [text], "es").await;
            assert_eq!(finish(&handles, &ids).await, 1);
            let learned = ("computer".to_owned(), "computadora".to_owned());
            assert_eq!(terms(), [learned]);
            return (lives == 3).then_some(());
        }
        says("Este ordenador no arranca.");
        correct(
            &handles,
            "The computer does not start.",
            "Este computadora no arranca.",
        )
        .await;
        says("Mi ordenador nuevo llega hoy.");
        correct(
            &handles,
            "My new computer arrives today.",
            "Mi computadora nuevo llega hoy.",
        )
        .await;
        assert_eq!(terms(), [], "what was asked before the second correction");
        pass(Duration::from_secs(1)).await;
        let ids = hand_in(&handles, ["A computer is a tool.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &ids).await, 1);
        assert_eq!(terms().len(), 1);
        None
    });
}
