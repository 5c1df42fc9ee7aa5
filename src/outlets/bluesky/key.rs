//! Record keys that a publication's own id determines, so that a part has one key for ever.

use babelfeed_actors::domain::PublicationId;

use crate::atproto::Tid;

/// The most parts of a publication that have keys of their own.
const MAX_PARTS: usize = 128;
/// The most languages of a post that have keys of their own on one account.
pub const MAX_LANGUAGES: usize = 8;

/// The key of a part; none for a part too many.
///
/// Ids of requests rise by millisecond and a serial within it, so keys rise as well. The serial
/// is told as microseconds, of which there are as many as serials. The ten bits beside the time tell the target's number, since two
/// languages may go to one account, and the part; settings with more languages than that are
/// refused two on one account.
pub(super) fn of(id: PublicationId, part: usize) -> Option<Tid> {
    let bytes = id.as_bytes();
    let part = u64::try_from(part).ok().filter(|_| part < MAX_PARTS)?;
    let millis = bytes[..6]
        .iter()
        .fold(0, |millis, byte| (millis << 8) | u64::from(*byte));
    let serial = (u64::from(bytes[6] & 0x0f) << 8) | u64::from(bytes[7]);
    let target = u64::from(bytes[14]) % MAX_LANGUAGES as u64;
    let micros = millis * 1000 + serial % 1000;
    Some(Tid::new(micros, (target << 7) | part))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use babelfeed_actors::domain::{IdMint, Timestamp};

    use super::*;

    #[test]
    fn keys_of_parts_and_publications_differ_and_rise() {
        let mut mint = IdMint::default();
        let mut keys = Vec::new();
        for number in 0..4_500 {
            let at = Timestamp::from_millis(1_795_262_700_000 + number / 1_500);
            let request = mint.next(at, u64::MAX);
            for target in 1..=3 {
                let id = request.task(target).publication(1);
                keys.extend((0..3).map(|part| of(id, part).expect("a key").to_string()));
            }
        }
        let sorted: Vec<String> = keys
            .iter()
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        assert_eq!(sorted, keys);
    }

    #[test]
    fn a_part_too_many_has_no_key() {
        let id = IdMint::default()
            .next(Timestamp::from_millis(1), 1)
            .task(1)
            .publication(1);
        assert!(of(id, 127).is_some());
        assert_eq!(of(id, 128), None);
    }
}
