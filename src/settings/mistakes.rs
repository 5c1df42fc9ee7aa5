//! What is wrong with the settings, all of it at once.

use std::fmt;

/// Everything that is wrong with the settings; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub(super) Vec<Mistake>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: a file with its line, a variable, an option.
    pub place: String,
    /// What: the key, and what was wanted of it.
    pub what: String,
}

impl Mistakes {
    /// One after the other, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    pub(super) fn one(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self(vec![Mistake {
            place: place.into(),
            what: what.into(),
        }])
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl fmt::Display for Mistakes {
    /// A heading, and a line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("there is a mistake in the settings:")?,
            n_mistakes => write!(f, "there are {n_mistakes} mistakes in the settings:")?,
        }
        for mistake in &self.0 {
            write!(f, "\n  {mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
