//! Posts, each with its own record of what in it must not change.

use crate::words::{EMOJI, ENGLISH, MIXED, Voice, pick};

/// What must not change. The division is the test's own: taken from the program, a kind that the
/// program misses would be missed here as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Url,
    Domain,
    Mention,
    /// With the host of its server, which Mastodon does not count.
    RemoteMention,
    Hashtag,
    Cashtag,
    CustomEmoji,
    Emoji,
    Email,
    Code,
    Number,
    /// What looks like what spans are sent as.
    Placeholder,
}

impl Kind {
    /// Those that a post is made of: more than one emoji, since there are many of them.
    const ALL: [Self; 14] = [
        Self::Url,
        Self::Url,
        Self::Domain,
        Self::Mention,
        Self::RemoteMention,
        Self::Hashtag,
        Self::Cashtag,
        Self::CustomEmoji,
        Self::Emoji,
        Self::Emoji,
        Self::Email,
        Self::Code,
        Self::Number,
        Self::Placeholder,
    ];

    /// Whether it reads the same with an emoji right behind it.
    const fn may_touch(self) -> bool {
        matches!(
            self,
            Self::Mention
                | Self::Hashtag
                | Self::CustomEmoji
                | Self::Emoji
                | Self::Code
                | Self::Placeholder
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

/// A post, and what of it must not change.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) id: String,
    /// Where people read it; no other post's begins like it.
    pub(crate) url: String,
    pub(crate) text: String,
    pub(crate) warning: Option<String>,
    pub(crate) alt: Option<String>,
    /// The language that its source declares.
    pub(crate) language: Option<&'static str>,
    /// Whether its words are of the language that it would be translated into.
    pub(crate) is_native: bool,
    /// Those of text, warning and description together.
    pub(crate) spans: Vec<Span>,
}

/// What is wanted of posts.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The language that they are translated into.
    pub(crate) target: &'a Voice,
    /// How many pieces one in 150 has that is to be long.
    pub(crate) long: usize,
    /// Whether numbers must not change.
    pub(crate) keeps_numbers: bool,
}

const BETWEEN: &[&str] = &[" ", " ", " ", " ", "\n", "\n\n", ", ", ". "];
const BEHIND_SPANS: &[&str] = &[" ", " ", " ", "\n", "\u{3000}", " – ", ", ", ". ", "! "];

/// A post of that number.
pub(crate) fn post(rng: &mut fastrand::Rng, number: usize, wanted: Wanted<'_>) -> Post {
    let words = match rng.u32(..20) {
        0..3 => Words::Of(wanted.target),
        3..8 => Words::Of(&ENGLISH),
        _ => Words::Mixed,
    };
    let is_native = matches!(words, Words::Of(voice) if voice.tag == wanted.target.tag);
    let declared = match rng.u32(..20) {
        0..8 => Some("en"),
        8..11 => Some("fr"),
        11 => Some(wanted.target.tag),
        _ if is_native => Some(wanted.target.tag),
        _ => None,
    };
    let n_pieces = match rng.u32(..150) {
        0 => wanted.long,
        _ => 1 + rng.usize(..26),
    };
    let mut writer = Writer {
        rng,
        words,
        keeps_numbers: wanted.keeps_numbers,
        n_spans: 0,
        spans: Vec::new(),
    };
    let text = match writer.rng.u32(..25) {
        0 => writer.common(),
        _ => writer.written(n_pieces),
    };
    let warning = (writer.rng.u32(..12) == 0).then(|| writer.written(5));
    let alt = (writer.rng.u32(..12) == 0).then(|| writer.written(12));
    Post {
        id: format!("{number}"),
        url: format!("https://posts.example.com/{number}/"),
        text,
        warning,
        alt,
        language: declared,
        is_native,
        spans: writer.spans,
    }
}

#[derive(Clone, Copy)]
enum Words<'a> {
    Of(&'a Voice),
    Mixed,
}

struct Writer<'a> {
    rng: &'a mut fastrand::Rng,
    words: Words<'a>,
    keeps_numbers: bool,
    n_spans: usize,
    spans: Vec<Span>,
}

impl Writer<'_> {
    fn written(&mut self, n_pieces: usize) -> String {
        let mut text = String::new();
        let mut words: Box<dyn Iterator<Item = &str>> = match self.words {
            Words::Of(voice) => Box::new(voice.from(self.rng.usize(..40))),
            Words::Mixed => Box::new(std::iter::empty()),
        };
        for _ in 0..n_pieces {
            if self.rng.u32(..4) == 0 {
                self.write_span(&mut text);
                continue;
            }
            match (words.next(), self.words) {
                (Some(word), Words::Of(voice)) => {
                    text.push_str(word);
                    text.push_str(voice.blank);
                }
                _ => {
                    text.push_str(pick(self.rng, MIXED));
                    text.push_str(pick(self.rng, BETWEEN));
                }
            }
        }
        text
    }

    /// What many posts say, each with spans of its own: one translation serves all of them.
    fn common(&mut self) -> String {
        let mut text = "The ferry leaves at nine, see ".to_owned();
        self.write_span(&mut text);
        text.push_str("and tell all of them ");
        self.write_span(&mut text);
        text
    }

    /// Writes a span where nothing spoils it, some against each other or in brackets.
    fn write_span(&mut self, text: &mut String) {
        let kind = match Kind::ALL[self.rng.usize(..Kind::ALL.len())] {
            Kind::Number if !self.keeps_numbers => Kind::Url,
            kind => kind,
        };
        if !text.is_empty() && !text.ends_with(char::is_whitespace) {
            text.push(' ');
        }
        let is_enclosed = kind != Kind::Cashtag && self.rng.u32(..12) == 0;
        text.push_str(if is_enclosed { "(" } else { "" });
        if self.rng.u32(..8) == 0 && kind != Kind::Cashtag {
            self.push(text, Kind::Emoji);
        }
        self.push(text, kind);
        let mut last = kind;
        while last.may_touch() && self.rng.u32(..3) == 0 {
            // The digit of a keycap would go on with a name.
            let keeps_apart = matches!(last, Kind::Emoji | Kind::Code | Kind::Placeholder);
            let n_emoji = EMOJI.len() - usize::from(!keeps_apart);
            let emoji = pick(self.rng, &EMOJI[..n_emoji]).to_owned();
            last = Kind::Emoji;
            text.push_str(&emoji);
            self.spans.push(Span {
                kind: last,
                text: emoji,
            });
        }
        text.push_str(if is_enclosed { ")" } else { "" });
        text.push_str(pick(self.rng, BEHIND_SPANS));
    }

    fn push(&mut self, text: &mut String, kind: Kind) {
        self.n_spans += 1;
        let span = written(self.rng, kind, self.n_spans);
        text.push_str(&span);
        self.spans.push(Span { kind, text: span });
    }
}

/// A span that stands nowhere else in the post, nor in another span, unless it is an emoji.
fn written(rng: &mut fastrand::Rng, kind: Kind, n: usize) -> String {
    let long = "x".repeat(rng.usize(..80));
    let letter = |of: usize| char::from(b'A' + (of % 26) as u8);
    match (kind, rng.u32(..3)) {
        (Kind::Url, 0) => format!("http://m{n}.example.com"),
        (Kind::Url, 1) if rng.u32(..60) == 0 => {
            format!("https://l{n}.example.org/{}", "long/".repeat(70))
        }
        (Kind::Url, _) => format!("https://e{n}.example.org/a_(b)/{long}?q={n}"),
        (Kind::Domain, 0) => format!("d{n}z.co.uk"),
        (Kind::Domain, 1) => format!("{n}m.example.net"),
        (Kind::Domain, _) => format!("d{n}q.example.net/p{long}"),
        (Kind::Mention, 0) => format!("@h{n}q.bsky.social"),
        (Kind::Mention, _) => format!("@user{n}q"),
        (Kind::RemoteMention, _) => format!("@far{n}q@host{n}.social"),
        (Kind::Hashtag, 0) => format!("#tag{n}q"),
        (Kind::Hashtag, 1) => format!("#тег{n}я"),
        (Kind::Hashtag, _) => format!("＃タグ{n}語"),
        (Kind::Cashtag, _) => format!("${}{}{}", letter(n / 676), letter(n / 26), letter(n)),
        (Kind::CustomEmoji, _) => format!(":blob{n}_cat:"),
        (Kind::Emoji, _) => pick(rng, EMOJI).to_owned(),
        (Kind::Email, _) => format!("mail{n}@host{n}.org"),
        (Kind::Code, 0) => format!("```\nlet x{n} = {n};\n```"),
        (Kind::Code, _) => format!("`code{n}x`"),
        (Kind::Number, 0) => format!("€{n}7.50"),
        (Kind::Number, _) => format!("{n}3 km/h"),
        (Kind::Placeholder, _) => format!("⟦{}⟧", n + 40),
    }
}
