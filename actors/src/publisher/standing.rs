//! Finds where a post stands at an outlet, through all that was made of it.

use std::sync::Arc;

use crate::domain::{
    Language, OutletName, Publication, PublicationId, PublicationState, RequestId, SourceName,
    Thread,
};
use crate::ports::{Abilities, Ended, Errand, PublicationRecord, StoreError, TaskStore};

/// Why what answers a refused post is lost.
const REFUSED: &str = "the post that it answers was refused";

/// Why an edit of what was never taken at its outlet is not published; answers pass it over.
pub(super) const NOT_TAKEN: &str = "its post was edited, and not published here before";

/// Where one request stands at an outlet; nowhere if it is not wanted there, or was forgotten.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is out.
    Out(Box<PublicationRecord>),
    /// Some of its parts are out, and the rest was refused.
    Partly(Box<PublicationRecord>),
    /// It waits, and nothing of it is out.
    Waiting(Box<PublicationRecord>),
    /// Its outlet has it, and publishes it at its time.
    Scheduled(Box<PublicationRecord>),
    /// It may be out, or may still come; its publication, if there is one.
    Pending(Option<Before>),
    /// It will not come out.
    Lost(&'static str),
}

/// A publication that another waits for, as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before {
    pub(super) id: PublicationId,
    pub(super) state: PublicationState,
}

/// What of an outlet's a publication belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    /// What it answers.
    pub(super) thread: Option<Thread>,
    /// The id of what it quotes.
    pub(super) quoted: Option<Arc<str>>,
}

/// What has to happen before a publication can go out.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing.
    Free(Ties),
    /// Something else has to be out first; this publication, if there is one already.
    Wait(Option<Before>),
    /// The earlier publication of its post, of which nothing is out, has to be dropped, or taken
    /// back where its outlet is to publish it.
    Drop(Box<PublicationRecord>),
    /// The earlier publication of its post is out, or a part of it.
    Replace(Box<PublicationRecord>),
    /// What it answers will not come out.
    Lost(&'static str),
    /// It is an edit, and nothing of its post was ever to be out here.
    NotTaken,
    /// Its post was deleted, of which its outlet has not heard.
    Gone,
    /// Its post was edited, and the edit does not come to its outlet.
    EditedElsewhere,
}

impl Before {
    fn of(record: &PublicationRecord) -> Self {
        Self {
            id: record.publication.id,
            state: record.state,
        }
    }
}

impl Verdict {
    /// The same with one more that has to be out first; what is not planned yet comes before all.
    fn waiting_for(self, before: Option<Before>) -> Self {
        match self {
            Self::Wait(earlier) => Self::Wait(earlier.filter(|_| before.is_some())),
            _ => Self::Wait(before),
        }
    }
}

/// The posts that a publication has to wait for at an outlet that can do so much.
pub(super) fn awaited(record: &PublicationRecord, abilities: Abilities) -> Vec<Arc<str>> {
    let publication = &record.publication;
    if record.errand != Errand::Publish || is_begun(publication) {
        return Vec::new();
    }
    let quoted = quoted_post(publication).filter(|_| abilities.quotes);
    let own = publication.revises.map(|_| Arc::clone(&publication.post));
    let mut posts = Vec::from_iter(own);
    if publication.thread.is_none()
        && let Some(attached) = &publication.attached
    {
        posts.extend(attached.parent.clone());
    }
    posts.extend(quoted);
    posts
}

/// The post that a publication quotes, where it is not known yet what is out of it.
fn quoted_post(publication: &Publication) -> Option<Arc<str>> {
    let attached = publication.attached.as_ref();
    let attached = attached.filter(|attached| attached.quoted_as.is_none())?;
    attached.quoted_post.clone()
}

/// Whether anything of a publication is out.
pub(super) fn is_begun(publication: &Publication) -> bool {
    publication.parts.iter().any(|part| part.id.is_some())
}

/// What has to happen before this publication can go out at an outlet that can do so much, and
/// publishes as that account.
pub(super) async fn judge(
    store: &dyn TaskStore,
    publication: &Publication,
    (abilities, place): (Abilities, Option<u64>),
) -> Result<Verdict, StoreError> {
    if let Some(revises) = publication.revises {
        let revisions = revisions(store, revises, &[Stand::of(publication, place)]).await?;
        if revisions.standings.is_empty() {
            return Ok(Verdict::NotTaken);
        }
        for standing in revisions.standings {
            match standing {
                Standing::Waiting(record) | Standing::Scheduled(record) => {
                    return Ok(Verdict::Drop(record));
                }
                Standing::Out(record) | Standing::Partly(record) => {
                    return Ok(Verdict::Replace(record));
                }
                Standing::Pending(before) => return Ok(Verdict::Wait(before)),
                Standing::Lost(_) => (),
            }
        }
    }
    let verdict = parent(store, publication, place).await?;
    match (verdict, quoted_post(publication)) {
        (Verdict::Free(ties), Some(post)) if abilities.quotes => {
            quoted(store, (publication, place), post, ties).await
        }
        (verdict, _) => Ok(verdict),
    }
}

/// What became of the post that a publication quotes, at the same outlet; where nothing of it
/// will be out, the quotation is left to its address.
async fn quoted(
    store: &dyn TaskStore,
    (publication, place): (&Publication, Option<u64>),
    post: Arc<str>,
    ties: Ties,
) -> Result<Verdict, StoreError> {
    let source = SourceName::from(&*publication.source);
    let Some(newest) = store.request_of_post(source, post).await? else {
        return Ok(Verdict::Free(ties));
    };
    let mut verdict = None;
    let revisions = revisions(store, newest, &[Stand::of(publication, place)]).await?;
    for standing in revisions.standings {
        match standing {
            Standing::Out(record) | Standing::Partly(record) => {
                let first = record.publication.parts.first();
                let quoted = first.and_then(|part| part.id.clone());
                return Ok(Verdict::Free(Ties { quoted, ..ties }));
            }
            Standing::Waiting(record) | Standing::Scheduled(record) => {
                verdict = Some(Verdict::Wait(Some(Before::of(&record))));
            }
            Standing::Pending(before) => verdict = Some(Verdict::Wait(before)),
            Standing::Lost(_) => (),
        }
    }
    Ok(verdict.unwrap_or(Verdict::Free(ties)))
}

/// What became of the post that a publication answers, at the same outlet.
pub(super) async fn parent(
    store: &dyn TaskStore,
    publication: &Publication,
    place: Option<u64>,
) -> Result<Verdict, StoreError> {
    let attached = publication.attached.as_ref();
    let post = attached.and_then(|attached| attached.parent.clone());
    let free = |thread| {
        Verdict::Free(Ties {
            thread,
            quoted: None,
        })
    };
    let Some(post) = post.filter(|_| publication.thread.is_none()) else {
        return Ok(free(None));
    };
    let source = SourceName::from(&*publication.source);
    let Some(newest) = store.request_of_post(source, post).await? else {
        return Ok(free(None));
    };
    let mut verdict = free(None);
    let revisions = revisions(store, newest, &[Stand::of(publication, place)]).await?;
    for standing in revisions.standings {
        match (standing, &verdict) {
            // An edit that is yet to come changes it in its place.
            (Standing::Out(record), _) => {
                return Ok(free(end_of(&record.publication)));
            }
            (Standing::Waiting(record) | Standing::Scheduled(record), _) => {
                verdict = verdict.waiting_for(Some(Before::of(&record)));
            }
            (Standing::Pending(before), _) => verdict = verdict.waiting_for(before),
            (Standing::Partly(_), Verdict::Free(_)) => verdict = Verdict::Lost(REFUSED),
            (Standing::Lost(why), Verdict::Free(_)) => verdict = Verdict::Lost(why),
            (Standing::Partly(_) | Standing::Lost(_), _) => (),
        }
    }
    Ok(verdict)
}

/// Where a request and all that it revises stand.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    /// At each outlet that was asked for, the newest first.
    pub(super) standings: Vec<Standing>,
    /// How often the store was read for it.
    pub(super) n_reads: usize,
    /// Whether nothing of it stands in the store any more.
    pub(super) is_forgotten: bool,
}

/// An outlet where something may stand.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) outlet: OutletName,
    /// The language that it receives.
    pub(super) language: Language,
    /// Names the account that publishes there now.
    pub(super) place: Option<u64>,
}

impl Stand {
    fn of(publication: &Publication, place: Option<u64>) -> Self {
        Self {
            outlet: publication.outlet.clone(),
            language: publication.language.clone(),
            place,
        }
    }

    /// Whether a publication is this outlet's, and what is out of it stands at its account.
    fn has(&self, publication: &Publication) -> bool {
        publication.outlet == self.outlet && !is_elsewhere(publication, self.place)
    }
}

/// Whether what is out of a publication stands at another account than that.
pub(super) fn is_elsewhere(publication: &Publication, place: Option<u64>) -> bool {
    let there = publication.place.zip(place);
    there.is_some_and(|(there, here)| there != here)
}

/// Where a request and all that it revises stand at outlets.
pub(super) async fn revisions(
    store: &dyn TaskStore,
    newest: RequestId,
    outlets: &[Stand],
) -> Result<Revisions, StoreError> {
    let mut found = Revisions::default();
    let mut next = Some(newest);
    while let Some(request) = next {
        let tasks = store.request(request).await?;
        found.n_reads += 1;
        found.is_forgotten = request == newest && tasks.is_empty();
        next = tasks.first().and_then(|first| first.task.request.revises);
        for task in tasks {
            let same = outlets.iter();
            let same = same.filter(|stand| task.task.target == stand.language);
            let same: Vec<&Stand> = same.collect();
            if same.is_empty() {
                continue;
            }
            let records = match task.ended {
                None => {
                    found.standings.push(Standing::Pending(None));
                    continue;
                }
                Some(Ended::Failed(_)) => {
                    let why = "the post that it answers was not translated";
                    found.standings.push(Standing::Lost(why));
                    continue;
                }
                Some(Ended::Completed(_)) => store.publications_of(task.task.id).await?,
            };
            found.n_reads += 1;
            let there = records.into_iter();
            let there =
                there.filter(|record| same.iter().any(|stand| stand.has(&record.publication)));
            let there = there.filter(|record| record.why.as_deref() != Some(NOT_TAKEN));
            found.standings.extend(there.map(standing_of));
        }
    }
    Ok(found)
}

fn standing_of(record: PublicationRecord) -> Standing {
    match record.state {
        PublicationState::Published => Standing::Out(Box::new(record)),
        PublicationState::Held => Standing::Waiting(Box::new(record)),
        PublicationState::Scheduled => Standing::Scheduled(Box::new(record)),
        PublicationState::Planned
            if record.errand == Errand::Publish && !is_begun(&record.publication) =>
        {
            Standing::Waiting(Box::new(record))
        }
        PublicationState::Planned | PublicationState::Sending | PublicationState::Unknown => {
            Standing::Pending(Some(Before::of(&record)))
        }
        PublicationState::Refused if is_begun(&record.publication) => {
            Standing::Partly(Box::new(record))
        }
        PublicationState::Refused => Standing::Lost(REFUSED),
        PublicationState::Deleted => Standing::Lost("the post that it answers was deleted"),
    }
}

/// What answers a publication that is out: its last part, in its thread.
fn end_of(publication: &Publication) -> Option<Thread> {
    let first = publication.parts.first()?.id.clone()?;
    let thread = publication.thread.as_ref();
    Some(Thread {
        root: thread.map_or(first, |thread| Arc::clone(&thread.root)),
        parent: publication.parts.last()?.id.clone()?,
    })
}
