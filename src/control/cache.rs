//! Makes translations known beforehand, and forgets them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::{Class, Flow, Pair};
use babelfeed_actors::messages::{Clear, NowError, TranslateNow};
use log::{info, warn};
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::app::{Answer, ask};
use super::body::{self, LARGE};
use super::client::Client;
use super::problem::Problem;
use super::server::Face;
use super::submission::{Tag, Text};
use super::translate::checked;

/// The most texts of one order.
const MAX_TEXTS: usize = 10_000;
/// The most orders that are worked on at a time.
const MAX_WARMERS: usize = 4;
/// The texts that are asked for together.
const CHUNK: usize = 50;
/// How long such a chunk may take: it comes after everything else.
const CHUNK_DEADLINE: Duration = Duration::from_secs(600);
/// How long to wait when nothing is taken.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a chunk is tried while nothing is taken.
const MAX_TRIES: u32 = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WarmBody {
    texts: Vec<Text>,
    target: Tag,
    source: Option<Tag>,
}

/// `POST /v1/cache/warm`
pub(super) async fn warm(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let body: WarmBody = body::json(&request, payload, LARGE).await?;
    let texts = checked(body.texts, MAX_TEXTS)?;
    let warmer = Warmer::enter(face)?;
    let n_texts = texts.len();
    let pair = Pair {
        source: body.source.map(|tag| tag.0),
        target: body.target.0,
    };
    let flow = Client::of(&request).flow();
    actix_rt::spawn(warmer.warm(texts, pair, flow));
    Ok(HttpResponse::Accepted().json(json!({ "texts": n_texts })))
}

/// `DELETE /v1/cache`
pub(super) async fn clear(face: web::Data<Face>) -> Answer {
    ask(&face.control.handles.clear, Clear).await??;
    Ok(HttpResponse::Ok().json(json!({ "cleared": true })))
}

/// One order to warm the cache, counted while it is worked on.
struct Warmer(web::Data<Face>);

impl Warmer {
    fn enter(face: web::Data<Face>) -> Result<Self, Problem> {
        let before = face.n_warmers.fetch_add(1, Ordering::Relaxed);
        let warmer = Self(face);
        if before >= MAX_WARMERS {
            let detail = format!("{MAX_WARMERS} orders to warm the cache are worked on already");
            return Err(Problem::unavailable(detail, Duration::from_secs(10)));
        }
        Ok(warmer)
    }

    async fn warm(self, texts: Vec<Arc<str>>, pair: Pair, flow: Flow) {
        let mut n_known = 0;
        for chunk in texts.chunks(CHUNK) {
            n_known += self.warm_chunk(chunk.to_vec(), &pair, &flow).await;
        }
        info!(texts = texts.len(), known = n_known; "cache warmed");
    }

    /// Makes a chunk known and tells how many of it are; a text that is refused is left out.
    async fn warm_chunk(&self, mut texts: Vec<Arc<str>>, pair: &Pair, flow: &Flow) -> usize {
        let mut n_tries = 0;
        while !texts.is_empty() && n_tries < MAX_TRIES && !*self.0.closing.borrow() {
            let message = TranslateNow {
                texts: texts.clone().into(),
                source: pair.source.clone(),
                target: pair.target.clone(),
                deadline: CHUNK_DEADLINE,
                class: Class::Low,
                flow: flow.clone(),
            };
            match self.0.control.handles.translate_now.send(message).await {
                Ok(Ok(_)) => return texts.len(),
                Ok(Err(NowError::Refused { index, .. })) if index < texts.len() => {
                    texts.remove(index);
                }
                Ok(Err(NowError::Busy)) | Err(_) => {
                    n_tries += 1;
                    sleep(PAUSE).await;
                }
                Ok(Err(error)) => {
                    warn!(texts = texts.len(), cause:% = error; "cache not warmed");
                    return 0;
                }
            }
        }
        0
    }
}

impl Drop for Warmer {
    fn drop(&mut self) {
        self.0.n_warmers.fetch_sub(1, Ordering::Relaxed);
    }
}
