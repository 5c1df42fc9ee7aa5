//! What can go wrong in a call, in words that every dialect has its own form for.

/// What goes wrong in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 429 for a short window, with a hint of 2 s where the dialect has one.
    RateLimited,
    /// 429 for a short window, without any hint.
    RateLimitedWithoutHint,
    /// 429 for a window of a day; Gemini's bears its lying hint of 22 s.
    DailyQuota,
    /// There is no money left.
    NoCredit,
    /// The credential is wrong, or missing.
    BadKey,
    /// The model, or the pair of languages, does not exist.
    NotFound,
    /// The call is larger than the provider takes.
    TooLarge,
    /// The provider does not understand the call.
    Invalid,
    /// Gemini: 400 for some reason, in words that name nothing.
    Nameless,
    /// 503 in the dialect's own form.
    Overloaded,
    /// 502 as a page of HTML.
    HtmlGateway,
    /// 200, and the text is refused.
    Refused,
    /// Gemini: the prompt is blocked, and there are no candidates.
    Blocked,
    /// Anthropic: the model wants a tool that nobody gave it.
    OutOfForm,
    /// 200 with an error inside.
    ErrorInside,
    /// The connection is closed without an answer.
    Reset,
    /// The connection is closed in the middle of the body.
    Cut,
    /// A byte each half second.
    Trickle,
    /// No answer at all.
    Hang,
    /// A body of 40 MB.
    Huge,
    /// A body that is no JSON.
    Malformed,
    /// Language models: the JSON stands in a fence, with words around it.
    Fenced,
    /// The first item is left out.
    Missing,
    /// The first item comes twice, with two texts.
    Doubled,
    /// An item comes that nobody asked for.
    Unknown,
    /// The items come in the opposite order, under their right ids.
    Reordered,
    /// The second text stands in the first item, which loses the second.
    Merged,
    /// The answer is cut at the length limit.
    Truncated,
    /// OpenAI: 400, since thoughts left the answer no room.
    OutOfRoom,
    /// The texts come back as they went.
    Echo,
    /// Every text comes back as this one.
    Says(&'static str),
    /// Gemini: the answer comes in two parts.
    Continued,
    /// Exactly this.
    Raw {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: String,
    },
}
