//! Falls that follow each other too fast are escalated, and others are forgiven.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Context, Handler, Message, Supervised};
use babelfeed_actors::supervision::Supervisor;
use babelfeed_actors::testkit::world::{self, World};

use crate::helpers::pass;

/// An actor that falls when it is told to.
struct Clumsy;

impl Actor for Clumsy {
    type Context = Context<Self>;
}

impl Supervised for Clumsy {}

#[derive(Message)]
#[rtype(result = "()")]
struct Fall;

impl Handler<Fall> for Clumsy {
    type Result = ();

    fn handle(&mut self, _: Fall, _: &mut Self::Context) {
        panic!("told to fall");
    }
}

fn clumsy(world: &World) -> (Supervisor, Addr<Clumsy>) {
    let escalated = Rc::clone(&world.escalated);
    let supervisor = Supervisor {
        clock: Arc::clone(&world.clock),
        chance: Arc::clone(&world.chance),
        falls: Default::default(),
        actors: Default::default(),
        escalate: Rc::new(move |name| escalated.borrow_mut().push(name)),
    };
    let address = supervisor.start("clumsy", |_| Clumsy);
    (supervisor, address)
}

/// Lets an actor fall, and returns how long its restart took.
async fn fall<A>(supervisor: &Supervisor, address: &Addr<A>) -> Duration
where
    A: Actor + Handler<Fall>,
    A::Context: ToEnvelope<A, Fall>,
{
    let restarts = supervisor.falls.list()[0].restarts;
    let begun = tokio::time::Instant::now();
    assert!(address.send(Fall).await.is_err());
    while supervisor.falls.list()[0].restarts == restarts {
        pass(Duration::from_millis(1)).await;
    }
    begun.elapsed()
}

#[test]
fn six_falls_within_a_minute_are_escalated() {
    world::run(14, async |world: World| {
        let (supervisor, address) = clumsy(&world);
        let mut waits = Vec::new();
        for _ in 0..5 {
            waits.push(fall(&supervisor, &address).await);
        }
        assert!(world.escalated.borrow().is_empty());
        assert!(waits.is_sorted(), "the backoff grows: {waits:?}");
        assert!(waits[4] >= 8 * waits[0], "{waits:?}");
        fall(&supervisor, &address).await;
        assert_eq!(*world.escalated.borrow(), ["clumsy"]);
        let listed = &supervisor.falls.list()[0];
        assert_eq!((listed.falls, listed.restarts), (6, 6));
    });
}

#[test]
fn five_falls_and_then_a_minute_of_health_are_forgiven() {
    world::run(15, async |world: World| {
        let (supervisor, address) = clumsy(&world);
        let mut first = Duration::ZERO;
        for _ in 0..5 {
            first = fall(&supervisor, &address).await;
        }
        pass(Duration::from_secs(61)).await;
        let after_health = fall(&supervisor, &address).await;
        for _ in 0..4 {
            fall(&supervisor, &address).await;
        }
        assert!(world.escalated.borrow().is_empty());
        assert!(after_health < first, "{after_health:?} {first:?}");
    });
}
