//! What outlets that write files share.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use actix_rt::task::spawn_blocking;
use babelfeed_actors::domain::Publication;
use babelfeed_actors::ports::OutletError;

use crate::disk::write_whole;
pub(super) use crate::disk::{aside, create_folders, sync_folder};

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

/// Replaces a file by one that is whole: whoever reads sees the old or the new.
///
/// # Errors
/// When the old one still stands, or when the new one stands but may not survive.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), OutletError> {
    let written = write_whole(path, bytes);
    written.map_err(|error| not_written(path, &error))?;
    sync_folder(path).map_err(|error| perhaps_written(path, &error))
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
