//! The rules of the settings as a whole.

mod outlets;
mod providers;
mod sources;

use std::path::Path;
use std::time::Duration;

use babelfeed_actors::domain::DayReset;
use babelfeed_actors::logic::spans::Numbers;

use super::*;
use crate::secret::Secret;

const SHIPPED: &str = include_str!("../../Settings.toml");

fn read(text: &str, sets: &[&str], environment: &[(&str, &str)]) -> Result<Settings, Mistakes> {
    let options = GlobalOptions {
        set: sets.iter().map(|set| (*set).to_owned()).collect(),
        ..GlobalOptions::default()
    };
    read_with(text, &options, environment)
}

fn read_with(
    text: &str,
    options: &GlobalOptions,
    environment: &[(&str, &str)],
) -> Result<Settings, Mistakes> {
    let environment: Environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = Some(PathBuf::from("Settings.toml"));
    let tree = Tree::parse(file, text, options, &environment)?;
    Settings::read(&tree, options, &environment)
}

fn defaults() -> Settings {
    read("", &[], &[]).expect("the defaults")
}

/// Everything that is wrong, a line each.
fn mistakes(text: &str, sets: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    read(text, sets, environment)
        .expect_err("mistakes")
        .iter()
        .map(Mistake::to_string)
        .collect()
}

/// The shipped file with everything un-commented that begins with `#` and no space.
fn uncommented() -> String {
    SHIPPED
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.starts_with(' ') => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

const KEYS: [(&str, &str); 17] = [
    ("GROQ_API_KEY", "gsk-1"),
    ("ANTHROPIC_API_KEY", "sk-ant-1"),
    ("DEEPL_API_KEY", "deepl-1"),
    ("MASTODON_TOKEN", "token-1"),
    ("BLUESKY_PASSWORD", "app-1"),
    ("X_CONSUMER_KEY", "key-1"),
    ("X_CONSUMER_SECRET", "secret-1"),
    ("X_TOKEN", "1-token"),
    ("X_TOKEN_SECRET", "secret-2"),
    ("X_CLIENT_ID", "client-1"),
    ("X_CLIENT_SECRET", "secret-3"),
    ("X_REFRESH_TOKEN", "refresh-1"),
    ("TELEGRAM_TOKEN", "1:token"),
    (
        "DISCORD_WEBHOOK",
        "https://discord.com/api/webhooks/1/token",
    ),
    (
        "SLACK_WEBHOOK",
        "https://hooks.slack.com/services/T/B/token",
    ),
    ("WEBHOOK_SECRET", "secret"),
    ("X_BEARER", "AAAA"),
];

const SOURCE: &str = "[[source]]\nname = \"news\"\nkind = \"feed\"\nurl = \"https://a.example/\"\n";

/// An outlet of that kind, with these lines.
fn outlet(kind: &str, more: &str) -> String {
    format!("[[outlet]]\nname = \"es\"\nkind = \"{kind}\"\nlanguage = \"es\"\n{more}\n")
}

#[test]
fn the_shipped_file_equals_the_built_in_defaults() {
    assert_eq!(read(SHIPPED, &[], &[]).expect("valid"), defaults());
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = defaults();
    assert_eq!(settings.service.data_dir, Path::new("data"));
    assert_eq!(settings.service.socket, Path::new("data/babelfeed.sock"));
    assert_eq!(settings.store.path, Path::new("data/babelfeed.db"));
    assert_eq!(settings.service.metrics_every, Duration::from_secs(60));
    assert_eq!(settings.service.drain_timeout, Duration::from_secs(30));
    assert_eq!(settings.cache.max_bytes, 64 << 20);
    assert_eq!(settings.cache.ttl, Duration::from_secs(168 * 3_600));
    assert_eq!(settings.translation.max_attempts, 5);
    assert_eq!(settings.translation.dns_ttl, Duration::from_secs(300));
    assert_eq!(settings.batching.max_batch_size, 10);
    assert_eq!(settings.batching.batch_timeout, Duration::from_millis(50));
    assert_eq!(settings.publishing.concurrency, 5);
    assert_eq!(settings.publishing.max_media, 16 << 20);
    assert!(!settings.publishing.media_from_private);
    assert_eq!(three(&settings), (Some(10), 100, 10_000));
}

#[test]
fn the_examples_of_the_shipped_file_are_accepted() {
    let settings = read(&uncommented(), &[], &KEYS).expect("valid");
    let kinds: Vec<&str> = settings.sources.iter().map(|it| it.kind.name()).collect();
    assert_eq!(settings.outlets.len(), 10);
    assert_eq!(
        kinds,
        ["feed", "file", "mastodon", "bluesky", "bluesky", "x"]
    );
    assert_eq!(settings.sources[0].backfill, Some(0));
    assert_eq!(settings.sources[1].backfill, None);
    let provider = &settings.providers[0];
    assert_eq!(provider.limits.rpm, Some(30.0));
    assert_eq!(provider.limits.itpm, None);
    assert_eq!(provider.price, (0.59, 0.79));
    assert_eq!(provider.api_key, Some(Secret::new("gsk-1")));
    let kinds: Vec<&str> = settings.providers.iter().map(|it| it.kind.name()).collect();
    assert_eq!(kinds, ["openai", "anthropic", "deepl"]);
    assert_eq!(settings.providers[2].model, None);
    assert_eq!(three(&settings), three(&defaults()));
}

#[test]
fn five_mistakes_are_told_at_once_with_their_places() {
    let text = "\
[service]
log_format = \"yaml\"
colour = true

[[source]]
name = \"news\"
kind = \"feed\"
url = \"https://a.example/\"
every = \"fast\"

[[provider]]
name = \"groq\"
kind = \"openai\"
base_url = \"https://b.example\"
model = \"m\"
api_key_env = \"NO_SUCH_KEY\"

[[outlet]]
name = \"es\"
kind = \"file\"
path = \"es.jsonl\"
";
    assert_eq!(
        mistakes(text, &[], &[]),
        [
            "Settings.toml:3: service.colour: is unknown, known are data_dir, socket, log_format, \
             metrics_every, drain_timeout, monitoring, follow",
            "Settings.toml:2: service.log_format: `yaml` is none of text, json",
            "Settings.toml:9: source \"news\".every: `fast` is no duration, expected something \
             like \"5m\"",
            "Settings.toml:16: provider \"groq\".api_key_env: the variable NO_SUCH_KEY is not set",
            "Settings.toml:18: outlet \"es\".language: is missing, expected something like \"es\"",
        ]
    );
}

#[test]
fn options_win_over_the_environment_which_wins_over_the_file() {
    let text = "[batching]\nmax_batch_size = 2\n";
    let variable = [("BABELFEED__BATCHING__MAX_BATCH_SIZE", "3")];
    let size = |sets, environment| {
        let settings = read(text, sets, environment).expect("valid");
        settings.batching.max_batch_size
    };
    assert_eq!(size(&[], &[]), 2);
    assert_eq!(size(&[], &variable), 3);
    assert_eq!(size(&["batching.max_batch_size=4"], &variable), 4);
}

#[test]
fn an_option_reaches_named_things_and_takes_bare_words() {
    let sets = [
        "source.news.every=10s",
        "source.news.backfill=all",
        "provider.groq.limits.rpm=7",
        "outlet.es.from=[\"requests\"]",
        "outlet.es.hold=always",
    ];
    let settings = read(&uncommented(), &sets, &KEYS).expect("valid");
    assert_eq!(settings.sources[0].every, Duration::from_secs(10));
    assert_eq!(settings.sources[0].backfill, None);
    assert_eq!(settings.providers[0].limits.rpm, Some(7.0));
    assert_eq!(settings.providers[0].limits.tpm, Some(6_000.0));
    assert_eq!(settings.outlets[0].from, Some(vec!["requests".into()]));
    assert_eq!(
        settings.outlets[0].hold,
        babelfeed_actors::setup::Hold::Always
    );
}

#[test]
fn a_wrong_option_or_variable_is_named_as_the_place() {
    assert_eq!(
        mistakes(SOURCE, &["source.old.every=1s", "nonsense"], &[]),
        [
            "--set source.old.every: no source has that name, there are: news",
            "--set nonsense: has no value, expected something like `service.data_dir=data`",
        ]
    );
    assert_eq!(
        mistakes(
            SOURCE,
            &["source.news.every=0s"],
            &[("BABELFEED__CACHE__TTL", "soon")]
        ),
        [
            "BABELFEED__CACHE__TTL: cache.ttl: `soon` is no duration, expected something like \
             \"5m\"",
            "--set source.news.every: source \"news\".every: `0s` is too short, expected at least \
             1s",
        ]
    );
    assert_eq!(
        mistakes("", &[], &[("BABELFEED__SOURCE__NEWS__EVERY", "1s")]).len(),
        1
    );
}

fn three(settings: &Settings) -> (Option<usize>, usize, u64) {
    (
        settings.translation.concurrency,
        settings.translation.connections,
        settings.cache.max_entries,
    )
}

#[test]
fn a_mode_chooses_three_defaults_and_a_written_value_wins() {
    let speed = read("mode = \"speed\"", &[], &[]).expect("valid");
    assert_eq!(three(&speed), (Some(20), 200, 20_000));
    let memory = read("mode = \"memory\"", &[], &[]).expect("valid");
    assert_eq!(three(&memory), (Some(5), 50, 500));
    let text = "mode = \"memory\"\n[translation]\nconcurrency = 0\n[cache]\nmax_entries = 7\n";
    let written = read(text, &[], &[]).expect("valid");
    assert_eq!(three(&written), (None, 50, 7));
}

#[test]
fn the_option_then_the_variable_win_over_the_mode_in_the_file() {
    let text = "mode = \"memory\"";
    let variable = [("OPTIMIZATION_MODE", "speed")];
    assert_eq!(read(text, &[], &variable).expect("valid").mode, Mode::Speed);
    let options = GlobalOptions {
        mode: Some("balanced".to_owned()),
        ..GlobalOptions::default()
    };
    let settings = read_with(text, &options, &variable).expect("valid");
    assert_eq!(settings.mode, Mode::Balanced);
}

#[test]
fn the_four_variables_of_performance_are_honoured() {
    let text = "[translation]\nconcurrency = 3\nconnections = 4\n";
    let settings = read(
        text,
        &[],
        &[
            ("MAX_CONCURRENT_TRANSLATIONS", "7"),
            ("CONNECTION_POOL_SIZE", "8"),
            ("ENABLE_PERFORMANCE_MONITORING", "false"),
            ("ASYNC_MODE", "true"),
        ],
    )
    .expect("valid");
    assert_eq!(three(&settings), (Some(7), 8, 10_000));
    assert!(!settings.service.monitoring);
    assert_eq!(settings.batching.max_batch_size, 10);
}

#[test]
fn without_async_mode_there_is_one_call_at_a_time_with_one_text() {
    let settings = read(
        "",
        &[],
        &[
            ("ASYNC_MODE", "false"),
            ("MAX_CONCURRENT_TRANSLATIONS", "7"),
        ],
    )
    .expect("valid");
    assert_eq!(settings.translation.concurrency, Some(1));
    assert_eq!(settings.batching.max_batch_size, 1);
}

#[test]
fn a_variable_of_performance_that_makes_no_sense_is_a_mistake() {
    assert_eq!(
        mistakes(
            "",
            &[],
            &[
                ("MAX_CONCURRENT_TRANSLATIONS", "many"),
                ("OPTIMIZATION_MODE", "warp"),
                ("ENABLE_PERFORMANCE_MONITORING", "perhaps"),
            ]
        ),
        [
            "OPTIMIZATION_MODE: mode: `warp` is none of speed, balanced, memory",
            "ENABLE_PERFORMANCE_MONITORING: service.monitoring: `perhaps` is neither true nor \
             false",
            "MAX_CONCURRENT_TRANSLATIONS: translation.concurrency: `many` is no whole number, \
             expected one from 0 on",
        ]
    );
}

#[test]
fn two_sources_of_one_name_are_a_mistake() {
    let twice = format!("{SOURCE}{SOURCE}");
    assert_eq!(
        mistakes(&twice, &[], &[]),
        ["Settings.toml:6: source \"news\".name: is the name of an earlier one, expected another"]
    );
}

#[test]
fn a_kind_that_nobody_knows_is_told_with_those_there_are() {
    assert_eq!(
        mistakes(&SOURCE.replace("\"feed\"", "\"fax\""), &[], &[]),
        [
            "Settings.toml:3: source \"news\".kind: `fax` is none of feed, file, mastodon, bluesky, x"
        ]
    );
}

#[test]
fn each_kind_must_be_told_what_it_needs() {
    let text = "\
[[source]]
name = \"a\"
kind = \"feed\"

[[source]]
name = \"b\"
kind = \"file\"
url = \"https://b.example\"

[[outlet]]
name = \"c\"
kind = \"mastodon\"
language = \"english!\"
from = [\"gone\"]
";
    assert_eq!(
        mistakes(text, &[], &[]),
        [
            "Settings.toml:1: source \"a\".url: is missing, expected something like \
             \"https://example.org/feed.xml\" (or `path`)",
            "Settings.toml:8: source \"b\".url: is unknown, known are name, kind, every, \
             respect_hints, language, backfill, settle, min_age, replies, reposts, quotes, audience, languages, words, patterns, not_from, path",
            "Settings.toml:5: source \"b\".path: is missing, expected something like \
             \"data/out/es.jsonl\"",
            "Settings.toml:13: outlet \"c\".language: `english!` is not a language tag, expected \
             something like `en` or `pt-BR`",
            "Settings.toml:10: outlet \"c\".base_url: is missing, expected something like \
             \"https://mastodon.example\"",
            "Settings.toml:10: outlet \"c\".token_env: is missing, expected something like \
             \"MASTODON_TOKEN\"",
            "Settings.toml:14: outlet \"c\".from: `gone` is no source, expected the name of one, \
             or `requests`",
        ]
    );
}

#[test]
fn a_socket_path_longer_than_the_system_takes_is_a_mistake() {
    let fits = format!("[service]\nsocket = \"/{}\"\n", "s".repeat(106));
    assert!(read(&fits, &[], &[]).is_ok());
    let long = format!("[service]\nsocket = \"/{}\"\n", "s".repeat(107));
    let told = mistakes(&long, &[], &[]);
    assert!(told[0].contains("has 108 bytes"), "{told:?}");
}

#[test]
fn relative_paths_count_from_the_folder_of_the_file() {
    let options = GlobalOptions::default();
    let environment = Environment::new();
    let file = Some(PathBuf::from("/etc/feeds/Settings.toml"));
    let tree = Tree::parse(file, "", &options, &environment).expect("parsed");
    let settings = Settings::read(&tree, &options, &environment).expect("valid");
    assert_eq!(settings.service.data_dir, Path::new("/etc/feeds/data"));
    assert_eq!(
        settings.service.socket,
        Path::new("/etc/feeds/data/babelfeed.sock")
    );
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line() {
    let told = mistakes("mode = \"speed\"\n[service\n", &[], &[]);
    assert!(told[0].starts_with("Settings.toml:2: "), "{told:?}");
}

#[test]
fn two_slips_of_syntax_are_told_at_once() {
    let told = mistakes("mode = \n[service]\nlog_format = yes\n", &[], &[]);
    let lines: Vec<&str> = told.iter().filter_map(|it| it.get(..16)).collect();
    assert_eq!(lines, ["Settings.toml:1:", "Settings.toml:3:"], "{told:?}");
}

#[test]
fn an_option_that_names_nothing_hides_no_other_mistake() {
    assert_eq!(mistakes("colour = 1", &["nonsense"], &[]).len(), 2);
}

#[test]
fn the_socket_is_found_without_any_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("Settings.toml");
    std::fs::write(&file, uncommented()).expect("written");
    let mut options = GlobalOptions {
        settings: Some(file),
        ..GlobalOptions::default()
    };
    let socket = socket_path(&options).expect("found");
    assert_eq!(socket, folder.path().join("data/babelfeed.sock"));
    options.socket = Some(PathBuf::from("/run/other.sock"));
    assert_eq!(socket_path(&options), Ok(PathBuf::from("/run/other.sock")));
}

#[test]
fn a_named_file_must_exist() {
    let options = GlobalOptions {
        settings: Some(PathBuf::from("/nonexistent/Settings.toml")),
        ..GlobalOptions::default()
    };
    let told = Settings::load(&options).expect_err("no file").to_string();
    assert!(told.contains("/nonexistent/Settings.toml: cannot be read"));
}

#[test]
fn control_over_tcp_needs_a_token() {
    let listen = "[http]\nlisten = \"127.0.0.1:8080\"\n";
    assert_eq!(mistakes(listen, &[], &[]).len(), 1);
    let named = format!("{listen}token_env = \"TOKEN\"\n");
    assert_eq!(
        mistakes(&named, &[], &[]),
        ["Settings.toml:3: http.token_env: the variable TOKEN is not set"]
    );
    let settings = read(&named, &[], &[("TOKEN", "t")]).expect("valid");
    assert_eq!(settings.http.token, Some(Secret::new("t")));
}

#[test]
fn numbers_are_kept_where_that_is_said() {
    let numbers = |text: &str| read(text, &[], &[]).expect("valid").translation.numbers;
    assert_eq!(numbers(""), Numbers::Translated);
    assert_eq!(numbers("[translation]\nkeep_numbers = true"), Numbers::Kept);
}

#[test]
fn x_is_called_by_one_kind_of_credential() {
    let keys = "consumer_key_env = \"X_CONSUMER_KEY\"\nconsumer_secret_env = \"X_CONSUMER_SECRET\"\n\
        token_env = \"X_TOKEN\"\ntoken_secret_env = \"X_TOKEN_SECRET\"\n";
    let bearer = "bearer_env = \"X_BEARER\"\n";
    let renewed = "client_id_env = \"X_CLIENT_ID\"\nrefresh_token_env = \"X_REFRESH_TOKEN\"\n";
    let source = |more: &str| {
        format!("[[source]]\nname = \"a\"\nkind = \"x\"\naccounts = [\"news\"]\n{more}")
    };
    for text in [
        source(keys),
        source(bearer),
        outlet("x", keys),
        outlet("x", renewed),
    ] {
        assert!(read(&text, &[], &KEYS).is_ok(), "{text}");
    }
    for (text, beside) in [
        (source(&format!("{keys}{bearer}")), "`bearer_env`"),
        (
            outlet("x", &format!("{keys}{renewed}")),
            "`refresh_token_env`",
        ),
    ] {
        let told = mistakes(&text, &[], &KEYS);
        let is_it =
            |it: &String| it.ends_with(&format!("stands beside {beside}, expected one kind"));
        assert_eq!(told.iter().filter(|it| is_it(it)).count(), 4, "{told:?}");
    }
}
