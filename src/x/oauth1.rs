//! Signatures of OAuth 1.0a.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use crate::secret::Secret;

/// The keys of an app, and of an account that lets it act for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The app's key.
    pub consumer_key: Secret,
    /// The app's secret.
    pub consumer_secret: Secret,
    /// The account's token.
    pub token: Secret,
    /// The token's secret.
    pub token_secret: Secret,
}

/// What makes each signature another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Never used twice with one time.
    pub nonce: String,
    /// Seconds since 1970, by the server's clock.
    pub timestamp: String,
}

impl Stamp {
    /// A new one for that second.
    pub fn new(seconds: u64) -> Self {
        let nonce = uuid::Uuid::now_v7().simple().to_string();
        Self {
            nonce: format!("{nonce}{:016x}", fastrand::u64(..)),
            timestamp: seconds.to_string(),
        }
    }
}

impl Keys {
    /// The `Authorization` of a call whose body is no form.
    ///
    /// `url` is the address that is called, without its query; names and values of `query` are
    /// given as they are meant, not as they are encoded.
    pub fn authorization(
        &self,
        method: &str,
        url: &str,
        query: &[(&str, &str)],
        stamp: &Stamp,
    ) -> Secret {
        let mut oauth = vec![
            ("oauth_consumer_key", self.consumer_key.expose()),
            ("oauth_nonce", &stamp.nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &stamp.timestamp),
            ("oauth_token", self.token.expose()),
            ("oauth_version", "1.0"),
        ];
        let signature = self.signature(method, url, &[query, &oauth].concat());
        oauth.push(("oauth_signature", &signature));
        let fields = oauth
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", encoded(value)));
        let fields: Vec<String> = fields.collect();
        Secret::new(&format!("OAuth {}", fields.join(", ")))
    }

    fn signature(&self, method: &str, url: &str, parameters: &[(&str, &str)]) -> String {
        let mut pairs: Vec<(String, String)> = parameters
            .iter()
            .map(|(name, value)| (encoded(name), encoded(value)))
            .collect();
        pairs.sort();
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let base = [method, url, &pairs.join("&")].map(encoded).join("&");
        let secrets = [&self.consumer_secret, &self.token_secret];
        let key = secrets.map(|secret| encoded(secret.expose())).join("&");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
        STANDARD.encode(hmac::sign(&key, base.as_bytes()))
    }

    /// The account's id, with which its token begins.
    pub fn account(&self) -> Option<&str> {
        let (id, _) = self.token.expose().split_once('-')?;
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then_some(id)
    }

    /// A text in which none of them stands.
    pub fn hide_in(&self, text: &str) -> String {
        [
            &self.consumer_key,
            &self.consumer_secret,
            &self.token,
            &self.token_secret,
        ]
        .into_iter()
        .fold(text.to_owned(), |text, secret| secret.hide_in(&text))
    }
}

/// A text in which everything but letters, digits and `-._~` is written as `%XX`.
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The secrets are those of X's documentation, long dead.
    fn keys() -> Keys {
        Keys {
            consumer_key: Secret::new("xvz1evFS4wEEPTGEFPHBog"),
            consumer_secret: Secret::new("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"),
            token: Secret::new("370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
            token_secret: Secret::new("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"),
        }
    }

    fn stamp() -> Stamp {
        Stamp {
            nonce: "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg".to_owned(),
            timestamp: "1318622958".to_owned(),
        }
    }

    #[test]
    fn every_published_signature_is_made() {
        let form = [
            ("include_entities", "true"),
            (
                "status",
                "Hello Ladies + Gentlemen, a signed OAuth request!",
            ),
        ];
        let timeline = [
            ("since_id", "1700000000000000000"),
            ("exclude", "replies,retweets"),
            ("max_results", "100"),
        ];
        for (method, url, query, signature) in [
            (
                "POST",
                "https://api.x.com/1.1/statuses/update.json",
                &form[..],
                "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=",
            ),
            (
                "POST",
                "https://api.twitter.com/1.1/statuses/update.json",
                &form,
                "hCtSmYh+iHYCEqBWrE7C7hYmtUk=",
            ),
            (
                "POST",
                "https://api.twitter.com/1/statuses/update.json",
                &form,
                "tnnArxj06cWHq44gCs1OSKk/jLY=",
            ),
            (
                "POST",
                "https://api.x.com/2/tweets",
                &[],
                "lr+tV/DKclEvXKVjG6tgaSSLV0k=",
            ),
            (
                "GET",
                "https://api.x.com/2/users/12/tweets",
                &timeline,
                "isM/neLjh8hzv8HL6Fe/Q04z16I=",
            ),
        ] {
            let header = keys().authorization(method, url, query, &stamp());
            let expected = format!("oauth_signature=\"{}\"", encoded(signature));
            assert!(header.expose().ends_with(&expected), "{url}");
        }
    }

    #[test]
    fn what_is_not_unreserved_is_encoded() {
        for (text, expected) in [
            ("Ladies + Gentlemen", "Ladies%20%2B%20Gentlemen"),
            ("Dogs, Cats & Mice", "Dogs%2C%20Cats%20%26%20Mice"),
            ("☃", "%E2%98%83"),
            ("a-b._~Z9", "a-b._~Z9"),
        ] {
            assert_eq!(encoded(text), expected);
        }
    }

    #[test]
    fn an_account_is_known_by_its_token() {
        assert_eq!(keys().account(), Some("370773112"));
        let strange = Keys {
            token: Secret::new("opaque-token"),
            ..keys()
        };
        assert_eq!(strange.account(), None);
    }

    #[test]
    fn no_stamp_is_used_twice() {
        assert_ne!(Stamp::new(1), Stamp::new(1));
    }
}
