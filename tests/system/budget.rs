//! A translation that is too long is asked for once more with what it may measure, before it is
//! split or cut.

use std::sync::Arc;

use babelfeed_actors::domain::{Budget, Counting, TaskId};
use babelfeed_actors::logic::compose::{Long, Style};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::known::Quality;
use babelfeed_actors::messages::Submission;
use babelfeed_actors::ports::ProviderError;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, submission};

use crate::helpers::{hand_in_all, publication, settle, translation};

const TEXT: &str = "See https://example.org/a for more of it.";
/// 62 characters, of which the address counts 23, where 50 fit.
const LONG: &str = "Véase ⟦0⟧ para saber más de todo esto hoy.";
const LONG_WHOLE: &str = "Véase https://example.org/a para saber más de todo esto hoy.";
const SHORT: &str = "Ver ⟦0⟧ para más.";
const SHORT_WHOLE: &str = "Ver https://example.org/a para más.";
const LIMIT: Limit = Limit::Mastodon { max: 50, url: 23 };

fn with_outlet(world: &mut World, limit: Limit) -> (FakeProvider, FakeOutlet) {
    let outlet = FakeOutlet::default();
    outlet.set_limit(limit);
    world.outlets.push(("es", outlet.clone(), "es"));
    let provider = world.providers[0].1.clone();
    provider.then(ProviderFault::Says(LONG));
    (provider, outlet)
}

fn styled(long: Long) -> Arc<Style> {
    Arc::new(Style {
        long,
        ..Style::default()
    })
}

async fn publish(handles: &Handles, texts: &[&str]) -> Vec<TaskId> {
    let published = texts.iter().map(|text| Submission {
        publish: true,
        url: Some("https://example.org/post".into()),
        ..submission(text, "es")
    });
    let ids = hand_in_all(handles, published.collect()).await;
    settle(handles).await;
    ids
}

#[test]
fn a_translation_slightly_too_long_is_asked_for_with_the_exact_budget() {
    world::run(901, async |mut world: World| {
        let (provider, outlet) = with_outlet(&mut world, LIMIT);
        provider.then(ProviderFault::Says(SHORT));
        let handles = world.start();

        let ids = publish(&handles, &[TEXT]).await;

        assert_eq!(outlet.texts(), [SHORT_WHOLE]);
        let packs = provider.packs();
        assert_eq!(packs.len(), 2);
        let asked = packs[1].guide.as_ref().and_then(|guide| guide.budget);
        let expected = Budget {
            most: 27,
            had: LIMIT.measure(&LONG.replace("⟦0⟧", "")),
            counting: Counting::Single,
        };
        assert_eq!(asked, Some(expected));
        let made = translation(&handles, ids[0]).await;
        assert_eq!(&*made.text, LONG_WHOLE, "the task has the whole of it");
        let first = LONG.len().div_ceil(4) as u64;
        assert!(made.usage.tokens_out > first, "both calls are counted");
    });
}

#[test]
fn a_text_with_a_separator_of_its_own_is_asked_for_whole() {
    world::run(914, async |mut world: World| {
        let outlet = FakeOutlet::default();
        outlet.set_limit(LIMIT);
        world.outlets.push(("es", outlet.clone(), "es"));
        for says in [
            "Véase ⟦0⟧ ⟦1⟧ para saber más de todo esto.",
            "Ver ⟦0⟧ ⟦1⟧ para más.",
        ] {
            world.providers[0].1.then(ProviderFault::Says(says));
        }
        let handles = world.start();

        publish(
            &handles,
            &["See https://example.org/a \u{1e} for more of it."],
        )
        .await;

        let short = "Ver https://example.org/a \u{1e} para más.";
        assert_eq!(outlet.texts(), [short]);
    });
}

#[test]
fn an_outlet_with_room_gets_the_whole() {
    world::run(902, async |mut world: World| {
        let (provider, narrow) = with_outlet(&mut world, LIMIT);
        provider.then(ProviderFault::Says(SHORT));
        let wide = FakeOutlet::default();
        world.outlets.push(("wide", wide.clone(), "es"));
        let handles = world.start();

        publish(&handles, &[TEXT]).await;

        assert_eq!(narrow.texts(), [SHORT_WHOLE]);
        assert_eq!(wide.texts(), [LONG_WHOLE]);
    });
}

#[test]
fn what_is_still_too_long_is_split_and_not_asked_for_a_third_time() {
    for (seed, answer) in [
        (903, ProviderFault::Says(LONG)),
        (904, ProviderFault::Says("Ver esto.")),
        (905, ProviderFault::Missing(0)),
        (
            906,
            ProviderFault::Error(ProviderError::Rejected {
                detail: "no".into(),
            }),
        ),
    ] {
        world::run(seed, async |mut world: World| {
            let (provider, _) = with_outlet(&mut world, LIMIT);
            provider.then(answer.clone());
            let handles = world.start();

            let ids = publish(&handles, &[TEXT]).await;

            let parts = publication(&handles, ids[0]).await.publication.parts.len();
            assert_eq!((parts, provider.n_calls()), (2, 2), "{answer:?}");
            assert_eq!(&*translation(&handles, ids[0]).await.text, LONG_WHOLE);
        });
    }
}

#[test]
fn engines_and_texts_much_too_long_are_not_asked_again() {
    for (seed, quality, limit) in [
        (907, Quality::Engine, LIMIT),
        (908, Quality::Model, Limit::Mastodon { max: 40, url: 23 }),
    ] {
        world::run(seed, async |mut world: World| {
            let (provider, _) = with_outlet(&mut world, limit);
            world.quality = quality;
            let handles = world.start();
            let ids = publish(&handles, &[TEXT]).await;
            let parts = publication(&handles, ids[0]).await.publication.parts.len();
            assert_eq!((parts, provider.n_calls()), (2, 1));
        });
    }
}

#[test]
fn the_shorter_translation_is_known_for_the_next_equal_text() {
    world::run(909, async |mut world: World| {
        let (provider, outlet) = with_outlet(&mut world, LIMIT);
        provider.then(ProviderFault::Says(SHORT));
        let handles = world.start();

        publish(&handles, &[TEXT]).await;
        publish(&handles, &[TEXT]).await;

        assert_eq!(outlet.texts(), [SHORT_WHOLE, SHORT_WHOLE]);
        assert_eq!(provider.n_calls(), 2);
    });
}

#[test]
fn an_outlet_that_shortens_asks_first_and_one_that_links_does_not() {
    for (seed, long, n_calls) in [(910, Long::Shorten, 2), (911, Long::Link, 1)] {
        world::run(seed, async |mut world: World| {
            let (provider, outlet) = with_outlet(&mut world, LIMIT);
            world.rules.style = styled(long);
            provider.then(ProviderFault::Says(SHORT));
            let handles = world.start();

            publish(&handles, &[TEXT]).await;

            let texts = outlet.texts();
            assert_eq!((texts.len(), provider.n_calls()), (1, n_calls), "{long:?}");
            assert!(LIMIT.fits(&texts[0]), "{texts:?}");
            match long {
                Long::Link => assert!(texts[0].ends_with("https://example.org/post"), "{texts:?}"),
                _ => assert_eq!(texts[0], SHORT_WHOLE),
            }
        });
    }
}

#[test]
fn what_stands_below_a_text_takes_of_its_budget() {
    const MAX: usize = 64;
    world::run(913, async |mut world: World| {
        let limit = LIMIT.with_max(MAX);
        let (provider, outlet) = with_outlet(&mut world, limit);
        world.rules.style = Arc::new(Style {
            mark: Some("(auto)".into()),
            ..Style::default()
        });
        provider.then(ProviderFault::Says(SHORT));
        let handles = world.start();

        publish(&handles, &[TEXT]).await;

        assert!(limit.fits(LONG_WHOLE), "it would fit alone");
        let texts = outlet.texts();
        assert_eq!(texts.len(), 1, "{texts:?}");
        let below = limit.measure(&texts[0]) - limit.measure(SHORT_WHOLE);
        let asked = provider.packs().pop().and_then(|pack| pack.guide.clone());
        let budget = asked.and_then(|guide| guide.budget).expect("a budget");
        assert_eq!(budget.most, MAX - 23 - below);
    });
}

#[test]
fn what_cannot_be_said_shorter_is_cut_where_it_is_to_be_short() {
    world::run(912, async |mut world: World| {
        let (provider, outlet) = with_outlet(&mut world, LIMIT);
        world.rules.style = styled(Long::Shorten);
        provider.then(ProviderFault::Says(LONG));
        let handles = world.start();

        publish(&handles, &[TEXT]).await;

        let texts = outlet.texts();
        assert_eq!(texts.len(), 1);
        assert!(
            texts[0].ends_with('…') && LIMIT.fits(&texts[0]),
            "{texts:?}"
        );
    });
}
