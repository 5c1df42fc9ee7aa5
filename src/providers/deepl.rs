//! DeepL's API for texts, with its glossaries.

mod classify;
mod connection;
mod glossaries;
mod languages;
mod markup;
mod tone;

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::Usage;
use babelfeed_actors::ports::{Answer, Item, Pack, Provider, ProviderError, Translated};
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use self::connection::Connection;
pub use self::glossaries::Glossaries;
use self::glossaries::Wanted;
use super::wire::excerpt;
use super::{BaseUrlError, Deadline, cut_short, unanswered};
use crate::http::{HttpConfig, Response};
use crate::secret::Secret;

/// The most texts that one call takes.
pub const MAX_ITEMS: Option<usize> = Some(50);
/// The most bytes of texts that one call takes: the rest of it is for tags, escapes and context.
pub const MAX_BYTES: Option<usize> = Some(96 << 10);
/// The most bytes of a whole call.
const MAX_CALL: usize = 128 << 10;
/// Names the form in which texts are put to this kind.
pub const VERSION: &str = "deepl-1";

/// The settings of one provider of this kind.
#[derive(Clone, Debug)]
pub struct DeepLConfig {
    /// The address that `/v2/translate` is appended to.
    pub base_url: String,
    /// The credential.
    pub api_key: Option<Secret>,
    /// How the client connects.
    pub http: HttpConfig,
    /// Whose glossaries are made, kept and deleted; one word, and no other's at this account.
    pub owner: String,
    /// What is known of these glossaries, shared by all adapters of one provider.
    pub glossaries: Arc<Glossaries>,
}

impl DeepLConfig {
    /// The settings with everything else at its default.
    pub fn new(base_url: &str, owner: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            api_key: None,
            http: HttpConfig::default(),
            owner: owner.to_owned(),
            glossaries: Arc::default(),
        }
    }
}

/// An account of DeepL.
///
/// Its `tokens_in` are the characters billed, so a price per million tokens is one per million
/// characters.
pub struct DeepLProvider {
    connection: Connection,
    owner: String,
    glossaries: Arc<Glossaries>,
}

impl DeepLProvider {
    /// A provider that has not called yet.
    ///
    /// # Errors
    /// When the base address is none.
    pub fn new(config: DeepLConfig) -> Result<Self, BaseUrlError> {
        Ok(Self {
            connection: Connection::new(&config)?,
            owner: config.owner,
            glossaries: config.glossaries,
        })
    }

    /// Translates text by text where their contexts differ: a call has one context.
    async fn call(&self, pack: &Pack, deadline: Deadline) -> Result<Answer, ProviderError> {
        let mut answer = Answer {
            is_in_place: true,
            ..Answer::default()
        };
        for items in by_context(&pack.items) {
            match self.translate_items(pack, &items, deadline).await {
                Ok(reply) => take(&mut answer, &items, reply),
                Err(error) => return cut_short(answer, error),
            }
        }
        Ok(answer)
    }

    /// Translates texts of one context, once more where the glossary has gone meanwhile.
    async fn translate_items(
        &self,
        pack: &Pack,
        items: &[&Item],
        deadline: Deadline,
    ) -> Result<Reply, ProviderError> {
        let Some(wanted) = Wanted::of(pack, &self.owner) else {
            let response = self.send(pack, items, None, deadline).await?;
            return self.read(&response, items.len(), deadline).await;
        };
        let id = self.glossary(&wanted, deadline).await?;
        let mut response = self.send(pack, items, id.as_deref(), deadline).await?;
        if let Some(gone) = id.filter(|_| classify::is_about_glossary(&response)) {
            self.glossaries.forget(&wanted, &gone).await;
            let id = self.glossary(&wanted, deadline).await?;
            response = self.send(pack, items, id.as_deref(), deadline).await?;
        }
        self.read(&response, items.len(), deadline).await
    }

    /// The id of the glossary that is wanted, made where it is not there yet.
    async fn glossary(
        &self,
        wanted: &Wanted<'_>,
        deadline: Deadline,
    ) -> Result<Option<Arc<str>>, ProviderError> {
        let found = self.glossaries.id_of(wanted, &self.connection, deadline);
        found.await
    }

    async fn send(
        &self,
        pack: &Pack,
        items: &[&Item],
        glossary: Option<&str>,
        deadline: Deadline,
    ) -> Result<Response, ProviderError> {
        let tone = pack.guide.as_ref().and_then(|guide| guide.tone.as_deref());
        let question = Question {
            text: items
                .iter()
                .map(|it| markup::from_skeleton(&it.text))
                .collect(),
            source_lang: pack.pair.source.as_ref().map(languages::source),
            target_lang: languages::target(&pack.pair.target),
            context: items.first().and_then(|item| item.context.as_deref()),
            tag_handling: "xml",
            ignore_tags: [markup::TAG],
            formality: tone.and_then(tone::formality),
            glossary_id: glossary,
            // Lines are posts' own structure: a translation keeps them.
            split_sentences: "1",
            preserve_formatting: true,
            show_billed_characters: true,
            model_type: "prefer_quality_optimized",
        };
        let body = serde_json::to_vec(&question).expect("texts and flags always become JSON");
        if body.len() > MAX_CALL {
            let detail = format!("{} bytes in one call, at most {MAX_CALL}", body.len());
            return Err(ProviderError::TooLarge { detail });
        }
        self.connection.translate(body, deadline).await
    }

    async fn read(
        &self,
        response: &Response,
        n_items: usize,
        deadline: Deadline,
    ) -> Result<Reply, ProviderError> {
        if !response.is_success() {
            return Err(self.connection.error_of(response, deadline).await);
        }
        let reply: Reply = serde_json::from_slice(&response.body).map_err(|_| {
            let body = excerpt(&String::from_utf8_lossy(&response.body));
            unanswered(&format!(
                "an answer that is no list of translations: {body}"
            ))
        })?;
        // The API promises the order and has no ids: of another number nothing is believed.
        if reply.translations.len() != n_items {
            let n_texts = reply.translations.len();
            return Err(unanswered(&format!("{n_texts} texts for {n_items}")));
        }
        Ok(reply)
    }
}

impl Provider for DeepLProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        Box::pin(self.call(pack, Deadline::after(timeout)))
    }
}

#[derive(Serialize)]
struct Question<'a> {
    text: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_lang: Option<String>,
    target_lang: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a str>,
    tag_handling: &'a str,
    ignore_tags: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    formality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    glossary_id: Option<&'a str>,
    split_sentences: &'a str,
    preserve_formatting: bool,
    show_billed_characters: bool,
    model_type: &'a str,
}

#[derive(Deserialize)]
struct Reply {
    translations: Vec<Translation>,
}

#[derive(Deserialize)]
struct Translation {
    text: String,
    billed_characters: Option<u64>,
    model_type_used: Option<String>,
}

/// The texts of each context together, in their order, no more than a call takes.
fn by_context(items: &[Item]) -> Vec<Vec<&Item>> {
    let most = MAX_ITEMS.unwrap_or(usize::MAX);
    let mut groups: Vec<Vec<&Item>> = Vec::new();
    for item in items {
        let fits = |group: &&mut Vec<&Item>| {
            let is_same = group.first().is_some_and(|it| it.context == item.context);
            is_same && group.len() < most
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    groups
}

/// Adds a reply to the answer, each text under the id of the one in its place.
fn take(answer: &mut Answer, items: &[&Item], reply: Reply) {
    for (item, translation) in items.iter().zip(reply.translations) {
        if let Some(n_billed) = translation.billed_characters {
            answer.usage.get_or_insert_with(Usage::default).tokens_in += n_billed;
        }
        if let Some(model) = translation.model_type_used {
            answer.model = model.into();
        }
        // A text whose tags cannot be read counts as missing.
        if let Some(text) = markup::to_skeleton(&translation.text) {
            answer.items.push(Translated {
                id: Arc::clone(&item.id),
                text,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_one_context_share_a_call_up_to_its_measure() {
        let item = |number: usize, context: Option<&str>| Item {
            id: number.to_string().into(),
            text: "text".into(),
            context: context.map(Arc::from),
        };
        let mut items: Vec<Item> = (0..51).map(|number| item(number, None)).collect();
        items.insert(1, item(90, Some("thread")));
        items.push(item(91, Some("thread")));

        let groups = by_context(&items);

        let sizes: Vec<_> = groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [50, 2, 1]);
        assert!(
            groups
                .iter()
                .all(|it| it.iter().all(|item| item.context == it[0].context))
        );
    }
}
