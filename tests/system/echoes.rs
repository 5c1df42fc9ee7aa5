//! A source that reads where an outlet publishes does not take what is published there.

use std::time::Duration;

use babelfeed_actors::domain::Post;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::{pass, poll, settle};

fn on_one_network(world: &mut World) -> (FakeSource, FakeOutlet) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    world.network = Some("a network");
    (source, outlet)
}

fn post(id: &str, text: &str) -> Post {
    Post::new("news".into(), id, text)
}

#[test]
fn what_is_out_is_known_by_its_id_also_in_another_life() {
    let source = FakeSource::new("news");
    let outlet = FakeOutlet::default();
    let mut n_lives = 0;
    let prepare = |world: &mut World| {
        world.sources = vec![("news", source.clone())];
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.network = Some("a network");
    };
    world::run_lives(91, prepare, async |world: &World| {
        n_lives += 1;
        let handles = world.start();
        if n_lives == 1 {
            source.show_post(post("one", "A first text."));
        } else {
            let out = outlet.out()[0].id.to_string();
            source.show_post(post(&out, "[es] A first text."));
            source.show_post(post("two", "A second text."));
        }
        poll(&handles).await;
        pass(Duration::from_secs(600)).await;
        settle(&handles).await;
        (n_lives == 2).then_some(())
    });
    assert_eq!(
        outlet.texts(),
        ["[es] A first text.", "[es] A second text."]
    );
}

#[test]
fn what_may_be_out_is_known_by_its_words() {
    world::run(92, async |mut world: World| {
        let (source, outlet) = on_one_network(&mut world);
        outlet.set_quiet(Duration::from_secs(600));
        outlet.fail_next(OutletFault::StoredAndLost);
        source.show_post(post("one", "A first text."));
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.texts(), ["[es] A first text."]);
        source.show_post(post("an id that is not known", "[es]  A first text."));
        source.show_post(post("two", "A second text."));
        poll(&handles).await;
        pass(Duration::from_secs(1_800)).await;
        settle(&handles).await;
        assert_eq!(
            outlet.texts(),
            ["[es] A first text.", "[es] A second text."]
        );
    });
}
