//! How long a translation may be where it is published.

/// What a text is told that is asked for again because its translation did not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// The most that it may measure, beside its protected spans.
    pub most: usize,
    /// What the translation measured that was too long.
    pub had: usize,
    /// How characters are counted there.
    pub counting: Counting,
}

/// How a network counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Each counts one.
    Single,
    /// Letters of Chinese, Japanese and Korean, and emoji, count two.
    Double,
}
