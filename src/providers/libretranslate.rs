//! LibreTranslate, hosted by somebody or by oneself.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{KnownBy, Language, SeenLimit, Unit};
use babelfeed_actors::ports::{Answer, Item, Pack, Provider, ProviderError, Translated};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::limits::{self, Noticed};
use super::refusal::Refusal;
use super::wire::{ErrorBody, excerpt};
use super::{BaseUrlError, Deadline, cut_short, endpoint, hints, post, unanswered};
use crate::http::{HttpClient, HttpConfig, Response, Uri};
use crate::secret::Secret;

/// The most texts that one call takes; none of the kind's own.
pub const MAX_ITEMS: Option<usize> = None;
/// The most texts of a language that nobody told: the server detects one for a whole list, so
/// each of more would be a request of its own.
pub const MAX_UNTOLD: Option<usize> = Some(1);

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct LibreTranslateConfig {
    /// The address that `/translate` is appended to.
    pub base_url: String,
    /// The credential, where the server wants one.
    pub api_key: Option<Secret>,
    /// How the client connects.
    pub http: HttpConfig,
}

impl LibreTranslateConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            api_key: None,
            http: HttpConfig::default(),
        }
    }
}

/// A LibreTranslate server.
pub struct LibreTranslateProvider {
    config: LibreTranslateConfig,
    client: HttpClient,
    url: Uri,
    /// The regional languages that the server did not know, so that the plain one is asked for.
    unknown: RefCell<HashSet<Language>>,
    /// The most texts of a call since the last refusal: the server counts each text as a request.
    largest: Cell<usize>,
    noticed: Noticed,
}

impl LibreTranslateProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: LibreTranslateConfig) -> Result<Self, BaseUrlError> {
        Ok(Self {
            url: endpoint(&config.base_url, "/translate")?,
            client: HttpClient::new(&config.http),
            unknown: RefCell::default(),
            largest: Cell::new(1),
            noticed: Noticed::default(),
            config,
        })
    }

    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        if pack.pair.source.is_some() {
            let items = self.translate_items(pack, &pack.items, deadline).await?;
            return Ok(answer(items));
        }
        // One language is detected for a whole list, so each text goes alone.
        let mut items = Vec::with_capacity(pack.items.len());
        for item in pack.items.chunks(1) {
            match self.translate_items(pack, item, deadline).await {
                Ok(translated) => items.extend(translated),
                Err(error) => return cut_short(answer(items), error),
            }
        }
        Ok(answer(items))
    }

    /// Translates texts in one call, or in two where the server does not know the region.
    async fn translate_items(
        &self,
        pack: &Pack,
        items: &[Item],
        deadline: Deadline,
    ) -> Result<Vec<Translated>, ProviderError> {
        let target = &pack.pair.target;
        let source = pack.pair.source.as_ref();
        let code = self.code_of(target);
        let is_regional = code != target.primary();
        match self.send(items, source, code, deadline).await {
            Err(ProviderError::Unsupported { .. }) if is_regional => {
                let plain = self.send(items, source, target.primary(), deadline).await?;
                self.unknown.borrow_mut().insert(target.clone());
                Ok(plain)
            }
            other => other,
        }
    }

    async fn send(
        &self,
        items: &[Item],
        source: Option<&Language>,
        target: &str,
        deadline: Deadline,
    ) -> Result<Vec<Translated>, ProviderError> {
        let question = Question {
            q: items.iter().map(|item| &*item.text).collect(),
            source: source.map_or("auto", |source| self.code_of(source)),
            target,
            format: "text",
            api_key: self.config.api_key.as_ref().map(Secret::expose),
        };
        let body = serde_json::to_vec(&question).expect("strings alone always become JSON");
        self.largest.set(self.largest.get().max(items.len()));
        let headers = [("content-type", "application/json")];
        let response = post(&self.client, &self.url, &headers, body, deadline).await?;
        if !response.is_success() {
            return Err(self.error_of(&response, items.len()));
        }
        matched(items, &response)
    }

    /// The code by which the server knows a language.
    ///
    /// Codes as in LibreTranslate 1.9: plain, but for the two scripts of Chinese, for Brazil and for
    /// Norwegian, whose model is one of Bokmål.
    fn code_of<'a>(&self, language: &'a Language) -> &'a str {
        if self.unknown.borrow().contains(language) {
            return language.primary();
        }
        match language.as_str() {
            "zh-TW" | "zh-HK" | "zh-MO" => "zh-Hant",
            tag if tag.starts_with("zh-Hant") => "zh-Hant",
            tag if tag == "zh" || tag.starts_with("zh-") => "zh-Hans",
            "pt-BR" => "pt-BR",
            _ if language.primary() == "no" => "nb",
            _ => language.primary(),
        }
    }

    fn error_of(&self, response: &Response, n_texts: usize) -> ProviderError {
        let body = ErrorBody::parse(&response.body);
        if response.status == 429 {
            let largest = self.largest.replace(1).max(n_texts);
            self.noticed.add(seen(&body.message, largest));
        }
        error_of(&Refusal {
            status: response.status,
            wait: hints::asked_for(response, &body.message),
            body,
            secret: self.config.api_key.as_ref(),
        })
    }
}

impl Provider for LibreTranslateProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        Box::pin(self.call(pack, Deadline::after(timeout)))
    }

    fn take_seen(&self) -> Vec<SeenLimit> {
        self.noticed.take()
    }
}

#[derive(Serialize)]
struct Question<'a> {
    q: Vec<&'a str>,
    source: &'a str,
    target: &'a str,
    format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    translated_text: Vec<String>,
}

fn answer(items: Vec<Translated>) -> Answer {
    Answer {
        items,
        is_in_place: true,
        ..Answer::default()
    }
}

/// The texts under the ids of those they answer: this API has no ids but promises the order.
fn matched(items: &[Item], response: &Response) -> Result<Vec<Translated>, ProviderError> {
    let reply: Reply = serde_json::from_slice(&response.body).map_err(|_| {
        let body = excerpt(&String::from_utf8_lossy(&response.body));
        unanswered(&format!(
            "an answer that is no list of translations: {body}"
        ))
    })?;
    let n_texts = reply.translated_text.len();
    if n_texts != items.len() {
        return Err(unanswered(&format!("{n_texts} texts for {}", items.len())));
    }
    let named = items.iter().zip(reply.translated_text);
    Ok(named
        .map(|(item, text)| Translated {
            id: Arc::clone(&item.id),
            text,
        })
        .collect())
}

/// The limit that a refusal names, in calls as large as the largest of late, so that none exceeds it.
fn seen(message: &str, largest: usize) -> Option<SeenLimit> {
    let (most, per) = limits::slowdown(message)?;
    Some(SeenLimit {
        unit: Unit::Requests,
        per: Some(per),
        limit: Some((most / largest.max(1) as f64).floor().max(1.0)),
        remaining: None,
        resets_in: None,
        known_by: KnownBy::Refusal,
    })
}

/// The error that this answer is; whoever calls on in spite of refusals is banned for a while.
fn error_of(refusal: &Refusal<'_>) -> ProviderError {
    let body = &refusal.body;
    let detail = refusal.detail();
    let is_of_a_day = || limits::slowdown(&body.message).is_some_and(|(_, per)| per >= limits::DAY);
    match refusal.status {
        403 if body.mentions(&["too many request"]) => ProviderError::QuotaExhausted {
            wait: refusal.wait,
            detail,
        },
        429 if is_of_a_day() => ProviderError::QuotaExhausted {
            wait: refusal.wait,
            detail,
        },
        400 if body.mentions(&["is not supported", "not available as a target"]) => {
            ProviderError::Unsupported { detail }
        }
        // A missing key is a 400, and its message is a link to where keys are sold.
        400 if body.mentions(&["api key"]) => ProviderError::Auth { detail },
        400 if body.mentions(&["exceeds text limit", "exceeds character limit"]) => {
            ProviderError::TooLarge { detail }
        }
        _ => refusal.by_status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart() {
        for (status, message, expected) in [
            (400, "xx is not supported", "Unsupported"),
            (
                400,
                "Visit https://portal.example to get an API key",
                "Auth",
            ),
            (403, "Invalid API key", "Auth"),
            (
                400,
                "Invalid request: request (6000) exceeds text limit (5000)",
                "TooLarge",
            ),
            (400, "Invalid request: missing q parameter", "Invalid"),
            (429, "Slowdown: 80 per 1 minute", "RateLimited"),
            (429, "Slowdown: 1000 per 1 day", "QuotaExhausted"),
            (403, "Too many request limits violations", "QuotaExhausted"),
            (500, "Cannot translate text", "Transient"),
        ] {
            let error = error_of(&Refusal {
                status,
                body: ErrorBody::parse(format!(r#"{{"error":"{message}"}}"#).as_bytes()),
                wait: None,
                secret: None,
            });
            assert!(format!("{error:?}").starts_with(expected), "{error:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_limit_in_texts_and_a_lane_counts_calls() {
        for (message, largest, limit, per) in [
            ("Slowdown: 80 per 1 minute", 1, 80.0, limits::MINUTE),
            ("Slowdown: 80 per 1 minute", 10, 8.0, limits::MINUTE),
            ("Slowdown: 80 per 1 minute", 100, 1.0, limits::MINUTE),
            ("Slowdown: 1000 per 1 day", 3, 333.0, limits::DAY),
        ] {
            let seen = seen(message, largest).expect(message);
            assert_eq!(
                (seen.limit, seen.per),
                (Some(limit), Some(per)),
                "{message}"
            );
        }
        assert_eq!(seen("Too many request limits violations", 1), None);
    }

    #[actix_rt::test]
    async fn languages_take_the_codes_of_the_server() {
        let provider = LibreTranslateProvider::new(LibreTranslateConfig::new("http://h"));
        let provider = provider.expect("an address");
        for (tag, code) in [
            ("es-MX", "es"),
            ("zh", "zh-Hans"),
            ("zh-CN", "zh-Hans"),
            ("zh-TW", "zh-Hant"),
            ("zh-Hant-HK", "zh-Hant"),
            ("pt-BR", "pt-BR"),
            ("pt-PT", "pt"),
            ("no", "nb"),
            ("no-NO", "nb"),
            ("nb-NO", "nb"),
        ] {
            let language: Language = tag.parse().expect("a tag");
            assert_eq!(provider.code_of(&language), code, "{tag}");
        }
    }
}
