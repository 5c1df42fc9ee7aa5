//! Pictures without what cameras and programs write into them beside the picture.

/// A picture as it may be shown to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) bytes: Vec<u8>,
    pub(super) mime: &'static str,
    /// As it is shown, turned as it says.
    pub(super) width: u32,
    pub(super) height: u32,
}

/// The picture alone: no place, no time, no owner. None where it is no JPEG, PNG, WebP or GIF, or
/// a broken one.
pub(super) fn clean(bytes: &[u8]) -> Option<Picture> {
    let picture = match bytes {
        [0xff, 0xd8, 0xff, ..] => jpeg(bytes),
        [0x89, b'P', b'N', b'G', ..] => png(bytes),
        [b'R', b'I', b'F', b'F', ..] => webp(bytes),
        [b'G', b'I', b'F', b'8', ..] => gif(bytes),
        _ => None,
    };
    picture.filter(|picture| picture.width > 0 && picture.height > 0)
}

/// JPEG (ITU T.81): segments, each a marker with its length, and scans between them.
fn jpeg(bytes: &[u8]) -> Option<Picture> {
    const EXIF: &[u8] = b"Exif\0\0";
    let mut kept = Vec::with_capacity(bytes.len());
    let (mut size, mut orientation) = (None, 1);
    let mut at = 2;
    loop {
        if *bytes.get(at)? != 0xff {
            return None;
        }
        let marker = *bytes.get(at + 1)?;
        match marker {
            // Before a marker, this byte may be repeated.
            0xff => {
                at += 1;
                continue;
            }
            0xd9 => break,
            _ => {}
        }
        let length = usize::from(be16(bytes, at + 2)?);
        let end = at + 2 + length;
        let body = bytes.get(at + 4..end)?;
        let is_frame = matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc);
        if is_frame {
            size = Some((be16(body, 3)?, be16(body, 1)?));
        }
        if marker == 0xe1 && body.starts_with(EXIF) {
            orientation = turned(&body[EXIF.len()..]).unwrap_or(1);
        }
        // What tells how colours are meant is part of the picture.
        let is_picture = match marker {
            0xe0 | 0xee => true,
            0xe2 => body.starts_with(b"ICC_PROFILE\0"),
            0xe1..=0xef | 0xfe => false,
            _ => true,
        };
        if is_picture {
            kept.extend(&bytes[at..end]);
        }
        at = end;
        if marker == 0xda {
            let scan = bytes.get(at..)?;
            let length = scan
                .windows(2)
                .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7))?;
            kept.extend(&scan[..length]);
            at += length;
        }
    }
    let (width, height) = size?;
    let mut clean = vec![0xff, 0xd8];
    // A file for exchange begins with its own segment; how it is turned comes after that.
    let head = match kept.get(..4) {
        Some([0xff, 0xe0, high, low]) => 2 + usize::from(u16::from_be_bytes([*high, *low])),
        _ => 0,
    };
    clean.extend(&kept[..head]);
    if orientation != 1 {
        clean.extend(orientation_segment(orientation));
    }
    clean.extend(&kept[head..]);
    clean.extend([0xff, 0xd9]);
    let is_on_its_side = (5..=8).contains(&orientation);
    let (width, height) = match is_on_its_side {
        true => (height, width),
        false => (width, height),
    };
    Some(Picture {
        bytes: clean,
        mime: "image/jpeg",
        width: width.into(),
        height: height.into(),
    })
}

/// How a picture is turned, by tag 0x0112 of the first directory of its TIFF header.
fn turned(tiff: &[u8]) -> Option<u8> {
    let is_little = match tiff.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let two = |at: usize| {
        let bytes = [*tiff.get(at)?, *tiff.get(at + 1)?];
        Some(match is_little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    };
    let four = |at: usize| {
        let (first, second) = (u32::from(two(at)?), u32::from(two(at + 2)?));
        Some(match is_little {
            true => (second << 16) | first,
            false => (first << 16) | second,
        })
    };
    let directory = usize::try_from(four(4)?).ok()?;
    let n_entries = usize::from(two(directory)?);
    let entry = (0..n_entries)
        .map(|number| directory + 2 + number * 12)
        .find(|at| two(*at) == Some(0x0112))?;
    let orientation = u8::try_from(two(entry + 8)?).ok()?;
    (1..=8).contains(&orientation).then_some(orientation)
}

/// A segment that says how the picture is turned, and nothing else.
fn orientation_segment(orientation: u8) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08");
    // One entry: tag, type (a short), count, value.
    segment.extend([0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0]);
    segment.extend([0, 0, 0, 0]);
    segment
}

/// PNG (<https://www.w3.org/TR/png-3/>): chunks of length, type, body and checksum.
fn png(bytes: &[u8]) -> Option<Picture> {
    const ABOUT_COLOUR: [&[u8]; 8] = [
        b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"bKGD",
    ];
    const ANIMATION: [&[u8]; 3] = [b"acTL", b"fcTL", b"fdAT"];
    let mut clean = bytes.get(..8)?.to_vec();
    let mut at = 8;
    loop {
        let length = usize::try_from(be32(bytes, at)?).ok()?;
        let end = at.checked_add(12)?.checked_add(length)?;
        let chunk = bytes.get(at..end)?;
        let kind = &chunk[4..8];
        let is_critical = kind[0].is_ascii_uppercase();
        if is_critical || ABOUT_COLOUR.contains(&kind) || ANIMATION.contains(&kind) {
            clean.extend(chunk);
        }
        if kind == b"IEND" {
            break;
        }
        at = end;
    }
    Some(Picture {
        mime: "image/png",
        width: be32(bytes, 16)?,
        height: be32(bytes, 20)?,
        bytes: clean,
    })
}

/// WebP (RFC 9649): chunks of type, length and body, padded to even lengths.
fn webp(bytes: &[u8]) -> Option<Picture> {
    if bytes.get(8..12)? != b"WEBP" {
        return None;
    }
    let mut clean = b"RIFF\0\0\0\0WEBP".to_vec();
    let mut size = None;
    let mut at = 12;
    while let Some(kind) = bytes.get(at..at + 4) {
        let length = usize::try_from(le32(bytes, at + 4)?).ok()?;
        let body = bytes.get(at + 8..at.checked_add(8)?.checked_add(length)?)?;
        size = size.or_else(|| webp_size(kind, body));
        if !matches!(kind, b"EXIF" | b"XMP ") {
            let begin = clean.len();
            clean.extend(kind);
            clean.extend(u32::try_from(length).ok()?.to_le_bytes());
            clean.extend(body);
            if kind == b"VP8X" {
                // These two bits promise what was left out.
                *clean.get_mut(begin + 8)? &= !0x0c;
            }
            if length % 2 == 1 {
                clean.push(0);
            }
        }
        at += 8 + length + length % 2;
    }
    let length = u32::try_from(clean.len() - 8).ok()?;
    clean[4..8].copy_from_slice(&length.to_le_bytes());
    let (width, height) = size?;
    Some(Picture {
        bytes: clean,
        mime: "image/webp",
        width,
        height,
    })
}

fn webp_size(kind: &[u8], body: &[u8]) -> Option<(u32, u32)> {
    match kind {
        b"VP8X" => {
            let side = |at: usize| {
                let bytes = [*body.get(at)?, *body.get(at + 1)?, *body.get(at + 2)?, 0];
                Some(u32::from_le_bytes(bytes) + 1)
            };
            Some((side(4)?, side(7)?))
        }
        b"VP8 " => {
            let side = |at: usize| {
                let bytes = [*body.get(at)?, *body.get(at + 1)?];
                Some(u32::from(u16::from_le_bytes(bytes) & 0x3fff))
            };
            Some((side(6)?, side(8)?))
        }
        b"VP8L" => {
            let bits = le32(body, 1)?;
            Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
        }
        _ => None,
    }
}

fn gif(bytes: &[u8]) -> Option<Picture> {
    let side = |at: usize| Some(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    Some(Picture {
        bytes: bytes.to_vec(),
        mime: "image/gif",
        width: side(6)?.into(),
        height: side(8)?.into(),
    })
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"52.5200N 13.4050E";

    fn segment(marker: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len() + 2).expect("short");
        let mut segment = vec![0xff, marker];
        segment.extend(length.to_be_bytes());
        segment.extend(body);
        segment
    }

    /// A JPEG of 300 by 200 whose camera wrote where it was, in the byte order of its maker.
    fn photo(orientation: u8, is_little: bool) -> Vec<u8> {
        let mut exif = b"Exif\0\0".to_vec();
        if is_little {
            exif.extend(b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
            exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        } else {
            exif.extend(b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01");
            exif.extend([0, orientation, 0, 0, 0, 0, 0, 0]);
        }
        exif.extend(SECRET);
        let mut photo = vec![0xff, 0xd8];
        photo.extend(segment(0xe0, b"JFIF\0\x01\x01"));
        photo.extend(segment(0xe1, &exif));
        photo.extend(segment(0xe2, b"ICC_PROFILE\0colours"));
        photo.extend(segment(0xe2, &[b"MPF\0", SECRET].concat()));
        photo.extend(segment(0xfe, SECRET));
        photo.extend(segment(0xc2, &[8, 0, 200, 1, 44, 3]));
        photo.extend(segment(0xda, &[1, 2]));
        photo.extend([7, 0xff, 0, 8, 0xff, 0xd0, 9]);
        photo.extend(segment(0xc4, &[0xff, 0xd9, 1]));
        photo.extend(segment(0xda, &[1, 2]));
        photo.extend([7, 0xff, 0xd9]);
        photo.extend(SECRET);
        photo
    }

    fn holds(bytes: &[u8], piece: &[u8]) -> bool {
        bytes.windows(piece.len()).any(|window| window == piece)
    }

    #[test]
    fn a_photo_tells_nothing_of_where_it_was_taken() {
        let picture = clean(&photo(1, false)).expect("a JPEG");
        assert!(!holds(&picture.bytes, SECRET));
        assert!(!holds(&picture.bytes, b"Exif"));
        assert!(holds(&picture.bytes, b"ICC_PROFILE\0colours"));
        assert!(picture.bytes.ends_with(&[7, 0xff, 0xd9]));
        assert_eq!((picture.width, picture.height), (300, 200));
        assert_eq!(clean(&picture.bytes), Some(picture));
    }

    #[test]
    fn a_photo_stays_turned_as_it_was() {
        for is_little in [false, true] {
            let picture = clean(&photo(6, is_little)).expect("a JPEG");
            assert!(!holds(&picture.bytes, SECRET));
            assert_eq!((picture.width, picture.height), (200, 300));
            assert_eq!(clean(&picture.bytes), Some(picture));
        }
    }

    #[test]
    fn a_png_keeps_its_picture_alone() {
        let chunk = |kind: &[u8], body: &[u8]| {
            let length = u32::try_from(body.len()).expect("short");
            [&length.to_be_bytes(), kind, body, &[0; 4]].concat()
        };
        let head = [&300_u32.to_be_bytes()[..], &200_u32.to_be_bytes(), &[8; 5]].concat();
        let wanted = [chunk(b"IHDR", &head), chunk(b"gAMA", b"1234")].concat();
        let rest = [chunk(b"IDAT", b"pixels"), chunk(b"IEND", b"")].concat();
        let told = [chunk(b"tEXt", SECRET), chunk(b"eXIf", SECRET)].concat();
        let signature = b"\x89PNG\r\n\x1a\n";
        let png = [&signature[..], &wanted, &told, &rest, SECRET].concat();
        let picture = clean(&png).expect("a PNG");
        assert_eq!(picture.bytes, [&signature[..], &wanted, &rest].concat());
        assert_eq!((picture.width, picture.height), (300, 200));
    }

    #[test]
    fn a_webp_keeps_its_picture_alone() {
        let chunk = |kind: &[u8], body: &[u8]| {
            let length = u32::try_from(body.len()).expect("short");
            let padding = vec![0; body.len() % 2];
            [kind, &length.to_le_bytes(), body, &padding].concat()
        };
        let whole = |flags: u8, more: Vec<u8>| {
            let head = [flags, 0, 0, 0, 43, 1, 0, 199, 0, 0];
            let chunks = [chunk(b"VP8X", &head), chunk(b"VP8 ", b"pixel"), more].concat();
            let length = u32::try_from(chunks.len() + 4).expect("short");
            [b"RIFF", &length.to_le_bytes()[..], b"WEBP", &chunks].concat()
        };
        let more = [chunk(b"EXIF", SECRET), chunk(b"XMP ", SECRET)].concat();
        let picture = clean(&whole(0x1c, more)).expect("a WebP");
        assert_eq!(picture.bytes, whole(0x10, Vec::new()));
        assert_eq!((picture.width, picture.height), (300, 200));
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_picture_and_no_panic() {
        let photo = photo(6, true);
        for length in 0..photo.len() - SECRET.len() {
            assert_eq!(clean(&photo[..length]), None, "{length}");
        }
        assert_eq!(clean(b"GIF89a\x01\0\x01"), None);
        assert_eq!(clean(b"RIFF\xff\xff\xff\xffWEBPVP8X\xff\xff\xff\xff"), None);
    }
}
