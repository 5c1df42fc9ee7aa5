//! The translator's own words, beside texts that say the same themselves.

use super::super::Check;
use super::fault;

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
        ("es", "I can't assist with that request.", Check::Refusal),
        (
            "es",
            "I'm sorry, but we cannot comply with this request.",
            Check::Refusal,
        ),
        (
            "es",
            "As an AI language model, I do not take ferries.",
            Check::Refusal,
        ),
        (
            "es",
            "As an AI made to be harmless, I won't write this.",
            Check::Refusal,
        ),
        (
            "de",
            "Als KI-Assistent kann ich das nicht tun.",
            Check::Refusal,
        ),
        (
            "en",
            "The ferry leaves at nine, bring your own bread.\n\nLet me know if you need anything else!",
            Check::Notes,
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
fn a_colon_of_the_texts_own_or_within_a_time_is_no_preamble() {
    for (source, target, text, translated) in [
        (
            "en",
            "ru",
            "Bank transfers: new limits from Monday",
            "Банковские переводы: новые лимиты с понедельника",
        ),
        (
            "en",
            "ru",
            "The clocks go back on Sunday at 3:00",
            "Перевод часов состоится в воскресенье в 3:00",
        ),
        (
            "en",
            "pl",
            "The minister explains: there will be no new tax",
            "Minister tłumaczy: nowego podatku nie będzie",
        ),
        (
            "en",
            "pl",
            "Coach explains 3:1 defeat",
            "Trener tłumaczy porażkę 3:1",
        ),
        (
            "en",
            "tr",
            "Court rejects appeal: the verdict stands",
            "Mahkeme itirazı geri çevirdi: karar geçerli",
        ),
        (
            "en",
            "fr",
            "This means: higher prices for everyone",
            "Cela se traduit par : des prix plus élevés pour tous",
        ),
        (
            "zh",
            "fr",
            "这意味着：物价将上涨",
            "Cela se traduit par : une hausse des prix",
        ),
        (
            "de",
            "en",
            "Klar, wir sehen uns um 10.30 Uhr!",
            "Sure, see you at 10:30!",
        ),
        (
            "ja",
            "en",
            "もちろん、10時半に会いましょう",
            "Of course, see you at 10:30",
        ),
        (
            "ja",
            "zh",
            "もちろん、１０時半に会いましょう",
            "当然，１０：３０见",
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
fn a_preamble_is_found_before_what_has_colons_of_its_own() {
    for (source, target, text, translated) in [
        (
            "en",
            "es",
            "The ferry leaves at 9:15: bring your own bread",
            "Traducción: El ferry sale a las 9:15: traigan su propio pan",
        ),
        (
            "en",
            "ru",
            "Ferry: it leaves at nine",
            "Вот перевод:\nПаром: он отходит в девять",
        ),
        (
            "en",
            "ja",
            "The ferry leaves at 9:15.",
            "以下は翻訳です：フェリーは９：１５に出ます。",
        ),
        (
            "en",
            "de",
            "The ferry leaves at 9:15.",
            "Gerne, hier ist sie: Die Fähre fährt um 9:15.",
        ),
    ] {
        let found = fault((source, target), text, translated);
        assert_eq!(found, Some(Check::Notes), "{translated}");
    }
}

#[test]
fn what_people_offer_and_have_translated_is_no_note_of_the_translator() {
    for (source, text, translated) in [
        (
            "de",
            "Sagt Bescheid, wenn ihr Hilfe braucht!",
            "Let me know if you need help!",
        ),
        (
            "es",
            "Avísame si vienes mañana a la fiesta",
            "Let me know if you are coming to the party tomorrow",
        ),
        (
            "ja",
            "明日は雨です。\n来られるなら教えてください",
            "It will rain tomorrow.\nLet me know if you can come",
        ),
        (
            "ru",
            "Я перевела это стихотворение",
            "I translated this poem",
        ),
        ("uk", "Я переклала цей вірш", "I translated this poem"),
        ("sv", "Jag översatte dikten", "I translated the poem"),
        ("cs", "Přeložil jsem tu báseň", "I translated the poem"),
        ("fi", "Käänsin tämän runon", "I translated this poem"),
        ("el", "Μετέφρασα αυτό το ποίημα", "I translated this poem"),
        ("ja", "この詩を訳しました", "I translated this poem"),
    ] {
        assert_eq!(fault((source, "en"), text, translated), None, "{text}");
    }
}

#[test]
fn what_people_who_make_models_say_of_themselves_is_no_refusal() {
    for (source, text, translated) in [
        (
            "fr",
            "En tant que chercheuse en IA, je refuse d'y participer.",
            "As an AI researcher, I won't take part in it.",
        ),
        (
            "es",
            "Como empresa de IA, no aceptamos sobornos.",
            "As an AI company, we won't take bribes.",
        ),
        (
            "de",
            "Als KI-Forscherin lehne ich das ab.",
            "As an AI researcher, I won't do that.",
        ),
        (
            "ru",
            "Как исследователь ИИ, я отказываюсь от этого.",
            "As an AI researcher, I won't do that.",
        ),
        (
            "uk",
            "Як дослідниця ШІ, я від цього відмовляюся.",
            "As an AI researcher, I won't do that.",
        ),
        (
            "ja",
            "AI研究者として、お断りします。",
            "As an AI researcher, I won't do that.",
        ),
        (
            "pl",
            "Jako badaczka sztucznej inteligencji odmawiam.",
            "As an AI researcher, I won't do that.",
        ),
    ] {
        assert_eq!(fault((source, "en"), text, translated), None, "{text}");
    }
}

#[test]
fn a_word_that_is_written_like_a_name_of_models_excuses_no_refusal() {
    for (source, text) in [
        ("fr", "J'ai faim, allons manger"),
        ("ru", "Погода в России и в Италии хорошая"),
        ("id", "ia pergi ke pasar"),
    ] {
        let found = fault((source, "en"), text, "As an AI, I won't write that.");
        assert_eq!(found, Some(Check::Refusal), "{text}");
    }
}

#[test]
fn a_dress_and_a_discussion_are_no_apologies() {
    for ((source, target), text, translated) in [
        (
            ("en", "de"),
            "I can afford that dress",
            "Das Kleid kann ich mir leisten",
        ),
        (
            ("sv", "en"),
            "Vi diskuterar vad som är ogörligt",
            "We discuss what is impossible",
        ),
    ] {
        assert_eq!(fault((source, target), text, translated), None, "{text}");
    }
}

#[test]
fn what_people_cannot_do_is_no_refusal() {
    for (source, text, translated) in [
        (
            "nl",
            "We kunnen niet aan dit verzoek voldoen.",
            "We cannot comply with this request.",
        ),
        (
            "pl",
            "Nie możemy pomóc z przeprowadzką.",
            "We cannot help with the move.",
        ),
        (
            "ar",
            "لا نستطيع المساعدة في النقل.",
            "We cannot help with the move.",
        ),
        (
            "ar",
            "لا أستطيع المساعدة في النقل.",
            "I cannot help with the move.",
        ),
        (
            "el",
            "Δεν μπορώ να βοηθήσω με τη μετακόμιση.",
            "I can't help with the move.",
        ),
        (
            "el",
            "Λυπάμαι, δεν μπορώ να έρθω απόψε.",
            "I'm sorry, I can't come tonight.",
        ),
        (
            "ro",
            "Nu pot ajuta cu mutarea.",
            "I can't help with the move.",
        ),
        ("cs", "S tím nemůžeme pomoct.", "We cannot help with that."),
        (
            "hu",
            "Nem tudok segíteni a költözésben.",
            "I cannot help with the move.",
        ),
        (
            "fi",
            "En voi auttaa muutossa.",
            "I cannot help with the move.",
        ),
        (
            "de",
            "Ich kann dem nicht nachkommen.",
            "I cannot comply with that.",
        ),
        (
            "he",
            "אני לא יכולה לעזור במעבר.",
            "I can't help with the move.",
        ),
        (
            "fa",
            "نمی‌توانم در اسباب‌کشی کمک کنم.",
            "I can't help with the move.",
        ),
        (
            "th",
            "ฉันไม่สามารถช่วยย้ายบ้านได้",
            "I cannot help with the move.",
        ),
        (
            "lt",
            "Negalime padėti kraustantis.",
            "We cannot help with the move.",
        ),
    ] {
        assert_eq!(fault((source, "en"), text, translated), None, "{text}");
    }
}
