//! The texts that the command line hands over: one, or a file of them.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::options::ExitError;

/// Where texts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The command line.
    Text(String),
    /// A file or standard input, a text a line.
    Lines(PathBuf),
    /// A file, a JSON value a line.
    JsonLines(PathBuf),
}

/// One line, with its number from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number, from 1.
    pub(super) number: usize,
    /// What stands in it.
    pub(super) text: String,
}

impl Input {
    /// What the two arguments mean together.
    pub(super) fn new(text: Option<&str>, file: Option<&Path>) -> anyhow::Result<Self> {
        match (text, file) {
            (Some(text), None) => Ok(Self::Text(text.to_owned())),
            (None, Some(file)) => Ok(Self::of_file(file)),
            _ => Err(ExitError::usage("expected a text, or `--file` with a name").into()),
        }
    }

    fn of_file(file: &Path) -> Self {
        let is_json = file
            .extension()
            .is_some_and(|extension| extension == "jsonl" || extension == "ndjson");
        match is_json {
            true => Self::JsonLines(file.to_owned()),
            false => Self::Lines(file.to_owned()),
        }
    }

    /// Whether a JSON value stands in every line.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Self::JsonLines(_))
    }

    /// The lines that have a word in them.
    pub(super) fn lines(
        &self,
    ) -> anyhow::Result<Box<dyn Iterator<Item = io::Result<Line>> + Send>> {
        let path = match self {
            Self::Text(text) => {
                let line = Line {
                    number: 1,
                    text: text.clone(),
                };
                return Ok(Box::new(std::iter::once(Ok(line))));
            }
            Self::Lines(path) | Self::JsonLines(path) => path,
        };
        if path.as_os_str() == "-" {
            return Ok(Box::new(numbered(BufReader::new(io::stdin()))));
        }
        let file =
            File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Box::new(numbered(BufReader::new(file))))
    }
}

fn numbered(reader: impl BufRead) -> impl Iterator<Item = io::Result<Line>> {
    (1..)
        .zip(reader.lines())
        .map(|(number, text)| text.map(|text| Line { number, text }))
        .filter(|line| {
            line.as_ref()
                .map_or(true, |line| !line.text.trim().is_empty())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_keep_their_number_to_themselves() {
        let lines: Result<Vec<Line>, _> = numbered(&b"one\n\n \nfour\n"[..]).collect();
        let numbers: Vec<usize> = lines
            .expect("lines")
            .iter()
            .map(|line| line.number)
            .collect();
        assert_eq!(numbers, [1, 4]);
    }

    #[test]
    fn the_name_of_a_file_says_what_is_in_it() {
        let file = |name: &str| Input::new(None, Some(Path::new(name))).expect("an input");
        assert!(file("a.jsonl").is_json());
        assert!(!file("a.txt").is_json());
        assert!(!file("-").is_json());
        assert!(Input::new(None, None).is_err());
        assert!(Input::new(Some("a"), Some(Path::new("b"))).is_err());
    }
}
