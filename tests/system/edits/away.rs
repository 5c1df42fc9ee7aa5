//! What becomes of posts that are edited or deleted while an outlet is not in the settings.

use std::time::Duration;

use babelfeed_actors::domain::{OutletName, PublicationState};
use babelfeed_actors::messages::{Approve, Review};
use babelfeed_actors::ports::{OutletError, ProviderError, PublicationRecord, TaskStore};
use babelfeed_actors::setup::{Hold, OnDelete, Pauses};
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use super::{ALL, show, watched};
use crate::helpers::{pass, poll, publications};

/// A world of three lives: in the second, the Spanish outlet is missing.
struct Lives {
    world: World,
    source: FakeSource,
    spanish: FakeOutlet,
    french: FakeOutlet,
}

impl Lives {
    fn new(mut world: World) -> Self {
        let (source, spanish) = watched(&mut world);
        let french = FakeOutlet::default();
        french.set_abilities(ALL);
        world.rules.on_delete = OnDelete::Delete;
        world.rules.in_order = Duration::ZERO;
        Self {
            world,
            source,
            spanish,
            french,
        }
    }

    /// Lives for some minutes with these outlets.
    async fn live(&mut self, outlets: &[&'static str]) -> Handles {
        let both = [
            ("es", self.spanish.clone(), "es"),
            ("fr", self.french.clone(), "fr"),
        ];
        let chosen = both.into_iter().filter(|(name, ..)| outlets.contains(name));
        self.world.outlets = chosen.collect();
        self.world.store = self.world.store.crash();
        let handles = self.world.start();
        poll(&handles).await;
        pass(Duration::from_secs(120)).await;
        handles
    }

    /// Lives with all outlets, of which nothing goes out at the Spanish one.
    async fn live_paused(&mut self) {
        self.world.pauses.outlets = vec![OutletName::from("es")];
        self.live(&["es", "fr"]).await;
        self.world.pauses = Pauses::default();
    }
}

async fn at_spanish(handles: &Handles) -> Vec<PublicationRecord> {
    let all = publications(handles).await.into_iter();
    let there = all.filter(|it| it.publication.outlet.as_str() == "es");
    there.collect()
}

#[test]
fn what_is_deleted_while_its_outlet_is_missing_never_comes_out_there() {
    for (hold, on_delete) in [
        (Hold::Never, OnDelete::Delete),
        (Hold::Never, OnDelete::Leave),
        (Hold::Always, OnDelete::Delete),
    ] {
        world::run(841, async |world: World| {
            let mut lives = Lives::new(world);
            lives.world.hold = hold;
            show(&lives.source, "a", "A text that is regretted.");
            show(&lives.source, "b", "A text.");
            lives.live_paused().await;
            lives.source.lose_post("a");
            lives.world.rules.on_delete = on_delete;
            lives.live(&["fr"]).await;
            lives.world.rules.on_delete = OnDelete::Delete;
            let handles = lives.live(&["es", "fr"]).await;
            let expected = match hold {
                Hold::Always => [PublicationState::Deleted, PublicationState::Held],
                _ => [PublicationState::Deleted, PublicationState::Published],
            };
            let there = at_spanish(&handles).await.into_iter();
            assert!(there.map(|it| it.state).eq(expected), "{hold:?}");
            let n_out = usize::from(hold == Hold::Never);
            assert_eq!(lives.spanish.n_calls(), n_out, "{on_delete:?}");
            let withdrawn = lives.world.store.withdrawn(None, 9).await;
            assert_eq!(withdrawn, Ok(Vec::new()));
        });
    }
}

#[test]
fn what_is_deleted_while_nobody_takes_its_language_never_comes_out() {
    world::run(842, async |world: World| {
        let mut lives = Lives::new(world);
        let provider = lives.world.providers[0].1.clone();
        provider.always(Some(ProviderFault::Error(ProviderError::Unreachable {
            detail: "no connection".into(),
        })));
        show(&lives.source, "a", "A text that is regretted.");
        lives.live(&["es", "fr"]).await;
        lives.source.lose_post("a");
        lives.live(&["fr"]).await;
        provider.always(None);
        let handles = lives.live(&["es", "fr"]).await;
        pass(Duration::from_secs(3_600)).await;
        assert_eq!(lives.spanish.n_calls(), 0);
        let there = at_spanish(&handles).await.into_iter();
        assert!(there.map(|it| it.state).eq([PublicationState::Deleted]));
    });
}

#[test]
fn what_is_edited_while_its_outlet_is_missing_waits_there_for_a_person() {
    world::run(843, async |world: World| {
        let mut lives = Lives::new(world);
        show(&lives.source, "a", "A text with a typo.");
        show(&lives.source, "b", "A text.");
        lives.live_paused().await;
        show(&lives.source, "a", "A text without a typo.");
        lives.live(&["fr"]).await;
        assert_eq!(lives.french.n_edits(), 1);
        let handles = lives.live(&["es", "fr"]).await;
        assert_eq!(lives.spanish.texts(), ["[es] A text."]);
        let held = handles.review.send(Review { limit: 9 }).await;
        let held = held.expect("heard").expect("read");
        assert_eq!(held.len(), 1);
        assert_eq!(held[0].publication.post, "a".into());
        let approve = Approve {
            id: held[0].publication.id,
            text: Some("Un texto sin error.".into()),
        };
        // A person has decided, whatever the outlet answers at first.
        let busy = OutletError::Busy {
            wait: Some(Duration::from_secs(5)),
            detail: "HTTP 429".into(),
        };
        lives.spanish.fail_next(OutletFault::Error(busy));
        let approved = handles.approve.send(approve).await.expect("heard");
        assert!(approved.is_ok());
        pass(Duration::from_secs(60)).await;
        assert_eq!(
            lives.spanish.texts(),
            ["[es] A text.", "Un texto sin error."]
        );
    });
}
