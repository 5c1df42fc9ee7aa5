//! Places where a test can make an actor panic on purpose.
//!
//! Without the feature `failpoints`, which no shipped build has, [`hit`] does nothing.

/// Panics here if a test has armed this place on this thread; else does nothing.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn hit(_place: &str) {}

#[cfg(feature = "failpoints")]
pub use armed::{arm, hit, is_armed};

#[cfg(feature = "failpoints")]
mod armed {
    use std::cell::RefCell;
    use std::collections::HashMap;

    /// The variable by which the built program is armed, on every thread: `PLACE=TIMES`.
    const VARIABLE: &str = "BABELFEED_FAIL_POINT";

    thread_local! {
        static ARMED: RefCell<HashMap<String, u32>> = RefCell::new(from_outside().collect());
    }

    /// What the variable arms; nothing where it is not set or says nothing of the kind.
    fn from_outside() -> impl Iterator<Item = (String, u32)> {
        let written = std::env::var(VARIABLE).unwrap_or_default();
        let armed = written.split_once('=').and_then(|(place, times)| {
            let times = times.parse().ok()?;
            Some((place.to_owned(), times))
        });
        armed.into_iter()
    }

    /// Makes the next `times` passes of a place on this thread panic.
    pub fn arm(place: &str, times: u32) {
        ARMED.with_borrow_mut(|armed| armed.insert(place.to_owned(), times));
    }

    /// Whether a place on this thread still awaits a pass that panics.
    pub fn is_armed(place: &str) -> bool {
        ARMED.with_borrow(|armed| armed.get(place).is_some_and(|times| *times > 0))
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
