//! Every message between actors, by who hears it.

mod batcher;
mod cache;
mod caller;
mod events;
mod metrics;
mod monitor;
mod publisher;
mod rate_limiter;
mod task_manager;
mod translator;

pub use batcher::{
    AbandonJob, Brought, CloseJob, JobCall, JobEnd, JobOrder, JobText, NotBrought, RunJob, TextEnd,
};
pub use cache::{
    CacheStats, CacheView, Clear, FlightEnd, Found, Insert, Leadership, Lookup, Resign, SaveAll,
};
pub use caller::AwaitedText;
pub(crate) use caller::NowCall;
pub use events::{Event, Events};
pub use metrics::{Follow, INSIDE, Operation, Quantiles, Record, Report, ReportNow, ServiceReport};
pub use monitor::{
    Missed, PauseSource, PollNow, ResumeSource, SourceState, SourceView, UnknownName, Watching,
};
pub use publisher::{
    Approve, EndedTasks, OutletView, Outlets, PauseOutlet, PublicationError, Publish, Reject,
    ResumeOutlet, RetryPublication, Review, Withdraw,
};
pub use rate_limiter::{
    Acquire, Acquired, Adjust, Adjustment, Amend, BindingView, LaneView, Lanes, Permit, PermitHome,
    Quotas, Reserve, Settle, Settling, Urgency, Verdict, WindowView,
};
pub use task_manager::{
    AskedTexts, Backlog, Cancel, ChangeError, Closed, Depth, Drain, FindRequest, FindTask,
    FindTasks, List, Listed, NowError, OpenIntake, ProviderView, Providers, Retry, Stop,
    Submission, Submit, SubmitError, TaskView, TranslateNow,
};
pub use translator::{CallEnd, Duty, ItemEnd, Job, JobItem, Rendered, Translate, Trouble};
