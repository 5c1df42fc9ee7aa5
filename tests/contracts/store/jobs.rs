//! What every store must do with jobs.

use babelfeed_actors::domain::State;
use babelfeed_actors::logic::lifecycle::Step;
use babelfeed_actors::ports::{BatchJob, BatchStore as _, Kept, Reserved, TaskStore as _};

use super::Kind;
use super::requests::{at, change, queued_task, task};

pub(super) async fn a_job_and_the_claims_of_its_tasks_are_one_commit<K: Kind>() {
    let mut kind = K::new();
    let store = kind.store();
    let id = queued_task(store).await;
    let token = store.token();
    let mut job = BatchJob {
        token,
        provider: "openai".into(),
        mark: "mark-1".into(),
        planned_at: at(0),
        remote: None,
        reserved: None,
        calls: vec![vec![id], vec![id.request().task(9), id]],
    };
    let claim = change(&task(store, id).await, token, &[Step::Call]);
    let mut ghost = claim.clone();
    ghost.held = token + 1;

    let kept = store.plan_job(job.clone(), vec![claim, ghost]).await;
    kind.crash();

    assert_eq!(kept, Ok(vec![Kept::Yes, Kept::Ghost]));
    let store = kind.store();
    assert_eq!(store.jobs().await, Ok(vec![job.clone()]));
    let claimed = task(store, id).await;
    assert_eq!(
        (claimed.token, claimed.lifecycle.state()),
        (token, State::Processing)
    );

    let reserved = Reserved {
        usd: 0.125,
        at: at(7),
    };
    store
        .note_job(token, "batch_7".into(), Some(reserved))
        .await
        .expect("noted");
    (job.remote, job.reserved) = (Some("batch_7".into()), Some(reserved));
    kind.restart();
    assert_eq!(kind.store().jobs().await, Ok(vec![job]));
    assert_eq!(kind.store().tally().await.expect("a tally").processing, 1);
    kind.store().close_job(token).await.expect("closed");
    kind.crash();
    assert_eq!(kind.store().jobs().await, Ok(Vec::new()));
}
