//! A file as an outlet: one JSON line for each publication, appended and never twice.
//!
//! A line is `{"key","task","source","post","language","text","url"?,"at"}`; `key` is the
//! publication's id. A publication of several parts is one line: its first part carries all the
//! text, the later ones find it there.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, Frozen, Outlet, OutletError, Published, ReadBack};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use super::{disk, part};

/// The most publications that are appended by one write.
const BATCH: usize = 500;
/// Up to this length a whole file is searched for a key; beyond it only what follows the mark.
const MAX_WHOLE_SEARCH: u64 = 64 * 1024 * 1024;

/// An outlet that appends to a file of JSON lines.
#[derive(Clone, Debug)]
pub struct FileOutlet {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The inode that was last appended to, or measured; held while the file is worked on.
    inode: Mutex<Option<u64>>,
}

#[derive(Serialize)]
struct Line<'a> {
    key: &'a str,
    task: String,
    source: &'a str,
    post: &'a str,
    language: &'a str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    at: String,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    key: &'a str,
}

impl FileOutlet {
    /// An outlet to that file; nothing is made before the first publication.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            shared: Arc::new(Shared {
                path: path.into(),
                inode: Mutex::new(None),
            }),
        }
    }
}

impl Outlet for FileOutlet {
    fn batch(&self) -> usize {
        BATCH
    }

    fn quiet(&self) -> Duration {
        Duration::ZERO
    }

    fn limit(&self) -> LocalBoxFuture<'_, Result<Limit, OutletError>> {
        async { Ok(Limit::Unbounded) }.boxed_local()
    }

    fn freeze(
        &self,
        dispatches: Vec<Dispatch>,
    ) -> LocalBoxFuture<'_, Result<Vec<Frozen>, OutletError>> {
        let shared = self.shared.clone();
        let work = move || {
            let mark = shared.length()?;
            dispatches
                .into_iter()
                .map(|dispatch| freeze(dispatch, mark))
                .collect()
        };
        disk::off_the_arbiter(work, Err).boxed_local()
    }

    fn publish<'a>(
        &'a self,
        parts: &'a [Frozen],
    ) -> LocalBoxFuture<'a, Vec<Result<Published, OutletError>>> {
        let shared = self.shared.clone();
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        async move {
            let appended = disk::off_the_arbiter(move || shared.append(&bytes), Err).await;
            parts
                .iter()
                .map(|part| appended.clone().map(|()| proof(part)))
                .collect()
        }
        .boxed_local()
    }

    fn read_back<'a>(
        &'a self,
        part: &'a Frozen,
    ) -> LocalBoxFuture<'a, Result<ReadBack, OutletError>> {
        let shared = self.shared.clone();
        let found = ReadBack::Found(proof(part));
        if part.dispatch.part > 0 {
            // Its text went out with the first part, which was proved before this one was sent.
            return async { Ok(found) }.boxed_local();
        }
        let (key, mark) = (part.key.to_string(), part.mark);
        let work = move || shared.holds(&key, mark);
        async move {
            let holds = disk::off_the_arbiter(work, Err).await?;
            Ok(if holds { found } else { ReadBack::Absent })
        }
        .boxed_local()
    }
}

fn freeze(dispatch: Dispatch, mark: u64) -> Result<Frozen, OutletError> {
    let publication = &dispatch.publication;
    let key = publication.id.to_string();
    if dispatch.part > 0 {
        return Ok(Frozen {
            key: part::key(&dispatch).into(),
            dispatch,
            bytes: Arc::from([]),
            mark,
        });
    }
    let line = Line {
        key: &key,
        task: publication.id.task().to_string(),
        source: &publication.source,
        post: &publication.post,
        language: publication.language.as_str(),
        text: disk::whole_text(publication),
        url: publication.url.as_deref(),
        at: publication.created_at.to_string(),
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|error| OutletError::Rejected {
        detail: format!("the line cannot be written as JSON: {error}"),
    })?;
    bytes.push(b'\n');
    Ok(Frozen {
        key: key.into(),
        bytes: bytes.into(),
        dispatch,
        mark,
    })
}

fn proof(part: &Frozen) -> Published {
    Published {
        id: part.dispatch.publication.id.to_string().into(),
        url: None,
    }
}

impl Shared {
    /// The length of the file's whole lines; 0 where there is no file yet.
    fn length(&self) -> Result<u64, OutletError> {
        let mut inode = self.inode.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = File::open(&self.path).and_then(|mut file| {
            *inode = Some(file.metadata()?.ino());
            disk::whole_lines(&mut file)
        });
        match measured {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *inode = None;
                Ok(0)
            }
            other => other.map_err(|error| disk::not_written(&self.path, &error)),
        }
    }

    /// Appends all of it or nothing.
    fn append(&self, bytes: &[u8]) -> Result<(), OutletError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let _inode = self.inode.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut file, length) = self
            .open_whole()
            .map_err(|error| disk::not_written(&self.path, &error))?;
        let appended = file.write_all(bytes).and_then(|()| file.sync_data());
        let Err(error) = appended else {
            return Ok(());
        };
        match file.set_len(length).and_then(|()| file.sync_data()) {
            Ok(()) => Err(disk::not_written(&self.path, &error)),
            Err(_) => Err(disk::perhaps_written(&self.path, &error)),
        }
    }

    /// Opens the file at its end, with folders made and a torn last line cut.
    fn open_whole(&self) -> io::Result<(File, u64)> {
        let is_new = !self.path.exists();
        if is_new {
            disk::create_folders(&self.path)?;
        }
        let mut file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .open(&self.path)?;
        if is_new {
            disk::sync_folder(&self.path)?;
        }
        let length = cut_torn_line(&mut file)?;
        Ok((file, length))
    }

    /// Whether a whole line with that key stands in the file.
    fn holds(&self, key: &str, mark: u64) -> Result<bool, OutletError> {
        let inode = self.inode.lock().unwrap_or_else(PoisonError::into_inner);
        let searched = self.search(key, mark, *inode);
        match searched {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map_err(|error| disk::perhaps_written(&self.path, &error)),
        }
    }

    fn search(&self, key: &str, mark: u64, inode: Option<u64>) -> io::Result<bool> {
        let mut file = File::options().read(true).write(true).open(&self.path)?;
        let length = cut_torn_line(&mut file)?;
        let is_same = inode.is_none_or(|inode| file.metadata().is_ok_and(|now| now.ino() == inode));
        let start = if is_same && is_line_start(&mut file, mark, length)? {
            mark
        } else {
            0
        };
        if holds_from(&mut file, start, key)? {
            return Ok(true);
        }
        // The file may have been exchanged for one that has grown past the mark since.
        Ok(start > 0 && length <= MAX_WHOLE_SEARCH && holds_from(&mut file, 0, key)?)
    }
}

fn cut_torn_line(file: &mut File) -> io::Result<u64> {
    let length = disk::whole_lines(file)?;
    if length < file.metadata()?.len() {
        file.set_len(length)?;
        file.sync_data()?;
    }
    Ok(length)
}

fn is_line_start(file: &mut File, mark: u64, length: u64) -> io::Result<bool> {
    if mark == 0 || mark > length {
        return Ok(mark == 0);
    }
    let mut byte = [0];
    file.seek(SeekFrom::Start(mark - 1))?;
    file.read_exact(&mut byte)?;
    Ok(byte == *b"\n")
}

fn holds_from(file: &mut File, start: u64, key: &str) -> io::Result<bool> {
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        if serde_json::from_slice::<Key>(&line).is_ok_and(|read| read.key == key) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}
