//! What a file outlet does after crashes, and where others work on its file.

use std::fs::{self, File};
use std::io::Write;

use babelfeed::outlets::file::FileOutlet;
use babelfeed_actors::ports::{Outlet, OutletError, ReadBack};

use super::{Lines, Stage, dispatch, frozen, publication, settle};

#[actix_rt::test]
async fn a_torn_line_is_cut_and_written_again() {
    let lines = Lines::new();
    let (one, two) = (publication(1, &["uno"]), publication(2, &["dos"]));
    let first = frozen(&lines.outlet, vec![dispatch(&one, 0)]).await;
    settle(&lines.outlet, &first[0]).await;
    let second = frozen(&lines.outlet, vec![dispatch(&two, 0)]).await;
    for n_bytes in 1..second[0].bytes.len() {
        let whole = fs::read(&lines.path).expect("reads");
        let mut file = File::options()
            .append(true)
            .open(&lines.path)
            .expect("opens");
        file.write_all(&second[0].bytes[..n_bytes]).expect("writes");
        let restarted = FileOutlet::new(&lines.path);
        let fate = restarted.read_back(&second[0]).await.expect("reads back");
        assert_eq!(fate, ReadBack::Absent);
        assert_eq!(fs::read(&lines.path).expect("reads"), whole);
    }
    let mut file = File::options()
        .append(true)
        .open(&lines.path)
        .expect("opens");
    file.write_all(&second[0].bytes[..20]).expect("writes");
    lines
        .outlet
        .publish(&second)
        .await
        .remove(0)
        .expect("publishes");
    assert_eq!(lines.n_standing(&one), 1);
    assert_eq!(lines.n_standing(&two), 1);
}

#[actix_rt::test]
async fn a_key_is_found_after_a_restart_wherever_the_mark_points() {
    let lines = Lines::new();
    let one = publication(1, &["uno"]);
    let mut parts = frozen(&lines.outlet, vec![dispatch(&one, 0)]).await;
    settle(&lines.outlet, &parts[0]).await;
    for mark in [0, 1, 17, 1 << 40] {
        parts[0].mark = mark;
        let restarted = FileOutlet::new(&lines.path);
        let fate = restarted.read_back(&parts[0]).await.expect("reads back");
        assert!(matches!(fate, ReadBack::Found(_)), "{mark}");
    }
}

#[actix_rt::test]
async fn a_file_that_was_moved_away_is_begun_anew() {
    let lines = Lines::new();
    let (one, two) = (publication(1, &["uno"]), publication(2, &["dos"]));
    let first = frozen(&lines.outlet, vec![dispatch(&one, 0)]).await;
    settle(&lines.outlet, &first[0]).await;
    let second = frozen(&lines.outlet, vec![dispatch(&two, 0)]).await;
    fs::rename(&lines.path, lines.path.with_extension("old")).expect("moves");
    lines
        .outlet
        .publish(&second)
        .await
        .remove(0)
        .expect("publishes");
    settle(&lines.outlet, &second[0]).await;
    assert_eq!(lines.n_standing(&two), 1);
    assert_eq!(lines.n_standing(&one), 0);
}

#[actix_rt::test]
async fn what_cannot_be_cut_back_is_not_called_unsent() {
    let outlet = FileOutlet::new("/dev/full");
    let one = publication(1, &["uno"]);
    let parts = frozen(&outlet, vec![dispatch(&one, 0)]).await;
    let answer = outlet.publish(&parts).await.remove(0);
    assert!(matches!(answer, Err(OutletError::Ambiguous { .. })));
}

#[actix_rt::test]
async fn a_file_that_cannot_be_opened_was_not_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let one = publication(1, &["uno"]);
    let outlet = FileOutlet::new(folder.path().join("es.jsonl"));
    let parts = frozen(&outlet, vec![dispatch(&one, 0)]).await;
    fs::create_dir(folder.path().join("es.jsonl")).expect("a folder");
    let answer = outlet.publish(&parts).await.remove(0);
    assert!(matches!(answer, Err(OutletError::Unreachable { .. })));
}
