//! Answers as language models break them.

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::chat::Finish;

/// How an answer is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Breakage {
    /// One text is missing.
    Missing,
    /// One text comes twice, the second time with the words of another.
    Doubled,
    /// One text comes with an id that nobody asked for.
    UnknownId,
    /// Two texts come as one.
    Merged,
    /// The texts come in another order, with their ids.
    Reordered,
    /// The answer ends in its midst.
    Truncated,
    /// The answer stands between fences.
    Fenced,
    /// The answer stands between sentences.
    Prose,
}

impl Breakage {
    /// Every one.
    pub(crate) const ALL: [Self; 8] = [
        Self::Missing,
        Self::Doubled,
        Self::UnknownId,
        Self::Merged,
        Self::Reordered,
        Self::Truncated,
        Self::Fenced,
        Self::Prose,
    ];
}

/// One translated text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Translated {
    /// The id that it was asked with.
    pub(super) id: String,
    /// The translation.
    pub(super) text: String,
}

#[derive(Serialize)]
struct Content<'a> {
    items: &'a [Translated],
}

/// Returns the content of an answer that is broken so, and how it ends.
pub(super) fn content(
    breakage: Breakage,
    mut items: Vec<Translated>,
    rng: &mut Rng,
) -> (String, Finish) {
    let at = rng.usize(..items.len().max(1));
    match breakage {
        Breakage::Missing => drop(items.drain(at..(at + 1).min(items.len()))),
        Breakage::Doubled => double(&mut items, at),
        Breakage::UnknownId => {
            if let Some(item) = items.get_mut(at) {
                item.id.insert_str(0, "no-");
            }
        }
        Breakage::Merged => merge(&mut items, at),
        Breakage::Reordered => rng.shuffle(&mut items),
        Breakage::Truncated | Breakage::Fenced | Breakage::Prose => {}
    }
    let whole = json(&items);
    match breakage {
        Breakage::Truncated => (cut(&whole, rng.usize(..whole.len())), Finish::Length),
        Breakage::Fenced => (format!("```json\n{whole}\n```"), Finish::Stop),
        Breakage::Prose => (
            format!("Here are the translations:\n\n{whole}\n\nIs there anything else?"),
            Finish::Stop,
        ),
        _ => (whole, Finish::Stop),
    }
}

/// Returns the beginning of a content that had to end after so many bytes.
pub(super) fn cut(content: &str, n_bytes: usize) -> String {
    let end = (0..=n_bytes.min(content.len()))
        .rev()
        .find(|end| content.is_char_boundary(*end));
    content[..end.unwrap_or(0)].to_owned()
}

fn double(items: &mut Vec<Translated>, at: usize) {
    let Some(item) = items.get(at) else {
        return;
    };
    let other = &items[(at + 1) % items.len()];
    let again = Translated {
        id: item.id.clone(),
        text: other.text.clone(),
    };
    items.push(again);
}

fn merge(items: &mut Vec<Translated>, at: usize) {
    if items.len() < 2 {
        return items.clear();
    }
    let gone = items.remove((at + 1) % items.len());
    let kept = at.min(items.len() - 1);
    items[kept].text = format!("{} {}", items[kept].text, gone.text);
}

fn json(items: &[Translated]) -> String {
    serde_json::to_string(&Content { items }).expect("strings alone always become JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(n: usize) -> Vec<Translated> {
        (0..n)
            .map(|n| Translated {
                id: n.to_string(),
                text: format!("texto {n}"),
            })
            .collect()
    }

    /// Returns the ids and texts of an answer that is JSON.
    fn read(content: &str) -> Vec<(String, String)> {
        let value: serde_json::Value = serde_json::from_str(content).unwrap();
        let items = value["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let field = |name: &str| item[name].as_str().unwrap().to_owned();
                (field("id"), field("text"))
            })
            .collect()
    }

    fn broken(breakage: Breakage, n: usize) -> (String, Finish) {
        content(breakage, items(n), &mut Rng::with_seed(7))
    }

    #[test]
    fn missing_and_merged_answers_have_one_text_less() {
        assert_eq!(read(&broken(Breakage::Missing, 5).0).len(), 4);
        let merged = read(&broken(Breakage::Merged, 5).0);
        assert_eq!(merged.len(), 4);
        let n_words = |text: &str| text.matches("texto").count();
        assert_eq!(
            merged.iter().map(|(_, text)| n_words(text)).sum::<usize>(),
            5
        );
    }

    #[test]
    fn a_doubled_id_bears_the_words_of_another_text() {
        let doubled = read(&broken(Breakage::Doubled, 5).0);

        let (id, text) = doubled.last().unwrap();
        assert_eq!(doubled.iter().filter(|(other, _)| other == id).count(), 2);
        assert_ne!(text, &format!("texto {id}"));
    }

    #[test]
    fn a_reordered_answer_keeps_each_text_with_its_id() {
        let reordered = read(&broken(Breakage::Reordered, 9).0);

        assert!(
            reordered
                .iter()
                .all(|(id, text)| *text == format!("texto {id}"))
        );
        assert!(!reordered.iter().map(|(id, _)| id).is_sorted());
    }

    #[test]
    fn a_truncated_answer_says_that_it_was_cut() {
        let (content, finish) = broken(Breakage::Truncated, 5);

        assert_eq!(finish, Finish::Length);
        assert!(serde_json::from_str::<serde_json::Value>(&content).is_err());
    }

    #[test]
    fn every_breakage_of_a_single_text_is_an_answer() {
        for breakage in Breakage::ALL {
            for n in 0..2 {
                let (content, _) = broken(breakage, n);
                assert!(content.len() < 200, "{breakage:?}: {content}");
            }
        }
    }

    #[test]
    fn a_cut_keeps_characters_whole() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aé", 9), "aé");
    }
}
