//! Finding a part that may be out among the account's own posts.

use babelfeed_actors::domain::Timestamp;
use babelfeed_actors::logic::x_text::composed;
use babelfeed_actors::ports::{Frozen, OutletError, Published};

use super::XOutlet;
use super::answer::ask;
use super::wire::NewPost;
use crate::x::Question;
use crate::x::post::{Page, Shown};

/// The most pages of posts that are read; a page holds a hundred.
const MAX_PAGES: usize = 32;
/// How much earlier than that a post may seem to be, in milliseconds: clocks differ, and X's is
/// not known before its first answer.
const SLACK: i64 = 300_000;

/// Since when an account's posts are read; each post that is read costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// Since this attempt began.
    Frozen,
    /// Since any attempt can have begun.
    Planned,
}

/// Looks for the part among what the account posted since then.
///
/// # Errors
/// When it cannot be told, because X does not answer or there is too much to read.
pub(super) async fn find(
    outlet: &XOutlet,
    part: &Frozen,
    since: Since,
) -> Result<Option<Published>, OutletError> {
    let wanted: NewPost =
        serde_json::from_slice(&part.bytes).map_err(|error| OutletError::Ambiguous {
            detail: format!("the frozen part cannot be read: {error}"),
        })?;
    let account = outlet.account().await?;
    let path = format!("/2/users/{}/tweets", account.id);
    let since = earliest(part, since).to_string();
    let spelling = outlet.api.spelling();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut query = vec![
            ("max_results", "100"),
            ("start_time", since.as_str()),
            (spelling.parameter(), spelling.own_fields()),
        ];
        query.extend(token.as_deref().map(|token| ("pagination_token", token)));
        let page: Page = ask(&outlet.api, Question::get(&path, &query)).await?;
        for post in &page.data {
            outlet.note_read(post);
        }
        let mut posts = page.data.into_iter();
        if let Some(post) = posts.find(|it| is_same(it, &wanted) && !outlet.is_taken(&it.id, part))
        {
            return Ok(Some(outlet.published(post.id, &part.key)));
        }
        match page.meta.next_token {
            Some(next) => token = Some(next),
            None => return Ok(None),
        }
    }
    Err(OutletError::Ambiguous {
        detail: "the account's posts could not be read back to when this part was sent".into(),
    })
}

/// The earliest time at which the part can have been posted.
fn earliest(part: &Frozen, since: Since) -> Timestamp {
    let mark = i64::try_from(part.mark).unwrap_or(i64::MAX);
    let planned = part.dispatch.publication.created_at.as_millis();
    let earliest = match since {
        Since::Frozen => mark,
        Since::Planned => mark.min(planned),
    };
    Timestamp::from_millis(earliest.saturating_sub(SLACK))
}

fn is_same(post: &Shown, wanted: &NewPost) -> bool {
    let parent = wanted.reply.as_ref().map(|it| &*it.in_reply_to_tweet_id);
    let text = normal(&wanted.text);
    // An address of a post may make it a quoted one, and then it stands in the text or not.
    let is_text = |shown: &str| normal(shown) == text;
    post.reference("replied_to") == parent
        && (is_text(&post.full_text()) || is_text(&post.text_with_quoted()))
}

/// A text without what X changes in it: white space, schemes, slashes that end an address, and
/// marks that stand apart from their letter (NFC).
fn normal(text: &str) -> String {
    composed(text)
        .split_whitespace()
        .map(|word| {
            let word = word.replace("https://", "").replace("http://", "");
            word.strip_suffix('/').unwrap_or(&word).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::normal;

    #[test]
    fn what_x_makes_of_a_text_is_known_again() {
        assert_eq!(
            normal("Mira http://example.org y\nhttps://a.example/b/"),
            normal("Mira example.org y https://a.example/b")
        );
        assert_eq!(normal("Cafe\u{301}"), normal("Caf\u{e9}"));
        assert_ne!(normal("Hola mundo"), normal("Hola, mundo"));
    }
}
