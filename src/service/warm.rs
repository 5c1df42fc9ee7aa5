//! Translates the texts of the warm file beforehand, as the least urgent work there is.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
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
            known += translate(&handles.translate_now, chunk, target).await;
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

/// How many of the texts are known afterwards; one that is refused keeps no other from it.
async fn translate(
    translate_now: &Recipient<TranslateNow>,
    texts: &[Arc<str>],
    target: &Language,
) -> usize {
    let mut texts = texts.to_vec();
    while !texts.is_empty() {
        let wanted = TranslateNow {
            texts: texts.clone(),
            source: None,
            target: target.clone(),
            deadline: DEADLINE,
            class: Class::Low,
        };
        match translate_now.send(wanted).await {
            Ok(Ok(translations)) => return translations.len(),
            Ok(Err(NowError::Refused { index, .. })) if index < texts.len() => {
                texts.remove(index);
            }
            Ok(Err(NowError::Busy)) => sleep(REST).await,
            Ok(Err(error)) => {
                warn!(language:% = target, cause:% = error; "texts not warmed up");
                return 0;
            }
            // The system has ended, and with it the need.
            Err(_) => return 0,
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Actor, Context, Handler, MessageResult};
    use babelfeed_actors::domain::{Failure, FailureKind, Translation, Usage};

    /// Refuses the text `bad`, and all that come with it.
    struct Fussy;

    impl Actor for Fussy {
        type Context = Context<Self>;
    }

    impl Handler<TranslateNow> for Fussy {
        type Result = MessageResult<TranslateNow>;

        fn handle(&mut self, now: TranslateNow, _: &mut Context<Self>) -> Self::Result {
            let failure = || Failure {
                kind: FailureKind::Rejected,
                detail: "bad".into(),
            };
            let translation = |text| Translation {
                text,
                provider: "fussy".into(),
                model: "m".into(),
                cached: false,
                usage: Usage::default(),
            };
            MessageResult(match now.texts.iter().position(|text| &**text == "bad") {
                Some(index) => Err(NowError::Refused {
                    index,
                    failure: failure(),
                }),
                None => Ok(now.texts.into_iter().map(translation).collect()),
            })
        }
    }

    #[actix_rt::test]
    async fn a_text_that_is_refused_keeps_no_other_from_being_known() {
        let fussy = Fussy.start().recipient();
        let texts = ["one", "bad", "two"].map(Arc::from);
        let target = "es".parse().expect("a tag");
        assert_eq!(translate(&fussy, &texts, &target).await, 2);
    }
}
