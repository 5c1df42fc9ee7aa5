//! What cannot be attached at an outlet, in words beside the text.

use std::collections::HashSet;

use babelfeed_actors::domain::{Attached, Media, Poll, Publication, PublicationId};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::links::leads_to;
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

/// The media that a message shows as such, at most so many, and the others.
pub(super) fn divided(
    media: &[Media],
    most: usize,
    can_show: impl Fn(&Media) -> bool,
) -> (Vec<&Media>, Vec<&Media>) {
    let (mut shown, mut rest) = (Vec::new(), Vec::new());
    for it in media {
        match shown.len() < most && can_show(it) {
            true => shown.push(it),
            false => rest.push(it),
        }
    }
    (shown, rest)
}

/// What a medium shows, in words; none where nothing is said.
pub(super) fn alt(media: &Media) -> Option<&str> {
    let alt = media.alt.as_deref().map(str::trim);
    alt.filter(|it| !it.is_empty())
}

/// What every platform without polls and quotes shows as text: the options of the poll, and the
/// address of what is quoted.
pub(super) fn pieces(attached: &Attached, publication: &Publication) -> Vec<String> {
    let poll = attached.poll.as_ref().map(poll);
    let quoted = quoted(attached, publication).map(str::to_owned);
    poll.into_iter().chain(quoted).collect()
}

/// The options of a poll.
pub(super) fn poll(poll: &Poll) -> String {
    let options = poll.options.iter().map(|option| format!("• {option}"));
    options.collect::<Vec<_>>().join("\n")
}

/// Whether each option of a poll says something, and something else than the others, as platforms
/// want it; different words may have become the same in another language.
pub(super) fn are_choices(options: &[String]) -> bool {
    let mut said = HashSet::new();
    options.iter().all(|option| {
        let option = option.trim();
        !option.is_empty() && said.insert(option)
    })
}

/// The address of the post that is quoted, unless the text shows it already.
pub(super) fn quoted<'a>(attached: &'a Attached, publication: &Publication) -> Option<&'a str> {
    let is_shown = |address: &&str| {
        publication
            .parts
            .iter()
            .any(|it| leads_to(&it.text, address))
    };
    attached.quoted.as_deref().filter(|it| !is_shown(it))
}

/// The text with as many of the pieces behind it as fit, each a paragraph.
pub(super) fn with_pieces(
    text: &str,
    pieces: &[String],
    limit: Limit,
    publication: &Publication,
) -> String {
    let (whole, left_out) = joined(text, pieces.to_vec(), limit);
    for piece in &left_out {
        say_left_out(publication.id, piece);
    }
    whole
}

/// The same, with what does not fit.
pub(super) fn joined(text: &str, pieces: Vec<String>, limit: Limit) -> (String, Vec<String>) {
    let (mut whole, mut left_out) = (text.to_owned(), Vec::new());
    for piece in pieces {
        let gap = if whole.is_empty() { "" } else { "\n\n" };
        let longer = format!("{whole}{gap}{piece}");
        if limit.fits(&longer) {
            whole = longer;
        } else {
            left_out.push(piece);
        }
    }
    (whole, left_out)
}

/// Says that something is nowhere in a publication.
pub(super) fn say_left_out(publication: PublicationId, piece: &str) {
    warn!(publication:% = publication, piece; "what cannot be attached does not fit behind the text either, and is left out");
}

/// The fewest characters of a warning that still says something.
const SHORTEST_WARNING: usize = 10;

/// A text below as much of its warning as has room above it, which is shown as told; none where
/// too little has.
pub(super) fn below_warning(
    warning: &str,
    text: &str,
    shown: impl Fn(String) -> String,
    fits: impl Fn(&str) -> bool,
) -> Option<String> {
    let cut = |most: usize| {
        let whole = format!("{}\n\n{text}", shown(shortened(warning, most)));
        fits(&whole).then_some(whole)
    };
    let n_characters = warning.chars().count();
    if let Some(whole) = cut(n_characters) {
        return Some(whole);
    }
    // Sources set no bound to a warning, so the room is not looked for one by one.
    let (mut most, mut beyond) = (SHORTEST_WARNING.min(n_characters), n_characters);
    let mut best = cut(most)?;
    while most + 1 < beyond {
        let middle = most.midpoint(beyond);
        match cut(middle) {
            Some(whole) => (most, best) = (middle, whole),
            None => beyond = middle,
        }
    }
    Some(best)
}

/// As much of some words as has room, in code points; none where there is none.
pub(super) fn shortened(words: &str, room: usize) -> String {
    if words.chars().count() <= room {
        return words.to_owned();
    }
    let Some(room) = room.checked_sub(1).filter(|room| *room > 0) else {
        return String::new();
    };
    let kept: String = words.chars().take(room).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
    fn what_a_message_cannot_show_is_left_beside_it() {
        let all = ["1.png", "2.gif", "3.png", "4.png"].map(|name| media(name, None));
        let (shown, rest) = divided(&all, 2, |it| look(it) == Look::Picture);
        assert_eq!(shown, [&all[0], &all[2]]);
        assert_eq!(rest, [&all[1], &all[3]]);
    }

    #[test]
    fn as_much_of_a_warning_stands_above_a_text_as_has_room_however_long_it_is() {
        let above = |warning: &str, room: usize| {
            let n_asked = Cell::new(0);
            let fits = |text: &str| {
                n_asked.set(n_asked.get() + 1);
                text.chars().count() <= room
            };
            let whole = below_warning(warning, "hola", |warning| warning, fits);
            (whole, n_asked.get())
        };
        let long = "x".repeat(100_000);
        let (whole, n_asked) = above(&long, 50);
        assert_eq!(whole, Some(format!("{}…\n\nhola", "x".repeat(43))));
        assert!(n_asked < 30, "{n_asked}");
        assert_eq!(above(&long, 16).0, Some("xxxxxxxxx…\n\nhola".to_owned()));
        assert_eq!(above(&long, 15).0, None);
        assert_eq!(above("Ojo", 9).0, Some("Ojo\n\nhola".to_owned()));
        assert_eq!(above("Ojo", 8).0, None);
    }

    #[test]
    fn a_warning_is_shortened_to_its_room() {
        assert_eq!(shortened("Ojo", 3), "Ojo");
        assert_eq!(shortened("Cuidado", 4), "Cui…");
        assert_eq!(shortened("Ojo con eso", 5), "Ojo…");
        assert_eq!(shortened("Cuidado", 1), "");
    }
}
