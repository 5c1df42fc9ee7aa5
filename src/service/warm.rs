//! Translates the texts of the warm file beforehand, as the least urgent work there is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::Recipient;
use actix_rt::task::spawn_blocking;
use babelfeed_actors::domain::{Class, Language, Pair};
use babelfeed_actors::messages::{NowError, TranslateNow};
use log::{info, warn};
use serde::Deserialize;
use tokio::time::sleep;

use crate::settings::Settings;

/// Texts that are asked for at once; all of them are translated or none.
const CHUNK: usize = 20;
/// Who asks for them.
const FLOW: &str = "warm_file";
/// How long one chunk may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// How long to wait when nothing new is taken, or nothing was translated in time.
const REST: Duration = Duration::from_secs(5);

/// What is translated beforehand.
pub(super) struct WarmUp {
    file: PathBuf,
    /// The language of texts that do not tell theirs.
    source: Option<Language>,
    /// The languages that texts are translated into which do not tell theirs.
    targets: BTreeSet<Language>,
}

/// A text that tells more of itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrase {
    text: String,
    source: Option<String>,
    targets: Option<Vec<String>>,
}

/// The texts of each pair of languages, in the order of the file.
type Texts = BTreeMap<Pair, Vec<Arc<str>>>;

impl WarmUp {
    /// What the settings name, if they name anything.
    ///
    /// A text is known under the language that it came in, so one that does not tell its own is
    /// taken to be in that of the sources, where they have one in common.
    pub(super) fn of(settings: &Settings) -> Option<Self> {
        let file = settings.cache.warm_file.clone()?;
        let mut sources = settings.sources.iter().map(|it| it.language.clone());
        let first = sources.next().flatten();
        let outlets = settings.outlets.iter();
        Some(Self {
            file,
            source: first.filter(|first| sources.all(|other| other.as_ref() == Some(first))),
            targets: outlets.map(|it| it.language.clone()).collect(),
        })
    }

    /// Translates every text of the file that is not known yet; gives up at no mistake.
    ///
    /// What is known costs nothing, so a warm-up that was cut off goes on where it stood.
    pub(super) async fn run(self, translate_now: Recipient<TranslateNow>) {
        let file = self.file.display().to_string();
        let read = spawn_blocking(move || self.read()).await;
        let texts = match read {
            Ok(Ok(texts)) => texts,
            Ok(Err(error)) => {
                warn!(file = file, cause:% = error; "warm file not read");
                return;
            }
            // The process ends.
            Err(_) => return,
        };
        let (mut n_texts, mut n_known) = (0, 0);
        for (pair, texts) in &texts {
            n_texts += texts.len();
            for chunk in texts.chunks(CHUNK) {
                n_known += translate(&translate_now, chunk, pair).await;
            }
        }
        info!(file = file, texts = n_texts, known = n_known; "warmed up");
    }

    fn read(&self) -> std::io::Result<Texts> {
        let text = std::fs::read_to_string(&self.file)?;
        let mut texts = Texts::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            match self.phrase(line) {
                Ok((text, pairs)) => {
                    for pair in pairs {
                        texts.entry(pair).or_default().push(Arc::clone(&text));
                    }
                }
                Err(error) => {
                    let place = format!("{}:{}", self.file.display(), index + 1);
                    warn!(place = place, cause = error; "a text is not warmed up");
                }
            }
        }
        Ok(texts)
    }

    /// A line with the pairs of languages that it is for.
    fn phrase(&self, line: &str) -> Result<(Arc<str>, Vec<Pair>), String> {
        if !line.starts_with('{') {
            return Ok((line.into(), self.pairs(self.source.clone(), &self.targets)));
        }
        let phrase: Phrase = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let language = |tag: &String| {
            let parsed: Result<Language, _> = tag.parse();
            parsed.map_err(|error| error.to_string())
        };
        let source = phrase.source.as_ref().map(language).transpose()?;
        let targets = match &phrase.targets {
            Some(tags) => tags.iter().map(language).collect::<Result<_, _>>()?,
            None => self.targets.clone(),
        };
        let source = source.or_else(|| self.source.clone());
        Ok((phrase.text.into(), self.pairs(source, &targets)))
    }

    fn pairs(&self, source: Option<Language>, targets: &BTreeSet<Language>) -> Vec<Pair> {
        let pair = |target: &Language| Pair {
            source: source.clone(),
            target: target.clone(),
        };
        targets.iter().map(pair).collect()
    }
}

/// How many of the texts are known afterwards; one that is refused keeps no other from it.
async fn translate(
    translate_now: &Recipient<TranslateNow>,
    texts: &[Arc<str>],
    pair: &Pair,
) -> usize {
    let mut texts = texts.to_vec();
    while !texts.is_empty() {
        let wanted = TranslateNow {
            texts: texts.clone().into(),
            source: pair.source.clone(),
            target: pair.target.clone(),
            deadline: DEADLINE,
            class: Class::Low,
            flow: FLOW.into(),
        };
        match translate_now.send(wanted).await {
            Ok(Ok(translations)) => return translations.len(),
            Ok(Err(NowError::Refused { index, .. })) if index < texts.len() => {
                texts.remove(index);
            }
            // What was finished in time is known, so each try has less to do.
            Ok(Err(NowError::Busy | NowError::Expired)) => sleep(REST).await,
            Ok(Err(error)) => {
                warn!(languages:% = pair, cause:% = error; "texts not warmed up");
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
    use babelfeed_actors::messages::AskedTexts;

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
            let AskedTexts::Plain(texts) = now.texts else {
                panic!("texts to warm up with were looked up before");
            };
            MessageResult(match texts.iter().position(|text| &**text == "bad") {
                Some(index) => Err(NowError::Refused {
                    index,
                    failure: failure(),
                }),
                None => Ok(texts.into_iter().map(translation).collect()),
            })
        }
    }

    #[actix_rt::test]
    async fn a_text_that_is_refused_keeps_no_other_from_being_known() {
        let fussy = Fussy.start().recipient();
        let texts = ["one", "bad", "two"].map(Arc::from);
        let pair = pair(None, "es");
        assert_eq!(translate(&fussy, &texts, &pair).await, 2);
    }

    fn tag(tag: &str) -> Language {
        tag.parse().expect("a tag")
    }

    fn pair(source: Option<&str>, target: &str) -> Pair {
        Pair {
            source: source.map(tag),
            target: tag(target),
        }
    }

    #[test]
    fn a_line_tells_its_languages_or_takes_those_of_the_settings() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("warm.txt");
        let lines = "Good morning\n\n{\"text\": \"Moin\", \"source\": \"de\", \"targets\": [\"fr\"]}\n\
            {\"text\": \"Bye\"}\n{\"words\": 1}\n{\"text\": \"x\", \"targets\": [\"!\"]}\n";
        std::fs::write(&file, lines).expect("written");
        let warm_up = WarmUp {
            file,
            source: Some(tag("en")),
            targets: ["es", "fr"].map(tag).into(),
        };

        let texts = warm_up.read().expect("readable");

        let known = |pair: &Pair| texts.get(pair).map(|texts| texts.join(", "));
        assert_eq!(texts.len(), 3, "{texts:?}");
        for target in ["es", "fr"] {
            let both = known(&pair(Some("en"), target));
            assert_eq!(both.as_deref(), Some("Good morning, Bye"));
        }
        assert_eq!(known(&pair(Some("de"), "fr")).as_deref(), Some("Moin"));
    }
}
