//! That the tour in the README tells the truth of what a check says, and of one post on three networks.

use std::path::Path;

use crate::apertium::shared;
use crate::harness::Program;

const LANGUAGES: [&str; 5] = ["en", "es", "ca", "gl", "eo"];
const NETWORKS: [&str; 3] = ["x", "mastodon", "bluesky"];

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(path).expect("a README")
}

/// What the README shows behind the end of what is typed.
fn shown<'a>(readme: &'a str, typed: &str) -> Vec<&'a str> {
    let (_, behind) = readme.split_once(&format!("{typed}\n")).expect(typed);
    let lines = behind.lines();
    let shown = lines.take_while(|line| !line.starts_with("$ ") && !line.starts_with("```"));
    shown.collect()
}

#[test]
fn one_post_in_five_languages_fits_three_networks_as_the_readme_shows() {
    let readme = readme();
    let (_, behind) = readme.split_once("$ post='").expect("a post");
    let (post, behind) = behind.split_once("'\n").expect("its end");
    assert!(
        behind.contains("$ babelfeed stop;"),
        "the service and its translator have ended before they are asked"
    );
    let (base_url, _own) = shared();
    let program = Program::started(&format!(
        "[[provider]]\nname = \"apertium\"\nkind = \"apertium\"\nbase_url = \"{base_url}\"\n"
    ));
    let translated = |language: &str| {
        let said = program.run(&["translate", post, "--from", "en", "--to", language]);
        said.well().trim_end().to_owned()
    };
    let fit = |network: &str, text: &str| program.run(&["fit", "--network", network, text]).well();

    let (mut counted, mut whole) = (Vec::new(), String::new());
    for language in LANGUAGES {
        let text = match language {
            "en" => post.to_owned(),
            other => translated(other),
        };
        for network in NETWORKS {
            let fit = fit(network, &text);
            let first = fit.lines().next().unwrap_or_default();
            counted.push(format!("{language} {network}: {first}"));
            if language == "es" {
                whole.push_str(&fit);
            }
        }
    }

    assert_eq!(counted, shown(behind, "\n  done"));
    let typed = "do babelfeed fit --network $network \"$spanish\"; done";
    assert_eq!(whole.lines().collect::<Vec<_>>(), shown(behind, typed));
}

#[test]
fn a_check_says_what_the_readme_shows() {
    let readme = readme();
    let between = |begin: &str, end: &str| {
        let (_, behind) = readme.split_once(begin).expect(begin);
        behind.split_once(end).expect(end).0.to_owned()
    };
    let (base_url, _own) = shared();
    let settings = between("$ cat > Settings.toml <<END\n", "END\n");
    let program = Program::new(&settings.replace("$apertium_url", &base_url));
    let note = between("$ echo '", "' > notes.txt") + "\n";
    program.write("notes.txt", &note);
    let said = program.run(&["check"]).well();
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        shown(&readme, "$ babelfeed check")
    );
}
