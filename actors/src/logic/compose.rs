//! Puts together what an outlet publishes of a text: its parts, with the link back, the
//! attribution and the mark, all of them within the limit.

mod anew;

use std::borrow::Cow;
use std::sync::Arc;

use super::fit::{Limit, TooLong, fit, fit_beside, taken};
use super::hashtags::{Hashtags, Translated};
use super::links::with_links_apart;
use super::policy::{Mentions, with_mentions, without_mentions};
use super::spans::Scan;
use crate::domain::Attached;

/// How an outlet wants texts put together; by default just the text, in as many parts as it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// What becomes of a text that is too long for one part.
    pub long: Long,
    /// Whether the parts of a thread bear numbers, like `2/5`.
    pub numbers: bool,
    /// The most parts that go out of one text.
    pub max_parts: Option<usize>,
    /// Where the address of the original stands.
    pub link: Link,
    /// A line that says whose text it is; `{author}`, `{source}` and `{url}` are filled in.
    pub attribution: Option<Arc<str>>,
    /// A line that says that a machine translated it.
    pub mark: Option<Arc<str>>,
    /// What becomes of the mentions in texts, and of authors in the attribution.
    pub mentions: Mentions,
    /// What becomes of the hashtags in texts.
    pub hashtags: Hashtags,
}

/// What becomes of a text that is too long for one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Long {
    /// It goes out in several parts.
    #[default]
    Thread,
    /// Its beginning goes out.
    Shorten,
    /// Its beginning goes out, with the address of the original.
    Link,
}

/// Where the address of the original stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Link {
    /// Nowhere.
    #[default]
    Never,
    /// In the first part.
    First,
    /// In each part.
    Always,
    /// In the first part, for these sources alone.
    Sources(Vec<Arc<str>>),
}

/// Where a text comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin<'a> {
    /// The name of its source.
    pub source: &'a str,
    /// Who wrote it, where that is known.
    pub author: Option<&'a str>,
    /// Where people read it, where that is known.
    pub url: Option<&'a str>,
    /// Whether a machine translated it.
    pub is_translated: bool,
}

/// Why a text cannot be put together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Something in it has room in no part.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// It would take too many parts, and nothing leads to the whole of it.
    #[error("it takes {n_parts} parts, wanted at most {most}, and has no address to go on behind")]
    TooMany {
        /// How many it takes.
        n_parts: usize,
        /// How many go out of one text.
        most: usize,
    },
}

/// What stands at the end of a text that was cut.
const ELLIPSIS: &str = "…";

impl Style {
    /// The parts that are published of a text.
    ///
    /// One that takes more parts than go out of a text is cut, with the address of the original
    /// below it.
    ///
    /// # Errors
    /// When something that cannot be split is longer than the limit leaves room for, or when it
    /// takes too many parts and has no address.
    pub fn compose(
        &self,
        text: &str,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let text = &*self.prepared(text, limit);
        let first = self.tail(text, limit, origin);
        let whole = with(text.trim(), &first);
        if limit.fits(&whole) {
            return Ok(vec![whole]);
        }
        let parts = match self.long {
            Long::Thread => self.thread(text, limit, &first, origin)?,
            Long::Shorten => vec![shorten(text, limit, &first)?],
            Long::Link => vec![linked(text, limit, &first, origin)?],
        };
        match parts.iter().find(|part| !limit.fits(part)) {
            Some(part) => Err(TooLong::whole(part, limit).into()),
            None => Ok(parts),
        }
    }

    /// The same of a text whose hashtags were translated; where both are wanted, as many stand
    /// behind it as make no more parts of it.
    ///
    /// # Errors
    /// As [`Self::compose`].
    pub fn compose_tagged(
        &self,
        text: &str,
        tags: &Translated,
        limit: Limit,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let alone = self.compose(&self.tagged(text, tags), limit, origin)?;
        if self.hashtags != Hashtags::Both {
            return Ok(alone);
        }
        let longer = tags.behind(text).filter_map(|longer| {
            let parts = self.compose(&longer, limit, origin).ok()?;
            (parts.len() == alone.len()).then_some(parts)
        });
        Ok(longer.into_iter().next().unwrap_or(alone))
    }

    /// The text with translations in the places of its hashtags, where those are wanted.
    pub fn tagged<'a>(&self, text: &'a str, tags: &Translated) -> Cow<'a, str> {
        match self.hashtags {
            Hashtags::Translate => tags.in_place(text),
            Hashtags::Keep | Hashtags::Both => Cow::Borrowed(text),
        }
    }

    /// The text as one part, with what stands below it, however long that is.
    pub fn in_one(&self, text: &str, limit: Limit, origin: Origin<'_>) -> String {
        let text = self.prepared(text, limit);
        with(text.trim(), &self.tail(&text, limit, origin))
    }

    /// The text as the network is to read it: without what it refuses anywhere, its mentions as
    /// they are wanted, its addresses apart.
    fn prepared<'a>(&self, text: &'a str, limit: Limit) -> Cow<'a, str> {
        let text = and_then(taken(text, limit), |text| {
            with_mentions(text, &self.mentions, limit)
        });
        and_then(text, |text| with_links_apart(text, limit))
    }

    /// What hangs on a text, whose words alert no more people than the text does.
    pub fn hung(&self, attached: &Arc<Attached>, limit: Limit) -> Arc<Attached> {
        let wanted = |words: &str| with_mentions(words, &self.mentions, limit).into_owned();
        match self.mentions {
            Mentions::Alive => Arc::clone(attached),
            Mentions::Plain | Mentions::Mapped(_) => Arc::new(attached.with_words(wanted)),
        }
    }

    /// What hangs on a text, the mentions in its words as they were.
    pub fn unhung(&self, attached: &Attached) -> Attached {
        attached.with_words(|words| without_mentions(words, &self.mentions).into_owned())
    }

    /// The text of a person without the lines that are put below it anyway, its mentions as they
    /// were.
    pub fn bare<'a>(&self, text: &'a str, origin: Origin<'_>) -> Cow<'a, str> {
        let mut text = text.trim();
        for line in self.tail("", Limit::Unbounded, origin).lines().rev() {
            text = text.strip_suffix(line).unwrap_or(text).trim_end();
        }
        without_mentions(text, &self.mentions)
    }

    /// The lines below the first part.
    fn tail(&self, text: &str, limit: Limit, origin: Origin<'_>) -> String {
        let mut lines: Vec<String> = Vec::new();
        let attribution = self.attribution.as_deref();
        lines.extend(attribution.map(|template| self.fill(template, limit, origin)));
        let mark = self.mark.as_deref().filter(|_| origin.is_translated);
        lines.extend(mark.map(str::to_owned));
        let is_wanted = match &self.link {
            Link::Never => false,
            Link::First | Link::Always => true,
            Link::Sources(sources) => sources.iter().any(|source| **source == *origin.source),
        };
        let is_there = |url: &&str| text.contains(*url) || lines.iter().any(|it| it.contains(*url));
        let url = origin.url.filter(|url| is_wanted && !is_there(url));
        lines.extend(url.map(str::to_owned));
        lines.retain(|line| !line.trim().is_empty());
        taken(&lines.join("\n"), limit).into_owned()
    }

    /// An attribution with what stands for its names.
    fn fill(&self, template: &str, limit: Limit, origin: Origin<'_>) -> String {
        let author = origin.author.unwrap_or(origin.source);
        let filled = template
            .replace("{author}", &with_mentions(author, &self.mentions, limit))
            .replace("{source}", origin.source)
            .replace("{url}", origin.url.unwrap_or_default());
        filled.trim().to_owned()
    }

    fn thread(
        &self,
        text: &str,
        limit: Limit,
        first_tail: &str,
        origin: Origin<'_>,
    ) -> Result<Vec<String>, Unfit> {
        let later_tail = origin.url.filter(|_| self.link == Link::Always);
        let later_tail = later_tail.unwrap_or_default();
        let parts = match self.bodies(text, limit, (first_tail, later_tail)) {
            Ok(bodies) => self.numbered(&bodies, (first_tail, later_tail)),
            // The lines may have room by themselves.
            Err(error) => fit(&with(text.trim(), first_tail), limit).map_err(|_| error)?,
        };
        let most = self.max_parts.unwrap_or(usize::MAX).min(limit.max_parts());
        match (parts.len(), origin.url) {
            (n_parts, _) if n_parts <= most => Ok(parts),
            (_, Some(_)) => Ok(vec![linked(text, limit, first_tail, origin)?]),
            (n_parts, None) => Err(Unfit::TooMany { n_parts, most }),
        }
    }

    /// The texts of the parts, which have room for their numbers and for the lines below the
    /// first of them and below the others.
    fn bodies(
        &self,
        text: &str,
        limit: Limit,
        (first_tail, later_tail): (&str, &str),
    ) -> Result<Vec<String>, TooLong> {
        let mut n_digits = 1;
        loop {
            let nines = "9".repeat(n_digits);
            let number = match self.numbers {
                true => format!(" {nines}/{nines}"),
                false => String::new(),
            };
            let behind = |tail: &str| format!("{number}{}", below(tail));
            let mut bodies = fit_beside(text, limit, &behind(first_tail))?;
            if bodies.len() > 1 && first_tail != later_tail {
                // What the first part could not take may be less tight in the others.
                let rest = text.trim().strip_prefix(bodies[0].as_str());
                let rest = rest.map_or_else(|| bodies[1..].join("\n"), str::to_owned);
                bodies.truncate(1);
                bodies.extend(fit_beside(&rest, limit, &behind(later_tail))?);
            }
            let needed = bodies.len().to_string().len();
            if !self.numbers || needed <= n_digits {
                return Ok(bodies);
            }
            n_digits = needed;
        }
    }

    /// The parts with their numbers, and the lines below them where they are not in them already.
    fn numbered(&self, bodies: &[String], (first_tail, later_tail): (&str, &str)) -> Vec<String> {
        let n_parts = bodies.len();
        let parts = (1..).zip(bodies).map(|(place, body)| {
            let tail = if place == 1 { first_tail } else { later_tail };
            let tail = if body.contains(tail) { "" } else { tail };
            if self.numbers && n_parts > 1 {
                with(&format!("{body} {place}/{n_parts}"), tail)
            } else {
                with(body, tail)
            }
        });
        parts.collect()
    }
}

/// What becomes of a text that is borrowed or not.
fn and_then<'a>(text: Cow<'a, str>, then: impl Fn(&str) -> Cow<'_, str>) -> Cow<'a, str> {
    match then(&text) {
        Cow::Owned(new) => Cow::Owned(new),
        Cow::Borrowed(same) if same.len() == text.len() => text,
        Cow::Borrowed(other) => Cow::Owned(other.to_owned()),
    }
}

/// A text with lines below it.
fn with(body: &str, tail: &str) -> String {
    match (body, tail) {
        (body, "") => body.to_owned(),
        ("", tail) => tail.to_owned(),
        (body, tail) => format!("{body}\n\n{tail}"),
    }
}

/// What lines take below a text.
fn below(tail: &str) -> String {
    match tail {
        "" => String::new(),
        tail => format!("\n\n{tail}"),
    }
}

/// The beginning of a text, with lines below it.
fn shorten(text: &str, limit: Limit, tail: &str) -> Result<String, TooLong> {
    let mut room = String::new();
    loop {
        let parts = fit_beside(text, limit, &format!("{room}{ELLIPSIS}{}", below(tail)))?;
        let begin = parts.first().map(String::as_str).unwrap_or_default();
        let begin = without_pause(begin);
        let n_spans = |text: &str| Scan::through_code(text).count();
        // A cashtag is none with a sign behind it.
        let glued = format!("{begin}{ELLIPSIS}");
        let begin = match n_spans(&glued) == n_spans(begin) {
            true => glued,
            false => format!("{begin} {ELLIPSIS}"),
        };
        let whole = with(&with_links_apart(&begin, limit), tail);
        if limit.fits(&whole) {
            return Ok(whole);
        }
        // Behind an address there stands a blank that was not counted.
        room.push(' ');
    }
}

/// The same with the address of the original among the lines.
fn linked(text: &str, limit: Limit, tail: &str, origin: Origin<'_>) -> Result<String, TooLong> {
    let url = origin.url.filter(|url| !tail.contains(*url));
    let lines = [Some(tail), url].into_iter().flatten();
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    shorten(text, limit, &lines.join("\n"))
}

/// The beginning of a text without the signs that lead on to what was cut off; those that belong
/// to a span, as the colon of a custom emoji does, stay.
fn without_pause(begin: &str) -> &str {
    let spans = Scan::through_code(begin).map(|span| span.end).last();
    let (kept, behind) = begin.split_at(spans.unwrap_or_default());
    let behind = behind.trim_end_matches(|it: char| it.is_whitespace() || ",;:-–—".contains(it));
    &begin[..kept.len() + behind.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::hashtags::{apart, hashtags};

    const URL: &str = "https://example.org/posts/1";
    const ORIGIN: Origin<'_> = Origin {
        source: "news",
        author: Some("@ann@example.org"),
        url: Some(URL),
        is_translated: true,
    };

    fn words(n_words: usize) -> String {
        vec!["Word"; n_words].join(" ")
    }

    fn compose(style: &Style, text: &str, max: usize) -> Vec<String> {
        let limit = Limit::Characters { max };
        let parts = style.compose(text, limit, ORIGIN).expect("it fits");
        assert!(parts.iter().all(|part| limit.fits(part)), "{parts:?}");
        parts
    }

    #[test]
    fn by_default_a_text_stands_alone() {
        let plain = Style::default();
        assert_eq!(compose(&plain, " Hola.\n", 10), ["Hola."]);
        assert_eq!(compose(&plain, &words(5), 10).len(), 3);
    }

    #[test]
    fn what_stands_below_is_counted() {
        let style = Style {
            link: Link::First,
            attribution: Some("By {author} ({source})".into()),
            mark: Some("translated automatically".into()),
            ..Style::default()
        };
        let tail = format!("By @ann@example.org (news)\ntranslated automatically\n{URL}");
        let whole = format!("Hola.\n\n{tail}");
        assert_eq!(compose(&style, "Hola.", whole.len()), [whole.as_str()]);
        let parts = compose(&style, "Hola. Adiós.", whole.len() - 1 + "Adiós.".len());
        assert_eq!(parts, [whole, "Adiós.".to_owned()]);
        let untranslated = Origin {
            is_translated: false,
            url: None,
            ..ORIGIN
        };
        let alone = style.compose("Hola.", Limit::Unbounded, untranslated);
        let expected = "Hola.\n\nBy @ann@example.org (news)".to_owned();
        assert_eq!(alone, Ok(vec![expected]));
    }

    #[test]
    fn a_link_stands_where_it_is_wanted() {
        let n_links = |link: Link, text: &str| {
            let style = Style {
                link,
                ..Style::default()
            };
            let parts = compose(&style, text, 60);
            let with_link = |part: &&String| part.contains(URL);
            (parts.iter().filter(with_link).count(), parts.len())
        };
        let long = words(20);
        assert_eq!(n_links(Link::Never, &long).0, 0);
        assert_eq!(n_links(Link::First, &long).0, 1);
        let (n_links_always, n_parts) = n_links(Link::Always, &long);
        assert_eq!(n_links_always, n_parts);
        assert_eq!(n_links(Link::Sources(vec!["news".into()]), &long).0, 1);
        assert_eq!(n_links(Link::Sources(vec!["other".into()]), &long).0, 0);
        let linked = format!("See {URL}");
        assert_eq!(n_links(Link::First, &linked), (1, 1));
        let style = Style {
            link: Link::First,
            ..Style::default()
        };
        assert_eq!(compose(&style, &linked, 60), [linked]);
    }

    #[test]
    fn the_parts_of_a_thread_are_numbered_when_asked_for() {
        let style = Style {
            numbers: true,
            ..Style::default()
        };
        let parts = compose(&style, &words(6), 16);
        let expected = ["Word Word 1/3", "Word Word 2/3", "Word Word 3/3"];
        assert_eq!(parts, expected);
        assert_eq!(compose(&style, "Word", 16), ["Word"]);
    }

    #[test]
    fn numbers_of_any_length_have_room() {
        let style = Style {
            numbers: true,
            ..Style::default()
        };
        let parts = compose(&style, &words(9), 12);
        assert_eq!(parts[8], "Word 9/9");
        for n_words in [10, 99, 100, 250] {
            let parts = compose(&style, &words(n_words), 12);
            let n_parts = parts.len();
            assert!(parts[n_parts - 1].ends_with(&format!(" {n_parts}/{n_parts}")));
        }
    }

    #[test]
    fn what_takes_too_many_parts_is_cut_or_left_to_a_person() {
        let style = Style {
            max_parts: Some(3),
            ..Style::default()
        };
        assert_eq!(compose(&style, &words(30), 50).len(), 3);
        let cut = compose(&style, &words(31), 50);
        assert_eq!(cut, [format!("Word Word Word Word…\n\n{URL}")]);
        let nowhere = Origin {
            url: None,
            ..ORIGIN
        };
        let limit = Limit::Characters { max: 50 };
        let unfit = style.compose(&words(31), limit, nowhere);
        assert_eq!(
            unfit,
            Err(Unfit::TooMany {
                n_parts: 4,
                most: 3
            })
        );
        let bluesky = Limit::Bluesky {
            graphemes: 8,
            bytes: 3_000,
        };
        let unfit = Style::default().compose(&words(129), bluesky, nowhere);
        let too_many = Unfit::TooMany {
            n_parts: 129,
            most: 128,
        };
        assert_eq!(unfit, Err(too_many));
    }

    #[test]
    fn lines_that_leave_no_room_for_an_address_stand_by_themselves() {
        let style = Style {
            link: Link::First,
            ..Style::default()
        };
        let text = format!("See https://e.co/{}", "a".repeat(230));
        let parts = style.compose(&text, Limit::BLUESKY, ORIGIN);
        assert_eq!(parts, Ok(vec![format!("{text}\n\n{URL}")]));
        let text = format!("See https://e.co/{}", "a".repeat(270));
        let parts = style.compose(&text, Limit::BLUESKY, ORIGIN);
        assert_eq!(parts, Ok(vec![text, URL.to_owned()]));
    }

    #[test]
    fn a_long_text_is_shortened_where_that_is_wanted() {
        let style = |long| Style {
            long,
            ..Style::default()
        };
        let shortened = compose(&style(Long::Shorten), &words(20), 20);
        assert_eq!(shortened, ["Word Word Word Word…"]);
        let linked = compose(&style(Long::Link), &words(20), 50);
        assert_eq!(linked, [format!("Word Word Word Word…\n\n{URL}")]);
        assert_eq!(compose(&style(Long::Link), "Word", 20), ["Word"]);
    }

    #[test]
    fn what_is_cut_behind_a_span_keeps_all_of_it() {
        let style = Style {
            long: Long::Shorten,
            ..Style::default()
        };
        for span in [":blob:", "https://e.co/a-", "e.co/b-"] {
            let text = format!("Word {span}, and what is too long to follow");
            let cut = compose(&style, &text, 5 + span.len() + 2);
            let begin = format!("Word {span}");
            assert!(cut[0].starts_with(&begin), "{cut:?}");
        }
        let mastodon = Limit::Mastodon { max: 32, url: 23 };
        let cut = style.compose("Word https://e.co/a and more words", mastodon, ORIGIN);
        assert_eq!(cut, Ok(vec!["Word https://e.co/a …".to_owned()]));
        let cut = compose(&style, "Word :blob – and what is too long", 15);
        assert_eq!(cut, ["Word :blob…"]);
    }

    #[test]
    fn what_leaves_no_room_for_a_text_is_an_error() {
        let style = Style {
            link: Link::First,
            ..Style::default()
        };
        let limit = Limit::Characters { max: 20 };
        assert!(style.compose("Hola.", limit, ORIGIN).is_err());
    }

    #[test]
    fn a_persons_text_bears_its_lines_once() {
        let style = Style {
            link: Link::First,
            mark: Some("translated automatically".into()),
            ..Style::default()
        };
        let whole = compose(&style, "Hola.", 500).remove(0);
        assert_eq!(style.bare(&whole, ORIGIN), "Hola.");
        assert_eq!(style.bare("Hola.", ORIGIN), "Hola.");
    }

    #[test]
    fn hashtags_are_translated_in_their_places_or_stand_behind_while_they_fit() {
        let text = "Un #Boat.";
        let (_, tags) = apart("\u{1e}barco grande", "", &hashtags(text));
        let tagged = |hashtags, text, max| {
            let style = Style {
                hashtags,
                ..Style::default()
            };
            let limit = Limit::Characters { max };
            style
                .compose_tagged(text, &tags, limit, ORIGIN)
                .expect("it fits")
        };
        assert_eq!(tagged(Hashtags::Keep, text, 30), [text]);
        assert_eq!(tagged(Hashtags::Translate, text, 30), ["Un #BarcoGrande."]);
        let both = "Un #Boat.\n\n#BarcoGrande";
        assert_eq!(tagged(Hashtags::Both, text, both.len()), [both]);
        assert_eq!(tagged(Hashtags::Both, text, both.len() - 1), [text]);
        let short = "Un #Boat. Zarpa hoy mismo.";
        assert_eq!(tagged(Hashtags::Both, short, 30), [short]);
        let thread = tagged(Hashtags::Both, "Un #Boat. Zarpa hoy mismo a las diez.", 30);
        assert_eq!(thread.len(), 2, "{thread:?}");
        assert!(thread[1].ends_with("\n\n#BarcoGrande"), "{thread:?}");
    }

    fn anew(style: &Style, parts: &[String], text: &str, max: usize) -> Vec<String> {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let limit = Limit::Characters { max };
        let anew = style.compose_anew(&parts, text, limit, ORIGIN);
        let anew = anew.expect("it fits");
        assert!(anew.iter().all(|part| limit.fits(part)), "{anew:?}");
        anew
    }

    #[test]
    fn what_was_put_together_for_another_limit_is_put_together_as_at_first() {
        let text = words(60);
        for long in [Long::Thread, Long::Shorten, Long::Link] {
            let style = Style {
                long,
                numbers: true,
                link: Link::Always,
                attribution: Some("By {author}".into()),
                mark: Some("translated automatically".into()),
                ..Style::default()
            };
            let whole = compose(&style, &text, 1_000);
            let expected = compose(&style, &text, 150);
            assert_eq!(anew(&style, &whole, &text, 150), expected, "{long:?}");
            let again = anew(&style, &compose(&style, &text, 250), &text, 150);
            assert!(again[0].contains("translated automatically"), "{again:?}");
            assert!(again.iter().all(|part| part.contains(URL)), "{again:?}");
            let n_parts = again.len();
            for (place, part) in (1..).zip(&again).filter(|_| n_parts > 1) {
                assert_eq!(part.matches('/').count(), URL.matches('/').count() + 1);
                assert!(
                    part.contains(&format!("Word {place}/{n_parts}\n\n")),
                    "{part}"
                );
            }
        }
    }

    #[test]
    fn lines_that_a_person_has_left_out_stay_out() {
        let style = Style {
            link: Link::Always,
            mark: Some("translated automatically".into()),
            ..Style::default()
        };
        let parts = anew(&style, &[words(20)], "Something else.", 60);
        let all = parts.join(" ");
        assert_eq!(all.matches("Word").count(), 20);
        assert!(
            !all.contains("automatically") && !all.contains(URL),
            "{all}"
        );
    }

    #[test]
    fn mentions_are_as_wanted_in_the_text_and_below_it() {
        let style = Style {
            attribution: Some("By {author}, for @us".into()),
            mentions: Mentions::Plain,
            ..Style::default()
        };
        let whole = compose(&style, "Hola, @bob.", 500).remove(0);
        let expected = "Hola, @\u{200b}bob.\n\nBy @\u{200b}ann@\u{200b}example.org, for @us";
        assert_eq!(whole, expected);
        assert_eq!(
            style.in_one("Hola, @bob.", Limit::Unbounded, ORIGIN),
            expected
        );
        assert_eq!(style.bare(&whole, ORIGIN), "Hola, @bob.");
    }

    /// The spans of a text that people and networks see, as they are written.
    fn spans_of(text: &str) -> Vec<String> {
        let found = Scan::through_code(text);
        let span = |it: crate::logic::spans::Found| text[it.start..it.end].to_owned();
        found.map(span).collect()
    }

    proptest! {
        #[test]
        fn every_part_is_within_its_limit_and_every_span_whole(
            words in prop::collection::vec(
                prop_oneof![
                    6 => "[a-zé😀中]{1,12}[ \n,–]{0,1} ",
                    1 => prop::sample::select(vec![
                        " :blob: ", " :blob:, ", " https://e.co/a- ", " https://e.co/a_(b). ", " e.co/b- ", " #boat: ", " #日本 ",
                        " @ann@e.social, ", " @bob: ", " ada@e.co – ", " $TSLA ", " 🇺🇦🇺🇦 ", " `a b`: ",
                    ]).prop_map(str::to_owned),
                ],
                1..120,
            ),
            max in 120_usize..400,
            (long, link, numbers) in (0_usize..3, 0_usize..3, any::<bool>()),
        ) {
            let text = words.concat();
            let style = Style {
                long: [Long::Thread, Long::Shorten, Long::Link][long],
                link: [Link::Never, Link::First, Link::Always][link].clone(),
                numbers,
                attribution: Some("By {author}".into()),
                mark: Some("translated automatically".into()),
                max_parts: None,
                mentions: Mentions::Plain,
                hashtags: Hashtags::Both,
            };
            let tags = hashtags(&format!("#Boat #Rust {text}"));
            let (_, tags) = apart("\u{1e}barco\u{1e}óxido", "", &tags);
            let limits = [
                Limit::X { max },
                Limit::Mastodon { max, url: 23 },
                Limit::Bluesky { graphemes: max, bytes: 3_000 },
                Limit::Telegram { max },
            ];
            for limit in limits {
                let parts = style.compose_tagged(&text, &tags, limit, ORIGIN);
                let parts = parts.expect("it can be split");
                prop_assert!(parts.iter().all(|part| limit.fits(part)), "{parts:?}");
                let whole = style.compose_tagged(&text, &tags, Limit::Unbounded, ORIGIN);
                let whole = whole.expect("it is one part");
                let whole: Vec<&str> = whole.iter().map(String::as_str).collect();
                let anew = style.compose_anew(&whole, &text, limit, ORIGIN);
                prop_assert_eq!(anew.as_ref(), Ok(&parts));
                // The text's spans come first and in their order, what was cut off left out.
                let wanted = spans_of(&with_mentions(text.trim(), &style.mentions, limit));
                let published: Vec<String> = parts.iter().flat_map(|part| spans_of(part)).collect();
                let mut rest = published.iter();
                let mut n_found = 0;
                for span in &wanted {
                    if !rest.any(|it| it == span) {
                        break;
                    }
                    n_found += 1;
                }
                let is_whole = style.long == Long::Thread || parts[0].contains(text.trim());
                prop_assert!(!is_whole || n_found == wanted.len(), "{wanted:?} in {parts:?}");
                let below = [URL, "#barco", "#óxido", "example.org", "@ann@example.org"];
                for span in &published {
                    prop_assert!(wanted.contains(span) || below.contains(&span.as_str()), "{span} of {parts:?}");
                }
            }
        }
    }
}
