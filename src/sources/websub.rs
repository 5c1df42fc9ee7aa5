//! WebSub: hubs that tell of a feed's news, so that it is read at once.
//!
//! As <https://www.w3.org/TR/websub/> words it. A feed names its hub; the hub is asked to call an
//! address of ours, proves that it was asked, and calls there whenever the feed has changed. Such
//! a call brings no posts, it only wakes the source, which then reads its feed as ever: so nothing
//! is seen twice, and the polls go on as a backstop.

pub(super) mod discover;
mod keep;
mod signature;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_rt::task::spawn_blocking;
use actix_web::web::Bytes;
use babelfeed_actors::domain::SourceName;
use log::{info, warn};
use serde::Deserialize;
use tokio::sync::Notify;
use url::form_urlencoded::Serializer;

use crate::http::{Call, HttpClient, HttpConfig, Method, Reach, Uri};
use discover::Hub;
use keep::Kept;

/// The lease that is asked for; hubs grant what they like.
const LEASE: Duration = Duration::from_secs(10 * 24 * 3600);
/// When a hub is asked again that did not come back with its question.
const ASK_AGAIN: Duration = Duration::from_secs(3600);
/// When a hub is asked again that said no.
const AFTER_DENIAL: Duration = Duration::from_secs(24 * 3600);
/// How long after news the feed is looked at once more: some servers show it later than they
/// tell of it.
const AFTERMATH: Duration = Duration::from_secs(20);
/// How long a hub may take to understand.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of a hub's answer.
const MAX_BODY: usize = 64_000;

/// The addresses at which hubs call, one for each source; shared by all threads.
#[derive(Clone)]
pub struct Callbacks {
    shared: Arc<Shared>,
}

struct Shared {
    /// What our addresses begin with, without a slash at the end.
    public_url: String,
    /// Where subscriptions are kept.
    file: PathBuf,
    book: Mutex<Book>,
    /// Held while the file is written, so that two writes do not mix.
    writing: Mutex<()>,
}

#[derive(Default)]
struct Book {
    /// Whether hubs are heard; before that, none is asked.
    is_served: bool,
    subscriptions: BTreeMap<SourceName, Subscription>,
}

/// One source at its hub.
#[derive(Default)]
struct Subscription {
    kept: Kept,
    news: Arc<Notify>,
    /// What the feed names now.
    hub: Option<Hub>,
    /// The topic that a hub was asked for, until it comes back with its question.
    pending: Option<String>,
    /// Not before then is a hub asked again, in seconds since 1970.
    ask_at: u64,
    /// Whether the hub told of news that the feed has not shown since.
    has_news: bool,
    /// Whether what is wrong was told.
    is_told: bool,
    has_changed: bool,
}

/// What a hub asks or says by GET.
#[derive(Debug, Deserialize)]
pub struct Question {
    #[serde(rename = "hub.mode")]
    mode: String,
    #[serde(rename = "hub.topic")]
    topic: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
    #[serde(rename = "hub.lease_seconds")]
    lease_seconds: Option<u64>,
    #[serde(rename = "hub.reason")]
    reason: Option<String>,
}

/// What a hub is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Yes, with its challenge.
    Challenge(String),
    /// It was heard.
    Heard,
    /// That was not asked for.
    Refused,
    /// Nobody wants it any more.
    Gone,
}

impl Callbacks {
    /// Addresses below `public_url`; what is known of them is kept in that file.
    pub fn new(public_url: &str, file: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                public_url: public_url.trim_end_matches('/').to_owned(),
                file,
                book: Mutex::default(),
                writing: Mutex::default(),
            }),
        }
    }

    /// Reads what was kept of the sources that are here, and lets hubs be asked from now on.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn open(&self) -> io::Result<()> {
        let mut kept = keep::load(&self.shared.file)?;
        let mut book = self.book();
        for (name, subscription) in &mut book.subscriptions {
            if let Some(kept) = kept.remove(name.as_str()) {
                // A feed that has not changed since need not name its hub again.
                subscription.hub = Some(Hub {
                    hub: kept.hub.clone(),
                    topic: kept.topic.clone(),
                });
                subscription.kept = kept;
            }
        }
        book.is_served = true;
        Ok(())
    }

    /// Whether somebody is told of news there.
    pub fn knows(&self, id: &str) -> bool {
        self.book().find(id).is_some()
    }

    /// What is to be done with a question of a hub.
    pub fn ask(&self, id: &str, question: &Question) -> Reply {
        let mut book = self.book();
        let Some((name, subscription)) = book.find(id) else {
            return Reply::Refused;
        };
        match (question.mode.as_str(), &question.challenge) {
            ("subscribe", Some(challenge)) => {
                if subscription.pending.is_none() || subscription.pending != question.topic {
                    return Reply::Refused;
                }
                let lease = question.lease_seconds.unwrap_or(LEASE.as_secs());
                subscription.note_lease(Duration::from_secs(lease));
                info!(source:% = name, lease_s = lease; "a hub tells of this source's news");
                Reply::Challenge(challenge.clone())
            }
            ("denied", _) => {
                let reason = question.reason.as_deref().unwrap_or("none is told");
                if !subscription.is_told {
                    warn!(source:% = name, cause = reason; "the hub does not tell of this source's news, which is polled for");
                }
                subscription.note_denial();
                Reply::Heard
            }
            _ => Reply::Refused,
        }
    }

    /// Takes what a hub delivers: what is signed as was agreed wakes the source.
    pub fn deliver(&self, id: &str, signature: Option<&str>, body: &[u8]) -> Reply {
        let mut book = self.book();
        let Some((name, subscription)) = book.find(id) else {
            return Reply::Gone;
        };
        let secret = &subscription.kept.secret;
        if signature.is_some_and(|it| signature::is_right(it, secret.as_bytes(), body)) {
            subscription.has_news = true;
            subscription.news.notify_one();
        } else {
            warn!(source:% = name; "what a hub delivered is not signed as was agreed, and is passed over");
        }
        // Also what is passed over was heard, so that nobody learns whether he guessed right.
        Reply::Heard
    }

    /// The part that wakes this source.
    pub(super) fn subscriber(
        &self,
        name: &SourceName,
        http: &HttpConfig,
        feed: &Uri,
    ) -> Subscriber {
        let mut book = self.book();
        let subscription = book.subscriptions.entry(name.clone()).or_default();
        // The address comes out of a feed, so it could lead inside.
        let reach = match is_inside(feed) {
            true => Reach::Anywhere,
            false => Reach::Public,
        };
        Subscriber {
            news: Arc::clone(&subscription.news),
            callbacks: self.clone(),
            name: name.clone(),
            client: HttpClient::new(&HttpConfig {
                redirects: 0,
                keep_alive: Duration::ZERO,
                reach,
                ..http.clone()
            }),
        }
    }

    /// Returns when everything that has changed is on disk.
    async fn keep(&self) {
        let shared = Arc::clone(&self.shared);
        let kept = spawn_blocking(move || shared.keep()).await;
        match kept {
            Ok(Ok(())) => (),
            Ok(Err(error)) => warn!(cause:% = error; "subscriptions at hubs are not kept"),
            Err(error) => warn!(cause:% = error; "subscriptions at hubs are not kept"),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        locked(&self.shared.book)
    }
}

impl Shared {
    /// Writes what has changed, one write after another: the later one holds what the earlier did.
    fn keep(&self) -> io::Result<()> {
        let _alone = locked(&self.writing);
        let changed = locked(&self.book).take_changed();
        changed.map_or(Ok(()), |kept| keep::save(&self.file, &kept))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// Everything as it is to be kept; none if nothing has changed since this was last asked.
    fn take_changed(&mut self) -> Option<BTreeMap<String, Kept>> {
        let mut has_changed = false;
        for subscription in self.subscriptions.values_mut() {
            has_changed |= std::mem::take(&mut subscription.has_changed);
        }
        let kept = self.subscriptions.iter();
        let kept = kept.map(|(name, it)| (name.to_string(), it.kept.clone()));
        has_changed.then(|| kept.collect())
    }

    fn find(&mut self, id: &str) -> Option<(&SourceName, &mut Subscription)> {
        let mut subscriptions = self.subscriptions.iter_mut();
        subscriptions.find(|(_, it)| !id.is_empty() && it.kept.id == id)
    }
}

impl Subscription {
    fn note_lease(&mut self, lease: Duration) {
        self.pending = None;
        self.kept.leased_until = now().saturating_add(lease.as_secs());
        self.kept.lease = lease.as_secs();
        self.ask_at = 0;
        self.is_told = false;
        self.has_changed = true;
        // It must be looked anew when to ask again.
        self.news.notify_one();
    }

    fn note_denial(&mut self) {
        self.pending = None;
        self.kept.leased_until = 0;
        self.ask_at = now() + AFTER_DENIAL.as_secs();
        self.is_told = true;
        self.has_changed = true;
    }

    /// When the hub is to be asked, in seconds since 1970: half a lease before its end.
    fn due_at(&self) -> u64 {
        let renewal = self.kept.leased_until.saturating_sub(self.kept.lease / 2);
        renewal.max(self.ask_at)
    }
}

/// The part of a source that looks after its subscription; bound to its arbiter.
#[derive(Clone)]
pub(super) struct Subscriber {
    callbacks: Callbacks,
    name: SourceName,
    news: Arc<Notify>,
    client: HttpClient,
}

/// What a hub is asked.
struct Request {
    hub: Uri,
    form: String,
}

impl Subscriber {
    /// Resolves when the hub told of news, or is to be asked again.
    pub(super) async fn news(&self) {
        let due_at = self.with(|it| it.hub.as_ref().map(|_| it.due_at()));
        let wait = due_at.map(|at| Duration::from_secs(at.saturating_sub(now())));
        match wait {
            // Not at once again, should asking be of no use.
            Some(wait) => {
                let wait = wait.max(Duration::from_secs(1));
                // Whichever comes first, the source is polled.
                let _ = tokio::time::timeout(wait, self.news.notified()).await;
            }
            None => self.news.notified().await,
        }
    }

    /// Notes that the feed has changed, and which hub it names.
    pub(super) fn note_changed(&self, hub: Option<Hub>) {
        self.with(|it| it.has_news = false);
        self.note_hub(hub);
    }

    /// Notes that the feed is as it was; then it need not name its hub again.
    pub(super) fn note_unchanged(&self, hub: Option<Hub>) {
        if hub.is_some() {
            self.note_hub(hub);
        }
        if self.with(|it| std::mem::take(&mut it.has_news)) {
            self.look_again();
        }
    }

    /// Wakes the source once more, when a server that tells of news too early may show them.
    fn look_again(&self) {
        let news = Arc::downgrade(&self.news);
        actix_rt::spawn(async move {
            tokio::time::sleep(AFTERMATH).await;
            if let Some(news) = news.upgrade() {
                news.notify_one();
            }
        });
    }

    fn note_hub(&self, hub: Option<Hub>) {
        let name = &self.name;
        self.with(|it| {
            let is_known = it.hub == hub;
            it.hub = hub;
            match it.hub {
                Some(_) => it.is_told &= is_known,
                None if std::mem::replace(&mut it.is_told, true) => (),
                None => {
                    warn!(source:% = name; "the feed names no hub, and is polled for its news");
                }
            }
        });
    }

    /// Asks the hub to tell of news, if it does not or will soon not any more.
    pub(super) async fn tend(&self) {
        if let Some(request) = self.request() {
            // What is agreed with the hub must outlive a crash right after it.
            self.callbacks.keep().await;
            let asked = self.send(&request).await;
            self.with(|it| match asked {
                Ok(()) => (),
                Err(cause) => {
                    it.pending = None;
                    if !std::mem::replace(&mut it.is_told, true) {
                        warn!(source:% = self.name, cause = cause.as_str(); "the hub does not take a subscription, and the feed is polled for its news");
                    }
                }
            });
        }
        self.callbacks.keep().await;
    }

    /// What the hub is to be asked now.
    fn request(&self) -> Option<Request> {
        let mut book = self.callbacks.book();
        let is_served = book.is_served;
        let it = book.subscriptions.get_mut(&self.name)?;
        let Hub { hub, topic } = it.hub.clone().filter(|_| is_served)?;
        if it.kept.hub != hub || it.kept.topic != topic {
            // Whoever was asked before knows the old address, which nobody answers any more.
            it.kept = Kept::new(&hub, &topic);
            it.ask_at = 0;
        }
        if it.due_at() > now() {
            return None;
        }
        it.ask_at = now() + ASK_AGAIN.as_secs();
        it.pending = Some(topic.clone());
        it.has_changed = true;
        let callback = format!("{}/websub/{}", self.callbacks.shared.public_url, it.kept.id);
        let form = Serializer::new(String::new())
            .append_pair("hub.callback", &callback)
            .append_pair("hub.mode", "subscribe")
            .append_pair("hub.topic", &topic)
            .append_pair("hub.lease_seconds", &LEASE.as_secs().to_string())
            .append_pair("hub.secret", &it.kept.secret)
            .finish();
        let hub = hub.parse().ok()?;
        Some(Request { hub, form })
    }

    async fn send(&self, request: &Request) -> Result<(), String> {
        let call = Call {
            method: Method::POST,
            url: &request.hub,
            headers: &[("content-type", "application/x-www-form-urlencoded")],
            body: Bytes::from(request.form.clone()),
            timeout: TIMEOUT,
            max_body: MAX_BODY,
        };
        match self.client.call(call).await {
            Ok(response) if response.is_success() => Ok(()),
            Ok(response) => Err(format!("wanted HTTP status 202, got {}", response.status)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut Subscription) -> T) -> T {
        let mut book = self.callbacks.book();
        change(book.subscriptions.entry(self.name.clone()).or_default())
    }
}

/// Whether a feed lies on this machine or in a private network, and so may its hub.
fn is_inside(feed: &Uri) -> bool {
    let host = feed.host().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(std::net::IpAddr::V4(it)) => it.is_loopback() || it.is_private(),
        Ok(std::net::IpAddr::V6(it)) => it.is_loopback() || it.is_unique_local(),
        Err(_) => host == "localhost",
    }
}

/// Seconds since 1970 by our clock.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::logic::hex::hex;

    use super::*;

    fn callbacks() -> (Callbacks, String) {
        let callbacks = Callbacks::new("https://bot.example/", PathBuf::from("/nowhere"));
        let mut book = callbacks.book();
        let kept = Kept::new("https://hub.example/", "https://a.example/feed");
        let id = kept.id.clone();
        let subscription = Subscription {
            pending: Some(kept.topic.clone()),
            kept,
            ..Subscription::default()
        };
        book.subscriptions.insert("news".into(), subscription);
        drop(book);
        (callbacks, id)
    }

    fn question(mode: &str, topic: &str) -> Question {
        Question {
            mode: mode.to_owned(),
            topic: Some(topic.to_owned()),
            challenge: Some("7".to_owned()),
            lease_seconds: Some(100),
            reason: None,
        }
    }

    #[test]
    fn only_what_was_asked_for_is_confirmed_and_only_once() {
        let (callbacks, id) = callbacks();
        let wanted = question("subscribe", "https://a.example/feed");
        let other = question("subscribe", "https://b.example/feed");
        let never = question("unsubscribe", "https://a.example/feed");
        assert_eq!(callbacks.ask("", &wanted), Reply::Refused);
        assert_eq!(callbacks.ask("who", &wanted), Reply::Refused);
        assert_eq!(callbacks.ask(&id, &other), Reply::Refused);
        assert_eq!(callbacks.ask(&id, &never), Reply::Refused);
        assert_eq!(callbacks.ask(&id, &wanted), Reply::Challenge("7".into()));
        assert_eq!(callbacks.ask(&id, &wanted), Reply::Refused);
    }

    #[test]
    fn a_lease_is_renewed_when_half_of_it_is_over() {
        let (callbacks, id) = callbacks();
        callbacks.ask(&id, &question("subscribe", "https://a.example/feed"));
        let mut book = callbacks.book();
        let (_, subscription) = book.find(&id).expect("is there");
        let wait = subscription.due_at() - now();
        assert!((48..=50).contains(&wait), "{wait}");
    }

    #[test]
    fn a_lease_without_end_is_granted() {
        let (callbacks, id) = callbacks();
        let endless = Question {
            lease_seconds: Some(u64::MAX),
            ..question("subscribe", "https://a.example/feed")
        };
        assert_eq!(callbacks.ask(&id, &endless), Reply::Challenge("7".into()));
    }

    #[test]
    fn what_many_sources_agree_at_once_is_kept_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("websub.json");
        let callbacks = Callbacks::new("https://bot.example/", file.clone());
        std::thread::scope(|scope| {
            for number in 0..8 {
                let callbacks = &callbacks;
                scope.spawn(move || {
                    for lease in 0..20 {
                        let name = SourceName::from(format!("news-{number}").as_str());
                        let mut book = callbacks.book();
                        let subscription = book.subscriptions.entry(name.clone()).or_default();
                        subscription.note_lease(Duration::from_secs(lease));
                        drop(book);
                        callbacks.shared.keep().expect("writes");
                        let kept = keep::load(&callbacks.shared.file).expect("reads");
                        assert_eq!(kept[name.as_str()].lease, lease);
                    }
                });
            }
        });
        assert_eq!(keep::load(&file).expect("reads").len(), 8);
    }

    #[test]
    fn only_what_is_signed_as_agreed_wakes_the_source() {
        let (callbacks, id) = callbacks();
        let is_woken = || callbacks.book().find(&id).expect("is there").1.has_news;
        let sign = |secret: &str| {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
            let tag = ring::hmac::sign(&key, b"news");
            format!("sha256={}", hex(tag.as_ref()))
        };
        let secret = callbacks
            .book()
            .find(&id)
            .expect("is there")
            .1
            .kept
            .secret
            .clone();
        for signature in [None, Some(sign("a guess")), Some(sign(""))] {
            callbacks.deliver(&id, signature.as_deref(), b"news");
            assert!(!is_woken(), "{signature:?}");
        }
        callbacks.deliver(&id, Some(&sign(&secret)), b"news");
        assert!(is_woken());
    }

    #[test]
    fn whom_nobody_knows_is_told_so() {
        let (callbacks, id) = callbacks();
        assert_eq!(callbacks.deliver("who", None, b""), Reply::Gone);
        assert_eq!(callbacks.deliver(&id, None, b""), Reply::Heard);
    }

    #[test]
    fn hubs_of_private_feeds_may_be_private() {
        for (feed, expected) in [
            ("http://127.0.0.1:80/f", true),
            ("http://[::1]/f", true),
            ("http://10.0.0.7/f", true),
            ("https://example.org/f", false),
            ("https://8.8.8.8/f", false),
        ] {
            assert_eq!(is_inside(&feed.parse().expect("a URI")), expected, "{feed}");
        }
    }
}
