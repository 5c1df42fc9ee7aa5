//! A post of Bluesky as a post of ours.

use babelfeed_actors::domain::{Media, Post, Relation, SourceName, Timestamp};
use serde_json::Value;

use super::wire::{Facet, PostRecord, View};
use crate::atproto::{LanguageTag, PostPlace, Tid, datetime};

/// What Bluesky calls pictures that are hidden until asked for.
const HIDING: [&str; 4] = ["graphic-media", "nudity", "porn", "sexual"];
/// What stands before the publication's id in a post that we published.
const OURS: &str = "babelfeed ";

/// Where pictures are found that a record only names.
pub(super) struct Blobs<'a> {
    /// The server that keeps them, without a slash at the end.
    pub(super) server: &'a str,
    pub(super) did: &'a str,
}

/// The post of a record; none where it is none.
pub(super) fn post(
    source: &SourceName,
    uri: &str,
    record: &Value,
    embed: &Value,
    blobs: Option<&Blobs<'_>>,
) -> Option<Post> {
    let record: PostRecord = serde_json::from_value(record.clone()).ok()?;
    let place = PostPlace::of_uri(uri)?;
    let mut post = Post::new(source.clone(), uri, with_addresses(&record));
    let mut tags = record.langs.iter();
    post.language = tags.find_map(|tag| LanguageTag::parse(tag)?.language());
    post.url = Some(place.url());
    post.is_sensitive = is_hidden(&record.labels);
    post.created_at = datetime(&record.created_at);
    post.publication = record
        .via
        .as_deref()
        .and_then(|via| via.strip_prefix(OURS)?.parse().ok());
    let (media, quoted) = hanging(&record.embed);
    post.media = match blobs {
        Some(blobs) => named(media, blobs),
        None => shown(hanging(embed).0),
    };
    if let Some(card) = media["external"]["uri"].as_str()
        && !post.text.contains(card)
    {
        post.text = format!("{}\n\n{card}", post.text.trim_end());
        post.text = post.text.trim_start().to_owned();
    }
    post.quoted_post = quoted.map(str::to_owned);
    let quoted = quoted.and_then(PostPlace::of_uri);
    post.quoted = quoted.as_ref().map(PostPlace::url);
    if quoted.is_some_and(|other| other.account != place.account) {
        post.relation = Relation::Quote;
    }
    if let Some(reply) = &record.reply {
        let is_own =
            |uri: &str| PostPlace::of_uri(uri).is_some_and(|other| other.account == place.account);
        if is_own(&reply.root.uri) && is_own(&reply.parent.uri) {
            post.parent = Some(reply.parent.uri.clone());
        } else {
            post.relation = Relation::Reply;
        }
    }
    Some(post)
}

/// The post that a view shows.
pub(super) fn of_view(source: &SourceName, view: &View) -> Option<Post> {
    let mut post = post(source, &view.uri, &view.record, &view.embed, None)?;
    post.author = Some(view.author.handle.clone());
    Some(post)
}

/// When a post was written, as its key tells.
pub(super) fn time_of_key(uri: &str) -> Option<Timestamp> {
    Tid::parse(PostPlace::of_uri(uri)?.key.as_str()).map(Tid::time)
}

/// The text with the whole address wherever a place in it leads to one.
fn with_addresses(record: &PostRecord) -> String {
    let mut text = record.text.clone();
    let mut facets: Vec<&Facet> = record.facets.iter().collect();
    facets.sort_by_key(|facet| std::cmp::Reverse(facet.index.byte_start));
    let mut free = text.len();
    for facet in facets {
        let (start, end) = (facet.index.byte_start, facet.index.byte_end);
        let uri = facet.features.iter().find_map(|it| it.uri.as_deref());
        // Whatever is told of no place, or of one that was told already, leads nowhere.
        let place = text.get(start..end).filter(|_| end <= free);
        let (Some(uri), Some(place)) = (uri, place) else {
            continue;
        };
        let whole = match is_shortened(place, uri) {
            true => uri.to_owned(),
            false => format!("{place} ({uri})"),
        };
        if place != uri {
            text.replace_range(start..end, &whole);
        }
        free = start;
    }
    text
}

/// Whether what is shown is an address itself: its beginning, with or without its scheme.
fn is_shortened(place: &str, uri: &str) -> bool {
    let bare = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.trim_start_matches("www.").to_lowercase()
    };
    let (place, uri) = (bare(place), bare(uri));
    let cut = place.trim_end_matches(['…', '.', '/']);
    !cut.is_empty() && uri.starts_with(cut)
}

/// The media, and the address of the record, that hang on a post.
fn hanging(embed: &Value) -> (&Value, Option<&str>) {
    let kind = embed["$type"].as_str().unwrap_or_default();
    let kind = kind.trim_end_matches("#view");
    match kind {
        "app.bsky.embed.record" => (&Value::Null, embed["record"]["uri"].as_str()),
        "app.bsky.embed.recordWithMedia" => {
            (&embed["media"], embed["record"]["record"]["uri"].as_str())
        }
        _ => (embed, None),
    }
}

fn text_of(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Media as they are shown, with their addresses.
fn shown(media: &Value) -> Vec<Media> {
    let images = media["images"].as_array().or(media["items"].as_array());
    let images = images.into_iter().flatten();
    let images = images.filter_map(|image| {
        Some(Media {
            url: image["fullsize"].as_str()?.to_owned(),
            mime: None,
            alt: text_of(&image["alt"]),
        })
    });
    let film = media["playlist"].as_str().map(|playlist| Media {
        url: playlist.to_owned(),
        mime: Some("application/vnd.apple.mpegurl".to_owned()),
        alt: text_of(&media["alt"]),
    });
    images.chain(film).collect()
}

/// Media as a record names them, at the server that keeps them.
fn named(media: &Value, blobs: &Blobs<'_>) -> Vec<Media> {
    let images = media["images"].as_array().or(media["items"].as_array());
    let images = images.into_iter().flatten();
    let images = images.map(|image| (&image["image"], &image["alt"]));
    let film = (&media["video"], &media["alt"]);
    images
        .chain([film])
        .filter_map(|(blob, alt)| {
            let link = blob["ref"]["$link"].as_str()?;
            let (server, did) = (blobs.server, blobs.did);
            Some(Media {
                url: format!("{server}/xrpc/com.atproto.sync.getBlob?did={did}&cid={link}"),
                mime: blob["mimeType"].as_str().map(str::to_owned),
                alt: text_of(alt),
            })
        })
        .collect()
}

fn is_hidden(labels: &Value) -> bool {
    let values = labels["values"].as_array();
    let mut values = values
        .into_iter()
        .flatten()
        .filter_map(|it| it["val"].as_str());
    values.any(|value| HIDING.contains(&value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const URI: &str = "at://did:plc:ana/app.bsky.feed.post/3n2t2gu4w2222";

    fn read(record: Value) -> Post {
        post(&"news".into(), URI, &record, &Value::Null, None).expect("a post")
    }

    fn link(start: usize, end: usize, uri: &str) -> Value {
        json!({"index": {"byteStart": start, "byteEnd": end}, "features": [
            {"$type": "app.bsky.richtext.facet#link", "uri": uri},
        ]})
    }

    #[test]
    fn addresses_stand_whole_where_they_were_shortened() {
        let text = "Más 👇 example.org/un/cami... y aquí, o e.co";
        let at = |piece: &str| {
            let start = text.find(piece).expect("a piece");
            (start, start + piece.len())
        };
        let long = "https://example.org/un/camino/muy/largo";
        let (short, named, bare) = (at("example.org/un/cami..."), at("aquí"), at("e.co"));
        let post = read(json!({"text": text, "facets": [
            link(named.0, named.1, "https://b.example/"),
            link(short.0, short.1, long),
            link(bare.0, bare.1, "https://e.co"),
            link(5, 9_999, "https://nowhere.example"),
        ]}));
        assert_eq!(
            post.text,
            format!("Más 👇 {long} y aquí (https://b.example/), o https://e.co")
        );
    }

    #[test]
    fn a_card_that_the_text_does_not_name_is_named_below_it() {
        let card =
            json!({"$type": "app.bsky.embed.external", "external": {"uri": "https://a.example/x"}});
        let post = read(json!({"text": "mira", "embed": card}));
        assert_eq!(post.text, "mira\n\nhttps://a.example/x");
        let post = read(json!({"text": "https://a.example/x!", "embed": card}));
        assert_eq!(post.text, "https://a.example/x!");
    }

    #[test]
    fn an_answer_in_the_authors_own_thread_is_no_reply_to_others() {
        let reference =
            |did: &str| json!({"uri": format!("at://{did}/app.bsky.feed.post/3k"), "cid": "x"});
        let reply = |root: &str, parent: &str| {
            read(json!({"text": "t", "reply": {
                "root": reference(root), "parent": reference(parent),
            }}))
        };
        let own = reply("did:plc:ana", "did:plc:ana");
        assert_eq!(own.relation, Relation::Own);
        assert_eq!(
            own.parent.as_deref(),
            Some("at://did:plc:ana/app.bsky.feed.post/3k")
        );
        let other = reply("did:plc:bob", "did:plc:ana");
        assert_eq!((other.relation, other.parent), (Relation::Reply, None));
    }

    #[test]
    fn what_is_told_in_no_form_of_atproto_was_not_told() {
        let told = |langs: Value, at: &str| {
            let post = read(json!({"text": "t", "langs": langs, "createdAt": at}));
            let language = post.language.map(|it| it.to_string());
            (language, post.created_at.map(|it| it.to_string()))
        };
        let at = "2026-11-21T12:00:00.000Z";
        let es = (Some("es".to_owned()), Some(at.to_owned()));
        assert_eq!(told(json!(["es", "en"]), at), es);
        assert_eq!(told(json!(["i-default", "jaja", "es"]), at), es);
        assert_eq!(
            told(json!(["SPANISH"]), "2026-11-21 12:00:00Z"),
            (None, None)
        );
        let nowhere = "at://did:plc:ana/app.bsky.feed.like/3k";
        let record = json!({"text": "t"});
        assert_eq!(
            post(&"news".into(), nowhere, &record, &Value::Null, None),
            None
        );
        assert_eq!(
            time_of_key(URI).map(|it| it.to_string()),
            Some(at.to_owned())
        );
    }

    #[test]
    fn what_is_quoted_and_no_post_has_no_address_of_one() {
        let feed = json!({"uri": "at://did:plc:bob/app.bsky.feed.generator/hot", "cid": "x"});
        let embed = json!({"$type": "app.bsky.embed.record", "record": feed});
        let shown = read(json!({"text": "t", "embed": embed}));
        assert_eq!((shown.relation, shown.quoted), (Relation::Own, None));
    }

    #[test]
    fn a_quote_is_one_only_of_somebody_else() {
        let quote = |did: &str| {
            let record = json!({"uri": format!("at://{did}/app.bsky.feed.post/3k"), "cid": "x"});
            let media = json!({"$type": "app.bsky.embed.images", "images": []});
            read(json!({"text": "t", "embed": {
                "$type": "app.bsky.embed.recordWithMedia",
                "record": {"$type": "app.bsky.embed.record", "record": record}, "media": media,
            }}))
        };
        assert_eq!(quote("did:plc:bob").relation, Relation::Quote);
        let own = quote("did:plc:ana");
        assert_eq!(own.relation, Relation::Own);
        assert_eq!(
            own.quoted.as_deref(),
            Some("https://bsky.app/profile/did:plc:ana/post/3k")
        );
    }
}
