//! The choice among providers, by each rule.

use super::*;

fn pair(target: &str) -> Pair {
    Pair {
        source: Some("en".parse().expect("a tag")),
        target: target.parse().expect("a tag"),
    }
}

fn routing(by: By, routes: &[(f64, (f64, f64))]) -> Routing {
    Routing::new(by, routes.iter().copied())
}

/// Makes so many calls where the choice says, and counts them by provider.
fn call(routing: &mut Routing, n: usize, may: impl Fn(usize) -> bool + Copy) -> Vec<usize> {
    let mut counts = vec![0; routing.standings.len()];
    for _ in 0..n {
        let route = routing.first(&pair("es"), may).expect("somebody may");
        routing.called(route, 10);
        counts[route] += 1;
    }
    counts
}

const FREE: (f64, f64) = (0.0, 0.0);

#[test]
fn by_order_the_first_that_may_is_asked() {
    let mut routing = routing(By::Order, &[(1.0, FREE), (1.0, FREE), (1.0, FREE)]);
    assert_eq!(call(&mut routing, 5, |_| true), [5, 0, 0]);
    assert_eq!(call(&mut routing, 5, |route| route != 0), [0, 5, 0]);
    assert_eq!(routing.first(&pair("es"), |_| false), None);
}

#[test]
fn by_price_the_cheapest_for_the_pair_is_asked_as_learned() {
    let routes = [(1.0, (1.0, 1.0)), (1.0, (0.8, 0.8))];
    let mut routing = routing(By::Price, &routes);
    assert_eq!(routing.first(&pair("ja"), |_| true), Some(1));
    let usage = |tokens_out| Usage {
        tokens_in: 100,
        tokens_out,
        cost_usd: 0.0,
    };
    for _ in 0..50 {
        // The cheaper tokens are too many in this language.
        routing.used(1, &pair("ja"), 100, usage(200));
        routing.used(0, &pair("ja"), 100, usage(50));
    }
    assert_eq!(routing.first(&pair("ja"), |_| true), Some(0));
    assert_eq!(routing.first(&pair("es"), |_| true), Some(1));
}

#[test]
fn by_share_texts_go_round_in_proportion() {
    let routes = [(3.0, FREE), (1.0, FREE), (0.0, FREE)];
    let mut routing = routing(By::Share, &routes);
    assert_eq!(call(&mut routing, 400, |_| true), [300, 100, 0]);
    // Who was away gets no credit for it, and who has no share stands in.
    assert_eq!(call(&mut routing, 100, |route| route > 0), [0, 100, 0]);
    let counts = call(&mut routing, 400, |_| true);
    assert!(counts[0].abs_diff(300) <= 3, "{counts:?}");
    assert_eq!(call(&mut routing, 5, |route| route == 2), [0, 0, 5]);
}

#[test]
fn by_share_no_more_is_asked_for_at_once_than_it_is_behind() {
    let mut routing = routing(By::Share, &[(3.0, FREE), (1.0, FREE)]);
    routing.called(1, 10);
    assert_eq!(routing.most_calls(0, 10, |_| true), 4);
    assert_eq!(routing.most_calls(0, 10, |route| route == 0), usize::MAX);
    assert_eq!(routing.most_calls(1, 10, |_| true), 1);
}

#[test]
fn by_speed_the_fastest_is_asked_and_the_others_now_and_then() {
    let mut routing = routing(By::Speed, &[(1.0, FREE), (1.0, FREE)]);
    for _ in 0..10 {
        routing.answered(0, Duration::from_millis(800));
    }
    // Of the other too little is known, so it is tried.
    assert_eq!(routing.first(&pair("es"), |_| true), Some(1));
    for _ in 0..10 {
        routing.answered(1, Duration::from_millis(200));
    }
    let counts = call(&mut routing, 200, |_| true);
    assert_eq!(counts, [10, 190]);
}

#[test]
fn by_speed_one_that_fails_is_not_fast() {
    let mut routing = routing(By::Speed, &[(1.0, FREE), (1.0, FREE)]);
    for _ in 0..20 {
        routing.answered(0, Duration::from_millis(300));
        routing.answered(1, Duration::from_millis(200));
        routing.failed(1);
    }
    assert_eq!(routing.first(&pair("es"), |_| true), Some(0));
}

#[test]
fn figures_tell_the_share_of_calls() {
    let mut routing = routing(By::Order, &[(1.0, FREE), (1.0, FREE)]);
    call(&mut routing, 3, |_| true);
    call(&mut routing, 1, |route| route == 1);
    routing.answered(0, Duration::from_millis(100));
    let figures = routing.figures(0);
    assert_eq!((figures.calls, figures.texts), (3, 30));
    assert!((figures.share - 0.75).abs() < 1e-9);
    assert!(
        figures
            .median
            .is_some_and(|it| it >= Duration::from_millis(100))
    );
    assert_eq!(routing.figures(1).p99, None);
}

#[test]
fn sets_of_providers_hold_what_was_put_in() {
    let routes: Routes = [0, 2, 127].into_iter().collect();
    assert!(routes.contains(127) && !routes.contains(1));
    assert_eq!(Routes::first(3).without(routes), [1].into_iter().collect());
    assert!(routes.without(routes).is_empty());
    assert!(Routes::first(128).contains(127));
}
