//! What stands below a text, and where.

use super::{ORIGIN, URL, compose, words};
use crate::logic::compose::{Link, Origin, Style};
use crate::logic::fit::Limit;

#[test]
fn what_stands_below_is_counted() {
    let style = Style {
        link: Link::First,
        attribution: Some("By {author} ({source})".into()),
        mark: Some("translated automatically".into()),
        ..Style::default()
    };
    let tail = format!("By @ann@example.org (news)\ntranslated automatically\n{URL}");
    let whole = format!("Hola.\n\n{tail}");
    assert_eq!(compose(&style, "Hola.", whole.len()), [whole.as_str()]);
    let parts = compose(&style, "Hola. Adiós.", whole.len() - 1 + "Adiós.".len());
    assert_eq!(parts, [whole, "Adiós.".to_owned()]);
    let untranslated = Origin {
        is_translated: false,
        url: None,
        ..ORIGIN
    };
    let alone = style.compose("Hola.", Limit::Unbounded, untranslated);
    let expected = "Hola.\n\nBy @ann@example.org (news)".to_owned();
    assert_eq!(alone, Ok(vec![expected]));
}

#[test]
fn a_link_stands_where_it_is_wanted() {
    let n_links = |link: Link, text: &str| {
        let style = Style {
            link,
            ..Style::default()
        };
        let parts = compose(&style, text, 60);
        let with_link = |part: &&String| part.contains(URL);
        (parts.iter().filter(with_link).count(), parts.len())
    };
    let long = words(20);
    assert_eq!(n_links(Link::Never, &long).0, 0);
    assert_eq!(n_links(Link::First, &long).0, 1);
    let (n_links_always, n_parts) = n_links(Link::Always, &long);
    assert_eq!(n_links_always, n_parts);
    assert_eq!(n_links(Link::Sources(vec!["news".into()]), &long).0, 1);
    assert_eq!(n_links(Link::Sources(vec!["other".into()]), &long).0, 0);
    let linked = format!("See {URL}");
    assert_eq!(n_links(Link::First, &linked), (1, 1));
    let style = Style {
        link: Link::First,
        ..Style::default()
    };
    assert_eq!(compose(&style, &linked, 60), [linked]);
}

#[test]
fn a_longer_address_in_the_text_is_not_taken_for_the_link() {
    let style = Style {
        link: Link::First,
        ..Style::default()
    };
    for longer in [format!("{URL}2"), format!("https://a.example/?of={URL}")] {
        let text = format!("See {longer}");
        assert_eq!(compose(&style, &text, 200), [format!("{text}\n\n{URL}")]);
    }
    for same in [
        format!("{URL}/"),
        format!("{URL}, too"),
        format!("({URL})."),
    ] {
        let text = format!("See {same}");
        assert_eq!(compose(&style, &text, 200), [text]);
    }
}

#[test]
fn a_persons_text_bears_its_lines_once() {
    let style = Style {
        link: Link::First,
        mark: Some("translated automatically".into()),
        ..Style::default()
    };
    let whole = compose(&style, "Hola.", 500).remove(0);
    assert_eq!(style.bare(&whole, ORIGIN), "Hola.");
    assert_eq!(style.bare("Hola.", ORIGIN), "Hola.");
}
