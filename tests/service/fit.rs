//! `fit` tells how a network counts, and what an outlet publishes.

use serde_json::{Value, json};

use crate::harness::{AT_ONCE, Program, UNCHECKED, json_lines};
use crate::patient::Patient;
use crate::simulators::bluesky::{Bluesky, HANDLE, PASSWORD};
use crate::simulators::discord::Discord;
use crate::simulators::mastodon::{self, Keys, Mastodon};
use crate::simulators::telegram::{self, CHAT, Telegram};
use crate::simulators::x::X;
use crate::x::{KEYS, set_keys};

const NETWORKS: [&str; 5] = ["x", "mastodon", "bluesky", "telegram", "discord"];

/// What `fit` says of a text, or of each line of a file.
fn fit(program: &Program, arguments: &[&str]) -> Vec<Value> {
    let said = program.run(&[&["fit", "--json"], arguments].concat());
    json_lines(&said.out)
}

#[test]
fn each_network_counts_in_its_own_way_and_answers_alike() {
    let program = Program::new("");
    let text = "see example.org/a 日本 👨‍👩‍👧‍👦";
    let limits = [(35, 280), (22, 500), (22, 300), (32, 4_096), (28, 2_000)];
    for (network, (length, max)) in NETWORKS.iter().zip(limits) {
        let spans = json!([
            {"kind": "domain", "text": "example.org/a"},
            {"kind": "emoji", "text": "👨‍👩‍👧‍👦"},
        ]);
        let expected = json!({
            "length": length, "max": max, "fits": true, "spans": spans, "parts": [text],
        });
        assert_eq!(
            fit(&program, &["--network", network, text]),
            [expected],
            "{network}"
        );

        let text = "one two three four five";
        let fitted = fit(&program, &["--network", network, "--max", "12", text]);
        let expected = json!({
            "length": 23, "max": 12, "fits": false, "spans": [],
            "parts": ["one two", "three four", "five"],
        });
        assert_eq!(fitted, [expected], "{network}");
    }
    assert_eq!(
        program.run(&["fit", "--network", "nowhere", "Hello"]).code,
        64
    );
}

#[test]
fn every_line_of_a_file_is_answered_in_its_place() {
    let program = Program::new("");
    let long = json!("word ".repeat(300));
    program.write("texts.jsonl", &format!("{long}\n\"short\"\n"));
    program.write("lines.txt", "See #abcdefghijk\nshort\n");
    for network in NETWORKS {
        let of = [
            "--network",
            network,
            "--max",
            "200",
            "--file",
            "texts.jsonl",
        ];
        let fits = fit(&program, &of);
        assert!(
            fits[0]["parts"].as_array().is_some_and(|it| it.len() > 7),
            "{}",
            fits[0]
        );
        assert_eq!(fits[1]["parts"], json!(["short"]));

        let of = ["--network", network, "--max", "9", "--file", "lines.txt"];
        let fits = fit(&program, &of);
        assert_eq!(fits[0]["parts"], json!([]), "{}", fits[0]);
        assert!(fits[0]["error"].is_string(), "{}", fits[0]);
        assert_eq!(fits[1]["parts"], json!(["short"]));
        assert_eq!(program.run(&[&["fit"], &of[..]].concat()).code, 1);
    }
}

#[test]
fn to_people_it_says_what_counts_and_how_much() {
    let program = Program::new("");
    let text = "Read https://example.org/a/very/long/address/indeed by @ann@example.org";
    let said = program.run(&["fit", "--network", "mastodon", text]).well();
    assert!(said.starts_with("36 of 500, fits\n"), "{said}");
    assert!(said.contains("  mention: @ann@example.org\n"), "{said}");
}

/// An account on each network.
struct Networks {
    x: X,
    mastodon: Mastodon,
    bluesky: Bluesky,
    telegram: Telegram,
    discord: Discord,
}

impl Networks {
    fn start() -> Self {
        Self {
            x: X::start(),
            mastodon: Mastodon::start(Keys::Kept),
            bluesky: Bluesky::start(),
            telegram: Telegram::start(),
            discord: Discord::start(),
        }
    }

    /// A program with an outlet at each of them, which bears the network's name.
    fn program(&self, patient: &Patient) -> Program {
        let more = [
            format!(
                "base_url = \"{}\"\naccount = \"bot\"\n{KEYS}",
                self.x.base_url()
            ),
            format!(
                "base_url = \"{}\"\ntoken_env = \"ACCOUNT\"\n",
                self.mastodon.base_url()
            ),
            format!(
                "base_url = \"{}\"\naccount = \"{HANDLE}\"\npassword_env = \"APP_PASSWORD\"\n",
                self.bluesky.base_url()
            ),
            format!(
                "base_url = \"{}\"\ntoken_env = \"TELEGRAM\"\nchat = \"{CHAT}\"\n",
                self.telegram.base_url()
            ),
            "url_env = \"DISCORD\"\n".to_owned(),
        ];
        let outlet = |(network, more): (&str, String)| {
            format!(
                "[[outlet]]\nname = \"{network}\"\nkind = \"{network}\"\nlanguage = \"es\"\n\
                 numbers = true\nmark = \"translated automatically\"\n\
                 {AT_ONCE}{more}"
            )
        };
        let outlets: String = NETWORKS.into_iter().zip(more).map(outlet).collect();
        let mut program = Program::new(&format!("{UNCHECKED}{}{outlets}", patient.settings()));
        set_keys(&mut program);
        for (name, value) in [
            ("ACCOUNT", mastodon::TOKEN),
            ("APP_PASSWORD", PASSWORD),
            ("TELEGRAM", telegram::TOKEN),
            ("DISCORD", &self.discord.url()),
        ] {
            program.set(name, value);
        }
        program
    }

    /// All that stands at a network, as its readers have it before them, the oldest first.
    fn standing(&self, network: &str) -> Vec<String> {
        match network {
            "x" => self.x.posts().into_iter().map(|it| it.text).collect(),
            "mastodon" => self
                .mastodon
                .statuses()
                .into_iter()
                .map(|it| it.text)
                .collect(),
            "bluesky" => self
                .bluesky
                .posts()
                .iter()
                .map(|(_, it)| unfolded(it))
                .collect(),
            "telegram" => self
                .telegram
                .messages()
                .into_iter()
                .map(|it| it.text)
                .collect(),
            "discord" => self.discord.shown(),
            other => panic!("{other} is no network"),
        }
    }
}

/// The text of a record on Bluesky with its addresses in full.
fn unfolded(record: &Value) -> String {
    let mut text = record["text"].as_str().expect("a text").to_owned();
    let facets = record["facets"].as_array().map_or(&[][..], Vec::as_slice);
    let index = |facet: &Value, end: &str| facet["index"][end].as_u64().expect("an index") as usize;
    for facet in facets.iter().rev() {
        if let Some(address) = facet["features"][0]["uri"].as_str() {
            text.replace_range(index(facet, "byteStart")..index(facet, "byteEnd"), address);
        }
    }
    text
}

#[test]
fn of_an_outlet_it_tells_what_is_published_there() {
    let patient = Patient::start(0, 0);
    let networks = Networks::start();
    let mut program = networks.program(&patient);
    program.start();
    let texts = [
        "Ask @ann@example.org.".to_owned(),
        format!("{}@bob https://example.org/a。", "Some words. ".repeat(41)),
        "A text of many words, by @ann@example.org. ".repeat(40),
        format!("{}👨‍👩‍👧‍👦 #日本", "次の船は明日の朝に出ます。".repeat(30)),
        format!(
            "{}see https://example.org/{}",
            "Pan y vino_o *agua*. ".repeat(10),
            "b".repeat(80)
        ),
        "One sentence more of a very long text. ".repeat(120),
    ];
    for text in texts {
        let n_before = NETWORKS.map(|network| networks.standing(network).len());
        let body = json!({"text": text, "targets": ["es"], "publish": true});
        let task = program.final_task(&program.submit(&body));
        let translated = task["result"]["text"].as_str().expect("a text");
        for (network, n_before) in NETWORKS.into_iter().zip(n_before) {
            let fitted = fit(&program, &["--outlet", network, translated]);
            let out = networks.standing(network).split_off(n_before);
            assert_eq!(fitted[0]["parts"], json!(out), "{network}: {text}");
        }
    }
    assert!(networks.standing("x").len() > 30);
    assert_eq!(networks.standing("discord").len(), 6 + 2);
    assert_eq!(program.run(&["fit", "--outlet", "no", "Hola"]).code, 64);
}
