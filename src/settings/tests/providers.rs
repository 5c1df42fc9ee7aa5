//! The rules of providers.

use super::*;

#[test]
fn providers_of_one_address_credential_and_model_share_a_lane() {
    let provider = |name: &str, model: &str| {
        format!(
            "[[provider]]\nname = \"{name}\"\nkind = \"openai\"\nmodel = \"{model}\"\n\
             base_url = \"https://b.example/v1/\"\napi_key_env = \"KEY\"\n"
        )
    };
    let text = [provider("a", "m"), provider("b", "m"), provider("c", "n")].concat();
    let settings = read(&text, &[], &[("KEY", "secret-7")]).expect("valid");
    let lanes: Vec<&str> = settings
        .providers
        .iter()
        .map(|it| it.lane.as_str())
        .collect();
    assert_eq!(lanes, ["a", "a", "c"]);
    let orders: Vec<u32> = settings.providers.iter().map(|it| it.order).collect();
    assert_eq!(orders, [1, 2, 3]);
    assert_eq!(settings.providers[0].base_url, "https://b.example/v1");
    assert!(!format!("{settings:?}").contains("secret-7"));
}

#[test]
fn providers_of_one_lane_have_one_set_of_limits() {
    let provider = |name: &str, limits: &str| {
        format!(
            "[[provider]]\nname = \"{name}\"\nkind = \"libretranslate\"\n\
             base_url = \"https://b.example\"\n{limits}\n"
        )
    };
    let (ten, twenty) = ("limits = { rpm = 10 }", "limits = { rpm = 20 }");
    for (first, second) in [("", ten), (ten, ""), (ten, ten)] {
        let text = [provider("a", first), provider("b", second)].concat();
        let settings = read(&text, &[], &[]).expect("valid");
        for provider in &settings.providers {
            assert_eq!(provider.limits.rpm, Some(10.0), "{first} {second}");
        }
    }
    for named in 0..3 {
        let limits = |place| if place == named { ten } else { "" };
        let text = [("a", 0), ("b", 1), ("c", 2)]
            .map(|(name, place)| provider(name, limits(place)))
            .concat();
        let settings = read(&text, &[], &[]).expect("valid");
        for provider in &settings.providers {
            assert_eq!(
                provider.limits.rpm,
                Some(10.0),
                "{named}: {}",
                provider.name
            );
        }
    }
    let utc = "limits = { day_resets = \"utc\" }";
    for (first, second) in [("", utc), (utc, ""), (utc, utc)] {
        let text = [provider("a", first), provider("b", second)].concat();
        let settings = read(&text, &[], &[]).expect("valid");
        for provider in &settings.providers {
            assert_eq!(provider.limits.day, DayReset::Utc, "{first} {second}");
        }
    }
    for (first, second) in [(ten, twenty), (ten, utc), (utc, ten)] {
        let text = [provider("a", first), provider("b", second)].concat();
        let found = mistakes(&text, &[], &[]);
        assert_eq!(found.len(), 1, "{first} {second}: {found:?}");
        assert!(found[0].contains("differ from those of `a`"), "{found:?}");
    }
}

#[test]
fn a_provider_can_be_asked_for_some_pairs_and_have_a_share() {
    let provider = |more: &str| {
        format!(
            "[[provider]]\nname = \"a\"\nkind = \"libretranslate\"\n\
             base_url = \"https://b.example\"\n{more}\n"
        )
    };
    let text = provider("share = 2.5\npairs = [\"en-es\", \"*-ca\"]");
    let settings = read(&text, &[], &[]).expect("valid");
    let first = &settings.providers[0];
    assert!((first.share - 2.5).abs() < f64::EPSILON);
    let pairs = first.pairs.as_deref().expect("pairs");
    assert_eq!(format!("{} {}", pairs[0], pairs[1]), "en>es *>ca");
    for more in ["pairs = []", "pairs = [\"english\"]", "share = -1"] {
        assert_eq!(mistakes(&provider(more), &[], &[]).len(), 1, "{more}");
    }
}

#[test]
fn a_key_file_is_read_and_an_unreadable_one_is_a_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    std::fs::write(&path, "key-9\n").expect("written");
    let text = |path: &Path| {
        format!(
            "[[provider]]\nname = \"a\"\nkind = \"openai\"\nmodel = \"m\"\n\
             base_url = \"https://b.example\"\napi_key_file = {path:?}\n"
        )
    };
    let settings = read(&text(&path), &[], &[]).expect("valid");
    assert_eq!(settings.providers[0].api_key, Some(Secret::new("key-9")));
    let told = mistakes(&text(&folder.path().join("none")), &[], &[]);
    let path = folder.path().join("none");
    let wanted = format!("cannot read {}", path.display());
    assert!(told[0].contains(&wanted), "{told:?}");
}

/// Settings whose key is looked for as that says.
fn keyed(key: &str, value: &str) -> String {
    format!(
        "[[provider]]\nname = \"a\"\nkind = \"openai\"\nmodel = \"m\"\n\
         base_url = \"https://b.example\"\n{key} = {value:?}\n"
    )
}

#[test]
fn a_secret_in_the_place_of_a_variables_name_is_not_shown() {
    for secret in [
        "gsk_abcDEF123",
        "sk-ant-api03-xyz",
        "https://discord.com/api/webhooks/123/TOKEN",
        "5F0E.7",
    ] {
        let told = mistakes(&keyed("api_key_env", secret), &[], &[]);
        let wanted = "Settings.toml:6: provider \"a\".api_key_env: is not the name of a variable \
                      that is set, expected one like GROQ_API_KEY, never the secret itself";
        assert_eq!(told, [wanted], "{secret}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_files_path_is_not_shown() {
    for secret in [
        "sk-abc".to_owned(),
        "eyJhbGci.eyJzdWIi.c2ln".to_owned(),
        "https://discord.com/api/webhooks/123/TOKEN".to_owned(),
        "secret".repeat(100),
    ] {
        let told = mistakes(&keyed("api_key_file", &secret), &[], &[]);
        let [told] = told.as_slice() else {
            panic!("expected one mistake: {told:?}");
        };
        assert!(told.contains("api_key_file: names no file"), "{told}");
        assert!(!told.contains(&secret), "{told}");
    }
}
