//! Downloads what posts refer to, bounded in size and time.

use std::time::Duration;

use actix_web::web::Bytes;

use super::{Call, HttpClient, HttpConfig, HttpError, Method, Reach, Uri};

/// The most redirects that are followed.
const MAX_REDIRECTS: u8 = 5;
/// Connections to one host or many; posts have few media, and they are fetched one by one.
const CONNECTIONS: usize = 4;

/// How media are downloaded.
#[derive(Clone, Debug)]
pub struct DownloadConfig {
    /// How it connects; redirects are always followed.
    pub http: HttpConfig,
    /// Where it may connect to.
    pub reach: Reach,
    /// The most bytes of one file.
    pub max_bytes: usize,
    /// How long one download may take.
    pub timeout: Duration,
}

impl Default for DownloadConfig {
    /// 16 MiB within a minute, from public addresses.
    fn default() -> Self {
        Self {
            http: HttpConfig::default(),
            reach: Reach::Public,
            max_bytes: 16 << 20,
            timeout: Duration::from_secs(60),
        }
    }
}

/// Downloads media; bound to its arbiter, like the client it holds.
#[derive(Clone)]
pub struct Downloader {
    client: HttpClient,
    max_bytes: usize,
    timeout: Duration,
}

/// What was downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// The whole file.
    pub bytes: Bytes,
    /// What it is, by its first bytes, else as the server says: a picture, a film or a sound.
    pub mime: String,
}

/// Why a file was not downloaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// It could not be had now; later it may be.
    #[error("not reachable: {detail}")]
    Unreachable {
        /// What happened.
        detail: String,
    },
    /// It is not there, too large, or nothing that can be attached.
    #[error("{detail}")]
    Refused {
        /// What was wanted and what came.
        detail: String,
    },
}

impl Downloader {
    /// A downloader; nothing is asked before the first call.
    pub fn new(config: &DownloadConfig) -> Self {
        let client = HttpClient::new(&HttpConfig {
            redirects: MAX_REDIRECTS,
            reach: config.reach,
            connections: CONNECTIONS,
            ..config.http.clone()
        });
        Self {
            client,
            max_bytes: config.max_bytes,
            timeout: config.timeout,
        }
    }

    /// Downloads a file of at most `max_bytes`, or of as much as the settings allow.
    ///
    /// # Errors
    /// When it is not there whole, or is neither a picture nor a film nor a sound.
    pub async fn fetch(&self, url: &str, max_bytes: usize) -> Result<Downloaded, DownloadError> {
        let url = address(url)?;
        let call = Call {
            method: Method::GET,
            url: &url,
            headers: &[("accept", "image/*, video/*, audio/*")],
            body: Bytes::new(),
            timeout: self.timeout,
            max_body: max_bytes.min(self.max_bytes),
        };
        let response = self.client.call(call).await.map_err(failure)?;
        match response.status {
            200..=299 => {}
            408 | 425 | 429 | 500..=599 => {
                return Err(DownloadError::Unreachable {
                    detail: format!("HTTP status {}", response.status),
                });
            }
            status => return Err(refused(format!("HTTP status {status}"))),
        }
        let told = response.header("content-type");
        match kind(&response.body, told) {
            Some(mime) => Ok(Downloaded {
                bytes: response.body.clone(),
                mime,
            }),
            None => Err(refused(format!(
                "`{}` is neither a picture nor a film nor a sound",
                told.unwrap_or("a file without a type")
            ))),
        }
    }
}

fn address(url: &str) -> Result<Uri, DownloadError> {
    let no_address = || refused("no address, expected one that begins with http or https".into());
    // Names and paths in other scripts are written as such an address must be.
    let url = url::Url::parse(url).map_err(|_| no_address())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(no_address());
    }
    let text = &url[..url::Position::AfterQuery];
    text.parse().map_err(|_| no_address())
}

fn failure(error: HttpError) -> DownloadError {
    let detail = error.to_string();
    match error {
        HttpError::TooLarge { .. } | HttpError::OutOfReach { .. } => {
            DownloadError::Refused { detail }
        }
        _ => DownloadError::Unreachable { detail },
    }
}

fn refused(detail: String) -> DownloadError {
    DownloadError::Refused { detail }
}

/// What a file is: its first bytes are believed before its server.
fn kind(bytes: &[u8], told: Option<&str>) -> Option<String> {
    if let Some(known) = by_signature(bytes) {
        return Some(known.to_owned());
    }
    let told = told?.split(';').next().unwrap_or_default().trim();
    let told = told.to_ascii_lowercase();
    let is_medium = ["image/", "video/", "audio/"]
        .iter()
        .any(|group| told.starts_with(group));
    (is_medium && !bytes.is_empty()).then_some(told)
}

fn by_signature(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, signature: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(signature))
    };
    const STARTS: [(&[u8], &str); 8] = [
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a", "image/gif"),
        (b"\x1a\x45\xdf\xa3", "video/webm"),
        (b"OggS", "audio/ogg"),
        (b"fLaC", "audio/flac"),
        (b"ID3", "audio/mpeg"),
    ];
    const RIFF: [(&[u8], &str); 2] = [(b"WEBP", "image/webp"), (b"WAVE", "audio/wav")];
    const BRANDS: [(&[u8], &str); 7] = [
        (b"avif", "image/avif"),
        (b"avis", "image/avif"),
        (b"heic", "image/heic"),
        (b"heix", "image/heic"),
        (b"mif1", "image/heif"),
        (b"qt  ", "video/quicktime"),
        (b"M4A ", "audio/mp4"),
    ];
    let named = |offset: usize, names: &[(&[u8], &'static str)]| {
        let mut names = names.iter();
        names
            .find(|(name, _)| at(offset, name))
            .map(|(_, mime)| *mime)
    };
    if at(4, b"ftyp") {
        return Some(named(8, &BRANDS).unwrap_or("video/mp4"));
    }
    if at(0, b"RIFF") {
        return named(8, &RIFF);
    }
    named(0, &STARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes_whatever_its_server_says() {
        let html = Some("text/html; charset=utf-8");
        for (bytes, mime) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF"[..], "image/jpeg"),
            (b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
            (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0\x20ftypisom\0\0", "video/mp4"),
            (b"\0\0\0\x20ftypavif\0\0", "image/avif"),
        ] {
            assert_eq!(kind(bytes, html).as_deref(), Some(mime));
        }
    }

    #[test]
    fn what_has_no_known_beginning_is_what_its_server_says() {
        let told = |told| kind(b"BM something", told);
        assert_eq!(told(Some("Image/BMP; x=1")).as_deref(), Some("image/bmp"));
        assert_eq!(told(Some("text/html")), None);
        assert_eq!(told(None), None);
        assert_eq!(kind(b"", Some("image/png")), None);
    }

    #[test]
    fn only_the_web_is_downloaded_from() {
        for url in ["file:///etc/passwd", "ftp://a.example/b", "a.png", ""] {
            assert!(address(url).is_err(), "{url}");
        }
        let url = address("https://a.example/ä b.png#x").expect("an address");
        assert_eq!(url.to_string(), "https://a.example/%C3%A4%20b.png");
    }
}
