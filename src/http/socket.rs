//! A web socket that is only listened to.

use std::pin::Pin;
use std::time::Duration;

use awc::error::WsProtocolError;
use awc::ws::{Frame, Message};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::timeout;

use super::client::build;
use super::connect::CachedConnector;
use super::{HttpConfig, HttpError, Uri, install_tls};

/// The most bytes of one message.
const MAX_MESSAGE: usize = 1 << 20;

/// An open web socket; bound to its arbiter.
pub struct Socket {
    frames: Pin<Box<dyn Stream<Item = Result<Frame, WsProtocolError>>>>,
    answers: Pin<Box<dyn Sink<Message, Error = WsProtocolError>>>,
}

impl Socket {
    /// Opens a socket, which may take so long.
    ///
    /// # Errors
    /// When nobody answers there, or not as a web socket.
    pub async fn open(config: &HttpConfig, url: &Uri, wait: Duration) -> Result<Self, HttpError> {
        install_tls();
        let client = build(config, CachedConnector::new(config));
        let request = client.ws(url.clone()).max_frame_size(MAX_MESSAGE);
        let opened = timeout(wait, request.connect()).await;
        let opened = opened.map_err(|_| HttpError::TimedOut {
            detail: format!("no web socket within {wait:?}"),
        })?;
        let (_, framed) = opened.map_err(|error| HttpError::Broken {
            detail: error.to_string(),
        })?;
        let (answers, frames) = framed.split();
        Ok(Self {
            frames: Box::pin(frames),
            answers: Box::pin(answers),
        })
    }

    /// The next message; none at the end. After each `quiet` without a word the other side is
    /// asked whether it is still there, and one that leaves that unanswered as long is not.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self, quiet: Duration) -> Result<Option<Vec<u8>>, HttpError> {
        let mut is_asked = false;
        loop {
            let Ok(frame) = timeout(quiet, self.frames.next()).await else {
                if is_asked {
                    return Err(HttpError::TimedOut {
                        detail: format!("not a word within {:?}", quiet * 2),
                    });
                }
                is_asked = true;
                self.say(Message::Ping("".into())).await?;
                continue;
            };
            is_asked = false;
            match frame.transpose().map_err(|error| broken(&error))? {
                None | Some(Frame::Close(_)) => return Ok(None),
                Some(Frame::Ping(bytes)) => self.say(Message::Pong(bytes)).await?,
                Some(Frame::Pong(_)) => {}
                Some(Frame::Text(bytes) | Frame::Binary(bytes)) => {
                    return Ok(Some(bytes.to_vec()));
                }
                // No server that is listened to here cuts its messages.
                Some(Frame::Continuation(_)) => {
                    return Err(HttpError::Broken {
                        detail: "wanted whole messages, got one in pieces".to_owned(),
                    });
                }
            }
        }
    }

    async fn say(&mut self, message: Message) -> Result<(), HttpError> {
        let said = self.answers.send(message).await;
        said.map_err(|error| broken(&error))
    }
}

fn broken(error: &WsProtocolError) -> HttpError {
    HttpError::Broken {
        detail: error.to_string(),
    }
}
