//! A source whose places are good for what it reads, and for nothing else.

use std::rc::Rc;

use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use sha2::{Digest, Sha256};

/// What a cursor begins with that says what was read; no source's own begins so.
const HEAD: &[u8; 4] = b"\0of:";
/// The bytes that tell what was read.
const MARK: usize = 16;

/// A source that keeps with its cursors what it reads, so that one that was pointed elsewhere
/// under the same name begins anew.
pub struct Anchored {
    source: Rc<dyn Source>,
    mark: [u8; MARK],
}

/// What a cursor is good for.
enum Place {
    /// For what is read, or it is of before that was kept with it.
    Here(Cursor),
    /// For something else.
    Elsewhere,
}

impl Anchored {
    /// The source, which reads what these words tell, and nothing else as long as they stay.
    pub fn new(source: Rc<dyn Source>, subject: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for word in subject {
            hash.update((word.len() as u64).to_be_bytes());
            hash.update(word);
        }
        let mut mark = [0; MARK];
        mark.copy_from_slice(&hash.finalize()[..MARK]);
        Self { source, mark }
    }

    fn place(&self, cursor: &Cursor) -> Place {
        let Some(kept) = cursor.0.strip_prefix(HEAD) else {
            return Place::Here(cursor.clone());
        };
        match kept.strip_prefix(&self.mark) {
            Some(own) => Place::Here(Cursor(own.to_vec())),
            None => Place::Elsewhere,
        }
    }

    /// The same with the cursor as the store keeps it.
    fn anchor(&self, polled: Polled) -> Polled {
        let anchored = |cursor: Cursor| Cursor([&HEAD[..], &self.mark, &cursor.0].concat());
        Polled {
            cursor: polled.cursor.map(anchored),
            ..polled
        }
    }

    async fn begin_anew(&self, room: usize) -> Result<Polled, SourceError> {
        let polled = self.source.poll(None, room).await?;
        Ok(Polled {
            begins_anew: true,
            ..self.anchor(polled)
        })
    }
}

impl Source for Anchored {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        async move {
            let polled = match cursor.map(|cursor| self.place(cursor)) {
                None => self.source.poll(None, room).await?,
                Some(Place::Here(own)) => self.source.poll(Some(&own), room).await?,
                Some(Place::Elsewhere) => return self.begin_anew(room).await,
            };
            Ok(self.anchor(polled))
        }
        .boxed_local()
    }

    fn skip<'a>(
        &'a self,
        cursor: &'a Cursor,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        async move {
            match self.place(cursor) {
                Place::Here(own) => Ok(self.anchor(self.source.skip(&own, room).await?)),
                Place::Elsewhere => self.begin_anew(room).await,
            }
        }
        .boxed_local()
    }

    fn news(&self) -> LocalBoxFuture<'_, ()> {
        self.source.news()
    }

    fn taken(&self, cursor: &Cursor) {
        if let Place::Here(own) = self.place(cursor) {
            self.source.taken(&own);
        }
    }

    fn rest(&self) {
        self.source.rest();
    }

    fn charged(&self) -> f64 {
        self.source.charged()
    }
}

#[cfg(test)]
mod tests {
    use babelfeed_actors::testkit::source::FakeSource;

    use super::*;

    fn poll(source: &Anchored, cursor: Option<&Cursor>) -> Polled {
        let polled = source.poll(cursor, 9).now_or_never();
        polled.expect("answers at once").expect("is read")
    }

    #[test]
    fn a_cursor_is_good_for_what_was_read_and_one_of_before_for_anything() {
        let fake = FakeSource::new("news");
        fake.show("One");
        let here = Anchored::new(Rc::new(fake.clone()), &["feed", "a"]);
        let there = Anchored::new(Rc::new(fake.clone()), &["feeda", ""]);
        let first = poll(&here, None);
        assert_eq!((first.posts.len(), first.begins_anew), (1, false));
        let again = poll(&here, first.cursor.as_ref());
        assert_eq!((again.posts.len(), again.begins_anew), (0, false));
        let elsewhere = poll(&there, first.cursor.as_ref());
        assert_eq!((elsewhere.posts.len(), elsewhere.begins_anew), (1, true));
        let settled = poll(&there, elsewhere.cursor.as_ref());
        assert_eq!((settled.posts.len(), settled.begins_anew), (0, false));
        let skipped = first.cursor.as_ref().map(|cursor| there.skip(cursor, 9));
        let skipped = skipped.and_then(FutureExt::now_or_never).expect("answers");
        assert!(skipped.expect("is read").begins_anew);
        let old = fake.poll(None, 9).now_or_never().expect("answers");
        let taken_over = poll(&here, old.expect("is read").cursor.as_ref());
        assert_eq!((taken_over.posts.len(), taken_over.begins_anew), (0, false));
        assert_eq!(taken_over.cursor, first.cursor);
    }
}
