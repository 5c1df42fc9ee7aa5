//! Takes requests in, one or a stream of them, and tells how they stand.

use std::time::Duration;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::{RequestId, TaskId};
use babelfeed_actors::messages::{FindRequest, FindTask, Submission, Submit, TaskView};
use babelfeed_actors::ports::{Admitted, Outcome};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use super::app::{Answer, ask, id, query};
use super::body::{self, Kind, SMALL};
use super::client::Client;
use super::gather::Gatherer;
use super::lines;
use super::problem::Problem;
use super::server::Face;
use super::submission::SubmitBody;
use super::wire;

/// The longest that a client may wait in one request.
const MAX_WAIT: f64 = 3_600.0;
/// How often a waiting client's request is looked at although nothing rang.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// `POST /v1/requests`
pub(super) async fn submit(
    face: web::Data<Face>,
    gatherer: web::Data<Gatherer>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let client = Client::of(&request);
    if body::kind(&request)? == Kind::Lines {
        return Ok(lines::submit(face, payload, client));
    }
    let body: SubmitBody = body::json(&request, payload, SMALL).await?;
    let submission = body.into_submission(&face.control.outlets, client)?;
    let admitted = gatherer.admit(&face, submission).await?;
    let status = status_of(&admitted)?;
    let mut answer = Vec::with_capacity(64 + 96 * admitted.tasks.len());
    wire::write_accepted(&mut answer, &admitted, None);
    let mut response = match status {
        200 => HttpResponse::Ok(),
        _ => HttpResponse::Accepted(),
    };
    Ok(response
        .insert_header((CONTENT_TYPE, "application/json"))
        .body(answer))
}

/// Hands texts in; answered, in order, when all of them are durable.
pub(super) async fn admit(
    face: &Face,
    submissions: Vec<Submission>,
) -> Result<Vec<Admitted>, Problem> {
    let submit = Submit {
        submissions,
        ..Submit::default()
    };
    Ok(ask(&face.control.handles.submit, submit).await??)
}

/// What the client is told of what became of its text.
pub(super) fn status_of(admitted: &Admitted) -> Result<u16, Problem> {
    match admitted.outcome {
        Outcome::New | Outcome::Edited => Ok(202),
        Outcome::Same => Ok(200),
        Outcome::Conflict => Err(Problem::conflict(format!(
            "another request was taken with this key, expected the same body or another key: {}",
            admitted.id
        ))),
    }
}

/// What is said when an actor answered fewer texts than it was handed.
pub(super) fn short_answer() -> Problem {
    Problem::new(
        actix_web::http::StatusCode::INTERNAL_SERVER_ERROR,
        "the text was not answered, expected one answer each",
    )
}

/// The query of what can be waited for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<f64>,
}

impl WaitQuery {
    /// Until when the client waits; none for one who does not.
    pub(super) fn until(&self) -> Result<Option<Instant>, Problem> {
        match self.wait {
            None => Ok(None),
            Some(wait) if wait >= 0.0 => {
                let wait = Duration::from_secs_f64(wait.min(MAX_WAIT));
                Ok(Some(Instant::now() + wait))
            }
            Some(wait) => Err(Problem::malformed(format!(
                "`wait` is {wait}, expected seconds from 0"
            ))),
        }
    }
}

/// `GET /v1/requests/{id}`
pub(super) async fn find(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let id: RequestId = id(&request)?;
    let until = query::<WaitQuery>(&request)?.until()?;
    let views = settled(&face, id, until, async || find_request(&face, id).await).await?;
    match wire::Request::of(&views) {
        Some(request) => Ok(HttpResponse::Ok().json(request)),
        None => Err(Problem::not_found("there is no request with that id")),
    }
}

async fn find_request(face: &Face, id: RequestId) -> Result<Vec<TaskView>, Problem> {
    Ok(ask(&face.control.handles.find_request, FindRequest(id)).await??)
}

/// One task; empty for an unknown one.
pub(super) async fn find_task(face: &Face, id: TaskId) -> Result<Vec<TaskView>, Problem> {
    let view = ask(&face.control.handles.find_task, FindTask(id)).await??;
    Ok(view.into_iter().collect())
}

/// What `find` finds, as soon as all of it is settled, or when the time is over.
pub(super) async fn settled(
    face: &Face,
    id: RequestId,
    until: Option<Instant>,
    find: impl AsyncFn() -> Result<Vec<TaskView>, Problem>,
) -> Result<Vec<TaskView>, Problem> {
    let Some(until) = until else {
        return find().await;
    };
    let waiter = face.waiters.wait_for(id);
    loop {
        let rung = waiter.rung();
        let views = find().await?;
        if views.iter().all(is_settled) || Instant::now() >= until {
            return Ok(views);
        }
        let look = until.min(Instant::now() + LOOK_EVERY);
        tokio::select! {
            () = rung => (),
            () = sleep_until(look) => (),
            () = face.closed() => return Ok(views),
        }
    }
}

fn is_settled(view: &TaskView) -> bool {
    let publications = &view.publications;
    view.record.lifecycle.state().is_final()
        && publications.iter().all(|record| record.state.is_settled())
}
