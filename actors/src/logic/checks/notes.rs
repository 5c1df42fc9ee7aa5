//! Whether words of the translator stand in a translation: a preamble, a note, a refusal.
//!
//! What a text itself says is no fault of its translation. So each family of words counts only
//! where the text has no word of that family, in whichever language.

use std::cell::LazyCell;
use std::sync::LazyLock;

use super::phrases::Phrases;
use super::script::Script;
use super::{Check, Fault};

/// How far a preamble reaches, in characters.
const HEAD: usize = 120;
/// How far into an answer its apology begins.
const APOLOGY: usize = 40;

/// What of the translator's stands in a translation.
pub(super) fn fault(text: &str, translated: &str) -> Option<Fault> {
    let translated = folded(translated);
    // Most translations have nothing of what the text would be looked at for.
    let source = LazyCell::new(|| folded(text));
    let source = || source.as_str();
    let is_telling = TELLTALES.any_in(&translated);
    let is_about_models = || MODELS.any_in(source()) || names_models(text);
    if is_telling && is_refusal(source, is_about_models, &translated) {
        let why = "it was a refusal, not a translation";
        return Some(Fault::new(Check::Refusal, why));
    }
    if has_preamble(source, &translated) {
        let why = "words about the translation stood before it";
        return Some(Fault::new(Check::Notes, why));
    }
    let is_offer = || {
        // People offer help as well, but not on a line that their text does not have.
        OFFERS.any_in(&translated) && has_more(n_more_lines, &translated, source)
    };
    let is_by_translator =
        || (TRANSLATORS.any_in(&translated) || is_offer()) && !TRANSLATIONS.any_in(source());
    if is_telling && is_by_translator() || has_note(source, &translated) {
        let why = "a note of the translator stood in it";
        return Some(Fault::new(Check::Notes, why));
    }
    if has_more(n_fences, &translated, source) {
        let why = "code fences stood in it that are not the text's";
        return Some(Fault::new(Check::Notes, why));
    }
    None
}

/// Lower case, with one kind of apostrophe and colon.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut rest = text;
    // Whole runs of ASCII take a tenth of what their letters would take one by one.
    while let Some(at) = rest.bytes().position(|byte| !byte.is_ascii()) {
        push_lower(&mut folded, &rest[..at]);
        let mut letters = rest[at..].chars();
        match letters.next() {
            Some('’' | '‘') => folded.push('\''),
            Some('：') => folded.push(':'),
            Some('（') => folded.push('('),
            Some('\u{a0}' | '\u{202f}') => folded.push(' '),
            letter => folded.extend(letter.into_iter().flat_map(char::to_lowercase)),
        }
        rest = letters.as_str();
    }
    push_lower(&mut folded, rest);
    folded
}

fn push_lower(folded: &mut String, ascii: &str) {
    let start = folded.len();
    folded.push_str(ascii);
    folded[start..].make_ascii_lowercase();
}

/// Whether a translation has more of something than its text.
fn has_more<'a>(count: fn(&str) -> usize, translated: &str, source: impl Fn() -> &'a str) -> bool {
    let n = count(translated);
    n > 0 && n > count(source())
}

fn n_fences(text: &str) -> usize {
    match text.contains('`') {
        true => text.matches("```").count(),
        false => 0,
    }
}

/// How many lines behind the first are not empty.
fn n_more_lines(text: &str) -> usize {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.count().saturating_sub(1)
}

/// Where the colons of a text stand; between two figures one is part of a time, a result, a verse.
fn colons(text: &str) -> impl Iterator<Item = usize> {
    let is_figure = |letter: Option<char>| letter.is_some_and(char::is_numeric);
    let colons = text.match_indices(':').map(|(at, _)| at);
    colons.filter(move |at| {
        let (before, behind) = (&text[..*at], &text[at + 1..]);
        !(is_figure(before.chars().next_back()) && is_figure(behind.chars().next()))
    })
}

fn n_colons(text: &str) -> usize {
    colons(text).count()
}

fn n_parentheses(text: &str) -> usize {
    let brackets = text.bytes().filter(|byte| matches!(byte, b'(' | b'['));
    brackets.count()
}

fn is_refusal<'a>(
    source: impl Fn() -> &'a str,
    is_about_models: impl Fn() -> bool,
    translated: &str,
) -> bool {
    let speaks_of_itself = || SELVES.any_in(translated) && INABILITIES.any_in(translated);
    if REFUSALS.any_in(translated) || speaks_of_itself() {
        let source = source();
        // What talks of models and of what they cannot do may be about just that.
        return !APOLOGIES.any_in(source) && !INABILITIES.any_in(source) && !is_about_models();
    }
    APOLOGIES.any_in(beginning(translated, APOLOGY))
        && INABILITIES.any_in(translated)
        && !APOLOGIES.any_in(source())
        && !INABILITIES.any_in(source())
}

/// Whether one of the short names of artificial intelligence stands in a text as a word.
///
/// In lower case some of them are other words of some languages.
fn names_models(text: &str) -> bool {
    let is_letter = |letter: char| {
        let is_written_apart = !matches!(
            Script::of(letter),
            Some(Script::Han | Script::Kana | Script::Hangul)
        );
        letter.is_alphabetic() && is_written_apart
    };
    let mut words = text.split(|letter| !is_letter(letter));
    words.any(|word| MODEL_NAMES.contains(&word))
}

fn has_preamble<'a>(source: impl Fn() -> &'a str, translated: &str) -> bool {
    let head = |text: &str| {
        let line = text.trim_start().lines().next().unwrap_or_default();
        let colon = colons(line).next()?;
        (line[..colon].chars().count() <= HEAD).then(|| line[..colon].trim().to_owned())
    };
    let Some(found) = head(translated) else {
        return false;
    };
    if TRANSLATIONS.any_in(&found) {
        // The stem of a word about translating may as well be that of a transfer, or of explaining,
        // but the colon behind such a word is the text's.
        return has_more(n_colons, translated, &source) && !TRANSLATIONS.any_in(source());
    }
    // Behind the colon of an opening something new begins, and the text has no colon there.
    let opens = OPENINGS.iter().any(|opening| found.starts_with(opening));
    let first_line = || source().lines().next().unwrap_or_default();
    opens && colons(first_line()).next().is_none()
}

fn has_note<'a>(source: impl Fn() -> &'a str + Copy, translated: &str) -> bool {
    let has_more_lines = has_more(n_more_lines, translated, source);
    let has_more_parentheses = has_more(n_parentheses, translated, source);
    let is_about_notes = || NOTES.iter().any(|note| source().contains(note));
    if !has_more_lines && !has_more_parentheses || is_about_notes() {
        return false;
    }
    let is_note = |text: &str| {
        let text = text.trim_start_matches(['(', '[', '*', '_', '-', '—', '>', ' ']);
        NOTES.iter().any(|note| {
            let behind = text.strip_prefix(note);
            behind.is_some_and(|behind| behind.trim_start_matches(['*', '_', ' ']).starts_with(':'))
        })
    };
    has_more_lines && translated.lines().any(|line| is_note(line.trim_start()))
        || has_more_parentheses && translated.split(['(', '[']).skip(1).any(is_note)
}

/// The first so many characters.
fn beginning(text: &str, n_characters: usize) -> &str {
    let end = text.char_indices().nth(n_characters);
    end.map_or(text, |(end, _)| &text[..end])
}

/// What refusals and the notes of translators are known by; one pass tells that a text has none.
static TELLTALES: LazyLock<Phrases> = LazyLock::new(|| {
    let refusals = REFUSALS.and(&SELVES).and(&APOLOGIES);
    refusals.and(&TRANSLATORS).and(&OFFERS)
});

/// What is said only by who will not translate.
static REFUSALS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "as a language model",
        "ai language model",
        "i can't assist",
        "i cannot assist",
        "i can't help with",
        "i cannot help with",
        "i'm unable to assist",
        "i am unable to assist",
        "can't translate",
        "cannot translate",
        "unable to translate",
        "not able to translate",
        "i can't fulfill",
        "i cannot fulfill",
        "can't provide a translation",
        "cannot provide a translation",
        "i can't comply",
        "i cannot comply",
        "no puedo traducir",
        "no puedo ayudar con",
        "como modelo de lenguaje",
        "je ne peux pas traduire",
        "en tant que modèle de langage",
        "kann ich nicht übersetzen",
        "kann diesen text nicht übersetzen",
        "não posso traduzir",
        "não posso ajudar com",
        "non posso tradurre",
        "не могу перевести",
        "не можу перекласти",
        "翻訳できません",
        "无法翻译",
        "無法翻譯",
    ])
});

/// How a model begins to speak of itself; what it cannot do follows.
static SELVES: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(&["as an ai", "als ki-"]));

/// What is about models, so that its translation may talk of what they cannot do.
static MODELS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "language model",
        "chatbot",
        "gpt",
        "llm",
        " ai ",
        " ki ",
        "openai",
        "artificial",
        "artificiel",
        "künstliche intel",
        "künstlicher intel",
        "kunstmatige intel",
        "kunstig intel",
        "tekoäly",
        "sztuczn",
        "umělá intel",
        "umělé intel",
        "umelá intel",
        "umelej intel",
        "mesterséges intel",
        "yapay zek",
        "kecerdasan buatan",
        "trí tuệ nhân tạo",
        "modelo de leng",
        "modelo de ling",
        "modèle de lang",
        "modello linguist",
        "sprachmodell",
        "taalmodel",
        "model językow",
        "modelu językow",
        "языковая модел",
        "языковой модел",
        "искусственн",
        "нейросет",
        "штучн",
        "изкуствен",
        "νοημοσύν",
        "اصطناع",
        "هوش مصنوع",
        "בינה מלאכותית",
        "कृत्रिम",
        "ปัญญาประดิษฐ์",
        "人工智能",
        "人工智慧",
        "人工知能",
        "大模型",
        "语言模型",
        "語言模型",
        "言語モデル",
        "生成ai",
        "chatgpt",
        "인공지능",
        "언어 모델",
    ])
});

/// The short names of artificial intelligence, as they are written where they are words.
const MODEL_NAMES: [&str; 5] = ["AI", "KI", "IA", "ИИ", "ШІ"];

/// How an apology begins.
static APOLOGIES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "sorry",
        "apolog",
        "i'm afraid",
        "forgive",
        "lo siento",
        "sentimos",
        "disculp",
        "lament",
        "perdón",
        "desculp",
        "sinto muito",
        "perdoe",
        "désolé",
        "regrett",
        "excus",
        "pardon",
        " leid",
        "leider",
        "entschuldig",
        "verzeih",
        "spiace",
        "scusa",
        "scuse",
        "scusi",
        "scuso",
        "spijt",
        "helaas",
        "przepraszam",
        "przykro",
        "omlouv",
        "beklag",
        "tyvärr",
        "üzgün",
        "özür",
        "maalesef",
        "maaf",
        "xin lỗi",
        "извин",
        "сожален",
        "простите",
        "вибач",
        "перепрош",
        "ごめん",
        "申し訳",
        "抱歉",
        "对不起",
        "對不起",
        "죄송",
    ])
});

/// How it is said that something cannot be done.
static INABILITIES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "can't",
        "cannot",
        "can not",
        "unable",
        "not able",
        "won't",
        "impossible",
        "imposible",
        "impossibile",
        "no puedo",
        "no podemos",
        "no puede",
        "no puc",
        "não posso",
        "não consigo",
        "não podemos",
        "peux pas",
        "pouvons pas",
        "peut pas",
        "peuvent pas",
        "nicht möglich",
        "kann nicht",
        "kann dem nicht",
        "kann dir nicht",
        "kann euch nicht",
        "kann ihnen nicht",
        "kann dabei nicht",
        "kann ich",
        "kann das",
        "kann dies",
        "können nicht",
        "können wir",
        "non posso",
        "non riesco",
        "non possiamo",
        "kan niet",
        "kan ik",
        "kan je",
        "kunnen niet",
        "kunnen u niet",
        "kunnen je niet",
        "kunnen dit niet",
        "kunnen dat niet",
        "nie mog",
        "nie moż",
        "nemohu",
        "nemůž",
        "nelze",
        "nemôž",
        "ne mogu",
        "ne može",
        "ne morem",
        "nu pot",
        "nu put",
        "nu poate",
        "nem tud",
        "nem lehet",
        "en voi ",
        "emme voi ",
        "ei voi ",
        "en pysty",
        "emme pysty",
        "kan ikke",
        "kan inte",
        "edemem",
        "edemiyor",
        "edemey",
        "olamıyor",
        "olamay",
        "yapamam",
        "yapamıyor",
        "yapamay",
        "tidak dapat",
        "tidak bisa",
        "không thể",
        "не мог",
        "не може",
        "не можу",
        "невозможно",
        "неможливо",
        "δεν μπορ",
        "αδύνατ",
        "αδυνατ",
        "لا أستطيع",
        "لا نستطيع",
        "لا يستطيع",
        "لا يمكن",
        "غير قادر",
        "نمی‌توان",
        "نمی توان",
        "نمیتوان",
        "לא יכול",
        "לא ניתן",
        "לא נוכל",
        "לא אוכל",
        "नहीं कर सक",
        "असमर्थ",
        "ไม่สามารถ",
        "できません",
        "できない",
        "かねます",
        "无法",
        "無法",
        "不能",
        "수 없",
        "지 못",
    ])
});

/// Words about translating, by their stems; some are said of other things as well.
static TRANSLATIONS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "translat",
        "traducc",
        "traduc",
        "tradução",
        "tradu",
        "traduzione",
        "übersetz",
        "vertaling",
        "vertaal",
        "översätt",
        "översatt",
        "oversæt",
        "oversett",
        "oversatt",
        "tłumacz",
        "przekład",
        "překlad",
        "přelož",
        "preklad",
        "prelož",
        "prevod",
        "preved",
        "prijevod",
        "käänn",
        "kääns",
        "käänt",
        "fordít",
        "çevir",
        "çeviri",
        "terjemah",
        "bản dịch",
        "đã dịch",
        "перевод",
        "перевед",
        "перевел",
        "перевёл",
        "перевест",
        "переклад",
        "переклал",
        "переклав",
        "перекласт",
        "превод",
        "превед",
        "μετάφρ",
        "μετέφρ",
        "μεταφρ",
        "翻译",
        "翻譯",
        "翻訳",
        "訳しま",
        "訳した",
        "译了",
        "译成",
        "譯了",
        "譯成",
        "번역",
        "ترجم",
        "תרגום",
        "תרגם",
        "תרגמ",
        "अनुवाद",
    ])
});

/// How what comes is announced.
const OPENINGS: [&str; 26] = [
    "here is",
    "here's",
    "here are",
    "sure",
    "certainly",
    "of course",
    "below is",
    "aquí está",
    "aquí tienes",
    "claro",
    "por supuesto",
    "voici",
    "bien sûr",
    "hier ist",
    "gerne",
    "natürlich",
    "aqui está",
    "ecco",
    "certo",
    "hier is",
    "oto",
    "вот",
    "конечно",
    "以下",
    "当然",
    "もちろん",
];

/// What only translators say.
static TRANSLATORS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "translator's note",
        "translation note",
        "note on the translation",
        "i translated",
        "i have translated",
        "i've translated",
        "literal translation",
        "literally translated",
        "nota del traductor",
        "nota de la traducción",
        "n. del t.",
        "note du traducteur",
        "n.d.t.",
        "anmerkung des übersetzers",
        "anm. d. übers",
        "nota do tradutor",
        "nota del traduttore",
        "примечание переводчика",
        "примітка перекладача",
        "译者注",
        "譯者註",
        "訳注",
        "역주",
    ])
});

/// How a translator offers more behind a translation.
static OFFERS: LazyLock<Phrases> = LazyLock::new(|| Phrases::of(&["let me know if you"]));

/// How a note begins; a colon follows.
const NOTES: [&str; 26] = [
    "note",
    "notes",
    "n.b.",
    "nota",
    "notas",
    "remarque",
    "anmerkung",
    "hinweis",
    "opmerking",
    "uwaga",
    "poznámka",
    "megjegyzés",
    "notă",
    "catatan",
    "lưu ý",
    "ghi chú",
    "примечание",
    "примітка",
    "забележка",
    "σημείωση",
    "ملاحظة",
    "नोट",
    "टिप्पणी",
    "注",
    "注意",
    "참고",
];
