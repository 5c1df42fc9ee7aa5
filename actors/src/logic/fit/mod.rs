//! How long a text is where it is published, and how it is split where it is too long.

mod atoms;
mod breaks;
#[cfg(test)]
mod tests;

use atoms::{Atom, Atoms, Weight};
use breaks::Breaks;

/// The most that one part may measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Anything fits.
    Unbounded,
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
    Utf16 {
        /// The most code units.
        max: usize,
    },
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
    /// What the text measures, in the unit that is shown to people.
    pub fn measure(&self, text: &str) -> usize {
        self.weigh(text).units
    }

    /// Whether the text is within the limit.
    pub fn fits(&self, text: &str) -> bool {
        *self == Self::Unbounded || self.weigh(text).is_within(self.max_weight())
    }

    /// The most that a part may measure; none where anything fits.
    pub const fn max(&self) -> Option<usize> {
        match *self {
            Self::Unbounded => None,
            Self::Mastodon { max, .. } | Self::Utf16 { max } => Some(max),
            Self::Bluesky { graphemes, .. } => Some(graphemes),
        }
    }

    /// What is left of the limit beside a warning that counts with every part's text.
    ///
    /// Only Mastodon counts a warning, in full and in grapheme clusters; elsewhere the warning
    /// is no part of the text's limit.
    pub fn beside(self, warning: &str) -> Self {
        match self {
            Self::Mastodon { max, url } => {
                let used = atoms::graphemes(warning);
                let max = max.saturating_sub(used);
                Self::Mastodon { max, url }
            }
            other => other,
        }
    }

    fn weigh(&self, text: &str) -> Weight {
        Atoms::new(text, *self)
            .map(|atom| atom.weight)
            .fold(Weight::default(), Weight::plus)
    }

    const fn max_weight(&self) -> Weight {
        let (units, bytes) = match *self {
            Self::Unbounded => (usize::MAX, usize::MAX),
            Self::Mastodon { max, .. } | Self::Utf16 { max } => (max, usize::MAX),
            Self::Bluesky { graphemes, bytes } => (graphemes, bytes),
        };
        Weight { units, bytes }
    }
}

/// The text in parts within the limit: itself if it fits, else split as high as can be.
///
/// A part ends behind a line if that fills it by half, else behind a sentence, a space, a word;
/// where nothing fills it by half, behind the highest of these there is, at last behind any
/// grapheme cluster. No URL, mention, hashtag, custom emoji or e-mail address is ever split.
/// Parts are trimmed; only whitespace is lost between them.
///
/// # Errors
/// When something that cannot be split is longer than the limit.
pub fn fit(text: &str, limit: Limit) -> Result<Vec<String>, TooLong> {
    let text = text.trim();
    if limit.fits(text) {
        return Ok(vec![text.to_owned()]);
    }
    let max = limit.max_weight();
    let atoms: Vec<Atom> = Atoms::new(text, limit).collect();
    if let Some(atom) = atoms.iter().find(|atom| !atom.weight.is_within(max)) {
        return Err(too_long(text, atom, max));
    }
    let breaks = Breaks::new(text, &atoms);
    let mut parts = Vec::new();
    let mut next = 0;
    while let Some(offset) = atoms[next..].iter().position(|atom| !atom.is_space) {
        let first = next + offset;
        let reach = reach(&atoms, first, max);
        next = if reach.end == atoms.len() {
            reach.end
        } else {
            breaks.best(first, reach.half, reach.end)
        };
        let end = atoms.get(next).map_or(text.len(), |atom| atom.start);
        parts.push(text[atoms[first].start..end].trim().to_owned());
    }
    Ok(parts)
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

fn too_long(text: &str, atom: &Atom, max: Weight) -> TooLong {
    let (length, max) = if atom.weight.units > max.units {
        (atom.weight.units, max.units)
    } else {
        (atom.weight.bytes, max.bytes)
    };
    let piece = &text[atom.start..atom.end];
    TooLong {
        piece: piece.chars().take(PIECE_SHOWN).collect(),
        length,
        max,
    }
}
