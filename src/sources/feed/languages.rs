//! The languages that the items of an XML feed name, which feed-rs does not read.

/// The `xml:lang` of each item, in the document's order.
pub(super) fn of_items(bytes: &[u8]) -> Vec<Option<String>> {
    let text = String::from_utf8_lossy(bytes);
    text.split('<')
        .filter_map(|tag| {
            let rest = tag
                .strip_prefix("entry")
                .or_else(|| tag.strip_prefix("item"))?;
            let attributes = rest.split('>').next()?;
            let is_whole_name =
                attributes.is_empty() || attributes.starts_with(char::is_whitespace);
            is_whole_name.then(|| language(attributes))
        })
        .collect()
}

fn language(attributes: &str) -> Option<String> {
    let value = attributes.split_once("xml:lang")?.1.trim_start();
    let value = value.strip_prefix('=')?.trim_start();
    let quote = value
        .chars()
        .next()
        .filter(|quote| "\"'".contains(*quote))?;
    let (value, _) = value[1..].split_once(quote)?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_tells_its_own_language() {
        let text = "<feed xml:lang='de'><entry xml:lang = 'fr'></entry><entry a='b'/><items xml:lang='x'/><item xml:lang=\"es\">";
        assert_eq!(
            of_items(text.as_bytes()),
            [Some("fr".to_owned()), None, Some("es".to_owned())]
        );
    }
}
