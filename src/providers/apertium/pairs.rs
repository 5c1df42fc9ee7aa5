//! Which pairs of languages a server has, and by which codes.

use std::collections::HashSet;

use babelfeed_actors::domain::Language;
use serde::Deserialize;

/// ISO 639-1 codes with their ISO 639-3 codes, in the order of the alphabet.
const ISO_639: &str = "aa aar ab abk ae ave af afr ak aka am amh an arg ar ara as asm av ava ay aym az aze \
ba bak be bel bg bul bi bis bm bam bn ben bo bod br bre bs bos ca cat ce che ch cha co cos cr cre cs ces cu chu \
cv chv cy cym da dan de deu dv div dz dzo ee ewe el ell en eng eo epo es spa et est eu eus fa fas ff ful fi fin \
fj fij fo fao fr fra fy fry ga gle gd gla gl glg gn grn gu guj gv glv ha hau he heb hi hin ho hmo hr hrv ht hat \
hu hun hy hye hz her ia ina id ind ie ile ig ibo ii iii ik ipk io ido is isl it ita iu iku ja jpn jv jav ka kat \
kg kon ki kik kj kua kk kaz kl kal km khm kn kan ko kor kr kau ks kas ku kur kv kom kw cor ky kir la lat lb ltz \
lg lug li lim ln lin lo lao lt lit lu lub lv lav mg mlg mh mah mi mri mk mkd ml mal mn mon mr mar ms msa mt mlt \
my mya na nau nb nob nd nde ne nep ng ndo nl nld nn nno no nor nr nbl nv nav ny nya oc oci oj oji om orm or ori \
os oss pa pan pi pli pl pol ps pus pt por qu que rm roh rn run ro ron ru rus rw kin sa san sc srd sd snd se sme \
sg sag si sin sk slk sl slv sm smo sn sna so som sq sqi sr srp ss ssw st sot su sun sv swe sw swa ta tam te tel \
tg tgk th tha ti tir tk tuk tl tgl tn tsn to ton tr tur ts tso tt tat tw twi ty tah ug uig uk ukr ur urd uz uzb \
ve ven vi vie vo vol wa wln wo wol xh xho yi yid yo yor za zha zh zho zu zul";

/// The pairs that a server has installed.
#[derive(Debug)]
pub(super) struct Pairs(HashSet<(String, String)>);

impl Pairs {
    /// Reads the answer to `/listPairs`.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let list: PairList = serde_json::from_slice(body).ok()?;
        let codes = |pair: Installed| (pair.source_language, pair.target_language);
        Some(Self(list.response_data.into_iter().map(codes).collect()))
    }

    /// The pair as the server names it, the nearest to the languages' regions first.
    pub(super) fn langpair(&self, source: &Language, target: &Language) -> Option<String> {
        let targets = codes_of(target);
        codes_of(source)
            .into_iter()
            .flat_map(|source| {
                targets
                    .iter()
                    .map(move |target| (source.clone(), target.clone()))
            })
            .find(|pair| self.0.contains(pair))
            .map(|(source, target)| format!("{source}|{target}"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PairList {
    response_data: Vec<Installed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Installed {
    source_language: String,
    target_language: String,
}

/// The codes that a server may know a language by, like `eng_US`, `eng` and `en` for `en-US`.
fn codes_of(language: &Language) -> Vec<String> {
    let primary = language.primary();
    let long = iso_639_3(primary).unwrap_or(primary);
    let mut codes = Vec::new();
    if let Some((_, region)) = language.as_str().split_once('-') {
        codes.push(format!("{long}_{}", region.replace('-', "_")));
    }
    codes.push(long.to_owned());
    // Apertium has one Serbo-Croatian, whose standards it writes like regions.
    match long {
        "hrv" => codes.extend(["hbs_HR", "hbs"].map(str::to_owned)),
        "srp" => codes.extend(["hbs_SR", "hbs"].map(str::to_owned)),
        "bos" => codes.extend(["hbs_BS", "hbs"].map(str::to_owned)),
        "nor" => codes.push("nob".to_owned()),
        _ => {}
    }
    if primary != long {
        codes.push(primary.to_owned());
    }
    codes
}

fn iso_639_3(code: &str) -> Option<&'static str> {
    let mut words = ISO_639.split_ascii_whitespace();
    while let (Some(short), Some(long)) = (words.next(), words.next()) {
        if short == code {
            return Some(long);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Pairs {
        let body = br#"{"responseData":[
            {"sourceLanguage":"eng","targetLanguage":"spa"},
            {"sourceLanguage":"spa","targetLanguage":"eng"},
            {"sourceLanguage":"spa","targetLanguage":"eng_US"},
            {"sourceLanguage":"eng","targetLanguage":"hbs_HR"},
            {"sourceLanguage":"eo","targetLanguage":"en"}
        ],"responseDetails":null,"responseStatus":200}"#;
        Pairs::parse(body).expect("a list")
    }

    #[test]
    fn a_pair_is_found_by_the_codes_that_the_server_uses() {
        for (source, target, langpair) in [
            ("en", "es", Some("eng|spa")),
            ("en-GB", "es-MX", Some("eng|spa")),
            ("es", "en-US", Some("spa|eng_US")),
            ("es", "en-AU", Some("spa|eng")),
            ("en", "hr", Some("eng|hbs_HR")),
            ("eo", "en", Some("eo|en")),
            ("eng", "spa", Some("eng|spa")),
            ("en", "ja", None),
            ("es", "es", None),
        ] {
            let source = source.parse().expect("a tag");
            let target = target.parse().expect("a tag");
            assert_eq!(pairs().langpair(&source, &target).as_deref(), langpair);
        }
    }

    #[test]
    fn the_table_pairs_short_codes_with_long_ones() {
        let words: Vec<_> = ISO_639.split_ascii_whitespace().collect();
        assert_eq!(words.len(), 2 * 183);
        assert!(
            words
                .chunks(2)
                .all(|pair| pair[0].len() == 2 && pair[1].len() == 3)
        );
        let short: HashSet<_> = words.chunks(2).map(|pair| pair[0]).collect();
        assert_eq!(short.len(), 183);
        assert_eq!(iso_639_3("zu"), Some("zul"));
        assert_eq!(iso_639_3("xx"), None);
    }
}
