//! Which terms and which tone hold for a pair of languages.

mod learned;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::{Guide, Language, Pair, Term};
use crate::logic::hex::hex;

pub use learned::{learned, substitutions};
pub use terms::{Missed, Wishes, check, has_words, relevant, stands_in};

/// What one entry of a glossary says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The language of the texts that it is for; none: every language.
    pub source: Option<Language>,
    /// The language of the translations that it is for.
    pub target: Language,
    /// Terms with the translation wanted.
    pub terms: Vec<Term>,
    /// Words that may not stand in a translation.
    pub forbidden: Vec<Arc<str>>,
    /// How a translation should sound.
    pub tone: Option<Arc<str>>,
}

/// The guides of all pairs of languages, worked out beforehand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glossary {
    /// What it was made of.
    keep: Arc<[Arc<str>]>,
    rules: Arc<[Rules]>,
    /// What holds in every language: the terms to be kept.
    anywhere: Option<Arc<Guide>>,
    by_target: BTreeMap<Arc<str>, ByTarget>,
}

/// The guides of one target language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ByTarget {
    from_any: Option<Arc<Guide>>,
    by_source: BTreeMap<Arc<str>, Arc<Guide>>,
}

impl Glossary {
    /// The glossary that keeps these terms in every language, and says this of some.
    ///
    /// What is said of a language holds for its variants too (`pt` for `pt-BR`); what is said more
    /// narrowly goes over what is said more widely, term by term.
    pub fn new(keep: &[Arc<str>], rules: &[Rules]) -> Self {
        let kept: Vec<Term> = keep.iter().map(kept).collect();
        let targets: BTreeSet<&Language> = rules.iter().map(|rules| &rules.target).collect();
        let by_target = targets.into_iter().map(|target| {
            let guides = ByTarget::new(&kept, rules, target);
            (Arc::from(target.as_str()), guides)
        });
        Self {
            keep: keep.into(),
            rules: rules.into(),
            anywhere: merged(&kept, &[]),
            by_target: by_target.collect(),
        }
    }

    /// The same with terms that corrections have taught; what it says itself of a term stands.
    pub fn with_learned(&self, learned: &[Rules]) -> Self {
        let is_new = |rules: &&Rules| {
            let pair = Pair {
                source: rules.source.clone(),
                target: rules.target.clone(),
            };
            let guide = self.guide(&pair);
            let known = guide.iter().flat_map(|guide| &guide.terms);
            let known: Vec<String> = known.map(|it| it.source.to_lowercase()).collect();
            let mut terms = rules.terms.iter();
            !terms.any(|term| known.contains(&term.source.to_lowercase()))
        };
        let new = learned.iter().filter(is_new);
        let rules: Vec<Rules> = new.chain(&*self.rules).cloned().collect();
        Self::new(&self.keep, &rules)
    }

    /// What holds for this pair, if anything does.
    pub fn guide(&self, pair: &Pair) -> Option<&Arc<Guide>> {
        let by_target = &self.by_target;
        by_target
            .get(pair.target.as_str())
            .or_else(|| by_target.get(pair.target.primary()))
            .map_or(self.anywhere.as_ref(), |guides| {
                guides.from(pair.source.as_ref())
            })
    }

    /// Whether it says nothing of any language.
    pub fn is_empty(&self) -> bool {
        self.anywhere.is_none() && self.by_target.is_empty()
    }
}

impl ByTarget {
    fn new(kept: &[Term], rules: &[Rules], target: &Language) -> Self {
        let of_target = |rules: &&Rules| is_wider(&rules.target, target);
        let all: Vec<&Rules> = rules.iter().filter(of_target).collect();
        let sources: BTreeSet<&Language> = all.iter().filter_map(|it| it.source.as_ref()).collect();
        let for_source = |source: Option<&Language>| {
            let mut layers: Vec<&Rules> = all
                .iter()
                .copied()
                .filter(|it| match (&it.source, source) {
                    (None, _) => true,
                    (Some(wanted), Some(source)) => is_wider(wanted, source),
                    (Some(_), None) => false,
                })
                .collect();
            // The widest first, so that the narrower goes over it.
            layers.sort_by_key(|it| (breadth(it.source.as_ref()), breadth(Some(&it.target))));
            merged(kept, &layers)
        };
        Self {
            from_any: for_source(None),
            by_source: sources
                .into_iter()
                .filter_map(|source| Some((Arc::from(source.as_str()), for_source(Some(source))?)))
                .collect(),
        }
    }

    fn from(&self, source: Option<&Language>) -> Option<&Arc<Guide>> {
        source
            .and_then(|source| {
                let exactly = self.by_source.get(source.as_str());
                exactly.or_else(|| self.by_source.get(source.primary()))
            })
            .or(self.from_any.as_ref())
    }
}

/// A term that stays as it is.
fn kept(term: &Arc<str>) -> Term {
    Term {
        source: Arc::clone(term),
        target: Arc::clone(term),
    }
}

/// Whether what is said of the one language holds for the other too.
fn is_wider(wide: &Language, narrow: &Language) -> bool {
    wide == narrow || wide.as_str() == narrow.primary()
}

/// How narrow a language is: the length of its tag, none at all before all others.
fn breadth(language: Option<&Language>) -> usize {
    language.map_or(0, |language| language.as_str().len())
}

/// One guide of several entries, the later over the earlier; none if they say nothing.
fn merged(kept: &[Term], layers: &[&Rules]) -> Option<Arc<Guide>> {
    let layered = layers.iter().flat_map(|rules| &rules.terms);
    let terms: BTreeMap<Arc<str>, Arc<str>> = kept
        .iter()
        .chain(layered)
        .map(|term| (Arc::clone(&term.source), Arc::clone(&term.target)))
        .collect();
    let terms: Vec<Term> = terms
        .into_iter()
        .map(|(source, target)| Term { source, target })
        .collect();
    let forbidden = layers.iter().flat_map(|rules| &rules.forbidden);
    let forbidden: BTreeSet<Arc<str>> = forbidden.map(Arc::clone).collect();
    let forbidden: Vec<Arc<str>> = forbidden.into_iter().collect();
    let tone = layers.iter().rev().find_map(|rules| rules.tone.clone());
    if terms.is_empty() && forbidden.is_empty() && tone.is_none() {
        return None;
    }
    Some(Arc::new(Guide {
        version: version(&terms, &forbidden, tone.as_deref()),
        terms,
        forbidden,
        tone,
        remark: None,
        budget: None,
    }))
}

/// The beginning of a hash of all that a guide says.
fn version(terms: &[Term], forbidden: &[Arc<str>], tone: Option<&str>) -> Arc<str> {
    let mut hash = Sha256::new();
    let mut part = |part: &str| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    part(&terms.len().to_string());
    for term in terms {
        part(&term.source);
        part(&term.target);
    }
    part(&forbidden.len().to_string());
    for word in forbidden {
        part(word);
    }
    part(tone.unwrap_or_default());
    hex(&hash.finalize()[..8]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(language: &str) -> Language {
        language.parse().expect("a tag")
    }

    fn pair(source: Option<&str>, target: &str) -> Pair {
        Pair {
            source: source.map(tag),
            target: tag(target),
        }
    }

    fn rules(source: Option<&str>, target: &str, terms: &[(&str, &str)]) -> Rules {
        Rules {
            source: source.map(tag),
            target: tag(target),
            terms: terms
                .iter()
                .map(|(source, target)| Term {
                    source: (*source).into(),
                    target: (*target).into(),
                })
                .collect(),
            forbidden: Vec::new(),
            tone: None,
        }
    }

    fn terms(glossary: &Glossary, pair: &Pair) -> Vec<String> {
        let guide = glossary.guide(pair);
        let terms = guide.iter().flat_map(|guide| &guide.terms);
        terms
            .map(|term| format!("{}={}", term.source, term.target))
            .collect()
    }

    #[test]
    fn the_narrower_entry_goes_over_the_wider() {
        let glossary = Glossary::new(
            &["Mastodon".into()],
            &[
                rules(Some("en"), "pt-BR", &[("bus", "ônibus")]),
                rules(None, "pt", &[("bus", "autocarro"), ("feed", "canal")]),
                rules(Some("de"), "pt", &[("feed", "fonte")]),
            ],
        );
        for (pair, expected) in [
            (
                pair(Some("en"), "pt-BR"),
                vec!["Mastodon=Mastodon", "bus=ônibus", "feed=canal"],
            ),
            (
                pair(Some("en-GB"), "pt-BR"),
                vec!["Mastodon=Mastodon", "bus=ônibus", "feed=canal"],
            ),
            (
                pair(None, "pt-BR"),
                vec!["Mastodon=Mastodon", "bus=autocarro", "feed=canal"],
            ),
            (
                pair(Some("de"), "pt-PT"),
                vec!["Mastodon=Mastodon", "bus=autocarro", "feed=fonte"],
            ),
            (pair(Some("en"), "fr"), vec!["Mastodon=Mastodon"]),
        ] {
            assert_eq!(terms(&glossary, &pair), expected, "{pair}");
        }
    }

    #[test]
    fn a_version_differs_when_anything_does() {
        let base = rules(None, "es", &[("a", "b")]);
        let others = [
            rules(None, "es", &[("a", "c")]),
            rules(None, "es", &[("a", "b"), ("c", "d")]),
            Rules {
                forbidden: vec!["b".into()],
                ..base.clone()
            },
            Rules {
                tone: Some("formal".into()),
                ..base.clone()
            },
        ];
        let version = |rules: Rules| {
            let glossary = Glossary::new(&[], &[rules]);
            let guide = glossary.guide(&pair(None, "es"));
            guide.map(|guide| Arc::clone(&guide.version))
        };
        let mut versions: BTreeSet<_> = others.into_iter().map(version).collect();
        versions.insert(version(base));
        assert_eq!(versions.len(), 5, "{versions:?}");
    }

    #[test]
    fn an_empty_glossary_guides_nobody() {
        let glossary = Glossary::default();
        assert!(glossary.is_empty());
        assert_eq!(glossary.guide(&pair(None, "es")), None);
    }
}
