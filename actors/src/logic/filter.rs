//! Which posts of a source are taken.

use regex::{Regex, RegexBuilder};

use crate::domain::{Audience, Language, Post, Relation};

/// The tags by which authors ask to be left alone, in their posts.
const OPT_OUT: [&str; 3] = ["#nobot", "#nobots", "#nomirror"];

/// What a post must be, to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Whether answers to other people are taken.
    pub replies: bool,
    /// Whether posts of others that are shown again are taken.
    pub reposts: bool,
    /// Whether posts about posts of others are taken.
    pub quotes: bool,
    /// For whom a post may be.
    pub audiences: Vec<Audience>,
    /// The languages that are taken, variants of them included; empty: all. A post that does not
    /// tell its language is taken.
    pub languages: Vec<Language>,
    /// One of these must be found in a post; empty: none need be.
    pub include: Vec<Pattern>,
    /// None of these may be found in a post.
    pub exclude: Vec<Pattern>,
    /// Authors whose posts are not taken, as the source names them; an `@` before them and the
    /// case of letters make no difference.
    pub not_from: Vec<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            replies: false,
            reposts: false,
            quotes: true,
            audiences: vec![Audience::Public, Audience::Unlisted],
            languages: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            not_from: Vec::new(),
        }
    }
}

/// Something that is looked for in posts.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// A regular expression, as it is written.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(written: &str) -> Result<Self, PatternError> {
        Self::build(written)
    }

    /// A word, or words, that stand by themselves, in whichever case.
    ///
    /// # Errors
    /// When there are too many letters in it.
    pub fn word(word: &str) -> Result<Self, PatternError> {
        let word = regex::escape(word.trim());
        Self::build(&format!(r"(?i)(?:^|\W){word}(?:\W|$)"))
    }

    fn build(written: &str) -> Result<Self, PatternError> {
        let built = RegexBuilder::new(written).size_limit(1 << 20).build();
        built.map(Self).map_err(|error| {
            // Only its last line says what is wrong; the others draw where.
            let error = error.to_string();
            PatternError(error.lines().last().unwrap_or_default().to_owned())
        })
    }

    fn is_in(&self, post: &Post) -> bool {
        let warning = post.warning.as_deref();
        self.0.is_match(&post.text) || warning.is_some_and(|warning| self.0.is_match(warning))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for Pattern {}

/// Why a post is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It answers somebody.
    Reply,
    /// It is somebody else's.
    Repost,
    /// It is about somebody else's.
    Quote,
    /// It is for few.
    Audience,
    /// It is in another language.
    Language,
    /// Of the words wanted it has none.
    Without,
    /// It has a word that is not wanted.
    With,
    /// Its author is left out.
    Author,
    /// Its author asks to be left alone.
    OptedOut,
}

impl Filter {
    /// Why a post is not taken; none if it is.
    pub fn refusal(&self, post: &Post) -> Option<Refusal> {
        let is_refused = |is_refused: bool, why: Refusal| is_refused.then_some(why);
        let is_of_another = |language: &Language| {
            !self.languages.is_empty() && !self.languages.iter().any(|one| one.includes(language))
        };
        let lacks_all =
            || !self.include.is_empty() && !self.include.iter().any(|pattern| pattern.is_in(post));
        let by_relation = match post.relation {
            Relation::Own => None,
            Relation::Reply => is_refused(!self.replies, Refusal::Reply),
            Relation::Repost => is_refused(!self.reposts, Refusal::Repost),
            Relation::Quote => is_refused(!self.quotes, Refusal::Quote),
        };
        by_relation
            .or_else(|| is_refused(!self.audiences.contains(&post.audience), Refusal::Audience))
            .or_else(|| is_refused(self.leaves_out(post), Refusal::Author))
            .or_else(|| is_refused(has_opted_out(post), Refusal::OptedOut))
            .or_else(|| {
                let is_other = post.language.as_ref().is_some_and(is_of_another);
                is_refused(is_other, Refusal::Language)
            })
            .or_else(|| {
                let has_any = self.exclude.iter().any(|pattern| pattern.is_in(post));
                is_refused(has_any, Refusal::With)
            })
            .or_else(|| is_refused(lacks_all(), Refusal::Without))
    }

    fn leaves_out(&self, post: &Post) -> bool {
        let plain = |name: &str| name.trim_start_matches('@').to_lowercase();
        let author = post.author.as_deref().map(plain);
        author.is_some_and(|author| self.not_from.iter().any(|name| plain(name) == author))
    }
}

fn has_opted_out(post: &Post) -> bool {
    post.has_opted_out || asks_to_be_left_alone(&post.text)
}

/// Whether a text, of a post or of its author's profile, asks that it be carried nowhere.
pub fn asks_to_be_left_alone(text: &str) -> bool {
    let is_tag = |word: &str| {
        let word = word.trim_end_matches(|character: char| !character.is_alphanumeric());
        OPT_OUT.iter().any(|tag| word.eq_ignore_ascii_case(tag))
    };
    text.split_whitespace().any(is_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(text: &str) -> Post {
        Post::new("news".into(), "1", text)
    }

    fn word(word: &str) -> Vec<Pattern> {
        vec![Pattern::word(word).expect("a word")]
    }

    #[test]
    fn the_posts_of_an_account_are_taken_and_what_it_says_to_others_is_not() {
        let usual = Filter::default();
        let of = |relation| Post {
            relation,
            ..post("A text.")
        };
        assert_eq!(usual.refusal(&of(Relation::Own)), None);
        assert_eq!(usual.refusal(&of(Relation::Quote)), None);
        assert_eq!(usual.refusal(&of(Relation::Reply)), Some(Refusal::Reply));
        assert_eq!(usual.refusal(&of(Relation::Repost)), Some(Refusal::Repost));
        let all = Filter {
            replies: true,
            reposts: true,
            quotes: false,
            ..usual
        };
        assert_eq!(all.refusal(&of(Relation::Reply)), None);
        assert_eq!(all.refusal(&of(Relation::Repost)), None);
        assert_eq!(all.refusal(&of(Relation::Quote)), Some(Refusal::Quote));
    }

    #[test]
    fn what_is_for_few_is_taken_only_when_asked_for() {
        let of = |audience| Post {
            audience,
            ..post("A text.")
        };
        let refusal = |audience| Filter::default().refusal(&of(audience));
        assert_eq!(refusal(Audience::Unlisted), None);
        for audience in [Audience::Followers, Audience::Direct] {
            assert_eq!(refusal(audience), Some(Refusal::Audience));
        }
    }

    #[test]
    fn a_language_covers_its_variants_and_nothing_else() {
        let filter = Filter {
            languages: vec![
                "pt".parse().expect("a tag"),
                "en-GB".parse().expect("a tag"),
                "zh-Hant".parse().expect("a tag"),
            ],
            ..Filter::default()
        };
        let refusal = |language: Option<&str>| {
            filter.refusal(&Post {
                language: language.map(|tag| tag.parse().expect("a tag")),
                ..post("A text.")
            })
        };
        for taken in [
            None,
            Some("pt"),
            Some("pt-BR"),
            Some("en-GB"),
            Some("zh-TW"),
        ] {
            assert_eq!(refusal(taken), None, "{taken:?}");
        }
        for other in ["en", "en-US", "ptx", "zh-CN", "zh"] {
            assert_eq!(refusal(Some(other)), Some(Refusal::Language), "{other}");
        }
    }

    #[test]
    fn a_word_stands_by_itself_in_whichever_case() {
        let with = |text: &str| {
            let filter = Filter {
                exclude: word("Łódź ad"),
                ..Filter::default()
            };
            filter.refusal(&post(text)) == Some(Refusal::With)
        };
        assert!(with("łódź AD"));
        assert!(with("In łódź ad, they say."));
        assert!(!with("Łódź adds"));
        assert!(!with("Łódź, ad"));
    }

    #[test]
    fn words_wanted_need_be_there_once_also_in_the_warning() {
        let filter = Filter {
            include: [
                word("#release"),
                vec![Pattern::new(r"v\d+\.\d+").expect("a pattern")],
            ]
            .concat(),
            ..Filter::default()
        };
        assert_eq!(filter.refusal(&post("Out now: v2.0")), None);
        assert_eq!(filter.refusal(&post("Out now! #Release")), None);
        assert_eq!(
            filter.refusal(&post("Nothing new.")),
            Some(Refusal::Without)
        );
        let warned = Post {
            warning: Some("v1.1".to_owned()),
            ..post("Nothing new.")
        };
        assert_eq!(filter.refusal(&warned), None);
        let error = Pattern::new("(").expect_err("no pattern").to_string();
        assert!(error.contains("unclosed group"), "{error}");
    }

    #[test]
    fn authors_are_left_out_by_name_and_by_their_own_word() {
        let filter = Filter {
            not_from: vec!["@Ann@Example.org".to_owned()],
            ..Filter::default()
        };
        let by = |author: &str| Post {
            author: Some(author.to_owned()),
            ..post("A text.")
        };
        assert_eq!(
            filter.refusal(&by("ann@example.org")),
            Some(Refusal::Author)
        );
        assert_eq!(filter.refusal(&by("joann@example.org")), None);
        let tagged = post("Leave me alone. #NoBot.");
        assert_eq!(filter.refusal(&tagged), Some(Refusal::OptedOut));
        let told = Post {
            has_opted_out: true,
            ..post("A text.")
        };
        assert_eq!(filter.refusal(&told), Some(Refusal::OptedOut));
        assert_eq!(filter.refusal(&post("About #nobotany.")), None);
    }
}
