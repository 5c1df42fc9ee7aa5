//! The glossaries that we keep at an account: one for each pair of languages and version.
//!
//! They are found by their name, so that a restart makes no second one; those of the same owner
//! and pair that bear another version, or the same name once more, are deleted; those of pairs that
//! nobody wants go only where they take the room of another.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use babelfeed_actors::domain::{Guide, Term};
use babelfeed_actors::ports::{Pack, ProviderError};
use log::{debug, warn};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::connection::Connection;
use super::languages;
use crate::http::Response;
use crate::providers::wire::{ErrorBody, excerpt};
use crate::providers::{Deadline, unanswered};

/// How long is waited until a new glossary is looked at again, and how often.
const READY_WAIT: Duration = Duration::from_millis(300);
const READY_LOOKS: usize = 10;
/// How long an account is believed that it cannot have a glossary: there may be room again.
const REFUSED: Duration = Duration::from_secs(3_600);

/// What is known of the glossaries of one provider; shared by its adapters on all arbiters.
#[derive(Debug, Default)]
pub struct Glossaries(Mutex<HashMap<String, Slot>>);

/// What is known of a pair's glossary; whoever finds it out holds the lock meanwhile, so that
/// nobody makes a second one.
type Slot = Arc<tokio::sync::Mutex<Option<Known>>>;

#[derive(Clone, Debug)]
struct Known {
    version: Arc<str>,
    /// None where the account cannot have it.
    id: Option<Arc<str>>,
    found_at: Instant,
}

impl Known {
    /// Whether it can be gone by for this version.
    fn holds_for(&self, version: &Arc<str>) -> bool {
        self.version == *version && (self.id.is_some() || self.found_at.elapsed() < REFUSED)
    }
}

impl Glossaries {
    /// The id of the glossary that is wanted; none where the account cannot have it.
    pub(super) async fn id_of(
        &self,
        wanted: &Wanted<'_>,
        connection: &Connection,
        deadline: Deadline,
    ) -> Result<Option<Arc<str>>, ProviderError> {
        let slot = self.slot(wanted);
        let locked = tokio::time::timeout(deadline.left()?, slot.lock());
        let Ok(mut known) = locked.await else {
            return Err(unanswered("timed out while a glossary is made"));
        };
        if let Some(known) = &*known
            && known.holds_for(&wanted.guide.version)
        {
            return Ok(known.id.clone());
        }
        let found = Search {
            all: self,
            wanted,
            connection,
            deadline,
        };
        let id = match found.run().await {
            Ok(id) => Some(id),
            Err(Trouble::Call(error)) => return Err(error),
            Err(Trouble::Refused(detail)) => {
                warn!(glossary = wanted.name(), cause = detail; "glossary refused, translating without it");
                None
            }
        };
        *known = Some(Known {
            version: Arc::clone(&wanted.guide.version),
            id: id.clone(),
            found_at: Instant::now(),
        });
        Ok(id)
    }

    /// Forgets a glossary that is not there any more.
    pub(super) async fn forget(&self, wanted: &Wanted<'_>, id: &str) {
        let slot = self.slot(wanted);
        let mut known = slot.lock().await;
        if known
            .as_ref()
            .is_some_and(|it| it.id.as_deref() == Some(id))
        {
            *known = None;
        }
    }

    fn slot(&self, wanted: &Wanted<'_>) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(wanted.prefix.clone()).or_default())
    }

    /// Whether somebody has wanted a glossary of the pair that this name tells.
    fn has_slot_of(&self, name: &str) -> bool {
        let slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.keys().any(|prefix| name.starts_with(prefix.as_str()))
    }
}

/// The glossary that a pack goes by.
pub(super) struct Wanted<'a> {
    guide: &'a Guide,
    source: &'a str,
    target: &'a str,
    /// What the names of all glossaries of this owner begin with.
    owned: String,
    /// What the names of all versions begin with.
    prefix: String,
    /// Terms and translations, a pair a line.
    entries: String,
}

impl<'a> Wanted<'a> {
    /// What a pack wants; none without terms, or where a glossary cannot be used: DeepL needs
    /// to be told both languages, and they must be two.
    pub(super) fn of(pack: &'a Pack, owner: &str) -> Option<Self> {
        let guide = pack.guide.as_deref()?;
        let from = pack.pair.source.as_ref()?;
        let source = languages::of_glossary(from);
        let target = languages::of_glossary(&pack.pair.target);
        let entries = entries(&guide.terms);
        let owned = format!("babelfeed {owner} ");
        (source != target && !entries.is_empty()).then(|| Self {
            guide,
            source,
            target,
            // By their whole tags: `pt-BR` and `pt-PT` have guides of their own.
            prefix: format!("{owned}{from}:{} ", pack.pair.target),
            owned,
            entries,
        })
    }

    fn name(&self) -> String {
        format!("{}{}", self.prefix, self.guide.version)
    }
}

/// The terms as tab-separated values: no term twice, none without a translation.
fn entries(terms: &[Term]) -> String {
    let mut seen = HashSet::new();
    let lines = terms.iter().filter_map(|term| {
        let (source, target) = (one_line(&term.source), one_line(&term.target));
        let is_new = !source.is_empty() && !target.is_empty() && seen.insert(source.clone());
        is_new.then(|| format!("{source}\t{target}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_whitespace() || letter.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Why there is no glossary.
enum Trouble {
    /// The call failed, and may be made again.
    Call(ProviderError),
    /// The account refuses it, and would again.
    Refused(String),
}

impl From<ProviderError> for Trouble {
    fn from(error: ProviderError) -> Self {
        Self::Call(error)
    }
}

/// One look for a glossary, which is made where it is not found.
struct Search<'a> {
    all: &'a Glossaries,
    wanted: &'a Wanted<'a>,
    connection: &'a Connection,
    deadline: Deadline,
}

impl Search<'_> {
    async fn run(&self) -> Result<Arc<str>, Trouble> {
        let name = self.wanted.name();
        let prefix = self.wanted.prefix.as_str();
        let ours = self.ours().await?.into_iter();
        let (mut ours, others): (Vec<_>, Vec<_>) = ours.partition(|it| it.name.starts_with(prefix));
        // The eldest of equal names stays, whoever looks: so two who look do not undo each other.
        ours.sort_by(|one, other| {
            (&one.creation_time, &one.glossary_id).cmp(&(&other.creation_time, &other.glossary_id))
        });
        let found = ours.iter().position(|it| it.name == name);
        let found = found.map(|at| ours.remove(at));
        // First the old ones go: an account may have few, and nothing uses them any more.
        for old in ours {
            self.delete(&old).await;
        }
        let glossary = match found {
            Some(glossary) => glossary,
            None => self.create_among(others, &name).await?,
        };
        self.until_ready(glossary).await
    }

    /// Makes it; where that is refused, once more without those of pairs that nobody wants: an
    /// account may have few, and whoever does want one makes it anew.
    async fn create_among(&self, others: Vec<Glossary>, name: &str) -> Result<Glossary, Trouble> {
        let created = self.create(name).await;
        let others = others.into_iter();
        let unwanted: Vec<_> = others
            .filter(|it| !self.all.has_slot_of(&it.name))
            .collect();
        if unwanted.is_empty() || !matches!(created, Err(Trouble::Refused(_))) {
            return created;
        }
        for old in unwanted {
            self.delete(&old).await;
        }
        self.create(name).await
    }

    /// The glossaries of this owner, whatever their pair and version.
    async fn ours(&self) -> Result<Vec<Glossary>, Trouble> {
        #[derive(Deserialize)]
        struct List {
            glossaries: Vec<Glossary>,
        }
        let response = self.connection.list_glossaries(self.deadline).await?;
        let list: List = self.read(&response).await?;
        let all = list.glossaries.into_iter();
        Ok(all
            .filter(|it| it.name.starts_with(&self.wanted.owned))
            .collect())
    }

    async fn create(&self, name: &str) -> Result<Glossary, Trouble> {
        let new = New {
            name,
            source_lang: self.wanted.source,
            target_lang: self.wanted.target,
            entries: &self.wanted.entries,
            entries_format: "tsv",
        };
        let body = serde_json::to_vec(&new).expect("strings alone always become JSON");
        let response = self.connection.create_glossary(body, self.deadline).await?;
        self.read(&response).await
    }

    /// Deletes one of ours; what does not go now goes at the next look.
    async fn delete(&self, old: &Glossary) {
        let id = &old.glossary_id;
        let gone = self.connection.delete_glossary(id, self.deadline).await;
        let is_gone = gone.is_ok_and(|it| it.is_success() || it.status == 404);
        debug!(glossary = old.name, is_gone; "an old glossary is deleted");
    }

    async fn until_ready(&self, mut glossary: Glossary) -> Result<Arc<str>, Trouble> {
        for _ in 0..READY_LOOKS {
            if glossary.ready {
                return Ok(glossary.glossary_id.as_str().into());
            }
            tokio::time::sleep(READY_WAIT.min(self.deadline.left()?)).await;
            let id = &glossary.glossary_id;
            let response = self.connection.show_glossary(id, self.deadline).await?;
            glossary = self.read(&response).await?;
        }
        Err(Trouble::Call(unanswered(
            "a glossary that does not become ready",
        )))
    }

    async fn read<T: for<'de> Deserialize<'de>>(&self, response: &Response) -> Result<T, Trouble> {
        if response.is_success() {
            return serde_json::from_slice(&response.body).map_err(|_| {
                let body = excerpt(&String::from_utf8_lossy(&response.body));
                Trouble::Call(unanswered(&format!("an answer about no glossary: {body}")))
            });
        }
        // What the route itself refuses says nothing of texts, and texts do without it.
        if matches!(response.status, 400 | 403 | 404 | 405 | 413 | 456) {
            let message = ErrorBody::parse(&response.body).message;
            return Err(Trouble::Refused(format!(
                "status {}: {}",
                response.status,
                excerpt(&message)
            )));
        }
        let error = self.connection.error_of(response, self.deadline).await;
        Err(Trouble::Call(error))
    }
}

#[derive(Serialize)]
struct New<'a> {
    name: &'a str,
    source_lang: &'a str,
    target_lang: &'a str,
    entries: &'a str,
    entries_format: &'a str,
}

#[derive(Deserialize)]
struct Glossary {
    glossary_id: String,
    name: String,
    #[serde(default = "yes")]
    ready: bool,
    #[serde(default)]
    creation_time: String,
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn term(source: &str, target: &str) -> Term {
        Term {
            source: source.into(),
            target: target.into(),
        }
    }

    #[test]
    fn entries_hold_each_term_once_on_a_line_of_its_own() {
        let terms = [
            term("ferry", "transbordador"),
            term(" the\told\nharbour ", "el puerto viejo"),
            term("ferry", "barco"),
            term("", "nada"),
            term("nothing", " \n"),
        ];
        assert_eq!(
            entries(&terms),
            "ferry\ttransbordador\nthe old harbour\tel puerto viejo"
        );
    }

    #[test]
    fn only_terms_between_two_known_languages_want_a_glossary() {
        let pack = |source: Option<&str>, target: &str, terms: Vec<Term>| Pack {
            pair: babelfeed_actors::domain::Pair {
                source: source.map(|tag| tag.parse().expect("a tag")),
                target: target.parse().expect("a tag"),
            },
            items: Vec::new(),
            max_tokens: None,
            guide: Some(Arc::new(Guide {
                terms,
                version: "7".into(),
                ..Guide::default()
            })),
        };
        let terms = || vec![term("ferry", "balsa")];
        let wanted = pack(Some("en-GB"), "pt-BR", terms());
        let wanted = Wanted::of(&wanted, "deepl").expect("a glossary");
        assert_eq!(wanted.name(), "babelfeed deepl en-GB:pt-BR 7");
        for other in [
            pack(None, "es", terms()),
            pack(Some("en-GB"), "en-US", terms()),
            pack(Some("en"), "es", Vec::new()),
        ] {
            assert!(Wanted::of(&other, "deepl").is_none());
        }
    }
}
