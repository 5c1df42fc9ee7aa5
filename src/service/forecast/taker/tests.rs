//! That what is foretold is what comes.

use std::time::Duration;

use babelfeed_actors::domain::Media;
use babelfeed_actors::ports::{Abilities, Frozen, OutletError, Published, ReadBack};
use futures_util::future::{LocalBoxFuture, ready};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::cli::options::GlobalOptions;

const URL: &str = "https://example.org/posts/1";
const PLAIN: f64 = 0.015;
const LINKED: f64 = 0.2;
const DESCRIBED: f64 = 0.005;

/// An outlet that charges as X does, and publishes nothing.
struct Priced;

impl Outlet for Priced {
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    fn batch(&self) -> usize {
        1
    }

    fn cost(&self, dispatch: &Dispatch) -> f64 {
        let publication = &dispatch.publication;
        let attached = publication.attached.as_deref();
        let above = attached.and_then(|it| it.warning.as_deref());
        let attached = attached.filter(|_| dispatch.part == 0);
        let behind = attached.and_then(|it| it.quoted.as_deref());
        let text = &*publication.parts[dispatch.part].text;
        let media = attached.map_or(&[][..], |it| &it.media);
        let (shown, rest) = media.split_at(media.len().min(4));
        let mut all = vec![above.unwrap_or_default(), text, behind.unwrap_or_default()];
        all.extend(rest.iter().map(|it| &*it.url));
        let post = match n_links(&all.join("\n")) {
            0 => PLAIN,
            _ => LINKED,
        };
        post + DESCRIBED * shown.len() as f64
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        Box::pin(ready(Ok(Limit::X)))
    }

    fn freeze(&self, _: Vec<Dispatch>) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn publish<'a>(
        &'a self,
        _: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        Box::pin(ready(Vec::new()))
    }

    fn read_back<'a>(&'a self, _: &'a Frozen) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        Box::pin(ready(Ok(ReadBack::Absent)))
    }
}

/// Settings with one outlet of this style, in Spanish.
fn settings(style: &str) -> Settings {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("Settings.toml");
    let text = format!(
        "[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n\
         {style}\n"
    );
    std::fs::write(&file, text).expect("written");
    let options = GlobalOptions {
        settings: Some(file),
        ..GlobalOptions::default()
    };
    Settings::load(&options).expect("valid")
}

fn taker(settings: &Settings) -> Taker<'_> {
    Taker {
        settings,
        outlet: &settings.outlets[0],
        adapter: &Priced,
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
    let settings = settings(style);
    let each = taker(&settings).each(post).expect("a forecast");
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
    let settings = settings("");
    let warned = Post {
        warning: Some("Spoilers of example.com".to_owned()),
        ..post(&"A sentence that says nothing. ".repeat(20))
    };
    let each = taker(&settings).each(&warned).expect("a forecast");
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
    let kept = settings("");
    let each = taker(&kept).each(&own).expect("a forecast");
    assert_eq!(each.parts, Span::exactly(each.texts.len()));
    assert!(each.texts.len() > 1);
    let skipped = settings("same = \"skip\"");
    assert_eq!(taker(&skipped).each(&own), None);
    let wordless = post(" ");
    assert_eq!(taker(&kept).each(&wordless), None);
}

fn any_style() -> impl Strategy<Value = String> {
    let long = prop_oneof![Just("thread"), Just("shorten"), Just("link")];
    let link = prop_oneof![Just("never"), Just("first"), Just("always")];
    let mark = prop_oneof![Just(""), Just("mark = \"por una máquina\"\n")];
    (long, link, mark, any::<bool>()).prop_map(|(long, link, mark, numbers)| {
        format!("long = \"{long}\"\nlink = \"{link}\"\nnumbers = {numbers}\n{mark}")
    })
}

/// So many letters in words and sentences, with an address behind some of them.
fn words(n_letters: usize, links: &[usize]) -> String {
    let mut text = String::new();
    for n in 0..n_letters {
        if links.contains(&n) {
            text.push_str(" https://example.net/a ");
        }
        text.push('a');
        match n % 40 {
            39 => text.push_str(". "),
            n if n % 6 == 5 => text.push(' '),
            _ => {}
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_the_translation_it_costs_what_was_foretold(
        style in any_style(),
        n_letters in 1_usize..700,
        length in 0.0..1.0,
        links in prop::collection::vec(0_usize..700, 0..4),
    ) {
        let links: Vec<usize> = links.into_iter().filter(|it| *it < n_letters).collect();
        let original = post(&words(n_letters, &links));
        let settings = settings(&style);
        let taker = taker(&settings);
        let each = taker.each(&original).expect("a forecast");

        let (least, most) = plausible_letters(&original);
        let letters: f64 = least + length * (most - least);
        let n_translated = letters.ceil().max(1.0) as usize;
        let moved: Vec<usize> = links
            .iter()
            .map(|it| (it * n_translated / n_letters).min(n_translated - 1))
            .collect();
        let translated = Post {
            text: words(n_translated, &moved),
            ..original
        };
        let style = &settings.outlets[0].rules.style;
        let composed = style.compose(&translated.text, Limit::X, origin(&translated, true));
        let parts = composed.expect("it can be split");
        let publication = taker.publication(&translated, &parts);
        let usd: f64 = (0..parts.len()).map(|part| taker.cost(&publication, part)).sum();

        prop_assert!(each.parts.min <= parts.len() && parts.len() <= each.parts.max);
        prop_assert!(each.usd.min <= usd + 1e-9 && usd <= each.usd.max + 1e-9, "{usd} {each:?}");
    }
}
