//! Whether words of the translator stand in a translation: a preamble, a note, a refusal.
//!
//! What a text itself says is no fault of its translation. So each family of words counts only
//! where the text has no word of that family, in whichever language.

use std::cell::LazyCell;
use std::sync::LazyLock;

use super::phrases::Phrases;
use super::{Check, Fault};

/// How far a preamble reaches, in characters.
const HEAD: usize = 120;
/// How far into an answer its apology begins.
const APOLOGY: usize = 40;

/// What of the translator's stands in a translation.
pub(super) fn fault(source: &str, translated: &str) -> Option<Fault> {
    let translated = folded(translated);
    // Most translations have nothing of what the text would be looked at for.
    let source = LazyCell::new(|| folded(source));
    let source = || source.as_str();
    let is_telling = TELLTALES.any_in(&translated);
    if is_telling && is_refusal(source, &translated) {
        let why = "it was a refusal, not a translation";
        return Some(Fault::new(Check::Refusal, why));
    }
    if has_preamble(source, &translated) {
        let why = "words about the translation stood before it";
        return Some(Fault::new(Check::Notes, why));
    }
    let is_by_translator = || TRANSLATORS.any_in(&translated) && !TRANSLATIONS.any_in(source());
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

fn is_refusal<'a>(source: impl Fn() -> &'a str, translated: &str) -> bool {
    if REFUSALS.any_in(translated) {
        let source = source();
        // What talks of models and of what they cannot do may be about just that.
        return !APOLOGIES.any_in(source) && !INABILITIES.any_in(source) && !MODELS.any_in(source);
    }
    APOLOGIES.any_in(beginning(translated, APOLOGY))
        && INABILITIES.any_in(translated)
        && !APOLOGIES.any_in(source())
        && !INABILITIES.any_in(source())
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
static TELLTALES: LazyLock<Phrases> = LazyLock::new(|| REFUSALS.and(&APOLOGIES).and(&TRANSLATORS));

/// What is said only by who will not translate.
static REFUSALS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "as an ai",
        "as a language model",
        "ai language model",
        "can't assist",
        "cannot assist",
        "can't help with",
        "cannot help with",
        "unable to assist",
        "can't translate",
        "cannot translate",
        "unable to translate",
        "not able to translate",
        "can't fulfill",
        "cannot fulfill",
        "can't provide a translation",
        "cannot provide a translation",
        "can't comply",
        "cannot comply",
        "no puedo traducir",
        "no puedo ayudar con",
        "como modelo de lenguaje",
        "je ne peux pas traduire",
        "en tant que modèle de langage",
        "kann ich nicht übersetzen",
        "kann diesen text nicht übersetzen",
        "als ki-",
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

/// What is about models, so that its translation may talk of what they cannot do.
static MODELS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(&[
        "language model",
        "chatbot",
        "gpt",
        "llm",
        " ai ",
        " ki ",
        "artificial",
        "modelo de leng",
        "modèle de lang",
        "sprachmodell",
        "искусственн",
        "人工智能",
        "大模型",
        "生成ai",
        "chatgpt",
        "인공지능",
    ])
});

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
        "leid",
        "entschuldig",
        "verzeih",
        "spiace",
        "scus",
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
        "no puedo",
        "no podemos",
        "no puede",
        "não posso",
        "não consigo",
        "não podemos",
        "peux pas",
        "pouvons pas",
        "peut pas",
        "nicht möglich",
        "kann nicht",
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
        "nie mog",
        "nemohu",
        "kan ikke",
        "kan inte",
        "edemem",
        "yapamam",
        "tidak dapat",
        "tidak bisa",
        "không thể",
        "не могу",
        "не можем",
        "не можу",
        "できません",
        "できない",
        "无法",
        "無法",
        "수 없",
    ])
});

/// Words about translating, by their stems.
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
        "oversæt",
        "oversett",
        "tłumacz",
        "překlad",
        "preklad",
        "fordít",
        "çevir",
        "çeviri",
        "terjemah",
        "bản dịch",
        "перевод",
        "переклад",
        "翻译",
        "翻譯",
        "翻訳",
        "번역",
        "ترجم",
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
        "let me know if you",
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
