//! A credential that never shows itself.

use std::fmt;

/// A key, token or password: it prints as `***`, and is read only where it is sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a credential in, without the white space that files and shells leave around it.
    pub fn new(value: &str) -> Self {
        Self(value.trim().to_owned())
    }

    /// The credential itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text in which the credential, should it stand there, is hidden.
    pub fn hide_in(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new(" sk-123\n");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.expose(), "sk-123");
        assert_eq!(secret.hide_in("bad key sk-123!"), "bad key ***!");
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        assert_eq!(Secret::new("").hide_in("text"), "text");
    }
}
