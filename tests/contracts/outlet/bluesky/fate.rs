//! What becomes of a text on Bluesky whose answer was lost, and of what stands at its key.

use babelfeed::outlets::bluesky::BlueskyOutlet;
use babelfeed_actors::ports::{Outlet as _, OutletRemedy};

use super::super::{Stage as _, dispatch, frozen, publication, send, settle};
use super::{RICH, Real, Simulated, config};
use crate::simulators::faults::Fault;
use crate::simulators::pds;

#[actix_rt::test]
async fn whatever_is_lost_on_the_way_a_text_stands_once() {
    for fault in [
        Fault::ReplyLost,
        Fault::BadGateway,
        Fault::RequestLost,
        Fault::HalfReply,
    ] {
        let account = Simulated::new();
        let (one, part) = account.freeze(1, RICH).await;
        account.server.fail_next(fault.clone());
        account
            .publish(&part)
            .await
            .expect("the same again is answered");
        assert_eq!(account.n_standing(&one), 1, "{fault:?}");

        let (two, part) = account.freeze(2, "dos").await;
        account.server.fail_next(fault.clone());
        account.server.fail_next(fault.clone());
        let error = account.publish(&part).await.expect_err("is lost twice");
        assert_eq!(error.remedy(), OutletRemedy::ReadBack, "{fault:?}");
        let restarted = account.restarted();
        settle(&restarted, &part).await;
        assert_eq!(account.n_standing(&two), 1, "{fault:?}");
    }
}

#[actix_rt::test]
async fn a_part_that_is_frozen_anew_after_a_crash_is_known_for_the_same() {
    let real = Real::new();
    let one = publication(1, &["hola"]);
    let parts = frozen(&real.outlet, vec![dispatch(&one, 0)]).await;
    let first = settle(&real.outlet, &parts[0]).await;
    let base_url = real.account.base_url();
    let handle = &real.account.handle;
    let restarted = BlueskyOutlet::new(&config(&base_url, handle, pds::PASSWORD, &real.folder));
    let anew = frozen(&restarted, vec![dispatch(&one, 0)]).await;
    assert_ne!(anew[0].bytes, parts[0].bytes, "another time, at least");
    let again = restarted.publish(&anew).await.remove(0);
    assert_eq!(again, Ok(first));
    assert_eq!(real.n_standing(&one), 1);
}

#[actix_rt::test]
async fn what_stands_at_a_key_is_never_replaced() {
    let account = Simulated::new();
    let (_, part) = account.freeze(1, "hola").await;
    account.publish(&part).await.expect("publishes");
    let other = publication(1, &["otra cosa"]);
    let parts = frozen(&account.outlet, vec![dispatch(&other, 0)]).await;
    let error = send(&account.outlet, &parts[0])
        .await
        .expect_err("is taken");
    assert_eq!(error.remedy(), OutletRemedy::GiveUp);
    assert_eq!(account.server.posts()[0].1["text"], "hola");
}
