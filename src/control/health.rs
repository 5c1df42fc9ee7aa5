//! Tells whether the service lives, and whether it can take work.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::logic::breaker::Parked;
use babelfeed_actors::messages::{LaneView, SourceState};
use serde_json::json;

use super::app::Answer;
use super::server::Face;
use super::status::{Views, views};

/// `GET /healthz`
pub(super) async fn healthz() -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "status": "alive" })))
}

/// `GET /readyz`
pub(super) async fn readyz(face: web::Data<Face>) -> Answer {
    let (status, name, why) = match views(&face).await {
        Err(problem) => unready(problem.to_string()),
        Ok(views) => match (views.backlog.closed, troubles(&views)) {
            (Some(closed), _) => unready(closed.name().into()),
            (None, why) if why.is_empty() => (StatusCode::OK, "ready", why),
            (None, why) => (StatusCode::OK, "degraded", why),
        },
    };
    Ok(HttpResponse::build(status).json(json!({ "status": name, "why": why })))
}

fn unready(why: String) -> (StatusCode, &'static str, Vec<String>) {
    (StatusCode::SERVICE_UNAVAILABLE, "unready", vec![why])
}

/// What does not go as it should, a sentence each.
fn troubles(views: &Views) -> Vec<String> {
    let mut why = Vec::new();
    for source in &views.sources {
        if source.state == SourceState::Failing {
            let cause = source.error.as_deref().unwrap_or("it does not say why");
            why.push(format!("source {} fails: {cause}", source.name));
        }
    }
    for lane in &views.lanes {
        match lane.why {
            Some(cause) if waits_for_person(lane) => {
                why.push(format!("lane {} waits for a person: {cause}", lane.name));
            }
            Some(cause) if cause == Parked::Failed.name() => {
                why.push(format!("lane {} is {cause}", lane.name));
            }
            _ => (),
        }
    }
    for outlet in &views.outlets {
        if outlet.state == "failing" {
            let cause = outlet.error.as_deref().unwrap_or("it does not say why");
            why.push(format!("outlet {} fails: {cause}", outlet.name));
        }
    }
    if views.backlog.unknown > 0 {
        let n_unknown = views.backlog.unknown;
        why.push(format!("{n_unknown} publications have an open fate"));
    }
    why
}

/// Whether nothing good is to be expected of a lane before a person acts: its credential or credit
/// was refused, or it is parked until the end of time.
fn waits_for_person(lane: &LaneView) -> bool {
    lane.why == Some(Parked::Person.name())
        || lane.parked_until == Some(Timestamp::from_millis(i64::MAX))
}
