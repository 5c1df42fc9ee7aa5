//! Whether a translation is written in the script of its language.

use std::sync::LazyLock;

use foldhash::HashMap;

use super::words::Words;
use super::{Check, Fault};
use crate::domain::Language;

/// From so many letters of its own on a script can be judged.
const ENOUGH: usize = 8;
/// From so many characters on that only one way of writing Chinese has.
const ENOUGH_CHINESE: usize = 3;
/// Japanese of so many ideographs has a syllable of its own among them.
const LONGEST_WITHOUT_KANA: usize = 16;

/// The scripts that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Bengali,
    Gurmukhi,
    Gujarati,
    Tamil,
    Telugu,
    Kannada,
    Malayalam,
    Thai,
    Georgian,
    Armenian,
    Hangul,
    Kana,
    Han,
}

impl Script {
    const N: usize = Self::Han as usize + 1;

    /// The script of a letter; none of what belongs to none of them.
    pub(super) const fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'a'..='z' | 'A'..='Z' => Self::Latin,
            '\u{aa}'
            | '\u{ba}'
            | '\u{c0}'..='\u{d6}'
            | '\u{d8}'..='\u{f6}'
            | '\u{f8}'..='\u{24f}'
            | '\u{1e00}'..='\u{1eff}' => Self::Latin,
            '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Self::Greek,
            '\u{400}'..='\u{52f}' => Self::Cyrillic,
            '\u{531}'..='\u{587}' => Self::Armenian,
            '\u{5d0}'..='\u{5f2}' => Self::Hebrew,
            '\u{620}'..='\u{64a}'
            | '\u{66e}'..='\u{6d3}'
            | '\u{6fa}'..='\u{6ff}'
            | '\u{750}'..='\u{77f}' => Self::Arabic,
            '\u{904}'..='\u{939}' | '\u{958}'..='\u{961}' => Self::Devanagari,
            '\u{980}'..='\u{9fe}' => Self::Bengali,
            '\u{a00}'..='\u{a7f}' => Self::Gurmukhi,
            '\u{a80}'..='\u{aff}' => Self::Gujarati,
            '\u{b80}'..='\u{bff}' => Self::Tamil,
            '\u{c00}'..='\u{c7f}' => Self::Telugu,
            '\u{c80}'..='\u{cff}' => Self::Kannada,
            '\u{d00}'..='\u{d7f}' => Self::Malayalam,
            '\u{e01}'..='\u{e2e}' | '\u{e40}'..='\u{e46}' => Self::Thai,
            '\u{10a0}'..='\u{10ff}' => Self::Georgian,
            '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7a3}' => Self::Hangul,
            '\u{3041}'..='\u{309f}' | '\u{30a1}'..='\u{30fa}' | '\u{30fd}'..='\u{30ff}' => {
                Self::Kana
            }
            '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{323af}' => {
                Self::Han
            }
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Latin => "Latin",
            Self::Cyrillic => "Cyrillic",
            Self::Greek => "Greek",
            Self::Arabic => "Arabic",
            Self::Hebrew => "Hebrew",
            Self::Devanagari => "Devanagari",
            Self::Bengali => "Bengali",
            Self::Gurmukhi => "Gurmukhi",
            Self::Gujarati => "Gujarati",
            Self::Tamil => "Tamil",
            Self::Telugu => "Telugu",
            Self::Kannada => "Kannada",
            Self::Malayalam => "Malayalam",
            Self::Thai => "Thai",
            Self::Georgian => "Georgian",
            Self::Armenian => "Armenian",
            Self::Hangul => "Hangul",
            Self::Kana => "Kana",
            Self::Han => "Chinese",
        }
    }
}

/// All scripts, in their order.
const ALL: [Script; Script::N] = [
    Script::Latin,
    Script::Cyrillic,
    Script::Greek,
    Script::Arabic,
    Script::Hebrew,
    Script::Devanagari,
    Script::Bengali,
    Script::Gurmukhi,
    Script::Gujarati,
    Script::Tamil,
    Script::Telugu,
    Script::Kannada,
    Script::Malayalam,
    Script::Thai,
    Script::Georgian,
    Script::Armenian,
    Script::Hangul,
    Script::Kana,
    Script::Han,
];

/// Some of the scripts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Scripts(u32);

impl Scripts {
    /// These scripts.
    fn of(scripts: &[Script]) -> Self {
        let mut all = Self::default();
        for script in scripts {
            all.add(*script);
        }
        all
    }

    /// Has this script be one of them.
    pub(super) const fn add(&mut self, script: Script) {
        self.0 |= 1 << script as u32;
    }

    /// Whether all of them are among the others.
    const fn are_among(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// The only one; none if there are more, or none.
    fn only(self) -> Option<Script> {
        let at = self.0.trailing_zeros() as usize;
        (self.0.count_ones() == 1).then(|| ALL[at])
    }
}

/// The scripts that a language is written in; none if that is not known.
pub(super) fn scripts_of(language: &Language) -> Option<&'static [Script]> {
    Some(match language.script()? {
        "Latn" => &[Script::Latin],
        "Cyrl" => &[Script::Cyrillic],
        "Grek" => &[Script::Greek],
        "Arab" => &[Script::Arabic],
        "Hebr" => &[Script::Hebrew],
        "Deva" => &[Script::Devanagari],
        "Beng" => &[Script::Bengali],
        "Guru" => &[Script::Gurmukhi],
        "Gujr" => &[Script::Gujarati],
        "Taml" => &[Script::Tamil],
        "Telu" => &[Script::Telugu],
        "Knda" => &[Script::Kannada],
        "Mlym" => &[Script::Malayalam],
        "Thai" => &[Script::Thai],
        "Geor" => &[Script::Georgian],
        "Armn" => &[Script::Armenian],
        "Kore" => &[Script::Hangul, Script::Han],
        "Jpan" => &[Script::Kana, Script::Han],
        "Hans" | "Hant" => &[Script::Han],
        _ => return None,
    })
}

/// Whether words of this language stand without blanks between them.
pub(super) fn joins_words(language: &Language) -> bool {
    let script = language.script();
    script.is_some_and(|script| matches!(script, "Jpan" | "Hans" | "Hant" | "Thai"))
        || matches!(language.name(), "km" | "lo" | "my")
}

/// What is wrong with the script of a translation; letters of words that the text has do not
/// count, because names may stay as they are.
pub(super) fn fault(
    source: &Words<'_>,
    translated: &Words<'_>,
    target: &Language,
) -> Option<Fault> {
    let wanted = scripts_of(target)?;
    let all_wanted = Scripts::of(wanted);
    let mut counts = [0_usize; Script::N];
    let mut stray = None;
    // Only the ways of writing Chinese are told apart by single characters.
    let is_chinese = wanted == [Script::Han];
    let mut own = String::new();
    for word in translated.iter() {
        if word.n_letters == 0 {
            continue;
        }
        let is_wanted = word.scripts.are_among(all_wanted);
        if !is_wanted && source.has(word) {
            continue;
        }
        if let Some(script) = word.scripts.only() {
            counts[script as usize] += word.n_letters;
        } else {
            for script in word.text.chars().filter_map(Script::of) {
                counts[script as usize] += 1;
            }
        }
        if !is_wanted && stray.is_none() {
            stray = stray_script(word.text, wanted).map(|script| (word.text, script));
        }
        if is_chinese {
            own.push_str(word.text);
        }
    }
    let all: usize = counts.iter().sum();
    let right: usize = wanted.iter().map(|script| counts[*script as usize]).sum();
    if all >= ENOUGH && right * 2 < all {
        let found = most_frequent(&counts);
        let why = format!("it was written in {found} letters, which {target} is not");
        return Some(Fault::new(Check::Script, why));
    }
    if let Some(fault) = chinese_fault(&own, &counts, target) {
        return Some(fault);
    }
    let (word, script) = stray?;
    let word: String = word.chars().take(20).collect();
    let why = format!("`{word}` stood in it in {} letters", script.name());
    Some(Fault::new(Check::Stray, why))
}

/// The script of a word's letters that nobody puts into this script's texts: Latin stands
/// everywhere in names, Greek letters in formulas, and a single letter in a face or a sum.
fn stray_script(word: &str, wanted: &[Script]) -> Option<Script> {
    let foreign = |script: &Script| {
        !wanted.contains(script) && !matches!(script, Script::Latin | Script::Greek)
    };
    let mut scripts = word.chars().filter_map(Script::of).filter(foreign);
    let first = scripts.next()?;
    scripts.next().map(|_| first)
}

fn most_frequent(counts: &[usize; Script::N]) -> &'static str {
    let most = ALL
        .into_iter()
        .max_by_key(|script| counts[*script as usize]);
    most.map_or("other", Script::name)
}

/// Chinese and Japanese share a script, and Chinese has two ways of writing it.
fn chinese_fault(own: &str, counts: &[usize; Script::N], target: &Language) -> Option<Fault> {
    let (n_han, n_kana) = (counts[Script::Han as usize], counts[Script::Kana as usize]);
    let script = target.script()?;
    if script == "Jpan" && n_kana == 0 && n_han > LONGEST_WITHOUT_KANA {
        return Some(Fault::new(
            Check::Language,
            "it was in Chinese, not in Japanese",
        ));
    }
    if script == "Kore" && counts[Script::Hangul as usize] == 0 && n_han >= ENOUGH {
        let why = "it was written in Chinese letters, not in Korean ones";
        return Some(Fault::new(Check::Script, why));
    }
    if !matches!(script, "Hans" | "Hant") {
        return None;
    }
    if n_kana >= ENOUGH && n_kana * 4 > n_han {
        return Some(Fault::new(
            Check::Language,
            "it was in Japanese, not in Chinese",
        ));
    }
    let name = match script {
        "Hans" => "traditional characters, not in simplified ones",
        _ => "simplified characters, not in traditional ones",
    };
    let (right, wrong) = ways_of_writing(own.chars(), script);
    (wrong >= ENOUGH_CHINESE && wrong > 2 * right)
        .then(|| Fault::new(Check::Script, format!("it was written in {name}")))
}

/// Whether Chinese is written as this language writes it, as far as its characters tell.
pub(super) fn is_written_so(words: &Words<'_>, language: &Language) -> bool {
    let letters = words.texts().flat_map(str::chars);
    let script = language.script().unwrap_or_default();
    let (right, wrong) = ways_of_writing(letters, script);
    right > 0 && wrong == 0
}

/// How many characters are written as this script wants them, and how many the other way.
fn ways_of_writing(letters: impl Iterator<Item = char>, script: &str) -> (usize, usize) {
    let (mut simplified, mut traditional) = (0, 0);
    for letter in letters {
        match WAYS.get(&letter) {
            Some(Way::Simplified) => simplified += 1,
            Some(Way::Traditional) => traditional += 1,
            None => (),
        }
    }
    match script {
        "Hans" => (simplified, traditional),
        _ => (traditional, simplified),
    }
}

/// A way of writing Chinese.
#[derive(Clone, Copy)]
enum Way {
    Simplified,
    Traditional,
}

static WAYS: LazyLock<HashMap<char, Way>> = LazyLock::new(|| {
    let simplified = SIMPLIFIED.chars().map(|letter| (letter, Way::Simplified));
    let traditional = TRADITIONAL.chars().map(|letter| (letter, Way::Traditional));
    simplified.chain(traditional).collect()
});

/// Frequent characters that only simplified Chinese has, and those that stand for them in
/// traditional Chinese.
const SIMPLIFIED: &str = "们这说国来时会对发经过还进样现动关问车长东见开门风马鸟鱼龙华语话请谢让认识\
    读写书买卖钱铁银错难题预头颗颜飞饭饮馆员贝财贸费资质赞赛赶运达远连选边还边迟适递逻丽乐乡亲亿仅从仓\
    传伤伟体优兴养军农冲决况净减务势区医单卫历厂厅压严县参双变叶号听启吗员响围园图圆团坏块坚坛处备复够\
    奖妇妈娱孙学宁实宝审宽宾导寻将尔尝层属岁岛币师帐带帮应庆库庙废张弹强归录彻战户护报担拥择挂挡损换据\
    摆摇敌数断无旧显术机杀杂权条极构标树栏桥检楼欢毕气汇汉没沟泪泽洁济测浏满灭灯灵炉点热爱环";
const TRADITIONAL: &str = "們這說國來時會對發經過還進樣現動關問車長東見開門風馬鳥魚龍華語話請謝讓認識\
    讀寫書買賣錢鐵銀錯難題預頭顆顏飛飯飲館員貝財貿費資質贊賽趕運達遠連選邊還邊遲適遞邏麗樂鄉親億僅從倉\
    傳傷偉體優興養軍農衝決況淨減務勢區醫單衛歷廠廳壓嚴縣參雙變葉號聽啟嗎員響圍園圖圓團壞塊堅壇處備復夠\
    獎婦媽娛孫學寧實寶審寬賓導尋將爾嘗層屬歲島幣師帳帶幫應慶庫廟廢張彈強歸錄徹戰戶護報擁擇掛擋損換據\
    擺搖敵數斷無舊顯術機殺雜權條極構標樹欄橋檢樓歡畢氣匯漢沒溝淚澤潔濟測瀏滿滅燈靈爐點熱愛環";
