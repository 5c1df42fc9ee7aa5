//! The layers: nobody imports from a later one than their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The layers of the actor system, the first one first; what shares a line imports none of it.
const ACTORS: &[&[&str]] = &[
    &["domain"],
    &["logic"],
    &["ports"],
    &["setup", "messages", "failpoints"],
    &["supervision"],
    &[
        "batcher",
        "cache",
        "metrics",
        "monitor",
        "publisher",
        "rate_limiter",
        "task_manager",
        "translator",
    ],
    &["system"],
    &["testkit"],
];

/// The layers of the service; the options of the command line are values that others read, and
/// the figures of the process are shown by control, so both stand before their modules.
const SERVICE: &[&[&str]] = &[
    &["cli::options"],
    &["secret"],
    &["disk"],
    &["html"],
    &["http"],
    &["atproto", "x"],
    &["sources", "providers", "outlets", "stores"],
    &["settings"],
    &["telemetry::process"],
    &["control"],
    &["telemetry"],
    &["service"],
    &["benchmark"],
    &["cli"],
];

#[test]
fn the_actors_import_no_later_layer() {
    assert_layers("actors/src", ACTORS);
}

#[test]
fn the_service_imports_no_later_layer() {
    assert_layers("src", SERVICE);
}

#[test]
fn nouns_and_rules_know_nothing_of_actors() {
    for layer in ["domain", "logic"] {
        for (path, code) in files(layer_files("actors/src", layer)) {
            let words = words(&without_comments(&code));
            let actix = words.iter().any(|word| word.starts_with("actix"));
            assert!(!actix, "{} speaks of actix", path.display());
        }
    }
}

/// Asserts that no file imports from a layer that is not before its own.
fn assert_layers(source: &str, layers: &[&[&str]]) {
    let (mut n_files, mut broken) = (0, Vec::new());
    for (rank, names) in layers.iter().enumerate() {
        for name in *names {
            for (path, code) in files(own_files(source, name, layers)) {
                n_files += 1;
                for import in imports(&code) {
                    let imported = layer_of(layers, &import);
                    let is_broken =
                        |(other, module): (usize, &str)| module != *name && other >= rank;
                    if imported.is_some_and(is_broken) {
                        broken.push(format!("{} imports {import}", path.display()));
                    }
                }
            }
        }
    }
    assert!(n_files > 10, "no files were found below {source}");
    assert!(broken.is_empty(), "{broken:#?}");
    let listed = |name: &str| rank_of(layers, name).is_some() || matches!(name, "lib" | "main");
    let unlisted: Vec<String> = modules(source)
        .into_iter()
        .filter(|name| !listed(name))
        .collect();
    assert!(unlisted.is_empty(), "in no layer: {unlisted:?}");
}

/// The place of a path's layer: of the path itself where that is listed, else of its module.
fn rank_of(layers: &[&[&str]], path: &str) -> Option<usize> {
    layer_of(layers, path).map(|(rank, _)| rank)
}

fn layer_of<'a>(layers: &[&[&'a str]], path: &str) -> Option<(usize, &'a str)> {
    let module = path.split("::").next().unwrap_or(path);
    let find = |wanted: &str| {
        let ranked = layers.iter().enumerate();
        let mut all = ranked.flat_map(|(rank, names)| names.iter().map(move |name| (rank, *name)));
        all.find(|(_, name)| *name == wanted)
    };
    find(path).or_else(|| find(module))
}

/// The names of the modules of a crate.
fn modules(source: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join(source)).expect("the sources can be read");
    entries
        .map(|entry| entry.expect("an entry can be read").path())
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a layer, without those of another one that stands in its folder.
fn own_files(source: &str, name: &str, layers: &[&[&str]]) -> Vec<PathBuf> {
    let mut found = layer_files(source, name);
    let prefix = format!("{name}::");
    let inner = layers.iter().copied().flatten();
    for inner in inner.filter(|other| other.starts_with(&prefix)) {
        let others = layer_files(source, inner);
        found.retain(|path| !others.contains(path));
    }
    found
}

/// The files of a module: its own, and all in its folder.
fn layer_files(source: &str, name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let name = name.replace("::", "/");
    let file = root().join(source).join(format!("{name}.rs"));
    if file.exists() {
        found.push(file);
    }
    collect(&root().join(source).join(&name), &mut found);
    found
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn files(paths: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let read = |path: PathBuf| {
        let code = std::fs::read_to_string(&path).expect("a source is text");
        (path, code)
    };
    paths.into_iter().map(read).collect()
}

/// The modules of its own crate that code names, in `use`, grouped and inline: each with the
/// name behind it, like `cli::options`, where there is one.
fn imports(code: &str) -> BTreeSet<String> {
    let words = words(&without_tests(&without_comments(code)));
    let mut found = BTreeSet::new();
    for (at, pair) in words.windows(2).enumerate() {
        if pair[0] == "crate" && pair[1] == "::" {
            read_paths(&words[at + 2..], "", &mut found);
        }
    }
    found
}

/// Reads one path, or a group of paths, to two names deep; returns how many words it took.
fn read_paths(words: &[String], before: &str, found: &mut BTreeSet<String>) -> usize {
    let Some(first) = words.first() else {
        return 0;
    };
    if first != "{" {
        let path = format!("{before}{first}");
        if before.is_empty() && words.get(1).is_some_and(|word| word == "::") {
            return 2 + read_paths(&words[2..], &format!("{path}::"), found);
        }
        found.insert(path);
        return 1;
    }
    let (mut at, mut depth, mut is_first) = (1, 0, true);
    while let Some(word) = words.get(at) {
        match word.as_str() {
            "{" if !is_first => depth += 1,
            "}" if depth == 0 => return at + 1,
            "}" => depth -= 1,
            "," if depth == 0 => is_first = true,
            _ if depth == 0 && is_first => {
                is_first = false;
                at += read_paths(&words[at..], before, found);
                continue;
            }
            _ => (),
        }
        at += 1;
    }
    at
}

/// Code without what tests add to it, which may use everything.
fn without_tests(code: &str) -> String {
    let tests = code.find("#[cfg(test)]\nmod tests {");
    tests.map_or(code, |start| &code[..start]).to_owned()
}

fn without_comments(code: &str) -> String {
    let lines = code.lines();
    let stripped: Vec<&str> = lines
        .map(|line| match line.trim_start().starts_with("//") {
            true => "",
            false => line,
        })
        .collect();
    stripped.join("\n")
}

/// Names, and the signs that paths are made of.
fn words(code: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (word, behind) = rest.split_at(length);
        if !word.trim().is_empty() {
            words.push(word.to_owned());
        }
        rest = behind;
    }
    words
}

#[test]
fn every_form_of_import_is_seen() {
    let forms = [
        ("use crate::system::Handles;", "system"),
        ("use crate::system;", "system"),
        ("pub(crate) use crate::system::start as begin;", "system"),
        ("use crate::{domain::Task, system::Handles};", "system"),
        (
            "use crate::{\n    domain::{Class, Task},\n    system,\n};",
            "system",
        ),
        (
            "use crate::{domain::{logic::{self}, Task}, system};",
            "system",
        ),
        ("fn f() -> crate::system::Handles { todo() }", "system"),
        ("let made = crate :: system :: start(setup);", "system"),
        ("impl From<crate::system::System> for X {}", "system"),
    ];
    for (code, expected) in forms {
        let is_seen = |import: &String| import.split("::").next() == Some(expected);
        assert!(imports(code).iter().any(is_seen), "{code}");
    }
}

#[test]
fn what_is_no_import_is_not_seen() {
    let others = [
        "// use crate::system::Handles;",
        "/// Like [`crate::system::start`].",
        "use other::system::Handles;",
        "use crate::{domain::{system, Task}};",
        "use super::system;",
        "#[cfg(test)]\nmod tests {\n    use crate::system::Handles;\n}",
    ];
    for code in others {
        let is_seen = |import: &String| import.split("::").next() == Some("system");
        assert!(!imports(code).iter().any(is_seen), "{code}");
    }
}

#[test]
fn a_layer_inside_a_module_is_told_from_the_module() {
    let layers: &[&[&str]] = &[&["cli::options"], &["service"], &["cli"]];
    let ranks = |code: &str| -> Vec<Option<usize>> {
        let imports = imports(code);
        imports
            .iter()
            .map(|import| rank_of(layers, import))
            .collect()
    };
    assert_eq!(ranks("use crate::cli::options::Exit;"), [Some(0)]);
    assert_eq!(
        ranks("use crate::cli::{options::{Exit, X}, run};"),
        [Some(0), Some(2)]
    );
    assert_eq!(ranks("crate::cli::run()"), [Some(2)]);
}
