//! Media that are handed in before a status is posted, and take their time.

use serde_json::{Value, json};

use super::{Node, Posted, failure, found};
use crate::simulators::forms::parts;
use crate::simulators::server::{Answer, Reply, Request};

/// The most pictures of a status.
pub(super) const MAX_MEDIA: usize = 4;
pub(super) const MAX_IMAGE: usize = 1_000_000;
pub(super) const MAX_VIDEO: usize = 2_000_000;
pub(super) const MAX_DESCRIPTION: usize = 1_500;
pub(super) const TYPES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "video/mp4"];

/// What happens to an upload.
#[derive(Clone, Debug)]
pub enum Handling {
    /// It is ready at once.
    Ready,
    /// It is processed until it was looked at so often.
    Slow(usize),
    /// It is processed until it was looked at so often, and then has failed.
    Fails(usize),
    /// It is ready, as its answer says, and yet cannot be attached until it was looked at so often.
    Hasty(usize),
    /// It is refused: status and text.
    Refused(u16, String),
    /// It is taken, and the connection is closed without a word.
    ReplyLost,
}

/// A medium that was handed in.
#[derive(Clone, Debug)]
pub struct Medium {
    pub id: String,
    pub mime: String,
    pub description: String,
    pub n_bytes: usize,
    pub is_attached: bool,
    pub handling: Handling,
}

impl Node {
    pub(super) fn take_medium(&mut self, request: &Request) -> Reply {
        let handling = self.handlings.pop_front().unwrap_or(Handling::Ready);
        if let Handling::Refused(status, text) = &handling {
            return failure(*status, text).into();
        }
        let Some((mime, description, n_bytes)) = read_form(request) else {
            return failure(400, "Bad Request").into();
        };
        let max = match mime.starts_with("image/") {
            true => MAX_IMAGE,
            false => MAX_VIDEO,
        };
        if !TYPES.contains(&mime.as_str()) {
            return failure(422, "Validation failed: File content type is invalid").into();
        }
        if n_bytes > max {
            return failure(422, "Validation failed: File is too large").into();
        }
        if description.chars().count() > MAX_DESCRIPTION {
            return failure(422, "Validation failed: Description is too long").into();
        }
        let id = self.store_medium(&mime, &description, handling.clone());
        if let Some(medium) = self.media.last_mut() {
            medium.n_bytes = n_bytes;
        }
        let medium = self.media.iter().find(|it| it.id == id);
        let body = medium.map(shown).unwrap_or_default();
        match handling {
            Handling::ReplyLost => Reply::Hangup,
            Handling::Slow(_) | Handling::Fails(_) => {
                let mut body = body;
                body["url"] = Value::Null;
                Answer {
                    status: 202,
                    ..found(&body)
                }
                .into()
            }
            _ => found(&body).into(),
        }
    }

    pub(super) fn store_medium(
        &mut self,
        mime: &str,
        description: &str,
        handling: Handling,
    ) -> String {
        let id = (113_000_000_000_000_000_u64 + self.media.len() as u64).to_string();
        self.media.push(Medium {
            id: id.clone(),
            mime: mime.to_owned(),
            description: description.to_owned(),
            n_bytes: 0,
            is_attached: false,
            handling,
        });
        id
    }

    pub(super) fn look_at_medium(&mut self, id: &str) -> Answer {
        let medium = self.media.iter_mut().find(|it| it.id == id);
        let Some(medium) = medium.filter(|it| !it.is_attached) else {
            return failure(404, "Record not found");
        };
        match &mut medium.handling {
            Handling::Slow(0) | Handling::Hasty(0) => medium.handling = Handling::Ready,
            Handling::Fails(0) => return failure(422, "Validation failed: File is broken"),
            Handling::Slow(left) | Handling::Fails(left) | Handling::Hasty(left) => {
                *left -= 1;
                return Answer {
                    status: 206,
                    ..found(&shown(medium))
                };
            }
            _ => {}
        }
        found(&shown(medium))
    }

    /// Attaches media to a new status, or to the status `own` that is changed.
    pub(super) fn attach(&mut self, ids: &[String], own: Option<&str>) -> Result<(), Answer> {
        let is_own = |id: &String| {
            let has_it = |it: &Posted| Some(it.id.as_str()) == own && it.media.contains(id);
            self.statuses.iter().any(has_it)
        };
        let (mut n_pictures, mut n_others) = (0, 0);
        for id in ids {
            let Some(medium) = self.media.iter().find(|it| it.id == *id) else {
                return Err(failure(422, "Validation failed: Media is not there"));
            };
            if medium.is_attached && !is_own(id) {
                return Err(failure(422, "Validation failed: Media is attached already"));
            }
            if matches!(
                medium.handling,
                Handling::Slow(_) | Handling::Fails(_) | Handling::Hasty(_)
            ) {
                let text = "Cannot attach files that have not finished processing. \
                            Try again in a moment!";
                return Err(failure(422, text));
            }
            match medium.mime.starts_with("image/") {
                true => n_pictures += 1,
                false => n_others += 1,
            }
        }
        if n_pictures > MAX_MEDIA || n_others > 1 || (n_pictures > 0 && n_others > 0) {
            return Err(failure(422, "Cannot attach more than 4 files"));
        }
        for medium in self.media.iter_mut().filter(|it| ids.contains(&it.id)) {
            medium.is_attached = true;
        }
        Ok(())
    }

    /// Detaches media from what is not published after all.
    pub(super) fn detach(&mut self, ids: &[String]) {
        for medium in self.media.iter_mut().filter(|it| ids.contains(&it.id)) {
            medium.is_attached = false;
        }
    }

    /// Describes media anew.
    pub(super) fn describe(&mut self, attributes: &Value) {
        for attribute in attributes.as_array().into_iter().flatten() {
            let description = attribute["description"].as_str().unwrap_or_default();
            let id = attribute["id"].as_str();
            for medium in self
                .media
                .iter_mut()
                .filter(|it| Some(it.id.as_str()) == id)
            {
                medium.description = description.to_owned();
            }
        }
    }

    pub(super) fn shown_media(&self, ids: &[String]) -> Vec<Value> {
        let of = |id: &String| self.media.iter().find(|it| it.id == *id).map(shown);
        ids.iter().filter_map(of).collect()
    }
}

fn shown(medium: &Medium) -> Value {
    let kind = medium.mime.split('/').next().unwrap_or("unknown");
    let ending = medium.mime.rsplit('/').next().unwrap_or("bin");
    json!({
        "id": medium.id,
        "type": kind,
        "url": format!("https://files.simulated.example/{}.{ending}", medium.id),
        "preview_url": format!("https://files.simulated.example/small/{}.{ending}", medium.id),
        "description": (!medium.description.is_empty()).then_some(&medium.description),
    })
}

/// The type of the file in a form, its description, and its length.
fn read_form(request: &Request) -> Option<(String, String, usize)> {
    let (mut file, mut description) = (None, String::new());
    for part in parts(request)? {
        if part.name == "file" && part.is_file {
            file = Some((part.mime?, part.bytes.len()));
        } else if part.name == "description" {
            description = String::from_utf8_lossy(&part.bytes).into_owned();
        }
    }
    let (mime, n_bytes) = file?;
    Some((mime, description, n_bytes))
}
