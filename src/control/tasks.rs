//! Tells how tasks stand, and changes them by a person's order.

use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::{State, TaskId};
use babelfeed_actors::messages::{Cancel, List, Retry, TaskView};
use serde::Deserialize;

use super::app::{Answer, ask, id, query};
use super::problem::Problem;
use super::requests::{WaitQuery, find_task, settled};
use super::server::Face;
use super::wire;

/// How many tasks a page has if nobody says.
const PAGE: usize = 100;
/// How many tasks a page has at most.
const MAX_PAGE: usize = 1_000;

/// `GET /v1/tasks/{id}`
pub(super) async fn find(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let id: TaskId = id(&request)?;
    let until = query::<WaitQuery>(&request)?.until()?;
    let find = async || find_task(&face, id).await;
    match settled(&face, id.request(), until, find).await?.first() {
        Some(view) => Ok(shown(view)),
        None => Err(Problem::not_found("there is no task with that id")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    state: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /v1/tasks`
pub(super) async fn list(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let query: ListQuery = query(&request)?;
    let list = List {
        state: query.state.as_deref().map(state).transpose()?,
        after: query.after.as_deref().map(after).transpose()?,
        limit: limit(query.limit)?,
    };
    let listed = ask(&face.control.handles.list, list).await??;
    Ok(HttpResponse::Ok().json(wire::Tasks {
        tasks: listed.tasks.iter().map(wire::Task::from).collect(),
        next: listed.next.map(|id| id.to_string()),
    }))
}

fn state(name: &str) -> Result<State, Problem> {
    State::from_name(name).ok_or_else(|| {
        let names = State::ALL.map(State::name).join(", ");
        Problem::malformed(format!("`{name}` is no state, expected one of {names}"))
    })
}

fn after(id: &str) -> Result<TaskId, Problem> {
    id.parse()
        .map_err(|error| Problem::malformed(format!("`after`: {error}")))
}

fn limit(limit: Option<usize>) -> Result<usize, Problem> {
    match limit.unwrap_or(PAGE) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        limit => Err(Problem::malformed(format!(
            "`limit` is {limit}, expected 1 to {MAX_PAGE}"
        ))),
    }
}

/// `POST /v1/tasks/{id}/cancel`
pub(super) async fn cancel(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let cancel = Cancel(id(&request)?);
    Ok(shown(&ask(&face.control.handles.cancel, cancel).await??))
}

/// `POST /v1/tasks/{id}/retry`
pub(super) async fn retry(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let retry = Retry(id(&request)?);
    Ok(shown(&ask(&face.control.handles.retry, retry).await??))
}

fn shown(view: &TaskView) -> HttpResponse {
    HttpResponse::Ok().json(wire::Task::from(view))
}
