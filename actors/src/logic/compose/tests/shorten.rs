//! What is left of a text that is cut.

use super::{ORIGIN, URL, compose, words};
use crate::logic::compose::{Link, Long, Origin, Style};
use crate::logic::fit::Limit;

#[test]
fn a_long_text_is_shortened_where_that_is_wanted() {
    let style = |long| Style {
        long,
        ..Style::default()
    };
    let shortened = compose(&style(Long::Shorten), &words(20), 20);
    assert_eq!(shortened, ["Word Word Word Word…"]);
    let linked = compose(&style(Long::Link), &words(20), 50);
    assert_eq!(linked, [format!("Word Word Word Word…\n\n{URL}")]);
    assert_eq!(compose(&style(Long::Link), "Word", 20), ["Word"]);
}

#[test]
fn a_link_that_is_cut_off_with_the_text_stands_below_what_is_left() {
    let style = |link| Style {
        long: Long::Shorten,
        link,
        ..Style::default()
    };
    let text = format!("{} More: {URL}", words(20));
    let cut = compose(&style(Link::First), &text, 50);
    assert_eq!(cut, [format!("Word Word Word Word…\n\n{URL}")]);
    let cut = compose(&style(Link::Never), &text, 30);
    assert_eq!(cut, [format!("{}…", words(6))]);
    let text = format!("{URL} {}", words(20));
    let cut = compose(&style(Link::First), &text, 50);
    assert_eq!(cut, [format!("{URL} Word Word Word Word…")]);
}

#[test]
fn a_text_without_an_address_to_go_on_behind_is_not_cut() {
    let style = Style {
        long: Long::Link,
        ..Style::default()
    };
    let limit = Limit::Mastodon { max: 20, url: 23 };
    let parts = style.compose(&words(8), limit, Origin::default());
    assert_eq!(parts.as_deref(), Ok(&[words(4), words(4)][..]));
}

#[test]
fn what_is_cut_behind_a_span_keeps_all_of_it() {
    let style = Style {
        long: Long::Shorten,
        ..Style::default()
    };
    for span in [":blob:", "https://e.co/a-", "e.co/b-"] {
        let text = format!("Word {span}, and what is too long to follow");
        let cut = compose(&style, &text, 5 + span.len() + 2);
        let begin = format!("Word {span}");
        assert!(cut[0].starts_with(&begin), "{cut:?}");
    }
    let mastodon = Limit::Mastodon { max: 32, url: 23 };
    let cut = style.compose("Word https://e.co/a and more words", mastodon, ORIGIN);
    assert_eq!(cut, Ok(vec!["Word https://e.co/a …".to_owned()]));
    let cut = compose(&style, "Word :blob – and what is too long", 15);
    assert_eq!(cut, ["Word :blob…"]);
}
