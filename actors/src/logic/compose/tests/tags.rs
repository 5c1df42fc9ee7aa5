//! Hashtags in their places, and behind a text.

use super::ORIGIN;
use crate::logic::compose::Style;
use crate::logic::fit::Limit;
use crate::logic::hashtags::{Hashtags, apart, hashtags};

#[test]
fn hashtags_are_translated_in_their_places_or_stand_behind_while_they_fit() {
    let text = "Un #Boat.";
    let (_, tags) = apart("\u{1e}barco grande", "", &hashtags(text));
    let tagged = |hashtags, text, max| {
        let style = Style {
            hashtags,
            ..Style::default()
        };
        let limit = Limit::Characters { max };
        style
            .compose_tagged(text, &tags, limit, ORIGIN)
            .expect("it fits")
    };
    assert_eq!(tagged(Hashtags::Keep, text, 30), [text]);
    assert_eq!(tagged(Hashtags::Translate, text, 30), ["Un #BarcoGrande."]);
    let both = "Un #Boat.\n\n#BarcoGrande";
    assert_eq!(tagged(Hashtags::Both, text, both.len()), [both]);
    assert_eq!(tagged(Hashtags::Both, text, both.len() - 1), [text]);
    let short = "Un #Boat. Zarpa hoy mismo.";
    assert_eq!(tagged(Hashtags::Both, short, 30), [short]);
    let thread = tagged(Hashtags::Both, "Un #Boat. Zarpa hoy mismo a las diez.", 30);
    assert_eq!(thread.len(), 2, "{thread:?}");
    assert!(thread[1].ends_with("\n\n#BarcoGrande"), "{thread:?}");
}
