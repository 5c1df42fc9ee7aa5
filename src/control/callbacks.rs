//! The address at which hubs tell of feeds' news: on TCP alone, and without the token.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use super::app::{Answer, query, segment};
use super::body::whole;
use super::problem::Problem;
use super::server::Face;
use crate::sources::websub::{Callbacks, Question, Reply};

/// What the paths of such addresses begin with.
pub(super) const PREFIX: &str = "/websub/";
/// The most bytes that a hub may deliver.
const MAX_BODY: usize = 10_000_000;
/// The header with the signature of what is delivered.
const SIGNATURE: &str = "x-hub-signature";

/// `GET /websub/{id}`: a hub asks whether it was asked, or says no.
pub(super) async fn ask(face: web::Data<Face>, request: HttpRequest) -> Answer {
    let question: Question = query(&request)?;
    let id = segment(&request, "id");
    answer(callbacks(&face)?.ask(id, &question))
}

/// `POST /websub/{id}`: a hub tells of news.
pub(super) async fn deliver(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let callbacks = callbacks(&face)?;
    let id = segment(&request, "id");
    if !callbacks.knows(id) {
        // Nothing is read of what nobody wants.
        return answer(Reply::Gone);
    }
    let body = whole(&request, payload, MAX_BODY).await?;
    let signature = request.headers().get(SIGNATURE);
    let signature = signature.and_then(|it| it.to_str().ok());
    answer(callbacks.deliver(id, signature, &body))
}

fn callbacks(face: &Face) -> Result<&Callbacks, Problem> {
    let callbacks = face.control.callbacks.as_ref();
    callbacks.ok_or_else(|| Problem::not_found("no hub is expected here"))
}

fn answer(reply: Reply) -> Answer {
    match reply {
        // As plain text that stays plain text, because a hub chooses it.
        Reply::Challenge(challenge) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
            .insert_header((HeaderName::from_static("x-content-type-options"), "nosniff"))
            .body(challenge)),
        Reply::Heard => Ok(HttpResponse::Accepted().finish()),
        Reply::Refused => Err(Problem::not_found("this was not asked for")),
        Reply::Gone => Err(Problem::new(
            StatusCode::GONE,
            "nobody wants these news any more",
        )),
    }
}
