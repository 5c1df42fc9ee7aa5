//! What passes and what does not, in many languages and scripts.

use std::sync::Arc;

use super::*;
use crate::logic::spans::protect;

fn pair(source: &str, target: &str) -> Pair {
    let tag = |text: &str| text.parse::<Language>().expect("a tag");
    Pair {
        source: (source != "?").then(|| tag(source)),
        target: tag(target),
    }
}

/// What is wrong with the translation of a text, whose spans are set aside as they would be.
fn examined(pair_of: (&str, &str), source: &str, translated: &str) -> (String, Option<Check>) {
    let source = protect(&Arc::from(source));
    let mut marked = translated.to_owned();
    for (number, span) in source.spans.iter().enumerate() {
        marked = marked.replacen(&*span.text, &format!("⟦{number}⟧"), 1);
    }
    let pair = pair(pair_of.0, pair_of.1);
    let examined = Checks::ALL.examine(&source, marked.into(), &pair);
    let text = source.restore_torn(&examined.text);
    (text, examined.fault.map(|fault| fault.check))
}

fn fault(pair: (&str, &str), source: &str, translated: &str) -> Option<Check> {
    examined(pair, source, translated).1
}

/// One text in many languages, which says the same in each.
const NEWS: [(&str, &str); 33] = [
    (
        "en",
        "The government announced new measures on Tuesday to help families with the rising cost of energy.",
    ),
    (
        "es",
        "El gobierno anunció el martes nuevas medidas para ayudar a las familias con el aumento del coste de la energía.",
    ),
    (
        "pt",
        "O governo anunciou na terça-feira novas medidas para ajudar as famílias com o aumento do custo da energia.",
    ),
    (
        "fr",
        "Le gouvernement a annoncé mardi de nouvelles mesures pour aider les familles face à la hausse du coût de l’énergie.",
    ),
    (
        "de",
        "Die Regierung hat am Dienstag neue Maßnahmen angekündigt, um Familien bei den steigenden Energiekosten zu helfen.",
    ),
    (
        "it",
        "Il governo ha annunciato martedì nuove misure per aiutare le famiglie con l’aumento dei costi dell’energia.",
    ),
    (
        "nl",
        "De regering heeft dinsdag nieuwe maatregelen aangekondigd om gezinnen te helpen met de stijgende energiekosten.",
    ),
    (
        "sv",
        "Regeringen meddelade på tisdagen nya åtgärder för att hjälpa familjer med de stigande energikostnaderna.",
    ),
    (
        "da",
        "Regeringen meddelte tirsdag nye tiltag for at hjælpe familier med de stigende energiudgifter.",
    ),
    (
        "nb",
        "Regjeringen kunngjorde tirsdag nye tiltak for å hjelpe familier med de økende energikostnadene.",
    ),
    (
        "fi",
        "Hallitus ilmoitti tiistaina uusista toimista, joilla perheitä autetaan nousevien energiakustannusten kanssa.",
    ),
    (
        "pl",
        "Rząd ogłosił we wtorek nowe środki, które mają pomóc rodzinom w obliczu rosnących kosztów energii.",
    ),
    (
        "cs",
        "Vláda v úterý oznámila nová opatření, která mají pomoci rodinám s rostoucími náklady na energie.",
    ),
    (
        "sk",
        "Vláda v utorok oznámila nové opatrenia, ktoré majú pomôcť rodinám s rastúcimi nákladmi na energie.",
    ),
    (
        "hr",
        "Vlada je u utorak najavila nove mjere kojima želi pomoći obiteljima zbog rasta troškova energije.",
    ),
    (
        "hu",
        "A kormány kedden új intézkedéseket jelentett be, hogy segítse a családokat az emelkedő energiaköltségek miatt.",
    ),
    (
        "ro",
        "Guvernul a anunțat marți noi măsuri pentru a ajuta familiile să facă față creșterii costurilor la energie.",
    ),
    (
        "tr",
        "Hükümet salı günü, artan enerji maliyetleri karşısında ailelere yardım etmek için yeni önlemler açıkladı.",
    ),
    (
        "id",
        "Pemerintah mengumumkan langkah-langkah baru pada hari Selasa untuk membantu keluarga dengan kenaikan biaya energi.",
    ),
    (
        "vi",
        "Chính phủ đã công bố các biện pháp mới vào thứ Ba để giúp các gia đình đối phó với chi phí năng lượng tăng.",
    ),
    (
        "ru",
        "Правительство объявило во вторник о новых мерах помощи семьям в связи с ростом стоимости энергии.",
    ),
    (
        "uk",
        "Уряд у вівторок оголосив про нові заходи допомоги сім’ям у зв’язку зі зростанням вартості енергії.",
    ),
    (
        "bg",
        "Правителството обяви във вторник нови мерки за подпомагане на семействата заради растящите цени на енергията.",
    ),
    (
        "el",
        "Η κυβέρνηση ανακοίνωσε την Τρίτη νέα μέτρα για να βοηθήσει τις οικογένειες με το αυξανόμενο κόστος της ενέργειας.",
    ),
    (
        "ar",
        "أعلنت الحكومة يوم الثلاثاء عن إجراءات جديدة لمساعدة الأسر على مواجهة ارتفاع تكاليف الطاقة.",
    ),
    (
        "fa",
        "دولت روز سه‌شنبه از اقدامات جدیدی برای کمک به خانواده‌ها در برابر افزایش هزینه‌های انرژی خبر داد.",
    ),
    (
        "he",
        "הממשלה הודיעה ביום שלישי על צעדים חדשים שיסייעו למשפחות להתמודד עם עליית מחירי האנרגיה.",
    ),
    (
        "hi",
        "सरकार ने मंगलवार को ऊर्जा की बढ़ती लागत से परिवारों की मदद के लिए नए उपायों की घोषणा की।",
    ),
    (
        "ja",
        "政府は火曜日、エネルギー費用の高騰に苦しむ家庭を支援するための新たな対策を発表した。",
    ),
    (
        "zh-Hans",
        "政府周二宣布了新措施，帮助家庭应对不断上涨的能源费用。",
    ),
    (
        "zh-TW",
        "政府週二宣布了新措施，幫助家庭應對不斷上漲的能源費用。",
    ),
    (
        "ko",
        "정부는 화요일에 에너지 비용 상승으로 어려움을 겪는 가정을 돕기 위한 새로운 대책을 발표했다.",
    ),
    (
        "th",
        "รัฐบาลประกาศมาตรการใหม่เมื่อวันอังคารเพื่อช่วยเหลือครอบครัวที่ได้รับผลกระทบจากค่าพลังงานที่สูงขึ้น",
    ),
];

/// Languages that a model may take for each other, and that nobody can tell apart by one sentence.
fn is_near(one: &str, other: &str) -> bool {
    let tag = |text: &str| text.parse::<Language>().expect("a tag");
    evidence::are_near(&tag(one), &tag(other))
}

#[test]
fn a_translation_passes_from_every_language_into_every_other() {
    for (source, text) in NEWS {
        for (target, translated) in NEWS.into_iter().filter(|(target, _)| *target != source) {
            assert_eq!(
                fault((source, target), text, translated),
                None,
                "{source} {target}"
            );
            assert_eq!(fault(("?", target), text, translated), None, "? {target}");
        }
    }
}

#[test]
fn a_text_that_comes_back_as_it_went_is_an_echo_in_every_language() {
    for (source, text) in NEWS {
        for (target, _) in NEWS
            .into_iter()
            .filter(|(target, _)| !is_near(source, target))
        {
            let found = fault((source, target), text, text);
            assert!(
                matches!(found, Some(Check::Echo | Check::Language | Check::Script)),
                "{source} {target}: {found:?}"
            );
        }
    }
}

#[test]
fn a_translation_into_another_language_is_found_in_every_language() {
    let mut missed = Vec::new();
    for (target, _) in NEWS {
        for (found, translated) in NEWS {
            let source = if target == "en" || found == "en" {
                "de"
            } else {
                "en"
            };
            if is_near(found, target) || source == found || source == target {
                continue;
            }
            let (_, text) = NEWS[if source == "en" { 0 } else { 4 }];
            match fault((source, target), text, translated) {
                Some(Check::Language | Check::Script) => (),
                other => missed.push((target, found, other)),
            }
        }
    }
    // Of some languages a sentence is too little to be sure.
    assert!(missed.len() <= 12, "{}: {missed:?}", missed.len());
}

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

#[test]
fn preambles_notes_and_refusals_are_found() {
    let text = "The ferry leaves at nine, bring your own bread.";
    for (target, translated, expected) in [
        (
            "es",
            "Here is the translation:\nEl ferry sale a las nueve, traigan su propio pan.",
            Check::Notes,
        ),
        (
            "es",
            "Traducción: El ferry sale a las nueve, traigan su propio pan.",
            Check::Notes,
        ),
        (
            "es",
            "Sure, here's the Spanish text: El ferry sale a las nueve.",
            Check::Notes,
        ),
        (
            "fr",
            "Voici la traduction : Le ferry part à neuf heures, apportez votre pain.",
            Check::Notes,
        ),
        (
            "de",
            "Hier ist die Übersetzung: Die Fähre fährt um neun, bringt euer Brot mit.",
            Check::Notes,
        ),
        (
            "ru",
            "Вот перевод: Паром отходит в девять, возьмите с собой хлеб.",
            Check::Notes,
        ),
        (
            "ja",
            "以下は翻訳です：フェリーは9時に出ます。パンは各自持参してください。",
            Check::Notes,
        ),
        ("zh", "以下是翻译：渡轮九点出发，请自带面包。", Check::Notes),
        (
            "es",
            "El ferry sale a las nueve, traigan su propio pan.\n\nNota: «ferry» se deja en inglés.",
            Check::Notes,
        ),
        (
            "es",
            "El ferry sale a las nueve (Nota: hora local), traigan su propio pan.",
            Check::Notes,
        ),
        (
            "de",
            "Die Fähre fährt um neun, bringt Brot mit.\n(Anmerkung: „ferry“ kann auch Autofähre heißen.)",
            Check::Notes,
        ),
        (
            "fr",
            "Le ferry part à neuf heures.\n**Note :** « bread » est traduit par « pain ».",
            Check::Notes,
        ),
        (
            "en",
            "The ferry leaves at nine. I translated it freely.",
            Check::Notes,
        ),
        (
            "ja",
            "フェリーは9時に出ます。パンは各自持参してください。\n注：「ferry」はフェリーと訳しました。",
            Check::Notes,
        ),
        (
            "es",
            "Lo siento, no puedo ayudar con esa solicitud.",
            Check::Refusal,
        ),
        ("es", "I'm sorry, I cannot help with that.", Check::Refusal),
        (
            "es",
            "I’m sorry, but I can’t assist with translating this.",
            Check::Refusal,
        ),
        (
            "es",
            "As an AI language model, I do not take ferries.",
            Check::Refusal,
        ),
        (
            "fr",
            "Je suis désolé, mais je ne peux pas traduire ce texte.",
            Check::Refusal,
        ),
        (
            "de",
            "Es tut mir leid, aber das kann ich nicht tun.",
            Check::Refusal,
        ),
        ("pt", "Desculpe, não posso ajudar com isso.", Check::Refusal),
        (
            "ru",
            "Извините, я не могу перевести этот текст.",
            Check::Refusal,
        ),
        (
            "ja",
            "申し訳ありませんが、このテキストは翻訳できません。",
            Check::Refusal,
        ),
        ("zh", "抱歉，我无法翻译这段文字。", Check::Refusal),
        (
            "ko",
            "죄송하지만 이 텍스트는 번역할 수 없습니다.",
            Check::Refusal,
        ),
    ] {
        assert_eq!(
            fault(("?", target), text, translated),
            Some(expected),
            "{translated}"
        );
    }
}

#[test]
fn what_the_text_itself_says_is_no_note_and_no_refusal() {
    for (source, target, text, translated) in [
        (
            "en",
            "es",
            "I'm sorry, I can't come tonight.",
            "Lo siento, no puedo ir esta noche.",
        ),
        (
            "en",
            "de",
            "Sorry, we are unable to ship to Norway.",
            "Es tut uns leid, wir können nicht nach Norwegen liefern.",
        ),
        (
            "ja",
            "en",
            "申し訳ありませんが、本日は入場できません。",
            "We are sorry, but you cannot enter today.",
        ),
        (
            "en",
            "fr",
            "Here is the translation of my book: https://example.org/book",
            "Voici la traduction de mon livre : https://example.org/book",
        ),
        (
            "en",
            "es",
            "Note: the ferry leaves at nine.",
            "Nota: el ferry sale a las nueve.",
        ),
        (
            "en",
            "de",
            "Heads up!\nPS: the road is closed",
            "Achtung!\nHinweis: die Straße ist gesperrt",
        ),
        (
            "en",
            "es",
            "As an AI researcher I cannot help with chatbots.",
            "Como investigador de IA no puedo ayudar con chatbots.",
        ),
        (
            "en",
            "zh",
            "Translator's note: the pun is lost",
            "译者注：双关语没有译出",
        ),
        (
            "de",
            "en",
            "Klar: das war der Plan",
            "Sure: that was the plan",
        ),
        (
            "en",
            "fr",
            "Today's list: bread, milk, eggs",
            "La liste du jour : pain, lait, œufs",
        ),
        (
            "es",
            "en",
            "Claro que sí: mañana vamos",
            "Of course: we are going tomorrow",
        ),
        ("en", "ru", "I can't believe it", "Не могу поверить"),
        ("en", "ja", "We can't wait!", "待ちきれません！"),
    ] {
        assert_eq!(
            fault((source, target), text, translated),
            None,
            "{translated}"
        );
    }
}

#[test]
fn lengths_are_judged_by_what_scripts_can_say() {
    let long = NEWS[0].1.repeat(3);
    assert_eq!(
        fault(("en", "zh"), &long, "政府宣布新措施。"),
        Some(Check::Length)
    );
    let much = format!("{} {}", NEWS[1].1, NEWS[1].1.repeat(4));
    assert_eq!(fault(("en", "es"), NEWS[0].1, &much), Some(Check::Length));
    for (source, target, text, translated) in [
        ("en", "es", "lol", "me muero de la risa, qué bueno"),
        (
            "zh",
            "en",
            "画蛇添足",
            "to ruin the effect by adding something superfluous",
        ),
        (
            "en",
            "zh",
            "It is raining cats and dogs over there today",
            "那边今天下倾盆大雨",
        ),
        (
            "de",
            "en",
            "Donaudampfschifffahrtsgesellschaft",
            "Danube Steamship Company",
        ),
    ] {
        assert_eq!(
            fault((source, target), text, translated),
            None,
            "{translated}"
        );
    }
}

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

#[test]
fn each_group_of_checks_can_be_switched_off() {
    let all = Checks::ALL;
    let text = "We are going to the beach and you are not";
    for (checks, target, translated) in [
        (
            Checks {
                echo: false,
                language: false,
                ..all
            },
            "es",
            text,
        ),
        (
            Checks {
                language: false,
                ..all
            },
            "ja",
            "Watashitachi wa umi ni ikimasu",
        ),
        (
            Checks {
                length: false,
                ..all
            },
            "zh",
            "去",
        ),
        (
            Checks {
                notes: false,
                ..all
            },
            "es",
            "Traducción: Vamos a la playa y tú no vienes",
        ),
        (Checks::NONE, "es", "I'm sorry, I cannot help with that."),
    ] {
        let source = protect(&Arc::from(text));
        let examined = checks.examine(&source, translated.into(), &pair("en", target));
        assert_eq!(examined.fault, None, "{translated}");
    }
}

#[test]
fn a_text_is_found_in_its_language_and_in_no_other() {
    let mut missed = Vec::new();
    for (language, text) in NEWS {
        let text = protect(&Arc::from(text));
        for (other, _) in NEWS {
            let tag: Language = other.parse().expect("a tag");
            let expected = language == other;
            match (is_in(&text, &tag), expected) {
                (true, false) => panic!("{language} was found in {other}"),
                (false, true) => missed.push(language),
                _ => (),
            }
        }
    }
    // Where it is not sure, it is translated.
    assert!(missed.len() <= 8, "{missed:?}");
    for text in ["Hola", "OK", "Paris", "Nintendo Switch 2", "12:30"] {
        assert!(
            !is_in(&protect(&Arc::from(text)), &"es".parse().expect("a tag")),
            "{text}"
        );
    }
}
