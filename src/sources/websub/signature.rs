//! The signature of what a hub delivers.

use ring::hmac;

/// Whether a header like `sha256=…` is the signature of a body, in any method that hubs use.
pub(super) fn is_right(header: &str, secret: &[u8], body: &[u8]) -> bool {
    let Some((method, signature)) = header.trim().split_once('=') else {
        return false;
    };
    let algorithm = match method.to_ascii_lowercase().as_str() {
        "sha1" => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        "sha256" => hmac::HMAC_SHA256,
        "sha384" => hmac::HMAC_SHA384,
        "sha512" => hmac::HMAC_SHA512,
        _ => return false,
    };
    let Some(signature) = bytes(signature) else {
        return false;
    };
    let key = hmac::Key::new(algorithm, secret);
    !secret.is_empty() && hmac::verify(&key, body, &signature).is_ok()
}

/// The bytes that stand as hex in a text.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|it| u8::try_from(it).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_verified() {
        // Test case 2 of RFC 2202 and RFC 4231.
        let (secret, body) = (b"Jefe", b"what do ya want for nothing?");
        for header in [
            "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "sha384=af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            "SHA512=164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ] {
            assert!(is_right(header, secret, body), "{header}");
            assert!(!is_right(header, b"Jeff", body), "{header}");
            assert!(!is_right(header, secret, b"what?"), "{header}");
        }
        for header in ["", "sha256", "sha256=", "md5=00", "sha256=0", "sha256=zz"] {
            assert!(!is_right(header, secret, body), "{header}");
        }
    }
}
