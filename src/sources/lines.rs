//! The lines of a stream, put together from the pieces in which they come.

/// Cuts a stream into lines.
pub(super) struct Lines {
    rest: Vec<u8>,
    most: usize,
}

/// A line has no end within so many bytes as one may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line of the stream is too long")]
pub(super) struct TooLong;

impl Lines {
    /// Lines of at most so many bytes each.
    pub(super) const fn new(most: usize) -> Self {
        Self {
            rest: Vec::new(),
            most,
        }
    }

    /// The lines that a piece completes, without their ends.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut lines = Vec::new();
        for (number, part) in piece.split(|byte| *byte == b'\n').enumerate() {
            if number > 0 {
                let mut line = std::mem::take(&mut self.rest);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                lines.push(line);
            }
            if self.rest.len() + part.len() > self.most {
                return Err(TooLong);
            }
            self.rest.extend_from_slice(part);
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_whatever_the_pieces_are() {
        let text = "one\r\n\r\ntwo\nthree \r four\n\nno end";
        for size in [1, 2, 3, 1000] {
            let mut lines = Lines::new(12);
            let pieces = text.as_bytes().chunks(size);
            let cut = pieces.flat_map(|piece| lines.push(piece).expect("short lines"));
            let cut: Vec<String> = cut
                .map(|line| String::from_utf8(line).expect("a text"))
                .collect();
            assert_eq!(cut, ["one", "", "two", "three \r four", ""]);
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let mut lines = Lines::new(4);
        assert_eq!(lines.push(b"four\nfo"), Ok(vec![b"four".to_vec()]));
        assert_eq!(lines.push(b"ur!"), Err(TooLong));
    }
}
