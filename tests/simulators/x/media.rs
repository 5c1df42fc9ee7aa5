//! Uploads to the simulated X.

use serde_json::{Value, json};

use super::Node;
use super::answers::{found, invalid, missing, not_permitted, parameter};
use super::caller::{Caller, may};
use crate::simulators::forms::{Part, parts};
use crate::simulators::server::{Answer, Request};

/// Something that was uploaded, or is being uploaded.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    pub category: String,
    pub bytes: Vec<u8>,
    pub alt: Option<String>,
    pub is_sensitive: bool,
    total: usize,
    is_final: bool,
    /// How often it is yet said that it is not ready.
    pending: u32,
}

impl Upload {
    /// One that posts have, however it came.
    pub(super) fn known(kind: &str, alt: Option<&str>) -> Self {
        Self {
            category: kind.to_owned(),
            alt: alt.map(str::to_owned),
            is_final: true,
            ..Self::default()
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.is_final && self.pending == 0 && self.bytes.len() == self.total
    }

    pub(super) fn shown(&self, key: &str) -> Value {
        let mut shown = json!({"media_key": key});
        if let Some(alt) = &self.alt {
            shown["alt_text"] = json!(alt);
        }
        if self.category == "video" {
            shown["type"] = json!("video");
            shown["preview_image_url"] = json!("https://pbs.twimg.com/preview.jpg");
            shown["variants"] = json!([
                {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/a.m3u8"},
                {"bit_rate": 256_000, "content_type": "video/mp4", "url": "https://video.twimg.com/small.mp4"},
                {"bit_rate": 2_176_000, "content_type": "video/mp4", "url": "https://video.twimg.com/large.mp4"},
            ]);
        } else {
            shown["type"] = json!("photo");
            shown["url"] = json!(format!("https://pbs.twimg.com/{key}.jpg"));
        }
        shown
    }
}

impl Node {
    pub(super) fn media(&mut self, rest: &[&str], request: &Request, caller: &Caller) -> Answer {
        if !may(caller, "media.write") {
            return not_permitted();
        }
        match (request.method.as_str(), rest) {
            ("POST", ["upload"]) => self.take_whole(request),
            ("POST", ["upload", "initialize"]) => self.begin(request),
            ("POST", ["upload", id, "append"]) => self.append(id, request),
            ("POST", ["upload", id, "finalize"]) => self.finalize(id),
            ("GET", ["upload"]) => self.status(request),
            ("POST", ["metadata"]) => self.describe(request),
            _ => missing(),
        }
    }

    fn take_whole(&mut self, request: &Request) -> Answer {
        let Some(parts) = parts(request) else {
            return invalid("no form");
        };
        let (Some(category), Some(bytes)) = (text(&parts, "media_category"), file(&parts, "media"))
        else {
            return invalid("media or media_category is missing");
        };
        if category != "tweet_image" || bytes.len() > 5_000_000 {
            return invalid("too large, or no image");
        }
        let id = self.next_upload();
        let upload = Upload {
            total: bytes.len(),
            category,
            bytes,
            is_final: true,
            ..Upload::default()
        };
        self.uploads.insert(id.clone(), upload);
        self.told(&id)
    }

    fn begin(&mut self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let (Some(total), Some(category)) = (
            body["total_bytes"].as_u64(),
            body["media_category"].as_str(),
        ) else {
            return invalid("total_bytes or media_category is missing");
        };
        let id = self.next_upload();
        let upload = Upload {
            category: category.to_owned(),
            total: total as usize,
            ..Upload::default()
        };
        self.uploads.insert(id.clone(), upload);
        self.told(&id)
    }

    fn append(&mut self, id: &str, request: &Request) -> Answer {
        let Some(parts) = parts(request) else {
            return invalid("no form");
        };
        let index = text(&parts, "segment_index").and_then(|it| it.parse::<usize>().ok());
        let (Some(_), Some(bytes)) = (index.filter(|it| *it < 1_000), file(&parts, "media")) else {
            return invalid("segment_index or media is missing");
        };
        match self.uploads.get_mut(id).filter(|upload| !upload.is_final) {
            None => missing(),
            Some(upload) => {
                upload.bytes.extend(bytes);
                found(&json!({"data": {"expires_at": 1}}))
            }
        }
    }

    fn finalize(&mut self, id: &str) -> Answer {
        match self.uploads.get_mut(id) {
            Some(upload) if upload.bytes.len() == upload.total => {
                upload.is_final = true;
                upload.pending = 1;
                self.told(id)
            }
            _ => invalid("not whole"),
        }
    }

    fn status(&mut self, request: &Request) -> Answer {
        let id = parameter(request, "media_id").unwrap_or_default();
        if parameter(request, "command").as_deref() != Some("STATUS") {
            return invalid("no command");
        }
        match self.uploads.get_mut(&id) {
            None => missing(),
            Some(upload) => {
                upload.pending = upload.pending.saturating_sub(1);
                self.told(&id)
            }
        }
    }

    fn describe(&mut self, request: &Request) -> Answer {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let alt = body["metadata"]["alt_text"]["text"].as_str();
        if alt.is_some_and(|alt| alt.chars().count() > 1_000) {
            return invalid("the alt text is too long");
        }
        let id = body["id"].as_str().unwrap_or_default();
        let Some(upload) = self.uploads.get_mut(id) else {
            return missing();
        };
        upload.alt = alt.map(str::to_owned);
        upload.is_sensitive = body["metadata"]["sensitive_media_warning"]["other"] == json!(true);
        self.bill("metadata", 0.005);
        found(&json!({"data": {"id": id, "associated_metadata": body["metadata"]}}))
    }

    fn next_upload(&mut self) -> String {
        (1_880_028_106_020_515_840_u64 + self.uploads.len() as u64).to_string()
    }

    fn told(&self, id: &str) -> Answer {
        let upload = &self.uploads[id];
        let mut data = json!({
            "id": id,
            "media_key": format!("3_{id}"),
            "size": upload.bytes.len(),
            "expires_after_secs": 86_400,
        });
        if upload.is_final && upload.category != "tweet_image" {
            data["processing_info"] = match upload.pending {
                0 => json!({"state": "succeeded", "progress_percent": 100}),
                _ => json!({"state": "pending", "check_after_secs": 1}),
            };
        }
        found(&json!({"data": data}))
    }
}

/// What a field of a form says.
fn text(parts: &[Part], name: &str) -> Option<String> {
    let part = parts.iter().find(|it| it.name == name && !it.is_file)?;
    String::from_utf8(part.bytes.clone()).ok()
}

/// The file in a field of a form.
fn file(parts: &[Part], name: &str) -> Option<Vec<u8>> {
    let part = parts.iter().find(|it| it.name == name && it.is_file)?;
    Some(part.bytes.clone())
}
