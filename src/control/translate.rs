//! Translates texts at once, for somebody who waits with an open connection.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::{Class, Pair, Translation};
use babelfeed_actors::logic::known::Keyed;
use babelfeed_actors::messages::{AskedTexts, TranslateNow};
use serde::Deserialize;
use tokio::time::timeout;

use super::app::Answer;
use super::body::{self, LARGE};
use super::busy_poll::BusyPoll;
use super::client::Client;
use super::problem::{Problem, write_string};
use super::server::Face;
use super::submission::{Tag, Text, check_text};

/// The most texts of one call.
const MAX_TEXTS: usize = 1_000;
/// How long a client waits that says nothing of it.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest that a client may wait.
const MAX_DEADLINE: Duration = Duration::from_secs(3_600);
/// How much later than the deadline the answer may come before nobody waits for it any more.
const GRACE: Duration = Duration::from_secs(1);

/// Texts with what to do about them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TranslateBody {
    texts: Vec<Text>,
    target: Tag,
    source: Option<Tag>,
    deadline_ms: Option<NonZeroU64>,
}

/// `POST /v1/translate`
pub(super) async fn translate(
    face: web::Data<Face>,
    polling: web::Data<BusyPoll>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let asking = polling.asked(&face.questions);
    let body: TranslateBody = body::json(&request, payload, LARGE).await?;
    let texts = checked(body.texts, MAX_TEXTS)?;
    let deadline = body
        .deadline_ms
        .map_or(DEADLINE, |ms| Duration::from_millis(ms.get()))
        .min(MAX_DEADLINE);
    let pair = Pair {
        source: body.source.map(|tag| tag.0),
        target: body.target.0,
    };
    let known = &face.control.handles.known;
    let texts: Vec<Keyed> = texts.iter().map(|text| known.keyed(text, &pair)).collect();
    if let Some(translations) = known.read(&texts, &pair) {
        return Ok(answer(&translations));
    }
    let message = TranslateNow {
        texts: AskedTexts::Keyed(texts),
        source: pair.source,
        target: pair.target,
        deadline,
        class: Class::Interactive,
        flow: Client::of(&request).flow(),
    };
    asking.handed_over();
    let answer_to_come = face.control.handles.translate_now.send(message);
    let translations = timeout(deadline + GRACE, answer_to_come)
        .await
        .map_err(|_| Problem::late("not all texts were translated in time"))???;
    Ok(answer(&translations))
}

fn answer(translations: &[Translation]) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(written(translations))
}

/// The texts, if all of them can be handed over.
pub(super) fn checked(texts: Vec<Text>, most: usize) -> Result<Vec<Arc<str>>, Problem> {
    if texts.is_empty() || texts.len() > most {
        return Err(Problem::malformed(format!(
            "`texts` holds {}, expected 1 to {most}",
            texts.len()
        )));
    }
    texts
        .into_iter()
        .map(|Text(text)| check_text(&text).map(|()| text))
        .collect()
}

/// The translations in order, written by hand, because somebody waits.
fn written(translations: &[Translation]) -> Vec<u8> {
    let size: usize = translations.iter().map(|one| one.text.len() + 64).sum();
    let mut out = Vec::with_capacity(size + 32);
    out.extend_from_slice(br#"{"translations":["#);
    for (index, translation) in translations.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(br#"{"text":"#);
        write_string(&mut out, &translation.text);
        out.extend_from_slice(br#","provider":"#);
        write_string(&mut out, translation.provider.as_str());
        out.extend_from_slice(br#","cached":"#);
        out.extend_from_slice(translation.cached.to_string().as_bytes());
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::Translations;

    #[test]
    fn what_is_written_by_hand_reads_as_json() {
        let translation = |text: &str, cached| Translation {
            text: text.into(),
            provider: "groq".into(),
            model: "m".into(),
            cached,
            usage: Default::default(),
        };
        let out = written(&[translation("\"hola\"\n", true), translation("", false)]);
        let read: Translations = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(read.translations[0].text, "\"hola\"\n");
        assert!(read.translations[0].cached && !read.translations[1].cached);
        assert_eq!(read.translations[1].provider, "groq");
    }
}
