//! The rules of sources.

use super::*;
use crate::sources::bluesky::Subject;

#[test]
fn a_source_says_which_of_its_posts_are_taken() {
    let source = |more: &str| format!("{SOURCE}{more}\n");
    let wanted = "settle = \"30s\"\nreplies = true\naudience = [\"public\", \"direct\"]\n\
        words = { exclude = [\"giveaway\"] }\npatterns = { include = ['v\\d+'] }\n\
        not_from = [\"@ann\"]";
    let settings = read(&source(wanted), &[], &[]).expect("settings");
    let rules = &settings.sources[0].rules;
    assert_eq!(rules.settle, Duration::from_secs(30));
    assert!(rules.filter.replies && rules.filter.quotes && !rules.filter.reposts);
    let counts = (rules.filter.include.len(), rules.filter.exclude.len());
    assert_eq!((counts, rules.filter.audiences.len()), ((1, 1), 2));
    let wrong =
        "audience = [\"all\"]\nlanguages = [\"english!\"]\npatterns = { include = [\"(\"] }";
    let mistakes = mistakes(&source(wrong), &[], &[]).join("\n");
    for wanted in [
        "`all` is no audience",
        "`english!` is not a language tag",
        "`(` cannot be looked for",
    ] {
        assert!(mistakes.contains(wanted), "{mistakes}");
    }
}

#[test]
fn an_account_of_bluesky_is_a_handle_or_a_permanent_name() {
    let source = |account: &str| {
        format!("[[source]]\nname = \"ana\"\nkind = \"bluesky\"\naccount = \"{account}\"")
    };
    for (account, read_as) in [
        ("@Ana.bsky.social", "ana.bsky.social"),
        ("did:plc:abc", "did:plc:abc"),
    ] {
        let settings = read(&source(account), &[], &KEYS).expect("valid");
        let SourceKind::Bluesky {
            subject: Subject::Account(account),
            ..
        } = &settings.sources[0].kind
        else {
            panic!("a source of another kind");
        };
        assert_eq!(account.as_str(), read_as);
    }
    for account in ["ana", "ana@example.org", "did:plc:", "ana.bsky.social/"] {
        let told = mistakes(&source(account), &[], &KEYS).join("\n");
        assert!(told.contains("account: `"), "{told}");
    }
    let slack = outlet("slack", "url_env = \"SLACK_WEBHOOK\"\n");
    let map = "mentions = \"map\"\nmention_map = { \"@ana\" = \"@ana\" }";
    assert!(read(&format!("{slack}{map}"), &[], &KEYS).is_ok());
    let more = "account = \"ana.bsky.social\"\npassword_env = \"SLACK_WEBHOOK\"\n";
    let told = mistakes(&outlet("bluesky", &format!("{more}{map}")), &[], &KEYS).join("\n");
    assert!(told.contains("`@ana` is no account of Bluesky"), "{told}");
}

#[test]
fn a_feed_of_bluesky_stands_alone() {
    let source = |more: &str| format!("[[source]]\nname = \"boats\"\nkind = \"bluesky\"\n{more}");
    let feed = "feed = \"https://bsky.app/profile/ana.example.org/feed/boats\"\n";
    let settings = read(&source(feed), &[], &KEYS).expect("valid");
    let SourceKind::Bluesky { subject, .. } = &settings.sources[0].kind else {
        panic!("a source of another kind");
    };
    assert!(matches!(subject, Subject::Feed(_)), "{subject:?}");
    for (more, wanted) in [
        ("feed = \"boats\"", "feed: `boats` is no feed"),
        (
            &format!("{feed}account = \"ana.example.org\""),
            "account: stands beside `feed`",
        ),
        (
            &format!("{feed}jetstream = \"wss://jetstream.example\""),
            "jetstream: tells of an account",
        ),
        ("", "account: is missing, expected"),
    ] {
        let told = mistakes(&source(more), &[], &KEYS).join("\n");
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn a_hub_needs_an_address_to_call() {
    let source = format!("{SOURCE}websub = true\n");
    for http in [
        "",
        "[http]\npublic_url = \"https://bot.example\"\n",
        "[http]\nlisten = \"127.0.0.1:0\"\ntoken_env = \"SLACK_WEBHOOK\"\n",
    ] {
        let found = mistakes(&format!("{http}{source}"), &[], &KEYS).join("\n");
        assert!(found.contains("public_url: stands not beside"), "{found}");
    }
    let http = "[http]\nlisten = \"127.0.0.1:0\"\ntoken_env = \"SLACK_WEBHOOK\"\n\
                public_url = \"https://bot.example/\"\n";
    let settings = read(&format!("{http}{source}"), &[], &KEYS).expect("valid");
    assert_eq!(
        settings.http.public_url.as_deref(),
        Some("https://bot.example")
    );
    let hub = FeedPlace::Hub("https://a.example/".to_owned());
    assert_eq!(settings.sources[0].kind, SourceKind::Feed(hub));
}

#[test]
fn what_only_polls_opens_no_stream_and_asks_no_hub_to_call() {
    let source = |name: &str, kind: &str, more: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"{kind}\"\n{more}\n")
    };
    let mastodon = "base_url = \"https://a.example\"\naccount = \"ana\"\n";
    let mastodon = format!("{mastodon}token_env = \"MASTODON_TOKEN\"\n");
    let bluesky = "account = \"ana.bsky.social\"\n";
    let x = "accounts = [\"ana\"]\nbearer_env = \"X_BEARER\"\n";
    let http = "[http]\nlisten = \"127.0.0.1:0\"\ntoken_env = \"SLACK_WEBHOOK\"\n";
    let settings = |public_url: &str, jetstream: &str, stream: &str| {
        let text = [
            format!("{http}{public_url}"),
            source("m", "mastodon", &format!("{mastodon}{stream}")),
            source("b", "bluesky", &format!("{bluesky}{jetstream}")),
            source("x", "x", &format!("{x}{stream}")),
        ];
        read(&text.concat(), &[], &KEYS).expect("valid")
    };
    let mut streaming = settings(
        "public_url = \"https://bot.example\"\n",
        "jetstream = \"wss://jetstream.example\"",
        "stream = true",
    );
    let polling = settings("", "", "");
    assert_ne!(streaming, polling);
    streaming.only_poll();
    assert_eq!(streaming, polling);
}
