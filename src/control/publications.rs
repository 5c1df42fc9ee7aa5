//! Shows what waits for a person, and carries out what the person decides.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::TaskId;
use babelfeed_actors::messages::{Approve, FindTasks, Reject, RetryPublication, Review};
use babelfeed_actors::ports::{PublicationRecord, TaskRecord};
use serde::Deserialize;

use super::app::{Answer, ask, id};
use super::body::{SMALL, json_or_default};
use super::problem::Problem;
use super::server::Face;
use super::submission::{Text, check_text};
use super::wire;

/// How many publications are shown at once.
const MAX_HELD: usize = 1_000;

/// `GET /v1/review`
pub(super) async fn review(face: web::Data<Face>) -> Answer {
    let review = Review { limit: MAX_HELD };
    let held = ask(&face.control.handles.review, review).await??;
    let task_of = |record: &PublicationRecord| record.publication.id.task();
    let mut ids: Vec<TaskId> = held.iter().map(task_of).collect();
    ids.dedup();
    let tasks = ask(&face.control.handles.find_tasks, FindTasks(ids)).await??;
    let tasks: HashMap<TaskId, &TaskRecord> = tasks.iter().map(|it| (it.task.id, it)).collect();
    let beside = |record| {
        let task = tasks.get(&task_of(record)).copied();
        wire::Publication::beside(record, task)
    };
    let publications = held.iter().map(beside).collect();
    Ok(HttpResponse::Ok().json(wire::Held { publications }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Correction {
    text: Option<Text>,
}

/// `POST /v1/publications/{id}/approve`
pub(super) async fn approve(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let id = id(&request)?;
    let correction: Correction = json_or_default(&request, payload, SMALL).await?;
    let text: Option<Arc<str>> = correction.text.map(|text| text.0);
    text.as_deref().map_or(Ok(()), check_text)?;
    let approve = Approve { id, text };
    Ok(shown(&ask(&face.control.handles.approve, approve).await??))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// `POST /v1/publications/{id}/reject`
pub(super) async fn reject(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let reject = Reject(id(&request)?);
    nothing(&request, payload).await?;
    Ok(shown(&ask(&face.control.handles.reject, reject).await??))
}

/// `POST /v1/publications/{id}/retry`
pub(super) async fn retry(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let retry = RetryPublication(id(&request)?);
    nothing(&request, payload).await?;
    Ok(shown(
        &ask(&face.control.handles.retry_publication, retry).await??,
    ))
}

/// Refuses a body that says something nobody would hear.
async fn nothing(request: &HttpRequest, payload: web::Payload) -> Result<(), Problem> {
    let Nothing {} = json_or_default(request, payload, SMALL).await?;
    Ok(())
}

fn shown(record: &PublicationRecord) -> HttpResponse {
    HttpResponse::Ok().json(wire::Publication::from(record))
}
