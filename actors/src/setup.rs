//! What the system is made of: the ports it gets and the figures it goes by.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_rt::ArbiterHandle;

use crate::domain::{DayReset, Lane, Language, OutletName, PausedBy, ProviderName, SourceName};
use crate::logic::checks::Checks;
use crate::logic::compose::Style;
use crate::logic::filter::Filter;
use crate::logic::fit::Limit;
use crate::logic::glossary::Glossary;
use crate::logic::known::Quality;
use crate::logic::quota::Quota;
use crate::logic::routing::{By, Pairs};
use crate::logic::spans::Numbers;
use crate::ports::{
    Abilities, BatchProvider, Chance, Clock, Outlet, Provider, QuotaLedger, Source, TaskStore,
    TranslationMemory,
};

/// Everything the system needs from outside.
pub struct Setup {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
    /// What keeps tasks.
    pub store: Rc<dyn TaskStore>,
    /// What keeps translations.
    pub memory: Rc<dyn TranslationMemory>,
    /// What keeps the use of quotas.
    pub ledger: Rc<dyn QuotaLedger>,
    /// What was used and learned in lanes by the system before this one, in the same process.
    pub quotas: Vec<(Lane, Quota)>,
    /// What was paused in the system before this one, and does nothing here from the start.
    pub pauses: Pauses,
    /// What is watched; names are unique.
    pub sources: Vec<SourceSetup>,
    /// What translates; names are unique.
    pub providers: Vec<ProviderSetup>,
    /// Where is published; names are unique.
    pub outlets: Vec<OutletSetup>,
    /// The arbiters on which translators live, one each; empty: one translator on this one.
    pub arbiters: Vec<ArbiterHandle>,
    /// The figures.
    pub config: SystemConfig,
    /// What happens, with the actor's name, when one actor fell six times in a minute.
    pub escalate: Rc<dyn Fn(&'static str)>,
}

/// What is paused; names that the system does not have count for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// Sources, and by whom each was paused.
    pub sources: Vec<(SourceName, PausedBy)>,
    /// Sources that were resumed, and that no poll has yet brought past what came meanwhile, which
    /// counts as seen.
    pub skipping: Vec<SourceName>,
    /// Outlets.
    pub outlets: Vec<OutletName>,
    /// Lanes of providers and outlets.
    pub lanes: Vec<Lane>,
    /// Whether nothing new is taken in.
    pub is_draining: bool,
}

/// A source with what the settings say of it.
pub struct SourceSetup {
    /// Its name.
    pub name: SourceName,
    /// Its kind, as the settings call it.
    pub kind: &'static str,
    /// The adapter.
    pub source: Rc<dyn Source>,
    /// Names where its posts have their ids, where what outlets publish there has such ids too.
    pub network: Option<Arc<str>>,
    /// How often it is polled.
    pub every: Duration,
    /// Whether the server may lengthen that.
    pub respects_hints: bool,
    /// How many of the posts that are there at first sight are taken, the newest; none: all.
    pub backfill: Option<usize>,
    /// Which posts are taken, and when.
    pub rules: SourceRules,
}

/// What the settings say of which posts of a source are taken, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceRules {
    /// Which.
    pub filter: Filter,
    /// How long after its first sight a post is taken; edits until then change it.
    pub settle: Duration,
    /// How long after it was published a post is taken.
    pub min_age: Duration,
}

/// A provider with what the settings say of it.
pub struct ProviderSetup {
    /// Its name.
    pub name: ProviderName,
    /// Whoever counts us.
    pub lane: Lane,
    /// Names the account that the lane is: what was learned of another is not believed.
    pub account: u64,
    /// The limits of the lane.
    pub limits: LaneLimits,
    /// The most texts in one call that the kind takes; none: as many as wanted.
    pub max_items: Option<usize>,
    /// The most texts in one call that the kind takes of a language that nobody told; none: as many
    /// as of any.
    pub max_untold: Option<usize>,
    /// The most bytes of texts in one call that the kind takes; none: as many as wanted.
    pub max_bytes: Option<usize>,
    /// Whether limits count tokens for this kind, which are then estimated; what has a price is in
    /// any case.
    pub counts_tokens: bool,
    /// How well the kind translates; only language models are asked again with a remark.
    pub quality: Quality,
    /// US dollars per million tokens, in and out.
    pub price: (f64, f64),
    /// Its part of the texts where shares decide; 0: only when nobody else can.
    pub share: f64,
    /// The pairs of languages that it is asked for; none: all.
    pub pairs: Option<Vec<Pairs>>,
    /// Who comes first: the lowest.
    pub order: u32,
    /// Names the words and the form in which texts are put to it: what was translated under
    /// another version may read otherwise.
    pub version: &'static str,
    /// Makes the adapter, once on each translator's arbiter.
    pub build: Arc<dyn Fn() -> Box<dyn Provider> + Send + Sync>,
    /// Its interface for jobs, where it has one.
    pub batch: Option<BatchSetup>,
}

/// A provider's interface for jobs.
#[derive(Clone)]
pub struct BatchSetup {
    /// The adapter.
    pub provider: Rc<dyn BatchProvider>,
    /// Whether new jobs are handed in; those that are under way are followed in any case.
    pub takes_new: bool,
}

/// The limits of a lane; none means that it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LaneLimits {
    /// Requests per second.
    pub rps: Option<f64>,
    /// Requests per minute.
    pub rpm: Option<f64>,
    /// Requests per day.
    pub rpd: Option<f64>,
    /// Tokens per second.
    pub tps: Option<f64>,
    /// Tokens per minute.
    pub tpm: Option<f64>,
    /// Input tokens per minute.
    pub itpm: Option<f64>,
    /// Output tokens per minute.
    pub otpm: Option<f64>,
    /// Tokens per day.
    pub tpd: Option<f64>,
    /// When the quota of a day is there again.
    pub day: DayReset,
    /// Calls in flight.
    pub concurrency: Option<usize>,
    /// US dollars per day.
    pub usd_per_day: Option<f64>,
    /// US dollars per month.
    pub usd_per_month: Option<f64>,
}

/// An outlet with what the settings say of it.
pub struct OutletSetup {
    /// Its name.
    pub name: OutletName,
    /// Its kind, as the settings call it.
    pub kind: &'static str,
    /// The adapter.
    pub outlet: Rc<dyn Outlet>,
    /// Names where what it publishes has its ids, where sources know posts by such ids.
    pub network: Option<Arc<str>>,
    /// The language that it receives.
    pub language: Language,
    /// The sources that it takes, `requests` among them; none: all.
    pub from: Option<Vec<Arc<str>>>,
    /// What waits for a person.
    pub hold: Hold,
    /// Names the account that its lane is: what was learned of another is not believed.
    pub account: u64,
    /// Names the account that publishes, as far as it is known: what stands at another is neither
    /// changed nor answered.
    pub place: Option<u64>,
    /// The limits of its lane.
    pub limits: LaneLimits,
    /// What becomes of what is published there.
    pub rules: OutletRules,
}

/// What the settings say of what becomes of posts at an outlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutletRules {
    /// What an edit of a post does; none: the best that the outlet can.
    pub on_edit: Option<OnEdit>,
    /// How long something may have been out that is taken back to be published anew.
    pub repost_within: Duration,
    /// What the deletion of a post does.
    pub on_delete: OnDelete,
    /// What becomes of posts that are in its language already.
    pub same: Same,
    /// The most publications that begin within an hour; none: as many as there are.
    pub per_hour: Option<u32>,
    /// How long a post that is ready waits for those of its source that were taken before it.
    pub in_order: Duration,
    /// What becomes of what is held for long; none: it is held until a person decides.
    pub lapse: Option<Lapse>,
    /// How texts are put together.
    pub style: Arc<Style>,
}

/// What becomes of a publication that nobody decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lapse {
    /// After how long.
    pub after: Duration,
    /// What it becomes.
    pub into: Lapsed,
}

/// What a publication becomes that nobody decides about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lapsed {
    /// It goes out.
    Published,
    /// It is refused.
    #[default]
    Rejected,
}

impl Default for OutletRules {
    fn default() -> Self {
        Self {
            on_edit: None,
            repost_within: Duration::from_secs(600),
            on_delete: OnDelete::Leave,
            same: Same::Publish,
            per_hour: None,
            in_order: Duration::from_secs(120),
            lapse: None,
            style: Arc::default(),
        }
    }
}

/// What the edit of a post does to what is out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEdit {
    /// Changes it in its place.
    Edit,
    /// Nothing.
    Leave,
    /// Takes it back and publishes it anew, if it is not out for long.
    Repost,
}

/// What the deletion of a post does to what is out of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// Takes it back.
    Delete,
    /// Nothing.
    #[default]
    Leave,
}

impl OutletSetup {
    /// What an edit does there, as far as the outlet can.
    pub fn on_edit(&self) -> OnEdit {
        let Abilities { edits, deletes, .. } = self.outlet.abilities();
        match self.rules.on_edit {
            None | Some(OnEdit::Edit) if edits => OnEdit::Edit,
            Some(OnEdit::Repost) if deletes => OnEdit::Repost,
            _ => OnEdit::Leave,
        }
    }

    /// Whether what is out goes when its post is deleted.
    pub fn minds_deletions(&self) -> bool {
        self.rules.on_delete == OnDelete::Delete && self.outlet.abilities().deletes
    }
}

/// The outlets' limits as values; the publisher keeps them, the task manager reads them.
pub type OutletLimits = Rc<RefCell<HashMap<OutletName, Limit>>>;

/// What waits for a person before it is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    /// Nothing.
    #[default]
    Never,
    /// What failed its checks.
    Doubtful,
    /// Everything.
    Always,
}

/// What becomes of a post that is in its outlet's language already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Same {
    /// It is published as it is.
    #[default]
    Publish,
    /// It is not published there.
    Skip,
}

/// The figures that the system goes by.
#[derive(Clone, Debug)]
pub struct SystemConfig {
    /// By what the provider is chosen that is asked first.
    pub by: By,
    /// Whether slow calls are made a second time elsewhere, from surplus quota.
    pub hedge: bool,
    /// Calls in flight, all lanes together; none: as many as the lanes allow.
    pub concurrency: Option<usize>,
    /// Calls made for one task before it fails.
    pub max_attempts: u32,
    /// How long one call may take, body included.
    pub timeout: Duration,
    /// The most texts in one call.
    pub max_batch_size: usize,
    /// How long bulk work waits for company when its lane is short of permits.
    pub batch_timeout: Duration,
    /// The most texts in one job.
    pub max_job_size: usize,
    /// How long texts are gathered for a job that is not full.
    pub job_timeout: Duration,
    /// How often a job is looked at, and how long a job may be on its way to where it is found.
    pub job_poll: Duration,
    /// Translations known, at most.
    pub cache_entries: u64,
    /// Their bytes, at most.
    pub cache_bytes: u64,
    /// How long a translation is known.
    pub cache_ttl: Duration,
    /// Outlets that are sent to at once.
    pub publishing_concurrency: usize,
    /// The terms and the tone wanted.
    pub glossary: Arc<Glossary>,
    /// What becomes of numbers with units and prices.
    pub numbers: Numbers,
    /// What a translation must pass.
    pub checks: Checks,
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self {
            by: By::Order,
            hedge: false,
            concurrency: Some(10),
            max_attempts: 5,
            timeout: Duration::from_secs(60),
            max_batch_size: 10,
            batch_timeout: Duration::from_millis(50),
            max_job_size: 1_000,
            job_timeout: Duration::from_secs(300),
            job_poll: Duration::from_secs(60),
            cache_entries: 10_000,
            cache_bytes: 64 << 20,
            cache_ttl: Duration::from_secs(168 * 3600),
            publishing_concurrency: 5,
            glossary: Arc::default(),
            numbers: Numbers::default(),
            checks: Checks::ALL,
        }
    }
}
