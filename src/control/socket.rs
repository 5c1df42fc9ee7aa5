//! The file of the Unix socket: who may open it, who holds it, and when it goes.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// The most bytes that the path of a Unix socket may have on Linux; see `unix(7)`.
const MAX_PATH: usize = 107;

/// A socket file that is ours, and is removed when this is dropped, unless another took its place.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    /// Listens at a path that nobody answers at; only the owner can open it from the first moment.
    ///
    /// # Errors
    /// When the path is too long, somebody answers there, or something else than a socket is there.
    pub(super) fn claim(path: &Path) -> io::Result<(Self, UnixListener)> {
        check_length(path)?;
        check_free(path)?;
        // A socket gets the umask's mode, so it is made aside and shown when only we can open it.
        let aside = path.with_file_name(format!(".{:x}", std::process::id()));
        check_length(&aside)?;
        remove_if_there(&aside)?;
        let listener = UnixListener::bind(&aside)?;
        let shown = fs::set_permissions(&aside, fs::Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&aside, path));
        if let Err(error) = shown {
            remove_if_there(&aside)?;
            return Err(error);
        }
        listener.set_nonblocking(true)?;
        let inode = inode(path)?;
        let path = path.to_owned();
        Ok((Self { path, inode }, listener))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // What cannot be removed now is stale for the next service, which removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn check_length(path: &Path) -> io::Result<()> {
    let length = path.as_os_str().as_bytes().len();
    if length > MAX_PATH {
        let shown = path.display();
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the socket's path has {length} bytes, expected at most {MAX_PATH}: {shown}"),
        ));
    }
    Ok(())
}

fn check_free(path: &Path) -> io::Result<()> {
    let shown = path.display();
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{shown} is no socket, expected a stale one or nothing"),
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("another service answers at {shown}, expected nobody"),
        )),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_can_open_it_and_it_goes_with_us() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let (file, _listener) = SocketFile::claim(&path).expect("a free path");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_one_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        drop(UnixListener::bind(&path).expect("a stale socket"));
        let (_file, _listener) = SocketFile::claim(&path).expect("nobody answers");
        let error = SocketFile::claim(&path).expect_err("somebody answers");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        fs::write(&path, "mine").expect("a file");
        assert!(SocketFile::claim(&path).is_err());
        assert_eq!(fs::read(&path).expect("still there"), b"mine");
    }

    #[test]
    fn a_path_that_is_too_long_is_refused_with_its_length() {
        let path = Path::new("/tmp").join("x".repeat(103));
        let error = SocketFile::claim(&path).expect_err("too long");
        assert!(error.to_string().contains("108 bytes"), "{error}");
    }

    #[test]
    fn a_successor_keeps_its_socket() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let (first, listener) = SocketFile::claim(&path).expect("a free path");
        drop(listener);
        let (_second, _listener) = SocketFile::claim(&path).expect("nobody answers any more");
        drop(first);
        assert!(UnixStream::connect(&path).is_ok());
    }
}
