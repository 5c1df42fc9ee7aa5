//! How far an account was read, and what its latest statuses were then.

use babelfeed_actors::ports::Cursor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::PAGE;
use super::wire::Status;

/// A place in an account's statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The account's id.
    pub(super) account: String,
    /// Everything up to this status was read; `0` is before all.
    pub(super) last: String,
    /// Whether there may be more right above it.
    pub(super) is_walking: bool,
    /// What the stream told up to this number was shown.
    #[serde(default)]
    pub(super) n_events: u64,
    /// The latest of those that were read, the oldest first.
    recent: Vec<Known>,
}

/// A status that was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// Its id when it was first seen, which the post bears.
    id: String,
    /// Its id now, where that is another: some servers give a new one with each edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    /// What stays the same whatever happens to it.
    uri: Mark,
    /// What changes with an edit.
    edit: Mark,
    /// How often it was asked for because a page missed it, and was there.
    #[serde(default, skip_serializing_if = "is_zero")]
    n_asked: u32,
    /// Whether a page missed it, and it was not asked for yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_open: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

type Mark = u64;

/// The most that are remembered, those that are to be asked for among them.
const MAX_KEPT: usize = 4 * PAGE;

impl Place {
    /// Before the first status of an account.
    pub(super) fn start(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            last: "0".to_owned(),
            is_walking: true,
            n_events: 0,
            recent: Vec::new(),
        }
    }

    /// The place that the store kept; none if it is not of this shape, or another account's.
    pub(super) fn from_cursor(cursor: &Cursor, account: &str) -> Option<Self> {
        let place: Self = serde_json::from_slice(&cursor.0).ok()?;
        (place.account == account).then_some(place)
    }

    /// The place as the store keeps it.
    pub(super) fn to_cursor(&self) -> Cursor {
        // A struct of texts and numbers is always JSON; an empty cursor reads all again.
        Cursor(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Whether a status was among the latest that were read.
    pub(super) fn knows(&self, status: &Status) -> bool {
        self.find(status).is_some()
    }

    /// Whether it stands below a status, which a page is yet to show.
    pub(super) fn is_below(&self, status: &Status) -> bool {
        (self.last.len(), &self.last) < (status.id.len(), &status.id)
    }

    /// Whether a known status was edited since it was read.
    pub(super) fn is_edited(&self, status: &Status) -> bool {
        let known = self.find(status);
        known.is_some_and(|known| known.edit != edit_mark(status) || known.current() != status.id)
    }

    /// Whether a known status stands where it stood when it was read.
    pub(super) fn rests(&self, status: &Status) -> bool {
        let known = self.find(status);
        known.is_some_and(|known| known.now.is_none()) && !self.is_edited(status)
    }

    /// Remembers a status that was read now.
    pub(super) fn note(&mut self, status: &Status) {
        self.last = status.id.clone();
        self.recent.push(Known {
            id: status.id.clone(),
            now: None,
            uri: mark(status.identity()),
            edit: edit_mark(status),
            n_asked: 0,
            is_open: false,
        });
        // What is to be asked for is not forgotten before that, nor what may be met again above
        // what is new.
        let is_settled = |known: &Known| !known.is_open && known.now.is_none();
        let n_settled = self.recent.iter().filter(|known| is_settled(known)).count();
        let n_over = self.recent.len().saturating_sub(MAX_KEPT);
        let mut n_left = n_settled.saturating_sub(PAGE).max(n_over);
        self.recent.retain(|known| {
            let goes = n_left > 0 && (is_settled(known) || n_over > 0);
            n_left -= usize::from(goes);
            !goes
        });
    }

    /// Remembers a known status as it is after an edit; with another id it stands above the others.
    pub(super) fn note_edit(&mut self, status: &Status) {
        let Some(at) = self.recent.iter().position(|known| known.is(status)) else {
            return;
        };
        let is_moved = self.recent[at].current() != status.id;
        let known = &mut self.recent[at];
        known.edit = edit_mark(status);
        known.now = (known.id != status.id).then(|| status.id.clone());
        if is_moved {
            self.recent[at..].rotate_left(1);
        }
    }

    /// The ids of those that should stand on the newest page and do not; those first that were
    /// asked for least.
    pub(super) fn missing(&self, page: &[Status]) -> Vec<String> {
        let stands = |known: &Known| page.iter().any(|status| known.is(status));
        // What is older than everything on a page that is full may stand on the next one.
        let from = match page.is_empty() {
            true => Some(0),
            false => self.recent.iter().position(stands),
        };
        let from = from.unwrap_or(self.recent.len());
        let recent = self.recent.iter().enumerate();
        let missing = recent.filter(|(at, known)| (*at >= from || known.is_open) && !stands(known));
        let mut missing: Vec<&Known> = missing.map(|(_, known)| known).collect();
        missing.sort_by_key(|known| known.n_asked);
        missing.into_iter().map(|known| known.id.clone()).collect()
    }

    /// Notes that a status that a page missed is there.
    pub(super) fn note_there(&mut self, id: &str) {
        if let Some(known) = self.recent.iter_mut().find(|known| known.id == id) {
            known.n_asked = known.n_asked.saturating_add(1);
        }
    }

    /// Notes which statuses are still to be asked for, and no others.
    pub(super) fn leave_open(&mut self, ids: &[String]) {
        for known in &mut self.recent {
            known.is_open = ids.contains(&known.id);
        }
    }

    /// Forgets a status that is gone.
    pub(super) fn forget(&mut self, id: &str) {
        self.recent.retain(|known| known.id != id);
    }

    /// The id under which a status was first seen.
    pub(super) fn first_id(&self, id: &str) -> String {
        let known = self.recent.iter().find(|known| known.current() == id);
        known.map_or(id, |known| &known.id).to_owned()
    }

    /// The id that a status has now, by that under which it was first seen.
    pub(super) fn current_id(&self, id: &str) -> String {
        let known = self.recent.iter().find(|known| known.id == id);
        known.map_or(id, Known::current).to_owned()
    }

    fn find(&self, status: &Status) -> Option<&Known> {
        self.recent.iter().find(|known| known.is(status))
    }
}

impl Known {
    fn is(&self, status: &Status) -> bool {
        self.current() == status.id || self.uri == mark(status.identity())
    }

    fn current(&self) -> &str {
        self.now.as_deref().unwrap_or(&self.id)
    }
}

fn edit_mark(status: &Status) -> Mark {
    mark(status.edited_at.as_deref().unwrap_or_default())
}

/// Short, because a cursor is written with every poll.
fn mark(text: &str) -> Mark {
    let hash = Sha256::digest(text);
    let bytes = hash.iter().take(8);
    bytes.fold(0, |mark, byte| (mark << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(id: &str) -> Status {
        let text = format!(
            "{{\"id\":\"{id}\",\"uri\":\"https://a.example/{}\"}}",
            &id[1..]
        );
        serde_json::from_str(&text).expect("a status")
    }

    fn place(ids: &[&str]) -> Place {
        let mut place = Place::start("7");
        for id in ids {
            place.note(&status(id));
        }
        place
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_for_its_account_only() {
        let place = place(&["a1", "a2"]);
        let cursor = place.to_cursor();
        assert_eq!(Place::from_cursor(&cursor, "7"), Some(place));
        assert_eq!(Place::from_cursor(&cursor, "8"), None);
    }

    #[test]
    fn what_a_page_is_yet_to_show_stands_above_what_was_read() {
        let place = place(&["8", "9"]);
        assert!(place.is_below(&status("10")) && place.is_below(&status("90")));
        assert!(!place.is_below(&status("9")) && !place.is_below(&status("7")));
    }

    #[test]
    fn only_what_the_page_reaches_can_be_missing() {
        let place = place(&["a1", "a2", "a3", "a4"]);
        assert_eq!(place.missing(&[status("a4"), status("a2")]), ["a3"]);
        assert_eq!(
            place.missing(&[status("a4"), status("a3")]),
            [] as [String; 0]
        );
        assert_eq!(place.missing(&[]), ["a1", "a2", "a3", "a4"]);
    }

    #[test]
    fn what_was_asked_for_and_is_there_comes_after_what_was_not_asked_for() {
        let mut place = place(&["a1", "a2", "a3", "a4"]);
        place.note_there("a1");
        let page = [status("a4")];
        assert_eq!(place.missing(&page), [] as [String; 0]);
        assert_eq!(place.missing(&[]), ["a2", "a3", "a4", "a1"]);
    }

    #[test]
    fn what_is_to_be_asked_for_is_not_forgotten_for_newer_ones() {
        let mut place = place(&["a1", "a2", "a3"]);
        place.leave_open(&["a1".to_owned(), "a3".to_owned()]);
        let newer: Vec<String> = (100..140).map(|number| format!("b{number}")).collect();
        newer.iter().for_each(|id| place.note(&status(id)));
        let mut page: Vec<Status> = newer.iter().map(|id| status(id)).collect();
        assert_eq!(place.missing(&page), ["a1", "a3"]);
        assert!(!place.knows(&status("a2")));
        let again = Place::from_cursor(&place.to_cursor(), "7").expect("is read");
        assert_eq!(again.missing(&page), ["a1", "a3"]);
        place.leave_open(&[]);
        place.note(&status("b140"));
        page.push(status("b140"));
        assert_eq!(place.missing(&page), [] as [String; 0]);
    }

    #[test]
    fn a_status_with_a_new_id_is_the_same_edited() {
        let mut place = place(&["a1", "a2"]);
        let edited = status("b1");
        assert!(place.knows(&edited) && place.is_edited(&edited));
        place.note_edit(&edited);
        assert!(!place.is_edited(&edited));
        assert_eq!(place.first_id("b1"), "a1");
        assert_eq!(place.current_id("a1"), "b1");
    }

    #[test]
    fn no_more_than_a_page_is_remembered() {
        let ids: Vec<String> = (100..200).map(|number| format!("a{number}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let place = place(&ids);
        assert!(place.knows(&status("a199")) && !place.knows(&status("a159")));
        assert!(place.to_cursor().0.len() < 4_000);
    }
}
