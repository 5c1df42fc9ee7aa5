//! What was put together for another limit.

use super::{ORIGIN, URL, compose, words};
use crate::logic::compose::{Link, Long, Style};
use crate::logic::fit::Limit;

fn anew(style: &Style, parts: &[String], text: &str, max: usize) -> Vec<String> {
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let limit = Limit::Characters { max };
    let anew = style.compose_anew(&parts, text, limit, ORIGIN);
    let anew = anew.expect("it fits");
    assert!(anew.iter().all(|part| limit.fits(part)), "{anew:?}");
    anew
}

#[test]
fn what_was_put_together_for_another_limit_is_put_together_as_at_first() {
    let text = words(60);
    for long in [Long::Thread, Long::Shorten, Long::Link] {
        let style = Style {
            long,
            numbers: true,
            link: Link::Always,
            attribution: Some("By {author}".into()),
            mark: Some("translated automatically".into()),
            ..Style::default()
        };
        let whole = compose(&style, &text, 1_000);
        let expected = compose(&style, &text, 150);
        assert_eq!(anew(&style, &whole, &text, 150), expected, "{long:?}");
        let again = anew(&style, &compose(&style, &text, 250), &text, 150);
        assert!(again[0].contains("translated automatically"), "{again:?}");
        assert!(again.iter().all(|part| part.contains(URL)), "{again:?}");
        let n_parts = again.len();
        for (place, part) in (1..).zip(&again).filter(|_| n_parts > 1) {
            assert_eq!(part.matches('/').count(), URL.matches('/').count() + 1);
            assert!(
                part.contains(&format!("Word {place}/{n_parts}\n\n")),
                "{part}"
            );
        }
    }
}

#[test]
fn lines_that_a_person_has_left_out_stay_out() {
    let style = Style {
        link: Link::Always,
        mark: Some("translated automatically".into()),
        ..Style::default()
    };
    let parts = anew(&style, &[words(20)], "Something else.", 60);
    let all = parts.join(" ");
    assert_eq!(all.matches("Word").count(), 20);
    assert!(
        !all.contains("automatically") && !all.contains(URL),
        "{all}"
    );
}
