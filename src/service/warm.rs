//! Translates the texts of the warm file beforehand, as the least urgent work there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Class, Language};
use babelfeed_actors::messages::{NowError, TranslateNow};
use babelfeed_actors::system::Handles;
use log::{info, warn};
use tokio::time::sleep;

/// Texts that are asked for at once; all of them are translated or none.
const CHUNK: usize = 20;
/// How long one chunk may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// How long to wait when nothing new is taken.
const REST: Duration = Duration::from_secs(5);

/// Translates every line of the file into every one of these languages; gives up at no mistake.
pub(super) async fn warm(handles: Handles, file: &Path, targets: &BTreeSet<Language>) {
    let texts = match read(file) {
        Ok(texts) => texts,
        Err(error) => {
            warn!(file:% = file.display(), cause:% = error; "warm file not read");
            return;
        }
    };
    let mut known = 0;
    for chunk in texts.chunks(CHUNK) {
        for target in targets {
            known += translate(&handles, chunk, target).await;
        }
    }
    info!(file:% = file.display(), texts = texts.len(), known = known; "warmed up");
}

fn read(file: &Path) -> std::io::Result<Vec<Arc<str>>> {
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty())
        .map(Arc::from)
        .collect())
}

/// How many of the texts are known afterwards.
async fn translate(handles: &Handles, texts: &[Arc<str>], target: &Language) -> usize {
    loop {
        let wanted = TranslateNow {
            texts: texts.to_vec(),
            source: None,
            target: target.clone(),
            deadline: DEADLINE,
            class: Class::Low,
        };
        match handles.translate_now.send(wanted).await {
            Ok(Ok(translations)) => return translations.len(),
            Ok(Err(NowError::Busy)) => sleep(REST).await,
            Ok(Err(error)) => {
                warn!(language:% = target, cause:% = error; "texts not warmed up");
                return 0;
            }
            // The system has ended, and with it the need.
            Err(_) => return 0,
        }
    }
}
