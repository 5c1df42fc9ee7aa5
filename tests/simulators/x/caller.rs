//! Who asks the simulated X: the keys of an account, its tokens, the app's own token.

use serde_json::json;

use super::{APP_TOKEN, CLIENT_ID, Node, TOLERANCE, seconds, sign};
use crate::simulators::server::{Answer, Reply, Request};

/// Who asks.
pub(super) enum Caller {
    Account(Vec<&'static str>),
    App,
}

impl Node {
    /// Who asks, if the credential is right.
    pub(super) fn caller(&mut self, request: &Request) -> Option<Caller> {
        let authorization = request.headers.get("authorization")?;
        if let Some(token) = authorization.strip_prefix("Bearer ") {
            if token == APP_TOKEN {
                return Some(Caller::App);
            }
            let is_right = token == self.token.access && !self.token.is_expired;
            return is_right.then(|| Caller::Account(self.token.scopes.clone()));
        }
        let fields = sign::fields(authorization)?;
        let at: u64 = fields.get("oauth_timestamp")?.parse().ok()?;
        let is_timely = at.abs_diff(seconds(self.now())) <= TOLERANCE;
        let nonce = fields.get("oauth_nonce")?.clone();
        let is_new = self.nonces.insert(nonce);
        let is_right = sign::is_right(request, &fields);
        let all = vec!["tweet.read", "tweet.write", "users.read", "media.write"];
        (is_timely && is_new && is_right).then_some(Caller::Account(all))
    }

    pub(super) fn renew(&mut self, request: &Request) -> Reply {
        let form = sign::form(&request.body);
        let field = |name: &str| form.get(name).map(String::as_str);
        let is_known = field("client_id") == Some(CLIENT_ID);
        let is_right = field("refresh_token") == Some(&*self.token.refresh);
        if field("grant_type") != Some("refresh_token") || !is_known || !is_right {
            let body = json!({
                "error": "invalid_request",
                "error_description": "Value passed for the token was invalid.",
            });
            return Answer::new(400, "application/json", body.to_string()).into();
        }
        let number = self.token.n_renewed + 1;
        self.token.n_renewed = number;
        self.token.access = format!("access-{number}");
        self.token.refresh = format!("refresh-{number}");
        self.token.is_expired = false;
        if std::mem::take(&mut self.token.is_reply_lost) {
            return Reply::Hangup;
        }
        let body = json!({
            "token_type": "bearer",
            "expires_in": 7200,
            "access_token": self.token.access,
            "scope": self.token.scopes.join(" "),
            "refresh_token": self.token.refresh,
        });
        Answer::new(200, "application/json", body.to_string()).into()
    }
}

pub(super) fn may(caller: &Caller, scope: &str) -> bool {
    match caller {
        Caller::Account(scopes) => scopes.contains(&scope),
        Caller::App => false,
    }
}
