//! Leaving it to the server to publish a part at its time, so that a person can look at it there
//! and take it back.
//!
//! What waits has an id of its own list, which is no status's: the status is found by what was
//! sent, like one whose answer was lost. An idempotency key is not relied on here, because servers
//! refuse a repeated one whose first request is published meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::ports::{Dispatch, Frozen, OutletError, ReadBack};

use super::wire::{NewStatus, Scheduled};
use super::{MastodonOutlet, answer, reconcile};
use crate::http::Method;
use crate::outlets::part;

/// How far ahead a time must be, by the server's clock.
const SOONEST: Duration = Duration::from_secs(5 * 60);
/// What is added to that, since a request takes its time.
const MARGIN: Duration = Duration::from_secs(30);
/// The most that a server keeps, in all and for one day.
const MAX: usize = 300;
const MAX_OF_A_DAY: usize = 25;
/// How long until there may be room again.
const FULL: Duration = Duration::from_secs(60);
/// About its time a part may be in neither list: it leaves one before it stands in the other.
const TURN: Duration = Duration::from_secs(120);
/// The most pages that are read, and how much stands on one.
const MAX_PAGES: usize = 10;
const PAGE: usize = 40;

/// When a part is to be published by the server; none: at once.
///
/// Only what a publication begins with waits. Later parts answer it, so it is out already, and what
/// is late already is not made later.
pub(super) fn time(outlet: &MastodonOutlet, dispatch: &Dispatch) -> Option<Timestamp> {
    let schedule = outlet.config.schedule.filter(|_| dispatch.part == 0)?;
    let at = dispatch.publication.created_at.plus(schedule);
    let soonest = outlet.clock.now().plus(SOONEST + MARGIN);
    (at > part::time()).then(|| at.max(soonest))
}

/// Whether the server publishes anything at a later time.
///
/// # Errors
/// When it has no list of that, or does not answer.
pub(super) async fn probe(outlet: &MastodonOutlet) -> Result<(), OutletError> {
    let response = outlet.get("/api/v1/scheduled_statuses?limit=1").await?;
    if matches!(response.status, 404 | 405 | 410 | 501) {
        return Err(OutletError::Unreachable {
            detail: "this server publishes nothing at a later time, as `schedule` wants".to_owned(),
        });
    }
    answer::of_get::<Vec<Scheduled>>(&response, &outlet.exchange).map(drop)
}

/// What it means that the server has taken a part under that id for that time.
pub(super) fn taken(outlet: &MastodonOutlet, part: &Frozen, id: &str, at: &str) -> OutletError {
    outlet.scheduled.note(&id.into(), &part.key);
    OutletError::Scheduled {
        wait: until(outlet, at),
    }
}

/// What a refusal of a part means that was to be published later: a list that is full has room
/// again, and another time can be chosen.
pub(super) async fn judge(
    outlet: &MastodonOutlet,
    status: &NewStatus,
    refusal: OutletError,
) -> OutletError {
    let (Some(at), OutletError::Rejected { .. }) = (&status.scheduled_at, &refusal) else {
        return refusal;
    };
    let waiting = match list(outlet).await {
        Ok(waiting) => waiting,
        // It is not taken in any case, and whether it ever would be is not known.
        Err(error) => return error,
    };
    let is_of_day = |it: &&Scheduled| it.scheduled_at.get(..10) == at.get(..10);
    if waiting.len() >= MAX || waiting.iter().filter(is_of_day).count() >= MAX_OF_A_DAY {
        return OutletError::Busy {
            wait: Some(FULL),
            detail: "the account's list of scheduled posts is full".to_owned(),
        };
    }
    if until(outlet, at) <= SOONEST {
        return OutletError::Unreachable {
            detail: "its time has come too near by the server's clock".to_owned(),
        };
    }
    refusal
}

/// What became of a part that the server was to publish.
///
/// # Errors
/// When it cannot be told, now or at all.
pub(super) async fn look_for(
    outlet: &MastodonOutlet,
    part: &Frozen,
    wanted: &NewStatus,
    at: &str,
) -> Result<ReadBack, OutletError> {
    match find(outlet, part, wanted).await? {
        Some(waiting) => Ok(ReadBack::Scheduled(until(outlet, &waiting.scheduled_at))),
        None => look_outside(outlet, part, at).await,
    }
}

/// What became of a part that is not in the list of what waits.
async fn look_outside(
    outlet: &MastodonOutlet,
    part: &Frozen,
    at: &str,
) -> Result<ReadBack, OutletError> {
    if let Some(published) = reconcile::find(outlet, part).await? {
        return Ok(ReadBack::Found(published));
    }
    let at = Timestamp::parse(at).unwrap_or_default();
    let now = outlet.clock.now();
    if at.since(now).max(now.since(at)) < TURN {
        return Err(OutletError::Ambiguous {
            detail: "its time is now, so it may be out at any moment".to_owned(),
        });
    }
    Ok(ReadBack::Absent)
}

/// Takes a part off the server's list, or finds it out.
///
/// # Errors
/// When neither is proved.
pub(super) async fn take_back(
    outlet: &MastodonOutlet,
    part: &Frozen,
) -> Result<ReadBack, OutletError> {
    let wanted: NewStatus = part::thawed(part)?;
    if let Some(waiting) = find(outlet, part, &wanted).await? {
        let url = outlet.address(&format!("/api/v1/scheduled_statuses/{}", waiting.id))?;
        let headers = [
            ("authorization", outlet.authorization.expose()),
            ("accept", "application/json"),
        ];
        let call = outlet
            .exchange
            .ask(Method::DELETE, &url, &headers, Bytes::new());
        let response = call.await?;
        // What is gone already was published meanwhile, or taken back by a person.
        if !matches!(response.status, 404 | 410) {
            return answer::of_delete(&response, &outlet.exchange).map(|()| ReadBack::Absent);
        }
    }
    look_outside(
        outlet,
        part,
        wanted.scheduled_at.as_deref().unwrap_or_default(),
    )
    .await
}

/// The part in the list of what waits: at its own time, or at the one that a person gave it.
async fn find(
    outlet: &MastodonOutlet,
    part: &Frozen,
    wanted: &NewStatus,
) -> Result<Option<Scheduled>, OutletError> {
    let same = |one: Option<&str>, other: Option<&str>| {
        let plain = |text: Option<&str>| reconcile::normal(text.unwrap_or_default());
        plain(one) == plain(other)
    };
    let mut waiting = list(outlet).await?;
    waiting.retain(|it| {
        let params = &it.params;
        same(params.text.as_deref(), Some(&wanted.status))
            && same(
                params.spoiler_text.as_deref(),
                wanted.spoiler_text.as_deref(),
            )
            && !outlet.scheduled.is_anothers(&it.id, &part.key)
    });
    let time = |text: Option<&str>| text.and_then(Timestamp::parse);
    let own = time(wanted.scheduled_at.as_deref());
    waiting.sort_by_key(|it| time(Some(&it.scheduled_at)) != own);
    let found = waiting.into_iter().next();
    if let Some(found) = &found {
        outlet
            .scheduled
            .note(&Arc::from(found.id.as_str()), &part.key);
    }
    Ok(found)
}

/// All that waits for its time.
async fn list(outlet: &MastodonOutlet) -> Result<Vec<Scheduled>, OutletError> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    let mut before = String::new();
    for _ in 0..MAX_PAGES {
        let path = format!("/api/v1/scheduled_statuses?limit={PAGE}{before}");
        let response = outlet.get(&path).await?;
        let page: Vec<Scheduled> = answer::of_get(&response, &outlet.exchange)?;
        let Some(last) = page.last() else {
            return Ok(all);
        };
        before = format!("&max_id={}", last.id);
        let is_short = page.len() < PAGE;
        let n_before = all.len();
        all.extend(page.into_iter().filter(|it| seen.insert(it.id.clone())));
        // The same again: a server that has no pages of it.
        if is_short || all.len() == n_before {
            return Ok(all);
        }
    }
    Err(OutletError::Unreachable {
        detail: "the list of scheduled posts could not be read to its end".to_owned(),
    })
}

/// How long it is until a time of the server's.
fn until(outlet: &MastodonOutlet, at: &str) -> Duration {
    let at = Timestamp::parse(at).unwrap_or_default();
    at.since(outlet.clock.now())
}
