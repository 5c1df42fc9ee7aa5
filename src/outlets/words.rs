//! What cannot be attached at an outlet, in words beside the text.

use babelfeed_actors::domain::{Attached, Media, Poll, Publication};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::ports::{Dispatch, OutletError};
use log::warn;

/// What kind of file a medium is, as far as can be told without asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A picture that does not move.
    Picture,
    /// A film.
    Film,
    /// Anything else.
    Other,
}

/// What a medium is, by its type or else by the end of its address.
pub(super) fn look(media: &Media) -> Look {
    let path = media.url.split(['?', '#']).next().unwrap_or_default();
    let end = path.rsplit('.').next().unwrap_or_default().to_lowercase();
    let mime = media.mime.as_deref().unwrap_or(match end.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        _ => "",
    });
    match mime {
        "image/gif" | "image/svg+xml" => Look::Other,
        mime if mime.starts_with("image/") => Look::Picture,
        "video/mp4" => Look::Film,
        _ => Look::Other,
    }
}

/// What hangs on a part: on the first of a publication what hangs on the post, else nothing.
pub(super) fn hanging(dispatch: &Dispatch) -> Option<&Attached> {
    let attached = dispatch.publication.attached.as_deref();
    attached.filter(|_| dispatch.part == 0)
}

/// The text of a part.
///
/// # Errors
/// When there is no such part.
pub(super) fn text_of(dispatch: &Dispatch) -> Result<&str, OutletError> {
    let part = dispatch.publication.parts.get(dispatch.part);
    part.map(|part| &*part.text)
        .ok_or_else(|| OutletError::Rejected {
            detail: format!("there is no part {}", dispatch.part),
        })
}

/// The id of what a part answers: the part before it, or what its publication answers.
pub(super) fn parent(dispatch: &Dispatch) -> Option<&str> {
    match dispatch.part.checked_sub(1) {
        Some(before) => dispatch.publication.parts[before].id.as_deref(),
        None => {
            let thread = dispatch.publication.thread.as_ref();
            thread.map(|thread| &*thread.parent)
        }
    }
}

/// What every platform without polls and quotes shows as text: the options of the poll, and the
/// address of what is quoted.
pub(super) fn pieces(attached: &Attached, publication: &Publication) -> Vec<String> {
    let poll = attached.poll.as_ref().map(poll);
    let quoted = attached
        .quoted
        .as_ref()
        .filter(|it| !is_shown(publication, it));
    poll.into_iter()
        .chain(quoted.map(|it| it.to_string()))
        .collect()
}

fn poll(poll: &Poll) -> String {
    let options = poll.options.iter().map(|option| format!("• {option}"));
    options.collect::<Vec<_>>().join("\n")
}

fn is_shown(publication: &Publication, address: &str) -> bool {
    let mut parts = publication.parts.iter();
    parts.any(|part| part.text.contains(address))
}

/// The text with as many of the pieces behind it as fit, each a paragraph.
pub(super) fn with_pieces(
    text: &str,
    pieces: &[String],
    limit: Limit,
    publication: &Publication,
) -> String {
    let mut whole = text.to_owned();
    for piece in pieces {
        let gap = if whole.is_empty() { "" } else { "\n\n" };
        let longer = format!("{whole}{gap}{piece}");
        if limit.fits(&longer) {
            whole = longer;
        } else {
            warn!(publication:% = publication.id, piece = piece.as_str(); "what cannot be attached does not fit behind the text either, and is left out");
        }
    }
    whole
}

/// As much of a warning as has room, in code points; none where there is none.
pub(super) fn shortened(warning: &str, room: usize) -> String {
    if warning.chars().count() <= room {
        return warning.to_owned();
    }
    let Some(room) = room.checked_sub(1).filter(|room| *room > 0) else {
        return String::new();
    };
    let mut short: String = warning.chars().take(room).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(url: &str, mime: Option<&str>) -> Media {
        Media {
            url: url.to_owned(),
            mime: mime.map(str::to_owned),
            alt: None,
        }
    }

    #[test]
    fn a_medium_is_known_by_its_type_or_its_address() {
        for (url, mime, expected) in [
            ("https://a.example/1", Some("image/png"), Look::Picture),
            ("https://a.example/1.JPG?w=3", None, Look::Picture),
            ("https://a.example/1.mp4", None, Look::Film),
            ("https://a.example/1.png", Some("image/gif"), Look::Other),
            ("https://a.example/1", None, Look::Other),
        ] {
            assert_eq!(look(&media(url, mime)), expected, "{url} {mime:?}");
        }
    }

    #[test]
    fn a_warning_is_shortened_to_its_room() {
        assert_eq!(shortened("Ojo", 3), "Ojo");
        assert_eq!(shortened("Cuidado", 4), "Cui…");
        assert_eq!(shortened("Cuidado", 1), "");
    }
}
