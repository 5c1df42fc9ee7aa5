//! Parts of threads, and how many there may be.

use super::{ORIGIN, URL, compose, words};
use crate::logic::compose::{Link, Origin, Style, Unfit};
use crate::logic::fit::Limit;
use crate::logic::policy::Mentions;

#[test]
fn the_parts_of_a_thread_are_numbered_when_asked_for() {
    let style = Style {
        numbers: true,
        ..Style::default()
    };
    let parts = compose(&style, &words(6), 16);
    let expected = ["Word Word 1/3", "Word Word 2/3", "Word Word 3/3"];
    assert_eq!(parts, expected);
    assert_eq!(compose(&style, "Word", 16), ["Word"]);
}

#[test]
fn numbers_of_any_length_have_room() {
    let style = Style {
        numbers: true,
        ..Style::default()
    };
    let parts = compose(&style, &words(9), 12);
    assert_eq!(parts[8], "Word 9/9");
    for n_words in [10, 99, 100, 250] {
        let parts = compose(&style, &words(n_words), 12);
        let n_parts = parts.len();
        assert!(parts[n_parts - 1].ends_with(&format!(" {n_parts}/{n_parts}")));
    }
}

#[test]
fn what_takes_too_many_parts_is_cut_or_left_to_a_person() {
    let style = Style {
        max_parts: Some(3),
        ..Style::default()
    };
    assert_eq!(compose(&style, &words(30), 50).len(), 3);
    let cut = compose(&style, &words(31), 50);
    assert_eq!(cut, [format!("Word Word Word Word…\n\n{URL}")]);
    let nowhere = Origin {
        url: None,
        ..ORIGIN
    };
    let limit = Limit::Characters { max: 50 };
    let unfit = style.compose(&words(31), limit, nowhere);
    assert_eq!(
        unfit,
        Err(Unfit::TooMany {
            n_parts: 4,
            most: 3
        })
    );
    let bluesky = Limit::Bluesky {
        graphemes: 8,
        bytes: 3_000,
    };
    let unfit = Style::default().compose(&words(129), bluesky, nowhere);
    let too_many = Unfit::TooMany {
        n_parts: 129,
        most: 128,
    };
    assert_eq!(unfit, Err(too_many));
}

#[test]
fn lines_that_leave_no_room_for_an_address_stand_by_themselves() {
    let style = Style {
        link: Link::First,
        ..Style::default()
    };
    let text = format!("See https://e.co/{}", "a".repeat(230));
    let parts = style.compose(&text, Limit::BLUESKY, ORIGIN);
    assert_eq!(parts, Ok(vec![format!("{text}\n\n{URL}")]));
    let text = format!("See https://e.co/{}", "a".repeat(270));
    let parts = style.compose(&text, Limit::BLUESKY, ORIGIN);
    assert_eq!(parts, Ok(vec![text, URL.to_owned()]));
}

#[test]
fn an_address_that_has_no_room_beside_the_lines_goes_over_to_the_next_part() {
    let limit = Limit::Mastodon { max: 47, url: 23 };
    let text = "Words before https://example.org/a/long/way and some more words";
    for (link, n_links) in [(Link::First, 1), (Link::Always, 1)] {
        let style = Style {
            link,
            ..Style::default()
        };
        let parts = style.compose(text, limit, ORIGIN).expect("it has room");
        assert_eq!(parts[0], format!("Words before\n\n{URL}"));
        let linked = parts.iter().filter(|part| part.contains(URL));
        assert_eq!(linked.count(), n_links, "{parts:?}");
    }
}

#[test]
fn a_mention_that_was_made_plain_goes_over_whole() {
    let style = Style {
        mentions: Mentions::Plain,
        ..Style::default()
    };
    let limits = [
        Limit::X { max: 32 },
        Limit::Mastodon { max: 18, url: 23 },
        Limit::Telegram { max: 18 },
    ];
    for limit in limits {
        let parts = style.compose("Words, @ann@e.social, and more", limit, ORIGIN);
        let mention = "@\u{200b}ann@\u{200b}e.social,";
        let expected = ["Words,", mention, "and more"].map(str::to_owned);
        assert_eq!(parts.as_deref(), Ok(&expected[..]), "{limit:?}");
    }
}
