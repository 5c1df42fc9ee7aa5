//! The table of routes, and what stands before them.

use std::time::Duration;

use actix::{Message, Recipient};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, Resource, web};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::busy_poll::BusyPoll;
use super::gather::Gatherer;
use super::problem::Problem;
use super::server::Face;
use super::{
    cache, callbacks, events, figures, health, operations, publications, requests, status, tasks,
    translate,
};

/// What a route answers.
pub(super) type Answer = Result<HttpResponse, Problem>;

/// How long an actor may take for an answer that nobody bounded otherwise.
const ACTOR_PATIENCE: Duration = Duration::from_secs(60);

/// Every route with what it needs at each worker; the hottest first, because the router goes
/// through them in order.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.app_data(web::Data::new(Gatherer::default()))
        .app_data(web::Data::new(BusyPoll::default()))
        .service(at("/v1/requests").post(requests::submit))
        .service(at("/v1/translate").post(translate::translate))
        .service(at("/v1/requests/{id}").get(requests::find))
        .service(at("/v1/tasks").get(tasks::list))
        .service(at("/v1/tasks/{id}").get(tasks::find))
        .service(at("/v1/tasks/{id}/cancel").post(tasks::cancel))
        .service(at("/v1/tasks/{id}/retry").post(tasks::retry))
        .service(at("/v1/review").get(publications::review))
        .service(at("/v1/publications/{id}/approve").post(publications::approve))
        .service(at("/v1/publications/{id}/reject").post(publications::reject))
        .service(at("/v1/publications/{id}/retry").post(publications::retry))
        .service(at("/v1/control/{order}").post(operations::order))
        .service(at("/v1/status").get(status::status))
        .service(at("/v1/metrics").get(figures::json))
        .service(at("/metrics").get(figures::prometheus))
        .service(at("/v1/events").get(events::events))
        .service(at("/v1/cache/warm").post(cache::warm))
        .service(at("/v1/cache").delete(cache::clear))
        .service(at("/healthz").get(health::healthz))
        .service(at("/readyz").get(health::readyz))
        .default_service(web::to(no_route));
}

/// The one route that hubs call, who know no token; for TCP alone, and only where hubs are expected.
pub(super) fn callback_routes(app: &mut web::ServiceConfig) {
    let path = format!("{}{{id}}", callbacks::PREFIX);
    let asked = at(&path).get(callbacks::ask);
    app.service(asked.route(web::post().to(callbacks::deliver)));
}

/// One path, whose other methods are answered with a problem.
struct Path(Resource);

fn at(path: &str) -> Path {
    Path(web::resource(path).default_service(web::to(wrong_method)))
}

macro_rules! methods {
    ($($method:ident),*) => {
        impl Path {
            $(fn $method<F, Args>(self, handler: F) -> Resource
            where
                F: actix_web::Handler<Args, Output = Answer>,
                Args: actix_web::FromRequest + 'static,
            {
                self.0.route(web::$method().to(handler))
            })*
        }
    };
}

methods!(get, post, delete);

/// Answers what no route answers.
async fn no_route(request: HttpRequest) -> Answer {
    Err(Problem::not_found(format!(
        "there is no route `{}`",
        request.path()
    )))
}

async fn wrong_method(request: HttpRequest) -> Answer {
    Err(Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("`{}` does not take {}", request.path(), request.method()),
    ))
}

/// Lets only those pass who bear the token, but for what is open to everybody.
pub(super) async fn require_token(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if is_open(&request) || bears_token(&request) {
        let response = next.call(request).await?;
        return Ok(response.map_into_left_body());
    }
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "the token is missing or wrong, expected `Authorization: Bearer` with the one of the settings",
    );
    let response = actix_web::ResponseError::error_response(&problem);
    Ok(request.into_response(response).map_into_right_body())
}

/// Whether everybody may pass: whether the service lives is no secret, and hubs know none.
fn is_open(request: &ServiceRequest) -> bool {
    let face = request.app_data::<web::Data<Face>>();
    let hears_hubs = face.is_some_and(|face| face.control.callbacks.is_some());
    let path = request.path();
    path == "/healthz" || (hears_hubs && path.starts_with(callbacks::PREFIX))
}

fn bears_token(request: &ServiceRequest) -> bool {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok())
        .and_then(|header| header.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let face = request.app_data::<web::Data<Face>>();
    let wanted = face.and_then(|face| face.control.token.as_ref());
    match (given, wanted) {
        (Some(given), Some(wanted)) => is_same_secret(given, wanted.expose()),
        _ => false,
    }
}

/// Compares in a time that does not depend on where the two differ, nor on their lengths.
fn is_same_secret(given: &str, wanted: &str) -> bool {
    let (given, wanted) = (Sha256::digest(given), Sha256::digest(wanted));
    let difference = given
        .iter()
        .zip(wanted.iter())
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    std::hint::black_box(difference) == 0
}

/// Asks an actor, who may be restarting or slow.
pub(super) async fn ask<M>(recipient: &Recipient<M>, message: M) -> Result<M::Result, Problem>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    match timeout(ACTOR_PATIENCE, recipient.send(message)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Problem::unavailable(
            "a part of the service does not answer, expected it to soon",
            Duration::from_secs(5),
        )),
    }
}

/// A part of the path, like an id.
pub(super) fn segment<'a>(request: &'a HttpRequest, name: &str) -> &'a str {
    request.match_info().get(name).unwrap_or_default()
}

/// The id in the path.
pub(super) fn id<T>(request: &HttpRequest) -> Result<T, Problem>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    segment(request, "id")
        .parse()
        .map_err(|error: T::Err| Problem::malformed(error.to_string()))
}

/// The query behind the path.
pub(super) fn query<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    web::Query::<T>::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| Problem::malformed(format!("the query makes no sense: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_only_as_a_whole() {
        assert!(is_same_secret("open sesame", "open sesame"));
        assert!(!is_same_secret("open", "open sesame"));
        assert!(!is_same_secret("", "open sesame"));
    }
}
