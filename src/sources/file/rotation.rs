//! Finding what is to be read of a file, also where it was rotated since it was read.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::cursor::{Mark, Place, written_at};

/// What is to be read, the oldest first.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) parts: Vec<Part>,
    pub(super) warnings: Vec<String>,
}

/// A file, and from where on it is to be read.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) file: File,
    pub(super) place: Place,
    /// Whether the writer has left this file, so that nothing is added to its last line.
    pub(super) is_left: bool,
}

/// A file beside the one that is read.
struct Sibling {
    path: PathBuf,
    metadata: Metadata,
    /// Whether it is named as the one that is read is when it is rotated.
    is_generation: bool,
}

/// Opens what is to be read behind a mark.
///
/// # Errors
/// When there is nothing, or it cannot be opened.
pub(super) fn open(path: &Path, mark: Option<&Mark>) -> io::Result<Opened> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let opened = mark.map(|mark| rotated(path, mark, None)).transpose()?;
            return opened.filter(|it| !it.parts.is_empty()).ok_or(error);
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let Some(mark) = mark else {
        return Ok(Opened::only(file, Place::first(&metadata)));
    };
    if metadata.ino() != mark.place.inode {
        return rotated(path, mark, Some(file));
    }
    if mark.fits(&file)? {
        return Ok(Opened::only(file, mark.place));
    }
    if metadata.len() == 0 {
        // Whether it was cut or is being saved anew is told by what comes into it.
        return Ok(Opened::nothing());
    }
    if mark.is_most_in(&file)? {
        return Ok(Opened::only(file, mark.place.again(&metadata)));
    }
    let mut opened = Opened::only(file, mark.place.successor(&metadata));
    let warning = "the file was cut or rewritten, it is read from its start";
    opened.warnings.push(warning.to_owned());
    Ok(opened)
}

/// What is to be read where the marked file does not stand under its name any more: what is left
/// of it, what was rotated since, and the file that stands there now.
fn rotated(path: &Path, mark: &Mark, now: Option<File>) -> io::Result<Opened> {
    let siblings = siblings(path);
    let mut opened = Opened {
        parts: Vec::new(),
        warnings: Vec::new(),
    };
    let mut since = mark.written_at;
    if let Some(file) = &now
        && mark.place.offset > 0
        && find_copy(mark, &siblings).is_none()
    {
        // An editor may leave the old one beside it, under a name of its own.
        let metadata = file.metadata()?;
        if mark.fits(file)? {
            return Ok(Opened::only(
                file.try_clone()?,
                mark.place.in_file(&metadata),
            ));
        }
        if mark.is_most_in(file)? {
            return Ok(Opened::only(file.try_clone()?, mark.place.again(&metadata)));
        }
    }
    if let Some((file, metadata)) = find_moved(mark, &siblings) {
        since = Some(written_at(&metadata));
        opened.parts.push(Part::new(file, mark.place));
    } else if let Some((file, metadata)) = find_copy(mark, &siblings) {
        since = Some(written_at(&metadata));
        opened
            .parts
            .push(Part::new(file, mark.place.in_file(&metadata)));
    } else if mark.place.offset > 0 {
        let warning = "the file that was read last is gone, what came into it since is lost";
        opened.warnings.push(warning.to_owned());
    }
    let mut place = opened.parts.last().map_or(mark.place, |part| part.place);
    let known = [
        Some(mark.place.inode),
        Some(place.inode),
        inode(now.as_ref())?,
    ];
    let mut newer: Vec<Sibling> = siblings
        .into_iter()
        .filter(|it| it.is_generation && !known.contains(&Some(it.metadata.ino())))
        .filter(|it| since.is_some_and(|since| written_at(&it.metadata) > since))
        .collect();
    newer.sort_by_key(|it| written_at(&it.metadata));
    for it in newer {
        match File::open(&it.path) {
            Ok(file) => {
                place = place.successor(&it.metadata);
                opened.parts.push(Part::new(file, place));
            }
            Err(error) => {
                let path = it.path.display();
                let warning = format!("`{path}` cannot be read, what is in it is lost: {error}");
                opened.warnings.push(warning);
            }
        }
    }
    if let Some(file) = now {
        place = place.successor(&file.metadata()?);
        opened.parts.push(Part::new(file, place));
    }
    opened.tell_left()?;
    Ok(opened)
}

impl Opened {
    const fn nothing() -> Self {
        Self {
            parts: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn only(file: File, place: Place) -> Self {
        Self {
            parts: vec![Part::new(file, place)],
            warnings: Vec::new(),
        }
    }

    /// Whoever writes has left a file once there is something in a later one.
    fn tell_left(&mut self) -> io::Result<()> {
        let mut is_left = false;
        for part in self.parts.iter_mut().rev() {
            part.is_left = is_left;
            is_left |= part.file.metadata()?.len() > 0;
        }
        Ok(())
    }
}

impl Part {
    const fn new(file: File, place: Place) -> Self {
        Self {
            file,
            place,
            is_left: false,
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

/// The marked file under another name in the same folder.
fn find_moved(mark: &Mark, siblings: &[Sibling]) -> Option<(File, Metadata)> {
    let same = siblings
        .iter()
        .filter(|it| it.metadata.ino() == mark.place.inode);
    fitting(mark, same)
}

/// A rotated file that begins with what was read of the marked one.
fn find_copy(mark: &Mark, siblings: &[Sibling]) -> Option<(File, Metadata)> {
    let generations = siblings.iter().filter(|it| it.is_generation);
    fitting(mark, generations.filter(|_| mark.place.offset > 0))
}

fn fitting<'a>(
    mark: &Mark,
    mut siblings: impl Iterator<Item = &'a Sibling>,
) -> Option<(File, Metadata)> {
    siblings.find_map(|it| {
        let file = File::open(&it.path).ok()?;
        mark.fits(&file).ok()?.then(|| (file, it.metadata.clone()))
    })
}

/// The files in the folder of this one.
fn siblings(path: &Path) -> Vec<Sibling> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let entries = fs::read_dir(folder.unwrap_or(Path::new(".")));
    let entries = entries.into_iter().flatten().filter_map(Result::ok);
    let siblings = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
        Some(Sibling {
            is_generation: is_generation(path, &entry.path()),
            path: entry.path(),
            metadata,
        })
    });
    siblings.collect()
}

/// Whether a file is named as this one with a number or a date behind it.
fn is_generation(path: &Path, other: &Path) -> bool {
    let name = |path: &Path| Some(path.file_name()?.as_encoded_bytes().to_vec());
    let (Some(name), Some(other)) = (name(path), name(other)) else {
        return false;
    };
    let ending = other.strip_prefix(&*name).unwrap_or_default();
    let is_of_number = |byte: &u8| byte.is_ascii_digit() || b".-_".contains(byte);
    ending.iter().all(is_of_number) && ending.iter().any(u8::is_ascii_digit)
}

fn inode(file: Option<&File>) -> io::Result<Option<u64>> {
    let metadata = file.map(File::metadata).transpose()?;
    Ok(metadata.map(|metadata| metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_and_dates_behind_the_name_make_a_generation() {
        let path = Path::new("posts/news.txt");
        let is_one = |name: &str| is_generation(path, &Path::new("posts").join(name));
        for name in ["news.txt.1", "news.txt-20260102", "news.txt.2026-01-02_03"] {
            assert!(is_one(name), "{name}");
        }
        for name in [
            "news.txt",
            "news.txt.1.gz",
            "news.txt.old",
            "news.txt~",
            "news-2.txt",
            "news.txt.",
        ] {
            assert!(!is_one(name), "{name}");
        }
    }
}
