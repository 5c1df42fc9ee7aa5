//! Which language a text is in, as far as its words tell.

use std::cell::OnceCell;
use std::sync::LazyLock;

use foldhash::HashMap;
use whatlang::{Detector, Lang};

use super::script::{Script, scripts_of};
use super::words::{Words, hash_of, is_apostrophe};
use crate::domain::Language;

/// From so many letters on a detection is believed.
const ENOUGH: usize = 24;
/// So many function words are a sign of their language.
const SIGNS: usize = 3;
/// So many, and fewer of every other language, leave no doubt.
const SURE_SIGNS: usize = 4;

/// What the words of a text say of its language.
///
/// Function words are counted first, which costs a microsecond; only where they do not tell are
/// the triples of letters compared with those of many languages, which costs fifty for 300 Latin
/// characters, and thirty still for 60.
#[derive(Debug)]
pub(super) struct Evidence {
    /// How many words of each language in [`FUNCTION_WORDS`] there are.
    counts: [usize; N_TABLES],
    guess: OnceCell<Option<Guess>>,
}

/// The language that a text's triples of letters are most like.
#[derive(Clone, Copy, Debug)]
struct Guess {
    name: &'static str,
    is_sure: bool,
}

impl Evidence {
    /// What these words say.
    pub(super) fn of(words: &Words<'_>) -> Self {
        let mut counts = [0; N_TABLES];
        let signs_of = &*SIGNS_OF;
        let mut count = |hash: u64| {
            let mut languages = signs_of.get(&hash).copied().unwrap_or_default();
            while languages != 0 {
                counts[languages.trailing_zeros() as usize] += 1;
                languages &= languages - 1;
            }
        };
        for word in words.iter() {
            if word.is_elided {
                word.text
                    .split(is_apostrophe)
                    .map(hash_of)
                    .for_each(&mut count);
            } else {
                count(word.hash);
            }
        }
        Self {
            counts,
            guess: OnceCell::new(),
        }
    }

    /// How many function words of a language there are; none where none are known.
    pub(super) fn count(&self, language: &Language) -> Option<usize> {
        table(language).map(|table| self.counts[table])
    }

    /// Whether the words are of this language, or one near it.
    pub(super) fn is_for(&self, language: &Language, words: &Words<'_>) -> bool {
        let is_it = |found: &str| are_same_or_near(found, language.name());
        self.signs_are_for(language) || self.detected(words).is_some_and(is_it)
    }

    /// Whether the words are of this language and of no other, however near: their letters are
    /// most like it, and either that or its function words leave no doubt.
    pub(super) fn is_surely_for(&self, language: &Language, words: &Words<'_>) -> bool {
        let own = self.count(language).unwrap_or_default();
        let wanted = language.name();
        let others = FUNCTION_WORDS.iter().zip(self.counts);
        let others = others.filter(|((name, _), _)| *name != wanted);
        let most = others.map(|(_, count)| count).max().unwrap_or_default();
        // Most texts are in another language, whose words say so; what costs comes last.
        if own < most {
            return false;
        }
        guess(words, &EVERY).is_some_and(|guess| {
            let is_shown = own >= SURE_SIGNS && own > most;
            guess.name == wanted && (is_shown || guess.is_sure)
        })
    }

    /// Whether the words look as if they were of this language, sure or not.
    pub(super) fn may_be(&self, language: &Language, words: &Words<'_>) -> bool {
        self.count(language).is_some_and(|count| count > 0)
            || self
                .guess(words)
                .is_some_and(|guess| guess.name == language.name())
    }

    /// Whether there are signs of this language, and not as many of one that is not near it.
    pub(super) fn signs_are_for(&self, language: &Language) -> bool {
        let Some(own) = self.count(language).filter(|own| *own >= SIGNS) else {
            return false;
        };
        let wanted = language.name();
        let mut others = FUNCTION_WORDS.iter().zip(self.counts);
        others.all(|((name, _), count)| count < own || are_same_or_near(name, wanted))
    }

    /// Whether the words are surely of a language that is not this one, nor near it.
    pub(super) fn is_against(&self, language: &Language, words: &Words<'_>) -> bool {
        self.other_than(language, words).is_some()
    }

    /// The language that the words are surely of, if it is not this one, nor near it.
    pub(super) fn other_than(
        &self,
        language: &Language,
        words: &Words<'_>,
    ) -> Option<&'static str> {
        if self.signs_are_for(language) || !is_detectable(language) {
            return None;
        }
        let detected = self.detected(words)?;
        if are_same_or_near(detected, language.name()) {
            return None;
        }
        // Where signs of both are known, they must not speak for the language wanted.
        let other = FUNCTION_WORDS
            .iter()
            .position(|(name, _)| *name == detected);
        let speaks = match (self.count(language), other.map(|other| self.counts[other])) {
            (Some(own), Some(other)) => other >= own,
            _ => true,
        };
        speaks.then_some(detected)
    }

    /// The language of the words, where there are enough and it is told with certainty.
    fn detected(&self, words: &Words<'_>) -> Option<&'static str> {
        let guess = self.guess(words).filter(|guess| guess.is_sure);
        guess.map(|guess| guess.name)
    }

    fn guess(&self, words: &Words<'_>) -> Option<Guess> {
        *self.guess.get_or_init(|| guess(words, &MOST))
    }
}

/// Whether two languages are so near each other that their texts cannot be told apart by words,
/// or have most of them in common.
pub(super) fn are_near(one: &Language, other: &Language) -> bool {
    are_same_or_near(one.name(), other.name())
}

fn are_same_or_near(one: &str, other: &str) -> bool {
    let mut groups = NEAR.iter();
    one == other || groups.any(|group| group.contains(&one) && group.contains(&other))
}

/// Languages that are near each other.
const NEAR: [&[&str]; 14] = [
    &["fi", "et"],
    &["nb", "nn", "da", "sv", "fo"],
    &["hr", "sr", "bs", "sl", "cnr"],
    &["id", "ms", "jv", "su"],
    &["cs", "sk"],
    &["es", "gl", "ast", "an"],
    &["pt", "gl", "mwl"],
    &["ca", "oc", "es", "an"],
    &["hi", "mr", "ne", "mai", "bho", "sa"],
    &["nl", "af", "fy", "lb", "li"],
    &["bg", "mk"],
    &["fa", "ckb", "ur", "ps", "sd"],
    &["tr", "az", "tk", "uz", "crh"],
    &["it", "co", "scn", "vec", "fur"],
];

/// Whether the detection knows this language at all.
fn is_detectable(language: &Language) -> bool {
    // In a script of its own it is told by the letters.
    let is_alphabet = |scripts: &[Script]| {
        matches!(
            scripts,
            [Script::Latin
                | Script::Cyrillic
                | Script::Arabic
                | Script::Devanagari
                | Script::Hebrew]
        )
    };
    let wanted = language.name();
    scripts_of(language).is_some_and(is_alphabet)
        && DETECTED.iter().any(|(_, name)| *name == wanted)
}

fn guess(words: &Words<'_>, detector: &Detector) -> Option<Guess> {
    let mut text = String::new();
    let mut n_letters = 0;
    for word in words.texts() {
        if word.chars().any(char::is_numeric) {
            continue;
        }
        n_letters += word.chars().count();
        text.push_str(word);
        text.push(' ');
    }
    if n_letters < ENOUGH {
        return None;
    }
    let info = detector.detect(&text)?;
    let found = DETECTED.iter().find(|(lang, _)| *lang == info.lang());
    found.map(|(_, name)| Guess {
        name,
        is_sure: info.is_reliable(),
    })
}

/// Finds out among the languages that posts are written in; rarer ones would be found by mistake.
static EVERY: LazyLock<Detector> = LazyLock::new(|| among(&[]));

/// The same without those that are so like another that no text would surely be in either; their
/// texts are found in the other, which is near them.
static MOST: LazyLock<Detector> = LazyLock::new(|| among(&[Lang::Nob, Lang::Est, Lang::Mkd]));

fn among(without: &[Lang]) -> Detector {
    let languages = DETECTED.iter().map(|(lang, _)| *lang);
    Detector::with_allowlist(languages.filter(|lang| !without.contains(lang)).collect())
}

const DETECTED: [(Lang, &str); 47] = [
    (Lang::Eng, "en"),
    (Lang::Spa, "es"),
    (Lang::Por, "pt"),
    (Lang::Fra, "fr"),
    (Lang::Deu, "de"),
    (Lang::Ita, "it"),
    (Lang::Nld, "nl"),
    (Lang::Cat, "ca"),
    (Lang::Dan, "da"),
    (Lang::Swe, "sv"),
    (Lang::Nob, "nb"),
    (Lang::Fin, "fi"),
    (Lang::Est, "et"),
    (Lang::Lav, "lv"),
    (Lang::Lit, "lt"),
    (Lang::Pol, "pl"),
    (Lang::Ces, "cs"),
    (Lang::Slk, "sk"),
    (Lang::Slv, "sl"),
    (Lang::Hrv, "hr"),
    (Lang::Hun, "hu"),
    (Lang::Ron, "ro"),
    (Lang::Tur, "tr"),
    (Lang::Aze, "az"),
    (Lang::Ind, "id"),
    (Lang::Vie, "vi"),
    (Lang::Rus, "ru"),
    (Lang::Ukr, "uk"),
    (Lang::Bel, "be"),
    (Lang::Bul, "bg"),
    (Lang::Mkd, "mk"),
    (Lang::Srp, "sr"),
    (Lang::Ara, "ar"),
    (Lang::Pes, "fa"),
    (Lang::Urd, "ur"),
    (Lang::Heb, "he"),
    (Lang::Yid, "yi"),
    (Lang::Hin, "hi"),
    (Lang::Mar, "mr"),
    (Lang::Nep, "ne"),
    (Lang::Afr, "af"),
    (Lang::Ell, "el"),
    (Lang::Jpn, "ja"),
    (Lang::Cmn, "zh"),
    (Lang::Kor, "ko"),
    (Lang::Tha, "th"),
    (Lang::Ben, "bn"),
];

/// The languages of each function word, as bits, by the word's hash.
static SIGNS_OF: LazyLock<HashMap<u64, u64>> = LazyLock::new(|| {
    let mut signs: HashMap<u64, u64> = HashMap::default();
    for (at, (_, words)) in FUNCTION_WORDS.iter().enumerate() {
        for word in words.split_ascii_whitespace() {
            *signs.entry(hash_of(word)).or_default() |= 1 << at;
        }
    }
    signs
});

/// Whether a word in lower case is a function word of a language; of any that is known, where the
/// language is not.
pub fn is_function_word(word: &str, language: Option<&Language>) -> bool {
    let languages = SIGNS_OF.get(&hash_of(word)).copied().unwrap_or_default();
    match language.and_then(table) {
        Some(table) => languages & (1 << table) != 0,
        None => languages != 0,
    }
}

fn table(language: &Language) -> Option<usize> {
    let name = language.name();
    // Of a language with two scripts the words are known in one alone.
    let is_other_script = name == "sr" && language.script() != Some("Cyrl");
    let name = if is_other_script { "hr" } else { name };
    FUNCTION_WORDS.iter().position(|(other, _)| *other == name)
}

const N_TABLES: usize = 27;

/// Words that hardly a sentence goes without.
const FUNCTION_WORDS: [(&str, &str); N_TABLES] = [
    (
        "en",
        "the and of to is are was were be been have has had this that with for from not you your \
        it its they we our he she his her will would can what when who which there their about \
        into more than just i my me do does did don't on in at by as or if so how why an a",
    ),
    (
        "es",
        "el la los las un una y es son fue de del en que por para con no se su sus lo más pero \
        como está este esta ya también muy hay todo cuando porque qué nos le al ha han mi tu yo si \
        sin sobre desde hasta cómo",
    ),
    (
        "fr",
        "le la les un une des et est sont de du que qui en pour par avec ne pas ce cette se sur au \
        aux plus mais nous vous il elle ils dans son sa ses être ont été leur où c l d qu n j s je \
        tu mon ma mes si comme",
    ),
    (
        "de",
        "der die das und ist sind war ein eine einen dem den des zu mit für von auf nicht sich auch \
        es wir sie ich er als bei nach aus wie wird werden hat haben noch über nur aber im am zum \
        zur oder wenn dass",
    ),
    (
        "pt",
        "o os a as um uma e é são de do da dos das que em no na nos nas por para com não se mais mas \
        como foi está este esta também muito já ao seu sua ou há você eu meu minha pelo pela isso",
    ),
    (
        "it",
        "il lo la gli le un una e è sono di del della dei che in per con non si più ma come anche \
        questo questa nel nella alla ha hanno da al sul ci l d dell all nell mi io se dal della",
    ),
    (
        "nl",
        "de het een en is zijn was van in op te voor met niet dat die er aan om ook als maar bij naar \
        wij we ze hij heeft worden wordt nog uit over dit ik je mijn wat",
    ),
    (
        "sv",
        "och att det är som en ett på för med inte av den till har om vi de jag var så från kan men \
        han hon ska också i",
    ),
    (
        "da",
        "og at det er som en et på for med ikke af den til har om vi de jeg var så fra kan men han \
        hun skal også i",
    ),
    (
        "nb",
        "og at det er som en et på for med ikke av den til har om vi de jeg var så fra kan men han \
        hun skal også i",
    ),
    (
        "fi",
        "ja on ei että se hän ovat oli mutta kun niin myös kuin joka sen ole tämä mitä vain nyt jos",
    ),
    (
        "pl",
        "i w na z nie się że do to jest są był jak ale o od po za dla już tylko co przez przy być tak \
        czy oraz",
    ),
    (
        "cs",
        "a v na se je že o s z do ale jsem jsou byl jak pro by po když nebo jako také už co tak při \
        není",
    ),
    (
        "sk",
        "a v na sa je že o s z do ale som sú bol ako pre by po keď alebo tiež už čo tak pri nie",
    ),
    (
        "hr",
        "i u ne na da je se su za od s kao ali što to bio iz po koje koji ili će smo sam",
    ),
    (
        "hu",
        "a az és hogy nem is egy van meg ez de volt csak már ki még mint azt vagy ha el kell",
    ),
    (
        "ro",
        "și în de la cu nu este sunt un o care pe din pentru mai a că să ca au fost sau dar ce acest",
    ),
    (
        "tr",
        "ve bir bu da de için ile çok ne daha gibi olarak var ama kadar değil mi en o sonra olan ya",
    ),
    (
        "id",
        "dan yang di ini itu dengan untuk tidak dari dalam akan pada ada juga saya kami kita oleh ke \
        sudah bisa karena telah",
    ),
    (
        "vi",
        "và là của có không được cho một những trong với các này người đã đến khi cũng như để",
    ),
    (
        "ru",
        "и в не на что с по это как но из к у за от он она они мы вы я так же для был была были все \
        его бы уже или",
    ),
    (
        "uk",
        "і в не на що з та це як але до у за від він вона вони ми ви я так для був була були все його \
        би вже або є й про",
    ),
    (
        "bg",
        "и в не на че с за по това как но от да се е са той тя те ние аз така като беше си към ще или \
        има",
    ),
    (
        "sr",
        "и у не на да је се су за од са као али што то ово био из по које или ће смо сам",
    ),
    (
        "ar",
        "في من على أن إلى هذا هذه التي الذي لا ما مع عن كان كل بعد أو هو هي قد",
    ),
    (
        "fa",
        "و در به از که این را با است برای آن یک تا هم می بود شد های او ما من",
    ),
    (
        "hi",
        "है के में की और का से को हैं पर यह नहीं भी कि एक ने हो था थी जो ही",
    ),
];
