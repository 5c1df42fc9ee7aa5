//! A program of one's own as an outlet: every publication is posted to it as signed JSON.
//!
//! Each part goes out as `POST` with the headers `Idempotency-Key`, which is the same however
//! often the part is sent, `Babelfeed-Timestamp` in unix seconds, and, where a secret is set,
//! `Babelfeed-Signature: sha256=` with the HMAC-SHA-256 of timestamp, full stop and body as hex.
//! Any 2xx says that it was taken. What may have arrived is sent again only where the settings
//! say that the receiver drops repeats; else it stays Unknown.

mod wire;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::web::Bytes;
use anyhow::Context as _;
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::hex::hex;
use babelfeed_actors::ports::{
    Abilities, Dispatch, Frozen, Outlet, OutletError, Published, ReadBack,
};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use ring::hmac;
use sha2::{Digest as _, Sha256};

use super::exchange::{self, Exchange};
use super::ledger::Ledger;
use super::part;
use crate::http::{HttpConfig, Method, Response, Uri};
use crate::secret::Secret;
use wire::{Delivery, Event};

/// What a webhook outlet is told.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// The receiver's address, which may bear a credential.
    pub url: Secret,
    /// What bodies are signed with.
    pub secret: Option<Secret>,
    /// What may have arrived.
    pub doubt: Doubt,
    /// How it connects.
    pub http: HttpConfig,
    /// How long one call may take.
    pub timeout: Duration,
}

/// What is done with what may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It waits for a person.
    Waits,
    /// It is sent again, since the receiver drops what it has.
    Repeats,
}

/// An outlet that posts to a receiver; bound to its arbiter, like the client it holds.
pub struct WebhookOutlet {
    exchange: Exchange,
    ledger: Ledger,
    url: Uri,
    secret: Option<Secret>,
    doubt: Doubt,
}

impl WebhookOutlet {
    /// An outlet to that receiver; nothing is asked before the first call.
    ///
    /// # Errors
    /// When the address cannot be one.
    pub fn new(config: &WebhookConfig) -> anyhow::Result<Self> {
        // Without a cause, which could show the address.
        let (url, mut secrets) = exchange::webhook(&config.url)
            .and_then(|(url, secrets)| Some((url.as_str().parse().ok()?, secrets)))
            .context("expected a receiver's address like `https://example.org/translations`")?;
        secrets.extend(config.secret.clone());
        Ok(Self {
            exchange: Exchange::new(&config.http, config.timeout, secrets),
            ledger: Ledger::default(),
            url,
            secret: config.secret.clone(),
            doubt: config.doubt,
        })
    }

    async fn send(&self, part: &Frozen) -> Result<Published, OutletError> {
        let headers = self.headers(&part.key, &part.bytes);
        let body = Bytes::copy_from_slice(&part.bytes);
        let headers = pairs(&headers);
        let answer = self.exchange.publish(&self.url, &headers, body);
        let proof = Published {
            id: part.key.clone(),
            url: None,
        };
        let answer = answer.await.and_then(|answer| self.taken(&answer));
        answer.map(|()| proof).map_err(|error| match self.doubt {
            Doubt::Waits => error,
            Doubt::Repeats => exchange::repeatable(error),
        })
    }

    /// Tells the receiver of something that it may be told twice.
    async fn tell(&self, key: &str, body: Vec<u8>) -> Result<Response, OutletError> {
        let headers = self.headers(key, &body);
        let headers = pairs(&headers);
        let answer = self
            .exchange
            .ask(Method::POST, &self.url, &headers, body.into());
        answer.await
    }

    fn taken(&self, answer: &Response) -> Result<(), OutletError> {
        match answer.is_success() {
            true => Ok(()),
            false => Err(exchange::by_status(
                answer,
                self.exchange.said(answer, None),
            )),
        }
    }

    async fn change(&self, part: &Frozen, published: &Published) -> Result<Published, OutletError> {
        let mut delivery: Delivery = part::thawed(part)?;
        delivery.event = Event::Edited;
        let body = part::json(&delivery)?;
        // Another change of the same part is no repeat of this one.
        let key = format!("{}.{}", part.key, hex(&Sha256::digest(&body)[..8]));
        let answer = self.tell(&key, body).await?;
        self.taken(&answer).map_err(exchange::repeatable)?;
        Ok(published.clone())
    }

    async fn take_back(&self, published: &Published) -> Result<(), OutletError> {
        let body = part::json(&wire::Deletion {
            event: Event::Deleted,
            key: &published.id,
        })?;
        let key = format!("{}.deleted", published.id);
        let answer = self.tell(&key, body).await?;
        match answer.status {
            // It is gone already.
            404 | 410 => Ok(()),
            _ => self.taken(&answer).map_err(exchange::repeatable),
        }
    }

    /// The headers of a delivery that is sent now.
    fn headers(&self, key: &str, body: &[u8]) -> Vec<(&'static str, String)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs().to_string();
        let signature = self.secret.as_ref().map(|secret| {
            let signature = signature(secret, &now, body);
            ("babelfeed-signature", format!("sha256={signature}"))
        });
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
            ("babelfeed-timestamp", now),
        ];
        headers.extend(signature);
        headers
    }
}

fn pairs<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
    pairs.collect()
}

/// The HMAC-SHA-256 of timestamp, full stop and body, as hex.
fn signature(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    hex(context.sign().as_ref())
}

impl Outlet for WebhookOutlet {
    fn abilities(&self) -> Abilities {
        Abilities {
            edits: true,
            deletes: true,
            replies: true,
            media: true,
            quotes: false,
        }
    }

    fn batch(&self) -> usize {
        1
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(Limit::Unbounded) }.boxed_local()
    }

    fn probe(&self) -> LocalBoxFuture<'_, Result<Option<String>, OutletError>> {
        async {
            let asking = self
                .exchange
                .ask(Method::HEAD, &self.url, &[], Bytes::new());
            let answer = asking.await?;
            Ok(Some(format!(
                "its receiver answers HEAD with HTTP status {}",
                answer.status
            )))
        }
        .boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let freeze = |dispatch: Dispatch| {
            let delivery = wire::delivery(&dispatch)?;
            self.ledger.freeze(dispatch, &delivery)
        };
        let frozen = dispatches.into_iter().map(freeze).collect();
        async { frozen }.boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let send = async |part: &Frozen| self.send(part).await;
        self.ledger.send(parts, send).boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        let known = self.ledger.read_back(part);
        let known = match self.doubt {
            Doubt::Waits => known,
            Doubt::Repeats => known.or(Ok(ReadBack::Absent)),
        };
        async { known }.boxed_local()
    }

    fn edit<'a>(
        &'a self,
        part: &'a Frozen,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<Published, OutletError>> {
        self.change(part, published).boxed_local()
    }

    fn delete<'a>(
        &'a self,
        published: &'a Published,
    ) -> LocalBoxFuture<'a, Result<(), OutletError>> {
        self.take_back(published).boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_rfc_4231() {
        // Test case 2: the data is "what do ya want for nothing?", which has no full stop before
        // its end, so that it is checked by the key's own function.
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"Jefe");
        let tag = hmac::sign(&key, b"what do ya want for nothing?");
        assert_eq!(
            hex(tag.as_ref()),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        let whole = hmac::sign(&key, b"1795262700.{}");
        let pieces = signature(&Secret::new("Jefe"), "1795262700", b"{}");
        assert_eq!(pieces, hex(whole.as_ref()));
    }
}
