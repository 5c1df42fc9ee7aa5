//! The classes of characters that X's rules name.

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

/// What one code point counts as.
pub(super) const fn weight(character: char) -> usize {
    match character {
        '\0'..='\u{10ff}'
        | '\u{2000}'..='\u{200d}'
        | '\u{2010}'..='\u{201f}'
        | '\u{2032}'..='\u{2037}' => 1,
        _ => 2,
    }
}

/// Whether the character alone is surely as it is when it is composed; only what is frequent.
pub(super) const fn is_composed(character: char) -> bool {
    matches!(character,
        '\0'..='\u{33f}' | '\u{3a3}'..='\u{52f}' | '\u{2010}'..='\u{206f}' | '\u{3041}'..='\u{30ff}'
        | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{1f300}'..='\u{1faff}')
}

/// Whether a label of a host name may consist of it; dash and underscore have rules of their own.
pub(super) const fn is_label(character: char) -> bool {
    !is_punctuation(character)
        && !is_space(character)
        && !is_invalid(character)
        && !is_direction_mark(character)
}

/// Whether it stands in labels, or between them.
pub(super) const fn is_host(character: char) -> bool {
    is_label(character) || matches!(character, '-' | '_' | '.')
}

/// Whether a web address may follow it.
pub(super) const fn may_precede_url(character: char) -> bool {
    !character.is_ascii_alphanumeric()
        && !matches!(character, '@' | '＠' | '$' | '#' | '＃')
        && !is_invalid(character)
}

/// Whether it can stand in the path of a web address.
pub(super) const fn is_path(character: char) -> bool {
    is_path_end(character)
        || matches!(
            character,
            '!' | '*'
                | '\''
                | ';'
                | ':'
                | ','
                | '.'
                | '$'
                | '%'
                | '['
                | ']'
                | '–'
                | '~'
                | '@'
                | '|'
                | '&'
        )
}

/// Whether a path may end with it.
pub(super) const fn is_path_end(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(
            character,
            '+' | '-' | '=' | '_' | '#' | '/' | '\u{400}'..='\u{4ff}'
        )
        || is_accented_latin(character)
}

/// Whether it can stand in the query of a web address.
pub(super) const fn is_query(character: char) -> bool {
    is_query_end(character)
        || matches!(
            character,
            '!' | '?'
                | '*'
                | '\''
                | '@'
                | '('
                | ')'
                | ';'
                | ':'
                | '+'
                | '$'
                | '%'
                | '['
                | ']'
                | '.'
                | ','
                | '~'
                | '|'
        )
}

/// Whether a query may end with it.
pub(super) const fn is_query_end(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '&' | '=' | '#' | '/')
}

/// Whether it is a Latin letter with an accent, or an accent.
pub(super) const fn is_accented_latin(character: char) -> bool {
    matches!(character,
        '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{24f}' | '\u{253}' | '\u{254}'
        | '\u{256}' | '\u{257}' | '\u{259}' | '\u{25b}' | '\u{263}' | '\u{268}' | '\u{26f}' | '\u{272}'
        | '\u{289}' | '\u{28b}' | '\u{2bb}' | '\u{300}'..='\u{36f}' | '\u{1e00}'..='\u{1eff}')
}

/// Whether X calls it punctuation: not all of it, quotes are missing.
pub(super) const fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation() && !matches!(character, '"' | '`')
}

/// Whether X calls it a space.
pub(super) const fn is_space(character: char) -> bool {
    matches!(character,
        '\t'..='\r' | ' ' | '\u{85}' | '\u{a0}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

const fn is_direction_mark(character: char) -> bool {
    matches!(character,
        '\u{202a}'..='\u{202e}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}')
}

/// Whether no post may hold it.
pub(super) const fn is_invalid(character: char) -> bool {
    matches!(character, '\u{fffe}' | '\u{feff}' | '\u{ffff}')
}

/// Whether a hashtag needs at least one of these: a letter or a mark.
pub(super) fn is_tag_letter(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphabetic();
    }
    let group = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark);
    group.contains(category(character))
}

/// Whether a hashtag may consist of it.
pub(super) fn is_tag(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    let joins = matches!(
        character,
        '\u{200c}'
            | '\u{200d}'
            | '\u{a67e}'
            | '\u{5be}'
            | '\u{5f3}'
            | '\u{5f4}'
            | '\u{ff5e}'
            | '\u{301c}'
            | '\u{309b}'
            | '\u{309c}'
            | '\u{30a0}'
            | '\u{30fb}'
            | '\u{3003}'
            | '\u{f0b}'
            | '\u{f0c}'
            | '\u{b7}'
    );
    joins || is_tag_letter(character) || category(character) == GeneralCategory::DecimalNumber
}

fn category(character: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(character)
}
