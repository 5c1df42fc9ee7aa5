//! What the feeds of the world look like, and what is read of them.

use super::super::cursor::Seen;
use super::*;

fn document(text: impl AsRef<[u8]>) -> Document {
    Document {
        bytes: text.as_ref().to_vec().into(),
        base: Some("https://example.org/feed.xml".into()),
        charset: None,
        seen: Seen::default(),
        rest: None,
        hub: None,
    }
}

fn read_all(text: impl AsRef<[u8]>) -> Polled {
    parse(document(text), &"news".into(), None).expect("a feed")
}

fn rss(items: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\" xmlns:media=\"http://search.yahoo.com/mrss/\"><channel><title>t</title><link>https://example.org</link><description>d</description><language>en-us</language><ttl>30</ttl>{items}</channel></rss>"
    )
}

fn texts(polled: &Polled) -> Vec<&str> {
    polled.posts.iter().map(|post| post.text.as_str()).collect()
}

#[test]
fn an_rss_item_becomes_a_post() {
    let polled = read_all(rss(
        "<item><title>AT&amp;amp;T</title><link>/a</link><guid isPermaLink=\"false\">g 1</guid><description>&lt;p&gt;Body &lt;a href=\"/b\"&gt;b&lt;/a&gt;&lt;/p&gt;</description><pubDate>Sat, 21 Nov 26 12:05:00 GMT</pubDate><enclosure url=\"https://example.org/a.jpg\" type=\"image/jpeg\" length=\"1\"/></item>",
    ));
    let post = &polled.posts[0];
    assert_eq!(post.id, "g 1");
    assert_eq!(post.text, "AT&T\n\nBody b");
    assert_eq!(post.url.as_deref(), Some("https://example.org/a"));
    assert_eq!(post.created_at, Timestamp::parse("2026-11-21T12:05:00Z"));
    assert_eq!(post.language.as_ref().map(Language::as_str), Some("en-US"));
    assert_eq!(post.media[0].url, "https://example.org/a.jpg");
    assert_eq!(polled.rest, Some(Duration::from_secs(1800)));
}

#[test]
fn an_atom_entry_becomes_a_post() {
    let polled = read_all(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"de\"><id>f</id><title>t</title><updated>2026-11-21T12:00:00Z</updated><entry xml:lang=\"fr\"><id>urn:1</id><title type=\"html\">&lt;b&gt;Titre&lt;/b&gt;</title><link rel=\"self\" href=\"https://a.org/self\"/><link href=\"https://a.org/1\"/><link rel=\"enclosure\" type=\"image/png\" href=\"https://a.org/1.png\"/><updated>2026-11-21T12:00:00Z</updated><content type=\"xhtml\"><div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Un <em>texte</em></p></div></content></entry></feed>",
    );
    let post = &polled.posts[0];
    assert_eq!(post.text, "Titre\n\nUn texte");
    assert_eq!(post.url.as_deref(), Some("https://a.org/1"));
    assert_eq!(post.language.as_ref().map(Language::as_str), Some("fr"));
    assert_eq!(post.media.len(), 1);
}

#[test]
fn a_json_feed_is_read_even_with_numbers_for_ids() {
    let polled = read_all(
        r#"{"version":"https://jsonfeed.org/version/1.1","title":"t","items":[{"id":2,"content_text":"two\n\nlines"},{"id":"1","content_html":"<p>one</p>","url":"https://a.org/1","attachments":[{"url":"https://a.org/1.png","mime_type":"image/png","title":"a cat"}]},{"id":"0","attachments":7}]}"#,
    );
    assert_eq!(texts(&polled), ["one", "two\n\nlines"]);
    assert_eq!(polled.posts[1].id, "2");
    assert_eq!(polled.posts[0].url.as_deref(), Some("https://a.org/1"));
    assert_eq!(polled.posts[0].media[0].alt.as_deref(), Some("a cat"));
    assert_eq!(polled.warnings.len(), 1);
}

#[test]
fn an_expired_feed_has_ended() {
    let text =
        r#"{"version":"https://jsonfeed.org/version/1.1","title":"t","expired":true,"items":[]}"#;
    let error = parse(document(text), &"news".into(), None).expect_err("expired");
    assert!(matches!(error, SourceError::Gone { .. }));
}

#[test]
fn items_come_oldest_first_and_undated_ones_beside_their_neighbours() {
    let item = |title: &str, date: &str| {
        format!("<item><title>{title}</title><pubDate>{date}</pubDate></item>")
    };
    let dated = rss(&[
        item("three", "Sat, 21 Nov 2026 12:00:00 GMT"),
        item("one", "Thu, 19 Nov 2026 12:00:00 GMT"),
        item("two", "2026-11-20T12:00:00Z"),
        item("future", "Sat, 21 Nov 2099 12:00:00 GMT"),
    ]
    .concat());
    assert_eq!(texts(&read_all(dated)), ["one", "two", "three", "future"]);
    let undated = rss(&["three", "two", "one"]
        .map(|title| item(title, "gestern"))
        .concat());
    assert_eq!(texts(&read_all(undated)), ["one", "two", "three"]);
}

#[test]
fn a_title_that_the_body_begins_with_is_not_said_twice() {
    let polled = read_all(rss(
        "<item><title>Hello dear...</title><description>Hello  dear world</description></item>",
    ));
    assert_eq!(texts(&polled), ["Hello dear world"]);
}

#[test]
fn what_is_struck_out_keeps_its_letters() {
    let polled = read_all(rss(
        "<item><title>Shoes</title><description>&lt;del&gt;$99&lt;/del&gt; $49, &lt;s&gt;sold out&lt;/s&gt;</description></item>",
    ));
    assert_eq!(texts(&polled), ["Shoes\n\n$99 $49, sold out"]);
}

#[test]
fn items_without_an_id_keep_the_same_identity() {
    let text = rss("<item><title>a</title></item><item><title>b</title></item>");
    let (first, second) = (read_all(&text), read_all(&text));
    assert_eq!(first, second);
    assert_ne!(first.posts[0].id, first.posts[1].id);
}

#[test]
fn a_document_with_stray_bytes_and_entities_is_mended() {
    let polled = read_all(rss(
        "<item><title>Fish & chips\u{b} &nbsp;&#8211; &#3; now</title></item><item><title>ok</title></item>",
    ));
    assert_eq!(polled.posts.len(), 2);
    let text = &polled.posts[1].text;
    assert!(text.starts_with("Fish & chips"), "{text}");
}

#[test]
fn one_broken_item_does_not_take_the_others_with_it() {
    let polled = read_all(rss(
        "<item><title>one</title></item><item><title>bro<ken</title></item><item><title>two</title></item>",
    ));
    assert_eq!(texts(&polled), ["two", "one"]);
    assert_eq!(polled.warnings.len(), 1);
}

#[test]
fn a_document_that_was_cut_off_shows_its_whole_items() {
    let text = rss("<item><title>one</title></item><item><title>two</title></item>");
    let cut = text.find("two").expect("stands there");
    assert_eq!(texts(&read_all(&text[..cut])), ["one"]);
}

#[test]
fn a_page_instead_of_a_feed_is_named() {
    let page = "<!DOCTYPE html><html><head><title>Just a moment</title></head><body></body></html>";
    let error = parse(document(page), &"news".into(), None).expect_err("a page");
    let detail = error.to_string();
    assert!(detail.contains("wanted a feed"), "{detail}");
    assert!(detail.contains("`Just a moment`"), "{detail}");
}

#[test]
fn what_is_no_feed_at_all_is_malformed() {
    for text in ["", "hello", "{}", "[1]", "<rss", "<note/>", "\0\0\0"] {
        let error = parse(document(text), &"news".into(), None).expect_err("no feed");
        assert!(matches!(error, SourceError::Malformed { .. }), "{text}");
    }
}

#[test]
fn an_external_entity_is_not_followed() {
    let text = "<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><rss version=\"2.0\"><channel><item><title>a &x; b</title></item></channel></rss>";
    assert_eq!(texts(&read_all(text)), ["a &x; b"]);
}

#[test]
fn a_feed_in_another_encoding_is_read() {
    let named = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><rss version=\"2.0\"><channel><item><title>caf\u{e9}</title></item></channel></rss>";
    let bytes: Vec<u8> = named.chars().map(|char| char as u8).collect();
    assert_eq!(texts(&read_all(&bytes)), ["café"]);
    let start = named.find("<rss").expect("stands there");
    let unnamed = Document {
        charset: Some("iso-8859-1".into()),
        ..document(&bytes[start..])
    };
    let polled = parse(unnamed, &"news".into(), None).expect("a feed");
    assert_eq!(texts(&polled), ["café"]);
}

#[test]
fn an_item_without_text_is_told_and_left_out() {
    let polled = read_all(rss(
        "<item><guid>7</guid></item><item><title>a</title></item>",
    ));
    assert_eq!(texts(&polled), ["a"]);
    assert_eq!(polled.warnings, ["the item `7` has no text"]);
}
