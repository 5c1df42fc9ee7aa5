//! Posts that are media without words: they go out with them where an outlet shows any.

use std::time::Duration;

use babelfeed_actors::domain::{Media, Post, PublicationState};
use babelfeed_actors::ports::{Abilities, PublicationRecord};
use babelfeed_actors::testkit::outlet::FakeOutlet;
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, poll_and_settle, publications, settle};

/// A source, an outlet that shows media, and one that shows words alone.
fn watched(world: &mut World) -> (FakeSource, FakeOutlet, FakeOutlet) {
    let source = FakeSource::new("news");
    let (shows, words) = (FakeOutlet::default(), FakeOutlet::default());
    shows.set_abilities(Abilities {
        media: true,
        ..Abilities::default()
    });
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![
        ("shows", shows.clone(), "es"),
        ("words", words.clone(), "es"),
    ];
    (source, shows, words)
}

fn show(source: &FakeSource, id: &str, text: &str, alts: &[Option<&str>]) {
    let media = alts.iter().map(|alt| Media {
        url: "https://a.example/1.png".to_owned(),
        mime: None,
        alt: alt.map(str::to_owned),
    });
    source.show_post(Post {
        media: media.collect(),
        ..Post::new("news".into(), id, text)
    });
}

fn alts(outlet: &FakeOutlet) -> Vec<Option<String>> {
    let out = outlet.out();
    let attached = out.iter().filter_map(|out| out.attached.clone());
    attached
        .flat_map(|attached| attached.media.clone())
        .map(|media| media.alt)
        .collect()
}

#[test]
fn media_without_words_go_out_where_they_are_shown_with_their_words_translated() {
    world::run(951, async |mut world: World| {
        let (source, shows, words) = watched(&mut world);
        world.providers[0]
            .1
            .then(ProviderFault::Says("⟦0⟧\nUn barco"));
        show(&source, "a", "", &[None, Some("A boat")]);
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(shows.texts(), [""]);
        assert_eq!(alts(&shows), [None, Some("Un barco".to_owned())]);
        assert_eq!(words.texts(), [] as [&str; 0]);
    });
}

#[test]
fn media_without_any_words_ask_no_provider() {
    world::run(952, async |mut world: World| {
        let (source, shows, _) = watched(&mut world);
        show(&source, "a", " ", &[None]);
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!((shows.out().len(), alts(&shows)), (1, vec![None]));
        assert_eq!(world.providers[0].1.n_calls(), 0);
    });
}

#[test]
fn an_outlet_without_media_passes_a_post_without_words_over_and_says_why() {
    world::run(953, async |mut world: World| {
        let (source, shows, words) = watched(&mut world);
        show(&source, "a", "", &[None]);
        show(&source, "b", "Some words.", &[None]);
        show(&source, "c", "", &[]);
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(words.texts(), ["[es] Some words."]);
        assert_eq!(shows.texts(), ["", "[es] Some words."]);
        let passed_over = publications(&handles).await;
        let passed_over: Vec<&PublicationRecord> = passed_over
            .iter()
            .filter(|it| it.state == PublicationState::Refused)
            .collect();
        assert_eq!(passed_over.len(), 1, "{passed_over:?}");
        let why = passed_over[0].why.as_deref().unwrap_or_default();
        assert!(why.contains("media without words"), "{why}");
    });
}

#[test]
fn words_before_the_mark_of_a_text_that_is_not_there_are_no_text() {
    world::run(954, async |mut world: World| {
        let (source, shows, _) = watched(&mut world);
        let says = |text| ProviderFault::Says(text);
        world.providers[0].1.then(says("Un barco ⟦0⟧"));
        world.providers[0].1.then(says("⟦0⟧\nUn barco"));
        show(&source, "a", "", &[Some("A boat")]);
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        settle(&handles).await;
        assert_eq!(shows.texts(), [""]);
        assert_eq!(alts(&shows), [Some("Un barco".to_owned())]);
    });
}
