//! Changes and takes back what is out.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use log::error;

use super::answers::{Answer, note_error, note_published, verdict};
use super::persist::write_together;
use super::read_back::stored;
use super::send::{Batch, Sent};
use super::threads::Changed;
use super::{PublisherActor, Seat};
use crate::domain::{Part, Publication, PublicationState};
use crate::failpoints;
use crate::messages::Permit;
use crate::ports::{Errand, Kept, OutletError, OutletRemedy, PublicationRecord, Published};
use crate::setup::OnEdit;

/// What is done next with a publication whose turn it is.
pub(super) enum Step {
    /// Its next part is published.
    Publish,
    /// Its next part takes the place of this one.
    Edit(Published),
    /// These are taken back.
    TakeBack(Vec<Published>),
}

impl Step {
    /// What is done next.
    pub(super) fn of(record: &PublicationRecord) -> Self {
        let parts = &record.publication.parts;
        let next = parts.iter().position(|part| part.id.is_none());
        match (&record.errand, next) {
            (Errand::Publish, _) => Self::Publish,
            (Errand::Edit(_, standing), Some(next)) => match standing.get(next) {
                Some(published) => Self::Edit(published.clone()),
                None => Self::Publish,
            },
            (Errand::Edit(_, standing), None) => {
                Self::TakeBack(standing.get(parts.len()..).unwrap_or_default().to_vec())
            }
            (Errand::Repost(_, standing), _) => Self::TakeBack(standing.clone()),
            (Errand::Delete, _) => Self::TakeBack(published_parts(&record.publication)),
        }
    }
}

/// Whether a part of a publication takes the place of one that is out, which can be done twice.
pub(super) fn is_edit(record: &PublicationRecord, part: usize) -> bool {
    matches!(&record.errand, Errand::Edit(_, standing) if part < standing.len())
}

/// The parts of a publication that are out.
fn published_parts(publication: &Publication) -> Vec<Published> {
    let out = publication.parts.iter().filter_map(|part| {
        Some(Published {
            id: part.id.clone()?,
            url: part.url.clone(),
        })
    });
    out.collect()
}

impl PublisherActor {
    /// Has an edit take the place of what is out of its post, as the outlet wants it; answers
    /// whether it is seen to.
    pub(super) fn replace(
        &mut self,
        seat: &Seat,
        mut earlier: PublicationRecord,
        mut record: PublicationRecord,
    ) -> bool {
        let (at, id) = (self.clock.wall(), record.publication.id);
        let is_late = at.since(earlier.at) > seat.repost_within;
        let standing = published_parts(&earlier.publication);
        if earlier.state == PublicationState::Published
            && standing.len() < earlier.publication.parts.len()
        {
            let why = "its post was edited, but nobody knows under which id it is out here";
            return self.put_into(record, PublicationState::Deleted, why);
        }
        let errand = match seat.on_edit {
            OnEdit::Edit => Errand::Edit(earlier.publication.id, standing),
            OnEdit::Repost if !is_late => Errand::Repost(earlier.publication.id, standing),
            OnEdit::Repost | OnEdit::Leave => {
                let why = "its post was edited, but what is out stays as it is here";
                return self.put_into(record, PublicationState::Deleted, why);
            }
        };
        let earlier_id = earlier.publication.id;
        let (Some(under_way), Some(earlier_under_way)) =
            (self.book.look(id), self.book.look(earlier_id))
        else {
            return false;
        };
        self.take_out(&seat.name, id);
        record.errand = errand;
        record.at = at;
        let publication = Arc::make_mut(&mut record.publication);
        publication.thread.clone_from(&earlier.publication.thread);
        publication.place = earlier.publication.place;
        quote_as(publication, &earlier.publication);
        stand_alone_as(publication, &earlier.publication);
        earlier.state = PublicationState::Deleted;
        earlier.why = Some("its post was edited, and the edit takes its place".into());
        earlier.at = at;
        let (store, own) = (Rc::clone(&self.store), self.own.clone());
        actix_rt::spawn(async move {
            let mut records = vec![record, earlier];
            let token = store.token();
            // One commit, so that what is out always belongs to one of them.
            if write_together(&*store, &mut records, token).await == Kept::Ghost {
                // One of them was withdrawn since the store was asked, so it is asked again.
                records = stored(&*store, id).await.into_iter().collect();
            }
            drop((under_way, earlier_under_way));
            own.do_send(Changed(records));
        });
        true
    }
}

/// Has an edit show as quoted what its post is out with.
fn quote_as(edit: &mut Publication, earlier: &Publication) {
    let (Some(attached), Some(before)) = (&mut edit.attached, &earlier.attached) else {
        return;
    };
    if attached.quoted_post == before.quoted_post && attached.quoted_as != before.quoted_as {
        Arc::make_mut(attached)
            .quoted_as
            .clone_from(&before.quoted_as);
    }
}

/// Has an edit answer nothing where its post went out alone, because a person wanted it so: once
/// what is out is taken back, it would be held for what it answers.
fn stand_alone_as(edit: &mut Publication, earlier: &Publication) {
    let parent = |it: &Publication| it.attached.as_ref().and_then(|it| it.parent.clone());
    if parent(earlier).is_none()
        && parent(edit).is_some()
        && let Some(attached) = &mut edit.attached
    {
        Arc::make_mut(attached).parent = None;
    }
}

impl Batch {
    /// Puts the next part of the only publication into the place of one that is out.
    pub(super) async fn edit(mut self, permit: Permit, published: Published) -> Sent {
        let frozen = match self.freeze().await {
            Ok(frozen) => frozen,
            Err(error) if error.remedy() == OutletRemedy::GiveUp => {
                return self.refuse(error).await;
            }
            Err(error) => return self.not_sent(error),
        };
        let frozen = self.write_sending(frozen).await;
        let begun = self.clock.now();
        let mut answers = Vec::with_capacity(1);
        for frozen in &frozen {
            let editing = async {
                failpoints::hit("publisher.edit");
                self.seat.outlet.edit(frozen, &published).await
            };
            let answer = AssertUnwindSafe(editing).catch_unwind().await;
            answers.push(plain(answer.unwrap_or_else(|_| Err(panicked()))));
        }
        self.count("edit", begun, answers.iter().any(Result::is_err));
        permit.settle(verdict(&answers, self.spent(&frozen, &answers)), Vec::new());
        let at = self.clock.wall();
        let mut failure = None;
        if let (Some(record), Some(answer)) = (self.records.first_mut(), answers.pop()) {
            record.at = at;
            match answer {
                Ok(published) => note_published(record, published),
                Err(error) => failure = Some(error),
            }
        }
        self.end_unless(failure).await
    }

    /// Takes back what is out of the only publication, or of the one whose place it takes.
    pub(super) async fn take_back(mut self, permit: Permit, standing: Vec<Published>) -> Sent {
        let begun = self.clock.now();
        let mut answers: Vec<Answer> = Vec::new();
        // The last first, so that what is left is a beginning.
        for published in standing.into_iter().rev() {
            let deleting = async {
                failpoints::hit("publisher.delete");
                self.seat.outlet.delete(&published).await
            };
            let answer = AssertUnwindSafe(deleting).catch_unwind().await;
            let answer = plain(answer.unwrap_or_else(|_| Err(panicked())));
            let is_error = answer.is_err();
            answers.push(answer.map(|()| published));
            if is_error {
                break;
            }
        }
        self.count("delete", begun, answers.iter().any(Result::is_err));
        let n_gone = answers.iter().filter(|answer| answer.is_ok()).count();
        let cost_usd = self.seat.outlet.cost_of_deletion() * n_gone as f64;
        permit.settle(verdict(&answers, cost_usd), Vec::new());
        let failure = answers.pop().and_then(Result::err);
        let at = self.clock.wall();
        if let (Some(record), None) = (self.records.first_mut(), &failure) {
            record.at = at;
            note_taken_back(record);
        }
        self.end_unless(failure).await
    }

    /// Ends with what kept the only publication from being changed, if anything did.
    async fn end_unless(mut self, failure: Option<OutletError>) -> Sent {
        if let (Some(record), Some(error)) = (self.records.first_mut(), &failure) {
            note_error(record, error);
        }
        self.end(failure).await
    }

    /// Sees to it that all that is out belongs to one publication, where one that changes what is
    /// out was refused: it keeps it, or the earlier one gets its place back.
    pub(super) async fn settle_refused(&mut self) {
        let mut reinstated = Vec::new();
        for record in &mut self.records {
            if record.state != PublicationState::Refused {
                continue;
            }
            match std::mem::take(&mut record.errand) {
                Errand::Publish => (),
                Errand::Delete => {
                    // It stays out, and keeps its errand, so that it is known to be in vain.
                    record.errand = Errand::Delete;
                    record.state = state_with_what_is_out(&record.publication);
                }
                Errand::Repost(earlier, _) => {
                    reinstated.extend(stored(&*self.store, earlier).await);
                }
                Errand::Edit(earlier, standing) => {
                    let Some(mut earlier) = stored(&*self.store, earlier).await else {
                        // It was forgotten meanwhile, so what is out stays where it is.
                        continue;
                    };
                    let publication = Arc::make_mut(&mut record.publication);
                    let n_parts = publication.parts.len();
                    if published_parts(publication).len() == n_parts && n_parts < standing.len() {
                        // Only what is too much could not be taken back.
                        let rest = earlier.publication.parts.iter().skip(n_parts);
                        let rest = rest.filter(|part| part.id.is_some()).cloned();
                        publication.parts.extend(rest);
                        record.state = PublicationState::Published;
                        continue;
                    }
                    give_parts(publication, Arc::make_mut(&mut earlier.publication));
                    reinstated.push(earlier);
                }
            }
        }
        for earlier in &mut reinstated {
            earlier.state = state_with_what_is_out(&earlier.publication);
            earlier.why = Some("its post was edited, but the edit was refused".into());
            earlier.at = self.clock.wall();
        }
        self.records.extend(reinstated);
    }
}

/// Gives what is out of an edit to the publication whose place it was to take.
fn give_parts(edit: &mut Publication, earlier: &mut Publication) {
    for (at, part) in edit.parts.iter_mut().enumerate() {
        let never_out = Part::new(Arc::clone(&part.text));
        let part = std::mem::replace(part, never_out);
        if part.id.is_none() {
            continue;
        }
        match earlier.parts.get_mut(at) {
            Some(place) => *place = part,
            None => earlier.parts.push(part),
        }
    }
}

/// The state of a publication that keeps what is out of it: the rest was refused, if there is any.
fn state_with_what_is_out(publication: &Publication) -> PublicationState {
    if publication.parts.iter().all(|part| part.id.is_some()) {
        PublicationState::Published
    } else {
        PublicationState::Refused
    }
}

/// Notes that what stood in the way, or was to go, is gone.
fn note_taken_back(record: &mut PublicationRecord) {
    record.frozen = None;
    record.state = match std::mem::take(&mut record.errand) {
        Errand::Edit(..) => PublicationState::Published,
        Errand::Delete => PublicationState::Deleted,
        Errand::Repost(..) | Errand::Publish => PublicationState::Planned,
    };
}

/// What can be done twice is done again, so that an ambiguous answer is just none.
pub(super) fn plain<T>(answer: Result<T, OutletError>) -> Result<T, OutletError> {
    answer.map_err(|error| match error {
        OutletError::Ambiguous { detail } => OutletError::Unreachable { detail },
        other => other,
    })
}

pub(super) fn panicked() -> OutletError {
    error!("an outlet panicked while it changed what is out");
    OutletError::Unreachable {
        detail: "the outlet panicked".to_owned(),
    }
}
