//! Whether what was published of a post is right, by the post's own record.

use std::collections::BTreeMap;

use babelfeed_actors::logic::compose::{Link, Style};

use crate::counts::Network;
use crate::outlet::Out;
use crate::posts::{Kind, Post, Span};
use crate::provider::ADDED;

/// An outlet as the judge knows it.
pub(crate) struct Seat {
    pub(crate) network: Network,
    pub(crate) style: Style,
}

/// Judges what is out of a post, in the order in which it went out.
pub(crate) fn judge(
    post: &Post,
    out: &[Out],
    seat: &Seat,
    is_as_it_was: bool,
) -> Result<(), String> {
    for (place, part) in out.iter().enumerate() {
        if part.part != place {
            return Err(format!("part {} went out in place {place}", part.part));
        }
        let (length, most) = seat
            .network
            .length(post, &part.text, part.warning.as_deref());
        if length > most {
            return Err(format!("part {place} measures {length}, more than {most}"));
        }
    }
    let bodies = out
        .iter()
        .map(|part| body(post, part, out.len(), &seat.style));
    let bodies: Result<Vec<&str>, String> = bodies.collect();
    let text = bodies?.join("\n");
    if is_as_it_was && bare(&text) != bare(&post.text) {
        return Err("it is not the text as it was".to_owned());
    }
    let first = &out[0];
    let hanging = [first.warning.as_deref(), first.alt.as_deref()];
    let pieces: Vec<&str> = hanging.into_iter().flatten().collect();
    let whole = [&[text.as_str()], pieces.as_slice()].concat().join("\n");
    spans_stand(post, &whole)
}

/// A part without what its outlet puts below and behind it.
fn body<'a>(post: &Post, part: &'a Out, n_parts: usize, style: &Style) -> Result<&'a str, String> {
    let is_linked = match style.link {
        Link::Always => true,
        Link::First => part.part == 0,
        _ => false,
    };
    let mut body = part.text.as_str();
    if is_linked {
        let missing = || format!("part {} does not lead back", part.part);
        body = body
            .strip_suffix(&*post.url)
            .ok_or_else(missing)?
            .trim_end();
    }
    if style.numbers && n_parts > 1 {
        let number = format!("{}/{n_parts}", part.part + 1);
        let missing = || format!("part {} has another number than {number}", part.part);
        body = body.strip_suffix(&*number).ok_or_else(missing)?.trim_end();
    }
    Ok(body)
}

/// A text without blanks, and without what X refuses.
fn bare(text: &str) -> String {
    let is_bare = |letter: &char| !letter.is_whitespace() && *letter != '\u{feff}';
    text.chars().filter(is_bare).collect()
}

/// Whether each span stands in the text as often as in the post, and readers take it for that.
fn spans_stand(post: &Post, text: &str) -> Result<(), String> {
    let mut wanted: BTreeMap<&str, (Kind, usize)> = BTreeMap::new();
    for Span { kind, text } in &post.spans {
        wanted.entry(text).or_insert((*kind, 0)).1 += 1;
    }
    for (span, (kind, n_wanted)) in &wanted {
        let n_found = n_found(*kind, span, text);
        if n_found != *n_wanted {
            return Err(format!(
                "{kind:?} `{span}` {n_found} times instead of {n_wanted}"
            ));
        }
    }
    for (kind, added) in ADDED {
        if n_found(*kind, added, text) > 0 {
            return Err(format!("`{added}` was added"));
        }
    }
    let n_brackets = |text: &str| text.matches(['⟦', '⟧']).count();
    let own = post.spans.iter().map(|span| n_brackets(&span.text));
    if n_brackets(text) != own.sum::<usize>() {
        return Err("a bracket of a placeholder was left behind".to_owned());
    }
    Ok(())
}

/// How often a span stands in a text so that readers take it for that.
fn n_found(kind: Kind, span: &str, text: &str) -> usize {
    let found = text.match_indices(span).filter(|(at, _)| {
        let (before, behind) = (&text[..*at], &text[at + span.len()..]);
        !is_spoilt(kind, span, before, behind)
    });
    found.count()
}

/// Whether networks read less than a span, more than it, or nothing, with this around it.
fn is_spoilt(kind: Kind, span: &str, before: &str, behind: &str) -> bool {
    let last = before.chars().next_back();
    let mut next = behind.chars();
    let (first, second) = (next.next(), next.next());
    let is = |letter: Option<char>, is: fn(char) -> bool| letter.is_some_and(is);
    let latin = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, 'À'..='ɏ');
    let one_of = |letter: Option<char>, signs: &str| letter.is_some_and(|it| signs.contains(it));
    let goes_on = |signs: &str| one_of(first, signs) && is(second, |it| it.is_ascii_alphanumeric());
    match kind {
        Kind::Url => {
            is(last, |it| it.is_ascii_alphanumeric())
                || one_of(last, "_@$#＠＃")
                || is(first, char::is_alphanumeric)
                || one_of(first, "/_")
                || goes_on(".,;:?!/&=#%+-~_@")
        }
        Kind::Domain => {
            let has_path = span.contains('/');
            is(last, |it| it.is_ascii_alphanumeric())
                || one_of(last, "@_-./:#$＠＃")
                || is(first, latin)
                || one_of(first, "/_@-")
                || goes_on(".?#")
                || has_path && (is(first, char::is_alphanumeric) || goes_on(",;:!&=%+~"))
        }
        Kind::Mention | Kind::RemoteMention => {
            let is_list = first == Some('/') && is(second, |it| it.is_ascii_alphabetic());
            is(last, latin)
                || one_of(last, "_!#$%&*@＠/=")
                || is(first, latin)
                || one_of(first, "_@＠")
                || goes_on(".-")
                || is_list
        }
        Kind::Email => is(last, latin) || one_of(last, "_@") || is(first, latin) || goes_on(".-@_"),
        Kind::Hashtag => {
            let joins = one_of(first, "·・\u{200c}\u{200d}");
            is(last, char::is_alphanumeric)
                || one_of(last, "_&/＃#=")
                || is(first, char::is_alphanumeric)
                || is(first, |it| matches!(it, '_' | '\u{300}'..='\u{36f}'))
                || joins && is(second, char::is_alphanumeric)
        }
        Kind::Cashtag => {
            let more = behind.strip_prefix(['.', '_']).unwrap_or_default();
            let n_letters = more.chars().take_while(char::is_ascii_alphabetic).count();
            let is_end = !more[n_letters..].starts_with(|it: char| !it.is_ascii());
            is(last, |it| !it.is_whitespace())
                || is(first, char::is_alphanumeric)
                || matches!(n_letters, 1..=2) && is_end
        }
        Kind::CustomEmoji => {
            is(last, |it| it.is_ascii_alphanumeric()) || is(first, |it| it.is_ascii_alphanumeric())
        }
        Kind::Emoji => {
            let joined = before.strip_suffix('\u{200d}');
            joined.is_some_and(|it| it.ends_with(is_picture)) || is(first, joins_picture)
        }
        Kind::Code => last == Some('`') || first == Some('`'),
        Kind::Number => {
            let ends_in_digit = span.ends_with(|it: char| it.is_ascii_digit());
            is(last, |it| it.is_ascii_digit())
                || ends_in_digit && is(first, |it| it.is_ascii_digit())
        }
        Kind::Placeholder => false,
    }
}

/// Whether it changes the emoji that it stands behind.
const fn joins_picture(letter: char) -> bool {
    matches!(letter, '\u{200d}' | '\u{fe0f}' | '\u{20e3}' | '\u{300}'..='\u{36f}'
        | '\u{1f3fb}'..='\u{1f3ff}')
}

/// Whether an emoji may end with it.
const fn is_picture(letter: char) -> bool {
    matches!(letter, '\u{fe0f}' | '\u{20e3}' | '\u{2600}'..='\u{27bf}' | '\u{1f000}'..='\u{1ffff}')
}
