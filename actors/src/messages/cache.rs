//! What the cache hears.

use std::sync::Arc;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::domain::{Failure, Translation};
use crate::ports::KnownKey;

/// Asks what is known, for a batch of texts; the task manager says it before it packs anything.
///
/// Answered in the order of the keys.
#[derive(Message)]
#[rtype(result = "Vec<Found>")]
pub struct Lookup(pub Vec<KnownKey>);

/// What the cache has of a text.
#[derive(Debug)]
pub enum Found {
    /// A translation, its text with placeholders.
    Known(Arc<Translation>),
    /// A translation that is asked for often and whose time is nearly over: it serves still, and
    /// who asked should have it made anew when there is nothing more urgent.
    Due(Arc<Translation>, Leadership),
    /// Nothing, and nobody is at it: who asked leads, and must make the call.
    Lead(Leadership),
    /// Nothing yet, but somebody is at it: here comes what became of it.
    ///
    /// Closed without a word when the cache fell; then ask again.
    Wait(oneshot::Receiver<FlightEnd>),
}

/// How a flight ended for one who waited.
#[derive(Debug)]
pub enum FlightEnd {
    /// The translation is known now.
    Known(Arc<Translation>),
    /// The text itself was refused, and would be again.
    Refused(Failure),
    /// The leader gave up for reasons of its own; the one who waited leads now.
    Lead(Leadership),
}

/// The duty to translate a text that others may wait for; dropping it passes it on.
#[derive(Debug)]
pub struct Leadership {
    key: KnownKey,
    resign: Option<Arc<Recipient<Resign>>>,
}

impl Leadership {
    /// The duty for this key, which `resign` hears of when it is dropped.
    pub fn new(key: KnownKey, resign: Arc<Recipient<Resign>>) -> Self {
        Self {
            key,
            resign: Some(resign),
        }
    }

    /// Ends the duty, because the cache has heard what came of it.
    pub fn fulfil(mut self) -> KnownKey {
        self.resign = None;
        self.key
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        if let Some(resign) = self.resign.take() {
            resign.do_send(Resign(self.key));
        }
    }
}

/// Gives leadership back; said by a [`Leadership`] that is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Resign(pub KnownKey);

/// Tells what came of texts that were led; the translators say it, once a call.
///
/// Only failures about the text itself are told here; with others the leadership is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Insert(pub Vec<(Leadership, Result<Arc<Translation>, Failure>)>);

/// Makes durable what is known and not yet written. Answered when it is, but for what is being
/// written already.
#[derive(Message)]
#[rtype(result = "Result<(), crate::ports::StoreError>")]
pub struct SaveAll;

/// Forgets everything known; flights go on. Answered when it is durable.
#[derive(Message)]
#[rtype(result = "Result<(), crate::ports::StoreError>")]
pub struct Clear;

/// Asks how the cache does.
#[derive(Message)]
#[rtype(result = "CacheView")]
pub struct CacheStats;

/// How the cache does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheView {
    /// Translations known.
    pub entries: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Lookups that were known.
    pub hits: u64,
    /// Lookups that began a flight.
    pub misses: u64,
    /// Lookups that joined a flight.
    pub joined: u64,
    /// Translations that were asked for anew before their time was over.
    pub refreshed: u64,
}
