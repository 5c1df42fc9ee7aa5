//! Numbers with their units, and prices.

use std::ops::Range;

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
/// behind it; none where it has neither.
pub(super) fn range(text: &str, floor: usize, digit: usize) -> Option<Range<usize>> {
    let before = &text[floor..digit];
    if before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '_' | '/' | ':')) {
        return None;
    }
    let end = digits_end(text, digit);
    let start = floor + without_money(before).unwrap_or(before).len();
    let has_money = start < digit;
    let unit = unit_end(text, end).filter(|&unit| !is_in_name(text, end, unit));
    let is_free = |end: usize| !text[end..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    match unit.filter(|&end| {
        is_free(end) || text[..end].ends_with(['%', '‰', '°']) || text[..end].ends_with(MONEY)
    }) {
        Some(end) => Some(start..end),
        None => (has_money && is_free(end)).then_some(start..end),
    }
}

/// Whether digits and unit, without a blank between them, begin a host name or an e-mail address.
fn is_in_name(text: &str, digits_end: usize, unit_end: usize) -> bool {
    let is_name = |it: char| it.is_ascii_alphanumeric();
    let behind = &text[unit_end..];
    let goes_on = behind.strip_prefix(['.', '-']);
    text[digits_end..unit_end].chars().all(is_name)
        && (behind.starts_with('@') || goes_on.is_some_and(|name| name.starts_with(is_name)))
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
fn unit_end(text: &str, end: usize) -> Option<usize> {
    let rest = &text[end..];
    let tight = rest.strip_prefix(is_blank).unwrap_or(rest);
    let behind = UNITS
        .iter()
        .find_map(|unit| {
            let behind = tight.strip_prefix(unit)?;
            let goes_on =
                behind.starts_with(char::is_alphanumeric) && unit.ends_with(char::is_alphanumeric);
            (!goes_on).then_some(behind)
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
