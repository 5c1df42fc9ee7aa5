//! How many texts a second `fit` reads from a file and answers.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::super::corpus;
use super::super::processes::Process;
use super::super::report::{Row, Target};
use super::{Bench, PATIENCE, rate};

/// The networks that are asked for, one after the other.
const NETWORKS: [&str; 5] = ["x", "mastodon", "bluesky", "telegram", "discord"];

/// How many characters a text has.
const N_CHARACTERS: usize = 1_000;

/// What stands between the sentences, in turn: everything that networks count in their own ways.
const BETWEEN: [&str; 12] = [
    ". https://example.org/news/2026/11/a-long-path?from=feed&n=12 ",
    ". Dice @ana@social.example: ",
    " #Barcelona ",
    " 👨‍👩‍👧‍👦🇪🇸 ",
    ". 今日は海へ行きました。",
    ". Сегодня мы едем к морю. ",
    ", at example.org/shop for 12.50 €, ",
    ". اليوم نذهب إلى البحر. ",
    " @ben.bsky.social ",
    " $TSLA :blobcat: ",
    ".\n\n",
    "; 오늘 바다에 갔어요. ",
];

/// Has `fit` read a file of texts for each network, in one process each.
pub(super) async fn fit(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let n_texts = bench.sizes.n_fitted;
    row.conditions = format!(
        "{n_texts} texts of {N_CHARACTERS} characters in a file, with links, mentions, emoji and \
         five scripts; a process for each network, with its start"
    );
    let folder = bench.data_folder()?;
    let texts = folder.path().join("texts.jsonl");
    fs::write(&texts, lines(n_texts)).context("writing the texts")?;
    let mut all = Duration::ZERO;
    for network in NETWORKS {
        let answers = folder.path().join(network);
        let taken = answered(bench, network, &texts, &answers).await?;
        row.figure(network, rate(n_texts, taken), "texts/s");
        let n_answered = BufReader::new(File::open(&answers)?).lines().count();
        row.count(
            network,
            &[("asked", n_texts), ("answered", n_answered as u64)],
        );
        all += taken;
    }
    row.aimed(
        "texts answered for all five",
        rate(n_texts, all),
        "texts/s",
        Target::AtLeast(2_000.0),
    );
    Ok(())
}

/// Returns how long one process took that wrote its answers to a file.
async fn answered(
    bench: &Bench,
    network: &str,
    texts: &Path,
    answers: &Path,
) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut command = Command::new(&bench.program);
    command
        .args(["--json", "fit", "--network", network, "--file"])
        .arg(texts)
        .stdin(Stdio::null())
        .stdout(File::create(answers)?);
    let status = Process::start(&mut command)?.end_within(PATIENCE).await?;
    anyhow::ensure!(status.success(), "`fit` for {network} ended with {status}");
    Ok(began.elapsed())
}

/// Returns so many texts, a JSON string a line.
fn lines(n_texts: u64) -> String {
    (0..n_texts)
        .map(|n| format!("{}\n", serde_json::Value::from(text(n))))
        .collect()
}

fn text(n: u64) -> String {
    let pieces = (0..).flat_map(|place| {
        let between = (n + place) as usize % BETWEEN.len();
        [corpus::text(n * 16 + place), BETWEEN[between].to_owned()]
    });
    let mut text = String::new();
    let mut n_characters = 0;
    for piece in pieces {
        n_characters += piece.chars().count();
        text.push_str(&piece);
        if n_characters >= N_CHARACTERS {
            break;
        }
    }
    text.chars().take(N_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_another_of_the_same_length() {
        let texts: Vec<String> = (0..50).map(text).collect();
        assert!(texts.iter().all(|it| it.chars().count() == N_CHARACTERS));
        let different: std::collections::BTreeSet<&String> = texts.iter().collect();
        assert_eq!(different.len(), texts.len());
        assert_eq!(lines(3).lines().count(), 3);
    }
}
