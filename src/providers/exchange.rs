//! One exchange with the batch interface of a provider: any method, and answers of many calls.

use std::time::Duration;

use actix_web::web::Bytes;
use babelfeed_actors::ports::ProviderError;

use super::{failure, unanswered};
use crate::http::{Call, HttpClient, Method, Response, Uri};

/// The most bytes of an answer that are read; jobs are bounded far below.
const MAX_ANSWERS: usize = 256 << 20;

/// Makes one exchange; any status is an answer.
pub(super) async fn exchange(
    client: &HttpClient,
    (method, url): (Method, &str),
    headers: &[(&str, &str)],
    body: Vec<u8>,
    timeout: Duration,
) -> Result<Response, ProviderError> {
    let url: Uri = url
        .parse()
        .map_err(|_| unanswered("the provider's name for a job makes no address"))?;
    let call = Call {
        method,
        url: &url,
        headers,
        body: Bytes::from(body),
        timeout,
        max_body: MAX_ANSWERS,
    };
    client.call(call).await.map_err(failure)
}

/// What a name of a provider's may consist of to stand in an address.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.' | '/'))
}
