//! How long a text is where it is published, and how it is split where it is too long.

mod atoms;
mod breaks;
mod display;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::domain::Attached;
use crate::logic::markdown::escaped;
use crate::logic::spans::protect;
use crate::logic::x_text;
use atoms::{Atom, Atoms, Weight};
use breaks::Breaks;
pub use display::{Displayed, Facet, FacetKind, display};

/// The most that one part may measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Anything fits.
    Unbounded,
    /// Weights as X counts them: a code point 1 or 2, a link 23, an emoji 2.
    X {
        /// The most that they sum up to.
        max: usize,
    },
    /// Grapheme clusters as Mastodon counts them.
    Mastodon {
        /// The most that warning and text measure together.
        max: usize,
        /// What each URL with a scheme counts as.
        url: usize,
    },
    /// Grapheme clusters and bytes, as in Bluesky's lexicon; a text is within both.
    Bluesky {
        /// The most grapheme clusters.
        graphemes: usize,
        /// The most bytes of UTF-8.
        bytes: usize,
    },
    /// Code units of UTF-16, as Telegram counts.
    Telegram {
        /// The most code units.
        max: usize,
    },
    /// Code points, as Discord counts.
    Discord {
        /// The most code points.
        max: usize,
    },
    /// The same of a text whose signs are escaped, so that Discord shows them as they are.
    Escaped {
        /// The most code points, those of the escapes among them.
        max: usize,
    },
    /// Code points, where nobody knows better.
    Characters {
        /// The most code points.
        max: usize,
    },
}

/// How a text measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// What it measures, in the unit that is shown to people.
    pub length: usize,
    /// Whether it is within the limit.
    pub fits: bool,
    /// The parts that it would be split into.
    pub parts: Result<Vec<String>, TooLong>,
}

/// A piece that must not be split is longer than a part may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{piece}` cannot be split and measures {length}, wanted at most {max}")]
pub struct TooLong {
    /// How the piece begins.
    pub piece: String,
    /// What it measures, in the unit that it exceeds.
    pub length: usize,
    /// The most that a part may measure in that unit.
    pub max: usize,
}

/// How many characters of a piece are shown to people.
const PIECE_SHOWN: usize = 40;

impl Limit {
    /// A post on X.
    pub const X: Self = Self::X { max: 280 };
    /// A post on a Mastodon server that says nothing else.
    pub const MASTODON: Self = Self::Mastodon { max: 500, url: 23 };
    /// A post on Bluesky.
    pub const BLUESKY: Self = Self::Bluesky {
        graphemes: 300,
        bytes: 3_000,
    };
    /// A message on Telegram.
    pub const TELEGRAM: Self = Self::Telegram { max: 4_096 };
    /// What stands below media on Telegram.
    pub const TELEGRAM_CAPTION: Self = Self::Telegram { max: 1_024 };
    /// A message on Discord, as it is sent.
    pub const DISCORD: Self = Self::Discord { max: 2_000 };
    /// A message on Discord, before its signs are escaped.
    pub const DISCORD_MESSAGE: Self = Self::Escaped { max: 2_000 };

    /// A message on Slack.
    pub const SLACK: Self = Self::Characters { max: 4_000 };

    /// What the text measures, in the unit that is shown to people.
    pub fn measure(&self, text: &str) -> usize {
        self.weigh(text).units
    }

    /// Whether the text is within the limit.
    pub fn fits(&self, text: &str) -> bool {
        *self == Self::Unbounded
            || self.takes(text) && self.weigh(text).is_within(self.max_weight())
    }

    /// Whether the text is within the limit with something behind it.
    fn fits_with(&self, text: &str, behind: &str) -> bool {
        match behind {
            "" => self.fits(text),
            behind => self.fits(&[text, behind].concat()),
        }
    }

    /// The most parts that a publication can have where such parts go.
    pub const fn max_parts(self) -> usize {
        match self {
            // Each has its place among the keys of its publication.
            Self::Bluesky { .. } => 128,
            _ => usize::MAX,
        }
    }

    /// Whether the text holds nothing that is refused at any length.
    fn takes(&self, text: &str) -> bool {
        !matches!(self, Self::X { .. }) || text.chars().all(x_text::is_allowed)
    }

    /// The most that a part may measure; none where anything fits.
    pub const fn max(&self) -> Option<usize> {
        match *self {
            Self::Unbounded => None,
            Self::X { max }
            | Self::Mastodon { max, .. }
            | Self::Telegram { max }
            | Self::Discord { max }
            | Self::Escaped { max }
            | Self::Characters { max } => Some(max),
            Self::Bluesky { graphemes, .. } => Some(graphemes),
        }
    }

    /// In what it is counted; none where anything fits.
    pub const fn unit(&self) -> Option<&'static str> {
        Some(match self {
            Self::Unbounded => return None,
            Self::X { .. } => "weighted",
            Self::Mastodon { .. } | Self::Bluesky { .. } => "graphemes",
            Self::Telegram { .. } => "UTF-16 units",
            Self::Discord { .. } | Self::Escaped { .. } | Self::Characters { .. } => "code points",
        })
    }

    /// The most bytes, where these are counted as well.
    pub const fn max_bytes(&self) -> Option<usize> {
        match *self {
            Self::Bluesky { bytes, .. } => Some(bytes),
            _ => None,
        }
    }

    /// What each link counts as, where its length does not matter.
    pub const fn link(&self) -> Option<usize> {
        match *self {
            Self::X { .. } => Some(x_text::URL_WEIGHT),
            Self::Mastodon { url, .. } => Some(url),
            _ => None,
        }
    }

    /// The same counting with another maximum.
    pub const fn with_max(self, max: usize) -> Self {
        match self {
            Self::Unbounded => self,
            Self::X { .. } => Self::X { max },
            Self::Mastodon { url, .. } => Self::Mastodon { max, url },
            Self::Bluesky { bytes, .. } => Self::Bluesky {
                graphemes: max,
                bytes,
            },
            Self::Telegram { .. } => Self::Telegram { max },
            Self::Discord { .. } => Self::Discord { max },
            Self::Escaped { .. } => Self::Escaped { max },
            Self::Characters { .. } => Self::Characters { max },
        }
    }

    /// What is left of the limit beside a warning that stands with the text.
    ///
    /// Mastodon counts a warning in full and in grapheme clusters. Elsewhere it stands above the
    /// text, cut where it would take more than half of the room.
    pub fn beside(self, warning: &str) -> Self {
        match (self, self.above(warning)) {
            (Self::Mastodon { max, url }, _) => {
                let used = atoms::graphemes_of(warning);
                let max = max.saturating_sub(used);
                Self::Mastodon { max, url }
            }
            (_, Some(shown)) => self.without(&shown),
            (_, None) => self,
        }
    }

    /// A warning as it is sent above a text; none where it has a place of its own.
    fn above(self, warning: &str) -> Option<String> {
        let warning = warning.trim();
        match self {
            Self::Unbounded | Self::Mastodon { .. } => None,
            Self::Bluesky { .. } => Some(format!("⚠ {warning}\n\n")),
            // What stands below the warning is hidden behind two signs at each of its ends.
            Self::Discord { .. } | Self::Escaped { .. } => {
                Some(format!("{}\n\n||||", escaped(warning)))
            }
            Self::X { .. } | Self::Telegram { .. } | Self::Characters { .. } => {
                Some(format!("{warning}\n\n"))
            }
        }
    }

    /// What is left of the limit beside something that is cut or left out where it would take more
    /// than half of the room.
    fn without(self, other: &str) -> Self {
        let other = self.weigh_sent(other);
        let (max, half) = (self.max_weight(), self.max_weight().half());
        let left = Weight {
            units: max.units - other.units.min(half.units),
            bytes: max.bytes - other.bytes.min(half.bytes),
        };
        match self {
            Self::Bluesky { .. } => Self::Bluesky {
                graphemes: left.units,
                bytes: left.bytes,
            },
            _ => self.with_max(left.units),
        }
    }

    /// What something weighs that is written as it is sent.
    fn weigh_sent(self, other: &str) -> Weight {
        match self {
            Self::Escaped { max } => Self::Discord { max }.weigh(other),
            _ => self.weigh(other),
        }
    }

    /// What becomes words behind a text there, of what hangs on it.
    fn appended(self, attached: &Attached) -> Vec<String> {
        let is_chat = match self {
            Self::Unbounded | Self::Bluesky { .. } => return Vec::new(),
            Self::X { .. } | Self::Mastodon { .. } => false,
            Self::Telegram { .. }
            | Self::Discord { .. }
            | Self::Escaped { .. }
            | Self::Characters { .. } => true,
        };
        let mut pieces = Vec::new();
        if is_chat {
            let options = attached.poll.iter().flat_map(|poll| &poll.options);
            pieces.extend(options.map(|option| format!("• {}", escaped(option))));
            // Also of what is shown as such: it becomes a link where it is not taken.
            pieces.extend(
                attached
                    .media
                    .iter()
                    .map(|media| format!("||{}||", media.url)),
            );
        }
        pieces.extend(attached.quoted.as_deref().map(str::to_owned));
        pieces
    }

    fn weigh(&self, text: &str) -> Weight {
        match self {
            Self::X { .. } => {
                let units = x_text::length(text);
                let bytes = text.len();
                return Weight { units, bytes };
            }
            Self::Bluesky { .. } => {
                let shown = display(text, *self).text;
                let units = atoms::graphemes_of(&shown);
                let bytes = shown.len();
                return Weight { units, bytes };
            }
            _ => {}
        }
        Atoms::new(text, *self)
            .map(|atom| atom.weight)
            .fold(Weight::default(), Weight::plus)
    }

    const fn max_weight(&self) -> Weight {
        let units = match self.max() {
            Some(max) => max,
            None => usize::MAX,
        };
        let bytes = match *self {
            Self::Bluesky { bytes, .. } => bytes,
            _ => usize::MAX,
        };
        Weight { units, bytes }
    }
}

/// What a part's text may measure beside what hangs on it: a warning, and what has a place in the
/// text alone.
pub fn room(limit: Limit, attached: Option<&Attached>) -> Limit {
    let Some(attached) = attached else {
        return limit;
    };
    let warning = attached.warning.as_deref();
    let warning = warning.filter(|warning| !warning.trim().is_empty());
    let limit = warning.map_or(limit, |warning| limit.beside(warning));
    match &*limit.appended(attached) {
        [] => limit,
        pieces => limit.without(&format!("\n\n{}", pieces.join("\n\n"))),
    }
}

/// Whether a warning would be cut to stand above its text, and something stands in it that must stay
/// whole.
pub fn tears_warning(limit: Limit, attached: Option<&Attached>) -> bool {
    let warning = attached.and_then(|attached| attached.warning.as_deref());
    let Some(warning) = warning else {
        return false;
    };
    let half = limit.max_weight().half();
    let shown = limit.above(warning);
    let is_cut = shown.is_some_and(|shown| !limit.weigh_sent(&shown).is_within(half));
    is_cut && !protect(&warning.into()).spans.is_empty()
}

/// The text in parts within the limit: itself if it fits, else split as high as can be.
///
/// A part ends behind a line if that fills it by half, else behind a sentence, a space, a word;
/// where nothing fills it by half, behind the highest of these there is, at last behind any
/// grapheme cluster. No URL, mention, hashtag, custom emoji or e-mail address is ever split.
/// Parts are trimmed; only whitespace is lost between them.
///
/// Characters that the network refuses anywhere are left out.
///
/// # Errors
/// When something that cannot be split is longer than the limit.
pub fn fit(text: &str, limit: Limit) -> Result<Vec<String>, TooLong> {
    fit_beside(text, limit, ["", ""])
}

/// The same with parts that are within the limit with something behind the first and behind each
/// other one, which is left to the caller to put there.
///
/// # Errors
/// As [`fit`].
pub(in crate::logic) fn fit_beside(
    text: &str,
    limit: Limit,
    behind: [&str; 2],
) -> Result<Vec<String>, TooLong> {
    let text = &*taken(text, limit);
    let text = text.trim();
    if limit.fits_with(text, behind[0]) {
        return Ok(vec![text.to_owned()]);
    }
    split(text, limit, behind)
}

/// What a text measures, whether that fits, and the parts that [`fit`] makes of it; cheaper than
/// all of them apart.
pub fn fitted(text: &str, limit: Limit) -> Fitted {
    let weight = limit.weigh(text);
    let is_within = limit.takes(text) && weight.is_within(limit.max_weight());
    let fits = is_within || limit == Limit::Unbounded;
    let is_as_written = text.trim().len() == text.len() && limit.takes(text);
    Fitted {
        length: weight.units,
        fits,
        parts: match fits {
            true => Ok(vec![text.trim().to_owned()]),
            false if is_as_written => split(text, limit, ["", ""]),
            false => fit(text, limit),
        },
    }
}

/// A text that holds nothing that is refused, in parts that are within the limit with what stands
/// behind the first and behind each other one.
fn split(
    text: &str,
    limit: Limit,
    [behind_first, behind_others]: [&str; 2],
) -> Result<Vec<String>, TooLong> {
    let room = |behind| limit.max_weight().without(limit.weigh(behind));
    let (mut behind, mut max) = (behind_first, room(behind_first));
    let atoms: Vec<Atom> = Atoms::new(text, limit).collect();
    let breaks = Breaks::new(text, &atoms);
    let mut parts = Vec::new();
    let mut next = 0;
    while let Some(offset) = atoms[next..].iter().position(|atom| !atom.is_space) {
        let first = next + offset;
        let atom = &atoms[first];
        if !atom.weight.is_within(max) {
            return Err(too_long(&text[atom.start..atom.end], atom.weight, max));
        }
        let reach = reach(&atoms, first, max);
        next = if reach.end == atoms.len() {
            reach.end
        } else {
            breaks.best(first, reach.half, reach.end)
        };
        let part = |next: usize| {
            let end = atoms.get(next).map_or(text.len(), |atom| atom.start);
            text[atoms[first].start..end].trim()
        };
        // What stood beside a link decides whether it is one, so a part alone may measure more.
        while !limit.fits_with(part(next), behind) {
            if next <= first + 1 {
                return Err(too_long(part(next), limit.weigh(part(next)), max));
            }
            next = breaks.best(first, first, next - 1);
        }
        parts.push(part(next).to_owned());
        if parts.len() == 1 {
            (behind, max) = (behind_others, room(behind_others));
        }
    }
    Ok(parts)
}

/// The text without what its network refuses.
pub(in crate::logic) fn taken(text: &str, limit: Limit) -> Cow<'_, str> {
    if limit.takes(text) {
        return Cow::Borrowed(text);
    }
    let allowed = text
        .chars()
        .filter(|&character| x_text::is_allowed(character));
    Cow::Owned(allowed.collect())
}

/// How far a part can go.
struct Reach {
    /// The first atom with which the part is half full.
    half: usize,
    /// The first atom that does not belong to it; spaces before it do not count.
    end: usize,
}

fn reach(atoms: &[Atom], first: usize, max: Weight) -> Reach {
    let mut weight = Weight::default();
    let mut half = None;
    for (index, atom) in atoms.iter().enumerate().skip(first) {
        weight = weight.plus(atom.weight);
        if !atom.is_space && !weight.is_within(max) {
            let half = half.unwrap_or(index);
            return Reach { half, end: index };
        }
        if half.is_none() && !weight.is_within(max.half()) {
            half = Some(index);
        }
    }
    let end = atoms.len();
    Reach { half: end, end }
}

impl TooLong {
    /// That a text is longer than the limit as a whole.
    pub(in crate::logic) fn whole(text: &str, limit: Limit) -> Self {
        too_long(text, limit.weigh(text), limit.max_weight())
    }
}

fn too_long(piece: &str, weight: Weight, max: Weight) -> TooLong {
    let (length, max) = if weight.units > max.units {
        (weight.units, max.units)
    } else {
        (weight.bytes, max.bytes)
    };
    TooLong {
        piece: piece.chars().take(PIECE_SHOWN).collect(),
        length,
        max,
    }
}
