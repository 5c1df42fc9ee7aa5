//! What an outlet's answer means for a publication, or for the outlet's lane.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Publication, PublicationState, Timestamp};
use crate::messages::Verdict;
use crate::ports::{Errand, OutletError, OutletRemedy, PublicationRecord, Published};

/// What an outlet says of a part that it was given.
pub(super) type Answer = Result<Published, OutletError>;

/// Notes each answer in its record, and returns the gravest error.
pub(super) fn note_answers(
    records: &mut [PublicationRecord],
    answers: Vec<Answer>,
    at: Timestamp,
) -> Option<OutletError> {
    let mut gravest = None;
    for (record, answer) in records.iter_mut().zip(answers) {
        record.at = at;
        match answer {
            Ok(published) => note_published(record, published),
            Err(OutletError::Scheduled { wait }) => note_scheduled(record, wait),
            Err(error) => {
                note_error(record, &error);
                if gravest
                    .as_ref()
                    .is_none_or(|other| gravity(other) < gravity(&error))
                {
                    gravest = Some(error);
                }
            }
        }
    }
    gravest
}

/// Notes that the frozen part is out; the next part is planned, if there is one.
pub(super) fn note_published(record: &mut PublicationRecord, published: Published) {
    let Some(fate) = record.frozen.take() else {
        return;
    };
    let mut publication = Publication::clone(&record.publication);
    if let Some(part) = publication.parts.get_mut(fate.part) {
        part.id = Some(published.id);
        part.url = published.url;
    }
    let is_out = publication.parts.iter().all(|part| part.id.is_some());
    record.publication = Arc::new(publication);
    record.why = None;
    record.attempts = 0;
    let has_leftovers = matches!(
        &record.errand,
        Errand::Edit(_, standing) if standing.len() > record.publication.parts.len()
    );
    record.state = if is_out && !has_leftovers {
        record.errand = Errand::Publish;
        PublicationState::Published
    } else {
        PublicationState::Planned
    };
}

/// Notes that the outlet has the frozen part, and publishes it after so long.
pub(super) fn note_scheduled(record: &mut PublicationRecord, wait: Duration) {
    record.state = PublicationState::Scheduled;
    let until = record.at.plus(wait);
    record.why = Some(format!("the outlet publishes it at {until}").into());
}

/// Notes that the outlet did not take the frozen part, or may not have.
pub(super) fn note_error(record: &mut PublicationRecord, error: &OutletError) {
    record.why = Some(error.to_string().into());
    record.state = match error.remedy() {
        OutletRemedy::Retry(_) | OutletRemedy::Person => PublicationState::Planned,
        OutletRemedy::GiveUp => PublicationState::Refused,
        OutletRemedy::ReadBack | OutletRemedy::Await(_) => PublicationState::Unknown,
    };
    if record.state != PublicationState::Unknown {
        // It is proved not to have left.
        record.frozen = None;
        record.attempts = record.attempts.saturating_sub(1);
    }
}

/// How much an error says of the outlet, and not of one part alone.
fn gravity(error: &OutletError) -> u8 {
    match error.remedy() {
        OutletRemedy::GiveUp => 0,
        OutletRemedy::ReadBack | OutletRemedy::Await(_) => 1,
        OutletRemedy::Retry(_) => 2,
        OutletRemedy::Person => 3,
    }
}

/// What a call was, as far as the outlet's lane is concerned; what is only perhaps out counts as
/// it was reserved.
pub(super) fn verdict(answers: &[Answer], cost_usd: f64) -> Verdict {
    let failures = answers.iter().filter(|answer| is_failure(answer));
    let errors = failures.filter_map(|answer| answer.as_ref().err());
    match errors.max_by_key(|error| gravity(error)) {
        None if answers.is_empty() => Verdict::Unused,
        None | Some(OutletError::Rejected { .. }) => Verdict::Answered {
            tokens: None,
            cost_usd: Some(cost_usd),
        },
        Some(OutletError::Busy { wait, .. }) => Verdict::Bounced { wait: *wait },
        // Proved not to be made, so it was not paid for either.
        Some(
            OutletError::Unreachable { .. } | OutletError::Auth { .. } | OutletError::Unpaid { .. },
        ) => Verdict::Unused,
        Some(OutletError::Ambiguous { .. } | OutletError::Scheduled { .. }) => {
            Verdict::Spent { tokens: None }
        }
    }
}

/// Whether a part was not taken; one that is scheduled was.
pub(super) fn is_failure(answer: &Answer) -> bool {
    matches!(answer, Err(error) if !matches!(error, OutletError::Scheduled { .. }))
}
