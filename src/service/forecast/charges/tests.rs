//! That what is foretold of providers is what they would charge.

use babelfeed_actors::testkit::world::tag;

use super::*;
use crate::cli::options::GlobalOptions;

const LONG: &str = "Good morning from the harbour, where the tide is low and the boats lie dry.";

/// Settings with an outlet in Spanish and these providers.
fn settings(providers: &str) -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("Settings.toml");
    let text = format!(
        "{providers}\n[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\n\
         language = \"es\"\n"
    );
    std::fs::write(&file, text).expect("written");
    let options = GlobalOptions {
        settings: Some(file),
        ..GlobalOptions::default()
    };
    Settings::load(&options).expect("valid")
}

fn provider(name: &str, kind: &str, more: &str) -> String {
    let model = match kind {
        "openai" => "model = \"m\"\n",
        _ => "",
    };
    format!(
        "[[provider]]\nname = \"{name}\"\nkind = \"{kind}\"\nbase_url = \"http://{name}.example\"\n\
         {model}{more}\n"
    )
}

fn post(text: &str) -> Post {
    Post {
        language: Some(tag("en")),
        ..Post::new("notes".into(), text, text)
    }
}

fn charges(settings: &Settings, posts: &[&str], fits: Fits) -> Vec<Charge> {
    let mut texts = Texts::new(settings);
    for text in posts {
        texts.add(&settings.outlets[0], &post(text), fits);
    }
    texts.charges()
}

#[test]
fn who_comes_first_is_charged_with_all_and_the_others_with_nothing() {
    let price = "price = { input = 1.0, output = 2.0 }";
    let first = provider("first", "openai", &format!("order = 1\n{price}"));
    let second = provider("second", "openai", &format!("order = 2\n{price}"));
    let settings = settings(&(second + &first));

    let charges = charges(&settings, &["One post.", "Another post."], Fits::Surely);

    assert_eq!(charges.len(), 1);
    assert_eq!(charges[0].provider, "first");
    assert_eq!(charges[0].texts, Span::exactly(2));
    assert_eq!(charges[0].calls, Span { min: 1, max: 2 });
    let usd = charges[0].usd;
    assert!(0.0 < usd.min && usd.min < usd.max, "{usd:?}");
}

#[test]
fn where_anybody_may_come_first_each_may_be_charged_with_nothing_or_all() {
    let price = "price = { input = 1.0 }";
    let both = provider("first", "openai", price) + &provider("second", "openai", price);
    let settings = settings(&format!("[routing]\nby = \"share\"\n{both}"));

    let charges = charges(&settings, &["One post."], Fits::Surely);

    assert_eq!(charges.len(), 2);
    for charge in charges {
        assert_eq!(charge.texts, Span { min: 0, max: 1 });
        assert_eq!(charge.usd.min, 0.0);
        assert!(charge.usd.max > 0.0);
    }
}

#[test]
fn what_needs_no_call_costs_nothing_and_equal_texts_one() {
    let settings = settings(&provider("one", "openai", "price = { input = 1.0 }"));
    let mut texts = Texts::new(&settings);
    let same = Post {
        language: Some(tag("es-MX")),
        ..post("Ya está.")
    };
    let posts = [
        post("One post."),
        post("One post."),
        post("🎉 https://example.org"),
        same,
    ];
    for post in &posts {
        texts.add(&settings.outlets[0], post, Fits::Surely);
    }
    assert_eq!(texts.charges()[0].texts, Span::exactly(1));
}

#[test]
fn what_may_not_fit_may_be_asked_for_once_more() {
    let settings = settings(&provider("one", "openai", "price = { input = 1.0 }"));
    let surely = charges(&settings, &[LONG], Fits::Surely);
    let perhaps = charges(&settings, &[LONG], Fits::Perhaps);
    assert_eq!(surely[0].usd.min, perhaps[0].usd.min);
    assert_eq!(2.0 * surely[0].usd.max, perhaps[0].usd.max);
    assert_eq!(perhaps[0].calls.max, 2);
}

#[test]
fn an_engine_charges_characters() {
    let deepl = provider("deepl", "deepl", "price = { input = 25.0 }");
    let settings = settings(&deepl);
    let charge = charges(&settings, &[LONG], Fits::Surely).remove(0);
    let billed = LONG.chars().count() as f64 * 25.0 / 1e6;
    assert!(
        charge.usd.min <= billed && billed <= charge.usd.max,
        "{charge:?} {billed}"
    );
    assert!(charge.usd.max <= 2.5 * billed, "{charge:?} {billed}");
}

#[test]
fn a_charge_is_told_in_a_line() {
    let charge = Charge {
        provider: "groq".into(),
        texts: Span::exactly(12),
        calls: Span { min: 2, max: 12 },
        usd: Span {
            min: 0.001_24,
            max: 0.010_1,
        },
    };
    assert_eq!(
        charge.to_string(),
        "forecast groq: translates 12 texts in 2 to 12 calls, 0.0012 to 0.0101 US dollars"
    );
}
