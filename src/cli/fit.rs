//! `fit`: how a network counts a text, and the parts that would be published of it.

use std::path::PathBuf;
use std::sync::Arc;

use babelfeed_actors::logic::compose::{Origin, Style};
use babelfeed_actors::logic::fit::{self, Limit};
use babelfeed_actors::logic::spans::protect;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::client::Client;
use super::input::{Input, Line};
use super::options::{Exit, ExitError, GlobalOptions};
use super::{complain, say, say_json, socket_path};
use crate::control::wire::Status;
use crate::settings::{OutletKind, OutletSettings, Settings};

/// What `fit` is told.
#[derive(Args, Debug)]
pub(super) struct FitOptions {
    /// The network whose rules count
    #[arg(long, required_unless_present = "outlet", conflicts_with = "outlet")]
    network: Option<Network>,
    /// The outlet of the settings whose rules count: also what it puts below, how it numbers parts, and what it makes of mentions
    #[arg(long, value_name = "NAME")]
    outlet: Option<String>,
    /// The address of the original, for `--outlet`
    #[arg(long, requires = "outlet")]
    url: Option<String>,
    /// Who wrote it, for `--outlet`
    #[arg(long, requires = "outlet")]
    author: Option<String>,
    /// The most that a part may measure; what the network allows if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max: Option<u32>,
    /// The text
    #[arg(conflicts_with = "file", required_unless_present = "file")]
    text: Option<String>,
    /// A text a line, or JSON strings for `.jsonl`; `-` is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Network {
    X,
    Mastodon,
    Bluesky,
    Telegram,
    Discord,
}

/// How a text measures.
#[derive(Debug, Serialize)]
struct Fitted {
    length: usize,
    /// None where anything fits.
    max: Option<usize>,
    fits: bool,
    spans: Vec<Piece>,
    parts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A protected span.
#[derive(Debug, Serialize)]
struct Piece {
    kind: &'static str,
    text: String,
}

/// By whose rules texts are fitted.
enum Rules<'a> {
    /// A network's, and no more.
    Network(Limit),
    /// An outlet's, as its publisher goes by them.
    Outlet(Limit, &'a Style, Origin<'a>),
}

/// Tells of each text how it fits; one that cannot be split, or read, is told on standard error,
/// and in JSON has its object all the same.
pub(super) fn fit(
    options: &FitOptions,
    global: &GlobalOptions,
    json: bool,
) -> anyhow::Result<Exit> {
    let input = Input::new(options.text.as_deref(), options.file.as_deref())?;
    let outlet = options.outlet.as_deref();
    let outlet = outlet.map(|name| outlet_of(name, global)).transpose()?;
    let limit = match &outlet {
        Some(outlet) => Some(limit_at(outlet, options.max, global)?),
        None => None,
    };
    let rules = options.rules(outlet.as_ref().zip(limit))?;
    let mut exit = Exit::Done;
    for line in input.lines()? {
        let line = line?;
        let fitted = match text_of(&line, input.is_json()) {
            Ok(text) => rules.fitted(&text.into()),
            Err(why) => Fitted::unread(why, rules.limit()),
        };
        if let Some(why) = &fitted.error {
            complain(format_args!("line {}: {why}", line.number));
            exit = Exit::Failed;
        }
        if json || fitted.error.is_none() {
            fitted.say(json)?;
        }
    }
    Ok(exit)
}

/// The outlet of that name in the settings.
fn outlet_of(name: &str, global: &GlobalOptions) -> anyhow::Result<OutletSettings> {
    let settings = Settings::load(global).map_err(|it| ExitError::usage(it.to_string()))?;
    let mut outlets = settings.outlets.into_iter();
    let outlet = outlets.find(|outlet| outlet.name.as_str() == name);
    outlet.ok_or_else(|| ExitError::usage(format!("the settings have no outlet `{name}`")).into())
}

impl FitOptions {
    fn rules<'a>(
        &'a self,
        outlet: Option<(&'a OutletSettings, Limit)>,
    ) -> anyhow::Result<Rules<'a>> {
        let at_most = |limit: Limit| self.max.map_or(limit, |max| limit.with_max(max as usize));
        if let Some((outlet, limit)) = outlet {
            let origin = Origin {
                source: babelfeed_actors::domain::REQUESTS,
                author: self.author.as_deref(),
                url: self.url.as_deref(),
                is_translated: true,
            };
            return Ok(Rules::Outlet(at_most(limit), &outlet.rules.style, origin));
        }
        let network = self.network;
        let network = network.ok_or_else(|| ExitError::usage("expected `--network`"))?;
        Ok(Rules::Network(at_most(network.limit())))
    }
}

impl Network {
    const fn limit(self) -> Limit {
        match self {
            Self::X => Limit::X,
            Self::Mastodon => Limit::MASTODON,
            Self::Bluesky => Limit::BLUESKY,
            Self::Telegram => Limit::TELEGRAM,
            Self::Discord => Limit::DISCORD,
        }
    }
}

/// The most that a part may measure where an outlet publishes. What a Mastodon server allows is
/// asked of the running service, which asked the server; where none runs, that is said.
fn limit_at(
    outlet: &OutletSettings,
    max: Option<u32>,
    global: &GlobalOptions,
) -> anyhow::Result<Limit> {
    let known = known_limit(&outlet.kind);
    if max.is_some() || !matches!(outlet.kind, OutletKind::Mastodon { .. }) {
        return Ok(known);
    }
    let name = outlet.name.as_str();
    let status = Client::new(socket_path(global)?).get::<Status>("/v1/status");
    let outlets = status.map(|status| status.outlets).unwrap_or_default();
    let told = outlets.into_iter().find(|it| it.name == name);
    let told = told.and_then(|it| it.limit);
    let Some(told) = told.and_then(|it| Some((it.max, it.link?))) else {
        complain(format_args!(
            "`{name}`: a server that allows no more than usual is assumed, since no running service tells what it allows; `--max` says otherwise"
        ));
        return Ok(known);
    };
    let (max, url) = told;
    Ok(Limit::Mastodon { max, url })
}

/// The most that a part may measure where an outlet publishes, as far as that is known without
/// asking there: a Mastodon server may allow more.
const fn known_limit(kind: &OutletKind) -> Limit {
    match kind {
        OutletKind::File { .. } | OutletKind::Feed { .. } | OutletKind::Webhook { .. } => {
            Limit::Unbounded
        }
        OutletKind::Mastodon { .. } => Limit::MASTODON,
        OutletKind::Bluesky { .. } => Limit::BLUESKY,
        OutletKind::X(x) => Limit::X { max: x.max },
        OutletKind::Telegram { .. } => Limit::TELEGRAM,
        OutletKind::Discord { .. } => Limit::DISCORD_MESSAGE,
        OutletKind::Slack { .. } => Limit::SLACK,
    }
}

fn text_of(line: &Line, is_json: bool) -> Result<String, String> {
    if !is_json {
        return Ok(line.text.clone());
    }
    serde_json::from_str(&line.text).map_err(|error| format!("expected a JSON string: {error}"))
}

impl Rules<'_> {
    const fn limit(&self) -> Limit {
        match self {
            Self::Network(limit) | Self::Outlet(limit, ..) => *limit,
        }
    }

    fn fitted(&self, text: &Arc<str>) -> Fitted {
        let (length, fits, parts) = match self {
            Self::Network(limit) => {
                let fitted = fit::fitted(text, *limit);
                let parts = fitted.parts.map_err(|error| error.to_string());
                (fitted.length, fitted.fits, parts)
            }
            Self::Outlet(limit, style, origin) => {
                let whole = style.in_one(text, *limit, *origin);
                let parts = style.compose(text, *limit, *origin);
                let parts = parts.map_err(|error| error.to_string());
                (limit.measure(&whole), limit.fits(&whole), parts)
            }
        };
        let piece = |span: &babelfeed_actors::logic::spans::Span| Piece {
            kind: span.kind.name(),
            text: span.text.to_string(),
        };
        let (parts, error) = match parts {
            Ok(parts) => (parts, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Fitted {
            length,
            max: self.limit().max(),
            fits,
            spans: protect(text).spans.iter().map(piece).collect(),
            parts,
            error,
        }
    }
}

impl Fitted {
    /// What is told of a line that is no text.
    const fn unread(why: String, limit: Limit) -> Self {
        Self {
            length: 0,
            max: limit.max(),
            fits: false,
            spans: Vec::new(),
            parts: Vec::new(),
            error: Some(why),
        }
    }

    fn say(&self, json: bool) -> anyhow::Result<()> {
        if json {
            return say_json(self);
        }
        let fits = if self.fits { "fits" } else { "does not fit" };
        match self.max {
            Some(max) => say(format_args!("{} of {max}, {fits}", self.length))?,
            None => say(format_args!("{}, {fits}", self.length))?,
        }
        for span in &self.spans {
            say(format_args!("  {}: {}", span.kind, span.text))?;
        }
        if self.parts.len() > 1 {
            for (index, part) in self.parts.iter().enumerate() {
                let shown = part.replace('\n', "\n      ");
                say(format_args!("  {:>2}. {shown}", index + 1))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_counts_as_much_as_mastodon_says() {
        let rules = Rules::Network(Limit::MASTODON);
        let text = "see https://example.org/a/very/long/path/that/counts/less".into();
        let fitted = rules.fitted(&text);
        let told = (fitted.length, fitted.max, fitted.fits);
        assert_eq!(told, (27, Some(500), true));
        assert_eq!(fitted.spans[0].kind, "url");
        assert_eq!(fitted.parts, [&*text]);
    }

    #[test]
    fn a_text_that_is_too_long_is_shown_in_parts() {
        let limit = Limit::MASTODON.with_max(12);
        let fitted = Rules::Network(limit).fitted(&"one two three four five".into());
        assert!(!fitted.fits && fitted.parts.len() > 1);
        assert!(fitted.parts.iter().all(|part| limit.fits(part)));
    }

    #[test]
    fn each_network_counts_by_its_own_rules() {
        let text: Arc<str> = "see example.org/a 日本 👨‍👩‍👧‍👦".into();
        for (network, length, max) in [
            (Network::X, 35, 280),
            (Network::Mastodon, 22, 500),
            (Network::Bluesky, 22, 300),
            (Network::Telegram, 32, 4_096),
            (Network::Discord, 28, 2_000),
        ] {
            let fitted = Rules::Network(network.limit()).fitted(&text);
            let told = (fitted.length, fitted.max);
            assert_eq!(told, (length, Some(max)), "{network:?}");
        }
    }

    #[test]
    fn what_cannot_be_split_is_told_with_what_it_measures() {
        let limit = Limit::TELEGRAM.with_max(10);
        let fitted = Rules::Network(limit).fitted(&"See #abcdefghijk".into());
        assert_eq!((fitted.length, fitted.fits), (16, false));
        assert!(fitted.parts.is_empty() && fitted.error.is_some());
    }
}
