//! The texts of the benchmarks: sentences that differ in a number, with their translations.

/// The first number that a text carries; all numbers have as many digits.
const FIRST_NUMBER: u64 = 1_000_000_000;

/// How many digits a number has.
pub(super) const N_DIGITS: usize = 10;

/// The languages that texts are translated into; others are marked alone.
pub(super) const TARGETS: [&str; 5] = ["es", "fr", "de", "it", "pt"];

/// What stands before and after the number.
type Frame = [&'static str; 2];

/// The sentences in English, and in the languages of [`TARGETS`].
const SENTENCES: [(Frame, [Frame; TARGETS.len()]); 8] = [
    (
        [
            "The harbour office counted ",
            " ships before the storm reached the coast",
        ],
        [
            [
                "La oficina del puerto contó ",
                " barcos antes de que la tormenta llegara a la costa",
            ],
            [
                "La capitainerie du port a compté ",
                " navires avant que la tempête n'atteigne la côte",
            ],
            [
                "Das Hafenamt zählte ",
                " Schiffe, bevor der Sturm die Küste erreichte",
            ],
            [
                "La capitaneria del porto ha contato ",
                " navi prima che la tempesta raggiungesse la costa",
            ],
            [
                "A capitania do porto contou ",
                " navios antes de a tempestade chegar à costa",
            ],
        ],
    ),
    (
        [
            "More than ",
            " people have signed the letter to the mayor since Monday",
        ],
        [
            [
                "Más de ",
                " personas han firmado la carta a la alcaldesa desde el lunes",
            ],
            [
                "Plus de ",
                " personnes ont signé la lettre à la maire depuis lundi",
            ],
            [
                "Mehr als ",
                " Menschen haben seit Montag den Brief an die Bürgermeisterin unterschrieben",
            ],
            [
                "Più di ",
                " persone hanno firmato la lettera alla sindaca da lunedì",
            ],
            [
                "Mais de ",
                " pessoas assinaram a carta à prefeita desde segunda-feira",
            ],
        ],
    ),
    (
        [
            "The new library lends book number ",
            " to a girl from the next village",
        ],
        [
            [
                "La nueva biblioteca presta el libro número ",
                " a una niña del pueblo vecino",
            ],
            [
                "La nouvelle bibliothèque prête le livre numéro ",
                " à une fille du village voisin",
            ],
            [
                "Die neue Bücherei verleiht das Buch Nummer ",
                " an ein Mädchen aus dem Nachbardorf",
            ],
            [
                "La nuova biblioteca presta il libro numero ",
                " a una ragazza del paese vicino",
            ],
            [
                "A nova biblioteca empresta o livro número ",
                " a uma menina da aldeia vizinha",
            ],
        ],
    ),
    (
        [
            "After the match the club thanked its ",
            " members for many loud evenings",
        ],
        [
            [
                "Después del partido el club agradeció a sus ",
                " socios tantas noches ruidosas",
            ],
            [
                "Après le match, le club a remercié ses ",
                " membres pour tant de soirées bruyantes",
            ],
            [
                "Nach dem Spiel dankte der Verein seinen ",
                " Mitgliedern für viele laute Abende",
            ],
            [
                "Dopo la partita il club ha ringraziato i suoi ",
                " soci per tante serate rumorose",
            ],
            [
                "Depois do jogo o clube agradeceu aos seus ",
                " sócios por tantas noites barulhentas",
            ],
        ],
    ),
    (
        [
            "The farmers of the valley harvested ",
            " apples in a very dry summer",
        ],
        [
            [
                "Los agricultores del valle cosecharon ",
                " manzanas en un verano muy seco",
            ],
            [
                "Les agriculteurs de la vallée ont récolté ",
                " pommes pendant un été très sec",
            ],
            [
                "Die Bauern des Tals ernteten ",
                " Äpfel in einem sehr trockenen Sommer",
            ],
            [
                "Gli agricoltori della valle hanno raccolto ",
                " mele in un'estate molto secca",
            ],
            [
                "Os agricultores do vale colheram ",
                " maçãs num verão muito seco",
            ],
        ],
    ),
    (
        [
            "The night train number ",
            " arrives an hour late because of snow in the mountains",
        ],
        [
            [
                "El tren nocturno número ",
                " llega con una hora de retraso por la nieve en las montañas",
            ],
            [
                "Le train de nuit numéro ",
                " arrive avec une heure de retard à cause de la neige en montagne",
            ],
            [
                "Der Nachtzug Nummer ",
                " kommt wegen Schnee in den Bergen eine Stunde zu spät an",
            ],
            [
                "Il treno notturno numero ",
                " arriva con un'ora di ritardo per la neve in montagna",
            ],
            [
                "O comboio noturno número ",
                " chega com uma hora de atraso por causa da neve nas montanhas",
            ],
        ],
    ),
    (
        [
            "Researchers followed ",
            " birds from the lake to the warm islands in the south",
        ],
        [
            [
                "Los investigadores siguieron a ",
                " aves desde el lago hasta las islas cálidas del sur",
            ],
            [
                "Les chercheurs ont suivi ",
                " oiseaux du lac jusqu'aux îles chaudes du sud",
            ],
            [
                "Forscher begleiteten ",
                " Vögel vom See bis zu den warmen Inseln im Süden",
            ],
            [
                "I ricercatori hanno seguito ",
                " uccelli dal lago fino alle isole calde del sud",
            ],
            [
                "Os pesquisadores seguiram ",
                " aves do lago até às ilhas quentes do sul",
            ],
        ],
    ),
    (
        [
            "The bakery on the corner sold ",
            " loaves of bread last year and opens a second shop",
        ],
        [
            [
                "La panadería de la esquina vendió ",
                " panes el año pasado y abre una segunda tienda",
            ],
            [
                "La boulangerie du coin a vendu ",
                " pains l'an dernier et ouvre une deuxième boutique",
            ],
            [
                "Die Bäckerei an der Ecke verkaufte ",
                " Brote im letzten Jahr und eröffnet einen zweiten Laden",
            ],
            [
                "La panetteria all'angolo ha venduto ",
                " pani l'anno scorso e apre un secondo negozio",
            ],
            [
                "A padaria da esquina vendeu ",
                " pães no ano passado e abre uma segunda loja",
            ],
        ],
    ),
];

/// Returns the text number `n`; no two are equal.
pub(super) fn text(n: u64) -> String {
    let ([before, after], _) = SENTENCES[sentence(n)];
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
    SENTENCES[sentence(n)].0[0].len()
}

/// Returns how many sentences there are; texts so far apart differ in their number alone.
pub(super) const fn n_sentences() -> u64 {
    SENTENCES.len() as u64
}

/// Appends the translation of a text from here, and any other text between marks that make it differ.
///
/// What stands in the place of the number is kept, so protected spans come back.
pub(super) fn translate_into(text: &str, target: &str, translation: &mut String) {
    let language = TARGETS.iter().position(|language| *language == target);
    for ([before, after], translated) in &SENTENCES {
        let number = text
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after));
        if let (Some(number), Some(language)) = (number, language) {
            let [before, after] = translated[language];
            translation.push_str(before);
            translation.push_str(number);
            translation.push_str(after);
            return;
        }
    }
    translation.push('«');
    translation.push_str(text);
    translation.push('»');
}

/// Returns the translation of text number `n`.
pub(super) fn translation(n: u64, target: &str) -> String {
    let mut translation = String::new();
    translate_into(&text(n), target, &mut translation);
    translation
}

fn sentence(n: u64) -> usize {
    (n % n_sentences()) as usize
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use babelfeed_actors::domain::Pair;
    use babelfeed_actors::logic::checks::Checks;
    use babelfeed_actors::logic::spans::protect;

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

        translate_into(&english, "es", &mut spanish);

        assert_eq!(
            spanish,
            "La oficina del puerto contó ⟦0⟧ barcos antes de que la tormenta llegara a la costa"
        );
    }

    /// So that the benchmarks measure a service with its checks as they ship.
    #[test]
    fn every_translation_passes_the_checks() {
        for target in TARGETS {
            let pair = Pair {
                source: "en".parse().ok(),
                target: target.parse().expect("a tag"),
            };
            for n in 0..n_sentences() {
                let source = protect(&text(n).into());
                let translation: Arc<str> = translation(n, target).into();
                let examined = Checks::ALL.examine(&source, Arc::clone(&translation), &pair);
                assert_eq!((examined.text, examined.fault), (translation, None));
            }
        }
    }

    #[test]
    fn an_unknown_text_differs_from_its_translation() {
        let mut translation = String::new();

        translate_into("hello", "es", &mut translation);

        assert_eq!(translation, "«hello»");
    }
}
