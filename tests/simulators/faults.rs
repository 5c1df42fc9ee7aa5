//! What happens to a coming message instead of its being taken and answered.

use super::server::{Answer, Reply};

/// What happens.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is not taken, and this is answered.
    Answer(Answer),
    /// It is taken, and the connection is closed without a word.
    ReplyLost,
    /// It is taken, and half of the answer arrives.
    HalfReply,
    /// It is taken, and a proxy answers 502 with a page.
    BadGateway,
    /// It is taken, and 503 is answered with a page.
    Unavailable,
    /// It is not taken, and the connection is closed without a word.
    RequestLost,
}

/// A page of a proxy.
pub const PAGE: &str = "<html><head><title>Error</title></head><body>Try later</body></html>";

impl Fault {
    /// A page that a proxy answers, with this status.
    pub fn page(status: u16) -> Self {
        Self::Answer(Answer::new(status, "text/html", PAGE))
    }

    /// An answer with these headers alone.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> Self {
        let answer = Answer {
            status,
            body: body.into(),
            ..Answer::default()
        };
        let with = |answer: Answer, (name, value): &(&str, &str)| answer.with(name, *value);
        Self::Answer(headers.iter().fold(answer, with))
    }

    /// Whether the message is taken all the same.
    pub fn takes(&self) -> bool {
        !matches!(self, Self::Answer(_) | Self::RequestLost)
    }

    /// What comes of it in place of this answer.
    pub fn spoil(self, answer: Answer) -> Reply {
        match self {
            Self::Answer(answer) => answer.into(),
            Self::ReplyLost | Self::RequestLost => Reply::Hangup,
            Self::HalfReply => Reply::Half(answer),
            Self::BadGateway => Answer::new(502, "text/html", PAGE).into(),
            Self::Unavailable => Answer::new(503, "text/html", PAGE).into(),
        }
    }
}

/// What comes of a message that `take` takes and answers, if nothing happens to it.
pub fn befall(fault: Option<Fault>, take: impl FnOnce() -> Answer) -> Reply {
    match fault {
        None => take().into(),
        Some(fault) if fault.takes() => fault.spoil(take()),
        Some(fault) => fault.spoil(Answer::default()),
    }
}
