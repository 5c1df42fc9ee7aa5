//! How requests, histories, endings and publications stand in a row.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{
    Attached, Failure, FailureKind, Media, Origin, OutletName, Part, Poll, ProviderName,
    Publication, PublicationId, PublicationState, Request, RequestId, SourceName, State, Thread,
    Timestamp, Translation, Usage,
};
use babelfeed_actors::logic::lifecycle::{Entry, Lifecycle};
use babelfeed_actors::ports::{Bucket, Ended, Errand, Fate, PublicationRecord, Published, Token};

use super::bytes::{Bytes, put_bytes, put_number, put_optional, put_signed};
use super::fault::Fault;
use super::names::Names;

/// Why an entry was made, where nothing stands.
const WHY_NONE: u8 = 0;
/// Why an entry was made: the process died or the claim was lost.
const WHY_RECOVERED: u8 = 1;
/// Why an entry was made, as a text of its own.
const WHY_TEXT: u8 = 2;

const FROM_POST: u8 = 0;
const FROM_CLIENT: u8 = 1;
const FROM_CLIENT_WITH_KEY: u8 = 2;

/// The bit of a request's first byte that says that its translations are published.
const PUBLISHES: u8 = 1;
/// The bit of a request's first byte that says that something hangs on its text.
const HAS_ATTACHED: u8 = 2;
/// The bit of a request's first byte that says that it revises another.
const REVISES: u8 = 4;
/// The bit of a request's first byte that says that its author is known.
const HAS_AUTHOR: u8 = 8;
/// Stands where the number of a frozen part would, before what only some publications have.
const MORE: u64 = u32::MAX as u64;
/// The bit that says that something hangs on a publication's text.
const MORE_ATTACHED: u8 = 1;
/// The bit that says that a publication revises another.
const MORE_REVISES: u8 = 2;
/// From which bit on stands what a publication's turn is for, in two of them.
const MORE_ERRAND: u8 = 2;
/// The bit that says that it is known which account a publication went to.
const MORE_PLACE: u8 = 16;
/// The bit that says that a publication goes out by decision.
const MORE_DECIDED: u8 = 32;

const COMPLETED: u8 = 0;
const COMPLETED_FROM_CACHE: u8 = 1;
const FAILED: u8 = 2;

/// The number under which a task's state stands; none for those that are never kept.
pub(super) const fn state_code(state: State) -> Option<u8> {
    match state {
        State::Queued => Some(1),
        State::Processing => Some(2),
        State::Completed => Some(4),
        State::Failed => Some(5),
        State::Submitted | State::RateLimited => None,
    }
}

/// The state of a task that stands under a number.
pub(super) fn state_of(code: u8) -> Result<State, Fault> {
    State::ALL
        .into_iter()
        .find(|&state| state_code(state) == Some(code))
        .ok_or(Fault::Damaged("a task's state"))
}

/// The number under which a publication's state stands.
pub(super) const fn publication_code(state: PublicationState) -> u8 {
    match state {
        PublicationState::Planned => 0,
        PublicationState::Held => 1,
        PublicationState::Sending => 2,
        PublicationState::Unknown => 3,
        PublicationState::Published => 4,
        PublicationState::Refused => 5,
        PublicationState::Deleted => 6,
        PublicationState::Scheduled => 7,
    }
}

/// Whether a publication of that state is not over; those have an index of their own.
pub(super) const fn is_open(state: PublicationState) -> bool {
    let code = publication_code(state);
    code < 4 || code == 7
}

/// The state of a publication that stands under a number.
pub(super) fn publication_state_of(code: u8) -> Result<PublicationState, Fault> {
    PublicationState::ALL
        .into_iter()
        .find(|&state| publication_code(state) == code)
        .ok_or(Fault::Damaged("a publication's state"))
}

/// A count as SQLite takes it.
pub(super) fn count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Writes what a request's bucket does not say; the source of a post by its number.
pub(super) fn put_request(out: &mut Vec<u8>, request: &Request, publishes: u8, source: i64) {
    let attached = request.attached.as_deref();
    let revises = request.revises.map_or(0, |_| REVISES);
    let author = request.author.as_ref().map_or(0, |_| HAS_AUTHOR);
    out.push(publishes | attached.map_or(0, |_| HAS_ATTACHED) | revises | author);
    match &request.origin {
        Origin::Post { post, .. } => {
            out.push(FROM_POST);
            put_number(out, source.cast_unsigned());
            put_bytes(out, post.as_bytes());
        }
        Origin::Client { key: None } => out.push(FROM_CLIENT),
        Origin::Client { key: Some(key) } => {
            out.push(FROM_CLIENT_WITH_KEY);
            put_bytes(out, key.as_bytes());
        }
    }
    put_signed(out, request.accepted_at.as_millis());
    match request.deadline {
        Some(deadline) => {
            out.push(1);
            put_signed(out, deadline.as_millis());
        }
        None => out.push(0),
    }
    put_optional(out, request.context.as_deref());
    put_optional(out, request.url.as_deref());
    if let Some(attached) = attached {
        put_attached(out, attached);
    }
    if let Some(revises) = request.revises {
        out.extend_from_slice(revises.as_bytes());
    }
    if let Some(author) = &request.author {
        put_bytes(out, author.as_bytes());
    }
    out.extend_from_slice(request.text.as_bytes());
}

/// Reads a request and whether its translations are published.
pub(super) fn request_of(
    body: &[u8],
    id: RequestId,
    bucket: &Bucket,
    names: &mut Names<'_>,
) -> Result<(Arc<Request>, bool), Fault> {
    let mut bytes = Bytes::new(body);
    let flags = bytes.byte()?;
    let origin = match bytes.byte()? {
        FROM_POST => Origin::Post {
            source: SourceName::from(&*names.text(bytes.small()?)?),
            post: bytes.text()?,
        },
        FROM_CLIENT => Origin::Client { key: None },
        FROM_CLIENT_WITH_KEY => Origin::Client {
            key: Some(bytes.text()?),
        },
        _ => return Err(Fault::Damaged("a request's origin")),
    };
    let accepted_at = Timestamp::from_millis(bytes.signed()?);
    let deadline = match bytes.byte()? {
        0 => None,
        _ => Some(Timestamp::from_millis(bytes.signed()?)),
    };
    let request = Request {
        id,
        origin,
        source: bucket.pair.source.clone(),
        flow: bucket.flow.clone(),
        class: bucket.class,
        context: bytes.optional()?,
        url: bytes.optional()?,
        attached: match flags & HAS_ATTACHED {
            0 => None,
            _ => Some(Arc::new(attached_of(&mut bytes)?)),
        },
        revises: match flags & REVISES {
            0 => None,
            _ => Some(RequestId::from_bytes(id_of(&mut bytes)?)),
        },
        author: match flags & HAS_AUTHOR {
            0 => None,
            _ => Some(bytes.text()?),
        },
        text: bytes.rest()?,
        accepted_at,
        deadline,
    };
    Ok((Arc::new(request), flags & PUBLISHES != 0))
}

/// Writes attempts and history: an entry that nothing marks takes four bytes or fewer.
pub(super) fn put_life(out: &mut Vec<u8>, lifecycle: &Lifecycle) {
    put_number(out, u64::from(lifecycle.attempts()));
    let mut before = 0;
    for entry in lifecycle.history() {
        let why = match entry.why.as_deref() {
            None => WHY_NONE,
            Some("recovered") => WHY_RECOVERED,
            Some(_) => WHY_TEXT,
        };
        out.push(entry_code(entry.state) | why << 4);
        put_signed(out, entry.at.as_millis().wrapping_sub(before));
        put_number(out, u64::from(entry.attempt));
        if let (WHY_TEXT, Some(text)) = (why, &entry.why) {
            put_bytes(out, text.as_bytes());
        }
        before = entry.at.as_millis();
    }
}

/// Reads attempts and history.
pub(super) fn life_of(life: &[u8]) -> Result<Lifecycle, Fault> {
    let mut bytes = Bytes::new(life);
    let attempts = bytes.small()?;
    let mut history = Vec::with_capacity(4);
    let mut before = 0_i64;
    while !bytes.is_empty() {
        let head = bytes.byte()?;
        before = before.wrapping_add(bytes.signed()?);
        history.push(Entry {
            state: entry_state(head & 0xf)?,
            at: Timestamp::from_millis(before),
            attempt: bytes.small()?,
            why: match head >> 4 {
                WHY_NONE => None,
                WHY_RECOVERED => Some("recovered".into()),
                WHY_TEXT => Some(bytes.text()?),
                _ => return Err(Fault::Damaged("a reason")),
            },
        });
    }
    Ok(Lifecycle::restored(attempts, history))
}

/// Writes how a task ended.
pub(super) fn put_ended(
    out: &mut Vec<u8>,
    ended: &Ended,
    names: &mut Names<'_>,
) -> Result<(), Fault> {
    match ended {
        Ended::Completed(translation) => {
            let Usage {
                tokens_in,
                tokens_out,
                cost_usd,
            } = translation.usage;
            out.push(COMPLETED + u8::from(translation.cached));
            let provider = names.intern(translation.provider.as_str())?;
            put_number(out, provider.cast_unsigned());
            put_number(out, names.intern(&translation.model)?.cast_unsigned());
            put_number(out, tokens_in);
            put_number(out, tokens_out);
            put_number(out, cost_usd.to_bits().reverse_bits());
            out.extend_from_slice(translation.text.as_bytes());
        }
        Ended::Failed(failure) => {
            out.push(FAILED);
            put_bytes(out, failure.kind.name().as_bytes());
            out.extend_from_slice(failure.detail.as_bytes());
        }
    }
    Ok(())
}

/// Reads how a task ended.
pub(super) fn ended_of(ended: &[u8], names: &mut Names<'_>) -> Result<Ended, Fault> {
    let mut bytes = Bytes::new(ended);
    let kind = bytes.byte()?;
    if kind == FAILED {
        let kind = FailureKind::from_name(&bytes.text()?).ok_or(Fault::Damaged("a failure"))?;
        let detail = bytes.rest()?;
        return Ok(Ended::Failed(Failure { kind, detail }));
    }
    Ok(Ended::Completed(Translation {
        cached: kind == COMPLETED_FROM_CACHE,
        provider: ProviderName::from(&*names.text(bytes.small()?)?),
        model: names.text(bytes.small()?)?,
        usage: Usage {
            tokens_in: bytes.number()?,
            tokens_out: bytes.number()?,
            cost_usd: f64::from_bits(bytes.number()?.reverse_bits()),
        },
        text: bytes.rest()?,
    }))
}

/// Writes a publication but for what has a column of its own.
pub(super) fn put_publication(
    out: &mut Vec<u8>,
    record: &PublicationRecord,
    names: &mut Names<'_>,
) -> Result<(), Fault> {
    let publication = &record.publication;
    put_number(out, names.intern(&publication.source)?.cast_unsigned());
    let language = names.intern(publication.language.as_str())?;
    put_number(out, language.cast_unsigned());
    put_bytes(out, publication.post.as_bytes());
    put_optional(out, publication.url.as_deref());
    put_signed(out, publication.created_at.as_millis());
    put_number(out, publication.parts.len() as u64);
    for part in &publication.parts {
        put_bytes(out, part.text.as_bytes());
        put_optional(out, part.id.as_deref());
        put_optional(out, part.url.as_deref());
    }
    put_number(out, u64::from(record.attempts));
    put_signed(out, record.at.as_millis());
    put_optional(out, record.why.as_deref());
    put_more(out, record);
    if let Some(fate) = &record.frozen {
        put_number(out, fate.part as u64);
        put_bytes(out, &fate.bytes);
        put_bytes(out, fate.key.as_bytes());
        put_number(out, fate.mark);
        put_signed(out, fate.at.as_millis());
    }
    Ok(())
}

/// A publication's columns beside its body.
pub(super) struct PublicationColumns {
    /// Its identity.
    pub(super) id: PublicationId,
    /// The number of its state.
    pub(super) state: u8,
    /// The number of its outlet.
    pub(super) outlet: i64,
    /// Who holds it.
    pub(super) token: Token,
}

/// Reads a publication.
pub(super) fn publication_of(
    columns: &PublicationColumns,
    body: &[u8],
    names: &mut Names<'_>,
) -> Result<PublicationRecord, Fault> {
    let mut bytes = Bytes::new(body);
    let mut publication = Publication {
        id: columns.id,
        outlet: OutletName::from(&*names.text(columns.outlet)?),
        source: names.text(bytes.small()?)?,
        language: names.language(bytes.small()?)?,
        post: bytes.text()?,
        url: bytes.optional()?,
        created_at: Timestamp::from_millis(bytes.signed()?),
        parts: parts_of(&mut bytes)?,
        attached: None,
        thread: None,
        revises: None,
        place: None,
    };
    let attempts = bytes.small()?;
    let at = Timestamp::from_millis(bytes.signed()?);
    let why = bytes.optional()?;
    let more = more_of(&mut bytes, &mut publication)?;
    Ok(PublicationRecord {
        publication: Arc::new(publication),
        state: publication_state_of(columns.state)?,
        token: columns.token,
        attempts,
        at,
        why,
        frozen: more.frozen,
        errand: more.errand,
        is_decided: more.is_decided,
    })
}

fn parts_of(bytes: &mut Bytes<'_>) -> Result<Vec<Part>, Fault> {
    let n_parts: usize = bytes.small()?;
    let mut parts = Vec::with_capacity(n_parts.min(64));
    for _ in 0..n_parts {
        parts.push(Part {
            text: bytes.text()?,
            id: bytes.optional()?,
            url: bytes.optional()?,
        });
    }
    Ok(parts)
}

/// Writes what only some publications have; nothing for the others.
fn put_more(out: &mut Vec<u8>, record: &PublicationRecord) {
    let publication = &record.publication;
    let attached = publication.attached.as_deref();
    let decided = if record.is_decided { MORE_DECIDED } else { 0 };
    let flags = attached.map_or(0, |_| MORE_ATTACHED)
        | publication.revises.map_or(0, |_| MORE_REVISES)
        | publication.place.map_or(0, |_| MORE_PLACE)
        | decided
        | errand_code(&record.errand) << MORE_ERRAND;
    if flags == 0 && publication.thread.is_none() {
        return;
    }
    put_number(out, MORE);
    out.push(flags);
    if let Some(attached) = attached {
        put_attached(out, attached);
    }
    let thread = publication.thread.as_ref();
    put_optional(out, thread.map(|thread| &*thread.root));
    put_optional(out, thread.map(|thread| &*thread.parent));
    if let Some(revises) = publication.revises {
        out.extend_from_slice(revises.as_bytes());
    }
    if let Some(place) = publication.place {
        put_number(out, place);
    }
    if let Errand::Edit(earlier, standing) | Errand::Repost(earlier, standing) = &record.errand {
        out.extend_from_slice(earlier.as_bytes());
        put_number(out, standing.len() as u64);
        for published in standing {
            put_bytes(out, published.id.as_bytes());
            put_optional(out, published.url.as_deref());
        }
    }
}

/// What only some records of publications have.
#[derive(Default)]
struct More {
    errand: Errand,
    is_decided: bool,
    frozen: Option<Fate>,
}

/// Reads what only some publications have, and the fate of a frozen part.
fn more_of(bytes: &mut Bytes<'_>, publication: &mut Publication) -> Result<More, Fault> {
    if bytes.is_empty() {
        return Ok(More::default());
    }
    let part = bytes.number()?;
    if part != MORE {
        return Ok(More {
            frozen: Some(fate_of(bytes, part)?),
            ..More::default()
        });
    }
    let flags = bytes.byte()?;
    if flags & MORE_ATTACHED != 0 {
        publication.attached = Some(Arc::new(attached_of(bytes)?));
    }
    let (root, parent) = (bytes.optional()?, bytes.optional()?);
    publication.thread = root
        .zip(parent)
        .map(|(root, parent)| Thread { root, parent });
    if flags & MORE_REVISES != 0 {
        publication.revises = Some(RequestId::from_bytes(id_of(bytes)?));
    }
    if flags & MORE_PLACE != 0 {
        publication.place = Some(bytes.number()?);
    }
    let errand = errand_of(bytes, (flags >> MORE_ERRAND) & 3)?;
    let frozen = match bytes.is_empty() {
        true => None,
        false => {
            let part = bytes.number()?;
            Some(fate_of(bytes, part)?)
        }
    };
    Ok(More {
        errand,
        is_decided: flags & MORE_DECIDED != 0,
        frozen,
    })
}

const fn errand_code(errand: &Errand) -> u8 {
    match errand {
        Errand::Publish => 0,
        Errand::Edit(..) => 1,
        Errand::Repost(..) => 2,
        Errand::Delete => 3,
    }
}

fn errand_of(bytes: &mut Bytes<'_>, code: u8) -> Result<Errand, Fault> {
    let mut about = || {
        let earlier = PublicationId::from_bytes(id_of(bytes)?);
        let n_standing: usize = bytes.small()?;
        let mut standing = Vec::with_capacity(n_standing.min(64));
        for _ in 0..n_standing {
            standing.push(Published {
                id: bytes.text()?,
                url: bytes.optional()?,
            });
        }
        Ok::<_, Fault>((earlier, standing))
    };
    match code {
        0 => Ok(Errand::Publish),
        1 => about().map(|(earlier, standing)| Errand::Edit(earlier, standing)),
        2 => about().map(|(earlier, standing)| Errand::Repost(earlier, standing)),
        3 => Ok(Errand::Delete),
        _ => Err(Fault::Damaged("what a publication's turn is for")),
    }
}

fn id_of(bytes: &mut Bytes<'_>) -> Result<[u8; 16], Fault> {
    let mut id = [0; 16];
    for byte in &mut id {
        *byte = bytes.byte()?;
    }
    Ok(id)
}

/// Of what hangs on a text: its media are hidden.
const SENSITIVE: u8 = 1;
/// Of what hangs on a text: ids of the quoted post follow.
const HAS_QUOTED: u8 = 2;

/// Writes what hangs on a text.
fn put_attached(out: &mut Vec<u8>, attached: &Attached) {
    let has_quoted = attached.quoted_post.is_some() || attached.quoted_as.is_some();
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(flag(attached.is_sensitive, SENSITIVE) | flag(has_quoted, HAS_QUOTED));
    put_optional(out, attached.warning.as_deref());
    put_optional(out, attached.parent.as_deref());
    put_optional(out, attached.quoted.as_deref());
    if has_quoted {
        put_optional(out, attached.quoted_post.as_deref());
        put_optional(out, attached.quoted_as.as_deref());
    }
    put_number(out, attached.media.len() as u64);
    for media in &attached.media {
        put_bytes(out, media.url.as_bytes());
        put_optional(out, media.mime.as_deref());
        put_optional(out, media.alt.as_deref());
    }
    let Some(poll) = &attached.poll else {
        out.push(0);
        return;
    };
    out.push(1 + u8::from(poll.is_multiple));
    put_number(out, poll.lasts.map_or(0, |lasts| lasts.as_secs().max(1)));
    put_number(out, poll.options.len() as u64);
    for option in &poll.options {
        put_bytes(out, option.as_bytes());
    }
}

/// Reads what hangs on a text.
fn attached_of(bytes: &mut Bytes<'_>) -> Result<Attached, Fault> {
    let flags = bytes.byte()?;
    let mut attached = Attached {
        is_sensitive: flags & SENSITIVE != 0,
        warning: bytes.optional()?,
        parent: bytes.optional()?,
        quoted: bytes.optional()?,
        ..Attached::default()
    };
    if flags & HAS_QUOTED != 0 {
        attached.quoted_post = bytes.optional()?;
        attached.quoted_as = bytes.optional()?;
    }
    let owned = |text: Option<Arc<str>>| text.map(|text| String::from(&*text));
    for _ in 0..bytes.small::<usize>()? {
        attached.media.push(Media {
            url: String::from(&*bytes.text()?),
            mime: owned(bytes.optional()?),
            alt: owned(bytes.optional()?),
        });
    }
    let kind = bytes.byte()?;
    if kind > 0 {
        let lasts = Some(bytes.number()?).filter(|&seconds| seconds > 0);
        let mut options = Vec::new();
        for _ in 0..bytes.small::<usize>()? {
            options.push(String::from(&*bytes.text()?));
        }
        attached.poll = Some(Poll {
            options,
            is_multiple: kind > 1,
            lasts: lasts.map(Duration::from_secs),
        });
    }
    Ok(attached)
}

fn fate_of(bytes: &mut Bytes<'_>, part: u64) -> Result<Fate, Fault> {
    Ok(Fate {
        part: usize::try_from(part).map_err(|_| Fault::Damaged("the number of a part"))?,
        bytes: bytes.bytes()?.into(),
        key: bytes.text()?,
        mark: bytes.number()?,
        at: Timestamp::from_millis(bytes.signed()?),
    })
}

/// The number of a state in a history, where also those stand that no row is ever in.
const fn entry_code(state: State) -> u8 {
    match state {
        State::Submitted => 0,
        State::Queued => 1,
        State::Processing => 2,
        State::RateLimited => 3,
        State::Completed => 4,
        State::Failed => 5,
    }
}

fn entry_state(code: u8) -> Result<State, Fault> {
    State::ALL
        .into_iter()
        .find(|&state| entry_code(state) == code)
        .ok_or(Fault::Damaged("a state in a history"))
}
