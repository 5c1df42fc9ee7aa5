//! The values of the settings before they mean anything: file, environment and options, merged.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use config::{Config, ConfigError, Map, Source, Value, ValueKind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::mistakes::{Mistake, Mistakes};
use crate::cli::options::GlobalOptions;

/// The variables of the environment.
pub(super) type Environment = BTreeMap<String, String>;

/// The file that is read when no other is named.
const DEFAULT_FILE: &str = "Settings.toml";

/// The sections whose tables have names.
const LISTS: [&str; 3] = ["source", "provider", "outlet"];

/// The prefix of the variables that set a key of a plain section.
const PREFIX: &str = "BABELFEED__";

/// All values, each with its origin; a value without one stands in the file.
#[derive(Debug)]
pub(super) struct Tree {
    /// The values.
    pub(super) root: Map<String, Value>,
    /// The file they were read from, if there was one.
    pub(super) file: Option<PathBuf>,
    /// What was wrong with options and variables as such.
    pub(super) mistakes: Vec<Mistake>,
    lines: HashMap<String, usize>,
}

impl Tree {
    /// The values of the file that the options name, of the environment and of the options.
    pub(super) fn load(
        options: &GlobalOptions,
        environment: &Environment,
    ) -> Result<Self, Mistakes> {
        let file = match &options.settings {
            Some(file) => Some(file.clone()),
            None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| file.exists()),
        };
        let text = match &file {
            Some(file) => std::fs::read_to_string(file).map_err(|error| {
                Mistakes::one(
                    file.display().to_string(),
                    format!("cannot be read: {error}"),
                )
            })?,
            None => String::new(),
        };
        Self::parse(file, &text, options, environment)
    }

    /// The values of this text, of the environment and of the options.
    pub(super) fn parse(
        file: Option<PathBuf>,
        text: &str,
        options: &GlobalOptions,
        environment: &Environment,
    ) -> Result<Self, Mistakes> {
        let shown = shown(file.as_deref());
        let (parsed, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let mistakes = errors.iter().map(|error| Mistake {
                place: format!(
                    "{shown}:{}",
                    error.span().map_or(1, |span| line_of(text, span.start))
                ),
                what: error.message().trim_end().to_owned(),
            });
            return Err(Mistakes(mistakes.collect()));
        }
        let mut lines = HashMap::new();
        note_lines(text, parsed.get_ref(), "", &mut lines);

        let (mut layers, mut mistakes) = environment_layers(environment);
        let written = config::File::from_str(text, config::FileFormat::Toml);
        let below = merge(Config::builder().add_source(written), &layers)
            .map_err(|error| Mistakes::one(&shown, error.to_string()))?;

        layers.clear();
        for option in &options.set {
            match option_layer(option, &below) {
                Ok(layer) => layers.push(layer),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if let Some(mode) = &options.mode {
            layers.push(Layer::new("mode", "--mode", mode.as_str()));
        }
        let root = merge(Config::builder().add_source(below), &layers)
            .and_then(|all| all.collect())
            .map_err(|error| Mistakes::one(&shown, error.to_string()))?;
        Ok(Self {
            root,
            file,
            mistakes,
            lines,
        })
    }

    /// The folder from which relative paths count.
    pub(super) fn folder(&self) -> PathBuf {
        self.file
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_owned)
            .unwrap_or_default()
    }

    /// Where the value of this path stands, for people.
    pub(super) fn place(&self, path: &str, value: Option<&Value>) -> String {
        if let Some(origin) = value.and_then(origin_of) {
            return origin.to_owned();
        }
        let shown = shown(self.file.as_deref());
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return format!("{shown}:{line}");
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return shown,
            }
        }
    }
}

/// One value that is put over others.
#[derive(Clone, Debug)]
struct Layer {
    path: String,
    value: Value,
}

impl Layer {
    fn new(path: &str, origin: &str, value: impl Into<ValueKind>) -> Self {
        Self {
            path: path.to_owned(),
            value: Value::new(Some(&origin.to_owned()), value),
        }
    }

    fn written(path: &str, origin: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            value: value_of(&read_value(text), origin),
        }
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(Map::from([(self.path.clone(), self.value.clone())]))
    }
}

fn merge(
    builder: config::ConfigBuilder<config::builder::DefaultState>,
    layers: &[Layer],
) -> Result<Config, ConfigError> {
    layers
        .iter()
        .fold(builder, |builder, layer| builder.add_source(layer.clone()))
        .build()
}

/// What the environment sets, in the order in which the later wins.
fn environment_layers(environment: &Environment) -> (Vec<Layer>, Vec<Mistake>) {
    let mut layers = Vec::new();
    let mut mistakes = Vec::new();
    for (name, text) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let path = path.to_lowercase().replace("__", ".");
        if is_plain(&path) {
            layers.push(Layer::written(&path, name, text));
        } else {
            mistakes.push(Mistake {
                place: name.clone(),
                what: "names no key of a plain section, expected something like \
                       BABELFEED__SERVICE__DATA_DIR"
                    .to_owned(),
            });
        }
    }
    for (name, path) in [
        ("OPTIMIZATION_MODE", "mode"),
        ("MAX_CONCURRENT_TRANSLATIONS", "translation.concurrency"),
        ("CONNECTION_POOL_SIZE", "translation.connections"),
        ("ENABLE_PERFORMANCE_MONITORING", "service.monitoring"),
        ("ASYNC_MODE", "translation.concurrency"),
    ] {
        let Some(text) = environment.get(name).filter(|text| !text.is_empty()) else {
            continue;
        };
        match (name, truth(text)) {
            ("ASYNC_MODE", Some(true)) => {}
            ("ASYNC_MODE", Some(false)) => {
                layers.push(Layer::new(path, name, 1_i64));
                layers.push(Layer::new("batching.max_batch_size", name, 1_i64));
            }
            ("ASYNC_MODE", None) => mistakes.push(Mistake {
                place: name.to_owned(),
                what: format!("`{text}` is neither true nor false"),
            }),
            ("ENABLE_PERFORMANCE_MONITORING", Some(truth)) => {
                layers.push(Layer::new(path, name, truth));
            }
            _ => layers.push(Layer::written(path, name, text)),
        }
    }
    (layers, mistakes)
}

/// Whether a path is that of a key at the top or of a key of a plain section.
fn is_plain(path: &str) -> bool {
    let parts: Vec<&str> = path.split('.').collect();
    let are_words = parts.iter().all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    are_words && parts.len() <= 2 && !LISTS.contains(&parts[0])
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// What one `--set` says.
fn option_layer(option: &str, below: &Config) -> Result<Layer, Mistake> {
    let mistake = |what: String| Mistake {
        place: format!("--set {option}"),
        what,
    };
    let (key, text) = option.split_once('=').ok_or_else(|| {
        mistake("has no value, expected something like `service.data_dir=data`".to_owned())
    })?;
    let key = key.trim();
    let origin = format!("--set {key}");
    let (list, rest) = key.split_once('.').unwrap_or((key, ""));
    if LISTS.contains(&list) && !rest.is_empty() {
        let path = named_path(list, rest, below).map_err(|what| Mistake {
            place: origin.clone(),
            what,
        })?;
        return Ok(Layer::written(&path, &origin, text.trim()));
    }
    if !is_plain(key) && !LISTS.contains(&key) {
        return Err(Mistake {
            place: origin,
            what: "names no key, expected something like `service.data_dir` or \
                   `source.NAME.every`"
                .to_owned(),
        });
    }
    Ok(Layer::written(key, &origin, text.trim()))
}

/// The path of `NAME.key` in a list, by its number.
fn named_path(list: &str, rest: &str, below: &Config) -> Result<String, String> {
    let items = below.get_array(list).unwrap_or_default();
    let names: Vec<String> = items
        .into_iter()
        .map(|item| {
            item.into_table()
                .ok()
                .and_then(|mut table| table.remove("name"))
                .and_then(|name| name.into_string().ok())
                .unwrap_or_default()
        })
        .collect();
    let found = names
        .iter()
        .enumerate()
        .filter_map(|(index, name)| {
            let key = rest.strip_prefix(name.as_str())?.strip_prefix('.')?;
            Some((index, name, key))
        })
        .max_by_key(|(_, name, _)| name.len());
    match found {
        Some((index, name, key)) if !name.is_empty() && is_key(key) => {
            Ok(format!("{list}[{index}].{key}"))
        }
        Some((_, name, key)) => Err(format!("`{key}` is no key of the {list} `{name}`")),
        None if names.is_empty() => Err(format!("the settings have no {list}")),
        None => Err(format!(
            "no {list} has that name, there are: {}",
            names.join(", ")
        )),
    }
}

fn is_key(key: &str) -> bool {
    key.split('.').all(|part| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    })
}

/// The TOML value that a text is; what is none is the text itself.
fn read_value(text: &str) -> toml::Value {
    text.parse()
        .unwrap_or_else(|_| toml::Value::String(text.to_owned()))
}

fn value_of(value: &toml::Value, origin: &str) -> Value {
    let kind = match value {
        toml::Value::String(text) => ValueKind::String(text.clone()),
        toml::Value::Integer(number) => ValueKind::I64(*number),
        toml::Value::Float(number) => ValueKind::Float(*number),
        toml::Value::Boolean(truth) => ValueKind::Boolean(*truth),
        toml::Value::Datetime(time) => ValueKind::String(time.to_string()),
        toml::Value::Array(items) => {
            ValueKind::Array(items.iter().map(|item| value_of(item, origin)).collect())
        }
        toml::Value::Table(table) => ValueKind::Table(
            table
                .iter()
                .map(|(key, value)| (key.clone(), value_of(value, origin)))
                .collect(),
        ),
    };
    Value::new(Some(&origin.to_owned()), kind)
}

/// The origin of a value, or of the first inside it that has one, by name.
fn origin_of(value: &Value) -> Option<&str> {
    value.origin().or_else(|| match &value.kind {
        ValueKind::Table(table) => table.values().filter_map(origin_of).min(),
        _ => None,
    })
}

fn shown(file: Option<&Path>) -> String {
    file.map_or_else(
        || "built-in settings".to_owned(),
        |file| file.display().to_string(),
    )
}

fn note_lines(text: &str, table: &DeTable<'_>, prefix: &str, lines: &mut HashMap<String, usize>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{prefix}.{}", key.get_ref())
        };
        lines.insert(path.clone(), line_of(text, key.span().start));
        note_value(text, value, &path, lines);
    }
}

fn note_value(
    text: &str,
    value: &Spanned<DeValue<'_>>,
    path: &str,
    lines: &mut HashMap<String, usize>,
) {
    match value.get_ref() {
        DeValue::Table(table) => note_lines(text, table, path, lines),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                lines.insert(path.clone(), line_of(text, item.span().start));
                note_value(text, item, &path, lines);
            }
        }
        _ => {}
    }
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()
        .iter()
        .take(at)
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}
