//! How the posts of one source keep their order at each outlet, however their translations come.

use std::collections::BTreeMap;
use std::time::Duration;

use babelfeed_actors::domain::{Post, State};
use babelfeed_actors::messages::{Cancel, List, Review};
use babelfeed_actors::ports::Abilities;
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, finish, tag};

use crate::helpers::{depth, hand_in, pass, poll, poll_and_settle, publish, settle};

const HOUR: Duration = Duration::from_secs(3_600);

/// A source, an outlet, and a provider that makes a call for each text, so many at once.
fn watched(world: &mut World) -> (FakeSource, FakeOutlet, FakeProvider) {
    let (source, outlet) = (FakeSource::new("news"), FakeOutlet::default());
    world.sources = vec![("news", source.clone())];
    world.outlets = vec![("es", outlet.clone(), "es")];
    world.config.max_batch_size = 1;
    let provider = world.providers[0].1.clone();
    (source, outlet, provider)
}

fn show(source: &FakeSource, numbers: std::ops::Range<usize>) {
    for number in numbers {
        source.show(text(number));
    }
}

fn text(number: usize) -> String {
    format!("Post number {number} of many.")
}

fn translated(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
    let numbers = numbers.into_iter();
    numbers
        .map(|number| format!("[es] {}", text(number)))
        .collect()
}

/// Lets coming calls take so many seconds each.
fn take(provider: &FakeProvider, seconds: &[u64]) {
    for seconds in seconds {
        provider.then(ProviderFault::Delay(Duration::from_secs(*seconds)));
    }
}

#[test]
fn translations_that_come_in_any_order_go_out_in_that_of_their_source_at_each_outlet() {
    for seed in 900..905 {
        world::run(seed, async |mut world: World| {
            let (source, outlet, provider) = watched(&mut world);
            let (second, french) = (FakeOutlet::default(), FakeOutlet::default());
            second.set_batch(1);
            world.outlets.push(("es-2", second.clone(), "es"));
            world.outlets.push(("fr", french.clone(), "fr"));
            let mut chance = fastrand::Rng::with_seed(seed);
            let waits: Vec<u64> = (0..120).map(|_| chance.u64(0..30)).collect();
            take(&provider, &waits);
            show(&source, 0..60);
            let handles = world.start();
            poll_and_settle(&handles).await;
            assert_eq!(outlet.texts(), translated(0..60), "{seed}");
            assert_eq!(second.texts(), outlet.texts(), "{seed}");
            let french: Vec<String> = french.texts();
            let wanted = (0..60).map(|number| format!("[fr] {}", text(number)));
            assert_eq!(french, Vec::from_iter(wanted), "{seed}");
        });
    }
}

#[test]
fn what_is_not_translated_holds_nothing_up_once_that_is_known() {
    world::run(910, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        world.config.max_attempts = 1;
        world.rules.in_order = HOUR;
        world.config.timeout = Duration::from_secs(30);
        provider.then(ProviderFault::Hang);
        show(&source, 0..3);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(25)).await;
        assert_eq!(outlet.texts(), translated([]));
        pass(Duration::from_secs(10)).await;
        assert_eq!(depth(&handles).await.failed, 1);
        assert_eq!(outlet.texts(), translated(1..3));
    });
}

#[test]
fn what_a_person_cancels_holds_nothing_up() {
    world::run(911, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        world.rules.in_order = HOUR;
        take(&provider, &[50]);
        show(&source, 0..3);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(10)).await;
        assert_eq!(outlet.texts(), translated([]));
        let list = List {
            state: Some(State::Processing),
            after: None,
            limit: 1,
        };
        let listed = handles.list.send(list).await.expect("heard").expect("read");
        let cancel = Cancel(listed.tasks[0].record.task.id);
        let cancelled = handles.cancel.send(cancel).await.expect("heard");
        cancelled.expect("cancelled");
        pass(Duration::from_secs(1)).await;
        assert_eq!(outlet.texts(), translated(1..3));
    });
}

#[test]
fn what_is_held_and_what_answers_it_hold_nothing_up() {
    world::run(912, async |mut world: World| {
        let (source, outlet, _) = watched(&mut world);
        outlet.set_abilities(Abilities {
            replies: true,
            ..Abilities::default()
        });
        world.rules.in_order = HOUR;
        world.providers[0].1 = FakeProvider::with_latency(Duration::from_secs(10));
        let handles = world.start();
        let known = hand_in(&handles, ["An answer.".to_owned(), text(3)], "es").await;
        assert_eq!(finish(&handles, &known).await, 2);
        // What lacks its link is held, however often it is asked for; the others are known.
        let says = ProviderFault::Says("Lee ahora.");
        world.providers[0].1.always(Some(says));
        let texts = ["Read https://example.org/a now.", "An answer.", &text(3)];
        for (number, text) in texts.into_iter().enumerate() {
            source.show_post(Post {
                parent: (number == 1).then(|| "0".to_owned()),
                language: Some(tag("en")),
                ..Post::new("news".into(), number.to_string(), text)
            });
        }
        poll(&handles).await;
        pass(Duration::from_secs(8)).await;
        assert_eq!(outlet.texts(), translated([]));
        pass(Duration::from_secs(120)).await;
        let held = handles.review.send(Review { limit: 10 }).await;
        assert_eq!(held.expect("heard").expect("read").len(), 1);
        assert_eq!(outlet.texts(), translated([3]));
    });
}

#[test]
fn what_takes_longer_than_is_waited_is_waited_for_once_and_comes_late() {
    world::run(913, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        world.config.timeout = HOUR;
        world.rules.in_order = Duration::from_secs(60);
        take(&provider, &[1_800]);
        show(&source, 0..3);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(55)).await;
        assert_eq!(outlet.texts(), translated([]));
        pass(Duration::from_secs(10)).await;
        assert_eq!(outlet.texts(), translated(1..3));
        show(&source, 3..5);
        // What comes later keeps its own order, and does not wait for what is passed over.
        take(&provider, &[20]);
        poll(&handles).await;
        pass(Duration::from_secs(15)).await;
        assert_eq!(outlet.texts(), translated(1..3));
        pass(Duration::from_secs(10)).await;
        assert_eq!(outlet.texts(), translated(1..5));
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated([1, 2, 3, 4, 0]));
    });
}

#[test]
fn nothing_waits_where_that_is_off_nor_what_clients_hand_in() {
    world::run(914, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        take(&provider, &[30]);
        let handles = world.start();
        publish(&handles, [text(0), text(1)], "es").await;
        pass(Duration::from_secs(5)).await;
        assert_eq!(outlet.texts(), translated([1]));
        settle(&handles).await;
        drop(source);
    });
    world::run(915, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        world.rules.in_order = Duration::ZERO;
        take(&provider, &[30]);
        show(&source, 0..2);
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(5)).await;
        assert_eq!(outlet.texts(), translated([1]));
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated([1, 0]));
    });
}

/// Shows a post that answers another of the same source.
fn show_answer(source: &FakeSource, number: usize, parent: usize) {
    source.show_post(Post {
        parent: Some(parent.to_string()),
        ..Post::new("news".into(), number.to_string(), text(number))
    });
}

fn answering(world: &mut World) -> (FakeSource, FakeOutlet) {
    let (source, outlet, _) = watched(world);
    outlet.set_batch(1);
    outlet.set_abilities(Abilities {
        replies: true,
        ..Abilities::default()
    });
    (source, outlet)
}

#[test]
fn answers_keep_their_places_at_an_outlet_that_takes_longer_than_is_waited() {
    world::run(918, async |mut world: World| {
        let (source, outlet) = answering(&mut world);
        outlet.delay(Duration::from_secs(20));
        world.rules.in_order = Duration::from_secs(30);
        for number in 0..40 {
            match number % 5 {
                0 => source.show_post(Post::new("news".into(), number.to_string(), text(number))),
                _ => show_answer(&source, number, number - 1),
            }
        }
        let handles = world.start();
        poll_and_settle(&handles).await;
        assert_eq!(outlet.texts(), translated(0..40));
    });
}

#[test]
fn posts_that_answer_each_other_hold_the_others_up_no_longer_than_is_waited() {
    world::run(919, async |mut world: World| {
        let (source, outlet) = answering(&mut world);
        world.rules.in_order = Duration::from_secs(60);
        show_answer(&source, 0, 1);
        show_answer(&source, 1, 0);
        source.show_post(Post::new("news".into(), "2", text(2)));
        let handles = world.start();
        poll(&handles).await;
        pass(Duration::from_secs(50)).await;
        assert_eq!(outlet.texts(), translated([]));
        pass(Duration::from_secs(20)).await;
        assert_eq!(outlet.texts(), translated([2]));
    });
}

#[test]
fn sources_do_not_wait_for_each_other() {
    world::run(916, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        let other = FakeSource::new("blog");
        world.sources.push(("blog", other.clone()));
        world.rules.in_order = HOUR;
        take(&provider, &[50]);
        show(&source, 0..2);
        let handles = world.start();
        poll(&handles).await;
        other.show(text(2));
        poll(&handles).await;
        pass(Duration::from_secs(5)).await;
        assert_eq!(outlet.texts(), translated([2]));
        settle(&handles).await;
        assert_eq!(outlet.texts(), translated([2, 0, 1]));
    });
}

/// How long it takes until so many posts are out, the calls of which take up to a second.
fn backlog(n_posts: usize, in_order: Duration) -> (Duration, Vec<String>) {
    world::run(917, async |mut world: World| {
        let (source, outlet, provider) = watched(&mut world);
        world.rules.in_order = in_order;
        let mut chance = fastrand::Rng::with_seed(917);
        for _ in 0..n_posts {
            let wait = Duration::from_millis(chance.u64(0..1_000));
            provider.then(ProviderFault::Delay(wait));
        }
        for number in 0..n_posts {
            // Where there are many pairs of languages, each gets little room in memory.
            let second = char::from(b'a' + u8::try_from(number % 26).expect("a letter"));
            let language = match number {
                0..52 => format!("q{}{second}", ["a", "b"][number / 26]),
                _ => "en".to_owned(),
            };
            source.show_post(Post {
                language: Some(tag(&language)),
                ..Post::new("news".into(), number.to_string(), text(number))
            });
        }
        let handles = world.start();
        let begun = world.clock.now();
        poll_and_settle(&handles).await;
        (world.clock.now().since(begun), outlet.texts())
    })
}

#[test]
fn a_backlog_that_memory_does_not_hold_goes_out_in_order_and_takes_no_longer() {
    const POSTS: usize = 2_500;
    let (ordered, texts) = backlog(POSTS, HOUR);
    assert_eq!(texts, translated(0..POSTS));
    let (free, texts) = backlog(POSTS, Duration::ZERO);
    assert_ne!(texts, translated(0..POSTS));
    let more = ordered.saturating_sub(free);
    assert!(
        more < Duration::from_secs(5),
        "{ordered:?} where {free:?} would do"
    );
}

/// The order of each source's posts that are out, each once.
fn by_source(outlet: &FakeOutlet) -> BTreeMap<String, Vec<usize>> {
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for text in outlet.texts() {
        let mut words = text.trim_start_matches("[es] ").split(' ');
        let source = words.next().expect("a source").to_owned();
        let number = words.next().and_then(|word| word.parse().ok());
        numbers
            .entry(source)
            .or_default()
            .push(number.expect("a number"));
    }
    numbers
}

/// Kills the system again and again while posts of two sources come, in several languages, some
/// of them answers, and while their translations come as they like.
fn storm(seed: u64) {
    const LIVES: usize = 12;
    println!("seed {seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    let outlet = FakeOutlet::default();
    outlet.set_quiet(Duration::from_secs(2));
    outlet.delay(Duration::from_millis(40));
    outlet.set_batch(1);
    outlet.set_abilities(Abilities {
        replies: true,
        ..Abilities::default()
    });
    let provider = FakeProvider::new();
    let sources = [FakeSource::new("news"), FakeSource::new("blog")];
    let (mut lives, mut n_shown) = (0, 0);
    let cache_entries = chance.u64(1..100);
    let prepare = |world: &mut World| {
        world.providers[0].1 = provider.clone();
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.sources = vec![("news", sources[0].clone()), ("blog", sources[1].clone())];
        world.config.max_batch_size = 1;
        world.config.cache_entries = cache_entries;
        world.rules.in_order = HOUR;
    };
    world::run_lives(seed, prepare, async |world: &World| {
        lives += 1;
        let handles = world.start();
        if lives > LIVES {
            // Less than what is early waits, so nothing waited for what has ended.
            pass(HOUR / 2).await;
            let out = by_source(&outlet);
            let n_out: usize = out.values().map(Vec::len).sum();
            // Whose call ran at three deaths is poison, and what answers it is held, with what
            // answers that.
            let depth = depth(&handles).await;
            let missing = usize::try_from(depth.failed + depth.held + depth.publishing);
            let missing = missing.expect("few");
            assert_eq!(n_out + missing, n_shown, "{out:?}");
            assert!(missing * 5 < n_shown, "{depth:?} of {n_shown}: {out:?}");
            for numbers in out.values() {
                let is_rising = numbers.windows(2).all(|two| two[0] < two[1]);
                assert!(is_rising, "{numbers:?}");
            }
            assert_eq!(outlet.n_doubles(), 0);
            return Some(());
        }
        for (name, source) in &world.sources {
            for _ in 0..chance.usize(1..8) {
                let language = [Some("en"), Some("fr"), None][chance.usize(0..3)];
                let answers = n_shown > 0 && chance.usize(0..4) == 0;
                source.show_post(Post {
                    language: language.map(tag),
                    parent: answers.then(|| (n_shown - 1).to_string()),
                    ..Post::new(
                        (*name).into(),
                        n_shown.to_string(),
                        format!("{name} {n_shown} is a post."),
                    )
                });
                n_shown += 1;
                let wait = Duration::from_millis(chance.u64(0..600));
                provider.then(ProviderFault::Delay(wait));
            }
        }
        if chance.bool() {
            let faults = [OutletFault::StoredAndLost, OutletFault::LostAndSilent];
            outlet.fail_next(faults[chance.usize(0..2)].clone());
        }
        poll(&handles).await;
        pass(Duration::from_millis(chance.u64(1..3_000))).await;
        None
    });
}

#[test]
fn order_outlives_a_storm_of_crashes() {
    for seed in 920..932 {
        storm(seed);
    }
}
