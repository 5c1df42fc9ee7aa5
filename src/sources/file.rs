//! A file as a source: each line is a post, and the file is followed as it grows.
//!
//! A line is a text, or a JSON object `{"id"?, "text", "language"?, "url"?, "created_at"?}`: always
//! where the name ends in `.jsonl` or `.ndjson`, elsewhere when it begins with `{`. A last line
//! without its newline waits until it is complete. A line without an id is known by what it says,
//! so that a file that is saved anew shows only what is new in it. When the file was moved away and a new one
//! begun, the old one is finished first, if it still lies in the same folder.

mod count;
mod cursor;
mod line;
mod rotation;
mod tail;

use std::path::PathBuf;

use actix_rt::task::spawn_blocking;
use babelfeed_actors::domain::{Language, SourceName};
use babelfeed_actors::ports::{Cursor, Polled, Source, SourceError};
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;

use count::Memory;

/// What a file source is told.
#[derive(Clone, Debug)]
pub struct FileConfig {
    /// Its name.
    pub name: SourceName,
    /// The file.
    pub path: PathBuf,
    /// The language of the lines that do not tell theirs.
    pub language: Option<Language>,
}

/// A source that reads a file line by line.
#[derive(Clone, Debug)]
pub struct FileSource {
    config: FileConfig,
    memory: Memory,
}

impl FileSource {
    /// A source of that file; nothing is opened before the first poll.
    pub fn new(config: FileConfig) -> Self {
        Self {
            config,
            memory: Memory::default(),
        }
    }
}

impl Source for FileSource {
    fn poll<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        room: usize,
    ) -> LocalBoxFuture<'a, Result<Polled, SourceError>> {
        let (config, memory) = (self.config.clone(), Memory::clone(&self.memory));
        let cursor = cursor.cloned();
        async move {
            spawn_blocking(move || tail::poll(&config, &memory, cursor.as_ref(), room))
                .await
                .unwrap_or_else(|failure| {
                    Err(SourceError::Unreachable {
                        detail: format!("reading the file was cut off: {failure}"),
                    })
                })
        }
        .boxed_local()
    }
}
