//! What X is asked for, so that it shows the posts of accounts.

use super::{LeftOut, XConfig};

/// The most characters of a search.
pub(super) const MAX_QUERY: usize = 512;
/// The most characters of a rule of the stream.
pub(super) const MAX_RULE: usize = 1_024;

/// The names of the accounts, as they are compared.
pub(super) fn names(config: &XConfig) -> Vec<String> {
    let names = config.accounts.iter();
    names
        .map(|name| name.trim_start_matches('@').to_lowercase())
        .collect()
}

/// What a timeline leaves out.
pub(super) fn left_out(config: &XConfig) -> Option<String> {
    let words = config.left_out.iter().map(|it| match it {
        LeftOut::Replies => "replies",
        LeftOut::Reposts => "retweets",
    });
    let words: Vec<&str> = words.collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// Searches for the posts of these accounts, each at most so long.
pub(super) fn queries(config: &XConfig, names: &[String], most: usize) -> Vec<String> {
    let ending: String = config
        .left_out
        .iter()
        .map(|it| match it {
            LeftOut::Replies => " -is:reply",
            LeftOut::Reposts => " -is:retweet",
        })
        .collect();
    let room = most - ending.len() - "()".len();
    let mut queries: Vec<String> = Vec::new();
    for name in names {
        let word = format!("from:{name}");
        match queries.last_mut() {
            Some(query) if query.len() + " OR ".len() + word.len() <= room => {
                query.push_str(" OR ");
                query.push_str(&word);
            }
            _ => queries.push(word),
        }
    }
    let whole = queries.iter().map(|query| format!("({query}){ending}"));
    whole.collect()
}
