//! `reload`: reads the settings again, and says what comes of them.

use babelfeed_actors::domain::Lane;

use super::build::Prepared;
use crate::cli::options::GlobalOptions;
use crate::settings::Settings;

/// What became of the settings.
pub(super) enum Reloaded {
    /// They say the same as before.
    Same,
    /// They say something else, of which a system can be made.
    Changed(Box<Settings>, Box<Prepared>),
}

/// Reads the settings again.
///
/// # Errors
/// In words for people: every mistake, or what cannot change without a restart. Then nothing
/// changes.
pub(super) fn reload(
    options: &GlobalOptions,
    old: &Settings,
    prepare: &impl Fn(&Settings) -> anyhow::Result<Prepared>,
) -> Result<Reloaded, String> {
    let new = Settings::load(options).map_err(|mistakes| mistakes.to_string())?;
    if new == *old {
        return Ok(Reloaded::Same);
    }
    let fixed = fixed(old, &new);
    if !fixed.is_empty() {
        return Err(format!(
            "nothing was changed: {} cannot change without a restart",
            fixed.join(", ")
        ));
    }
    if let Some(gone) = everything_gone(old, &new) {
        return Err(format!(
            "nothing was changed: no {gone} is left, expected at least one, because what is queued \
             would have nowhere to go; a restart takes such settings"
        ));
    }
    let prepared = prepare(&new).map_err(|error| format!("{error:#}"))?;
    Ok(Reloaded::Changed(Box::new(new), Box::new(prepared)))
}

/// Whether a lane is counted by the same account under both settings, so that what was used in
/// it still counts.
pub(super) fn is_same_account(lane: &Lane, old: &Settings, new: &Settings) -> bool {
    let provider = |settings: &Settings| {
        let provider = settings.providers.iter().find(|it| it.lane == *lane)?;
        let (kind, address) = (provider.kind, provider.base_url.clone());
        Some((
            kind,
            address,
            provider.model.clone(),
            provider.api_key.clone(),
        ))
    };
    let outlet = |settings: &Settings| {
        let mut outlets = settings.outlets.iter();
        let outlet = outlets.find(|it| Lane::of_outlet(&it.name) == *lane)?;
        Some(outlet.kind.clone())
    };
    let is_provider = provider(old).is_some() && provider(old) == provider(new);
    is_provider || (outlet(old).is_some() && outlet(old) == outlet(new))
}

/// What there was and is not any more, as in a file that was cut short or moved away.
fn everything_gone(old: &Settings, new: &Settings) -> Option<&'static str> {
    if !old.providers.is_empty() && new.providers.is_empty() {
        return Some("provider");
    }
    (!old.outlets.is_empty() && new.outlets.is_empty()).then_some("outlet")
}

/// What differs although it cannot change while the process lives.
fn fixed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    [
        (
            "service.data_dir",
            old.service.data_dir != new.service.data_dir,
        ),
        ("service.socket", old.service.socket != new.service.socket),
        (
            "service.log_format",
            old.service.log_format != new.service.log_format,
        ),
        ("http", old.http != new.http),
        ("store", old.store != new.store),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn options(folder: &Path, text: &str) -> GlobalOptions {
        let file = folder.join("Settings.toml");
        fs::write(&file, text).expect("written");
        GlobalOptions {
            settings: Some(file),
            ..GlobalOptions::default()
        }
    }

    fn outcome(text: &str) -> Result<Reloaded, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let old = Settings::load(&options(folder.path(), "")).expect("valid");
        let prepare = |_: &Settings| anyhow::bail!("prepared");
        reload(&options(folder.path(), text), &old, &prepare)
    }

    #[test]
    fn the_same_settings_change_nothing() {
        assert!(matches!(outcome("# still nothing"), Ok(Reloaded::Same)));
    }

    #[test]
    fn mistakes_are_answered() {
        let why = outcome("colour = 1\n").err().expect("refused");
        assert!(why.contains("colour: is unknown"), "{why}");
    }

    #[test]
    fn what_needs_a_restart_is_named() {
        let why = outcome("[service]\ndata_dir = \"other\"\n").err();
        let why = why.expect("refused");
        assert!(
            why.contains("service.data_dir, service.socket, store"),
            "{why}"
        );
    }

    #[test]
    fn everything_else_is_prepared() {
        let why = outcome("[batching]\nmax_batch_size = 3\n").err();
        assert_eq!(why.as_deref(), Some("prepared"));
    }
}
