//! Whether a translation that is too long for an outlet is worth being asked for again, and with
//! which budget.

use crate::domain::{Budget, Counting};
use crate::logic::compose::Long;
use crate::logic::fit::Limit;

/// How many hundredths of its limit a text may measure at most, to be said shorter instead of in
/// several posts: a quarter can be saved by other words, more only by leaving something out, and
/// two posts that say all are better than one that does not.
const SPLITTABLE: usize = 125;
/// The same where it would be cut: a model that leaves out the least important half still tells
/// more than half a text.
const SHORTENED: usize = 200;

/// The budget with which a translation is asked for again, where it does not fit and a shorter one
/// can be hoped for.
///
/// `post` makes the translation as it would be published in one post, `bare` the translation alone
/// without its protected spans, whose length no words can change; neither is made in vain.
pub fn budget(
    post: impl FnOnce() -> String,
    bare: impl FnOnce() -> String,
    limit: Limit,
    long: Long,
) -> Option<Budget> {
    let most = match long {
        Long::Thread => SPLITTABLE,
        Long::Shorten => SHORTENED,
        // What is cut there goes on behind its link.
        Long::Link => return None,
    };
    let max = limit.max()?;
    let post = post();
    if limit.fits(&post) {
        return None;
    }
    let (whole, had) = (limit.measure(&post), limit.measure(&bare()));
    let around = whole.checked_sub(had)?;
    // What is too long in bytes alone is not told in characters.
    if whole <= max || whole * 100 > max * most || around * 2 > max {
        return None;
    }
    let counting = match limit {
        Limit::X { .. } => Counting::Double,
        _ => Counting::Single,
    };
    Some(Budget {
        most: max - around,
        had,
        counting,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit::Mastodon { max: 100, url: 23 };

    fn words(n: usize) -> String {
        "word ".repeat(n / 5).trim_end().to_owned() + &"x".repeat(n % 5)
    }

    #[test]
    fn a_text_slightly_too_long_is_asked_for_with_what_its_spans_leave() {
        let bare = words(90);
        let text = format!("{bare} https://example.org/a/long/path/of/a/page");
        let found = budget(|| text.clone(), || format!("{bare} "), LIMIT, Long::Thread);
        let had = LIMIT.measure(&format!("{bare} "));
        let expected = Budget {
            most: 77,
            had,
            counting: Counting::Single,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn only_what_can_be_said_shorter_is_asked_for_again() {
        for (n, long, is_asked) in [
            (100, Long::Thread, false),
            (120, Long::Thread, true),
            (140, Long::Thread, false),
            (140, Long::Shorten, true),
            (240, Long::Shorten, false),
            (120, Long::Link, false),
        ] {
            let text = words(n);
            let found = budget(|| text.clone(), || text.clone(), LIMIT, long);
            assert_eq!(found.is_some(), is_asked, "{n} {long:?}");
        }
    }

    #[test]
    fn where_nothing_is_to_be_gained_no_post_is_made() {
        let made = || -> String { panic!("made in vain") };
        for (limit, long) in [(Limit::Unbounded, Long::Shorten), (LIMIT, Long::Link)] {
            assert_eq!(budget(made, made, limit, long), None);
        }
    }

    #[test]
    fn on_x_letters_that_count_two_are_counted_so() {
        let text = "字".repeat(150);
        let found = budget(|| text.clone(), || text.clone(), Limit::X, Long::Thread);
        let found = found.expect("a budget");
        assert_eq!((found.most, found.had), (280, 300));
        assert_eq!(found.counting, Counting::Double);
    }
}
