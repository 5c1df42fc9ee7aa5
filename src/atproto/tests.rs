//! That names are read as atproto reads them, by its own cases where they are present.

use std::fs;
use std::path::Path;

use super::*;

/// Where the files are, if they are: beside the repository.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance/atproto");

/// The lines of a file that are no notes, or none where it is not present.
fn present(file: &str) -> Option<Vec<String>> {
    let file = format!("{file}.txt");
    let Ok(text) = fs::read_to_string(Path::new(FOLDER).join(&file)) else {
        eprintln!("skipped: atproto's {file} is not present");
        return None;
    };
    let cases = text.lines();
    let cases = cases.filter(|line| !line.is_empty() && !line.starts_with('#'));
    Some(cases.map(str::to_owned).collect())
}

/// Asserts that of the files of a kind the one is read whole and the other not at all.
fn assert_read(kind: &str, n_cases: [usize; 2], is_read: impl Fn(&str) -> bool) {
    for ((verdict, expected), n_cases) in [("valid", true), ("invalid", false)]
        .into_iter()
        .zip(n_cases)
    {
        let Some(cases) = present(&format!("{kind}_syntax_{verdict}")) else {
            continue;
        };
        assert_eq!(cases.len(), n_cases, "cases of {kind} that are {verdict}");
        let wrong: Vec<&String> = cases.iter().filter(|it| is_read(it) != expected).collect();
        assert!(wrong.is_empty(), "are {verdict}: {wrong:#?}");
    }
}

#[test]
fn there_are_no_cases_of_another_kind() {
    let Ok(entries) = fs::read_dir(FOLDER) else {
        return;
    };
    let names = entries.map(|it| it.expect("an entry").file_name().into_string());
    let names = names.map(|it| it.expect("a name in Unicode"));
    let mut kinds: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix("_syntax_valid.txt")?.to_owned()))
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["aturi", "datetime", "language", "recordkey", "tid"]);
}

#[test]
fn addresses_are_read_as_atproto_reads_them() {
    assert_read("aturi", [23, 72], |text| AtUri::parse(text).is_some());
}

#[test]
fn times_are_read_as_atproto_reads_them() {
    assert_read("datetime", [35, 45], |text| datetime(text).is_some());
}

#[test]
fn languages_are_read_as_atproto_reads_them() {
    assert_read("language", [18, 7], |text| {
        LanguageTag::parse(text).is_some()
    });
}

#[test]
fn keys_of_records_are_read_as_atproto_reads_them() {
    assert_read("recordkey", [16, 11], |text| {
        RecordKey::parse(text).is_some()
    });
}

#[test]
fn keys_that_tell_a_time_are_read_as_atproto_reads_them() {
    assert_read("tid", [4, 9], |text| Tid::parse(text).is_some());
}
