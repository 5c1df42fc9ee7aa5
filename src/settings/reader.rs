//! Reads values of the tree one by one, and collects what is wrong with them.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use babelfeed_actors::domain::Language;
use config::{Map, Value, ValueKind};

use super::mistakes::{Mistake, Mistakes};
use super::tree::{Environment, Tree};
use super::units::{parse_duration, parse_size};
use crate::secret::Secret;

/// Reads a tree, and keeps what is wrong with it.
pub(super) struct Reader<'a> {
    tree: &'a Tree,
    environment: &'a Environment,
    mistakes: RefCell<Vec<Mistake>>,
}

/// A table of the tree, whose keys are read one by one.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    table: Option<&'a Map<String, Value>>,
    path: String,
    label: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree, environment: &'a Environment) -> Self {
        Self {
            tree,
            environment,
            mistakes: RefCell::new(tree.mistakes.clone()),
        }
    }

    /// What was wrong, if anything was.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let mut mistakes: Vec<Mistake> = Vec::new();
        for mistake in self.mistakes.into_inner() {
            if !mistakes.contains(&mistake) {
                mistakes.push(mistake);
            }
        }
        if mistakes.is_empty() {
            Ok(())
        } else {
            Err(Mistakes(mistakes))
        }
    }

    /// The top of the tree; any key but `known` is a mistake.
    pub(super) fn top(&'a self, known: &[&str]) -> Section<'a> {
        let section = Section {
            reader: self,
            table: Some(&self.tree.root),
            path: String::new(),
            label: String::new(),
        };
        section.refuse_unknown(known);
        section
    }
}

impl<'a> Section<'a> {
    /// The table below this key; any key in it but `known` is a mistake.
    pub(super) fn section(&self, key: &str, known: &[&str]) -> Section<'a> {
        self.below(self.value(key), key, self.label_of(key), known)
    }

    /// The tables in the list of this key, each called by its name.
    pub(super) fn list(&self, key: &str) -> Vec<Section<'a>> {
        let items = match self.value(key).map(|value| &value.kind) {
            None => return Vec::new(),
            Some(ValueKind::Array(items)) => items,
            Some(_) => {
                self.mistake(key, format!("is no list, expected [[{key}]]"));
                return Vec::new();
            }
        };
        let section = |(index, item): (usize, &'a Value)| {
            let name = match &item.kind {
                ValueKind::Table(table) => table.get("name"),
                _ => None,
            };
            let label = match name.map(|name| &name.kind) {
                Some(ValueKind::String(name)) => format!("{key} {name:?}"),
                _ => format!("{key} {}", index + 1),
            };
            let mut section = self.open(Some(item), label);
            section.path = format!("{key}[{index}]");
            section
        };
        items.iter().enumerate().map(section).collect()
    }

    fn below(
        &self,
        value: Option<&'a Value>,
        key: &str,
        label: String,
        known: &[&str],
    ) -> Section<'a> {
        let mut section = self.open(value, label);
        section.path = self.path_of(key);
        if value.is_some() && section.table.is_none() {
            self.mistake(key, "is no table".to_owned());
        }
        section.refuse_unknown(known);
        section
    }

    fn open(&self, value: Option<&'a Value>, label: String) -> Section<'a> {
        Section {
            reader: self.reader,
            table: match value.map(|value| &value.kind) {
                Some(ValueKind::Table(table)) => Some(table),
                _ => None,
            },
            path: String::new(),
            label,
        }
    }

    /// Notes every key that is not known.
    pub(super) fn refuse_unknown(&self, known: &[&str]) {
        let mut keys: Vec<&String> = self.table.map(|it| it.keys().collect()).unwrap_or_default();
        keys.sort();
        for key in keys {
            if !known.contains(&key.as_str()) {
                self.mistake(key, format!("is unknown, known are {}", known.join(", ")));
            }
        }
    }

    /// The value of a key, or `default` where it is absent or wrong.
    pub(super) fn read<T>(
        &self,
        key: &str,
        default: T,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> T {
        self.optional(key, parse).unwrap_or(default)
    }

    /// The value of a key, or none where it is absent or wrong.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match parse(self.value(key)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.mistake(key, what);
                None
            }
        }
    }

    /// The value of a key that must be there; none where it is absent or wrong.
    pub(super) fn required<T>(
        &self,
        key: &str,
        example: &str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if self.value(key).is_none() {
            self.mistake(
                key,
                format!("is missing, expected something like {example}"),
            );
        }
        self.optional(key, parse)
    }

    /// The path that a key names, made to count from the settings' folder; none if it is empty.
    pub(super) fn path_at(&self, key: &str) -> Option<PathBuf> {
        self.optional(key, text)
            .filter(|written| !written.is_empty())
            .map(|written| self.path(&written))
    }

    /// The secret in the variable that a key names; none if the key is absent or empty.
    ///
    /// The secret itself may stand there by mistake, so only what looks like a name is shown.
    pub(super) fn secret_in_variable(&self, key: &str) -> Option<Secret> {
        let name = self.optional(key, text).filter(|name| !name.is_empty())?;
        match self.reader.environment.get(&name) {
            Some(secret) if !secret.trim().is_empty() => Some(Secret::new(secret.trim())),
            Some(_) => {
                self.mistake(key, format!("the variable {name} is empty"));
                None
            }
            None if is_name_of_variable(&name) => {
                self.mistake(key, format!("the variable {name} is not set"));
                None
            }
            None => {
                let wrong = "is not the name of a variable that is set, expected one like \
                             GROQ_API_KEY, never the secret itself";
                self.mistake(key, wrong.to_owned());
                None
            }
        }
    }

    /// The secret in the variable that a key names, which must be there; none where it is not.
    pub(super) fn required_secret(&self, key: &str, example: &str) -> Option<Secret> {
        self.required(key, example, some_text)?;
        self.secret_in_variable(key)
    }

    /// The secret in the file that a key names; none if the key is absent or empty.
    ///
    /// The secret itself may stand there by mistake, so of what is no file only an absolute path is
    /// shown.
    pub(super) fn secret_in_file(&self, key: &str) -> Option<Secret> {
        let path = self.path_at(key)?;
        let is_written_whole = self
            .peek(key)
            .is_some_and(|it| Path::new(&it).is_absolute());
        match std::fs::read_to_string(&path) {
            Ok(secret) if !secret.trim().is_empty() => Some(Secret::new(secret.trim())),
            Ok(_) => {
                self.mistake(key, format!("the file {} is empty", path.display()));
                None
            }
            Err(error) if is_written_whole || path.symlink_metadata().is_ok() => {
                self.mistake(key, format!("cannot read {}: {error}", path.display()));
                None
            }
            Err(error) => {
                let wrong = format!(
                    "names no file that can be read, seen from the settings' folder, expected the \
                     path of one that holds the secret, never the secret itself: {error}"
                );
                self.mistake(key, wrong);
                None
            }
        }
    }

    /// Notes a key that does not belong where it stands.
    pub(super) fn refuse(&self, key: &str, why: &str) {
        if self.has(key) {
            self.mistake(key, why.to_owned());
        }
    }

    /// The text of a key, where it is one; what is wrong with it is noted elsewhere.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        self.value(key).and_then(|value| text(value).ok())
    }

    /// Whether a key is true; what is wrong with it is noted elsewhere.
    pub(super) fn is_on(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| flag(value) == Ok(true))
    }

    /// A path that counts from the settings' folder.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        self.reader.tree.folder().join(written)
    }

    /// Whether the key is written.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Notes that a key is wrong.
    pub(super) fn mistake(&self, key: &str, what: String) {
        let place = self.reader.tree.place(&self.path_of(key), self.value(key));
        self.reader.mistakes.borrow_mut().push(Mistake {
            place,
            what: format!("{}: {what}", self.label_of(key)),
        });
    }

    /// Notes what is wrong with something that a key names.
    pub(super) fn note(&self, mistakes: Vec<Mistake>) {
        self.reader.mistakes.borrow_mut().extend(mistakes);
    }

    fn value(&self, key: &str) -> Option<&'a Value> {
        self.table?.get(key)
    }

    fn path_of(&self, key: &str) -> String {
        joined(&self.path, key)
    }

    fn label_of(&self, key: &str) -> String {
        joined(&self.label, key)
    }
}

/// Whether a text is in capitals, as most names of variables are and hardly any secret is.
fn is_name_of_variable(text: &str) -> bool {
    let is_of_name = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
    text.starts_with(|first: char| first.is_ascii_uppercase()) && text.bytes().all(is_of_name)
}

fn joined(before: &str, key: &str) -> String {
    if before.is_empty() {
        key.to_owned()
    } else {
        format!("{before}.{key}")
    }
}

/// A text.
pub(super) fn text(value: &Value) -> Result<String, String> {
    match &value.kind {
        ValueKind::String(text) => Ok(text.clone()),
        _ => Err(format!("{} is no text", shown(value))),
    }
}

/// A text that is not empty.
pub(super) fn some_text(value: &Value) -> Result<String, String> {
    text(value).and_then(|text| {
        if text.trim().is_empty() {
            Err("is empty".to_owned())
        } else {
            Ok(text)
        }
    })
}

/// True or false.
pub(super) fn flag(value: &Value) -> Result<bool, String> {
    match value.kind {
        ValueKind::Boolean(truth) => Ok(truth),
        _ => Err(format!("{} is neither true nor false", shown(value))),
    }
}

/// A whole number from `least` on.
pub(super) fn whole(least: u32) -> impl Fn(&Value) -> Result<u32, String> {
    move |value| {
        match value.kind {
            ValueKind::I64(number) => u32::try_from(number).ok(),
            _ => None,
        }
        .filter(|number| *number >= least)
        .ok_or_else(|| {
            format!(
                "{} is no whole number, expected one from {least} on",
                shown(value)
            )
        })
    }
}

/// A number that is not negative.
pub(super) fn amount(value: &Value) -> Result<f64, String> {
    match value.kind {
        ValueKind::I64(number) => Some(number as f64),
        ValueKind::Float(number) => Some(number),
        _ => None,
    }
    .filter(|number| number.is_finite() && *number >= 0.0)
    .ok_or_else(|| format!("{} is no number, expected one from 0 on", shown(value)))
}

/// A duration from `least` on.
pub(super) fn duration(least: Duration) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| {
        let wait = match &value.kind {
            ValueKind::String(text) => parse_duration(text),
            _ => None,
        };
        match wait {
            Some(wait) if wait >= least => Ok(wait),
            Some(_) => Err(format!(
                "{} is too short, expected at least {least:?}",
                shown(value)
            )),
            None => Err(format!(
                "{} is no duration, expected something like \"5m\"",
                shown(value)
            )),
        }
    }
}

/// A number of bytes.
pub(super) fn size(value: &Value) -> Result<u64, String> {
    match &value.kind {
        ValueKind::String(text) => parse_size(text),
        ValueKind::I64(bytes) => u64::try_from(*bytes).ok(),
        _ => None,
    }
    .ok_or_else(|| {
        format!(
            "{} is no size, expected something like \"64MiB\"",
            shown(value)
        )
    })
}

/// A language.
pub(super) fn language(value: &Value) -> Result<Language, String> {
    text(value)?
        .parse()
        .map_err(|error: babelfeed_actors::domain::LanguageError| error.to_string())
}

/// An address of the web, without a slash at its end.
///
/// Addresses may bear secrets, so a wrong one is not shown.
pub(super) fn address(value: &Value) -> Result<String, String> {
    let written = text(value)?;
    let is_address = url::Url::parse(&written)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_address {
        Ok(written)
    } else {
        Err("is no address, expected something like \"https://example.org\"".to_owned())
    }
}

/// An address of a web socket.
pub(super) fn socket_address(value: &Value) -> Result<String, String> {
    let written = text(value)?;
    let is_address = url::Url::parse(&written)
        .is_ok_and(|url| matches!(url.scheme(), "ws" | "wss") && url.has_host());
    if is_address {
        Ok(written)
    } else {
        Err(
            "is no address of a web socket, expected something like \"wss://example.org\""
                .to_owned(),
        )
    }
}

/// One of several words, each with what it means.
pub(super) fn choice<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        let wanted = match &value.kind {
            ValueKind::String(text) => text.as_str(),
            _ => "",
        };
        let found = words.iter().find(|(word, _)| *word == wanted);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("{} is none of {}", shown(value), known.join(", "))
        })
    }
}

/// One of several kinds, some of which only other builds have.
pub(super) fn kind<T: Copy>(
    available: &[(&str, T)],
    others: &[&str],
) -> impl Fn(&Value) -> Result<T, String> {
    move |value| {
        choice(available)(value).map_err(|unknown| {
            let known: Vec<&str> = available.iter().map(|(word, _)| *word).collect();
            match &value.kind {
                ValueKind::String(text) if others.contains(&text.as_str()) => format!(
                    "kind `{text}` is not available in this build; available: {}",
                    known.join(", ")
                ),
                _ => unknown,
            }
        })
    }
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Result<Vec<String>, String> {
    match &value.kind {
        ValueKind::Array(items) => items.iter().map(text).collect(),
        _ => Err(format!("{} is no list of texts", shown(value))),
    }
}

/// A value as a mistake shows it: short, and on one line.
pub(super) fn shown(value: &Value) -> String {
    let text = match &value.kind {
        ValueKind::Table(_) => return "a table".to_owned(),
        ValueKind::Array(_) => return "a list".to_owned(),
        ValueKind::Nil => return "nothing".to_owned(),
        kind => kind.to_string(),
    };
    let mut short: String = text
        .chars()
        .filter(|it| !it.is_control())
        .take(60)
        .collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}
