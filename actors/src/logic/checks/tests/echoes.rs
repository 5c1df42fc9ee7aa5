//! Short texts: what may stay as it is, and what may not.

use super::super::Check;
use super::fault;
use super::languages::NEWS;

#[test]
fn names_figures_and_words_that_stay_are_no_echo() {
    for (source, target, text) in [
        ("en", "es", "Apple iPhone 15 Pro Max"),
        ("en", "de", "Radiohead – Live at Glastonbury 1997"),
        ("en", "fr", "OK!"),
        ("de", "en", "Hans Zimmer, Berlin, 24.12.2026, 20:00"),
        ("en", "es", "Hotel Central"),
        ("en", "pt", "Taxi, bar, metro"),
        ("fr", "en", "Café de Flore"),
        ("en", "nl", "LibreOffice 24.8.3 RC2"),
        ("en", "de", "cargo build --release && git push origin main"),
        ("en", "ru", "NASA · SpaceX · ESA"),
        ("en", "ja", "Nintendo Switch 2"),
        ("ja", "en", "東京"),
        ("ja", "zh", "東京大学"),
        ("zh-Hans", "ja", "北京"),
        ("en", "es", "12:30 → 14:45 (3 h)"),
        ("en", "uk", "John Smith & Mary O'Neill"),
        ("es", "pt", "Feliz Natal!"),
        ("en", "ar", "Manchester United 3 – 1 Chelsea"),
        ("en", "it", "Film: Alien, Blade Runner, Dune"),
        ("en", "es", "😀🎉🔥 https://example.org/a #rust @ann"),
        ("ko", "en", "BTS"),
        ("en", "es", "rust, python, haskell, erlang, ocaml"),
    ] {
        assert_eq!(fault((source, target), text, text), None, "{text}");
    }
}

#[test]
fn short_texts_and_those_in_the_language_already_pass() {
    for (source, target, text, translated) in [
        ("en", "es", "Good morning!", "¡Buenos días!"),
        ("en", "pt", "Nice.", "Legal."),
        ("en", "fr", "See you in Paris", "On se voit à Paris"),
        (
            "en",
            "de",
            "Breaking: Putin arrives",
            "Eilmeldung: Putin eingetroffen",
        ),
        ("en", "ja", "Good night", "おやすみ"),
        ("en", "zh-Hant", "Thanks a lot", "多謝"),
        ("en", "ko", "lol", "ㅋㅋㅋ"),
        (
            "en",
            "ru",
            "New Spotify Wrapped is here",
            "Вышел новый Spotify Wrapped",
        ),
        (
            "en",
            "ja",
            "iPhone 17 Pro Max review",
            "iPhone 17 Pro Max レビュー",
        ),
        (
            "en",
            "el",
            "New: Visual Studio Code 1.99",
            "Νέο: Visual Studio Code 1.99",
        ),
        ("ja", "en", "東京ゲームショウ", "Tokyo Game Show"),
        (
            "ja",
            "en",
            "新宿 (しんじゅく) で会おう",
            "Let us meet in Shinjuku (しんじゅく)",
        ),
        // It was in the language wanted all along, whatever was declared.
        ("en", "es", NEWS[1].1, NEWS[1].1),
        ("?", "es", NEWS[1].1, NEWS[1].1),
        ("?", "uk", NEWS[21].1, NEWS[21].1),
        ("pt-PT", "pt-BR", NEWS[2].1, NEWS[2].1),
        ("en", "en-GB", NEWS[0].1, NEWS[0].1),
    ] {
        assert_eq!(
            fault((source, target), text, translated),
            None,
            "{translated}"
        );
    }
}

#[test]
fn echoes_of_short_sentences_are_found() {
    for (source, target, text) in [
        ("en", "es", "We are going to the beach and you are not"),
        ("en", "ja", "We are going to the beach and you are not"),
        ("de", "en", "Wir gehen heute an den Strand und ihr nicht"),
        ("es", "en", "Vamos a la playa y tú no vienes con nosotros"),
        ("ru", "en", "Мы едем на море, а вы остаётесь дома"),
        ("ja", "en", "今日はとても暑いので海に行きたいです"),
        ("ar", "fr", "نحن ذاهبون إلى البحر وأنتم باقون في البيت"),
        (
            "en",
            "fr",
            "Reading https://example.org/a now, and it is very good, @ann 🎉",
        ),
    ] {
        let found = fault((source, target), text, text);
        assert!(
            matches!(found, Some(Check::Echo | Check::Script)),
            "{text}: {found:?}"
        );
    }
}

#[test]
fn the_wrong_script_and_stray_words_are_found() {
    for (source, target, text, translated, expected) in [
        (
            "en",
            "ja",
            "Good morning, everybody",
            "Ohayou gozaimasu minasan",
            Check::Script,
        ),
        (
            "en",
            "ru",
            "Good morning, everybody",
            "Dobroye utro vsem",
            Check::Script,
        ),
        (
            "en",
            "sr",
            "The weather is nice today",
            "Vreme je danas lepo",
            Check::Script,
        ),
        (
            "en",
            "sr-Latn",
            "The weather is nice today",
            "Време је данас лепо",
            Check::Script,
        ),
        ("en", "zh-Hans", NEWS[0].1, NEWS[30].1, Check::Script),
        ("en", "zh-HK", NEWS[0].1, NEWS[29].1, Check::Script),
        (
            "en",
            "ru",
            "He solved the problem at once",
            "Он сразу же решил 问题",
            Check::Stray,
        ),
        (
            "en",
            "es",
            "It is an important question",
            "Es una вопрос importante",
            Check::Stray,
        ),
        (
            "en",
            "ja",
            "It is an important question",
            "これは重要な вопрос です",
            Check::Stray,
        ),
        (
            "en",
            "ko",
            "The weather is nice today",
            "今日は天気がいいですね",
            Check::Script,
        ),
    ] {
        assert_eq!(
            fault((source, target), text, translated),
            Some(expected),
            "{translated}"
        );
    }
}
