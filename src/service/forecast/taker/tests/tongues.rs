//! Texts in languages of many scripts, as long as is wanted.

use super::checks;

/// A language with words as they are usual there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tongue {
    pub(super) tag: &'static str,
    words: &'static [&'static str],
    /// What stands between two words.
    gap: &'static str,
    /// What stands behind a sentence.
    stop: &'static str,
}

/// How many words make a sentence.
const SENTENCE: usize = 7;

pub(super) static ENGLISH: Tongue = Tongue {
    tag: "en",
    words: &[
        "The", "ferry", "leaves", "at", "nine", "and", "nobody", "waits", "for", "harbours",
    ],
    gap: " ",
    stop: ". ",
};

pub(super) static TONGUES: [Tongue; 16] = [
    spaced(
        "es",
        &[
            "El",
            "transbordador",
            "sale",
            "a",
            "las",
            "nueve",
            "y",
            "nadie",
            "espera",
        ],
    ),
    spaced(
        "de",
        &[
            "Die",
            "Fährverbindungsgesellschaft",
            "fährt",
            "um",
            "neun",
            "ab",
        ],
    ),
    spaced(
        "ru",
        &[
            "Паром",
            "отходит",
            "в",
            "девять",
            "и",
            "никто",
            "не",
            "ждёт",
        ],
    ),
    spaced(
        "el",
        &["Το", "πλοίο", "φεύγει", "στις", "εννέα", "και", "κανείς"],
    ),
    spaced(
        "ar",
        &["تغادر", "العبّارة", "في", "التاسعة", "ولا", "أحد", "ينتظر"],
    ),
    spaced(
        "hi",
        &[
            "नौका",
            "नौ",
            "बजे",
            "निकलती",
            "है",
            "और",
            "कोई",
            "प्रतीक्षा",
            "नहीं",
            "करता",
        ],
    ),
    spaced(
        "vi",
        &[
            "Chuyến", "phà", "rời", "bến", "vào", "lúc", "chín", "giờ", "những", "người",
        ],
    ),
    spaced(
        "yo",
        &[
            "Ọkọ̀",
            "ojú",
            "omi",
            "ń",
            "lọ",
            "ní",
            "aago",
            "mẹ́sàn-án",
            "kò",
            "sí",
            "ẹni",
        ],
    ),
    spaced(
        "ko",
        &[
            "페리는",
            "아홉",
            "시에",
            "떠나고",
            "아무도",
            "기다리지",
            "않는다",
        ],
    ),
    spaced("am", &["ጀልባው", "በዘጠኝ", "ሰዓት", "ይነሳል", "ማንም", "አይጠብቅም"]),
    spaced(
        "ka",
        &[
            "ბორანი",
            "ცხრა",
            "საათზე",
            "გადის",
            "და",
            "არავინ",
            "ელოდება",
        ],
    ),
    joined(
        "th",
        &[
            "เรือ",
            "ข้ามฟาก",
            "ออก",
            "ตอน",
            "เก้า",
            "โมง",
            "และ",
            "ไม่มี",
            "ใคร",
            "รอ",
        ],
        " ",
    ),
    joined(
        "zh",
        &["渡轮", "九点", "出发", "没有", "人", "在", "港口", "等待"],
        "。",
    ),
    joined(
        "ja",
        &[
            "フェリーは",
            "九時に",
            "出ます",
            "だれも",
            "みなとで",
            "待って",
            "いません",
        ],
        "、",
    ),
    joined(
        "ja-Kana",
        &["フェリーハ", "クジニ", "デマス", "ダレモ", "ミナトデ"],
        "、",
    ),
    joined("km", &["កាណូត", "ចេញ", "ដំណើរ", "ម៉ោង", "ប្រាំបួន"], " "),
];

const fn spaced(tag: &'static str, words: &'static [&'static str]) -> Tongue {
    Tongue {
        tag,
        words,
        gap: " ",
        stop: ". ",
    }
}

const fn joined(tag: &'static str, words: &'static [&'static str], stop: &'static str) -> Tongue {
    Tongue {
        tag,
        words,
        gap: "",
        stop,
    }
}

impl Tongue {
    /// Sentences that say at most as much as so many Latin letters, but something, with each span
    /// behind that share of them.
    pub(super) fn text(&self, letters: f64, spans: &[(f64, &str)]) -> String {
        let (mut text, mut said) = (String::new(), 0.0);
        let mut spans = spans.iter().peekable();
        for (number, word) in self.words.iter().cycle().enumerate() {
            if said + says(word) > letters {
                break;
            }
            while let Some((_, span)) = spans.next_if(|(place, _)| place * letters <= said) {
                text.push_str(&format!(" {span} "));
            }
            text.push_str(word);
            said += says(word);
            let is_last = number % SENTENCE == SENTENCE - 1;
            text.push_str(if is_last { self.stop } else { self.gap });
        }
        if text.trim().is_empty() {
            text.extend(self.words[0].chars().next());
        }
        for (_, span) in spans {
            text.push_str(&format!(" {span} "));
        }
        text.trim().to_owned()
    }
}

/// How many Latin letters say as much as a word, by the same reckoning as the checks.
fn says(word: &str) -> f64 {
    let most = |text: &str| checks::plausible_letters(text).1;
    (most(word) - most("")) / 3.0
}
