//! Files that survive a power cut.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use actix_rt::task::spawn_blocking;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::OutletError;

/// What stands between the parts of a publication that is kept in one piece.
const BETWEEN_PARTS: &str = "\n\n";

/// All parts of a publication as one text.
pub(super) fn whole_text(publication: &Publication) -> String {
    let parts: Vec<&str> = publication.parts.iter().map(|part| &*part.text).collect();
    parts.join(BETWEEN_PARTS)
}

/// Runs `work` where blocking does no harm; `cut_off` is the answer if it panicked.
pub(super) async fn off_the_arbiter<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    cut_off: impl FnOnce(OutletError) -> T,
) -> T {
    spawn_blocking(work).await.unwrap_or_else(|failure| {
        cut_off(OutletError::Ambiguous {
            detail: format!("the file work was cut off: {failure}"),
        })
    })
}

/// Says of a failure that it left nothing behind.
pub(super) fn not_written(path: &Path, error: &io::Error) -> OutletError {
    OutletError::Unreachable {
        detail: format!("`{}`: {error}", path.display()),
    }
}

/// Says of a failure that it may have left something behind.
pub(super) fn perhaps_written(path: &Path, error: &io::Error) -> OutletError {
    OutletError::Ambiguous {
        detail: format!("`{}`: {error}", path.display()),
    }
}

/// Makes the folders of this file, so that they survive a power cut.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
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
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// Replaces a file by one that is whole: whoever reads sees the old or the new.
///
/// # Errors
/// When the old one still stands, or when the new one stands but may not survive.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), OutletError> {
    let written = write_whole(path, bytes, File::options().write(true));
    written.map_err(|error| not_written(path, &error))?;
    sync_folder(path).map_err(|error| perhaps_written(path, &error))
}

/// Replaces a file that nobody but its owner may read by one that is whole.
pub(super) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_whole(path, bytes, File::options().write(true).mode(0o600))?;
    sync_folder(path)
}

fn write_whole(path: &Path, bytes: &[u8], options: &mut OpenOptions) -> io::Result<()> {
    let aside = aside(path, "tmp");
    let written = create_folders(path).and_then(|()| {
        let mut file = options.create(true).truncate(true).open(&aside)?;
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

/// A name beside this file's.
pub(super) fn aside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// The length of a file's whole lines: what stands behind the last newline is torn.
pub(super) fn whole_lines(file: &mut File) -> io::Result<u64> {
    const CHUNK: u64 = 64 * 1024;
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut bytes = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        Read::by_ref(file)
            .take(end - start)
            .read_to_end(&mut bytes)?;
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.into(),
        _ => PathBuf::from(if path.has_root() { "/" } else { "." }),
    }
}
