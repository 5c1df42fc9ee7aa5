//! What providers bill: never more than the settings allow, whatever is called and however it ends.

use std::time::Duration;

use babelfeed_actors::domain::{Class, PublicationState, TaskId};
use babelfeed_actors::messages::{Lanes, Submission};
use babelfeed_actors::ports::{BatchStore as _, ProviderError};
use babelfeed_actors::setup::LaneLimits;
use babelfeed_actors::system::Handles;
use babelfeed_actors::testkit::batch::{CreateFault, Ending, FakeBatchProvider};
use babelfeed_actors::testkit::outlet::{FakeOutlet, OutletFault};
use babelfeed_actors::testkit::provider::{FakeProvider, ProviderFault};
use babelfeed_actors::testkit::world::{self, World, find, finish, submission, until};

use crate::helpers::{
    assert_out_once, ending, hand_in, hand_in_all, pass, publication, publish, settle, texts,
};

/// Dollars for a million tokens, in and out.
const PRICE: (f64, f64) = (500.0, 1_500.0);
/// A budget that a few dozen of the calls below use up.
const USD_PER_DAY: f64 = 20.0;
const TEXTS: usize = 400;

/// Texts one of which costs up to sixty times as much as another.
fn unequal_texts() -> impl Iterator<Item = String> {
    (0..TEXTS).map(|n| {
        let words = "some more words of a text ".repeat(n * 7 % 40 + 1);
        format!("The text with number {n}: {words}")
    })
}

fn with_budget(world: &mut World, latency: Duration) -> FakeProvider {
    let provider = FakeProvider::with_latency(latency);
    let limits = LaneLimits {
        usd_per_day: Some(USD_PER_DAY),
        ..LaneLimits::default()
    };
    world.providers = vec![("fake", provider.clone(), limits)];
    world.price = PRICE;
    world.config.concurrency = None;
    world.config.max_batch_size = 3;
    provider
}

/// A provider that takes fewer tokens in a day than a long text needs.
fn with_tokens_a_day(world: &mut World) -> FakeProvider {
    let provider = FakeProvider::new();
    let limits = LaneLimits {
        tpd: Some(20_000.0),
        ..LaneLimits::default()
    };
    world.providers = vec![("fake", provider.clone(), limits)];
    world.price = (1.0, 1.0);
    provider
}

/// Asserts that a text which needs more than a whole limit is refused, and the next one is not.
async fn assert_only_short_ones_are_taken(provider: &FakeProvider, handles: &Handles) {
    let long = "some more words of a text ".repeat(3_000);
    let ids = hand_in(handles, [long, "A short one.".to_owned()], "es").await;
    pass(Duration::from_secs(60)).await;
    assert_eq!(ending(handles, ids[0]).await, "too_large");
    assert_eq!(ending(handles, ids[1]).await, "Completed");
    assert_eq!(provider.n_texts(), 1);
}

async fn usd_today(handles: &Handles) -> f64 {
    let lanes = handles.lanes.send(Lanes).await.expect("heard");
    lanes.iter().map(|lane| lane.usd_today).sum()
}

#[test]
fn many_calls_at_once_keep_within_a_budget_of_which_nothing_is_known_yet() {
    world::run(1_501, async |mut world: World| {
        let provider = with_budget(&mut world, Duration::from_secs(2));
        let handles = world.start();
        let ids = hand_in(&handles, unequal_texts(), "es").await;
        pass(Duration::from_secs(600)).await;
        let billed = provider.billed(PRICE);
        assert!(billed <= USD_PER_DAY, "{billed}");
        assert!(billed >= 0.9 * USD_PER_DAY, "{billed}");
        assert!((usd_today(&handles).await - billed).abs() < 1e-6);
        assert!(provider.most_in_flight() > 5);

        // What is left goes on the days after, each within its budget.
        let n_days = provider_days(&provider, &handles, &ids).await;
        assert!(n_days >= 2, "{n_days}");
    });
}

#[test]
fn a_text_that_costs_more_than_a_whole_budget_is_refused_and_holds_nobody_up() {
    world::run(1_520, async |mut world: World| {
        let provider = with_budget(&mut world, Duration::from_millis(100));
        let handles = world.start();
        assert_only_short_ones_are_taken(&provider, &handles).await;
        assert!(provider.billed(PRICE) <= USD_PER_DAY);
    });
}

#[test]
fn a_text_that_needs_more_tokens_than_a_whole_day_has_is_refused_and_holds_nobody_up() {
    world::run(1_530, async |mut world: World| {
        let provider = with_tokens_a_day(&mut world);
        let handles = world.start();
        assert_only_short_ones_are_taken(&provider, &handles).await;
    });
}

#[test]
fn texts_that_need_more_tokens_together_than_a_whole_day_has_go_apart() {
    world::run(1_531, async |mut world: World| {
        let provider = with_tokens_a_day(&mut world);
        world.config.max_batch_size = 20;
        let handles = world.start();
        let long = texts(20).map(|text| format!("{text} {}", "some more words ".repeat(200)));
        hand_in(&handles, long, "es").await;
        pass(Duration::from_secs(3_600)).await;
        assert!(provider.n_texts() >= 5, "{}", provider.n_texts());
    });
}

#[test]
fn a_publication_that_costs_more_than_a_whole_budget_is_refused_and_holds_nobody_up() {
    world::run(1_532, async |mut world: World| {
        let outlet = FakeOutlet::default();
        outlet.charge_for_links(0.2);
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.outlet_limits = LaneLimits {
            usd_per_day: Some(0.1),
            usd_per_month: Some(5.0),
            ..LaneLimits::default()
        };
        let handles = world.start();
        let posts = ["See https://example.org/a", "No link"].map(str::to_owned);
        let ids = publish(&handles, posts, "es").await;
        settle(&handles).await;
        let record = publication(&handles, ids[0]).await;
        assert_eq!(record.state, PublicationState::Refused);
        assert!(record.why.is_some_and(|why| why.contains("whole budget")));
        assert_out_once(&outlet, ["[es] No link".to_owned()]);
    });
}

/// Lets days pass until all is translated, and holds each to the budget; answers how many.
async fn provider_days(provider: &FakeProvider, handles: &Handles, ids: &[TaskId]) -> u32 {
    let mut billed = provider.billed(PRICE);
    for day in 1..40 {
        pass(Duration::from_secs(86_400)).await;
        let until_now = provider.billed(PRICE);
        // Looked at in the middle of days, so no more than two budgets lie between.
        assert!(until_now - billed <= 2.0 * USD_PER_DAY);
        billed = until_now;
        if provider.n_texts() >= ids.len() {
            assert_eq!(finish(handles, ids).await, ids.len());
            return day;
        }
    }
    panic!("{} of {} texts were sent", provider.n_texts(), ids.len());
}

#[test]
fn a_part_that_was_answered_is_paid_although_the_rest_was_refused() {
    world::run(1_521, async |mut world: World| {
        let provider = with_budget(&mut world, Duration::from_secs(1));
        provider.then(ProviderFault::Halfway(ProviderError::RateLimited {
            wait: Some(Duration::from_secs(60)),
            detail: "enough for now".to_owned(),
        }));
        let handles = world.start();
        let ids = hand_in(&handles, texts(2), "es").await;
        pass(Duration::from_secs(10)).await;
        let part = usd_today(&handles).await;
        assert_eq!(provider.n_calls(), 1);
        assert!(part > 0.0, "{part}");

        assert_eq!(finish(&handles, &ids).await, 2);
        assert!(usd_today(&handles).await > part);
    });
}

#[test]
fn calls_that_were_sent_and_brought_nothing_count_as_they_were_reserved() {
    world::run(1_502, async |mut world: World| {
        let provider = with_budget(&mut world, Duration::from_secs(1));
        for _ in 0..10 {
            provider.then(ProviderFault::Hang);
            provider.then_well();
            provider.then(ProviderFault::Panic);
        }
        let handles = world.start();
        hand_in(&handles, unequal_texts(), "es").await;
        pass(Duration::from_secs(7_200)).await;
        let (billed, counted) = (provider.billed(PRICE), usd_today(&handles).await);
        assert!(
            billed <= counted && counted <= USD_PER_DAY,
            "{billed} {counted}"
        );
        assert!(counted >= 0.9 * USD_PER_DAY, "{counted}");
    });
}

#[test]
fn a_budget_holds_although_the_process_is_killed_again_and_again() {
    for wait in [300, 1_700, 2_100, 5_000] {
        let mut provider = FakeProvider::new();
        let mut n_lives = 0;
        world::run_lives(
            1_503,
            |world| provider = with_budget(world, Duration::from_secs(2)),
            async |world| {
                let handles = world.start();
                n_lives += 1;
                if n_lives == 1 {
                    hand_in(&handles, unequal_texts(), "es").await;
                }
                pass(Duration::from_millis(wait)).await;
                (n_lives == 12).then_some(())
            },
        );
        let billed = provider.billed(PRICE);
        assert!(billed <= USD_PER_DAY, "{billed} with {wait}");
        assert!(billed >= 0.25 * USD_PER_DAY, "{billed} with {wait}");
    }
}

/// Has the provider take jobs, which are over at the third look.
fn with_jobs(world: &mut World) -> (FakeBatchProvider, FakeProvider) {
    let provider = with_budget(world, Duration::ZERO);
    let batch = FakeBatchProvider::over_after(3);
    world.batch = Some(batch.clone());
    world.config.job_timeout = Duration::from_secs(60);
    world.config.job_poll = Duration::from_secs(10);
    (batch, provider)
}

/// Hands in texts that can wait for hours.
async fn hand_in_low(handles: &Handles, n: usize) -> Vec<TaskId> {
    let texts = unequal_texts().take(n).map(|text| Submission {
        class: Class::Low,
        ..submission(&text, "es")
    });
    hand_in_all(handles, texts.collect()).await
}

async fn until_closed(world: &World) {
    until("every job is closed", async || {
        world.store.jobs().await.is_ok_and(|jobs| jobs.is_empty())
    })
    .await;
}

#[test]
fn jobs_keep_within_the_budget_too_and_the_rest_waits_for_tomorrow() {
    world::run(1_504, async |mut world: World| {
        let (batch, provider) = with_jobs(&mut world);
        world.config.job_poll = Duration::from_secs(300);
        let bill = || batch.billed(PRICE) + provider.billed(PRICE);
        world.limit(LaneLimits {
            usd_per_day: Some(USD_PER_DAY / 4.0),
            ..LaneLimits::default()
        });
        let handles = world.start();
        let ids = hand_in_low(&handles, TEXTS).await;
        pass(Duration::from_secs(7_200)).await;
        let billed = bill();
        assert!(billed <= USD_PER_DAY / 4.0, "{billed}");
        assert!(billed >= USD_PER_DAY / 8.0, "{billed}");
        assert!((usd_today(&handles).await - billed).abs() < 1e-6);
        assert!(batch.n_jobs() > 1, "{:?}", batch.sizes());
        assert_eq!(provider.n_calls(), 0);

        for day in 2..60 {
            pass(Duration::from_secs(86_400)).await;
            assert!(bill() <= f64::from(day) * USD_PER_DAY / 4.0);
        }
        assert!(bill() > 2.0 * billed);
        assert_eq!(finish(&handles, &ids).await, TEXTS);
        assert_eq!(provider.n_calls(), 0, "however many days they waited");
        let last = find(&handles, ids[TEXTS - 1]).await.record;
        assert_eq!(last.lifecycle.attempts(), 1);
    });
}

#[test]
fn a_job_that_waited_for_money_for_days_has_as_long_as_any_other() {
    world::run(1_524, async |mut world: World| {
        let (batch, provider) = with_jobs(&mut world);
        // Each is over after twenty hours.
        world.config.job_poll = Duration::from_secs(3_600);
        batch.set_looks(20);
        world.limit(LaneLimits {
            usd_per_day: Some(USD_PER_DAY / 4.0),
            ..LaneLimits::default()
        });
        let handles = world.start();
        let ids = hand_in_low(&handles, 100).await;
        let mut n_days = 0;
        while batch.sizes().iter().sum::<usize>() < 100 {
            pass(Duration::from_secs(86_400)).await;
            n_days += 1;
            assert!(n_days < 60, "{:?}", batch.sizes());
        }
        pass(Duration::from_secs(86_400)).await;

        assert_eq!(finish(&handles, &ids).await, 100);

        assert!(n_days >= 4, "{n_days}");
        assert_eq!(provider.n_calls(), 0);
    });
}

#[test]
fn what_a_job_costs_is_counted_wherever_the_process_dies() {
    let seconds = (0..26).map(|n| n * 5);
    let millis = seconds.map(|seconds| seconds * 1_000);
    for wait in millis.chain([59_990, 60_000, 60_001, 60_010, 60_100, 60_200]) {
        let mut batch = FakeBatchProvider::default();
        let mut n_lives = 0;
        let counted = world::run_lives(
            1_505,
            |world| batch = with_jobs(world).0,
            async |world| {
                let handles = world.start();
                n_lives += 1;
                if n_lives == 1 {
                    hand_in_low(&handles, 8).await;
                    pass(Duration::from_millis(wait)).await;
                    return None;
                }
                pass(Duration::from_secs(300)).await;
                until_closed(world).await;
                Some(usd_today(&handles).await)
            },
        );
        assert_eq!(batch.n_jobs(), 1, "killed after {wait} ms");
        let billed = batch.billed(PRICE);
        // What was reserved is at most some three times what it comes to.
        assert!(
            billed <= counted + 1e-9 && counted <= 5.0 * billed,
            "killed after {wait} ms: {counted} counted, {billed} billed"
        );
    }
}

#[test]
fn less_is_reserved_for_a_job_once_it_is_known_what_the_one_before_it_cost() {
    world::run(1_522, async |mut world: World| {
        let (batch, _) = with_jobs(&mut world);
        let handles = world.start();
        let mut reserved = Vec::new();
        for n in 0..2 {
            let before = usd_today(&handles).await;
            let all = texts(8 * (n + 1)).skip(8 * n);
            let low = all.map(|text| Submission {
                class: Class::Low,
                ..submission(&text, "es")
            });
            let ids = hand_in_all(&handles, low.collect()).await;
            until("the job is made", async || batch.n_jobs() > n).await;
            reserved.push(usd_today(&handles).await - before);
            assert_eq!(finish(&handles, &ids).await, 8);
            until_closed(&world).await;
        }
        assert!(reserved[1] < 0.8 * reserved[0], "{reserved:?}");
    });
}

#[test]
fn a_job_that_is_not_taken_costs_nothing() {
    let overloaded = ProviderError::Transient {
        detail: "as told".to_owned(),
        wait: None,
    };
    let refused = ProviderError::Invalid {
        detail: "no jobs".to_owned(),
    };
    for (error, n_times) in [(refused, 1), (overloaded, 100)] {
        world::run(1_506, async |mut world: World| {
            let (batch, provider) = with_jobs(&mut world);
            for _ in 0..n_times {
                batch.then(CreateFault::Error(error.clone()));
            }
            let handles = world.start();
            let ids = hand_in_low(&handles, 8).await;
            assert_eq!(finish(&handles, &ids).await, 8);
            let (billed, counted) = (provider.billed(PRICE), usd_today(&handles).await);
            assert_eq!(batch.n_jobs(), 0);
            assert!(
                (counted - billed).abs() < 1e-6,
                "{counted} counted, {billed} billed, after {error:?}"
            );
        });
    }
}

#[test]
fn a_job_that_waited_for_money_is_not_given_up_at_its_first_refusal() {
    world::run(1_523, async |mut world: World| {
        let (batch, provider) = with_jobs(&mut world);
        world.limit(LaneLimits {
            usd_per_day: Some(USD_PER_DAY / 4.0),
            ..LaneLimits::default()
        });
        let handles = world.start();
        hand_in_low(&handles, TEXTS).await;
        pass(Duration::from_secs(7_200)).await;
        let n_jobs = batch.n_jobs();
        for _ in 0..3 {
            batch.then(CreateFault::Error(ProviderError::RateLimited {
                wait: Some(Duration::from_secs(30)),
                detail: "too many jobs".to_owned(),
            }));
        }

        pass(Duration::from_secs(86_400)).await;

        assert!(batch.n_jobs() > n_jobs, "{n_jobs}");
        assert_eq!(provider.n_calls(), 0);
    });
}

/// What counts of a month that began with a job of eight texts, and what was billed in it, once
/// `trouble` has come over the job and all is translated.
fn month_with_a_job(trouble: impl AsyncFnOnce(&FakeBatchProvider)) -> (f64, f64) {
    world::run(1_525, async |mut world: World| {
        let (batch, provider) = with_jobs(&mut world);
        world.limit(LaneLimits {
            usd_per_month: Some(1_000.0),
            ..LaneLimits::default()
        });
        let handles = world.start();
        let ids = hand_in_low(&handles, 8).await;
        until("the job is made", async || batch.n_jobs() == 1).await;
        trouble(&batch).await;
        assert_eq!(finish(&handles, &ids).await, 8);
        until_closed(&world).await;
        let lanes = handles.lanes.send(Lanes).await.expect("heard");
        let mut windows = lanes.iter().flat_map(|lane| &lane.windows);
        let month = windows.find(|window| (window.unit, window.per) == ("US dollars", "month"));
        let counted = month.expect("it is limited").used;
        (counted, batch.billed(PRICE) + provider.billed(PRICE))
    })
}

#[test]
fn what_a_job_did_without_saying_what_it_used_counts_as_it_was_reserved() {
    let refused = async |batch: &FakeBatchProvider| batch.end(Ending::FirstRefused);
    let (counted, billed) = month_with_a_job(refused);
    assert!(counted >= billed, "{counted} counted, {billed} billed");
    assert!(
        counted <= 2.0 * billed,
        "{counted} counted, {billed} billed"
    );

    let (counted, billed) = month_with_a_job(async |batch| batch.forget_jobs());
    assert!(counted >= billed, "{counted} counted, {billed} billed");

    let (counted, billed) = month_with_a_job(async |batch| {
        batch.set_looks(usize::MAX);
        pass(Duration::from_secs(73 * 3_600)).await;
    });
    assert!(counted >= billed, "{counted} counted, {billed} billed");
}

#[test]
fn what_a_job_did_not_do_costs_nothing() {
    let (counted, billed) = month_with_a_job(async |batch| batch.end(Ending::Expired(1)));
    assert!(
        counted < billed,
        "{counted} counted, {billed} as if all had been answered"
    );
}

#[test]
fn what_reading_back_costs_counts_in_the_lane_and_nothing_is_posted_beyond_its_budget() {
    world::run(1_506, async |mut world: World| {
        let outlet = FakeOutlet::default();
        outlet.charge_for_reading(0.75);
        world.outlets = vec![("es", outlet.clone(), "es")];
        world.outlet_limits = LaneLimits {
            usd_per_day: Some(1.0),
            ..LaneLimits::default()
        };
        let handles = world.start();
        outlet.fail_next(OutletFault::StoredAndLost);
        publish(&handles, texts(1), "es").await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(outlet.n_read_backs(), 1);
        assert!((usd_today(&handles).await - 0.75).abs() < 1e-9);
        outlet.fail_next(OutletFault::StoredAndLost);
        publish(&handles, texts(2).skip(1), "es").await;
        pass(Duration::from_secs(600)).await;
        assert!((usd_today(&handles).await - 1.5).abs() < 1e-9);
        publish(&handles, texts(3).skip(2), "es").await;
        pass(Duration::from_secs(600)).await;
        assert_eq!(outlet.out().len(), 2);
        pass(Duration::from_secs(86_400)).await;
        assert_eq!(outlet.out().len(), 3);
    });
}

#[test]
fn what_a_model_thinks_is_kept_within_a_budget_too() {
    world::run(1_509, async |mut world: World| {
        let provider = with_budget(&mut world, Duration::from_secs(2));
        world.config.max_batch_size = 1;
        world.price = (PRICE.0 / 10.0, PRICE.1 / 10.0);
        provider.thinks(3_000, 4_096);
        let handles = world.start();
        // What it thinks is known by its first answer.
        let first = hand_in(&handles, ["A first text.".to_owned()], "es").await;
        assert_eq!(finish(&handles, &first).await, 1);
        hand_in(&handles, texts(TEXTS), "es").await;
        pass(Duration::from_secs(600)).await;
        let billed = provider.billed(world.price);
        assert!(billed <= USD_PER_DAY, "{billed}");
        assert!(billed >= 0.9 * USD_PER_DAY, "{billed}");
    });
}
