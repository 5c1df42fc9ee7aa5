//! Places where a test can make an actor panic on purpose.
//!
//! Without the feature `failpoints`, which no shipped build has, [`hit`] does nothing.

/// Panics here if a test has armed this place on this thread; else does nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn hit(_place: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::{arm, hit};

#[cfg(feature = "failpoints")]
mod armed {
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        static ARMED: RefCell<HashMap<String, u32>> = RefCell::default();
    }

    /// Makes the next `times` passes of a place on this thread panic.
    pub fn arm(place: &str, times: u32) {
        ARMED.with_borrow_mut(|armed| armed.insert(place.to_owned(), times));
    }

    /// Panics here if a test has armed this place on this thread; else does nothing.
    pub fn hit(place: &str) {
        let falls = ARMED.with_borrow_mut(|armed| match armed.get_mut(place) {
            Some(times) if *times > 0 => {
                *times -= 1;
                true
            }
            _ => false,
        });
        assert!(!falls, "fail point `{place}`");
    }
}
