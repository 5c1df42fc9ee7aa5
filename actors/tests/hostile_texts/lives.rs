//! One system with hostile providers and five networks, from its first post to the last judgement.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Media, Origin, Post as Shown, PublicationState, TaskId};
use babelfeed_actors::logic::checks::Checks;
use babelfeed_actors::logic::compose::{Link, Style};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::hex::hex;
use babelfeed_actors::logic::known::Quality;
use babelfeed_actors::logic::spans::{Numbers, protect_with};
use babelfeed_actors::messages::{Depth, Lanes, Outlets, PollNow};
use babelfeed_actors::ports::{Ended, PublicationRecord, TaskRecord, TaskStore as _};
use babelfeed_actors::setup::{
    Hold, LaneLimits, OutletRules, OutletSetup, ProviderSetup, Same, Setup, SourceRules,
    SourceSetup, SystemConfig,
};
use babelfeed_actors::system::{self, Handles};
use babelfeed_actors::testkit::source::FakeSource;
use babelfeed_actors::testkit::world::{self, World, tag};
use sha2::{Digest as _, Sha256};

use crate::counts::Network;
use crate::judge::{Seat, judge};
use crate::outlet::{FakeNetwork, Out};
use crate::posts::{Post, Wanted, post};
use crate::provider::{Faults, HostileProvider};
use crate::words::{TARGETS, Voice};

/// What became of posts.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) n_published: usize,
    n_as_they_were: usize,
    pub(crate) n_threads: usize,
    n_parts: usize,
    pub(crate) n_skipped: usize,
    /// Skipped, because words of many languages were taken for the outlet's.
    pub(crate) n_mistaken: usize,
    pub(crate) held: BTreeMap<&'static str, usize>,
    pub(crate) failed: BTreeMap<&'static str, usize>,
    faults: Faults,
    /// What stands for all that went out, in its order, and how each post ended, by life.
    digests: BTreeMap<u64, [u8; 32]>,
}

impl Ends {
    /// Counts these as well.
    pub(crate) fn add(&mut self, other: Self) {
        self.n_published += other.n_published;
        self.n_as_they_were += other.n_as_they_were;
        self.n_threads += other.n_threads;
        self.n_parts += other.n_parts;
        self.n_skipped += other.n_skipped;
        self.n_mistaken += other.n_mistaken;
        for (own, counts) in [
            (&mut self.held, other.held),
            (&mut self.failed, other.failed),
            (&mut self.faults, other.faults),
        ] {
            for (name, count) in counts {
                *own.entry(name).or_default() += count;
            }
        }
        self.digests.extend(other.digests);
    }
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "published {} in {} parts, {} as they were, {} as threads; skipped {}, {} of them by mistake",
            self.n_published,
            self.n_parts,
            self.n_as_they_were,
            self.n_threads,
            self.n_skipped,
            self.n_mistaken
        )?;
        writeln!(f, "held {:?}", self.held)?;
        writeln!(f, "failed {:?}", self.failed)?;
        writeln!(f, "faults {:?}", self.faults)?;
        let whole = self
            .digests
            .values()
            .fold(Sha256::new(), Sha256::chain_update);
        write!(f, "digest {}", hex(&whole.finalize()))
    }
}

/// How many posts with which something went wrong are shown.
const SHOWN: usize = 3;

/// One outlet, and what is shown for it alone.
struct Stand {
    name: &'static str,
    seat: Seat,
    network: FakeNetwork,
    target: &'static Voice,
    hold: Hold,
    same: Same,
    posts: Vec<Post>,
}

/// Publishes so many posts, and judges what came of each of them.
pub(crate) fn live(seed: u64, life: u64, n_posts: usize) -> Ends {
    let numbers = match life % 2 {
        0 => Numbers::Translated,
        _ => Numbers::Kept,
    };
    let mut rng = fastrand::Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(life));
    let stands = stands(&mut rng, life as usize, (n_posts, numbers));
    let providers = [(); 3].map(|()| HostileProvider::new(rng.u64(..)));
    let records = world::run(rng.u64(..), async |world: World| {
        let handles = start(&world, &stands, &providers, numbers);
        settle(&handles, n_posts).await;
        records(&world).await
    });
    let (mut ends, mut wrong) = (Ends::default(), Vec::new());
    let mut digest = Sha256::new();
    for provider in &providers {
        ends.add(Ends {
            faults: provider.faults(),
            ..Ends::default()
        });
    }
    for stand in &stands {
        let out = stand.network.take_out();
        digest.update(format!("{} {out:?}", stand.name));
        let mut out = by_post(out);
        for post in &stand.posts {
            let out = out.remove(&*post.id).unwrap_or_default();
            let record = records.get(&(stand.name.to_owned(), post.id.clone()));
            digest.update(format!("{:?}", record.map(|(task, _)| &task.ended)));
            match ended(post, &out, stand, record) {
                Ok(end) => ends.add(end),
                Err(why) => {
                    let made = made_of(record, &providers, numbers);
                    wrong.push(told(&why, (stand, post), &made, &out));
                }
            }
        }
        assert!(out.is_empty(), "what nobody wrote was published: {out:?}");
    }
    assert!(
        wrong.is_empty(),
        "{} are wrong in life {life} of seed {seed}, among them:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(SHOWN)].join("\n")
    );
    ends.digests.insert(life, digest.finalize().into());
    ends
}

/// The outlets of a life, with the posts that are shown for them.
fn stands(
    rng: &mut fastrand::Rng,
    life: usize,
    (n_posts, numbers): (usize, Numbers),
) -> Vec<Stand> {
    let stands = Network::ALL.into_iter().enumerate();
    let mut stands: Vec<Stand> = stands
        .map(|(place, network)| stand(rng, network, place + life))
        .collect();
    for number in 0..n_posts {
        let n_stands = stands.len();
        let stand = &mut stands[number % n_stands];
        let wanted = Wanted {
            target: stand.target,
            long: match stand.seat.network {
                Network::Telegram => 600,
                Network::Discord => 350,
                _ => 80,
            },
            keeps_numbers: numbers == Numbers::Kept,
        };
        stand.posts.push(post(rng, number, wanted));
    }
    stands
}

/// What is out, by post, in its order.
fn by_post(parts: Vec<Out>) -> HashMap<Arc<str>, Vec<Out>> {
    let mut out: HashMap<Arc<str>, Vec<Out>> = HashMap::new();
    for part in parts {
        out.entry(Arc::clone(&part.post)).or_default().push(part);
    }
    out
}

/// What was asked for a post, and what was answered.
fn made_of(record: Option<&Record>, providers: &[HostileProvider], numbers: Numbers) -> String {
    let asked = record.map(|(task, _)| Arc::clone(&task.task.request.text));
    let asked = protect_with(&asked.unwrap_or_default(), numbers).skeleton;
    let answers = providers.iter().flat_map(|it| it.answers_to(&asked));
    let answers = answers.map(|(fault, text)| format!("\n    {fault}: {text:?}"));
    format!("asked: {asked:?}{}", answers.collect::<String>())
}

/// What went wrong with a post, and what it was made of.
fn told(why: &str, (stand, post): (&Stand, &Post), made: &str, out: &[Out]) -> String {
    let out = out.iter().map(|part| format!("\n    {part:?}"));
    format!(
        "{why}\n  at {} in {}, {:?}: {post:?}\n  {made}\n  out:{}",
        stand.name,
        stand.target.tag,
        stand.seat.style,
        out.collect::<String>()
    )
}

fn stand(rng: &mut fastrand::Rng, network: Network, turn: usize) -> Stand {
    let (name, limit) = match network {
        Network::X => ("x", Limit::X),
        Network::Mastodon => ("mastodon", Limit::MASTODON),
        Network::Bluesky => ("bluesky", Limit::BLUESKY),
        Network::Telegram => ("telegram", Limit::TELEGRAM),
        Network::Discord => ("discord", Limit::DISCORD),
    };
    let style = Style {
        numbers: turn % 2 == 1,
        link: [Link::Never, Link::First, Link::Always][turn % 3].clone(),
        ..Style::default()
    };
    Stand {
        name,
        seat: Seat { network, style },
        network: FakeNetwork::new(limit, rng.u64(..)),
        target: &TARGETS[turn % TARGETS.len()],
        hold: [Hold::Doubtful, Hold::Never][turn / 2 % 2],
        same: [Same::Publish, Same::Skip][turn % 2],
        posts: Vec::new(),
    }
}

fn start(
    world: &World,
    stands: &[Stand],
    providers: &[HostileProvider; 3],
    numbers: Numbers,
) -> Handles {
    let qualities = [Quality::Model, Quality::Model, Quality::Engine];
    let providers = ["first", "second", "third"]
        .into_iter()
        .zip(providers)
        .zip(qualities);
    let setup = Setup {
        pauses: Default::default(),
        clock: Arc::clone(&world.clock),
        chance: Arc::clone(&world.chance),
        store: Rc::new(world.store.clone()),
        memory: Rc::new(world.store.clone()),
        ledger: Rc::new(world.store.clone()),
        quotas: Vec::new(),
        sources: stands.iter().map(source).collect(),
        providers: providers
            .zip(1..)
            .map(|(((name, provider), quality), order)| {
                provider_setup(name, provider, quality, order)
            })
            .collect(),
        outlets: stands.iter().map(outlet).collect(),
        arbiters: Vec::new(),
        config: SystemConfig {
            numbers,
            checks: Checks::ALL,
            ..SystemConfig::default()
        },
        escalate: Rc::new(|name| panic!("{name} fell too often")),
    };
    system::start(setup)
}

fn source(stand: &Stand) -> SourceSetup {
    let source = FakeSource::new(stand.name);
    for post in &stand.posts {
        let alt = post.alt.iter().map(|alt| Media {
            url: "https://media.example.com/a.png".to_owned(),
            mime: None,
            alt: Some(alt.clone()),
        });
        source.show_post(Shown {
            language: post.language.map(tag),
            url: Some(post.url.clone()),
            warning: post.warning.clone(),
            media: alt.collect(),
            ..Shown::new(stand.name.into(), post.id.clone(), post.text.clone())
        });
    }
    SourceSetup {
        name: stand.name.into(),
        kind: "fake",
        source: Rc::new(source),
        network: None,
        every: Duration::from_secs(3_600),
        respects_hints: false,
        backfill: None,
        rules: SourceRules::default(),
    }
}

fn provider_setup(
    name: &'static str,
    provider: &HostileProvider,
    quality: Quality,
    order: u32,
) -> ProviderSetup {
    let provider = provider.clone();
    ProviderSetup {
        name: name.into(),
        lane: name.into(),
        account: 0,
        limits: LaneLimits {
            rpm: Some(600.0),
            tpm: Some(400_000.0),
            concurrency: Some(8),
            ..LaneLimits::default()
        },
        max_items: None,
        max_untold: None,
        max_bytes: None,
        counts_tokens: true,
        quality,
        price: (0.0, 0.0),
        share: 1.0,
        pairs: None,
        order,
        version: "hostile-1",
        build: Arc::new(move || Box::new(provider.clone())),
        batch: None,
    }
}

fn outlet(stand: &Stand) -> OutletSetup {
    OutletSetup {
        name: stand.name.into(),
        kind: "fake",
        outlet: Rc::new(stand.network.clone()),
        network: None,
        language: tag(stand.target.tag),
        from: Some(vec![stand.name.into()]),
        hold: stand.hold,
        rules: OutletRules {
            same: stand.same,
            style: Arc::new(stand.seat.style.clone()),
            ..OutletRules::default()
        },
        account: 0,
        place: None,
        limits: LaneLimits {
            rpm: Some(1_200.0),
            ..LaneLimits::default()
        },
    }
}

/// Lets virtual time pass until so many posts were taken in, and nothing is left to be done.
async fn settle(handles: &Handles, n_posts: usize) {
    let polled = handles.poll_now.send(PollNow(None)).await;
    polled.expect("heard").expect("known");
    for _ in 0..10_000 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        let depth = handles.depth.send(Depth).await.expect("heard");
        let depth = depth.expect("the store can be read");
        let n_left = depth.publishing + depth.unknown;
        if depth.completed + depth.failed == n_posts as u64 && n_left == 0 {
            return;
        }
    }
    let depth = handles.depth.send(Depth).await;
    let lanes = handles.lanes.send(Lanes).await;
    let outlets = handles.outlets.send(Outlets).await;
    panic!("not all of it is done within two virtual days: {depth:#?} {lanes:#?} {outlets:#?}");
}

type Record = (TaskRecord, Vec<PublicationRecord>);

/// What the store knows of each post, by source and id.
async fn records(world: &World) -> HashMap<(String, String), Record> {
    let tasks = world.store.tasks(None, None, usize::MAX).await;
    let mut records = HashMap::new();
    for task in tasks.expect("read") {
        let id: TaskId = task.task.id;
        let publications = world.store.publications_of(id).await.expect("read");
        let Origin::Post { source, post } = &task.task.request.origin else {
            panic!("nobody but sources hands in");
        };
        let key = (source.as_str().to_owned(), post.as_ref().to_owned());
        let twin = records.insert(key, (task, publications));
        assert!(twin.is_none(), "taken in twice: {twin:?}");
    }
    records
}

/// How a post ended, or what is wrong with that.
fn ended(post: &Post, out: &[Out], stand: &Stand, record: Option<&Record>) -> Result<Ends, String> {
    let Some((task, publications)) = record else {
        return Err("it was never taken in".to_owned());
    };
    let mut ends = Ends::default();
    let is_declared = post.language == Some(stand.target.tag);
    match (&task.ended, publications.as_slice()) {
        (Some(Ended::Failed(failure)), []) => {
            ends.failed.insert(reason(&failure.detail)?, 1);
        }
        (Some(Ended::Completed(_)), []) => {
            if stand.same != Same::Skip || !is_declared && post.language.is_some() {
                return Err("it was skipped for no reason".to_owned());
            }
            ends.n_skipped = 1;
            ends.n_mistaken = usize::from(!is_declared && !post.is_native);
        }
        (Some(Ended::Completed(_)), [one]) if one.state == PublicationState::Held => {
            let why = one
                .why
                .as_deref()
                .ok_or("it is held, and nobody says why")?;
            ends.held.insert(reason(why)?, 1);
        }
        (Some(Ended::Completed(_)), [one]) if one.state == PublicationState::Published => {
            if out.len() != one.publication.parts.len() {
                return Err(format!("{} parts are out", out.len()));
            }
            judge(post, out, &stand.seat, is_declared)?;
            ends.n_published = 1;
            ends.n_as_they_were = usize::from(is_declared);
            ends.n_parts = out.len();
            ends.n_threads = usize::from(out.len() > 1);
        }
        (ended, _) => return Err(format!("it ended otherwise than expected: {ended:?}")),
    }
    if ends.n_published == 0 && !out.is_empty() {
        return Err("it is out although it was held back".to_owned());
    }
    Ok(ends)
}

/// What kind of reason these words give.
fn reason(why: &str) -> Result<&'static str, String> {
    const REASONS: &[&str] = &[
        "missing:",
        "more than once:",
        "never sent:",
        "in another order:",
        "changed by what stands beside it:",
        "links, mentions or the like that the text does not have",
        "cannot be split",
        "parts, wanted at most",
        "its warning is too long to stand above the text",
        "refusal",
        "words about the translation stood before it",
        "a note of the translator",
        "code fences",
        "not translated",
        "in another language",
        "in another script",
        "far longer",
        "far shorter",
        "a blank was missing",
        "brackets without a number",
        "stood in it in",
        "it was written in",
        "came back for its id",
        "the answer was cut off before it",
        "may hold the missing one",
        "protected spans are not the text's",
        "content filter",
        "no answer",
        "500",
        "503",
        "413",
        "400",
    ];
    let known = REASONS.iter().find(|reason| why.contains(**reason));
    known
        .copied()
        .ok_or_else(|| format!("this is no reason: {why}"))
}
