//! The compact encoding of numbers and texts inside a row.

use std::sync::Arc;

use super::fault::Fault;

/// Writes a number in as few bytes as it needs, seven bits in each.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number that may be negative; what is near to zero is short.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Writes bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a text or its absence.
pub(super) fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => {
            put_number(out, text.len() as u64 + 1);
            out.extend_from_slice(text.as_bytes());
        }
        None => out.push(0),
    }
}

/// What is left to be read of a row.
pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of a row.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether nothing is left.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        let (&byte, rest) = self.0.split_first().ok_or(Fault::Damaged("another byte"))?;
        self.0 = rest;
        Ok(byte)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::Damaged("a number of at most 64 bits"))
    }

    /// The next number as the smaller type that it was.
    pub(super) fn small<N: TryFrom<u64>>(&mut self) -> Result<N, Fault> {
        N::try_from(self.number()?).map_err(|_| Fault::Damaged("a smaller number"))
    }

    /// The next number that may be negative.
    pub(super) fn signed(&mut self) -> Result<i64, Fault> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -((number & 1).cast_signed()))
    }

    /// The next bytes that stand behind their length.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.small()?;
        self.take(length)
    }

    /// The next text that stands behind its length.
    pub(super) fn text(&mut self) -> Result<Arc<str>, Fault> {
        as_text(self.bytes()?)
    }

    /// The next text or its absence.
    pub(super) fn optional(&mut self) -> Result<Option<Arc<str>>, Fault> {
        match self.small::<usize>()? {
            0 => Ok(None),
            length => as_text(self.take(length - 1)?).map(Some),
        }
    }

    /// The text that is left.
    pub(super) fn rest(self) -> Result<Arc<str>, Fault> {
        as_text(self.0)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(Fault::Damaged("as many bytes as were written"))?;
        self.0 = rest;
        Ok(taken)
    }
}

fn as_text(bytes: &[u8]) -> Result<Arc<str>, Fault> {
    std::str::from_utf8(bytes)
        .map(Arc::from)
        .map_err(|_| Fault::Damaged("a text"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(
            number: u64, signed: i64, bytes: Vec<u8>, text in prop::option::of(".*"), rest in ".*",
        ) {
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_signed(&mut out, signed);
            put_bytes(&mut out, &bytes);
            put_optional(&mut out, text.as_deref());
            out.extend_from_slice(rest.as_bytes());

            let mut read = Bytes::new(&out);

            prop_assert_eq!(read.number().ok(), Some(number));
            prop_assert_eq!(read.signed().ok(), Some(signed));
            prop_assert_eq!(read.bytes().ok(), Some(&bytes[..]));
            prop_assert_eq!(read.optional().ok(), Some(text.map(Arc::from)));
            prop_assert_eq!(read.rest().ok(), Some(Arc::from(rest)));
        }

        #[test]
        fn damaged_bytes_are_refused_and_never_panic(bytes: Vec<u8>) {
            let mut read = Bytes::new(&bytes);
            while !read.is_empty() && read.optional().and_then(|_| read.signed()).is_ok() {}
        }
    }
}
