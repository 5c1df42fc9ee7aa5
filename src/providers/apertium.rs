//! Apertium's HTTP server APy: rule-based, one text a call, few pairs of languages.

mod letters;
mod pairs;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::domain::Pair;
use babelfeed_actors::ports::{Answer, Pack, Provider, ProviderError, Translated};
use futures_util::future::LocalBoxFuture;
use serde::Deserialize;
use tokio::time::Instant;

use self::letters::Letters;
use self::pairs::Pairs;
use super::refusal::Refusal;
use super::wire::{ErrorBody, excerpt};
use super::{
    BaseUrlError, Deadline, MAX_ANSWER, cut_short, endpoint, failure, hints, post, unanswered,
};
use crate::http::{Call, HttpClient, HttpConfig, Method, Response, Uri};

/// The most texts that one call takes: this API has no lists.
pub const MAX_ITEMS: Option<usize> = Some(1);

/// How long the server's list of pairs is believed.
const PAIRS_TTL: Duration = Duration::from_secs(60 * 60);

/// What stands for `*` on the way: `markUnknown=no` takes real ones for its own marks and
/// strips them, as in `*stars*`, which came back as `estrellas*`.
const STAR: &str = "\u{2217}";

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct ApertiumConfig {
    /// The address that `/translate` is appended to.
    pub base_url: String,
    /// How the client connects.
    pub http: HttpConfig,
}

impl ApertiumConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            http: HttpConfig::default(),
        }
    }
}

/// An APy server.
///
/// Placeholders travel as single ideographs, which are unknown words to every pair there is.
/// Seen on APy of Debian 12 with 23 pairs of fifteen languages: of 608 sentences with one to five
/// placeholders anywhere, all came back with each ideograph once. `⟦0⟧` broke in 7 of 454 (Danish
/// writes a full stop inside at the end of a sentence, Esperanto a word), `{{0}}` in 3 of 608,
/// made-up words in 25 of 454 (their letters are translated), and tags, private-use characters
/// and circled numbers came twice into Esperanto, 10 of 456 and 14 of 608 times.
pub struct ApertiumProvider {
    client: HttpClient,
    translate_url: Uri,
    pairs_url: Uri,
    pairs: RefCell<Option<(Arc<Pairs>, Instant)>>,
}

impl ApertiumProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: ApertiumConfig) -> Result<Self, BaseUrlError> {
        Ok(Self {
            translate_url: endpoint(&config.base_url, "/translate")?,
            pairs_url: endpoint(&config.base_url, "/listPairs")?,
            client: HttpClient::new(&config.http),
            pairs: RefCell::default(),
        })
    }

    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        let langpair = self.langpair(&pack.pair, deadline).await?;
        let mut answer = Answer {
            is_in_place: true,
            ..Answer::default()
        };
        for item in &pack.items {
            match self.translate_text(&item.text, &langpair, deadline).await {
                Ok(text) => answer.items.push(Translated {
                    id: Arc::clone(&item.id),
                    text,
                }),
                Err(error) => return cut_short(answer, error),
            }
        }
        Ok(answer)
    }

    /// The pair as the server names it.
    async fn langpair(&self, pair: &Pair, deadline: Deadline) -> Result<String, ProviderError> {
        let unsupported = |detail: String| ProviderError::Unsupported { detail };
        let Some(source) = &pair.source else {
            return Err(unsupported("the language of the text must be known".into()));
        };
        let pairs = self.pairs(deadline).await?;
        pairs
            .langpair(source, &pair.target)
            .ok_or_else(|| unsupported(format!("the server has no pair {pair}")))
    }

    /// The server's pairs, asked for again after an hour; old ones are better than none.
    async fn pairs(&self, deadline: Deadline) -> Result<Arc<Pairs>, ProviderError> {
        let known = self.pairs.borrow().clone();
        match known {
            Some((pairs, asked_at)) if asked_at.elapsed() < PAIRS_TTL => Ok(pairs),
            Some((stale, _)) => Ok(self.ask_for_pairs(deadline).await.unwrap_or(stale)),
            None => self.ask_for_pairs(deadline).await,
        }
    }

    async fn ask_for_pairs(&self, deadline: Deadline) -> Result<Arc<Pairs>, ProviderError> {
        let call = Call {
            method: Method::GET,
            url: &self.pairs_url,
            headers: &[],
            body: Bytes::new(),
            timeout: deadline.left()?,
            max_body: MAX_ANSWER,
        };
        let response = self.client.call(call).await.map_err(failure)?;
        if !response.is_success() {
            return Err(error_of(&response));
        }
        let pairs = Pairs::parse(&response.body)
            .ok_or_else(|| unanswered("the list of pairs cannot be read"))?;
        let pairs = Arc::new(pairs);
        let asked = (Arc::clone(&pairs), Instant::now());
        self.pairs.replace(Some(asked));
        Ok(pairs)
    }

    /// Translates line by line: within one call a line break wanders between words.
    async fn translate_text(
        &self,
        text: &str,
        langpair: &str,
        deadline: Deadline,
    ) -> Result<String, ProviderError> {
        let letters = Letters::of(text);
        let mut translation = String::with_capacity(text.len() * 5 / 4);
        for line in text.split_inclusive('\n') {
            let core = line.trim();
            let start = line.len() - line.trim_start().len();
            translation.push_str(&line[..start]);
            if core.chars().any(char::is_alphabetic) {
                let written = letters.map(|letters| letters.write(core));
                let line = written.as_deref().unwrap_or(core);
                let line = self.translate_line(line, langpair, deadline).await?;
                match letters {
                    Some(letters) => translation.push_str(&letters.read(&line)),
                    None => translation.push_str(&line),
                }
            } else {
                translation.push_str(core);
            }
            translation.push_str(&line[start + core.len()..]);
        }
        Ok(translation)
    }

    async fn translate_line(
        &self,
        line: &str,
        langpair: &str,
        deadline: Deadline,
    ) -> Result<String, ProviderError> {
        let body = url::form_urlencoded::Serializer::new(String::with_capacity(line.len() * 2))
            .append_pair("q", &line.replace('*', STAR))
            .append_pair("langpair", langpair)
            .append_pair("markUnknown", "no")
            .append_pair("format", "txt")
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let body = body.into_bytes();
        let response = post(&self.client, &self.translate_url, &headers, body, deadline).await?;
        if !response.is_success() {
            return Err(error_of(&response));
        }
        let reply: Reply = serde_json::from_slice(&response.body).map_err(|_| {
            let body = excerpt(&String::from_utf8_lossy(&response.body));
            unanswered(&format!("an answer that is no translation: {body}"))
        })?;
        let text = reply.response_data.translated_text;
        if line.contains(STAR) {
            return Ok(text.trim().to_owned());
        }
        Ok(text.trim().replace(STAR, "*"))
    }
}

impl Provider for ApertiumProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        Box::pin(self.call(pack, Deadline::after(timeout)))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    response_data: TranslatedText,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TranslatedText {
    translated_text: String,
}

fn error_of(response: &Response) -> ProviderError {
    let body = ErrorBody::parse(&response.body);
    let explanation = serde_json::from_slice::<serde_json::Value>(&response.body)
        .ok()
        .and_then(|value| Some(value.get("explanation")?.as_str()?.to_owned()));
    let refusal = Refusal {
        status: response.status,
        body: ErrorBody {
            message: explanation.unwrap_or_else(|| body.message.clone()),
            ..body
        },
        wait: hints::from_headers(response),
        secret: None,
    };
    if refusal.status == 400
        && refusal
            .body
            .mentions(&["pair is not installed", "pair is invalid"])
    {
        return ProviderError::Unsupported {
            detail: refusal.detail(),
        };
    }
    refusal.by_status()
}
