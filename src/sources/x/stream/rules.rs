//! The rules of an app's stream: each bears the names of the sources that it is for.

use std::collections::BTreeMap;
use std::rc::Rc;

use actix_web::web::Bytes;
use babelfeed_actors::domain::SourceName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Failure, Member, Shared};
use crate::x::answer::{Refusal, refusal};
use crate::x::{Content, Question};

const RULES: &str = "/2/tweets/search/stream/rules";
/// The first word of what our rules are called.
const OURS: &str = "babelfeed";

#[derive(Default, Deserialize)]
struct Rules {
    #[serde(default)]
    data: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    value: String,
    #[serde(default)]
    tag: String,
}

/// The rules of these sources by their values, of which X takes each once, and what each is
/// called: by the names of all whose it is.
fn wanted(members: &[Rc<Member>]) -> BTreeMap<&str, String> {
    let mut wanted = BTreeMap::new();
    for member in members {
        for value in &member.rules {
            let tag = wanted.entry(value.as_str()).or_insert(OURS.to_owned());
            tag.push(' ');
            tag.push_str(member.name.as_str());
        }
    }
    wanted
}

/// Whether a rule that is called so is one of that source.
pub(super) fn is_of(tag: &str, name: &SourceName) -> bool {
    let mut words = tag.split(' ');
    words.next() == Some(OURS) && words.any(|word| word == name.as_str())
}

impl Shared {
    /// Makes our rules those of the sources that listen; those of other programs stay.
    pub(super) async fn settle_rules(&self) -> Result<(), Failure> {
        while !self.has_rules.get() {
            // Whoever comes or goes meanwhile says so again.
            self.has_rules.set(true);
            self.set_rules()
                .await
                .inspect_err(|_| self.has_rules.set(false))?;
        }
        Ok(())
    }

    async fn set_rules(&self) -> Result<(), Failure> {
        let members = self.listening();
        let wanted = wanted(&members);
        let standing: Rules = self.ask(Question::get(RULES, &[])).await?;
        let is_ours = |rule: &Rule| rule.tag.split(' ').next() == Some(OURS);
        let is_wanted = |rule: &Rule| wanted.get(&*rule.value) == Some(&rule.tag);
        let (spent, kept): (Vec<&Rule>, Vec<&Rule>) = standing
            .data
            .iter()
            .partition(|rule| is_ours(rule) && !is_wanted(rule));
        let stands = |value: &str| kept.iter().any(|rule| rule.value == value);
        let missing = wanted.iter().filter(|(value, _)| !stands(value));
        let missing: Vec<(&&str, &String)> = missing.collect();
        if !spent.is_empty() {
            let ids: Vec<&str> = spent.iter().map(|rule| rule.id.as_str()).collect();
            self.change_rules(&json!({"delete": {"ids": ids}})).await?;
        }
        if missing.is_empty() {
            return Ok(());
        }
        let added: Vec<Value> = missing
            .iter()
            .map(|(value, tag)| json!({"value": value, "tag": tag}))
            .collect();
        self.change_rules(&json!({"add": added})).await?;
        // What came before they stood was not told.
        for member in &members {
            if missing.iter().any(|(_, tag)| is_of(tag, &member.name)) {
                member.is_heard.set(false);
            }
        }
        Ok(())
    }

    async fn change_rules(&self, change: &Value) -> Result<(), Failure> {
        let body = Content::Json(Bytes::from(change.to_string()));
        self.ask::<Value>(Question::post(RULES, body))
            .await
            .map(drop)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        question: Question<'_>,
    ) -> Result<T, Failure> {
        let answer = self.api.call(question).await;
        let response = answer.map_err(|error| Failure::Broken(error.to_string()))?;
        if response.is_success() {
            let read = serde_json::from_slice(&response.body);
            return read.map_err(|error| Failure::Refused(format!("unreadable rules: {error}")));
        }
        let (refusal, detail) = refusal(&response, |text| self.api.without_secrets(text));
        Err(match refusal {
            Refusal::Busy(_) => Failure::Busy(detail),
            _ => Failure::Refused(detail),
        })
    }
}
