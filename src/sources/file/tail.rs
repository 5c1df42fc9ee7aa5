//! Reading a file from where the last poll ended, through rotation and truncation.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use babelfeed_actors::ports::{Cursor, Polled, SourceError};

use super::FileConfig;
use super::cursor::{Mark, Place};
use super::line::Shape;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 256 * 1024;
/// The most bytes that one poll goes through.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// The most warnings that one poll tells in full.
const MAX_WARNINGS: usize = 20;

/// A file that is to be read from a place on.
struct Opened {
    file: File,
    place: Place,
    /// Whether the writer has left this file, so that nothing is added to its last line.
    is_left: bool,
    /// What has to be read when this one is at its end.
    next: Option<(File, Place)>,
    warning: Option<String>,
}

/// One poll: the lines behind `cursor`, at most `room` of them.
pub(super) fn poll(
    config: &FileConfig,
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
    let opened = open(&config.path, mark).map_err(|error| refusal(&config.path, &error))?;
    let mut polled = Polled::default();
    polled.warnings.extend(opened.warning.clone());
    read(config, opened, room, &mut polled)
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

fn open(path: &Path, mark: Option<Mark>) -> io::Result<Opened> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return mark.and_then(|mark| find_moved(path, &mark)).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let Some(mark) = mark else {
        return Ok(Opened::only(file, Place::first(&metadata)));
    };
    if metadata.ino() == mark.place.inode {
        if mark.fits(&file)? {
            return Ok(Opened::only(file, mark.place));
        }
        let mut opened = Opened::only(file, mark.place.successor(&metadata));
        opened.warning = Some("the file was cut or rewritten, it is read from its start".into());
        return Ok(opened);
    }
    if let Some(old) = find_moved(path, &mark) {
        return Ok(Opened {
            is_left: metadata.len() > 0,
            next: Some((file, mark.place.successor(&metadata))),
            ..old
        });
    }
    if mark.place.offset > 0 && mark.fits(&file)? {
        let place = Place {
            inode: metadata.ino(),
            ..mark.place
        };
        return Ok(Opened::only(file, place));
    }
    Ok(Opened::only(file, mark.place.successor(&metadata)))
}

impl Opened {
    fn only(file: File, place: Place) -> Self {
        Self {
            file,
            place,
            is_left: false,
            next: None,
            warning: None,
        }
    }
}

fn open_regular(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "is not a regular file, expected one with a post in each line",
        ));
    }
    File::open(path)
}

/// Finds the file of that mark under another name in the same folder.
fn find_moved(path: &Path, mark: &Mark) -> Option<Opened> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    entries
        .filter_map(Result::ok)
        .filter(|entry| {
            entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_file() && metadata.ino() == mark.place.inode)
        })
        .filter_map(|entry| File::open(entry.path()).ok())
        .find(|file| mark.fits(file).unwrap_or(false))
        .map(|file| Opened::only(file, mark.place))
}

fn read(config: &FileConfig, opened: Opened, room: usize, polled: &mut Polled) -> io::Result<()> {
    let mut lines = Lines::new(&opened.file, opened.place, opened.is_left)?;
    let mut n_unsaid = lines.read(config, room, polled)?;
    let mut mark = lines.place.mark(&opened.file)?;
    if let Some((file, place)) = opened.next.filter(|_| opened.is_left && !polled.has_more) {
        let mut lines = Lines::new(&file, place, false)?;
        n_unsaid += lines.read(config, room, polled)?;
        mark = lines.place.mark(&file)?;
    }
    if n_unsaid > 0 {
        polled.warnings.push(format!("and {n_unsaid} lines more"));
    }
    polled.cursor = Some(mark.to_cursor());
    Ok(())
}

/// The lines of one file from a place on.
struct Lines<'a> {
    reader: BufReader<&'a File>,
    place: Place,
    is_left: bool,
    start: u64,
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
    fn new(file: &'a File, place: Place, is_left: bool) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(64 * 1024, file);
        reader.seek(SeekFrom::Start(place.offset))?;
        Ok(Self {
            reader,
            place,
            is_left,
            start: place.offset,
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
                    let own_id = format!("{:016x}-{at}", self.place.generation);
                    shape.read(config, &line, own_id)
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
    use std::io::Write;

    use babelfeed_actors::domain::Language;

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
