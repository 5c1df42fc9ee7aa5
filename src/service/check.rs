//! `check`: tries every credential, and says what each source would publish, and what that would
//! cost; publishes nothing.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use babelfeed_actors::domain::{Language, Pair, Post};
use babelfeed_actors::logic::fit::Limit;
use babelfeed_actors::logic::price::usd;
use babelfeed_actors::ports::{Answer, Item, Outlet, OutletError, Pack, Polled, ProviderError};
use serde::Serialize;
use tokio::time::timeout;

use super::forecast::{Charge, Fits, Forecast, Taker, Texts};
use super::rehearsal::rehearse;
use super::{Start, build, load};
use crate::cli::options::{CheckOptions, Exit};
use crate::control::wire;
use crate::http::install_tls;
use crate::settings::{OutletSettings, ProviderSettings, Settings, SourceSettings};
use crate::telemetry::log::install;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Posts that are asked of a source.
const POSTS: usize = 1_000;
/// The text that providers are tried with: one word costs next to nothing.
const WORD: &str = "Hello";
/// The text that is shown translated.
const SENTENCE: &str = "Good news travels slowly, but it travels.";

/// What was found out.
#[derive(Debug, Serialize)]
struct Findings {
    sources: Vec<SourceFinding>,
    providers: Vec<Finding>,
    outlets: Vec<OutletFinding>,
    /// What would be published where.
    forecast: Vec<Forecast>,
    /// What providers would charge for translating it.
    charges: Vec<Charge>,
    /// Why that is not the whole of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    forecast_error: Option<String>,
}

#[derive(Debug, Serialize)]
struct SourceFinding {
    name: String,
    /// Posts that it shows now.
    posts: usize,
    /// Posts that would be taken at first sight.
    taken: usize,
    /// Outlets that each of them would be published at.
    outlets: Vec<String>,
    /// What this look was charged, in US dollars.
    cost_usd: f64,
    /// Posts that a run would read at first sight beyond these, at most.
    unread: usize,
    /// What it would be charged for them, in US dollars, at most.
    unread_usd: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Those that would be taken.
    #[serde(skip)]
    found: Vec<Post>,
}

#[derive(Debug, Serialize)]
struct Finding {
    name: String,
    /// What the attempt was charged, in US dollars, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// What was found out of an outlet.
#[derive(Debug, Serialize)]
struct OutletFinding {
    #[serde(flatten)]
    tried: Finding,
    /// The most that a part may measure there.
    #[serde(flatten)]
    limit: Option<wire::Limit>,
}

/// Reads the settings, tries every credential, and says what each source would publish, and what
/// that would cost.
///
/// # Errors
/// When the settings make no sense.
pub fn check(options: &CheckOptions, start: Start) -> anyhow::Result<Exit> {
    let mut settings = load(&options.global)?;
    settings.only_look();
    install(settings.service.log_format);
    install_tls();
    build::warn_of_idle(&settings);
    let text = if options.translate { SENTENCE } else { WORD };
    let findings = actix_rt::System::new().block_on(async {
        let mut findings = look(&settings, text).await?;
        // Where something fails, posts would wait for it.
        if options.translate && findings.is_clean() {
            let rehearsed = rehearse(&settings, start).await?;
            findings.forecast = rehearsed.forecasts;
            findings.charges = rehearsed.charges;
            findings.forecast_error = (!rehearsed.is_whole)
                .then(|| "not everything was translated, the log says why".to_owned());
        }
        anyhow::Ok(findings)
    })?;
    if options.global.json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        print!("{findings}");
    }
    Ok(if findings.is_clean() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn look(settings: &Settings, text: &str) -> anyhow::Result<Findings> {
    let mut findings = Findings {
        sources: Vec::new(),
        providers: Vec::new(),
        outlets: Vec::new(),
        forecast: Vec::new(),
        charges: Vec::new(),
        forecast_error: None,
    };
    for source in &settings.sources {
        findings.sources.push(try_source(source, settings).await?);
    }
    for provider in &settings.providers {
        findings
            .providers
            .push(try_provider(provider, settings, text).await?);
    }
    let mut texts = Texts::new(settings);
    for outlet in &settings.outlets {
        let (finding, works) = try_outlet(outlet, settings).await?;
        let taker = works.as_ref().map(|(adapter, limit)| Taker {
            settings,
            outlet,
            adapter: &**adapter,
            limit: *limit,
        });
        let sources = findings.sources.iter();
        let shown = sources.filter(|it| !it.found.is_empty() && takes(outlet, &it.name));
        for source in shown {
            for post in &source.found {
                let fits = taker.as_ref().map_or(Fits::Perhaps, |it| it.fits(post));
                texts.add(outlet, post, fits);
            }
            let forecast = taker
                .as_ref()
                .map(|it| it.forecast(&source.name, &source.found));
            findings.forecast.extend(forecast);
        }
        findings.outlets.push(finding);
    }
    findings.charges = texts.charges();
    Ok(findings)
}

async fn try_source(source: &SourceSettings, settings: &Settings) -> anyhow::Result<SourceFinding> {
    let adapter = build::source(source, settings)?;
    let polled = timeout(PATIENCE, adapter.poll(None, POSTS)).await;
    let (polled, error) = match polled {
        Ok(Ok(polled)) => (polled, None),
        Ok(Err(error)) => (Polled::default(), Some(error.to_string())),
        Err(_) => {
            let error = format!("no answer within {PATIENCE:?}");
            (Polled::default(), Some(error))
        }
    };
    let Polled { posts, unread, .. } = polled;
    let filter = &source.rules.filter;
    let n_posts = posts.len();
    let n_old = n_posts.saturating_sub(source.backfill.unwrap_or(n_posts));
    let newest = posts.into_iter().skip(n_old);
    let found: Vec<Post> = newest
        .filter(|post| post.shows_something() && filter.refusal(post).is_none())
        .collect();
    let name = source.name.as_str();
    let takers = settings.outlets.iter().filter(|it| takes(it, name));
    Ok(SourceFinding {
        name: name.to_owned(),
        posts: n_posts,
        taken: found.len(),
        outlets: takers.map(|outlet| outlet.name.to_string()).collect(),
        cost_usd: adapter.charged(),
        unread: unread.posts,
        unread_usd: unread.usd,
        error,
        found,
    })
}

/// Whether an outlet receives what that source shows.
fn takes(outlet: &OutletSettings, source: &str) -> bool {
    let from = outlet.from.as_ref();
    from.is_none_or(|names| names.iter().any(|name| &**name == source))
}

async fn try_provider(
    provider: &ProviderSettings,
    settings: &Settings,
    text: &str,
) -> anyhow::Result<Finding> {
    let adapter = build::provider(provider, settings)?;
    let pair = pair(settings);
    let pack = Pack {
        max_tokens: None,
        guide: settings.translation.glossary.guide(&pair).cloned(),
        pair,
        items: vec![Item {
            id: "1".into(),
            text: text.into(),
            context: None,
        }],
    };
    let wait = settings.translation.timeout.min(PATIENCE);
    let answered = adapter.translate(&pack, wait).await;
    let answer = answered.as_ref().ok();
    let usage = answer.and_then(|answer| answer.usage);
    let cost_usd = usage.map(|usage| usd(usage.tokens(), provider.price));
    let (note, error) = match &answered {
        Ok(answer) => (translated(&pack, answer), None),
        // It answered, and knew the credential: the languages are another matter.
        Err(ProviderError::Unsupported { detail }) => (Some(detail.clone()), None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Finding {
        name: provider.name.to_string(),
        cost_usd,
        note,
        error,
    })
}

/// From English into the first language that is published.
fn pair(settings: &Settings) -> Pair {
    let english: Language = "en".parse().expect("`en` is a language tag");
    let spanish: Language = "es".parse().expect("`es` is a language tag");
    let mut targets = settings.outlets.iter().map(|outlet| &outlet.language);
    let target = targets.find(|target| target.primary() != "en");
    Pair {
        source: Some(english),
        target: target.cloned().unwrap_or(spanish),
    }
}

fn translated(pack: &Pack, answer: &Answer) -> Option<String> {
    let item = answer.items.first()?;
    Some(format!("{}: {}", pack.pair, item.text))
}

/// What was found out of an outlet; where it works, also the outlet and what it takes.
async fn try_outlet(
    outlet: &OutletSettings,
    settings: &Settings,
) -> anyhow::Result<(OutletFinding, Option<(Rc<dyn Outlet>, Limit)>)> {
    let adapter = build::outlet(outlet, settings)?;
    let probed = async {
        let note = adapter.probe().await?;
        Ok((note, adapter.limit().await?))
    };
    let probed: Result<_, OutletError> = match timeout(PATIENCE, probed).await {
        Ok(probed) => probed,
        Err(_) => Err(OutletError::Unreachable {
            detail: format!("no answer within {PATIENCE:?}"),
        }),
    };
    let (note, error, limit) = match probed {
        Ok((note, limit)) => (note, None, Some(limit)),
        Err(error) => (None, Some(error.to_string()), None),
    };
    let charged = adapter.charged();
    let tried = Finding {
        name: outlet.name.to_string(),
        cost_usd: (charged > 0.0).then_some(charged),
        note,
        error,
    };
    let finding = OutletFinding {
        tried,
        limit: limit.and_then(wire::Limit::of),
    };
    Ok((finding, limit.map(|limit| (adapter, limit))))
}

impl Findings {
    fn is_clean(&self) -> bool {
        self.sources.iter().all(|it| it.error.is_none())
            && self.providers.iter().all(|it| it.error.is_none())
            && self.outlets.iter().all(|it| it.tried.error.is_none())
            && self.forecast_error.is_none()
    }
}

impl fmt::Display for Findings {
    /// A line for each source, provider and outlet.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for it in &self.sources {
            writeln!(f, "{it}")?;
        }
        for it in &self.providers {
            writeln!(f, "provider {it}")?;
        }
        for it in &self.outlets {
            write!(f, "outlet {}", it.tried)?;
            if let Some(limit) = &it.limit {
                write!(f, "; {limit}")?;
            }
            match it.tried.cost_usd {
                Some(cost) => writeln!(f, "; this look cost ${cost:.3}")?,
                None => writeln!(f)?,
            }
        }
        for it in &self.forecast {
            writeln!(f, "{it}")?;
        }
        for it in &self.charges {
            writeln!(f, "{it}")?;
        }
        if let Some(error) = &self.forecast_error {
            writeln!(f, "forecast: failed: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.error, &self.note) {
            (Some(error), _) => write!(f, "{}: failed: {error}", self.name),
            (None, Some(note)) => write!(f, "{}: works, {note}", self.name),
            (None, None) => write!(f, "{}: works", self.name),
        }
    }
}

impl fmt::Display for SourceFinding {
    /// What it shows, and what that cost.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: ", self.name)?;
        match &self.error {
            Some(error) => write!(f, "failed: {error}")?,
            None => write!(
                f,
                "shows {} posts, takes {} at first sight, publishes each at {}",
                self.posts,
                self.taken,
                named(&self.outlets)
            )?,
        }
        if self.cost_usd > 0.0 {
            write!(f, "; this look cost ${:.3}", self.cost_usd)?;
        }
        if self.unread > 0 {
            let (posts, usd) = (self.unread, self.unread_usd);
            write!(
                f,
                "; a run reads up to {posts} more at first sight, for up to ${usd:.3}, of which nothing is forecast"
            )?;
        }
        Ok(())
    }
}

fn named(outlets: &[String]) -> String {
    if outlets.is_empty() {
        "no outlet".to_owned()
    } else {
        outlets.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::GlobalOptions;
    use std::fs;
    use std::net::TcpListener;

    async fn found(folder: &std::path::Path, more: &str) -> Findings {
        let text = format!(
            "[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\n\
             [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n\
             [[outlet]]\nname = \"fr\"\nkind = \"file\"\npath = \"fr.jsonl\"\nlanguage = \"fr\"\n\
             from = [\"requests\"]\n{more}"
        );
        let file = folder.join("Settings.toml");
        fs::write(&file, text).expect("written");
        let options = GlobalOptions {
            settings: Some(file),
            ..GlobalOptions::default()
        };
        let settings = Settings::load(&options).expect("valid");
        look(&settings, WORD).await.expect("looked")
    }

    #[actix_rt::test]
    async fn what_a_source_would_publish_is_told_and_nothing_is_published() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("notes.txt"), "one\ntwo\n").expect("written");
        let findings = found(folder.path(), "").await;
        assert!(findings.is_clean(), "{findings}");
        assert_eq!(
            findings.to_string(),
            "source notes: shows 2 posts, takes 2 at first sight, publishes each at es\n\
             outlet es: works\noutlet fr: works\n\
             forecast es: 2 posts of notes, 2 parts, free\n"
        );
        assert!(!folder.path().join("es.jsonl").exists());
        assert!(!folder.path().join("data").exists());
    }

    #[actix_rt::test]
    async fn a_provider_that_does_not_answer_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("notes.txt"), "one\n").expect("written");
        // Bound and given back, so that nobody listens there.
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|it| it.local_addr())
            .expect("a port")
            .port();
        let provider = format!(
            "[[provider]]\nname = \"local\"\nkind = \"libretranslate\"\n\
             base_url = \"http://127.0.0.1:{port}\"\n"
        );
        let findings = found(folder.path(), &provider).await;
        assert!(!findings.is_clean());
        assert!(findings.to_string().contains("provider local: failed:"));
    }
}
