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

    /// Whether the message is taken all the same.
    pub fn takes(&self) -> bool {
        matches!(self, Self::ReplyLost | Self::HalfReply | Self::BadGateway)
    }

    /// What comes of it in place of this answer.
    pub fn spoil(self, answer: Answer) -> Reply {
        match self {
            Self::Answer(answer) => answer.into(),
            Self::ReplyLost | Self::RequestLost => Reply::Hangup,
            Self::HalfReply => Reply::Half(answer),
            Self::BadGateway => Answer::new(502, "text/html", PAGE).into(),
        }
    }
}
