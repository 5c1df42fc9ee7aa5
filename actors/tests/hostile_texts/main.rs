//! That posts of any kind come through the whole system and hostile providers with their spans,
//! and fit where they are published, by counts of the test's own.

mod counts;
mod judge;
mod lives;
mod outlet;
mod posts;
mod provider;
mod words;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use lives::{Ends, live};

const N_POSTS: usize = 100_000;
/// Posts that one system publishes; what comes of them is judged, and another one begins.
const N_POSTS_EACH: usize = 2_000;

/// The seed that `BABELFEED_TEST_SEED` gives, or always the same.
fn seed() -> u64 {
    let given = std::env::var("BABELFEED_TEST_SEED").ok();
    given.map_or(42, |seed| seed.parse().expect("a seed is a number"))
}

/// What comes of so many lives, of which several run at once.
fn live_all(seed: u64, n_lives: u64, n_posts_each: usize) -> Ends {
    let next = AtomicU64::new(0);
    let ends = Mutex::new(Ends::default());
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..n_threads {
            scope.spawn(|| {
                loop {
                    let life = next.fetch_add(1, Ordering::Relaxed);
                    if life >= n_lives {
                        break;
                    }
                    let end = live(seed, life, n_posts_each);
                    ends.lock().expect("nobody failed").add(end);
                }
            });
        }
    });
    ends.into_inner().expect("nobody failed")
}

#[test]
fn no_span_is_lost_in_a_hundred_thousand_posts_through_hostile_providers() {
    let n_lives = (N_POSTS / N_POSTS_EACH) as u64;
    let seed = seed();
    println!("BABELFEED_TEST_SEED={seed}");
    let ends = live_all(seed, n_lives, N_POSTS_EACH);
    println!("{ends}");
    // Every post ended once, since each was looked for and its end judged.
    let n_ended = ends.n_published + ends.n_skipped + sum(&ends.held) + sum(&ends.failed);
    assert_eq!(n_ended, N_POSTS);
    assert!(ends.n_published > N_POSTS * 8 / 10, "{ends}");
    assert!(ends.n_mistaken < N_POSTS / 200, "{ends}");
    assert!(ends.n_threads > N_POSTS / 50, "{ends}");
}

#[test]
fn a_seed_tells_all_that_is_published_and_how_every_post_ends() {
    let ends = [(); 2].map(|()| live_all(seed(), 4, 500).to_string());
    assert_eq!(ends[0], ends[1]);
}

fn sum(counts: &BTreeMap<&'static str, usize>) -> usize {
    counts.values().sum()
}
