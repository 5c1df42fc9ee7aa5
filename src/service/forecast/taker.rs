//! What an outlet would make of posts before any of them is translated.
//!
//! A translation may be as long as the checks let it be. So what is certain at every such length
//! is told exactly, and of all else the least and the most.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use babelfeed_actors::domain::{
    Attached, IdMint, Language, Part, Post, Publication, PublicationId, Timestamp,
};
use babelfeed_actors::logic::checks;
use babelfeed_actors::logic::compose::{Link, Long, Origin, Style};
use babelfeed_actors::logic::fit::{Limit, room};
use babelfeed_actors::logic::hashtags::Hashtags;
use babelfeed_actors::logic::spans::{SpanKind, protect};
use babelfeed_actors::logic::x_text::{EntityKind, entities};
use babelfeed_actors::ports::{Dispatch, Outlet};
use babelfeed_actors::setup::Same;

use super::{Each, Fits, Forecast, Span};
use crate::outlets::x::Quotes;
use crate::settings::{OutletKind, OutletSettings, Settings};

/// The least weight that a network gives what stands for one letter of a translation:
/// ideographs, which say as much as three letters, have the least.
const LIGHTEST: f64 = 0.3;
/// The most, with what stands between the words: in scripts of which each letter weighs one, and
/// in those of East Asia, whose letters weigh two and say more.
const HEAVIEST: f64 = 1.35;
/// The most in Japanese: its syllables weigh two, and say less than two letters.
const HEAVIEST_KANA: f64 = 1.6;
/// The most in languages of Latin letters of which a part weighs two.
const HEAVIEST_LATIN: f64 = 1.8;
/// Vietnamese, Yoruba, Igbo and Guaraní, which have marks below their letters or tildes on all.
const MARKED: [&str; 4] = ["vi", "yo", "ig", "gn"];
/// The most in scripts of which each letter weighs two, or of which nothing is known.
const HEAVIEST_OTHER: f64 = 2.7;
/// Scripts of which each letter weighs one, or as much more as it says more.
const LIGHT_SCRIPTS: [&str; 24] = [
    "Arab", "Armn", "Beng", "Cyrl", "Deva", "Geor", "Grek", "Gujr", "Guru", "Hans", "Hant", "Hebr",
    "Knda", "Kore", "Laoo", "Latn", "Mlym", "Mymr", "Orya", "Sinh", "Taml", "Telu", "Thai", "Tibt",
];
/// What the number of a part takes, where parts have one.
const NUMBER: usize = 8;
/// A text with an address, as X finds one.
const LINK: &str = "https://example.com";
/// Less than anything costs.
const CENT: f64 = 0.000_01;
/// A text that is asked for in fewer words may be made to fit where it is so many quarters of
/// what fits.
const TIGHTENED: (usize, usize) = (5, 4);

/// An outlet that posts are told for.
pub(in crate::service) struct Taker<'a> {
    pub(in crate::service) settings: &'a Settings,
    pub(in crate::service) outlet: &'a OutletSettings,
    pub(in crate::service) adapter: &'a dyn Outlet,
    pub(in crate::service) limit: Limit,
}

impl Taker<'_> {
    /// What these posts of a source would be here.
    pub(in crate::service) fn forecast(&self, source: &str, posts: &[Post]) -> Forecast {
        let each = posts.iter().filter_map(|post| self.each(post)).collect();
        Forecast::of(source, self.outlet.name.as_str(), each)
    }

    /// What a post would be; none where it is passed over, because it is in the language already
    /// or cannot be shown.
    fn each(&self, post: &Post) -> Option<Each> {
        let is_wordless = post.text.trim().is_empty();
        let is_same = self.is_same(post);
        if is_same && self.outlet.rules.same == Same::Skip
            || is_wordless && !self.adapter.abilities().media
        {
            return None;
        }
        Some(match is_same {
            true => self.untranslated(post),
            false => self.translated(post),
        })
    }

    fn is_same(&self, post: &Post) -> bool {
        is_in_language(self.settings, &self.outlet.language, post)
    }

    /// Whether a post's translation fits one part, however long it is.
    pub(in crate::service) fn fits(&self, post: &Post) -> Fits {
        let most = self.most(post);
        match self.least_room(post).max().is_none_or(|max| most <= max) {
            true => Fits::Surely,
            false => Fits::Perhaps,
        }
    }

    /// A post that goes out in its own words.
    fn untranslated(&self, post: &Post) -> Each {
        let style = &self.outlet.rules.style;
        let composed = style.compose(&post.text, self.room(post), origin(post, false));
        // What cannot be split is held, and goes out as a person wants it.
        let texts = composed.unwrap_or_else(|_| vec![post.text.clone()]);
        let cost = |post: &Post| -> f64 {
            let publication = self.publication(post, &texts);
            (0..texts.len())
                .map(|part| self.cost(&publication, part))
                .sum()
        };
        let most = cost(post);
        let least = match self.shows_quotes() {
            true => cost(&Post {
                quoted: None,
                ..post.clone()
            }),
            false => most,
        };
        Each {
            post: post.id.clone(),
            parts: Span::exactly(texts.len()),
            usd: Span {
                min: least,
                max: most,
            },
            texts,
        }
    }

    /// A post whose translation may be as long as the checks let it be.
    fn translated(&self, post: &Post) -> Each {
        let most = self.most(post);
        let (parts, linked) = (self.parts(post, most), self.linked(post, most));
        let linked = Span {
            min: linked.min.min(parts.min),
            max: linked.max.min(parts.max),
        };
        let prices = self.prices(post);
        Each {
            post: post.id.clone(),
            parts,
            usd: Span {
                min: prices.of(parts.min, linked.min),
                max: prices.of(parts.max, linked.max),
            },
            texts: Vec::new(),
        }
    }

    /// The most that a post may measure as one part.
    fn most(&self, post: &Post) -> usize {
        self.longest(&post.text) + self.tail(post)
    }

    /// The most that a text may measure once it is translated.
    fn longest(&self, text: &str) -> usize {
        let heaviest = heaviest(&self.outlet.language);
        let protected = protect(&text.into());
        let (_, letters) = checks::plausible_letters(&protected.skeleton);
        let is_tag = |kind: SpanKind| {
            kind == SpanKind::Hashtag && self.outlet.rules.style.hashtags == Hashtags::Translate
        };
        let spans = protected.spans.iter().map(|span| {
            let letters = match is_tag(span.kind) {
                true => checks::plausible_letters(&span.text).1,
                false => 0.0,
            };
            let shown = self.limit.measure(&self.shown(&span.text));
            (letters * heaviest).ceil() as usize + shown + 1
        });
        (letters * heaviest).ceil() as usize + spans.sum::<usize>()
    }

    /// The least that its words may measure.
    fn least(&self, post: &Post) -> usize {
        let (letters, _) = plausible_letters(post);
        (letters * LIGHTEST) as usize
    }

    fn parts(&self, post: &Post, most: usize) -> Span<usize> {
        let Some(max) = self.least_room(post).max().filter(|max| most > *max) else {
            return Span::exactly(1);
        };
        match self.long(post) {
            Long::Shorten | Long::Link => Span::exactly(1),
            Long::Thread => {
                // A warning may be short once it is translated.
                let widest = self.limit.max().unwrap_or(max);
                let least = self.least(post);
                let is_long = least * TIGHTENED.1 > widest * TIGHTENED.0;
                let min = if is_long { least.div_ceil(widest) } else { 1 };
                match (self.most_parts(post, most), self.max_parts()) {
                    // What would take more is cut, or held.
                    (n_parts, most) if n_parts > most => Span { min: 1, max: most },
                    (n_parts, _) => Span { min, max: n_parts },
                }
            }
        }
    }

    /// What becomes of a post that is long: without an address nothing leads to what is cut off.
    fn long(&self, post: &Post) -> Long {
        match self.outlet.rules.style.long {
            Long::Link if post.url.is_none() => Long::Thread,
            long => long,
        }
    }

    /// The most parts that a post of that length can take: each is half full at least, beside what
    /// stands below it.
    fn most_parts(&self, post: &Post, most: usize) -> usize {
        let max = self.least_room(post).max().unwrap_or(usize::MAX);
        let half = (max.saturating_sub(self.tail(post) + NUMBER) / 2).max(1);
        most.div_ceil(half) + 1
    }

    /// The most parts of one text.
    fn max_parts(&self) -> usize {
        let most = self.outlet.rules.style.max_parts;
        most.unwrap_or(usize::MAX).min(self.limit.max_parts())
    }

    /// How many parts have an address in them, as X finds it.
    fn linked(&self, post: &Post, most: usize) -> Span<usize> {
        let style = &self.outlet.rules.style;
        let body = self.shown(&post.text);
        let n_inside = n_links(&body);
        let is_above = post.warning.as_deref().map_or(0, n_links) > 0;
        let is_below =
            n_links(&style.in_one(&post.text, self.limit, origin(post, true))) > n_inside;
        let hanging = self.hanging_links(post, most);
        let first = Span {
            min: usize::from(is_above || is_below || hanging.min > 0),
            max: usize::from(is_above || is_below || hanging.max > 0),
        };
        let fits = self.least_room(post).max().is_none_or(|max| most <= max);
        let all = Span {
            min: n_inside + first.min,
            max: n_inside + first.max,
        };
        match self.long(post) {
            _ if fits => Span {
                min: all.min.min(1),
                max: all.max.min(1),
            },
            // Above each part, as many as there come to be.
            Long::Thread if is_above => Span::exactly(usize::MAX),
            Long::Thread if style.link == Link::Always && is_linked(post) => Span {
                min: 1,
                max: usize::MAX,
            },
            Long::Thread => Span {
                min: all.min.min(1),
                // What takes too many parts is cut, with the address below it.
                max: match self.most_parts(post, most) > self.max_parts() {
                    true => all.max.max(usize::from(is_linked(post))),
                    false => all.max,
                },
            },
            // What is cut off may have been the address.
            Long::Shorten => Span {
                min: first.min,
                max: all.max.min(1),
            },
            Long::Link => {
                let is_linked = is_linked(post);
                Span {
                    min: first.min.max(usize::from(is_linked && n_inside > 0)),
                    max: all.max.min(1).max(usize::from(is_linked)),
                }
            }
        }
    }

    /// How many addresses of what hangs on a post stand behind the first part: at most one counts.
    fn hanging_links(&self, post: &Post, most: usize) -> Span<usize> {
        // A part that has an address already costs no more with another.
        let is_paid = |post: &Post| {
            let cost = |text: &str| self.cost(&self.publication(post, &[text.to_owned()]), 0);
            cost(LINK) - cost("-") < CENT
        };
        let below = Post {
            warning: None,
            ..post.clone()
        };
        let without_quoted = Post {
            quoted: None,
            ..below.clone()
        };
        let surely = match self.shows_quotes() {
            true => is_paid(&without_quoted),
            false => is_paid(&below),
        };
        // They are left out where there is no room, which the words of a poll may take.
        let media = post.media.iter().map(|it| it.url.as_str());
        let pieces: Vec<&str> = post.quoted.as_deref().into_iter().chain(media).collect();
        let pieces = format!("\n\n{}", pieces.join("\n\n"));
        let whole = most + self.limit.measure(&pieces);
        let warned = Post {
            media: Vec::new(),
            quoted: None,
            ..post.clone()
        };
        let max = self.least_room(&warned).max();
        let has_room = post.poll.is_none() && max.is_none_or(|max| whole <= max);
        Span {
            min: usize::from(surely && has_room),
            max: usize::from(is_paid(&below)),
        }
    }

    /// Whether quoted posts may be shown as such, without their addresses.
    fn shows_quotes(&self) -> bool {
        matches!(&self.outlet.kind, OutletKind::X(x) if x.quotes == Quotes::Shown)
    }

    /// What parts cost here, with and without an address, and what hangs on the first of them.
    fn prices(&self, post: &Post) -> Prices {
        // Addresses above and behind it count among the others, so prices are told without the
        // first, and of a part that has one already for what else hangs on it.
        let below = Post {
            warning: None,
            ..post.clone()
        };
        let price = |text: &str| {
            let texts = ["-".to_owned(), text.to_owned()];
            self.cost(&self.publication(&below, &texts), 1)
        };
        let linked = price(LINK);
        let first = self.publication(&below, &[LINK.to_owned()]);
        Prices {
            plain: price("-"),
            linked,
            hanging: self.cost(&first, 0) - linked,
        }
    }

    fn cost(&self, publication: &Arc<Publication>, part: usize) -> f64 {
        self.adapter.cost(&Dispatch {
            publication: Arc::clone(publication),
            part,
        })
    }

    /// What stands below the first part, as it is counted here.
    fn tail(&self, post: &Post) -> usize {
        let style = &self.outlet.rules.style;
        let whole = style.in_one(&post.text, self.limit, origin(post, true));
        let whole = self.limit.measure(&whole);
        whole.saturating_sub(self.limit.measure(&self.shown(&post.text)))
    }

    /// A text with its mentions as they are wanted here.
    fn shown(&self, text: &str) -> String {
        let mentions = self.outlet.rules.style.mentions.clone();
        let alone = Style {
            mentions,
            ..Style::default()
        };
        alone.in_one(text, self.limit, Origin::default())
    }

    /// What a part may measure beside a warning that counts with it.
    fn room(&self, post: &Post) -> Limit {
        room(self.limit, self.hung(post).as_deref())
    }

    /// What a part may measure beside the longest warning that there may be once it is translated.
    fn least_room(&self, post: &Post) -> Limit {
        let longest = |warning: &String| "x".repeat(self.longest(warning));
        self.room(&Post {
            warning: post.warning.as_ref().map(longest),
            ..post.clone()
        })
    }

    /// What hangs on a post, as it is published here.
    fn hung(&self, post: &Post) -> Option<Arc<Attached>> {
        let attached = Attached::of(post).map(Arc::new)?;
        Some(self.outlet.rules.style.hung(&attached, self.limit))
    }

    fn publication(&self, post: &Post, texts: &[String]) -> Arc<Publication> {
        Arc::new(Publication {
            id: nobody(),
            outlet: self.outlet.name.clone(),
            source: post.source.as_str().into(),
            post: post.id.as_str().into(),
            language: self.outlet.language.clone(),
            url: post.url.as_deref().map(Into::into),
            parts: texts.iter().map(|text| Part::new(text.as_str())).collect(),
            attached: self.hung(post),
            thread: None,
            revises: None,
            place: None,
            created_at: Timestamp::from_millis(0),
        })
    }
}

/// What parts cost, in US dollars.
struct Prices {
    plain: f64,
    linked: f64,
    hanging: f64,
}

impl Prices {
    fn of(&self, n_parts: usize, n_linked: usize) -> f64 {
        let n_plain = n_parts.saturating_sub(n_linked) as f64;
        self.hanging + n_linked as f64 * self.linked + n_plain * self.plain
    }
}

/// Whether a post is in a language already: as declared, or as its words surely tell.
pub(super) fn is_in_language(settings: &Settings, language: &Language, post: &Post) -> bool {
    match &post.language {
        Some(own) => own.matches(language),
        None => {
            settings.checks.language
                && checks::is_in(&protect(&post.text.as_str().into()), language)
        }
    }
}

/// The most weight of what stands for one letter in a language.
fn heaviest(language: &Language) -> f64 {
    match language.script() {
        _ if MARKED.contains(&language.name()) => HEAVIEST_LATIN,
        Some("Jpan" | "Kana" | "Hira" | "Hrkt") => HEAVIEST_KANA,
        Some(script) if LIGHT_SCRIPTS.contains(&script) => HEAVIEST,
        _ => HEAVIEST_OTHER,
    }
}

/// How many letters the words of a post's translation have, at the least and at the most.
fn plausible_letters(post: &Post) -> (f64, f64) {
    checks::plausible_letters(&protect(&post.text.as_str().into()).skeleton)
}

/// Whether a post has an address that becomes a link.
fn is_linked(post: &Post) -> bool {
    post.url.as_deref().is_some_and(|url| n_links(url) > 0)
}

fn n_links(text: &str) -> usize {
    let entities = entities(text).into_iter();
    entities.filter(|it| it.kind == EntityKind::Url).count()
}

fn origin(post: &Post, is_translated: bool) -> Origin<'_> {
    Origin {
        source: post.source.as_str(),
        author: post.author.as_deref(),
        url: post.url.as_deref(),
        is_translated,
    }
}

/// The id of what is never written down.
fn nobody() -> PublicationId {
    let request = IdMint::default().next(Timestamp::from_millis(0), 0);
    request.task(1).publication(1)
}
