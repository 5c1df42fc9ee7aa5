//! The rules of outlets.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::logic::hashtags::Hashtags;
use babelfeed_actors::logic::policy::Mentions;

use super::*;

#[test]
fn an_outlet_says_what_becomes_of_hashtags() {
    let written = |more: &str| outlet("file", &format!("path = \"es.jsonl\"\n{more}"));
    for (more, expected) in [
        ("", Hashtags::Keep),
        ("hashtags = \"keep\"", Hashtags::Keep),
        ("hashtags = \"translate\"", Hashtags::Translate),
        ("hashtags = \"both\"", Hashtags::Both),
    ] {
        let settings = read(&written(more), &[], &KEYS).expect("valid");
        assert_eq!(settings.outlets[0].rules.style.hashtags, expected, "{more}");
    }
    assert!(read(&written("hashtags = \"some\""), &[], &KEYS).is_err());
}

#[test]
fn an_outlet_says_what_becomes_of_mentions() {
    let mentions = |kind: &str, more: &str| {
        let settings = read(&outlet(kind, more), &[], &KEYS).expect("valid");
        settings.outlets[0].rules.style.mentions.clone()
    };
    let slack = "url_env = \"SLACK_WEBHOOK\"\n";
    let file = "path = \"es.jsonl\"\n";
    assert_eq!(mentions("slack", slack), Mentions::Plain);
    assert_eq!(mentions("file", file), Mentions::Alive);
    let plain = format!("{file}mentions = \"plain\"");
    assert_eq!(mentions("file", &plain), Mentions::Plain);
    let map = "mention_map = { \"@Ana@social.example\" = \"@ana.bsky.social\" }";
    let mapped = format!("{slack}mentions = \"map\"\n{map}");
    let account = (
        "@Ana@social.example".to_owned(),
        "@ana.bsky.social".to_owned(),
    );
    let expected = Mentions::Mapped(Arc::new([account].into()));
    assert_eq!(mentions("slack", &mapped), expected);
    for (more, wrong) in [
        (map, "mention_map: belongs to"),
        ("mentions = \"map\"", "mention_map: is missing"),
        (
            "mentions = \"map\"\nmention_map = { ana = \"@b\" }",
            "`ana` is no mention",
        ),
        ("mentions = \"loud\"", "mentions: "),
    ] {
        let told = mistakes(&outlet("slack", &format!("{slack}{more}")), &[], &KEYS).join("\n");
        assert!(told.contains(wrong), "{told}");
    }
}

#[test]
fn an_outlet_says_how_long_what_is_ready_waits_for_its_turn() {
    let written = |more: &str| outlet("file", &format!("path = \"es.jsonl\"\n{more}"));
    for (more, seconds) in [
        ("", 120),
        ("in_order = \"0s\"", 0),
        ("in_order = \"90m\"", 5_400),
        ("in_order = \"24h\"", 86_400),
    ] {
        let settings = read(&written(more), &[], &KEYS).expect("valid");
        let wait = settings.outlets[0].rules.in_order;
        assert_eq!(wait, Duration::from_secs(seconds), "{more}");
    }
    let told = mistakes(&written("in_order = \"25h\""), &[], &KEYS).join("\n");
    assert!(told.contains("in_order: `25h` is too long"), "{told}");
    assert!(read(&written("in_order = 5"), &[], &KEYS).is_err());
}

#[test]
fn networks_are_paced_unless_the_settings_say_otherwise() {
    let limits = |kind: &str, more: &str| {
        let settings = read(&outlet(kind, more), &[], &KEYS).expect("valid");
        let limits = settings.outlets[0].limits;
        (limits.rps, limits.rpm)
    };
    let telegram = |chat: &str| format!("token_env = \"TELEGRAM_TOKEN\"\nchat = \"{chat}\"");
    let slack = "url_env = \"SLACK_WEBHOOK\"";
    let faster = format!("{slack}\nlimits = {{ rps = 5 }}");
    assert_eq!(
        limits("telegram", &telegram("@es")),
        (Some(1.0), Some(20.0))
    );
    assert_eq!(limits("telegram", &telegram("77")), (Some(1.0), None));
    assert_eq!(limits("slack", slack), (Some(1.0), None));
    assert_eq!(limits("slack", &faster), (Some(5.0), None));
    let mastodon = "base_url = \"https://social.example\"\ntoken_env = \"TELEGRAM_TOKEN\"";
    assert_eq!(limits("mastodon", mastodon), (Some(1.0), Some(30.0)));
    let bluesky = "account = \"es.example.org\"\npassword_env = \"TELEGRAM_TOKEN\"";
    assert_eq!(limits("bluesky", bluesky), (Some(1.0), Some(30.0)));
    let x = "client_id_env = \"TELEGRAM_TOKEN\"\nrefresh_token_env = \"TELEGRAM_TOKEN\"";
    assert_eq!(limits("x", x), (Some(1.0), Some(6.0)));
    let dear = format!("{x}\nlimits.usd_per_day = 1.0");
    assert_eq!(limits("x", &dear), (Some(1.0), Some(6.0)));
    let webhook = "url = \"http://127.0.0.1/\"";
    assert_eq!(limits("webhook", webhook), (None, None));
}

#[test]
fn what_chats_must_be_told_is_named_and_no_address_is_shown() {
    let keys = [("HOOK", "no address with a secret"), ("TOKEN", "1:a")];
    for (kind, more, expected) in [
        (
            "telegram",
            "token_env = \"TOKEN\"\nchat = \"news\"",
            "chat: is no chat",
        ),
        ("telegram", "chat = \"@news\"", "token_env: is missing"),
        ("discord", "", "url_env: is missing"),
        ("slack", "url_env = \"HOOK\"", "holds no address"),
        ("webhook", "", "url_env: is missing"),
        (
            "webhook",
            "url = \"http://a.example\"\nurl_env = \"HOOK\"",
            "stands beside `url_env`",
        ),
    ] {
        let found = mistakes(&outlet(kind, more), &[], &keys).join("\n");
        assert!(found.contains(expected), "{kind} {more}: {found}");
        assert!(!found.contains("secret"), "{found}");
    }
}

#[test]
fn an_account_on_mastodon_publishes_later_where_that_is_wanted() {
    for (more, expected) in [
        ("", None),
        ("schedule = \"6m\"", Some(Duration::from_secs(360))),
        ("schedule = \"2h\"", Some(Duration::from_secs(7_200))),
    ] {
        let settings = read(&on_mastodon(more), &[], &KEYS).expect("valid");
        let OutletKind::Mastodon { schedule, .. } = settings.outlets[0].kind else {
            panic!("{:?}", settings.outlets[0]);
        };
        assert_eq!(schedule, expected, "{more}");
    }
    let told = mistakes(&on_mastodon("schedule = \"5m\""), &[], &KEYS).join("\n");
    assert!(told.contains("schedule: "), "{told}");
    let elsewhere = outlet("file", "path = \"es.jsonl\"\nschedule = \"30m\"");
    assert!(read(&elsewhere, &[], &KEYS).is_err());
}

#[test]
fn a_server_of_mastodons_has_half_a_minute_for_a_post_unless_it_is_told_another_time() {
    for (more, expected) in [("", 30), ("quiet = \"2s\"", 2)] {
        let settings = read(&on_mastodon(more), &[], &KEYS).expect("valid");
        let OutletKind::Mastodon { quiet, .. } = settings.outlets[0].kind else {
            panic!("{:?}", settings.outlets[0]);
        };
        assert_eq!(quiet, Duration::from_secs(expected), "{more}");
    }
}

/// An account on Mastodon, with more that it is told.
fn on_mastodon(more: &str) -> String {
    let account = "base_url = \"https://social.example\"\ntoken_env = \"TELEGRAM_TOKEN\"\n";
    outlet("mastodon", &format!("{account}{more}"))
}

#[test]
fn two_languages_share_an_account_on_bluesky_only_where_their_posts_cannot_share_a_key() {
    let written = |n_languages: usize| {
        let mut all = String::new();
        let tags = ["es", "fr", "de", "it", "pt", "nl", "sv", "da", "fi"];
        for (place, tag) in tags[..n_languages].iter().enumerate() {
            let account = if place < 2 { "both" } else { *tag };
            all.push_str(&format!(
                "[[outlet]]\nname = \"{tag}\"\nkind = \"bluesky\"\nlanguage = \"{tag}\"\n\
                 account = \"{account}.example.org\"\npassword_env = \"TELEGRAM_TOKEN\"\n"
            ));
        }
        all
    };
    assert!(read(&written(8), &[], &KEYS).is_ok());
    let told = mistakes(&written(9), &[], &KEYS);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("outlet \"fr\".account: is that of"),
        "{told:?}"
    );
}
