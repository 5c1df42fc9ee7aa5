//! Carries out a person's orders to sources, providers, outlets and the service itself.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use babelfeed_actors::domain::{Lane, OutletName, PausedBy, SourceName};
use babelfeed_actors::messages::{
    Adjust, Adjustment, Drain, Missed, OpenIntake, PauseOutlet, PauseSource, PollNow, ResumeOutlet,
    ResumeSource, UnknownName,
};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::app::{Answer, ask, segment};
use super::body::{SMALL, json_or_default};
use super::problem::Problem;
use super::server::Face;
use super::{Command, NotReloaded};

/// How long a person waits for a poll, which may read many pages.
const POLL_PATIENCE: Duration = Duration::from_secs(600);
/// How long the service may take to understand an order.
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);
/// When an order may be given again that a reload was in the way of.
const ASK_AGAIN: Duration = Duration::from_secs(5);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    name: Option<String>,
    /// Whether sources take what came while they were paused; only `resume` hears it.
    replay: Option<bool>,
}

/// `POST /v1/control/{order}`
pub(super) async fn order(
    face: web::Data<Face>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let order = segment(&request, "order").to_owned();
    let body: OrderBody = json_or_default(&request, payload, SMALL).await?;
    let name = body.name.as_deref();
    let mut also = Vec::new();
    if body.replay.is_some() && order != "resume" {
        let wrong = "`replay` stands in the body, expected it with `resume` alone";
        return Err(Problem::malformed(wrong.to_owned()));
    }
    match order.as_str() {
        "pause" => {
            change(&face, Change::Pause, name).await?;
            also = sharers(&face, name);
        }
        "resume" => {
            let missed = match body.replay {
                Some(true) => Missed::Taken,
                Some(false) | None => Missed::Skipped,
            };
            change(&face, Change::Resume(missed), name).await?;
            also = sharers(&face, name);
        }
        "poll" => poll(&face, name).await?,
        "drain" => change(&face, Change::Drain, name).await?,
        "reload" => reload(&face, name).await?,
        "stop" => stop(&face, name).await?,
        _ => {
            return Err(Problem::not_found(format!(
                "`{order}` is no order, expected pause, resume, poll, drain, reload or stop"
            )));
        }
    }
    Ok(HttpResponse::Ok().json(json!({ "done": order, "name": name, "also": also })))
}

/// What several actors must hear of, and the system after a reload begins with.
enum Change {
    Pause,
    Resume(Missed),
    Drain,
}

/// Has a change made whole, also if whoever ordered it hangs up meanwhile, unless the system after
/// a reload has begun already with what was so before.
async fn change(face: &web::Data<Face>, change: Change, name: Option<&str>) -> Result<(), Problem> {
    let (face, name) = (face.clone(), name.map(str::to_owned));
    let changing = actix_rt::spawn(async move {
        let name = name.as_deref();
        refuse_while_rebuilding(&face)?;
        let changed = match change {
            Change::Pause => pause(&face, name).await,
            Change::Resume(missed) => resume(&face, name, missed).await,
            Change::Drain => drain(&face, name).await,
        };
        // A reload that began meanwhile may have been too early to take all of it over.
        refuse_while_rebuilding(&face)?;
        changed
    });
    changing.await.unwrap_or_else(|_| {
        let why = "the order was not carried out to its end, expected it again";
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, why))
    })
}

fn refuse_while_rebuilding(face: &Face) -> Result<(), Problem> {
    if face.is_rebuilding.load(Ordering::Acquire) {
        let why = "the settings are being reloaded, expected the order again after that";
        return Err(Problem::unavailable(why, ASK_AGAIN));
    }
    Ok(())
}

/// The lane of a provider; every other name may be a lane's own.
fn lane_of(face: &Face, name: &str) -> Lane {
    let mut lanes = face.control.lanes.iter();
    let found = lanes.find(|(provider, _)| provider.as_str() == name);
    found.map_or_else(|| name.into(), |(_, lane)| lane.clone())
}

/// The lanes that an order to pause is for: that of the name, or those of all providers. Outlets
/// have a pause of their own, and would publish nothing after it in a lane that is paused as well.
fn lanes_to_pause(face: &Face, name: Option<&str>) -> Vec<Lane> {
    let Some(name) = name else {
        let lanes = face.control.lanes.iter().map(|(_, lane)| lane.clone());
        return lanes.collect::<BTreeSet<Lane>>().into_iter().collect();
    };
    vec![lane_of(face, name)]
}

/// The lanes that an order to resume is for: those of a provider and of an outlet of that name, or
/// all there are.
fn lanes_to_resume(face: &Face, name: Option<&str>) -> Vec<Option<Lane>> {
    let Some(name) = name else {
        return vec![None];
    };
    let of_outlet = Lane::of_outlet(&OutletName::from(name));
    vec![Some(lane_of(face, name)), Some(of_outlet)]
}

/// The other providers that an order to this one is for too, since they share its lane.
fn sharers<'a>(face: &'a Face, name: Option<&str>) -> Vec<&'a str> {
    let lane = name.map(|name| lane_of(face, name));
    let lanes = face.control.lanes.iter();
    lanes
        .filter(|(provider, of)| Some(of) == lane.as_ref() && Some(provider.as_str()) != name)
        .map(|(provider, _)| provider.as_str())
        .collect()
}

async fn pause(face: &Face, name: Option<&str>) -> Result<(), Problem> {
    let handles = &face.control.handles;
    let source = PauseSource(name.map(SourceName::from), PausedBy::Person);
    let outlet = PauseOutlet(name.map(OutletName::from));
    let mut answers = vec![ask(&handles.pause_source, source).await?];
    for lane in lanes_to_pause(face, name) {
        answers.push(adjust(face, Some(lane), Adjustment::Pause).await?);
    }
    answers.push(ask(&handles.pause_outlet, outlet).await?);
    somebody_knew(answers)?;
    keep_pauses(face).await
}

/// Has what is paused now stay so over a restart.
async fn keep_pauses(face: &Face) -> Result<(), Problem> {
    let (reply, answer) = oneshot::channel();
    command(face, Command::KeepPauses(reply), answer)
        .await?
        .map_err(|why| {
            let why = format!("done, but a restart will not know it: {why}");
            Problem::unavailable(why, Duration::from_secs(5))
        })
}

async fn resume(face: &Face, name: Option<&str>, missed: Missed) -> Result<(), Problem> {
    let handles = &face.control.handles;
    if name.is_none() {
        ask(&handles.open_intake, OpenIntake).await?;
    }
    let source = ResumeSource {
        name: name.map(SourceName::from),
        missed,
    };
    let outlet = ResumeOutlet(name.map(OutletName::from));
    let mut answers = vec![ask(&handles.resume_source, source).await?];
    for lane in lanes_to_resume(face, name) {
        answers.push(adjust(face, lane, Adjustment::Resume).await?);
    }
    answers.push(ask(&handles.resume_outlet, outlet).await?);
    somebody_knew(answers)?;
    keep_pauses(face).await
}

async fn adjust(
    face: &Face,
    lane: Option<Lane>,
    adjustment: Adjustment,
) -> Result<Result<(), UnknownName>, Problem> {
    ask(&face.control.handles.adjust, Adjust { lane, adjustment }).await
}

/// A name may be a source's, a provider's and an outlet's at once; it is unknown if it is none's.
fn somebody_knew(answers: Vec<Result<(), UnknownName>>) -> Result<(), Problem> {
    let known = answers.into_iter().reduce(Result::or);
    Ok(known.unwrap_or(Ok(()))?)
}

async fn poll(face: &Face, name: Option<&str>) -> Result<(), Problem> {
    let poll = PollNow(name.map(SourceName::from));
    let polled = face.control.handles.poll_now.send(poll);
    timeout(POLL_PATIENCE, polled)
        .await
        .map_err(|_| Problem::late("the poll goes on, but nobody waits for it any more"))???;
    Ok(())
}

async fn drain(face: &Face, name: Option<&str>) -> Result<(), Problem> {
    refuse_name(name)?;
    let rest = PauseSource(None, PausedBy::Service);
    ask(&face.control.handles.pause_source, rest).await??;
    ask(&face.control.handles.drain, Drain).await
}

async fn reload(face: &Face, name: Option<&str>) -> Result<(), Problem> {
    refuse_name(name)?;
    let (reply, answer) = oneshot::channel();
    command(face, Command::Reload(reply), answer)
        .await?
        .map_err(|why| match why {
            NotReloaded::Refused(why) => {
                Problem::impossible(format!("nothing was reloaded: {why}"))
            }
            NotReloaded::Unanswered(why) => {
                Problem::unavailable(format!("nothing was reloaded: {why}"), ASK_AGAIN)
            }
        })
}

async fn stop(face: &Face, name: Option<&str>) -> Result<(), Problem> {
    refuse_name(name)?;
    let (reply, answer) = oneshot::channel();
    command(face, Command::Stop(reply), answer).await
}

fn refuse_name(name: Option<&str>) -> Result<(), Problem> {
    match name {
        None => Ok(()),
        Some(name) => Err(Problem::malformed(format!(
            "`name` is `{name}`, expected none: the order is to the whole service"
        ))),
    }
}

async fn command<T>(
    face: &Face,
    command: Command,
    answer: oneshot::Receiver<T>,
) -> Result<T, Problem> {
    let carried_out = async {
        face.control.commands.send(command).await.ok()?;
        answer.await.ok()
    };
    match timeout(COMMAND_PATIENCE, carried_out).await {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) | Err(_) => Err(Problem::unavailable(
            "the service does not take orders now, expected it to soon, unless it stops",
            Duration::from_secs(5),
        )),
    }
}
