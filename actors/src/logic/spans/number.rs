//! Numbers with their units, and prices.

use std::ops::Range;

use super::{address, domain};
use crate::logic::x_text;

/// Signs of money, before or behind the number.
const MONEY: &[char] = &[
    '$', '€', '£', '¥', '₹', '₽', '₴', '₩', '₺', '₫', '₪', '₱', '₦', '฿', '￥',
];
/// Units that stand behind a number, longer ones first where one begins like another.
const UNITS: &[&str] = &[
    "km/h", "m/s", "mph", "kWh", "MWh", "GWh", "TWh", "Wh", "kHz", "MHz", "GHz", "Hz", "kB", "KB",
    "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "Mbit/s", "Gbit/s", "Mbps", "Gbps", "kW",
    "MW", "GW", "mAh", "hPa", "kPa", "MPa", "Pa", "dB", "°C", "°F", "km²", "km2", "m²", "m2", "m³",
    "m3", "km", "cm", "mm", "µm", "nm", "kg", "mg", "µg", "ml", "mL", "kcal", "kJ", "ms", "µs",
    "ns", "px", "pt", "ha", "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "UAH", "PLN", "SEK", "NOK",
    "DKK", "CZK", "INR", "BRL", "MXN", "CAD", "AUD", "BTC", "ETH", "%", "‰", "°", "m", "g", "l",
    "L", "t", "W", "V", "A", "K", "s", "h",
];

/// The number whose first digit stands at `digit`, with the sign of money before it and the unit
/// behind it; none where it has neither, or is a piece of something longer.
pub(super) fn range(text: &str, floor: usize, digit: usize) -> Option<Range<usize>> {
    let before = &text[floor..digit];
    if before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '_' | '/' | ':')) {
        return None;
    }
    extent(text, floor, digit, char::is_alphanumeric)
}

/// The same wherever it stands: translations write particles and signs right beside it.
pub(super) fn touched(text: &str, floor: usize, digit: usize) -> Option<Range<usize>> {
    if text[floor..digit].ends_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    extent(text, floor, digit, is_latin)
}

/// Whether nobody tells where a unit ends and a word begins that has this letter or digit.
pub(super) const fn is_latin(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, 'À'..='ɏ')
}

/// Money, digits and unit; `goes_on` tells the letters before which no unit ends.
fn extent(
    text: &str,
    floor: usize,
    digit: usize,
    goes_on: fn(char) -> bool,
) -> Option<Range<usize>> {
    let before = &text[floor..digit];
    let end = digits_end(text, digit);
    let start = floor + without_money(before).unwrap_or(before).len();
    let has_money = start < digit;
    let unit = unit_end(text, end, goes_on);
    let unit = unit.filter(|&unit| !is_in_name(text, (floor, end, unit)));
    let is_free = |end: usize| !text[end..].starts_with(|c: char| goes_on(c) || c == '_');
    match unit.filter(|&end| {
        is_free(end) || text[..end].ends_with(['%', '‰', '°']) || text[..end].ends_with(MONEY)
    }) {
        Some(end) => Some(start..end),
        None => (has_money && is_free(end)).then_some(start..end),
    }
}

/// Whether the unit, or digits and unit without a blank between them, begin a host name or an
/// e-mail address.
fn is_in_name(text: &str, (floor, digits_end, unit_end): (usize, usize, usize)) -> bool {
    let behind = &text[unit_end..];
    let sign = text.len() - behind.trim_start_matches(address::is_of_user).len();
    if text[sign..].starts_with('@') {
        let email = address::email(text, floor, sign);
        return email.is_some_and(|email| email.start < unit_end);
    }
    let is_name = |it: char| it.is_ascii_alphanumeric();
    let goes_on = behind.strip_prefix(['.', '-']);
    if !goes_on.is_some_and(|name| name.starts_with(is_name)) {
        return false;
    }
    let domain = domain::range(text, digits_end, unit_end).filter(|_| behind.starts_with('.'));
    text[digits_end..unit_end].chars().all(is_name) || domain.is_some()
}

/// What stands before the sign of money and one blank behind it.
fn without_money(before: &str) -> Option<&str> {
    let tight = before.strip_suffix(is_blank).unwrap_or(before);
    tight.strip_suffix(MONEY)
}

/// Where the digits end, with the marks between them.
fn digits_end(text: &str, digit: usize) -> usize {
    let mut end = digit;
    let mut characters = text[digit..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        if character.is_ascii_digit() {
            end = digit + offset + 1;
            continue;
        }
        let joins = matches!(
            character,
            '.' | ',' | '\'' | '’' | '\u{a0}' | '\u{202f}' | '\u{2009}'
        );
        let goes_on = characters
            .peek()
            .is_some_and(|(_, next)| next.is_ascii_digit());
        if !(joins && goes_on) {
            break;
        }
    }
    end
}

/// Where the unit ends that stands behind the number, after one blank at most.
fn unit_end(text: &str, end: usize, goes_on: fn(char) -> bool) -> Option<usize> {
    let rest = &text[end..];
    let tight = rest.strip_prefix(is_blank).unwrap_or(rest);
    let behind = UNITS
        .iter()
        .find_map(|unit| {
            let behind = tight.strip_prefix(unit)?;
            let is_longer = behind.starts_with(goes_on) && unit.ends_with(char::is_alphanumeric);
            (!is_longer).then_some(behind)
        })
        .or_else(|| {
            // Behind the blank there may be a cashtag, or the next price.
            let sign = text.len() - tight.len();
            let is_cashtag = tight.starts_with('$') && x_text::cashtag_end(text, sign).is_some();
            let is_next = |behind: &&str| behind.starts_with(|it: char| it.is_ascii_digit());
            let behind = tight.strip_prefix(MONEY);
            behind.filter(|behind| !is_cashtag && !is_next(behind))
        })?;
    Some(text.len() - behind.len())
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}
