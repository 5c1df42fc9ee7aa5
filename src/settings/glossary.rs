//! Reads the file of the glossary, with everything that is wrong with it at once.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use babelfeed_actors::domain::{Language, Term};
use babelfeed_actors::logic::glossary::{Glossary, Rules, has_words, stands_in};
use babelfeed_actors::logic::spans::protect;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::mistakes::Mistake;
use super::tree::line_of;

/// The most bytes that the file may have.
const MAX_FILE: u64 = 4 << 20;
/// The most terms and words of the whole file: each call is looked through for them.
const MAX_PHRASES: usize = 10_000;
/// The most bytes of a term, and of a tone.
const MAX_PHRASE: usize = 300;

/// The keys of an entry.
const KEYS: [&str; 6] = ["target", "source", "tone", "forbidden", "keep", "terms"];

/// Why there is no glossary.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The file cannot be read.
    Unreadable(std::io::Error),
    /// It says something that makes no sense.
    Mistaken(Vec<Mistake>),
}

/// The glossary in this file.
pub(super) fn load(path: &Path) -> Result<Glossary, LoadError> {
    let size = std::fs::metadata(path)
        .map_err(LoadError::Unreadable)?
        .len();
    let shown = path.display().to_string();
    if size > MAX_FILE {
        return Err(LoadError::Mistaken(vec![Mistake {
            place: shown,
            what: format!("has {size} bytes, expected at most {MAX_FILE}"),
        }]));
    }
    let text = std::fs::read_to_string(path).map_err(LoadError::Unreadable)?;
    parse(&shown, &text).map_err(LoadError::Mistaken)
}

fn parse(shown: &str, text: &str) -> Result<Glossary, Vec<Mistake>> {
    let mut reader = Reader {
        shown,
        text,
        mistakes: Vec::new(),
        n_phrases: 0,
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        reader.mistake(span, error.message().trim_end().to_owned());
    }
    let glossary = if errors.is_empty() {
        reader.glossary(table.get_ref())
    } else {
        Glossary::default()
    };
    if reader.n_phrases > MAX_PHRASES {
        let n_phrases = reader.n_phrases;
        let what = format!("there are {n_phrases} terms and words, expected at most {MAX_PHRASES}");
        reader.mistake(0..0, what);
    }
    if reader.mistakes.is_empty() {
        Ok(glossary)
    } else {
        Err(reader.mistakes)
    }
}

struct Reader<'a> {
    shown: &'a str,
    text: &'a str,
    mistakes: Vec<Mistake>,
    n_phrases: usize,
}

/// A value with its place.
type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn glossary(&mut self, top: &DeTable<'_>) -> Glossary {
        let (mut keep, mut rules) = (Vec::new(), Vec::new());
        for (key, value) in top {
            match &**key.get_ref() {
                "keep" => keep = self.phrases("keep", value),
                "language" => rules = self.entries(value),
                unknown => {
                    let what = format!("{unknown}: is unknown, known are keep, language");
                    self.mistake(key.span(), what);
                }
            }
        }
        Glossary::new(&keep, &rules)
    }

    fn entries(&mut self, value: &Value<'_>) -> Vec<Rules> {
        let DeValue::Array(items) = value.get_ref() else {
            self.mistake(
                value.span(),
                "language: is no list, expected [[language]]".to_owned(),
            );
            return Vec::new();
        };
        let mut seen: BTreeMap<(Language, Option<Language>), usize> = BTreeMap::new();
        let mut entries = Vec::new();
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                self.mistake(item.span(), "language: is no table".to_owned());
                continue;
            };
            let Some(rules) = self.entry(item.span(), table) else {
                continue;
            };
            let line = line_of(self.text, item.span().start);
            let pair = (rules.target.clone(), rules.source.clone());
            if let Some(first) = seen.insert(pair, line) {
                let what = format!(
                    "target: another entry for the same languages stands in line {first}, \
                     expected one"
                );
                self.mistake(item.span(), what);
            }
            entries.push(rules);
        }
        entries
    }

    fn entry(&mut self, span: Range<usize>, table: &DeTable<'_>) -> Option<Rules> {
        let (mut source, mut target, mut tone) = (None, None, None);
        let (mut keep, mut terms, mut forbidden) = (Vec::new(), Vec::new(), Vec::new());
        let mut names_target = false;
        for (key, value) in table {
            match &**key.get_ref() {
                "target" => {
                    names_target = true;
                    target = self.language("target", value);
                }
                "source" => source = self.language("source", value),
                "tone" => tone = self.phrase("tone", value),
                "forbidden" => forbidden = self.words(value),
                "keep" => keep = self.phrases("keep", value),
                "terms" => terms = self.terms(value),
                unknown => {
                    let known = KEYS.join(", ");
                    self.mistake(
                        key.span(),
                        format!("{unknown}: is unknown, known are {known}"),
                    );
                }
            }
        }
        if !names_target {
            let what = "target: is missing, expected something like \"es\"".to_owned();
            self.mistake(span.clone(), what);
        }
        for (term, place) in &terms {
            if keep.contains(&term.source) {
                let what = format!(
                    "terms: `{}` is to be kept as well, expected one",
                    term.source
                );
                self.mistake(place.clone(), what);
            }
            self.contradicts(&forbidden, &term.target, place.clone());
        }
        for word in &keep {
            self.contradicts(&forbidden, word, span.clone());
        }
        let kept = keep.into_iter().map(|word| Term {
            source: Arc::clone(&word),
            target: word,
        });
        Some(Rules {
            source,
            target: target?,
            terms: terms
                .into_iter()
                .map(|(term, _)| term)
                .chain(kept)
                .collect(),
            forbidden,
            tone,
        })
    }

    /// Notes a forbidden word that the translation wanted of a term holds.
    fn contradicts(&mut self, forbidden: &[Arc<str>], wanted: &str, place: Range<usize>) {
        for word in forbidden.iter().filter(|word| stands_in(word, wanted)) {
            let what = format!("`{wanted}` is wanted, but `{word}` is forbidden");
            self.mistake(place.clone(), what);
        }
    }

    fn terms(&mut self, value: &Value<'_>) -> Vec<(Term, Range<usize>)> {
        let DeValue::Table(table) = value.get_ref() else {
            self.mistake(
                value.span(),
                "terms: is no table, expected lines like computer = \"computadora\"".to_owned(),
            );
            return Vec::new();
        };
        self.n_phrases += table.iter().count();
        let mut terms = Vec::new();
        for (key, value) in table {
            let source = self.checked("terms", key.get_ref(), key.span());
            let target = self.phrase(&format!("terms.{}", key.get_ref()), value);
            if let (Some(source), Some(target)) = (source, target) {
                if has_words(&target) {
                    terms.push((Term { source, target }, key.span()));
                } else {
                    self.mistake(value.span(), format!("terms: `{target}` holds no word"));
                }
            }
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (term, place) in &terms {
            let line = line_of(self.text, place.start);
            if let Some(first) = seen.insert(term.source.to_string(), line) {
                let what = format!("terms: `{}` stands in line {first} too", term.source);
                self.mistake(place.clone(), what);
            }
        }
        terms
    }

    /// A list of what is to be found in texts.
    fn phrases(&mut self, key: &str, value: &Value<'_>) -> Vec<Arc<str>> {
        let Some(items) = self.list(key, value) else {
            return Vec::new();
        };
        let mut phrases = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => phrases.extend(self.checked(key, text, item.span())),
                _ => self.mistake(item.span(), format!("{key}: holds what is no text")),
            }
        }
        phrases
    }

    /// A list of what is to be found in translations.
    fn words(&mut self, value: &Value<'_>) -> Vec<Arc<str>> {
        self.phrases("forbidden", value)
    }

    fn list<'v, 't>(&mut self, key: &str, value: &'v Value<'t>) -> Option<&'v DeArray<'t>> {
        match value.get_ref() {
            DeValue::Array(items) => {
                self.n_phrases += items.iter().count();
                Some(items)
            }
            _ => {
                self.mistake(value.span(), format!("{key}: is no list of texts"));
                None
            }
        }
    }

    /// A text that can be found: with words, and none that never reach a provider.
    fn checked(&mut self, key: &str, text: &str, span: Range<usize>) -> Option<Arc<str>> {
        let phrase = self.plain(key, text, span.clone())?;
        if !has_words(&phrase) {
            self.mistake(span, format!("{key}: `{phrase}` holds no word"));
            return None;
        }
        if let Some(protected) = protect(&phrase).spans.first() {
            let what = format!(
                "{key}: `{}` comes through as it is in any case, expected words alone",
                protected.text
            );
            self.mistake(span, what);
            return None;
        }
        Some(phrase)
    }

    fn phrase(&mut self, key: &str, value: &Value<'_>) -> Option<Arc<str>> {
        match value.get_ref() {
            DeValue::String(text) => self.plain(key, text, value.span()),
            _ => {
                self.mistake(value.span(), format!("{key}: is no text"));
                None
            }
        }
    }

    /// A text of one line that is neither empty nor too long, its blanks made single.
    fn plain(&mut self, key: &str, text: &str, span: Range<usize>) -> Option<Arc<str>> {
        let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let what = if plain.is_empty() {
            "is empty".to_owned()
        } else if plain.len() > MAX_PHRASE {
            format!("has {} bytes, expected at most {MAX_PHRASE}", plain.len())
        } else if plain.contains(char::is_control) || plain.contains(['⟦', '⟧']) {
            "holds a character that no text has, like ⟦".to_owned()
        } else {
            return Some(plain.into());
        };
        self.mistake(span, format!("{key}: {what}"));
        None
    }

    fn language(&mut self, key: &str, value: &Value<'_>) -> Option<Language> {
        let text = match value.get_ref() {
            DeValue::String(text) => text,
            _ => {
                self.mistake(value.span(), format!("{key}: is no text"));
                return None;
            }
        };
        match text.parse::<Language>() {
            Ok(language) => Some(language),
            Err(error) => {
                self.mistake(value.span(), format!("{key}: {error}"));
                None
            }
        }
    }

    fn mistake(&mut self, span: Range<usize>, what: String) {
        self.mistakes.push(Mistake {
            place: format!("{}:{}", self.shown, line_of(self.text, span.start)),
            what,
        });
    }
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::domain::Pair;

    use super::*;

    const WHOLE: &str = r#"
keep = ["babelfeed"]

[[language]]
target = "es"
tone = "informal, as one speaks to friends"
forbidden = ["ordenador"]
keep = ["Fedi"]
[language.terms]
computer = "computadora"
"good  morning" = "buenos días"

[[language]]
target = "es"
source = "de"
terms = { Rechner = "computadora" }
"#;

    fn mistakes(text: &str) -> Vec<String> {
        let mistakes = parse("terms.toml", text).expect_err("mistakes");
        mistakes.iter().map(Mistake::to_string).collect()
    }

    #[test]
    fn a_whole_glossary_is_read() {
        let glossary = parse("terms.toml", WHOLE).expect("no mistakes");
        let pair = |source: &str| Pair {
            source: Some(source.parse().expect("a tag")),
            target: "es".parse().expect("a tag"),
        };
        let guide = glossary.guide(&pair("en")).expect("a guide");
        let terms: Vec<String> = guide
            .terms
            .iter()
            .map(|term| format!("{}={}", term.source, term.target))
            .collect();
        assert_eq!(
            terms,
            [
                "Fedi=Fedi",
                "babelfeed=babelfeed",
                "computer=computadora",
                "good morning=buenos días"
            ]
        );
        assert_eq!(*guide.forbidden, [Arc::from("ordenador")]);
        assert_eq!(
            guide.tone.as_deref(),
            Some("informal, as one speaks to friends")
        );
        let german = glossary.guide(&pair("de")).expect("a guide");
        assert_eq!(german.terms.len(), 5);
        assert_eq!(german.tone, guide.tone);
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "colour = 1\nkeep = [\"#tag\", 3, \"!!\"]\n\
            [[language]]\nforbidden = [\"x\"]\nterms = { a = \"the x\", \"\" = \"b\", c = 1 }\n\
            [[language]]\ntarget = \"Spanish\"\ntone = \" \"\nkeep = 1\n\
            [[language]]\ntarget = \"es\"\nkeep = [\"a\"]\nterms = { a = \"b\" }\n\
            [[language]]\ntarget = \"es\"\n";
        let mut mistakes = mistakes(text);
        mistakes.sort();
        let expected = [
            "terms.toml:13: terms: `a` is to be kept as well, expected one",
            "terms.toml:1: colour: is unknown, known are keep, language",
            "terms.toml:2: keep: `!!` holds no word",
            "terms.toml:2: keep: `#tag` comes through as it is in any case, expected words alone",
            "terms.toml:2: keep: holds what is no text",
            "terms.toml:3: target: is missing, expected something like \"es\"",
            "terms.toml:5: `the x` is wanted, but `x` is forbidden",
            "terms.toml:5: terms.c: is no text",
            "terms.toml:5: terms: is empty",
            "terms.toml:7: target: `Spanish` is not a language tag, expected something like `en` or `pt-BR`",
            "terms.toml:8: tone: is empty",
            "terms.toml:9: keep: is no list of texts",
        ];
        let told: Vec<&String> = mistakes
            .iter()
            .filter(|it| !it.contains("another entry"))
            .collect();
        assert_eq!(told, expected.iter().collect::<Vec<_>>());
        let doubles = mistakes
            .iter()
            .filter(|it| it.contains("stands in line 10"));
        assert_eq!(doubles.count(), 1, "{mistakes:?}");
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_with_its_line() {
        let mistakes = mistakes("keep = []\nkeep keep\n");
        assert!(mistakes[0].starts_with("terms.toml:2: "), "{mistakes:?}");
    }
}
