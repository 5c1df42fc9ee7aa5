//! Reads twitter-text's conformance files: as much of YAML as they are written in.

use std::path::Path;

/// Where the files are, if they are: beside the repository.
const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/conformance/twitter-text"
);

#[derive(Debug)]
pub(super) struct Case {
    pub(super) group: String,
    pub(super) description: String,
    pub(super) text: String,
    pub(super) expected: Expected,
}

#[derive(Debug)]
pub(super) enum Expected {
    Texts(Vec<String>),
    Indices(Vec<[usize; 2]>),
    Weighted { length: usize, valid: bool },
    Other,
}

/// The cases of a file; none where it is not present.
pub(super) fn read(file: &str) -> Option<Vec<Case>> {
    let text = std::fs::read_to_string(Path::new(FOLDER).join(file)).ok()?;
    let mut group = String::new();
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim();
        match key.trim_start() {
            "- description" => cases.push(Case {
                group: group.clone(),
                description: value.to_owned(),
                text: String::new(),
                expected: Expected::Other,
            }),
            name if key.len() == name.len() + 2 && !line.trim().is_empty() => {
                group = name.to_owned();
            }
            key => {
                if let Some(case) = cases.last_mut() {
                    case.note(key, value);
                }
            }
        }
    }
    Some(cases)
}

impl Case {
    fn note(&mut self, key: &str, value: &str) {
        match (key, &mut self.expected) {
            ("text", _) => self.text = strings(value).remove(0),
            ("expected", _) if value.starts_with('[') => {
                self.expected = Expected::Texts(strings(value));
            }
            ("indices", Expected::Indices(all)) => all.push(pair(value)),
            ("indices", expected) => *expected = Expected::Indices(vec![pair(value)]),
            ("weightedLength", expected) => {
                let length = value.parse().expect("a length");
                *expected = Expected::Weighted {
                    length,
                    valid: false,
                };
            }
            ("valid", Expected::Weighted { valid, .. }) => *valid = value == "true",
            _ => {}
        }
    }
}

/// The quoted strings of a value.
fn strings(value: &str) -> Vec<String> {
    let mut strings = Vec::new();
    let mut characters = value.chars();
    while characters.by_ref().any(|character| character == '"') {
        let mut string = String::new();
        while let Some(character) = characters.next().filter(|&character| character != '"') {
            string.push(match character {
                '\\' => escaped(&mut characters),
                _ => character,
            });
        }
        strings.push(string);
    }
    strings
}

fn escaped(characters: &mut std::str::Chars<'_>) -> char {
    let n_digits = match characters.next() {
        Some('n') => return '\n',
        Some('u') => 4,
        Some('U') => 8,
        other => return other.expect("what is escaped"),
    };
    let digits: String = characters.by_ref().take(n_digits).collect();
    let code = u32::from_str_radix(&digits, 16).expect("hexadecimal digits");
    char::from_u32(code).expect("a code point")
}

fn pair(value: &str) -> [usize; 2] {
    let mut numbers = value
        .trim_matches(['[', ']'])
        .split(',')
        .map(|number| number.trim().parse().expect("a number"));
    [numbers.next(), numbers.next()].map(|number| number.expect("two numbers"))
}
