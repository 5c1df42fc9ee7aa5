//! Identities of requests, tasks and publications, nested so that each tells what it belongs to.
//!
//! All three are UUIDv7. The last two bytes of a request's id are zero; a task's id is its
//! request's with the target's number (1 to 255) in the last byte but one; a publication's is
//! its task's with the outlet's number (1 to 255) in the last. So the tasks of a request and
//! the publications of a task are ranges of one ordered key, and need no index of their own.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

use super::Timestamp;

/// Why a text is no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id, expected a UUID like `019aa5c3-1c5e-7000-8000-000000000100`")]
pub struct IdError(String);

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identity with these bytes, as a store kept them.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The sixteen bytes, in the order in which identities sort.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Uuid::from_bytes(self.0).as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::parse_str(text)
                    .map(|uuid| Self(uuid.into_bytes()))
                    .map_err(|_| IdError(text.to_owned()))
            }
        }
    };
}

identity!(
    /// The identity of a [`Request`](super::Request).
    RequestId
);
identity!(
    /// The identity of a [`Task`](super::Task).
    TaskId
);
identity!(
    /// The identity of a [`Publication`](super::Publication).
    PublicationId
);

impl RequestId {
    /// When it was minted.
    pub fn minted_at(self) -> Timestamp {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&self.0[..6]);
        Timestamp::from_millis(i64::from_be_bytes(millis))
    }

    /// The task that translates this request into its target of that number, from 1.
    pub fn task(self, number: u8) -> TaskId {
        let mut bytes = self.0;
        bytes[14] = number;
        TaskId(bytes)
    }
}

impl TaskId {
    /// The request this task belongs to.
    pub fn request(self) -> RequestId {
        let mut bytes = self.0;
        bytes[14..].fill(0);
        RequestId(bytes)
    }

    /// The publication of this task at its outlet of that number, from 1.
    pub fn publication(self, number: u8) -> PublicationId {
        let mut bytes = self.0;
        bytes[15] = number;
        PublicationId(bytes)
    }
}

impl PublicationId {
    /// The task whose translation is published.
    pub fn task(self) -> TaskId {
        let mut bytes = self.0;
        bytes[15] = 0;
        TaskId(bytes)
    }
}

/// The last serial within a millisecond: so many microseconds it has, by which platforms that count
/// in them tell ids apart.
const LAST_SERIAL: u16 = 999;

/// Mints request ids that rise strictly within one process.
#[derive(Debug, Default)]
pub struct IdMint {
    millis: u64,
    serial: u16,
}

impl IdMint {
    /// The next id: of time `at`, or of the latest id's time if that is later.
    pub fn next(&mut self, at: Timestamp, random: u64) -> RequestId {
        let now = u64::try_from(at.as_millis()).unwrap_or(0);
        if now > self.millis {
            (self.millis, self.serial) = (now, 0);
        } else if self.serial == LAST_SERIAL {
            (self.millis, self.serial) = (self.millis + 1, 0);
        } else {
            self.serial += 1;
        }
        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&self.serial.to_be_bytes());
        tail[2..8].copy_from_slice(&random.to_be_bytes()[2..]);
        let uuid = Builder::from_unix_timestamp_millis(self.millis, &tail).into_uuid();
        RequestId(uuid.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_ids_rise_even_when_the_clock_falls_back() {
        let mut mint = IdMint::default();
        let mut last = mint.next(Timestamp::from_millis(5_000), u64::MAX);
        for step in 0..10_000 {
            let next = mint.next(Timestamp::from_millis(5_000 - step % 7), 0);
            assert!(next > last);
            last = next;
        }
    }

    #[test]
    fn an_id_tells_what_it_belongs_to() {
        let request = IdMint::default().next(Timestamp::from_millis(1_795_262_700_123), 77);
        let task = request.task(3);
        let publication = task.publication(9);
        assert_eq!(publication.task(), task);
        assert_eq!(task.request(), request);
        assert_eq!(
            Uuid::from_bytes(*publication.as_bytes()).get_version_num(),
            7
        );
        assert_eq!(task.to_string().parse(), Ok(task));
    }

    #[test]
    fn a_text_that_is_no_id_is_named() {
        let error = "seven".parse::<TaskId>();
        assert_eq!(error, Err(IdError("seven".into())));
    }
}
