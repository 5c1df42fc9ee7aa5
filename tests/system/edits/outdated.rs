//! What is not done any more with posts that were edited, deleted or forgotten since, or went elsewhere.

use std::time::Duration;

use babelfeed_actors::domain::{Post, State, TaskId};
use babelfeed_actors::messages::{ChangeError, List, PublicationError, Retry, RetryPublication};
use babelfeed_actors::ports::{Outdated, ProviderError, TaskStore};
use babelfeed_actors::setup::OnDelete;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::ProviderFault;
use babelfeed_actors::testkit::world::{self, World};

use super::{ALL, rejected, show, watched};
use crate::helpers::{pass, poll_and_settle, publications, settle, show_answer};

#[test]
fn an_edit_of_what_was_forgotten_is_not_published_again() {
    world::run(830, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(world.store.prune(world.clock.wall(), 9).await, Ok(1));
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        assert_eq!(world.providers[0].1.n_texts(), 1);
        source.lose_post("a");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(outlet.texts(), ["[es] A text with a typo."]);
        assert_eq!(world.store.withdrawn(None, 9).await, Ok(Vec::new()));
    });
}

#[test]
fn an_outlet_that_was_added_later_gets_no_edit_as_a_new_post() {
    world::run(831, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        show(&source, "a", "A text with a typo.");
        poll_and_settle(&world.start()).await;
        let (later, french) = (FakeOutlet::default(), FakeOutlet::default());
        later.set_abilities(ALL);
        french.set_abilities(ALL);
        world.outlets.push(("later", later.clone(), "es"));
        world.outlets.push(("fr", french.clone(), "fr"));
        world.store = world.store.crash();
        show(&source, "a", "A text without a typo.");
        source.show_post(Post {
            parent: Some("a".to_owned()),
            ..Post::new("news".into(), "b", "An answer.")
        });
        let handles = world.start();
        poll_and_settle(&handles).await;
        let edited = ["[es] A text without a typo.", "[es] An answer."];
        assert_eq!(outlet.texts(), edited);
        assert_eq!(later.texts(), ["[es] An answer."]);
        assert_eq!(french.texts(), ["[fr] An answer."]);
    });
}

/// The tasks of all posts, the oldest first.
async fn tasks(handles: &Handles, state: State) -> Vec<TaskId> {
    let list = List {
        state: Some(state),
        after: None,
        limit: 100,
    };
    let listed = handles.list.send(list).await.expect("heard").expect("read");
    let views = listed.tasks.into_iter();
    views.map(|view| view.record.task.id).collect()
}

#[test]
fn what_was_edited_since_is_not_tried_again() {
    world::run(832, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        let ignoring = FakeOutlet::default();
        world.outlets.push(("ignoring", ignoring.clone(), "es"));
        for outlet in [&outlet, &ignoring] {
            outlet.fail_next(OutletFault::Error(rejected()));
        }
        show(&source, "a", "A text with a typo.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        let refused = publications(&handles).await;
        assert_eq!(refused.len(), 2);
        show(&source, "a", "A text without a typo.");
        poll_and_settle(&handles).await;
        let edited = tasks(&handles, State::Completed).await[1].request();
        for record in refused {
            let id = record.publication.id;
            let retried = handles.retry_publication.send(RetryPublication(id)).await;
            let retried = retried.expect("heard").map(drop);
            if record.publication.outlet.as_str() == "ignoring" {
                assert_eq!(retried, Ok(()), "nothing else of the post is there");
            } else {
                let edited = PublicationError::Outdated(Outdated::Edited(edited));
                assert_eq!(retried, Err(edited));
            }
        }
        settle(&handles).await;
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
        assert_eq!(ignoring.texts(), ["[es] A text with a typo."]);
    });
}

#[test]
fn a_failed_task_of_what_was_edited_or_deleted_since_is_not_tried_again() {
    world::run(833, async |mut world: World| {
        let (source, outlet) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.providers[0]
            .1
            .always(Some(ProviderFault::Error(ProviderError::Rejected {
                detail: "no".into(),
            })));
        for id in ["edited", "deleted"] {
            show(&source, id, &format!("A text that is {id}."));
        }
        let handles = world.start();
        poll_and_settle(&handles).await;
        let failed = tasks(&handles, State::Failed).await;
        assert_eq!(failed.len(), 2);
        world.providers[0].1.always(None);
        show(&source, "edited", "A text without a typo.");
        source.lose_post("deleted");
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        let edited = tasks(&handles, State::Completed).await[0].request();
        let expected = [Outdated::Edited(edited), Outdated::Deleted];
        for (id, outdated) in failed.into_iter().zip(expected) {
            let retried = handles.retry.send(Retry(id)).await.expect("heard");
            assert_eq!(retried.err(), Some(ChangeError::Outdated(outdated)));
        }
        assert_eq!(outlet.texts(), ["[es] A text without a typo."]);
    });
}

#[test]
fn what_stands_at_another_account_is_neither_changed_nor_answered() {
    world::run(834, async |mut world: World| {
        let (source, test) = watched(&mut world);
        world.rules.on_delete = OnDelete::Delete;
        world.place = Some(1);
        show(&source, "edited", "A text with a typo.");
        show(&source, "deleted", "A text.");
        poll_and_settle(&world.start()).await;
        let before = test.out();
        let real = FakeOutlet::default();
        real.set_abilities(ALL);
        world.outlets = vec![("es", real.clone(), "es")];
        world.place = Some(2);
        world.store = world.store.crash();
        show(&source, "edited", "A text without a typo.");
        source.lose_post("deleted");
        show_answer(&source, "answer", Some("edited"), "An answer.");
        let handles = world.start();
        poll_and_settle(&handles).await;
        pass(Duration::from_secs(60)).await;
        assert_eq!(test.out(), before);
        assert_eq!(
            (real.n_edits(), real.texts()),
            (0, vec!["[es] An answer.".to_owned()])
        );
        assert_eq!(real.out()[0].thread, None);
        show(&source, "answer", "An answer without a typo.");
        poll_and_settle(&handles).await;
        assert_eq!((real.n_edits(), real.texts().len()), (1, 1));
    });
}
