//! What `check` foretells is what X bills.

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::files::{Files, MP4, PNG};
use crate::simulators::mastodon::{Keys, Mastodon, Posted};
use crate::simulators::x::X;
use crate::x::{KEYS, set_keys};

/// A forecast and a bill are the same if they differ by less.
const CENT: f64 = 0.000_001;

/// A program that is not started, with these posts in a file and an outlet on X.
fn program(server: &X, patient: &Patient, posts: &[Value], style: &str) -> Program {
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.jsonl\"\n\
         every = \"1s\"\nlanguage = \"en\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"x\"\nlanguage = \"es\"\nbase_url = \"{}\"\n\
         {KEYS}{AT_ONCE}{style}\n",
        patient.settings(),
        server.base_url()
    ));
    set_keys(&mut program);
    let lines: Vec<String> = posts.iter().map(Value::to_string).collect();
    program.write("notes.jsonl", &format!("{}\n", lines.join("\n")));
    program
}

/// What `check` foretells of the one source at the one outlet.
fn forecast(program: &Program, arguments: &[&str]) -> Value {
    let found = program.run(arguments).json();
    let forecasts = found["forecast"].as_array().expect("forecasts");
    assert_eq!(forecasts.len(), 1, "{found}");
    assert_eq!(
        (
            &found["forecast"][0]["source"],
            &found["forecast"][0]["outlet"]
        ),
        (&json!("notes"), &json!("es"))
    );
    found["forecast"][0].clone()
}

/// From the least to the most that a forecast names, in dollars.
fn usd(forecast: &Value) -> (f64, f64) {
    let usd = |key: &str| forecast["usd"][key].as_f64().expect("dollars");
    (usd("min"), usd("max"))
}

fn post(id: &str, text: &str) -> Value {
    json!({"id": id, "text": text, "url": format!("https://notes.example.org/{id}")})
}

/// A post in another language than the source's.
fn foreign(language: &str, text: &str) -> Value {
    json!({"id": language, "language": language, "text": text})
}

/// Posts that fit one part at every plausible length of their translations.
fn short_posts() -> Vec<Value> {
    vec![
        post("plain", "Good morning from the harbour."),
        post("link", "The tides: https://example.org/tides?month=11"),
        post("bare", "More at example.org today."),
        post("file", "We rewrote it in node.js 1.2.3.4 again."),
        json!({"id": "same", "language": "es-MX", "text": "Ya está en español, mira example.com"}),
        post("mention", "Thanks to @ana@social.org for it."),
        foreign("ru", "Доброе утро из гавани."),
        foreign("th", "สวัสดีตอนเช้าจากท่าเรือ"),
        foreign("vi", "Chào buổi sáng từ bến cảng."),
        foreign("ja", "みなとから、おはよう。example.jp"),
        foreign("zh", "港口早上好。"),
    ]
}

/// Posts that may go out in one part or in several.
fn long_posts() -> Vec<Value> {
    let sentences = |from: usize, to: usize| -> String {
        let sentences = (from..to).map(|n| format!("This is sentence {n}, which says nothing. "));
        sentences.collect()
    };
    vec![
        post("long", &sentences(0, 12)),
        post(
            "link",
            &format!("{}https://example.org/a", sentences(12, 20)),
        ),
        post(
            "links",
            &format!(
                "https://example.org/b {}See example.com.",
                sentences(20, 60)
            ),
        ),
        post("middling", &format!("{}#Harbour", sentences(60, 64))),
        foreign("ru", &"Это предложение ничего не говорит. ".repeat(12)),
        foreign(
            "ja",
            &"この文は何も言いません、example.jpのほかは。".repeat(9),
        ),
        json!({"id": "same", "language": "es", "text": format!("Todo: {}", sentences(64, 80))}),
    ]
}

/// Runs the service until as many parts stand on X as were foretold, and returns the bill.
fn billed(program: &mut Program, server: &X, n_parts: usize) -> f64 {
    program.start();
    until("everything stands on X", || {
        (server.posts().len() >= n_parts).then_some(())
    });
    program.stop();
    assert_eq!(server.posts().len(), n_parts);
    server.billed(Some("post"))
}

fn n_parts(forecast: &Value) -> usize {
    let parts = &forecast["parts"];
    assert_eq!(parts["min"], parts["max"], "{forecast}");
    parts["min"].as_u64().expect("parts") as usize
}

#[test]
fn short_posts_are_foretold_to_the_cent() {
    for style in [
        "",
        "link = \"first\"",
        "long = \"shorten\"",
        "mark = \"translated by example.com\"",
    ] {
        let patient = Patient::start(0, 0);
        let server = X::start();
        let mut program = program(&server, &patient, &short_posts(), style);

        let foretold = forecast(&program, &["check", "--json"]);
        assert_eq!(server.posts().len(), 0);
        assert_eq!(server.billed(Some("post")), 0.0);
        assert!(!program.path("data/babelfeed.db").exists());

        let (least, most) = usd(&foretold);
        assert!((most - least).abs() < CENT, "{style}: {foretold}");
        let billed = billed(&mut program, &server, n_parts(&foretold));
        assert!(
            (billed - least).abs() < CENT,
            "{style}: {billed}, {foretold}"
        );
    }
}

#[test]
fn long_posts_are_foretold_within_bounds_and_to_the_cent_once_they_are_translated() {
    for style in [
        "",
        "numbers = true",
        "link = \"first\"",
        "link = \"always\"\nmark = \"by a machine\"",
        "long = \"shorten\"",
        "long = \"link\"",
        "same = \"skip\"",
        "hashtags = \"translate\"",
    ] {
        let patient = Patient::start(0, 0);
        let server = X::start();
        let mut program = program(&server, &patient, &long_posts(), style);

        let before = forecast(&program, &["check", "--json"]);
        let after = forecast(&program, &["check", "--translate", "--json"]);
        assert_eq!(server.posts().len(), 0);
        assert_eq!(server.billed(Some("post")), 0.0);
        assert!(!program.path("data/babelfeed.db").exists());

        let billed = billed(&mut program, &server, n_parts(&after));
        let (least, most) = usd(&before);
        assert!(least < most, "{style}: {before}");
        assert!(
            least <= billed && billed <= most,
            "{style}: {billed}, {before}"
        );
        let exactly = usd(&after);
        assert!(
            (exactly.0 - billed).abs() < CENT,
            "{style}: {billed}, {after}"
        );
        assert!(
            (exactly.1 - billed).abs() < CENT,
            "{style}: {billed}, {after}"
        );
        assert_stands(&server, &after);
    }
}

/// Asserts that just the foretold parts stand on X.
fn assert_stands(server: &X, forecast: &Value) {
    let each = forecast["each"].as_array().expect("posts").iter();
    let texts = each.flat_map(|it| it["texts"].as_array().cloned().unwrap_or_default());
    let mut foretold: Vec<String> = texts
        .map(|text| text.as_str().expect("a text").to_owned())
        .collect();
    let mut standing: Vec<String> = server.posts().into_iter().map(|it| it.text).collect();
    foretold.sort();
    standing.sort();
    assert_eq!(standing, foretold);
}

/// Posts with media of every kind, of which X takes some together, some alone and some not at all.
fn pictured(files: &Files) -> Value {
    let put = |name: &str, kind: &str, bytes: &[u8]| json!({"url": files.put(name, kind, bytes), "mime_type": kind, "title": "A harbour"});
    let picture = |name: &str| put(name, "image/png", PNG);
    let film = || put("/f.mp4", "video/mp4", MP4);
    let posts = [
        vec![picture("/1.png"), picture("/2.png")],
        vec![film(), picture("/1.png"), picture("/2.png")],
        vec![picture("/1.png"), film()],
        (1..=6).map(|n| picture(&format!("/{n}.png"))).collect(),
        vec![
            picture("/1.png"),
            put("/d.pdf", "application/pdf", b"%PDF-1.7"),
        ],
    ];
    let item = |(number, attachments): (usize, &Vec<Value>)| {
        let text = format!("Day {number}.");
        json!({"id": number.to_string(), "content_text": text, "attachments": attachments})
    };
    let items: Vec<Value> = posts.iter().enumerate().map(item).collect();
    json!({
        "version": "https://jsonfeed.org/version/1.1", "title": "F", "language": "en", "items": items,
    })
}

/// An account whose posts have warnings, polls and quotes.
fn account() -> Mastodon {
    let account = Mastodon::start(Keys::Kept);
    let quoted = account.post_elsewhere("The tide is high.");
    let poll = |n_options: usize| {
        let options: Vec<String> = (1..=n_options).map(|n| format!("Pier {n}")).collect();
        Some(json!({"options": options, "expires_in": 3_600}))
    };
    let status = |text: &str| Posted {
        text: text.to_owned(),
        ..Posted::default()
    };
    let warned = |text: &str, warning: &str| Posted {
        warning: Some(warning.to_owned()),
        ..status(text)
    };
    let asking = |text: &str, n_options| Posted {
        poll: poll(n_options),
        ..status(text)
    };
    let long = "A sentence that says nothing at all. ".repeat(12);
    for status in [
        warned("It ends well.", "What happens"),
        warned("It ends badly.", "From example.com"),
        warned(&long, "A long story"),
        asking("Where does it land?", 3),
        asking("Where may it land?", 6),
        Posted {
            quoted: Some(quoted),
            ..status("As they say.")
        },
    ] {
        account.write(status);
    }
    account
}

#[test]
fn all_that_hangs_on_posts_is_foretold_and_to_the_cent_once_they_are_translated() {
    for quotes in ["never", "link"] {
        let (patient, server, files) = (Patient::start(0, 0), X::start(), Files::start());
        let account = account();
        let mut program = Program::new(&format!(
            "[publishing]\nmedia_from_private = true\n{UNCHECKED}{}\
             [[source]]\nname = \"feed\"\nkind = \"feed\"\npath = \"feed.json\"\nbackfill = \"all\"\n\
             [[source]]\nname = \"account\"\nkind = \"mastodon\"\nbase_url = \"{}\"\n\
             account = \"bot\"\nlanguage = \"en\"\nbackfill = \"all\"\n\
             [[outlet]]\nname = \"es\"\nkind = \"x\"\nlanguage = \"es\"\nbase_url = \"{}\"\n\
             quotes = \"{quotes}\"\nper_hour = 0\n{KEYS}{AT_ONCE}",
            patient.settings(),
            account.base_url(),
            server.base_url()
        ));
        set_keys(&mut program);
        program.write("feed.json", &pictured(&files).to_string());
        let both = |arguments: &[&str]| {
            let found = program.run(arguments).json();
            let forecasts = found["forecast"].as_array().expect("forecasts").clone();
            assert_eq!(forecasts.len(), 2, "{found}");
            forecasts
        };
        let sum = |forecasts: &[Value]| {
            let each = forecasts.iter().map(usd);
            each.fold((0.0, 0.0), |sum, usd| (sum.0 + usd.0, sum.1 + usd.1))
        };

        let before = both(&["check", "--json"]);
        let after = both(&["check", "--translate", "--json"]);
        assert_eq!(server.posts().len(), 0);
        let n_parts = after.iter().map(n_parts).sum();
        let billed = billed(&mut program, &server, n_parts) + server.billed(Some("metadata"));

        let (least, most) = sum(&before);
        assert!(
            least <= billed + CENT && billed <= most + CENT,
            "{billed}, {before:#?}"
        );
        // Pictures alone, with nothing that may or may not have room, are certain before.
        let feed = before.iter().find(|it| it["source"] == "feed").expect("it");
        let (least, most) = usd(feed);
        assert!((most - least).abs() < CENT, "{feed}");
        let (least, most) = sum(&after);
        assert!(
            (most - least).abs() < CENT && (billed - least).abs() < CENT,
            "{billed}, {after:#?}"
        );
    }
}

#[test]
fn what_waits_for_a_person_is_told_as_it_would_go_out() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let style = "hold = \"always\"";
    let program = program(&server, &patient, &short_posts(), style);
    let rehearsed = forecast(&program, &["check", "--translate", "--json"]);
    assert_eq!(n_parts(&rehearsed), short_posts().len());
}

#[test]
fn a_provider_that_fails_is_told_and_nothing_is_rehearsed() {
    let patient = Patient::start(0, 0);
    let server = X::start();
    let program = program(&server, &patient, &short_posts(), "");
    drop(patient);

    let said = program.run(&["check", "--translate"]);

    assert_eq!(said.code, 1, "{}", said.out);
    assert!(
        said.out.contains("provider patient: failed:"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("forecast es: 11 posts of notes"),
        "{}",
        said.out
    );
    assert_eq!(server.posts().len(), 0);
}

#[test]
fn what_a_provider_charges_is_foretold_within_bounds_and_told_exactly_once_it_is_translated() {
    const PRICE: (f64, f64) = (0.59, 0.79);
    let patient = Patient::start(0, 0);
    let (input, output) = PRICE;
    let mut program = Program::new(&format!(
        "{UNCHECKED}{}price = {{ input = {input}, output = {output} }}\n\
         [[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.jsonl\"\nlanguage = \"en\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n\
         [[outlet]]\nname = \"fr\"\nkind = \"file\"\npath = \"fr.jsonl\"\nlanguage = \"fr\"\n",
        patient.settings(),
    ));
    let lines: Vec<String> = short_posts().iter().map(Value::to_string).collect();
    program.write("notes.jsonl", &format!("{}\n", lines.join("\n")));
    let mut billed_before = 0.0;
    let mut billed = || {
        let billed = patient.billed(PRICE);
        billed - std::mem::replace(&mut billed_before, billed)
    };

    let foretold = program.run(&["check", "--json"]).json();
    let tried = billed();
    let rehearsed = program.run(&["check", "--translate", "--json"]).json();
    let translated = billed();
    program.start();
    until("all is published", || {
        let n_published = |name| program.published(name).len();
        (n_published("es.jsonl") + n_published("fr.jsonl") == 22).then_some(())
    });
    let charged = billed();

    let cost = |found: &Value| found["providers"][0]["cost_usd"].as_f64().expect("dollars");
    assert!(
        (cost(&foretold) - tried).abs() < CENT,
        "{tried}, {foretold}"
    );
    let exactly = usd(&rehearsed["charges"][0]);
    assert_eq!(exactly.0, exactly.1, "{rehearsed}");
    let sum = cost(&rehearsed) + exactly.0;
    assert!(
        (sum - translated).abs() < CENT / 1e3,
        "{translated}, {rehearsed}"
    );
    let charge = &foretold["charges"][0];
    let (least, most) = usd(charge);
    assert!(least <= charged && charged <= most, "{charged}, {charge}");
    // One post is in Spanish already.
    assert_eq!(charge["texts"], json!({"min": 21, "max": 21}));
    assert_eq!(rehearsed["charges"][0]["texts"], charge["texts"]);
}
