//! That what is put together is within its limit, and whole.

mod anew;
mod shorten;
mod tags;
mod tail;
mod thread;

use proptest::prelude::*;

use super::*;
use crate::domain::Attached;
use crate::logic::fit::room;
use crate::logic::hashtags::{apart, hashtags};
use crate::logic::policy::with_mentions;
use crate::logic::spans::{Found, Scan};

const URL: &str = "https://example.org/posts/1";
const ORIGIN: Origin<'_> = Origin {
    source: "news",
    author: Some("@ann@example.org"),
    url: Some(URL),
    is_translated: true,
};

fn words(n_words: usize) -> String {
    vec!["Word"; n_words].join(" ")
}

fn compose(style: &Style, text: &str, max: usize) -> Vec<String> {
    let limit = Limit::Characters { max };
    let parts = style.compose(text, limit, ORIGIN).expect("it fits");
    assert!(parts.iter().all(|part| limit.fits(part)), "{parts:?}");
    parts
}

#[test]
fn by_default_a_text_stands_alone() {
    let plain = Style::default();
    assert_eq!(compose(&plain, " Hola.\n", 10), ["Hola."]);
    assert_eq!(compose(&plain, &words(5), 10).len(), 3);
}

#[test]
fn what_leaves_no_room_for_a_text_is_an_error() {
    let style = Style {
        link: Link::First,
        ..Style::default()
    };
    let limit = Limit::Characters { max: 20 };
    assert!(style.compose("Hola.", limit, ORIGIN).is_err());
}

#[test]
fn mentions_are_as_wanted_in_the_text_and_below_it() {
    let style = Style {
        attribution: Some("By {author}, for @us".into()),
        mentions: Mentions::Plain,
        ..Style::default()
    };
    let whole = compose(&style, "Hola, @bob.", 500).remove(0);
    let expected = "Hola, @\u{200b}bob.\n\nBy @\u{200b}ann@\u{200b}example.org, for @us";
    assert_eq!(whole, expected);
    assert_eq!(
        style.in_one("Hola, @bob.", Limit::Unbounded, ORIGIN),
        expected
    );
    assert_eq!(style.bare(&whole, ORIGIN), "Hola, @bob.");
}

/// The spans of a text that people and networks see, as they are written.
fn spans_of(text: &str) -> Vec<String> {
    let found = Scan::through_code(text);
    let span = |it: Found| text[it.start..it.end].to_owned();
    found.map(span).collect()
}

proptest! {
    #[test]
    fn every_part_is_within_its_limit_and_every_span_whole(
        words in prop::collection::vec(
            prop_oneof![
                6 => "[a-zé😀中]{1,12}[ \n,–]{0,1} ",
                1 => prop::sample::select(vec![
                    " :blob: ", " :blob:, ", " https://e.co/a- ", " https://e.co/a_(b). ", " e.co/b- ", " #boat: ", " #日本 ",
                    " @ann@e.social, ", " @bob: ", " ada@e.co – ", " $TSLA ", " 🇺🇦🇺🇦 ", " `a b`: ",
                ]).prop_map(str::to_owned),
            ],
            1..120,
        ),
        max in 120_usize..400,
        (long, link, numbers) in (0_usize..3, 0_usize..3, any::<bool>()),
    ) {
        let text = words.concat();
        let style = Style {
            long: [Long::Thread, Long::Shorten, Long::Link][long],
            link: [Link::Never, Link::First, Link::Always][link].clone(),
            numbers,
            attribution: Some("By {author}".into()),
            mark: Some("translated automatically".into()),
            max_parts: None,
            mentions: Mentions::Plain,
            hashtags: Hashtags::Both,
            quoted: Quoted::default(),
        };
        let tags = hashtags(&format!("#Boat #Rust {text}"));
        let (_, tags) = apart("\u{1e}barco\u{1e}óxido", "", &tags);
        let limits = [
            Limit::X { max },
            Limit::Mastodon { max, url: 23 },
            Limit::Bluesky { graphemes: max, bytes: 3_000 },
            Limit::Telegram { max },
        ];
        for limit in limits {
            let parts = style.compose_tagged(&text, &tags, limit, ORIGIN);
            let parts = parts.expect("it can be split");
            prop_assert!(parts.iter().all(|part| limit.fits(part)), "{parts:?}");
            let whole = style.compose_tagged(&text, &tags, Limit::Unbounded, ORIGIN);
            let whole = whole.expect("it is one part");
            let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
            let anew = style.compose_anew(&whole, &text, limit, ORIGIN);
            prop_assert_eq!(anew.as_ref(), Ok(&parts));
            // The text's spans come first and in their order, what was cut off left out.
            let wanted = spans_of(&with_mentions(text.trim(), &style.mentions, limit));
            let published: Vec<String> = parts.iter().flat_map(|part| spans_of(part)).collect();
            let mut rest = published.iter();
            let mut n_found = 0;
            for span in &wanted {
                if !rest.any(|it| it == span) {
                    break;
                }
                n_found += 1;
            }
            let is_whole = style.long == Long::Thread || parts[0].contains(text.trim());
            prop_assert!(!is_whole || n_found == wanted.len(), "{wanted:?} in {parts:?}");
            let below = [URL, "#barco", "#óxido", "example.org", "@ann@example.org"];
            for span in &published {
                prop_assert!(wanted.contains(span) || below.contains(&span.as_str()), "{span} of {parts:?}");
            }
        }
    }
}

#[test]
fn the_address_of_what_is_quoted_takes_no_room_where_it_is_left_out() {
    let quoting = Arc::new(Attached {
        quoted: Some("https://example.org/quoted".into()),
        ..Attached::default()
    });
    let left = |quoted| {
        let style = Style {
            quoted,
            ..Style::default()
        };
        let hung = style.hung(&quoting, Limit::X);
        room(Limit::X, Some(&hung)).max()
    };
    assert_eq!(left(Quoted::Kept), Some(280 - 25));
    assert_eq!(left(Quoted::LeftOut), Some(280));
}
