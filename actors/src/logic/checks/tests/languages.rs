//! One sentence in 33 languages, from each into every other.

use std::sync::Arc;

use super::super::*;
use super::fault;
use crate::logic::spans::protect;

/// One text in many languages, which says the same in each.
pub(super) const NEWS: [(&str, &str); 33] = [
    (
        "en",
        "The government announced new measures on Tuesday to help families with the rising cost of energy.",
    ),
    (
        "es",
        "El gobierno anunció el martes nuevas medidas para ayudar a las familias con el aumento del coste de la energía.",
    ),
    (
        "pt",
        "O governo anunciou na terça-feira novas medidas para ajudar as famílias com o aumento do custo da energia.",
    ),
    (
        "fr",
        "Le gouvernement a annoncé mardi de nouvelles mesures pour aider les familles face à la hausse du coût de l’énergie.",
    ),
    (
        "de",
        "Die Regierung hat am Dienstag neue Maßnahmen angekündigt, um Familien bei den steigenden Energiekosten zu helfen.",
    ),
    (
        "it",
        "Il governo ha annunciato martedì nuove misure per aiutare le famiglie con l’aumento dei costi dell’energia.",
    ),
    (
        "nl",
        "De regering heeft dinsdag nieuwe maatregelen aangekondigd om gezinnen te helpen met de stijgende energiekosten.",
    ),
    (
        "sv",
        "Regeringen meddelade på tisdagen nya åtgärder för att hjälpa familjer med de stigande energikostnaderna.",
    ),
    (
        "da",
        "Regeringen meddelte tirsdag nye tiltag for at hjælpe familier med de stigende energiudgifter.",
    ),
    (
        "nb",
        "Regjeringen kunngjorde tirsdag nye tiltak for å hjelpe familier med de økende energikostnadene.",
    ),
    (
        "fi",
        "Hallitus ilmoitti tiistaina uusista toimista, joilla perheitä autetaan nousevien energiakustannusten kanssa.",
    ),
    (
        "pl",
        "Rząd ogłosił we wtorek nowe środki, które mają pomóc rodzinom w obliczu rosnących kosztów energii.",
    ),
    (
        "cs",
        "Vláda v úterý oznámila nová opatření, která mají pomoci rodinám s rostoucími náklady na energie.",
    ),
    (
        "sk",
        "Vláda v utorok oznámila nové opatrenia, ktoré majú pomôcť rodinám s rastúcimi nákladmi na energie.",
    ),
    (
        "hr",
        "Vlada je u utorak najavila nove mjere kojima želi pomoći obiteljima zbog rasta troškova energije.",
    ),
    (
        "hu",
        "A kormány kedden új intézkedéseket jelentett be, hogy segítse a családokat az emelkedő energiaköltségek miatt.",
    ),
    (
        "ro",
        "Guvernul a anunțat marți noi măsuri pentru a ajuta familiile să facă față creșterii costurilor la energie.",
    ),
    (
        "tr",
        "Hükümet salı günü, artan enerji maliyetleri karşısında ailelere yardım etmek için yeni önlemler açıkladı.",
    ),
    (
        "id",
        "Pemerintah mengumumkan langkah-langkah baru pada hari Selasa untuk membantu keluarga dengan kenaikan biaya energi.",
    ),
    (
        "vi",
        "Chính phủ đã công bố các biện pháp mới vào thứ Ba để giúp các gia đình đối phó với chi phí năng lượng tăng.",
    ),
    (
        "ru",
        "Правительство объявило во вторник о новых мерах помощи семьям в связи с ростом стоимости энергии.",
    ),
    (
        "uk",
        "Уряд у вівторок оголосив про нові заходи допомоги сім’ям у зв’язку зі зростанням вартості енергії.",
    ),
    (
        "bg",
        "Правителството обяви във вторник нови мерки за подпомагане на семействата заради растящите цени на енергията.",
    ),
    (
        "el",
        "Η κυβέρνηση ανακοίνωσε την Τρίτη νέα μέτρα για να βοηθήσει τις οικογένειες με το αυξανόμενο κόστος της ενέργειας.",
    ),
    (
        "ar",
        "أعلنت الحكومة يوم الثلاثاء عن إجراءات جديدة لمساعدة الأسر على مواجهة ارتفاع تكاليف الطاقة.",
    ),
    (
        "fa",
        "دولت روز سه‌شنبه از اقدامات جدیدی برای کمک به خانواده‌ها در برابر افزایش هزینه‌های انرژی خبر داد.",
    ),
    (
        "he",
        "הממשלה הודיעה ביום שלישי על צעדים חדשים שיסייעו למשפחות להתמודד עם עליית מחירי האנרגיה.",
    ),
    (
        "hi",
        "सरकार ने मंगलवार को ऊर्जा की बढ़ती लागत से परिवारों की मदद के लिए नए उपायों की घोषणा की।",
    ),
    (
        "ja",
        "政府は火曜日、エネルギー費用の高騰に苦しむ家庭を支援するための新たな対策を発表した。",
    ),
    (
        "zh-Hans",
        "政府周二宣布了新措施，帮助家庭应对不断上涨的能源费用。",
    ),
    (
        "zh-TW",
        "政府週二宣布了新措施，幫助家庭應對不斷上漲的能源費用。",
    ),
    (
        "ko",
        "정부는 화요일에 에너지 비용 상승으로 어려움을 겪는 가정을 돕기 위한 새로운 대책을 발표했다.",
    ),
    (
        "th",
        "รัฐบาลประกาศมาตรการใหม่เมื่อวันอังคารเพื่อช่วยเหลือครอบครัวที่ได้รับผลกระทบจากค่าพลังงานที่สูงขึ้น",
    ),
];

/// Languages that a model may take for each other, and that nobody can tell apart by one sentence.
fn is_near(one: &str, other: &str) -> bool {
    let tag = |text: &str| text.parse::<Language>().expect("a tag");
    evidence::are_near(&tag(one), &tag(other))
}

#[test]
fn a_translation_passes_from_every_language_into_every_other() {
    for (source, text) in NEWS {
        for (target, translated) in NEWS.into_iter().filter(|(target, _)| *target != source) {
            assert_eq!(
                fault((source, target), text, translated),
                None,
                "{source} {target}"
            );
            assert_eq!(fault(("?", target), text, translated), None, "? {target}");
        }
    }
}

#[test]
fn a_text_that_comes_back_as_it_went_is_an_echo_in_every_language() {
    for (source, text) in NEWS {
        for (target, _) in NEWS
            .into_iter()
            .filter(|(target, _)| !is_near(source, target))
        {
            let found = fault((source, target), text, text);
            assert!(
                matches!(found, Some(Check::Echo | Check::Language | Check::Script)),
                "{source} {target}: {found:?}"
            );
        }
    }
}

#[test]
fn a_translation_into_another_language_is_found_in_every_language() {
    let mut missed = Vec::new();
    for (target, _) in NEWS {
        for (found, translated) in NEWS {
            let source = if target == "en" || found == "en" {
                "de"
            } else {
                "en"
            };
            if is_near(found, target) || source == found || source == target {
                continue;
            }
            let (_, text) = NEWS[if source == "en" { 0 } else { 4 }];
            match fault((source, target), text, translated) {
                Some(Check::Language | Check::Script) => (),
                other => missed.push((target, found, other)),
            }
        }
    }
    // Of some languages a sentence is too little to be sure.
    assert!(missed.len() <= 12, "{}: {missed:?}", missed.len());
}

#[test]
fn a_text_is_found_in_its_language_and_in_no_other() {
    let mut missed = Vec::new();
    for (language, text) in NEWS {
        let text = protect(&Arc::from(text));
        for (other, _) in NEWS {
            let tag: Language = other.parse().expect("a tag");
            let expected = language == other;
            match (is_in(&text, &tag), expected) {
                (true, false) => panic!("{language} was found in {other}"),
                (false, true) => missed.push(language),
                _ => (),
            }
        }
    }
    // Where it is not sure, it is translated.
    assert!(missed.len() <= 8, "{missed:?}");
    for text in ["Hola", "OK", "Paris", "Nintendo Switch 2", "12:30"] {
        assert!(
            !is_in(&protect(&Arc::from(text)), &"es".parse().expect("a tag")),
            "{text}"
        );
    }
}
