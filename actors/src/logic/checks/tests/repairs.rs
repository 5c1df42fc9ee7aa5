//! What is mended without asking anybody again.

use super::super::Check;
use super::{examined, fault};

#[test]
fn what_was_put_around_a_translation_is_taken_away() {
    let text = "The ferry leaves at nine.";
    for translated in [
        "El ferry sale a las nueve.",
        "\"El ferry sale a las nueve.\"",
        "“El ferry sale a las nueve.”",
        "«El ferry sale a las nueve.»",
        "```\nEl ferry sale a las nueve.\n```",
        "```text\nEl ferry sale a las nueve.\n```",
        "```El ferry sale a las nueve.```",
        "「El ferry sale a las nueve.」",
    ] {
        let found = examined(("en", "es"), text, translated);
        assert_eq!(
            found,
            ("El ferry sale a las nueve.".to_owned(), None),
            "{translated}"
        );
    }
}

#[test]
fn quotation_marks_that_belong_to_a_text_stay() {
    for (text, translated) in [
        ("\"To be or not to be\"", "«Ser o no ser»"),
        ("He said \"hello\"", "Dijo \"hola\""),
        ("Hello, he said, and bye", "\"Hola\", dijo, y \"adiós\""),
        ("“A” and “B”", "“A” y “B”"),
    ] {
        let found = examined(("en", "es"), text, translated);
        assert_eq!(found, (translated.to_owned(), None), "{translated}");
    }
}

#[test]
fn letters_are_composed_and_direction_marks_closed() {
    let (composed, _) = examined(("en", "fr"), "A coffee", "Un cafe\u{301}");
    assert_eq!(composed, "Un caf\u{e9}");
    for (translated, closed) in [
        ("\u{2067}שלום\u{2069} לכם", "\u{2067}שלום\u{2069} לכם"),
        ("\u{2067}שלום לכם", "\u{2067}שלום לכם\u{2069}"),
        ("שלום\u{2069} לכם", "שלום לכם"),
        ("\u{202b}שלום\nלכם", "\u{202b}שלום\u{202c}\nלכם"),
    ] {
        let (found, fault) = examined(("en", "he"), "Hello to you", translated);
        assert_eq!((&*found, fault), (closed, None), "{translated:?}");
    }
}

#[test]
fn a_lost_blank_is_put_back_before_it_makes_a_link() {
    for (source, text, translated, expected) in [
        (
            "en",
            "It works. Try it.",
            "Funciona.Pruébalo.",
            "Funciona. Pruébalo.",
        ),
        (
            "en",
            "Made with Node.js. Try it.",
            "Hecho con Node.js.Pruébalo.",
            "Hecho con Node.js. Pruébalo.",
        ),
        (
            "en",
            "See https://example.org now",
            "Ver https://example.orgahora",
            "Ver https://example.org ahora",
        ),
        (
            "en",
            "Thanks @ann for it",
            "Gracias a@ann por ello",
            "Gracias a @ann por ello",
        ),
        (
            "en",
            "See https://example.org now",
            "Ver https://example.org\u{feff}ahora",
            "Ver https://example.org ahora",
        ),
        (
            "en",
            "See example.org. Thanks @ann",
            "Ver example.org.@ann, gracias",
            "Ver example.org. @ann, gracias",
        ),
        ("hi", "भारत @ann", "Ind\u{301}@ann", "Ind\u{301} @ann"),
        (
            "en",
            "At 9 a.m. on Monday",
            "A las 9 a.m. del lunes",
            "A las 9 a.m. del lunes",
        ),
    ] {
        let found = examined((source, "es"), text, translated);
        assert_eq!(found, (expected.to_owned(), None), "{translated}");
    }
    let link = fault(
        ("en", "es"),
        "It is over. Come home.",
        "Se acabó.vuelve a casa.",
    );
    assert_eq!(link, Some(Check::Link));
    assert_eq!(
        fault(("en", "ja"), "It is over. Bye.", "終わりだ.さようなら"),
        None
    );
}
