//! Reading a file from where the last poll ended, through rotation and truncation.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::Path;

use babelfeed_actors::domain::Post;
use babelfeed_actors::ports::{Cursor, Polled, SourceError};

use super::FileConfig;
use super::count::{Counts, Memory};
use super::cursor::{Mark, Place};
use super::line::Shape;
use super::rotation::{Opened, Part, open};

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 256 * 1024;
/// The most bytes that one poll goes through.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The most warnings that one poll tells in full.
const MAX_WARNINGS: usize = 20;

/// One poll: the lines behind `cursor`, at most `room` of them.
pub(super) fn poll(
    config: &FileConfig,
    memory: &Memory,
    cursor: Option<&Cursor>,
    room: usize,
) -> Result<Polled, SourceError> {
    if room == 0 {
        return Ok(Polled {
            has_more: true,
            ..Polled::default()
        });
    }
    let mark = cursor.and_then(Mark::from_cursor);
    let opened =
        open(&config.path, mark.as_ref()).map_err(|error| refusal(&config.path, &error))?;
    let mut polled = Polled::default();
    polled.warnings.clone_from(&opened.warnings);
    polled.begins_anew = cursor.is_some() && mark.is_none();
    if mark.is_some_and(|mark| mark.is_of_places())
        && let Some(part) = opened.parts.first()
        && part.place.offset <= MAX_BYTES
    {
        let shown = Lines::new(part).and_then(|mut lines| lines.shown(config));
        polled.posts = shown.map_err(|error| refusal(&config.path, &error))?;
    }
    read((config, memory), opened, room, &mut polled)
        .map_err(|error| refusal(&config.path, &error))
        .map(|()| polled)
}

fn refusal(path: &Path, error: &io::Error) -> SourceError {
    let detail = format!("`{}`: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => SourceError::Refused { detail },
        io::ErrorKind::InvalidInput => SourceError::Malformed { detail },
        _ => SourceError::Unreachable { detail },
    }
}

fn read(
    (config, memory): (&FileConfig, &Memory),
    opened: Opened,
    room: usize,
    polled: &mut Polled,
) -> io::Result<()> {
    let mut n_unsaid = 0;
    for part in &opened.parts {
        let mut lines = Lines::new(part)?;
        lines.counts = Counts::recall(memory, &part.place);
        n_unsaid += lines.read(config, room, polled)?;
        if let Some(counts) = lines.counts.take() {
            counts.keep(memory, &lines.place);
        }
        polled.cursor = Some(lines.place.mark(&part.file)?.to_cursor());
        if polled.has_more || !part.is_left {
            break;
        }
    }
    if n_unsaid > 0 {
        polled.warnings.push(format!("and {n_unsaid} lines more"));
    }
    Ok(())
}

/// The lines of one file from a place on.
struct Lines<'a> {
    reader: BufReader<&'a File>,
    place: Place,
    is_left: bool,
    start: u64,
    /// The lines before the place, once somebody asked for the identity of one.
    counts: Option<Counts>,
}

/// What the next line is.
enum Next {
    Line(Vec<u8>),
    TooLong,
    /// Part of a line that is being skipped.
    Skipped,
    End,
}

impl<'a> Lines<'a> {
    fn new(part: &'a Part) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(64 * 1024, &part.file);
        reader.seek(SeekFrom::Start(part.place.offset))?;
        Ok(Self {
            reader,
            place: part.place,
            is_left: part.is_left,
            start: part.place.offset,
            counts: None,
        })
    }

    /// Reads until the room is used up, and counts the warnings that were not told.
    fn read(&mut self, config: &FileConfig, room: usize, polled: &mut Polled) -> io::Result<usize> {
        let shape = Shape::of(config);
        let mut n_unsaid = 0;
        while polled.posts.len() < room && self.place.offset - self.start < MAX_BYTES {
            let at = self.place.offset;
            let read = match self.next()? {
                Next::End => return Ok(n_unsaid),
                Next::Skipped => continue,
                Next::TooLong => super::line::Read {
                    post: None,
                    warning: Some(format!("is longer than {MAX_LINE} bytes")),
                },
                Next::Line(line) => {
                    let mut read = shape.read(config, &line);
                    let nameless = read.post.as_mut().filter(|post| post.id.is_empty());
                    if let Some(post) = nameless {
                        post.id = self.own_id(&line, at)?;
                    } else if let Some(counts) = &mut self.counts {
                        counts.note(&line);
                    }
                    read
                }
            };
            polled.posts.extend(read.post);
            if let Some(warning) = read.warning {
                if polled.warnings.len() < MAX_WARNINGS {
                    polled
                        .warnings
                        .push(format!("the line at byte {at} {warning}"));
                } else {
                    n_unsaid += 1;
                }
            }
        }
        polled.has_more = !self.reader.fill_buf()?.is_empty();
        Ok(n_unsaid)
    }

    /// The identity of the line that begins at a place, which was read last.
    fn own_id(&mut self, line: &[u8], at: u64) -> io::Result<String> {
        let mut counts = match self.counts.take() {
            Some(counts) => counts,
            None => self.count_before(at, |_, _| ())?,
        };
        let id = counts.note(line);
        self.counts = Some(counts);
        Ok(id)
    }

    /// The lines before the place that tell no id, as they are known from now on.
    fn shown(&mut self, config: &FileConfig) -> io::Result<Vec<Post>> {
        let (shape, mut posts) = (Shape::of(config), Vec::new());
        self.count_before(self.place.offset, |line, id| {
            let post = shape.read(config, line).post;
            let nameless = post.filter(|post| post.id.is_empty());
            posts.extend(nameless.map(|post| Post {
                id,
                was_shown: true,
                ..post
            }));
        })?;
        Ok(posts)
    }

    /// Counts the lines before a place, from the beginning of the file, and tells each with its
    /// identity.
    fn count_before(
        &mut self,
        end: u64,
        mut tell: impl FnMut(&[u8], String),
    ) -> io::Result<Counts> {
        let mut counts = Counts::begin(&self.place);
        if end == 0 {
            return Ok(counts);
        }
        let here = self.place;
        self.reader.seek(SeekFrom::Start(0))?;
        self.place = Place {
            offset: 0,
            is_skipping: false,
            ..here
        };
        while self.place.offset < end {
            match self.next()? {
                Next::Line(line) => tell(&line, counts.note(&line)),
                Next::End => break,
                Next::TooLong | Next::Skipped => (),
            }
        }
        self.place = here;
        self.reader.seek(SeekFrom::Start(here.offset))?;
        Ok(counts)
    }

    fn next(&mut self) -> io::Result<Next> {
        let mut line = Vec::new();
        let n_bytes = self
            .reader
            .by_ref()
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut line)? as u64;
        let is_whole = line.last() == Some(&b'\n');
        let is_too_long = n_bytes > MAX_LINE;
        if n_bytes == 0 || !(is_whole || is_too_long || self.is_left || self.place.is_skipping) {
            return Ok(Next::End);
        }
        self.place.offset += n_bytes;
        if self.place.is_skipping {
            self.place.is_skipping = !is_whole;
            return Ok(Next::Skipped);
        }
        if is_too_long {
            self.place.is_skipping = !is_whole;
            return Ok(Next::TooLong);
        }
        Ok(Next::Line(line))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::time::{Duration, SystemTime};

    use babelfeed_actors::domain::Language;

    use super::super::cursor::LENGTH;
    use super::*;

    fn config(path: &Path) -> FileConfig {
        FileConfig {
            name: "news".into(),
            path: path.into(),
            language: "en".parse().ok(),
        }
    }

    fn append(path: &Path, text: &str) {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(path)
            .expect("opens");
        file.write_all(text.as_bytes()).expect("writes");
    }

    fn poll(
        config: &FileConfig,
        cursor: Option<&Cursor>,
        room: usize,
    ) -> Result<Polled, SourceError> {
        super::poll(config, &Memory::default(), cursor, room)
    }

    /// Polls until nothing more comes, with so much room each time.
    fn follow(config: &FileConfig, cursor: &mut Option<Cursor>, room: usize) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let polled = poll(config, cursor.as_ref(), room).expect("polls");
            assert!(polled.posts.len() <= room);
            texts.extend(polled.posts.into_iter().map(|post| post.text));
            *cursor = polled.cursor.or(cursor.take());
            if !polled.has_more {
                return texts;
            }
        }
    }

    #[test]
    fn a_growing_file_shows_each_whole_line_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let (config, mut cursor) = (config(&path), None);
        append(&path, "one\ntwo\nthr");
        assert_eq!(follow(&config, &mut cursor, 1), ["one", "two"]);
        assert!(follow(&config, &mut cursor, 9).is_empty());
        append(&path, "ee\r\n\n  \nfour\n");
        assert_eq!(follow(&config, &mut cursor, 9), ["three", "four"]);
    }

    #[test]
    fn the_same_cursor_shows_the_same_posts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        append(&path, "one\none\n{\"text\":\"three\",\"id\":7}\n");
        let first = poll(&config(&path), None, 9).expect("polls");
        assert_eq!(first, poll(&config(&path), None, 9).expect("polls"));
        assert_ne!(first.posts[0].id, first.posts[1].id);
        assert_eq!(first.posts[2].id, "7");
    }

    #[test]
    fn a_rotated_file_is_finished_before_the_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let moved = folder.path().join("news.txt.1");
        let (config, mut cursor) = (config(&path), None);
        append(&path, "one\n");
        follow(&config, &mut cursor, 9);
        append(&path, "two\n");
        fs::rename(&path, &moved).expect("moves");
        assert_eq!(follow(&config, &mut cursor, 9), ["two"]);
        append(&path, "");
        append(&moved, "three\nfour");
        assert_eq!(follow(&config, &mut cursor, 9), ["three"]);
        append(&path, "one\nfive\n");
        assert_eq!(follow(&config, &mut cursor, 1), ["four", "one", "five"]);
        append(&path, "six\n");
        assert_eq!(follow(&config, &mut cursor, 9), ["six"]);
    }

    /// Moves a file away, as one that was written to so many seconds after 1970.
    fn rotate(path: &Path, ending: &str, seconds: u64) {
        let mut moved = path.as_os_str().to_owned();
        moved.push(ending);
        fs::rename(path, &moved).expect("moves");
        let file = File::options().append(true).open(&moved).expect("opens");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            .expect("is dated");
    }

    #[test]
    fn a_file_that_was_rotated_several_times_is_read_in_the_order_of_time() {
        for room in [1, 2, 9] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("news.txt");
            let (config, mut cursor) = (config(&path), None);
            append(&path, "before\n");
            rotate(&path, ".9", 1);
            append(&path, "one\n");
            assert_eq!(follow(&config, &mut cursor, room), ["one"]);
            append(&path, "two\n");
            rotate(&path, ".3", 2);
            append(&path, "three\n");
            rotate(&path, "-20260102", 3);
            append(&path, "four\nfive");
            rotate(&path, ".1", 4);
            append(&path, "of a draft\n");
            rotate(&path, ".old", 5);
            assert_eq!(follow(&config, &mut cursor, room), ["two", "three", "four"]);
            append(&path, "six\n");
            assert_eq!(follow(&config, &mut cursor, room), ["five", "six"]);
        }
    }

    #[test]
    fn where_the_file_that_was_read_is_gone_it_is_told_and_the_next_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let (config, mut cursor) = (config(&path), None);
        append(&path, "before\n");
        rotate(&path, ".9", 1);
        append(&path, "one\n");
        follow(&config, &mut cursor, 9);
        append(&path, "lost\n");
        // Another file keeps its inode, which a new one would get at once.
        rotate(&path, ".gz", 2);
        fs::hard_link(
            folder.path().join("news.txt.gz"),
            folder.path().join("kept"),
        )
        .expect("links");
        fs::write(folder.path().join("news.txt.gz"), "compressed").expect("writes");
        append(&path, "three\n");
        let after = SystemTime::now() + Duration::from_secs(60);
        let since = after.duration_since(SystemTime::UNIX_EPOCH);
        rotate(&path, ".1", since.expect("after 1970").as_secs());
        append(&path, "four\n");

        let polled = poll(&config, cursor.as_ref(), 9).expect("polls");

        let texts: Vec<_> = polled.posts.iter().map(|post| &*post.text).collect();
        assert_eq!(texts, ["three", "four"]);
        assert_eq!(polled.warnings.len(), 1, "{:?}", polled.warnings);
        let again = poll(&config, polled.cursor.as_ref(), 9).expect("polls");
        assert!(again.posts.is_empty() && again.warnings.is_empty());
    }

    #[test]
    fn a_copy_of_the_file_that_was_read_goes_on_where_that_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let (config, mut cursor) = (config(&path), None);
        append(&path, "one\n");
        follow(&config, &mut cursor, 9);
        append(&path, "two\n");
        fs::copy(&path, folder.path().join("news.txt.1")).expect("copies");
        append(&folder.path().join("new"), "three\n");
        fs::rename(folder.path().join("new"), &path).expect("replaces");
        assert_eq!(follow(&config, &mut cursor, 9), ["two", "three"]);
    }

    #[test]
    fn a_truncated_file_is_read_from_its_start_with_new_identities() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        append(&path, "one\ntwo\n");
        let before = poll(&config(&path), None, 9).expect("polls");
        File::create(&path).expect("truncates");
        append(&path, "one\n");
        let after = poll(&config(&path), before.cursor.as_ref(), 9).expect("polls");
        assert_eq!(after.posts.len(), 1);
        assert_ne!(after.posts[0].id, before.posts[0].id);
        assert_eq!(after.warnings.len(), 1);
    }

    #[test]
    fn a_file_saved_anew_by_an_editor_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let aside = folder.path().join("news.txt~");
        let (config, mut cursor) = (config(&path), None);
        append(&path, "one\ntwo\n");
        follow(&config, &mut cursor, 9);
        append(&aside, "one\ntwo\nthree\n");
        fs::rename(&aside, &path).expect("replaces");
        assert_eq!(follow(&config, &mut cursor, 9), ["three"]);
    }

    #[test]
    fn a_file_saved_anew_with_changes_shows_the_changes_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let aside = folder.path().join("news.txt~");
        let (config, memory) = (config(&path), Memory::default());
        let lines = |typo: &str| {
            let lines = (0..500).map(|number| match number {
                3 => format!("line {number}{typo}\n"),
                _ => format!("line {number}\nagain\n"),
            });
            lines.collect::<String>()
        };
        let mut cursor = None;
        let mut ids = std::collections::HashSet::new();
        let mut follow = |memory: &Memory| {
            let mut texts = Vec::new();
            loop {
                let polled = super::poll(&config, memory, cursor.as_ref(), 70).expect("polls");
                let new = polled.posts.into_iter();
                let new = new.filter(|post| ids.insert(post.id.clone()));
                texts.extend(new.map(|post| post.text));
                cursor = polled.cursor.or(cursor.take());
                if !polled.has_more {
                    return texts;
                }
            }
        };
        append(&path, &lines(" with a tpyo"));
        assert_eq!(follow(&memory).len(), 999);
        // In its place, and beside it; as it goes on, and after a start.
        fs::write(&path, lines(" with a typo")).expect("writes");
        assert_eq!(follow(&memory), ["line 3 with a typo"]);
        append(&aside, &format!("{}again\nnew\n", lines("")));
        fs::rename(&aside, &path).expect("replaces");
        assert_eq!(follow(&Memory::default()), ["line 3", "again", "new"]);
        append(&path, "again\nnew\n");
        assert_eq!(follow(&memory), ["again", "new"]);
        append(&path, "again\n");
        assert_eq!(follow(&memory), ["again"]);
    }

    #[test]
    fn a_file_that_is_empty_for_a_moment_is_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        append(&path, "one\ntwo\nthree\n");
        let first = poll(&config(&path), None, 9).expect("polls");
        File::create(&path).expect("truncates");
        let empty = poll(&config(&path), first.cursor.as_ref(), 9).expect("polls");
        assert_eq!((empty.cursor, empty.warnings), (None, Vec::new()));
        append(&path, "one\n2\nthree\n");
        let last = poll(&config(&path), first.cursor.as_ref(), 9).expect("polls");
        assert_eq!(last.posts[0].id, first.posts[0].id);
        assert_ne!(last.posts[1].id, first.posts[1].id);
        assert_eq!(last.posts[2].id, first.posts[2].id);
    }

    #[test]
    fn lines_that_were_known_by_their_places_are_told_once_by_what_they_say() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        append(&path, "one\none\n{\"text\":\"three\",\"id\":7}\n");
        let expected = poll(&config(&path), None, 9).expect("polls");
        let mut old = expected.cursor.clone().expect("a cursor");
        old.0[0] = 2;
        old.0.truncate(LENGTH);
        append(&path, "four\n");
        let polled = poll(&config(&path), Some(&old), 9).expect("polls");
        let ids = |posts: &[Post]| posts.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&polled.posts[..2]), ids(&expected.posts[..2]));
        let was_shown: Vec<bool> = polled.posts.iter().map(|post| post.was_shown).collect();
        assert_eq!(was_shown, [true, true, false]);
        let again = poll(&config(&path), polled.cursor.as_ref(), 9).expect("polls");
        assert!(again.posts.is_empty());
    }

    #[test]
    fn a_cursor_that_cannot_be_read_begins_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        append(&path, "one\n");
        let cursor = Cursor(b"{}".to_vec());
        let polled = poll(&config(&path), Some(&cursor), 9).expect("polls");
        assert_eq!((polled.posts.len(), polled.begins_anew), (1, true));
        let again = poll(&config(&path), polled.cursor.as_ref(), 9).expect("polls");
        assert_eq!((again.posts.len(), again.begins_anew), (0, false));
    }

    #[test]
    fn a_bad_line_is_named_and_the_rest_goes_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.jsonl");
        let long = "x".repeat(3 * 256 * 1024);
        append(&path, "{\"text\":\"one\",\"language\":\"fr\"}\nplain\n");
        append(&path, &format!("{{\"text\":\"{long}\"}}\n"));
        append(
            &path,
            "{\"text\":\" \"}\n{\"text\":\"two\",\"language\":\"!\"}\n",
        );
        let polled = poll(&config(&path), None, 9).expect("polls");
        let texts: Vec<_> = polled.posts.iter().map(|post| post.text.as_str()).collect();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(polled.warnings.len(), 4, "{:?}", polled.warnings);
        let language = polled.posts[0].language.as_ref().map(Language::as_str);
        assert_eq!(language, Some("fr"));
    }

    #[test]
    fn a_long_line_that_is_still_being_written_is_skipped_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("news.txt");
        let (config, mut cursor) = (config(&path), None);
        append(&path, &"x".repeat(300 * 1024));
        assert!(follow(&config, &mut cursor, 9).is_empty());
        append(&path, "still the same line\nshort\n");
        assert_eq!(follow(&config, &mut cursor, 9), ["short"]);
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = poll(&config(folder.path()), None, 9).expect_err("a folder");
        assert!(matches!(error, SourceError::Malformed { .. }));
        let error = poll(&config(&folder.path().join("none")), None, 9).expect_err("nothing");
        assert!(matches!(error, SourceError::Unreachable { .. }));
    }
}
