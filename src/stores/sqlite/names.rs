//! The small numbers that stand for names and buckets in every row.

use std::hash::Hash;
use std::sync::Arc;

use babelfeed_actors::domain::{Class, Flow, Language, Pair};
use babelfeed_actors::ports::Bucket;
use foldhash::{HashMap, HashMapExt as _};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fault::Fault;

/// So many of a kind are remembered; beyond that all of it is looked up anew.
const REMEMBERED: usize = 10_000;

/// The number that stands for no name.
const NOBODY: i64 = 0;

/// Names and buckets that one connection has met, by number and by what they are.
///
/// The settings name few, but clients may name languages as they like: their tables keep each that
/// was ever named, which is some fifty bytes, and so many of each kind are remembered.
pub(super) struct Names<'c> {
    connection: &'c Connection,
    numbers: HashMap<Arc<str>, i64>,
    texts: HashMap<i64, Arc<str>>,
    languages: HashMap<i64, Language>,
    bucket_numbers: HashMap<Bucket, i64>,
    buckets: HashMap<i64, Bucket>,
}

impl<'c> Names<'c> {
    /// Knows nothing yet.
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            numbers: HashMap::new(),
            texts: HashMap::new(),
            languages: HashMap::new(),
            bucket_numbers: HashMap::new(),
            buckets: HashMap::new(),
        }
    }

    /// Forgets everything, since what was written last may have been rolled back.
    pub(super) fn forget(&mut self) {
        *self = Self::new(self.connection);
    }

    /// The number of a name, which is written down if it is new.
    pub(super) fn intern(&mut self, text: &str) -> Result<i64, Fault> {
        if let Some(number) = self.number(text)? {
            return Ok(number);
        }
        self.connection
            .prepare_cached("INSERT INTO name (text) VALUES (?1)")?
            .execute([text])?;
        let number = self.connection.last_insert_rowid();
        remember(&mut self.numbers, text.into(), number);
        Ok(number)
    }

    /// The number of a bucket, which is written down if it is new.
    pub(super) fn intern_bucket(&mut self, bucket: &Bucket) -> Result<i64, Fault> {
        if let Some(number) = self.bucket_number(bucket)? {
            return Ok(number);
        }
        let flow = self.intern(bucket.flow.as_str())?;
        let source = match &bucket.pair.source {
            Some(source) => self.intern(source.as_str())?,
            None => NOBODY,
        };
        let target = self.intern(bucket.pair.target.as_str())?;
        let sql = "INSERT INTO bucket (class, flow, source, target) VALUES (?1, ?2, ?3, ?4)";
        self.connection.prepare_cached(sql)?.execute(params![
            class_code(bucket.class),
            flow,
            source,
            target
        ])?;
        let number = self.connection.last_insert_rowid();
        remember(&mut self.bucket_numbers, bucket.clone(), number);
        Ok(number)
    }

    /// The number of a name; none if it never was written down.
    pub(super) fn number(&mut self, text: &str) -> Result<Option<i64>, Fault> {
        if let Some(&number) = self.numbers.get(text) {
            return Ok(Some(number));
        }
        let found = self
            .connection
            .prepare_cached("SELECT id FROM name WHERE text = ?1")?
            .query_row([text], |row| row.get(0))
            .optional()?;
        if let Some(number) = found {
            remember(&mut self.numbers, text.into(), number);
        }
        Ok(found)
    }

    /// The number of a bucket; none if it never was written down.
    pub(super) fn bucket_number(&mut self, bucket: &Bucket) -> Result<Option<i64>, Fault> {
        if let Some(&number) = self.bucket_numbers.get(bucket) {
            return Ok(Some(number));
        }
        let Some(flow) = self.number(bucket.flow.as_str())? else {
            return Ok(None);
        };
        let source = match &bucket.pair.source {
            Some(source) => self.number(source.as_str())?,
            None => Some(NOBODY),
        };
        let target = self.number(bucket.pair.target.as_str())?;
        let sql = "SELECT id FROM bucket
            WHERE class = ?1 AND flow = ?2 AND source = ?3 AND target = ?4";
        let found = self
            .connection
            .prepare_cached(sql)?
            .query_row(
                params![class_code(bucket.class), flow, source, target],
                |row| row.get(0),
            )
            .optional()?;
        if let Some(number) = found {
            remember(&mut self.bucket_numbers, bucket.clone(), number);
        }
        Ok(found)
    }

    /// The name of a number.
    pub(super) fn text(&mut self, number: i64) -> Result<Arc<str>, Fault> {
        if let Some(text) = self.texts.get(&number) {
            return Ok(Arc::clone(text));
        }
        let text: Arc<str> = self
            .connection
            .prepare_cached("SELECT text FROM name WHERE id = ?1")?
            .query_row([number], |row| row.get(0))?;
        remember(&mut self.texts, number, Arc::clone(&text));
        Ok(text)
    }

    /// The language of a number.
    pub(super) fn language(&mut self, number: i64) -> Result<Language, Fault> {
        if let Some(language) = self.languages.get(&number) {
            return Ok(language.clone());
        }
        let language: Language = self
            .text(number)?
            .parse()
            .map_err(|_| Fault::Damaged("a language"))?;
        remember(&mut self.languages, number, language.clone());
        Ok(language)
    }

    /// The bucket of a number.
    pub(super) fn bucket(&mut self, number: i64) -> Result<Bucket, Fault> {
        if let Some(bucket) = self.buckets.get(&number) {
            return Ok(bucket.clone());
        }
        let sql = "SELECT class, flow, source, target FROM bucket WHERE id = ?1";
        let (class, flow, source, target): (u8, i64, i64, i64) = self
            .connection
            .prepare_cached(sql)?
            .query_row([number], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
        let bucket = Bucket {
            class: class_of(class)?,
            flow: Flow::from(&*self.text(flow)?),
            pair: Pair {
                source: match source {
                    NOBODY => None,
                    source => Some(self.language(source)?),
                },
                target: self.language(target)?,
            },
        };
        remember(&mut self.buckets, number, bucket.clone());
        Ok(bucket)
    }
}

fn remember<K: Eq + Hash, V>(known: &mut HashMap<K, V>, key: K, value: V) {
    if known.len() >= REMEMBERED {
        known.clear();
    }
    known.insert(key, value);
}

const fn class_code(class: Class) -> u8 {
    match class {
        Class::Interactive => 0,
        Class::High => 1,
        Class::Normal => 2,
        Class::Low => 3,
    }
}

fn class_of(code: u8) -> Result<Class, Fault> {
    Class::ALL
        .into_iter()
        .find(|&class| class_code(class) == code)
        .ok_or(Fault::Damaged("a class"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_clients_invent_without_end_are_not_all_remembered() {
        let mut known = HashMap::new();
        for number in 0..3 * REMEMBERED {
            remember(&mut known, number, ());
            assert!(known.len() <= REMEMBERED && known.contains_key(&number));
        }
    }
}
