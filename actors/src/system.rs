//! Who exists and who knows whom.

use actix::Recipient;

use crate::messages::{
    Adjust, Approve, CacheStats, Cancel, Clear, Depth, Drain, Events, FindRequest, FindTask,
    Follow, Lanes, List, OpenIntake, Outlets, PauseOutlet, PauseSource, PollNow, Record, Reject,
    ReportNow, ResumeOutlet, ResumeSource, Retry, RetryPublication, Review, Stop, Submit,
    TranslateNow, Watching,
};
use crate::supervision::Falls;

/// Where everybody outside the system can be heard by it.
#[derive(Clone)]
pub struct Handles {
    /// Hands texts in.
    pub submit: Recipient<Submit>,
    /// Translates at once.
    pub translate_now: Recipient<TranslateNow>,
    /// Finds a task.
    pub find_task: Recipient<FindTask>,
    /// Finds a request.
    pub find_request: Recipient<FindRequest>,
    /// Lists tasks.
    pub list: Recipient<List>,
    /// Cancels a task.
    pub cancel: Recipient<Cancel>,
    /// Retries a task.
    pub retry: Recipient<Retry>,
    /// Closes intake.
    pub drain: Recipient<Drain>,
    /// Opens intake.
    pub open_intake: Recipient<OpenIntake>,
    /// Ends the work.
    pub stop: Recipient<Stop>,
    /// Tells how much there is to do.
    pub depth: Recipient<Depth>,
    /// Forgets translations.
    pub clear: Recipient<Clear>,
    /// Tells how the cache does.
    pub cache_stats: Recipient<CacheStats>,
    /// Changes lanes.
    pub adjust: Recipient<Adjust>,
    /// Tells how the lanes do.
    pub lanes: Recipient<Lanes>,
    /// Tells how the outlets do.
    pub outlets: Recipient<Outlets>,
    /// Pauses outlets.
    pub pause_outlet: Recipient<PauseOutlet>,
    /// Resumes outlets.
    pub resume_outlet: Recipient<ResumeOutlet>,
    /// Lists what waits for a person.
    pub review: Recipient<Review>,
    /// Lets a held publication out.
    pub approve: Recipient<Approve>,
    /// Refuses a held publication.
    pub reject: Recipient<Reject>,
    /// Sends a publication again.
    pub retry_publication: Recipient<RetryPublication>,
    /// Pauses sources.
    pub pause_source: Recipient<PauseSource>,
    /// Resumes sources.
    pub resume_source: Recipient<ResumeSource>,
    /// Polls sources.
    pub poll_now: Recipient<PollNow>,
    /// Tells how the sources do.
    pub watching: Recipient<Watching>,
    /// Counts what was done.
    pub record: Recipient<Record>,
    /// Tells the figures.
    pub report: Recipient<ReportNow>,
    /// Follows one operation.
    pub follow: Recipient<Follow>,
    /// What happens.
    pub events: Events,
    /// How often each actor fell.
    pub falls: Falls,
}
