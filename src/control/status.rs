//! Tells how the whole service does.

use actix_web::{HttpResponse, web};
use babelfeed_actors::messages::{
    Backlog, CacheStats, CacheView, Depth, LaneView, Lanes, OutletView, Outlets, ProviderView,
    Providers, SourceView, Watching,
};

use super::app::{Answer, ask};
use super::problem::Problem;
use super::server::Face;
use super::wire;

/// What all actors say of themselves.
pub(super) struct Views {
    pub(super) sources: Vec<SourceView>,
    pub(super) lanes: Vec<LaneView>,
    pub(super) providers: Vec<ProviderView>,
    pub(super) outlets: Vec<OutletView>,
    pub(super) backlog: Backlog,
    pub(super) cache: CacheView,
}

/// Asks all actors at once.
pub(super) async fn views(face: &Face) -> Result<Views, Problem> {
    let handles = &face.control.handles;
    let (sources, lanes, providers, outlets, backlog, cache) = tokio::try_join!(
        ask(&handles.watching, Watching),
        ask(&handles.lanes, Lanes),
        ask(&handles.providers, Providers),
        ask(&handles.outlets, Outlets),
        ask(&handles.depth, Depth),
        ask(&handles.cache_stats, CacheStats),
    )?;
    Ok(Views {
        sources,
        lanes,
        providers,
        outlets,
        backlog: backlog?,
        cache,
    })
}

/// `GET /v1/status`
pub(super) async fn status(face: web::Data<Face>) -> Answer {
    let views = views(&face).await?;
    let control = &face.control;
    let falls = control.handles.falls.list();
    let actor = |actor: babelfeed_actors::supervision::ActorFalls| wire::ActorFalls {
        name: actor.name.into(),
        falls: actor.falls,
        restarts: actor.restarts,
    };
    Ok(HttpResponse::Ok().json(wire::Status {
        version: control.version.into(),
        uptime_s: uptime(face.as_ref()),
        is_open: views.backlog.closed.is_none(),
        closed: views.backlog.closed.map(|closed| closed.name().into()),
        ended: wire::Ended {
            completed: views.backlog.completed,
            failed: views.backlog.failed,
        },
        sources: views.sources.iter().map(wire::Source::from).collect(),
        lanes: views.lanes.iter().map(wire::Lane::from).collect(),
        providers: views.providers.iter().map(wire::Provider::from).collect(),
        outlets: views.outlets.iter().map(wire::Outlet::from).collect(),
        queue: queue(&views.backlog),
        publications: wire::OpenPublications {
            publishing: views.backlog.publishing,
            unknown: views.backlog.unknown,
            held: views.backlog.held,
        },
        actors: falls.into_iter().map(actor).collect(),
        cache: views.cache.into(),
    }))
}

/// Seconds since the start.
pub(super) fn uptime(face: &Face) -> f64 {
    let control = &face.control;
    control.clock.now().since(control.started).as_secs_f64()
}

fn queue(backlog: &Backlog) -> wire::Queue {
    wire::Queue {
        submitted: backlog.submitted,
        queued: backlog.queued,
        processing: backlog.processing,
        rate_limited: backlog.rate_limited,
        parked: backlog.parked,
    }
}
