//! The texts of the benchmarks: sentences that differ in a number, with their translations.

/// The first number that a text carries; all numbers have as many digits.
const FIRST_NUMBER: u64 = 1_000_000_000;

/// How many digits a number has.
pub(super) const N_DIGITS: usize = 10;

/// What stands before and after the number, in English and in Spanish.
const SENTENCES: [[&str; 4]; 8] = [
    [
        "The harbour office counted ",
        " ships before the storm reached the coast",
        "La oficina del puerto contó ",
        " barcos antes de que la tormenta llegara a la costa",
    ],
    [
        "More than ",
        " people have signed the letter to the mayor since Monday",
        "Más de ",
        " personas han firmado la carta a la alcaldesa desde el lunes",
    ],
    [
        "The new library lends book number ",
        " to a girl from the next village",
        "La nueva biblioteca presta el libro número ",
        " a una niña del pueblo vecino",
    ],
    [
        "After the match the club thanked its ",
        " members for many loud evenings",
        "Después del partido el club agradeció a sus ",
        " socios tantas noches ruidosas",
    ],
    [
        "The farmers of the valley harvested ",
        " apples in a very dry summer",
        "Los agricultores del valle cosecharon ",
        " manzanas en un verano muy seco",
    ],
    [
        "The night train number ",
        " arrives an hour late because of snow in the mountains",
        "El tren nocturno número ",
        " llega con una hora de retraso por la nieve en las montañas",
    ],
    [
        "Researchers followed ",
        " birds from the lake to the warm islands in the south",
        "Los investigadores siguieron a ",
        " aves desde el lago hasta las islas cálidas del sur",
    ],
    [
        "The bakery on the corner sold ",
        " loaves of bread last year and opens a second shop",
        "La panadería de la esquina vendió ",
        " panes el año pasado y abre una segunda tienda",
    ],
];

/// Returns the text number `n`; no two are equal.
pub(super) fn text(n: u64) -> String {
    let [before, after, ..] = SENTENCES[sentence(n)];
    format!("{before}{}{after}", FIRST_NUMBER + n)
}

/// Writes the number of text `n` over the number of a text of the same sentence.
pub(super) fn write_number(n: u64, digits: &mut [u8]) {
    let mut rest = FIRST_NUMBER + n;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Returns where the number of text `n` begins in it.
pub(super) fn number_at(n: u64) -> usize {
    SENTENCES[sentence(n)][0].len()
}

/// Returns how many sentences there are; texts so far apart differ in their number alone.
pub(super) const fn n_sentences() -> u64 {
    SENTENCES.len() as u64
}

/// Appends the Spanish of a text from here, and any other text between marks that make it differ.
///
/// What stands in the place of the number is kept, so protected spans come back.
pub(super) fn translate_into(text: &str, translation: &mut String) {
    for [before, after, spanish_before, spanish_after] in &SENTENCES {
        let number = text
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        if let Some(number) = number {
            translation.push_str(spanish_before);
            translation.push_str(number);
            translation.push_str(spanish_after);
            return;
        }
    }
    translation.push('«');
    translation.push_str(text);
    translation.push('»');
}

fn sentence(n: u64) -> usize {
    (n % n_sentences()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_written_over_another_gives_the_text_of_that_number() {
        let mut bytes = text(3).into_bytes();
        let at = number_at(3);
        let later = 3 + 1_000 * n_sentences();

        write_number(later, &mut bytes[at..at + N_DIGITS]);

        assert_eq!(bytes, text(later).into_bytes());
    }

    #[test]
    fn a_translation_keeps_what_stands_for_the_number() {
        let english = text(0).replace("1000000000", "⟦0⟧");
        let mut spanish = String::new();

        translate_into(&english, &mut spanish);

        assert_eq!(
            spanish,
            "La oficina del puerto contó ⟦0⟧ barcos antes de que la tormenta llegara a la costa"
        );
    }

    #[test]
    fn an_unknown_text_differs_from_its_translation() {
        let mut translation = String::new();

        translate_into("hello", &mut translation);

        assert_eq!(translation, "«hello»");
    }
}
