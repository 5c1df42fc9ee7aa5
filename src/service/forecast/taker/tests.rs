//! That what is foretold is what comes.

mod tongues;

use std::time::Duration;

use babelfeed_actors::domain::{Media, Poll};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::cli::options::GlobalOptions;
use crate::http::HttpConfig;
use crate::http::download::DownloadConfig;
use crate::outlets::x::{XConfig, XOutlet};
use crate::secret::Secret;
use crate::x::oauth1::Keys;
use crate::x::post::Spelling;
use crate::x::prices::Prices;
use crate::x::{ApiConfig, Identity};
use babelfeed_actors::logic::fit::tears_warning;
use tongues::{ENGLISH, TONGUES, Tongue};

const URL: &str = "https://example.org/posts/1";
const PLAIN: f64 = 0.015;
const LINKED: f64 = 0.2;
const DESCRIBED: f64 = 0.005;

/// An outlet on X that is never asked for anything but what it would charge.
fn x(quotes: Quotes) -> XOutlet {
    let secret = || Secret::new("secret");
    let keys = Keys {
        consumer_key: secret(),
        consumer_secret: secret(),
        token: secret(),
        token_secret: secret(),
    };
    let outlet = XOutlet::new(XConfig {
        api: ApiConfig {
            base_url: "http://127.0.0.1:1".to_owned(),
            identity: Identity::Keys(keys),
            spelling: Spelling::Tweet,
            http: HttpConfig::default(),
            timeout: Duration::from_secs(1),
        },
        account: None,
        max: 280,
        quotes,
        prices: Prices::default(),
        quiet: XConfig::QUIET,
        pause: XConfig::PAUSE,
        download: DownloadConfig::default(),
    });
    outlet.expect("a base address")
}

/// Settings with one outlet on X of this style, in that language. What its keys are does not
/// matter, but their variable must be set.
fn settings(language: &str, style: &str) -> Settings {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("Settings.toml");
    let text = format!(
        "[[outlet]]\nname = \"x\"\nkind = \"x\"\nlanguage = \"{language}\"\naccount = \"bot\"\n\
         consumer_key_env = \"PATH\"\nconsumer_secret_env = \"PATH\"\ntoken_env = \"PATH\"\n\
         token_secret_env = \"PATH\"\n{style}\n"
    );
    std::fs::write(&file, text).expect("written");
    let options = GlobalOptions {
        settings: Some(file),
        ..GlobalOptions::default()
    };
    Settings::load(&options).expect("valid")
}

fn taker<'a>(settings: &'a Settings, adapter: &'a XOutlet) -> Taker<'a> {
    Taker {
        settings,
        outlet: &settings.outlets[0],
        adapter,
        limit: Limit::X,
    }
}

fn post(text: &str) -> Post {
    Post {
        language: Some("en".parse().expect("a tag")),
        url: Some(URL.to_owned()),
        ..Post::new("news".into(), "1", text)
    }
}

/// What a post costs, where that is certain.
fn usd(style: &str, post: &Post) -> f64 {
    let style = format!("quotes = \"link\"\n{style}");
    let (settings, adapter) = (settings("es", &style), x(Quotes::Linked));
    let each = taker(&settings, &adapter).each(post);
    let each = each.expect("a forecast");
    assert!(each.usd.max - each.usd.min < 1e-9, "{each:?}");
    each.usd.min
}

#[test]
fn everything_that_makes_a_link_of_a_post_is_foreseen() {
    let plain = post("Good morning.");
    assert_eq!(usd("", &plain), PLAIN);
    assert_eq!(usd("link = \"first\"", &plain), LINKED);
    assert_eq!(usd("attribution = \"from example.com\"", &plain), LINKED);
    assert_eq!(usd("", &post("Good morning, example.com!")), LINKED);
    let warned = |warning: &str| Post {
        warning: Some(warning.to_owned()),
        ..plain.clone()
    };
    assert_eq!(usd("", &warned("Spoilers")), PLAIN);
    assert_eq!(usd("", &warned("Spoilers of example.com")), LINKED);
    let quoting = Post {
        quoted: Some(URL.to_owned()),
        ..post("See example.com: good morning.")
    };
    assert_eq!(usd("", &quoting), LINKED);
    let quoting = Post {
        text: "Good morning.".to_owned(),
        ..quoting
    };
    assert_eq!(usd("", &quoting), LINKED);
    let picture = Media {
        url: format!("{URL}.png"),
        mime: None,
        alt: Some("A harbour".to_owned()),
    };
    for (n_pictures, expected) in [(1, PLAIN + DESCRIBED), (5, LINKED + 4.0 * DESCRIBED)] {
        let described = Post {
            media: vec![picture.clone(); n_pictures],
            ..plain.clone()
        };
        assert!((usd("", &described) - expected).abs() < 1e-9);
    }
}

#[test]
fn an_address_in_a_warning_makes_a_link_of_each_part() {
    let (settings, adapter) = (settings("es", ""), x(Quotes::Never));
    let warned = Post {
        warning: Some("Spoilers of example.com".to_owned()),
        ..post(&"A sentence that says nothing. ".repeat(20))
    };
    let each = taker(&settings, &adapter)
        .each(&warned)
        .expect("a forecast");
    assert!(each.parts.max > 1, "{each:?}");
    let cost = |n_parts: usize| n_parts as f64 * LINKED;
    assert!(
        (each.usd.min - cost(each.parts.min)).abs() < 1e-9,
        "{each:?}"
    );
    assert!(
        (each.usd.max - cost(each.parts.max)).abs() < 1e-9,
        "{each:?}"
    );
}

#[test]
fn a_post_in_the_language_already_is_told_in_its_parts_or_passed_over() {
    let own = Post {
        language: Some("es-AR".parse().expect("a tag")),
        ..post(&"Una frase que no dice nada. ".repeat(20))
    };
    let adapter = x(Quotes::Never);
    let kept = settings("es", "");
    let each = taker(&kept, &adapter).each(&own).expect("a forecast");
    assert_eq!(each.parts, Span::exactly(each.texts.len()));
    assert!(each.texts.len() > 1);
    let skipped = settings("es", "same = \"skip\"");
    assert_eq!(taker(&skipped, &adapter).each(&own), None);
}

/// A style, and what becomes there of quotes.
fn any_style() -> impl Strategy<Value = (String, Quotes)> {
    let long = prop_oneof![Just("thread"), Just("shorten"), Just("link")];
    let link = prop_oneof![Just("never"), Just("first"), Just("always")];
    let mark = prop_oneof![Just(""), Just("mark = \"por una máquina\"\n")];
    let quotes = prop_oneof![
        Just(("never", Quotes::Never)),
        Just(("link", Quotes::Linked)),
        Just(("quote", Quotes::Shown)),
    ];
    let style = (long, link, mark, any::<bool>(), quotes);
    style.prop_map(|(long, link, mark, numbers, (name, quotes))| {
        let style = format!(
            "long = \"{long}\"\nlink = \"{link}\"\nnumbers = {numbers}\n{mark}quotes = \"{name}\"\n"
        );
        (style, quotes)
    })
}

/// What stands in texts and in no dictionary.
static SPANS: [&str; 12] = [
    "https://example.net/a",
    "https://example.net/a_(b)?c=d",
    "example.com",
    "node.js",
    "@ana@social.example",
    "@bob",
    "#Harbour",
    "$TSLA",
    "ada@example.org",
    "👩‍👩‍👧‍👦",
    "🇺🇦",
    "⛴️",
];

/// What stands in the middle of a warning with an address.
static ABOVE: [(f64, &str); 1] = [(0.5, "example.com")];

/// Spans, each at a place between 0 and 1.
fn any_spans() -> impl Strategy<Value = Vec<(f64, &'static str)>> {
    let span = (0.0..1.0_f64, prop::sample::select(&SPANS[..]));
    prop::collection::vec(span, 0..5).prop_map(|mut spans: Vec<(f64, &str)>| {
        spans.sort_by(|one, other| one.0.total_cmp(&other.0));
        spans
    })
}

/// Media of any kind that X takes or does not take, together or alone.
fn any_media() -> impl Strategy<Value = Vec<Media>> {
    let name = prop::sample::select(vec!["a.png", "b.jpg", "c.gif", "d.mp4", "e.pdf"]);
    let medium = (name, any::<bool>()).prop_map(|(name, is_described)| Media {
        url: format!("https://example.org/{name}"),
        mime: None,
        alt: is_described.then(|| "A harbour".to_owned()),
    });
    prop::collection::vec(medium, 0..7)
}

fn any_poll() -> impl Strategy<Value = Option<Poll>> {
    let poll = (2_usize..7, any::<bool>()).prop_map(|(n_options, is_multiple)| Poll {
        options: (0..n_options).map(|n| format!("Choice {n}")).collect(),
        is_multiple,
        lasts: None,
    });
    prop::option::weighted(0.3, poll)
}

/// What an author wrote: so many letters with spans among them, with all that hangs on it.
fn any_post() -> impl Strategy<Value = (Post, Vec<(f64, &'static str)>)> {
    let n_letters = prop_oneof![1_usize..40, 1_usize..700];
    let warning = prop::option::weighted(0.3, (1_usize..150, any::<bool>()));
    let quoted = prop::option::weighted(0.3, Just("https://example.org/quoted".to_owned()));
    let all = (
        n_letters,
        any_spans(),
        warning,
        any_media(),
        any_poll(),
        quoted,
        prop::bool::weighted(0.8),
    );
    all.prop_map(
        |(n_letters, spans, warning, media, poll, quoted, has_url)| {
            let warning = warning.map(|(n_letters, is_linked)| {
                let spans = if is_linked { &ABOVE[..] } else { &[] };
                ENGLISH.text(n_letters as f64, spans)
            });
            let post = Post {
                url: has_url.then(|| URL.to_owned()),
                warning,
                media,
                poll,
                quoted,
                ..post(&ENGLISH.text(n_letters as f64, &spans))
            };
            (post, spans)
        },
    )
}

/// A text in another language that is as long as can be (1), as short (0), or something between.
fn translated(text: &str, tongue: &Tongue, spans: &[(f64, &str)], length: f64) -> String {
    let (least, most) = checks::plausible_letters(&protect(&text.into()).skeleton);
    tongue.text(least + length * (most - least), spans)
}

#[test]
fn a_short_post_is_foretold_to_the_cent_in_every_language() {
    let original = post("Good day: example.com 🚢");
    let adapter = x(Quotes::Never);
    for tongue in &TONGUES {
        let settings = settings(tongue.tag, "");
        let each = taker(&settings, &adapter).each(&original);
        let each = each.expect("a forecast");
        assert_eq!(each.usd, Span::exactly(LINKED), "{}", tongue.tag);
        assert_eq!(each.parts, Span::exactly(1), "{}", tongue.tag);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_the_translation_it_costs_what_was_foretold(
        (style, quotes) in any_style(),
        tongue in prop::sample::select(&TONGUES[..]),
        (original, spans) in any_post(),
        (length, length_above) in (0.0..=1.0, 0.0..=1.0),
        is_shown in any::<bool>(),
    ) {
        let (settings, adapter) = (settings(tongue.tag, &style), x(quotes));
        let taker = taker(&settings, &adapter);
        let each = taker.each(&original).expect("a forecast");

        let above = |warning: &String| {
            let spans = if n_links(warning) > 0 { &ABOVE[..] } else { &[] };
            translated(warning, &tongue, spans, length_above)
        };
        let translation = Post {
            text: translated(&original.text, &tongue, &spans, length),
            warning: original.warning.as_ref().map(above),
            ..original.clone()
        };
        let style = &settings.outlets[0].rules.style;
        let room = taker.room(&translation);
        // Where a warning would be cut through an address, it is held for a person.
        prop_assume!(!tears_warning(Limit::X, taker.hung(&translation).as_deref()));
        let composed = style.compose(&translation.text, room, origin(&translation, true));
        // What cannot be split, or takes too many parts, is held as well.
        prop_assume!(composed.is_ok());
        let parts = composed.unwrap_or_default();
        let mut publication = taker.publication(&translation, &parts);
        if is_shown && quotes == Quotes::Shown {
            let attached = Arc::make_mut(&mut publication).attached.as_mut();
            if let Some(attached) = attached {
                Arc::make_mut(attached).quoted_as = Some("1".into());
            }
        }
        let usd: f64 = (0..parts.len()).map(|part| taker.cost(&publication, part)).sum();

        prop_assert!(each.parts.min <= parts.len() && parts.len() <= each.parts.max, "{parts:?} {each:?}");
        prop_assert!(each.usd.min <= usd + 1e-9 && usd <= each.usd.max + 1e-9, "{usd} {each:?} {parts:?}");
        let hangs = !original.media.is_empty() || original.poll.is_some() || original.quoted.is_some();
        let is_exact = each.usd.max - each.usd.min < 1e-9;
        prop_assert!(hangs || is_exact || taker.fits(&original) == Fits::Perhaps, "{each:?}");
    }
}
