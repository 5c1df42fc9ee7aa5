//! The body of a submission, parsed straight into what the actors take.

use std::cell::RefCell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Class, Language, Origin};
use babelfeed_actors::messages::Submission;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::OutletRoute;
use super::client::Client;
use super::problem::Problem;

/// The largest text that is taken, in bytes.
pub(super) const MAX_TEXT: usize = 100 << 10;
/// The longest key that is taken, in bytes.
const MAX_KEY: usize = 1 << 10;
/// The most targets of one request.
const MAX_TARGETS: usize = 255;
/// The most tags that a thread remembers.
const MAX_TAGS: usize = 64;

/// The body of `POST /v1/requests`, and one line of its stream.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubmitBody {
    text: Text,
    targets: Targets,
    source: Option<Tag>,
    key: Option<Text>,
    priority: Option<Priority>,
    #[serde(default)]
    publish: bool,
    context: Option<Text>,
    deadline_ms: Option<NonZeroU64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Priority {
    High,
    Normal,
    Low,
}

impl SubmitBody {
    /// What the actors take, or what is wrong with it.
    pub(super) fn into_submission(
        self,
        outlets: &[OutletRoute],
        client: Client,
    ) -> Result<Submission, Problem> {
        check_text(&self.text.0)?;
        if let Some(context) = &self.context {
            check_size("context", &context.0, MAX_TEXT)?;
        }
        if let Some(key) = &self.key {
            check_size("key", &key.0, MAX_KEY)?;
        }
        if self.key.as_ref().is_some_and(|key| key.0.is_empty()) {
            return Err(Problem::malformed(
                "`key` is empty, expected an id of your own, or none",
            ));
        }
        if self.publish {
            check_outlets(&self.targets.0, outlets)?;
        }
        Ok(Submission {
            origin: Origin::Client {
                key: self.key.map(|key| key.0),
            },
            text: self.text.0,
            source: self.source.map(|tag| tag.0),
            targets: self.targets.0,
            revised: Vec::new(),
            flow: client.flow(),
            class: self.priority.map_or(Class::Normal, Priority::class),
            publish: self.publish,
            context: self.context.map(|context| context.0),
            url: None,
            author: None,
            attached: None,
            deadline: self.deadline_ms.map(|ms| Duration::from_millis(ms.get())),
        })
    }
}

impl Priority {
    const fn class(self) -> Class {
        match self {
            Self::High => Class::High,
            Self::Normal => Class::Normal,
            Self::Low => Class::Low,
        }
    }
}

/// Refuses a text that is empty or too large.
pub(super) fn check_text(text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::malformed(
            "`text` is empty, expected something to translate",
        ));
    }
    check_size("text", text, MAX_TEXT)
}

fn check_size(field: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.len() > most {
        return Err(Problem::too_large(format!(
            "`{field}` has {} bytes, expected at most {most}",
            text.len()
        )));
    }
    Ok(())
}

fn check_outlets(targets: &[Language], outlets: &[OutletRoute]) -> Result<(), Problem> {
    let homeless = |target: &&Language| !outlets.iter().any(|outlet| outlet.takes(target));
    match targets.iter().find(homeless) {
        None => Ok(()),
        Some(target) => Err(Problem::impossible(format!(
            "no outlet publishes requests in `{target}`, expected one in the settings or `publish` false"
        ))),
    }
}

/// A text that is copied once, from the body into its own allocation.
pub(super) struct Text(pub(super) Arc<str>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.into()))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// A language tag.
pub(super) struct Tag(pub(super) Language);

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagVisitor;
        impl Visitor<'_> for TagVisitor {
            type Value = Tag;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a language tag like `en`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Tag, E> {
                language(text).map(Tag).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TagVisitor)
    }
}

/// The language of a tag; the tags seen last are remembered, because parsing them costs more
/// than all else in a short submission.
fn language(tag: &str) -> Result<Language, babelfeed_actors::domain::LanguageError> {
    thread_local! {
        static SEEN: RefCell<Vec<(Box<str>, Language)>> = const { RefCell::new(Vec::new()) };
    }
    SEEN.with_borrow_mut(|seen| {
        if let Some((_, language)) = seen.iter().find(|(known, _)| &**known == tag) {
            return Ok(language.clone());
        }
        let language: Language = tag.parse()?;
        if seen.len() == MAX_TAGS {
            seen.remove(0);
        }
        seen.push((tag.into(), language.clone()));
        Ok(language)
    })
}

/// The languages wanted, each once, in the order in which they were first named.
struct Targets(Vec<Language>);

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TargetsVisitor;
        impl<'de> Visitor<'de> for TargetsVisitor {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`targets` to be 1 to 255 language tags")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut tags: A) -> Result<Targets, A::Error> {
                let mut targets = Vec::with_capacity(2);
                while let Some(Tag(language)) = tags.next_element()? {
                    if targets.contains(&language) {
                        continue;
                    }
                    if targets.len() == MAX_TARGETS {
                        return Err(A::Error::invalid_length(MAX_TARGETS + 1, &self));
                    }
                    targets.push(language);
                }
                if targets.is_empty() {
                    return Err(A::Error::invalid_length(0, &self));
                }
                Ok(Targets(targets))
            }
        }
        deserializer.deserialize_seq(TargetsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::domain::REQUESTS;

    use super::*;
    use crate::control::body::parse;

    fn submission(json: &str) -> Result<Submission, Problem> {
        let outlet = OutletRoute {
            language: "es".parse().expect("a tag"),
            from: Some(vec!["news".into(), REQUESTS.into()]),
        };
        let closed = OutletRoute {
            language: "fr".parse().expect("a tag"),
            from: Some(vec!["news".into()]),
        };
        parse::<SubmitBody>(json.as_bytes())?.into_submission(&[outlet, closed], Client::default())
    }

    #[test]
    fn a_full_body_keeps_everything_it_says() {
        let json = r#"{"text":"Good \"day\"","targets":["es","ES","pt-br"],"source":"en","key":"k",
            "priority":"high","publish":false,"context":"a letter","deadline_ms":1500}"#;
        let submission = submission(json).expect("a good body");
        assert_eq!(&*submission.text, "Good \"day\"");
        let targets: Vec<_> = submission.targets.iter().map(Language::as_str).collect();
        assert_eq!(targets, ["es", "pt-BR"]);
        assert_eq!(submission.class, Class::High);
        assert_eq!(submission.deadline, Some(Duration::from_millis(1500)));
        assert_eq!(submission.flow, Client::default().flow());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_was_wanted() {
        let long = "x".repeat(MAX_TEXT + 1);
        let many: Vec<String> = (0..256)
            .map(|n| {
                format!(
                    "\"a{}{}\"",
                    (b'a' + (n / 26) as u8) as char,
                    (b'a' + (n % 26) as u8) as char
                )
            })
            .collect();
        let cases = [
            (
                r#"{"text":" ","targets":["es"]}"#.into(),
                400,
                "`text` is empty",
            ),
            (r#"{"text":"a","targets":[]}"#.into(), 400, "1 to 255"),
            (
                format!(r#"{{"text":"a","targets":[{}]}}"#, many.join(",")),
                400,
                "1 to 255",
            ),
            (
                r#"{"text":"a","targets":["english!"]}"#.into(),
                400,
                "`english!`",
            ),
            (
                r#"{"text":"a","targets":["es"],"source":"?"}"#.into(),
                400,
                "`?`",
            ),
            (
                r#"{"text":"a","targets":["es"],"colour":1}"#.into(),
                400,
                "`colour`",
            ),
            (
                r#"{"text":"a","targets":["es"],"deadline_ms":0}"#.into(),
                400,
                "nonzero",
            ),
            (
                r#"{"text":"a","targets":["es"],"priority":"urgent"}"#.into(),
                400,
                "`urgent`",
            ),
            (r#"{"targets":["es"]}"#.into(), 400, "`text`"),
            (
                r#"{"text":"a","targets":["es"],"key":""}"#.into(),
                400,
                "`key`",
            ),
            (
                format!(r#"{{"text":"{long}","targets":["es"]}}"#),
                413,
                "at most 102400",
            ),
            (
                r#"{"text":"a","targets":["es","fr"],"publish":true}"#.into(),
                422,
                "`fr`",
            ),
            ("[".into(), 400, "EOF"),
            (" ".into(), 400, "empty"),
        ];
        for (json, status, wanted) in cases {
            let json: String = json;
            let problem = submission(&json).expect_err("a bad body");
            assert_eq!(problem.status(), status, "{json:.80}");
            assert!(
                problem.to_string().contains(wanted),
                "{problem} lacks {wanted}"
            );
        }
    }

    #[test]
    fn an_outlet_that_names_requests_takes_them() {
        let json = r#"{"text":"a","targets":["es"],"publish":true}"#;
        assert!(submission(json).expect("an outlet").publish);
    }
}
