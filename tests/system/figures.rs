//! What was done is counted, and told over all services.

use std::time::Duration;

use babelfeed_actors::messages::{Operation, Record, ReportNow};
use babelfeed_actors::testkit::world::{self, World};

#[test]
fn a_slow_provider_is_seen_among_all_calls_though_few_go_to_it() {
    world::run(81, async |world: World| {
        let handles = world.start();
        let calls = [
            ("store", 10_000, Duration::from_micros(50)),
            ("fast", 98, Duration::from_millis(10)),
            ("slow", 2, Duration::from_secs(5)),
        ];
        for (service, n_calls, took) in calls {
            for _ in 0..n_calls {
                let operation = Operation {
                    service: service.into(),
                    name: "call",
                };
                handles.record.do_send(Record {
                    operation,
                    took,
                    is_error: false,
                });
            }
        }
        let report = handles.report.send(ReportNow).await.expect("heard");
        let outside = report.outside;
        assert!((9.9..10.2).contains(&outside.p50_ms), "{outside:?}");
        assert!((4_900.0..5_100.0).contains(&outside.p99_ms), "{outside:?}");
    });
}
