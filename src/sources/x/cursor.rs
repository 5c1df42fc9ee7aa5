//! How far the accounts of a source were read.

use std::collections::{BTreeMap, BTreeSet};

use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};

use crate::x::bill::Spent;

/// Milliseconds since 1970 at which X's ids begin.
const EPOCH: u64 = 1_288_834_974_657;
/// How long after it was posted X may first find a post, in milliseconds.
pub(super) const LATE: u64 = 300_000;
/// How far our clock is believed, in milliseconds, where no post shows the time.
const DAY: u64 = 86_400_000;

/// Every account by its name in lower case.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) accounts: BTreeMap<String, Account>,
    /// The number of the last event of the stream that was shown.
    #[serde(default)]
    pub(super) told: u64,
    /// When the accounts that are not behind were read, in milliseconds since 1970.
    #[serde(default)]
    read_at: u64,
    /// What reading cost on that day.
    #[serde(default)]
    pub(super) spent: Spent,
}

/// How far one account was read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// Its id: looking it up costs.
    pub(super) id: String,
    /// Up to this post nothing is missing; 1 where there was none yet.
    pub(super) since: u64,
    /// The newest post at first sight; what came before is not shown.
    #[serde(default)]
    first: u64,
    /// What was read and may be read again.
    #[serde(default)]
    recent: BTreeSet<u64>,
    /// Whether it was passed over when the others were read.
    #[serde(default)]
    pub(super) is_behind: bool,
}

impl Account {
    /// An account at first sight, of which these posts were read.
    pub(super) fn begun(id: String, posts: BTreeSet<u64>) -> Self {
        let newest = posts.last().copied().unwrap_or(1);
        Self {
            id,
            since: newest,
            first: newest,
            recent: posts,
            is_behind: false,
        }
    }

    /// Notes a post that was read, and says whether it is new.
    pub(super) fn note(&mut self, post: u64) -> bool {
        self.recent.insert(post) && post > self.first
    }

    /// Notes that nothing is missing up to that post.
    pub(super) fn move_on(&mut self, post: u64) {
        self.since = self.since.max(post);
        self.is_behind = false;
    }

    fn newest(&self) -> u64 {
        self.recent.last().copied().unwrap_or(1).max(self.since)
    }
}

impl Seen {
    /// The place as the store keeps it.
    pub(super) fn to_cursor(&self) -> Cursor {
        // Texts and numbers are always JSON.
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// The place that the store kept; none if it is not of this shape.
    pub(super) fn from_cursor(cursor: &Cursor) -> Option<Self> {
        let mut seen: Self = serde_json::from_slice(&cursor.0).ok()?;
        for account in seen.accounts.values_mut() {
            // Where that was not kept yet, nothing older than the newest was to be shown.
            if account.first == 0 {
                account.first = account.since;
            }
        }
        Some(seen)
    }

    /// What was read and may be read again.
    pub(super) fn recent(&self) -> impl Iterator<Item = u64> {
        let accounts = self.accounts.values();
        accounts.flat_map(|account| account.recent.iter().copied())
    }

    /// When it was read, in milliseconds since 1970.
    pub(super) const fn read_at(&self) -> u64 {
        self.read_at
    }

    /// From where a search for all of these reads: it reads again what it may have found late, and
    /// nothing where that was long ago.
    pub(super) fn search_from(&self, names: &[String]) -> u64 {
        let known = names.iter().filter_map(|name| self.accounts.get(name));
        let newest = known.map(Account::newest).max().unwrap_or(1);
        // A wrong clock of ours must not lose what came since the newest.
        let quiet = id_at(self.read_at.saturating_sub(DAY));
        newest.max(quiet).min(self.edge())
    }

    /// Notes that the accounts were read at that time, and forgets what will not be read again.
    pub(super) fn settle(&mut self, now: u64) {
        self.read_at = now;
        let edge = self.edge();
        for account in self.accounts.values_mut() {
            let since = account.since;
            account.recent.retain(|id| *id > since.min(edge));
        }
    }

    /// Before this, X has found everything when the accounts were read.
    fn edge(&self) -> u64 {
        id_at(self.read_at.saturating_sub(LATE))
    }
}

/// When the post of that id was posted, in milliseconds since 1970.
pub(super) const fn millis_of(id: u64) -> u64 {
    (id >> 22).saturating_add(EPOCH)
}

/// The id that lies before all those of that time, in milliseconds since 1970.
pub(super) const fn id_at(millis: u64) -> u64 {
    millis.saturating_sub(EPOCH) << 22
}

/// An id that lies so many milliseconds before another.
pub(super) const fn before(id: u64, millis: u64) -> u64 {
    id.saturating_sub(millis << 22)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = EPOCH + 1_000_000_000_000;

    fn seen(posts: &[u64], read_at: u64) -> Seen {
        let account = Account::begun("7".to_owned(), posts.iter().copied().collect());
        let mut seen = Seen {
            accounts: [("ana".to_owned(), account)].into(),
            ..Seen::default()
        };
        seen.settle(read_at);
        seen
    }

    #[test]
    fn only_what_may_have_been_found_late_is_read_again() {
        let ana = ["ana".to_owned()];
        let minute = 60_000;
        let young = id_at(NOW - minute);
        assert_eq!(seen(&[young], NOW).search_from(&ana), id_at(NOW - LATE));
        let old = id_at(NOW - 10 * minute);
        assert_eq!(seen(&[old], NOW).search_from(&ana), old);
        let ancient = id_at(NOW - 9 * DAY);
        let quiet = id_at(NOW - DAY);
        assert_eq!(seen(&[ancient], NOW).search_from(&ana), quiet);
        assert_eq!(seen(&[], NOW).search_from(&ana), quiet);
    }

    #[test]
    fn what_was_there_at_first_sight_is_not_new_and_what_came_since_is_new_once() {
        let first = id_at(NOW - 60_000);
        let mut seen = seen(&[first], NOW);
        let account = seen.accounts.get_mut("ana").expect("is there");
        assert!(!account.note(first) && !account.note(first - 1));
        assert!(account.note(first + 2) && account.note(first + 1));
        assert!(!account.note(first + 1));
    }

    #[test]
    fn what_will_not_be_read_again_is_forgotten() {
        let mut seen = seen(&[], NOW);
        let (old, young) = (id_at(NOW - 2 * LATE), id_at(NOW));
        let account = seen.accounts.get_mut("ana").expect("is there");
        assert!(account.note(old) && account.note(young));
        account.move_on(old);
        seen.settle(NOW);
        assert_eq!(seen.accounts["ana"].recent, [young].into());
    }

    #[test]
    fn a_place_that_was_kept_before_shows_nothing_older_than_its_newest() {
        let kept = br#"{"accounts":{"ana":{"id":"7","since":100}}}"#;
        let mut seen = Seen::from_cursor(&Cursor(kept.to_vec())).expect("a place");
        let account = seen.accounts.get_mut("ana").expect("is there");
        assert!(!account.note(99) && account.note(101));
    }
}
