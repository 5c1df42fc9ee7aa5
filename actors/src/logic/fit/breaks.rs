//! Where a text that is too long is best split.

use unicode_segmentation::UnicodeSegmentation;

use super::Atom;

/// The places where a text can be split.
pub(super) struct Breaks<'a> {
    text: &'a str,
    atoms: &'a [Atom],
    /// The first bytes of sentences.
    sentences: Vec<usize>,
}

/// What a part ends behind.
#[derive(Clone, Copy)]
enum Level {
    Line,
    Sentence,
    Space,
    Word,
}

impl Level {
    const ALL: [Self; 4] = [Self::Line, Self::Sentence, Self::Space, Self::Word];
}

impl<'a> Breaks<'a> {
    pub(super) fn new(text: &'a str, atoms: &'a [Atom]) -> Self {
        let sentences = text.split_sentence_bound_indices();
        Self {
            text,
            atoms,
            sentences: sentences.map(|(start, _)| start).collect(),
        }
    }

    /// The atom before which a part is best split that begins with `first` and goes at most
    /// to `end`, where another atom stands.
    pub(super) fn best(&self, first: usize, half: usize, end: usize) -> usize {
        let last = |low: usize| {
            Level::ALL
                .into_iter()
                .find_map(|level| self.last(level, low, end))
        };
        let best = last(half).or_else(|| last(first));
        best.unwrap_or_else(|| self.before_sign(first, end))
    }

    /// The end, or one atom before it where a mention would be made of the middle of a word.
    fn before_sign(&self, first: usize, end: usize) -> usize {
        let is_sign = matches!(self.piece(end), "@" | "＠");
        if is_sign && end > first + 1 {
            end - 1
        } else {
            end
        }
    }

    /// The last break of that level behind `low` and not behind `end`.
    fn last(&self, level: Level, low: usize, end: usize) -> Option<usize> {
        let mut downwards = (low + 1..=end).rev();
        match level {
            Level::Line => downwards.find(|&index| self.piece(index - 1).ends_with('\n')),
            Level::Sentence => self.last_sentence(low, end),
            Level::Space => downwards.find(|&index| self.atoms[index - 1].is_space),
            Level::Word => self.last_word(low, end),
        }
    }

    fn last_sentence(&self, low: usize, end: usize) -> Option<usize> {
        let (low, end) = (self.atoms[low].start, self.atoms[end].start);
        let behind = self.sentences.partition_point(|&start| start <= end);
        self.sentences[..behind]
            .iter()
            .rev()
            .take_while(|&&start| start > low)
            .find_map(|&start| self.atom_at(start))
    }

    fn last_word(&self, low: usize, end: usize) -> Option<usize> {
        let start = self.atoms[low].start;
        // One atom more, since the end of what is looked at would always count as a bound.
        let window = &self.text[start..self.atoms[end].end];
        window
            .split_word_bound_indices()
            .map(|(offset, _)| start + offset)
            .skip(1)
            .filter(|&bound| self.begins_word(bound))
            .filter_map(|bound| self.atom_at(bound))
            .last()
    }

    /// Whether a part may begin there: with a letter or digit, not torn from what opens it.
    fn begins_word(&self, bound: usize) -> bool {
        let opens = |before| {
            matches!(
                before,
                '(' | '['
                    | '{'
                    | '"'
                    | '\''
                    | '“'
                    | '‘'
                    | '„'
                    | '«'
                    | '‹'
                    | '¿'
                    | '¡'
                    | '（'
                    | '［'
                    | '「'
                    | '『'
                    | '【'
                    | '《'
                    | '〈'
                    | '〔'
                    | '`'
                    | '⟦'
                    | '#'
                    | '@'
                    | '$'
                    | '€'
                    | '£'
                    | '-'
                    | '−'
            )
        };
        self.text[bound..].starts_with(char::is_alphanumeric)
            && !self.text[..bound].ends_with(opens)
    }

    /// The atom that begins at that byte.
    fn atom_at(&self, start: usize) -> Option<usize> {
        self.atoms
            .binary_search_by_key(&start, |atom| atom.start)
            .ok()
    }

    fn piece(&self, index: usize) -> &str {
        &self.text[self.atoms[index].start..self.atoms[index].end]
    }
}
