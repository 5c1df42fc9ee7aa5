//! Files that survive a power cut.

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The ending of what is written aside.
const ASIDE: &str = "tmp";

/// Replaces a file by one that is whole: whoever reads sees the old or the new.
///
/// # Errors
/// When the old one still stands; the new one survives once its folder is synced.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = aside(path, ASIDE);
    let written = create_folders(path).and_then(|()| {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, path)
    });
    if written.is_err() {
        // What was written aside is in nobody's way; the next attempt writes over it.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Replaces a file that nobody but its owner may read by one that is whole, and survives.
///
/// # Errors
/// When the old one still stands, or when the new one stands but may not survive.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Room::empty(path)?.replace(bytes)
}

/// Room beside a file for what will replace it, so that a full disk is met before that is asked for
/// from somebody who gives it once.
#[derive(Debug)]
pub struct Room {
    path: PathBuf,
    file: File,
}

impl Room {
    /// Room for so many bytes, which nobody but the file's owner may read.
    ///
    /// # Errors
    /// When there is no room.
    pub fn beside(path: &Path, n_bytes: usize) -> io::Result<Self> {
        let room = Self::empty(path)?;
        (&room.file).write_all(&vec![0; n_bytes])?;
        room.file.sync_all()?;
        Ok(room)
    }

    fn empty(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: create_private_aside(path)?,
            path: path.into(),
        })
    }

    /// Replaces the file by one that is whole, and survives.
    ///
    /// # Errors
    /// When the old one still stands, or when the new one stands but may not survive.
    pub fn replace(mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(bytes)?;
        self.file.set_len(bytes.len() as u64)?;
        self.file.sync_all()?;
        fs::rename(aside(&self.path, ASIDE), &self.path)?;
        sync_folder(&self.path)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // It is gone already where it has replaced the file; else the next attempt writes over it.
        let _ = fs::remove_file(aside(&self.path, ASIDE));
    }
}

/// A file aside that nobody but its owner may read.
fn create_private_aside(path: &Path) -> io::Result<File> {
    let aside = aside(path, ASIDE);
    // What an earlier attempt left there may have other permissions.
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    create_folders(path)?;
    let mut options = File::options();
    options.create_new(true).write(true).mode(0o600).open(aside)
}

/// Makes the folders of this file, so that they survive a power cut.
///
/// # Errors
/// When one of them is not there and cannot be made.
pub fn create_folders(path: &Path) -> io::Result<()> {
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    create_folders(&folder)?;
    match fs::create_dir(&folder) {
        Ok(()) => sync_folder(&folder),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in this file's folder survive a power cut.
///
/// # Errors
/// When the folder cannot be synced.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Waits until nobody else has this file locked, which is made where it is not there; it is given
/// back when what is returned is dropped.
///
/// # Errors
/// When the file cannot be made or locked.
pub fn lock(path: &Path) -> io::Result<File> {
    create_folders(path)?;
    let mut options = File::options();
    let options = options.create(true).append(true).mode(0o600);
    let file = options.open(path)?;
    file.lock()?;
    Ok(file)
}

/// A name beside this file's.
pub fn aside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.into(),
        _ => PathBuf::from(if path.has_root() { "/" } else { "." }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_private_file_is_private_whatever_lay_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/tokens.json");
        for text in ["one", "two"] {
            create_folders(&file).expect("made");
            fs::write(aside(&file, ASIDE), "left by another").expect("written");
            replace_private(&file, text.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&file).expect("read"), text);
            let mode = fs::metadata(&file).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(!aside(&file, ASIDE).exists());
        }
    }

    #[test]
    fn what_room_was_made_for_replaces_the_file_and_nothing_stays_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/tokens.json");
        drop(Room::beside(&file, 100).expect("room"));
        assert!(!aside(&file, ASIDE).exists() && !file.exists());
        for text in ["longer than the room", "short"] {
            let room = Room::beside(&file, 10).expect("room");
            room.replace(text.as_bytes()).expect("replaced");
            assert_eq!(fs::read_to_string(&file).expect("read"), text);
            let mode = fs::metadata(&file).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(!aside(&file, ASIDE).exists());
        }
    }

    #[test]
    fn a_lock_is_private_and_held_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/tokens.lock");
        let held = lock(&path).expect("free");
        let mode = held.metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = File::open(&path).expect("opened");
        assert!(other.try_lock().is_err());
        drop(held);
        other.try_lock().expect("free again");
    }
}
