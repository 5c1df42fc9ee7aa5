//! What would be published of posts, with what it costs.

mod charges;
mod taker;

use std::fmt;

use serde::Serialize;

pub(super) use charges::{Charge, Fits, Texts};
pub(super) use taker::Taker;

/// How many places a price is told to.
const PLACES: usize = 3;

/// What posts of a source would be at an outlet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Forecast {
    pub(super) source: String,
    pub(super) outlet: String,
    /// How many posts.
    pub(super) posts: usize,
    /// How many parts they make.
    pub(super) parts: Span<usize>,
    /// What they cost, in US dollars.
    pub(super) usd: Span<f64>,
    /// The same of each post.
    pub(super) each: Vec<Each>,
}

/// What one post would be at an outlet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Each {
    pub(super) post: String,
    pub(super) parts: Span<usize>,
    pub(super) usd: Span<f64>,
    /// The parts, where they are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) texts: Vec<String>,
}

/// From the least to the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Span<T> {
    pub(super) min: T,
    pub(super) max: T,
}

impl<T: Copy> Span<T> {
    pub(super) const fn exactly(value: T) -> Self {
        Self {
            min: value,
            max: value,
        }
    }

    fn sum<'a>(spans: impl Iterator<Item = &'a Self> + Clone) -> Self
    where
        T: std::iter::Sum<T> + 'a,
    {
        Self {
            min: spans.clone().map(|it| it.min).sum(),
            max: spans.map(|it| it.max).sum(),
        }
    }
}

impl Forecast {
    /// The sum of what each post would be.
    pub(super) fn of(source: &str, outlet: &str, each: Vec<Each>) -> Self {
        Self {
            source: source.to_owned(),
            outlet: outlet.to_owned(),
            posts: each.len(),
            parts: Span::sum(each.iter().map(|it| &it.parts)),
            usd: Span::sum(each.iter().map(|it| &it.usd)),
            each,
        }
    }
}

impl fmt::Display for Forecast {
    /// The sum, then the parts of each post where they are known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "forecast {}: {} posts of {}, {} parts, {}",
            self.outlet,
            self.posts,
            self.source,
            self.parts,
            priced(self.usd, PLACES)
        )?;
        for each in &self.each {
            for (index, text) in each.texts.iter().enumerate() {
                let text = text.replace('\n', "\n      ");
                write!(f, "\n  {:>2}. {text}", index + 1)?;
            }
        }
        Ok(())
    }
}

impl<T: fmt::Display + PartialEq> fmt::Display for Span<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max } = self;
        if min == max {
            write!(f, "{min}")
        } else {
            write!(f, "{min} to {max}")
        }
    }
}

/// A price in words, to so many places.
fn priced(usd: Span<f64>, places: usize) -> String {
    let Span { min, max } = usd;
    let is_exact = format!("{min:.places$}") == format!("{max:.places$}");
    match () {
        () if max == 0.0 => "free".to_owned(),
        () if is_exact => format!("{min:.places$} US dollars"),
        () => format!("{min:.places$} to {max:.places$} US dollars"),
    }
}
