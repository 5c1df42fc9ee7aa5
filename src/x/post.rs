//! Posts as X shows them, in both spellings of its fields.

use serde::Deserialize;

/// How X names the fields of posts; it is changing from one to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `tweet.fields`, `referenced_tweets`.
    #[default]
    Tweet,
    /// `post.fields`, `referenced_posts`.
    Post,
}

impl Spelling {
    /// The parameter that asks for fields.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Tweet => "tweet.fields",
            Self::Post => "post.fields",
        }
    }

    /// The fields that tell one's own posts apart.
    pub const fn own_fields(self) -> &'static str {
        match self {
            Self::Tweet => "created_at,entities,referenced_tweets,note_tweet",
            Self::Post => "created_at,entities,referenced_posts,note_post",
        }
    }

    /// The fields of which a post to be translated is made.
    pub const fn all_fields(self) -> &'static str {
        match self {
            Self::Tweet => {
                "created_at,lang,author_id,in_reply_to_user_id,referenced_tweets,entities,\
                 attachments,note_tweet,possibly_sensitive"
            }
            Self::Post => {
                "created_at,lang,author_id,in_reply_to_user_id,referenced_posts,entities,\
                 attachments,note_post,possibly_sensitive"
            }
        }
    }

    /// What is to come along with such a post.
    pub const fn expansions(self) -> &'static str {
        match self {
            Self::Tweet => "attachments.media_keys,attachments.poll_ids,referenced_tweets.id",
            Self::Post => "attachments.media_keys,attachments.poll_ids,referenced_posts",
        }
    }
}

/// A page of posts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    /// The posts, the newest first.
    pub data: Vec<Shown>,
    /// What the posts refer to.
    pub includes: Includes,
    /// What is said of the page.
    pub meta: Meta,
}

/// What is said of a page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// The newest of its posts.
    pub newest_id: Option<String>,
    /// What the next page is asked for with; none on the last.
    pub next_token: Option<String>,
}

/// What posts refer to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Includes {
    /// Attached media.
    pub media: Vec<Medium>,
    /// Polls.
    pub polls: Vec<Ballot>,
    /// Posts that are referred to, in the old spelling.
    pub tweets: Vec<Shown>,
    /// The same in the new one.
    pub posts: Vec<Shown>,
}

impl Includes {
    /// The post of that id, if it came along.
    pub fn post(&self, id: &str) -> Option<&Shown> {
        let mut posts = self.tweets.iter().chain(&self.posts);
        posts.find(|post| post.id == id)
    }

    /// How many posts came along.
    pub fn n_posts(&self) -> usize {
        self.tweets.len() + self.posts.len()
    }
}

/// A post.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Its text, escaped, shortened, with short addresses.
    pub text: String,
    /// When it was posted, as RFC 3339.
    pub created_at: Option<String>,
    /// What X takes its language for.
    pub lang: Option<String>,
    /// Who posted it.
    pub author_id: Option<String>,
    /// Whom it answers.
    pub in_reply_to_user_id: Option<String>,
    /// Whether its media are hidden until asked for.
    pub possibly_sensitive: bool,
    /// What hangs on it.
    pub attachments: Attachments,
    entities: Entities,
    referenced_tweets: Vec<Reference>,
    referenced_posts: Vec<Reference>,
    note_tweet: Option<Note>,
    note_post: Option<Note>,
    edit_history_tweet_ids: Vec<String>,
    edit_history_post_ids: Vec<String>,
}

/// How a post refers to another.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// `replied_to`, `quoted` or `retweeted`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The other.
    pub id: String,
}

/// What hangs on a post, by its keys.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attachments {
    /// Media.
    pub media_keys: Vec<String>,
    /// Polls, of which there is one at most.
    pub poll_ids: Vec<String>,
}

/// Something attached.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Medium {
    /// Its key.
    pub media_key: String,
    /// `photo`, `animated_gif` or `video`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where a photo is.
    pub url: Option<String>,
    /// A picture of a film.
    pub preview_image_url: Option<String>,
    /// What it shows, in words.
    pub alt_text: Option<String>,
    /// The forms in which a film can be had.
    pub variants: Vec<Variant>,
}

/// A form of a film.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Variant {
    /// How many bits a second it has.
    pub bit_rate: u64,
    /// Its MIME type.
    pub content_type: String,
    /// Where it is.
    pub url: String,
}

/// A poll.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Ballot {
    /// Its id.
    pub id: String,
    /// What can be chosen.
    pub options: Vec<Choice>,
    /// How long it is open.
    pub duration_minutes: Option<u64>,
}

/// What can be chosen in a poll.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Its words.
    pub label: String,
}

/// The whole of a long text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Note {
    text: String,
    entities: Entities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entities {
    urls: Vec<Address>,
}

/// An address in a text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Address {
    start: usize,
    end: usize,
    url: String,
    expanded_url: Option<String>,
    media_key: Option<String>,
}

impl Shown {
    /// What it refers to.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.referenced_tweets.iter().chain(&self.referenced_posts)
    }

    /// The post that it refers to in that way.
    pub fn reference(&self, kind: &str) -> Option<&str> {
        let mut references = self.references();
        let reference = references.find(|it| it.kind == kind);
        reference.map(|it| it.id.as_str())
    }

    /// Its id as a number, which rises with time.
    pub fn number(&self) -> u64 {
        self.id.parse().unwrap_or_default()
    }

    /// The id of its first version, which stays the same when it is edited.
    pub fn first_id(&self) -> &str {
        let ids = [&self.edit_history_tweet_ids, &self.edit_history_post_ids];
        let ids = ids.into_iter().flatten();
        // Ids rise, and are compared as numbers: there are short ones of long ago.
        let first = ids.min_by_key(|id| (id.len(), id.as_str()));
        first.map_or(&self.id, |first| first)
    }

    /// Whether an address is that of one of its own media, which X writes behind the text.
    fn is_own_medium(&self, address: &Address) -> bool {
        let ids = [&self.edit_history_tweet_ids, &self.edit_history_post_ids];
        let mut ids = ids.into_iter().flatten().chain([&self.id]);
        let is_place =
            |behind: &str| behind.starts_with("/photo/") || behind.starts_with("/video/");
        address.media_key.is_some() || ids.any(|id| address.behind_post(id).is_some_and(is_place))
    }

    /// Its whole text: unescaped, with full addresses, without those of its own media and of
    /// the post that it quotes.
    pub fn full_text(&self) -> String {
        let quoted = self.reference("quoted");
        self.text_without(|address| {
            self.is_own_medium(address) || quoted.is_some_and(|id| address.is_of_post(id))
        })
    }

    /// The same with the address of the post that it quotes, where that stands in it: X takes a
    /// post for quoted whose address was written.
    pub fn text_with_quoted(&self) -> String {
        self.text_without(|address| self.is_own_medium(address))
    }

    fn text_without(&self, is_left_out: impl Fn(&Address) -> bool) -> String {
        let note = self.note_tweet.as_ref().or(self.note_post.as_ref());
        let (text, entities) = match note {
            Some(note) => (&note.text, &note.entities),
            None => (&self.text, &self.entities),
        };
        let mut full = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end, address) in places(text, &entities.urls) {
            full.push_str(&unescaped(&text[done..start]));
            if !is_left_out(address) {
                full.push_str(address.full());
            }
            done = end;
        }
        full.push_str(&unescaped(&text[done..]));
        full.trim().to_owned()
    }
}

impl Address {
    fn full(&self) -> &str {
        self.expanded_url.as_deref().unwrap_or(&self.url)
    }

    /// What stands behind the id of a post in its address; none where it is no address of that post.
    fn behind_post(&self, id: &str) -> Option<&str> {
        let address = self.full().split(['?', '#']).next()?;
        let (_, behind) = address.split_once(&format!("/status/{id}"))?;
        (behind.is_empty() || behind.starts_with('/')).then_some(behind)
    }

    fn is_of_post(&self, id: &str) -> bool {
        self.behind_post(id).is_some_and(str::is_empty)
    }
}

/// Where the addresses stand in a text, in bytes, in their order.
///
/// X counts their places in code points; whether before or after escaping is not told. So a
/// place is believed where the short address stands there, and else it is looked for.
fn places<'a>(text: &str, urls: &'a [Address]) -> Vec<(usize, usize, &'a Address)> {
    let mut urls: Vec<&Address> = urls.iter().filter(|it| !it.url.is_empty()).collect();
    urls.sort_by_key(|address| address.start);
    let mut places = Vec::new();
    let mut done = 0;
    for address in urls {
        let start = byte_of(text, address.start);
        let end = byte_of(text, address.end);
        let named = start.zip(end).filter(|(start, end)| {
            *start >= done && text.get(*start..*end) == Some(address.url.as_str())
        });
        let found = named.or_else(|| {
            let start = done + text.get(done..)?.find(&address.url)?;
            Some((start, start + address.url.len()))
        });
        if let Some((start, end)) = found {
            places.push((start, end, address));
            done = end;
        }
    }
    places
}

fn byte_of(text: &str, point: usize) -> Option<usize> {
    let ends = [text.len()];
    text.char_indices().map(|(at, _)| at).chain(ends).nth(point)
}

/// A text without the escapes that X writes.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> Shown {
        serde_json::from_str(json).expect("a post")
    }

    #[test]
    fn a_text_is_shown_in_full() {
        let post = shown(
            r#"{"id":"2","text":"Hi &amp; bye 👋 https://t.co/x https://t.co/m","edit_history_tweet_ids":["1","2"],
            "entities":{"urls":[
                {"start":15,"end":29,"url":"https://t.co/x","expanded_url":"https://example.com/a?b&amp=1"},
                {"start":99,"end":120,"url":"https://t.co/m","expanded_url":"https://x.com/a/status/2/photo/1","media_key":"3_1"}]}}"#,
        );
        assert_eq!(
            post.full_text(),
            "Hi & bye 👋 https://example.com/a?b&amp=1"
        );
        assert_eq!(post.first_id(), "1");
    }

    #[test]
    fn a_long_text_is_shown_whole_in_either_spelling() {
        for name in ["note_tweet", "note_post"] {
            let post = shown(&format!(
                r#"{{"id":"2","text":"cut…","{name}":{{"text":"whole https://t.co/q &lt;b&gt;","entities":{{"urls":[
                {{"start":6,"end":20,"url":"https://t.co/q","expanded_url":"https://example.org"}}]}}}}}}"#
            ));
            assert_eq!(post.full_text(), "whole https://example.org <b>", "{name}");
        }
    }

    #[test]
    fn the_address_of_a_quoted_post_is_no_part_of_the_text() {
        for name in ["referenced_tweets", "referenced_posts"] {
            let post = shown(&format!(
                r#"{{"id":"2","text":"See https://t.co/q","{name}":[{{"type":"quoted","id":"77"}}],
                "entities":{{"urls":[{{"start":4,"end":18,"url":"https://t.co/q","expanded_url":"https://twitter.com/b/status/77?s=20"}}]}}}}"#
            ));
            assert_eq!(post.full_text(), "See");
            assert_eq!(post.reference("quoted"), Some("77"));
        }
    }

    #[test]
    fn an_address_of_somebody_elses_post_is_part_of_the_text() {
        for address in [
            "https://x.com/nasa/status/1/photo/1",
            "https://x.com/nasa/status/77",
        ] {
            let post = shown(&format!(
                r#"{{"id":"2","text":"See https://t.co/q","referenced_tweets":[{{"type":"quoted","id":"77"}}],
                "entities":{{"urls":[{{"start":4,"end":18,"url":"https://t.co/q","expanded_url":"{address}"}}]}}}}"#
            ));
            assert_eq!(post.text_with_quoted(), format!("See {address}"));
        }
    }

    #[test]
    fn one_address_twice_is_replaced_twice() {
        let post = shown(
            r#"{"id":"2","text":"https://t.co/q and https://t.co/q","entities":{"urls":[
            {"start":0,"end":0,"url":"https://t.co/q","expanded_url":"https://e.org/1"},
            {"start":19,"end":33,"url":"https://t.co/q","expanded_url":"https://e.org/1"}]}}"#,
        );
        assert_eq!(post.full_text(), "https://e.org/1 and https://e.org/1");
    }
}
