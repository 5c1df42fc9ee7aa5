//! What people are shown of a lane.

use super::lane::LaneState;
use crate::domain::{Moment, Timestamp, Unit};
use crate::logic::quota::{AT_ONCE, Account, CALLS, Need, Now, Parked, Window, per_name};
use crate::messages::{BindingView, LaneView, WindowView};

/// How a lane does.
pub(super) fn view(state: &mut LaneState, now: Now) -> LaneView {
    state.quota.look(now);
    let need = state.next_need(now);
    let quota = &state.quota;
    let windows = quota.windows().iter();
    let mut windows: Vec<WindowView> = windows.filter_map(|it| window(it, now)).collect();
    windows.extend(quota.accounts().iter().flat_map(|it| account(it, now)));
    if let Some(concurrency) = quota.concurrency() {
        windows.push(WindowView {
            unit: CALLS,
            per: AT_ONCE,
            limit: concurrency as f64,
            used: quota.in_flight() as f64,
            resets_at: None,
            known_by: "settings",
            told_at: None,
            is_remembered: false,
        });
    }
    let parked = quota
        .parked()
        .filter(|(_, until)| until.is_none_or(|until| until > now.moment));
    let end = |until: Option<Moment>| {
        until.map_or(Timestamp::from_millis(i64::MAX), |until| {
            by_wall(until, now)
        })
    };
    let binding = need.filter(|_| parked.is_none());
    LaneView {
        name: state.home.lane().clone(),
        windows,
        waiting: (state.urgent.len() + state.bulk.len()) as u64,
        in_flight: quota.in_flight() as u64,
        parked_until: parked.map(|(_, until)| end(until)),
        why: quota.closed().map(Parked::name),
        usd_today: quota.usd_today(),
        binding: binding.and_then(|need| binding_view(state, need, now)),
    }
}

fn by_wall(moment: Moment, now: Now) -> Timestamp {
    now.wall.plus(moment.since(now.moment))
}

fn window(window: &Window, now: Now) -> Option<WindowView> {
    Some(WindowView {
        unit: window.unit().name(),
        per: per_name(window.per()),
        limit: window.limit()?.round(),
        used: window.used().round(),
        resets_at: window.free_at().map(|at| by_wall(at, now)),
        known_by: window.known_by().name(),
        told_at: window.told_at(),
        is_remembered: is_remembered(window.told_at(), now),
    })
}

/// Whether something was told before this process started.
fn is_remembered(told_at: Option<Timestamp>, now: Now) -> bool {
    let since = |at: Timestamp| now.wall.since(at);
    told_at.is_some_and(|at| since(at) > now.moment.since_start())
}

fn account(account: &Account, now: Now) -> impl Iterator<Item = WindowView> {
    account.limits().iter().filter_map(move |long| {
        let shown = |amount: f64| match account.unit() {
            Unit::Dollars => (amount * 10_000.0).round() / 10_000.0,
            _ => amount.round(),
        };
        Some(WindowView {
            unit: account.unit().name(),
            per: long.span.name(),
            limit: shown(long.limit()?),
            used: shown(long.used()),
            resets_at: account.free_at(long),
            known_by: long.known_by().name(),
            told_at: long.told_at(),
            is_remembered: is_remembered(long.told_at(), now),
        })
    })
}

fn binding_view(state: &LaneState, need: Need, now: Now) -> Option<BindingView> {
    let binding = state.quota.binding(need, now)?;
    Some(BindingView {
        unit: binding.unit,
        per: binding.per,
        known_by: binding.known_by.name(),
        opens_at: binding.opens.map(|at| by_wall(at, now)),
    })
}
