//! Which answer belongs to which text of a pack.

use std::sync::Arc;

use foldhash::HashMap;

use crate::logic::estimate::Ending;

/// What became of every text of a pack; each stands in `good` or in `broken`, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The translations, with the positions of their texts.
    pub good: Vec<(usize, Arc<str>)>,
    /// The positions of the texts that have none.
    pub broken: Vec<(usize, Broken)>,
    /// How many answers bear an id that was never sent.
    pub unknown: usize,
}

/// Why a text of a pack has no translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Broken {
    /// No answer bears its id.
    #[error("an answer with the text's id was wanted, none came")]
    Missing,
    /// More than one answer bears its id, so it cannot be told which is meant.
    #[error("one answer with the text's id was wanted, several came")]
    Doubled,
    /// Its answer has nothing in it.
    #[error("a translation was wanted, an empty one came")]
    Empty,
    /// The text beside it has no answer, so that its own may hold both.
    #[error("an answer to one text was wanted, it may hold the missing one beside it")]
    Merged,
    /// The answer was cut off before it, and has nothing of any text behind it.
    #[error("a whole answer was wanted, it was cut off before this text")]
    Cut,
}

/// Matches answers to the ids that were sent, by id alone.
///
/// A text without words is never sent, so an empty translation is always broken. Models merge
/// neighbours, so beside a text that is missing nothing is proven, unless the answer was cut off
/// before it, or each text has a place of its own there.
pub fn check(
    ids: &[Arc<str>],
    answered: impl IntoIterator<Item = (Arc<str>, String)>,
    ending: Ending,
) -> Checked {
    let positions: HashMap<&str, usize> = ids
        .iter()
        .enumerate()
        .map(|(position, id)| (&**id, position))
        .collect();
    let mut results: Vec<Result<String, Broken>> = vec![Err(Broken::Missing); ids.len()];
    let mut checked = Checked::default();
    for (id, text) in answered {
        let Some(&position) = positions.get(&*id) else {
            checked.unknown += 1;
            continue;
        };
        let result = &mut results[position];
        *result = match result {
            Err(Broken::Missing) if text.trim().is_empty() => Err(Broken::Empty),
            Err(Broken::Missing) => Ok(text),
            _ => Err(Broken::Doubled),
        };
    }
    if ending == Ending::Cut {
        note_cut(&mut results);
    }
    if ending != Ending::InPlace {
        doubt_neighbours(&mut results);
    }
    for (position, result) in results.into_iter().enumerate() {
        match result {
            Ok(text) => checked.good.push((position, text.into())),
            Err(broken) => checked.broken.push((position, broken)),
        }
    }
    checked
}

/// Notes which texts an answer that was cut off did not come to: those behind the last it has
/// something of. One that is missing before it was left out, however the answer ended.
fn note_cut(results: &mut [Result<String, Broken>]) {
    let is_there = |result: &Result<String, Broken>| *result != Err(Broken::Missing);
    let n_reached = results
        .iter()
        .rposition(is_there)
        .map_or(0, |last| last + 1);
    results[n_reached..].fill(Err(Broken::Cut));
}

/// Takes no text for proven that may hold the one beside it.
fn doubt_neighbours(results: &mut [Result<String, Broken>]) {
    let is_gone =
        |result: &Result<String, Broken>| matches!(result, Err(Broken::Missing | Broken::Empty));
    let gone: Vec<bool> = results.iter().map(is_gone).collect();
    let n_texts = gone.len();
    for (position, result) in results.iter_mut().enumerate() {
        // The last text is beside the first: merged answers were seen to go round as well.
        let before = gone[(position + n_texts - 1) % n_texts];
        let after = gone[(position + 1) % n_texts];
        if result.is_ok() && (before || after) {
            *result = Err(Broken::Merged);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_all(ids: &[&str], answered: &[(&str, &str)]) -> Checked {
        check_ended(ids, answered, Ending::Whole)
    }

    fn check_ended(ids: &[&str], answered: &[(&str, &str)], ending: Ending) -> Checked {
        let ids: Vec<Arc<str>> = ids.iter().map(|&id| id.into()).collect();
        let answered = answered.iter();
        let answered = answered.map(|&(id, text)| (id.into(), text.to_owned()));
        check(&ids, answered, ending)
    }

    #[test]
    fn answers_out_of_order_find_their_texts() {
        let checked = check_all(&["1", "2"], &[("2", "dos"), ("1", "uno")]);
        assert_eq!(checked.good, [(0, "uno".into()), (1, "dos".into())]);
        assert!(checked.broken.is_empty());
    }

    #[test]
    fn the_ends_of_a_pack_are_beside_each_other() {
        let merged = [("2", "dos"), ("3", "tres"), ("4", "cuatro uno")];
        let checked = check_all(&["1", "2", "3", "4"], &merged);
        assert_eq!(checked.good, [(2, "tres".into())]);
    }

    #[test]
    fn a_doubled_id_makes_all_its_answers_broken() {
        let answered = [
            ("1", "uno"),
            ("1", ""),
            ("2", " "),
            ("1", "uno"),
            ("7", "?"),
        ];
        let checked = check_all(&["1", "2", "3"], &answered);
        let broken = [
            (0, Broken::Doubled),
            (1, Broken::Empty),
            (2, Broken::Missing),
        ];
        assert_eq!(checked.broken, broken);
        assert_eq!(checked.unknown, 1);
        assert!(checked.good.is_empty());
    }

    #[test]
    fn beside_a_missing_text_nothing_is_proven() {
        let answered = [
            ("1", "uno"),
            ("2", "dos y tres"),
            ("4", "cuatro"),
            ("5", "cinco"),
        ];
        let checked = check_all(&["1", "2", "3", "4", "5"], &answered);
        assert_eq!(checked.good, [(0, "uno".into()), (4, "cinco".into())]);
        let broken = [
            (1, Broken::Merged),
            (2, Broken::Missing),
            (3, Broken::Merged),
        ];
        assert_eq!(checked.broken, broken);
    }

    #[test]
    fn before_the_cut_everything_is_proven() {
        let checked = check_ended(&["1", "2", "3"], &[("1", "uno")], Ending::Cut);
        assert_eq!(checked.good, [(0, "uno".into())]);
        assert_eq!(checked.broken, [(1, Broken::Cut), (2, Broken::Cut)]);
        let nothing = check_ended(&["1", "2"], &[], Ending::Cut);
        assert_eq!(nothing.broken, [(0, Broken::Cut), (1, Broken::Cut)]);
    }

    #[test]
    fn beside_a_text_that_is_missing_before_the_cut_nothing_is_proven() {
        let ids = ["1", "2", "3", "4", "5", "6", "7"];
        let answered = [
            ("5", "cinco"),
            ("1", "uno y dos"),
            ("3", "tres"),
            ("4", "cuatro"),
        ];
        let checked = check_ended(&ids, &answered, Ending::Cut);
        assert_eq!(checked.good, [(3, "cuatro".into()), (4, "cinco".into())]);
        let broken = [
            (0, Broken::Merged),
            (1, Broken::Missing),
            (2, Broken::Merged),
            (5, Broken::Cut),
            (6, Broken::Cut),
        ];
        assert_eq!(checked.broken, broken);
    }

    #[test]
    fn of_a_cut_pack_that_was_answered_from_behind_nothing_is_proven_beside_its_gap() {
        let answered = [("4", "cuatro"), ("3", "tres"), ("2", "")];
        let checked = check_ended(&["1", "2", "3", "4"], &answered, Ending::Cut);
        let broken = [
            (0, Broken::Missing),
            (1, Broken::Empty),
            (2, Broken::Merged),
            (3, Broken::Merged),
        ];
        assert_eq!(checked.broken, broken);
    }

    #[test]
    fn beside_a_missing_text_all_is_proven_that_has_a_place_of_its_own() {
        let answered = [("1", "uno"), ("3", "tres")];
        let checked = check_ended(&["1", "2", "3"], &answered, Ending::InPlace);
        assert_eq!(checked.good, [(0, "uno".into()), (2, "tres".into())]);
        assert_eq!(checked.broken, [(1, Broken::Missing)]);
    }

    proptest! {
        #[test]
        fn nothing_is_ever_attributed_to_another_id(
            n_sent in 0_usize..8,
            answered in prop::collection::vec(("[0-9 ]{1,2}", "[a ]{0,2}"), 0..24),
        ) {
            let ids: Vec<Arc<str>> = (0..n_sent).map(|id| id.to_string().into()).collect();
            let tagged = answered.iter().enumerate().map(|(serial, (id, text))| {
                let text = if text.trim().is_empty() { String::new() } else { format!("{id}|{serial}") };
                (Arc::from(&**id), text)
            });
            let checked = check(&ids, tagged, Ending::Whole);
            prop_assert_eq!(checked.good.len() + checked.broken.len(), n_sent);
            for (position, text) in &checked.good {
                let (id, _) = text.split_once('|').expect("tagged");
                prop_assert_eq!(id, &*ids[*position]);
                prop_assert_eq!(answered.iter().filter(|(other, _)| other == id).count(), 1);
            }
            for (position, broken) in &checked.broken {
                let count = answered.iter().filter(|(id, _)| **id == *ids[*position]).count();
                let expected = match broken {
                    Broken::Missing => count == 0,
                    Broken::Doubled => count > 1,
                    Broken::Empty | Broken::Merged => count == 1,
                    Broken::Cut => false,
                };
                prop_assert!(expected, "{position} {broken:?} {count}");
            }
            let n_unknown = answered.iter().filter(|(id, _)| !ids.iter().any(|sent| **sent == **id)).count();
            prop_assert_eq!(checked.unknown, n_unknown);
        }
    }
}
