//! What a run found: figures beside their targets, counts that have to agree, and how they print.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::machine::Machine;

/// Everything that a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The version of this program.
    pub(super) version: &'static str,
    /// When the run began, in UTC.
    pub(super) at: String,
    /// Where it ran.
    pub(super) machine: Machine,
    /// The benchmarks, in order.
    pub(super) rows: Vec<Row>,
}

impl Report {
    /// Returns whether every benchmark ran and all its counts agree.
    pub(super) fn agrees(&self) -> bool {
        self.rows.iter().all(Row::agrees)
    }
}

/// What one benchmark found.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    /// The name it is asked for by.
    pub(super) name: &'static str,
    /// What it measures.
    pub(super) about: &'static str,
    /// Under which conditions.
    pub(super) conditions: String,
    /// What it measured.
    pub(super) figures: Vec<Figure>,
    /// What has to agree for the figures to count.
    pub(super) counts: Vec<Agreement>,
    /// Why it did not run to its end.
    pub(super) error: Option<String>,
}

impl Row {
    /// Starts one without figures.
    pub(super) fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            conditions: String::new(),
            figures: Vec::new(),
            counts: Vec::new(),
            error: None,
        }
    }

    /// Adds a figure that has no target.
    pub(super) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure::new(name, value, unit, None));
    }

    /// Adds a figure with its target.
    pub(super) fn aimed(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Target,
    ) {
        self.figures
            .push(Figure::new(name, value, unit, Some(target)));
    }

    /// Adds counts that have to be equal.
    pub(super) fn count(&mut self, about: impl Into<String>, counts: &[(&'static str, u64)]) {
        self.counts.push(Agreement::new(about, counts));
    }

    /// Adds the counts of a part of this benchmark, under its name.
    pub(super) fn count_apart(&mut self, part: &str, counted: Row) {
        for mut agreement in counted.counts {
            agreement.about = format!("{part}: {}", agreement.about);
            self.counts.push(agreement);
        }
    }

    /// Returns the names of the figures that fall short.
    pub(super) fn short(&self) -> Vec<&str> {
        let figures = self.figures.iter();
        let short = figures.filter(|figure| figure.verdict == Some(Verdict::Short));
        short.map(|figure| figure.name.as_str()).collect()
    }

    /// Returns whether it ran to its end and its counts agree.
    pub(super) fn agrees(&self) -> bool {
        self.error.is_none() && self.differing().is_empty()
    }

    /// Returns what was counted that does not agree.
    fn differing(&self) -> Vec<&str> {
        let counts = self.counts.iter();
        let differing = counts.filter(|counts| !counts.agrees);
        differing.map(|counts| counts.about.as_str()).collect()
    }
}

/// One number.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    /// What it is.
    pub(super) name: String,
    /// How much.
    pub(super) value: f64,
    /// Of what.
    pub(super) unit: &'static str,
    /// What it should be.
    pub(super) target: Option<Target>,
    /// Whether it is.
    pub(super) verdict: Option<Verdict>,
}

impl Figure {
    fn new(
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        target: Option<Target>,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            target,
            verdict: target.map(|target| target.verdict(value)),
        }
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// This much or more.
    AtLeast(f64),
    /// This much or less.
    AtMost(f64),
}

impl Target {
    fn verdict(self, value: f64) -> Verdict {
        let is_met = match self {
            Self::AtLeast(wanted) => value >= wanted,
            Self::AtMost(wanted) => value <= wanted,
        };
        if is_met { Verdict::Ok } else { Verdict::Short }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(wanted) => write!(f, "≥ {}", number(*wanted)),
            Self::AtMost(wanted) => write!(f, "≤ {}", number(*wanted)),
        }
    }
}

/// How a figure stands to its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It meets it.
    Ok,
    /// It does not.
    Short,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Short => "SHORT",
        })
    }
}

/// Counts of the same thing by different parties.
#[derive(Debug, Serialize)]
pub(super) struct Agreement {
    /// What was counted.
    pub(super) about: String,
    /// By whom, and how many.
    pub(super) counts: Vec<Count>,
    /// Whether all say the same.
    pub(super) agrees: bool,
}

/// How many one party counted.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    /// Who, or when.
    pub(super) by: &'static str,
    /// How many.
    pub(super) n: u64,
}

impl Agreement {
    fn new(about: impl Into<String>, counts: &[(&'static str, u64)]) -> Self {
        let counts: Vec<Count> = counts.iter().map(|&(by, n)| Count { by, n }).collect();
        Self {
            about: about.into(),
            agrees: counts.windows(2).all(|pair| pair[0].n == pair[1].n),
            counts,
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.about)?;
        for (index, count) in self.counts.iter().enumerate() {
            let sign = match index {
                0 => "",
                _ if self.agrees => " = ",
                _ => " | ",
            };
            write!(f, "{sign}{} {}", count.by, number(count.n as f64))?;
        }
        f.write_str(if self.agrees { "" } else { "  DO NOT AGREE" })
    }
}

/// Returns one line about the machine.
pub(super) fn machine_line(machine: &Machine) -> String {
    format!(
        "{}, {} cores, {} MiB, Linux {}; fdatasync of 4 KiB {} ms; a thread on an idle core runs after {} µs; {} build",
        machine.processor,
        machine.cores,
        number(machine.memory_mib as f64),
        machine.kernel,
        number(machine.fdatasync_ms),
        number(machine.wake_up_us),
        machine.build
    )
}

/// Returns the lines of one benchmark for the terminal.
pub(super) fn row_lines(row: &Row) -> String {
    let mut lines = format!("{}: {}\n", row.name, row.about);
    if !row.conditions.is_empty() {
        push_line(&mut lines, format_args!("  {}", row.conditions));
    }
    for figure in &row.figures {
        let target = figure.target.map(|target| target.to_string());
        let verdict = figure.verdict.map(|verdict| verdict.to_string());
        let line = format!(
            "  {:<66} {:>10} {:<8} {:<10} {}",
            figure.name,
            number(figure.value),
            figure.unit,
            target.unwrap_or_default(),
            verdict.unwrap_or_default()
        );
        push_line(&mut lines, format_args!("{}", line.trim_end()));
    }
    for counts in &row.counts {
        push_line(&mut lines, format_args!("  {counts}"));
    }
    if let Some(error) = &row.error {
        push_line(
            &mut lines,
            format_args!("  did not run to its end: {error}"),
        );
    }
    lines
}

/// Returns what everything came to: how much was met, then by name what was not.
pub(super) fn summary_lines(rows: &[Row]) -> String {
    let n_short: usize = rows.iter().map(|row| row.short().len()).sum();
    let n_differing: usize = rows.iter().map(|row| row.differing().len()).sum();
    let n_counts: usize = rows.iter().map(|row| row.counts.len()).sum();
    let figures = rows.iter().flat_map(|row| &row.figures);
    let n_targets = figures.filter(|figure| figure.target.is_some()).count();
    let n_ended = rows.iter().filter(|row| row.error.is_none()).count();
    let mut lines = format!(
        "in all: {n_ended} of {} ran to their end, {} of {n_targets} targets met, {} of {n_counts} counts agree\n",
        rows.len(),
        n_targets - n_short,
        n_counts - n_differing,
    );
    for row in rows {
        let short = row.short().into_iter().map(|name| ("SHORT", name));
        let differing = row.differing().into_iter();
        let differing = differing.map(|name| ("DO NOT AGREE", name));
        let error = row.error.as_deref().into_iter();
        let error = error.map(|cause| ("did not run to its end", cause));
        for (what, name) in short.chain(differing).chain(error) {
            push_line(&mut lines, format_args!("  {what}: {}: {name}", row.name));
        }
    }
    lines
}

fn push_line(lines: &mut String, line: fmt::Arguments<'_>) {
    writeln!(lines, "{line}").expect("a string can always be written to");
}

/// Returns a number as people read it: three digits at least, thousands apart.
pub(super) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        whole if whole.fract() == 0.0 => 0,
        large if large >= 1_000.0 => 0,
        middle if middle >= 10.0 => 1,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let (sign, text) = text
        .strip_prefix('-')
        .map_or(("", &*text), |rest| ("-", rest));
    let (whole, fraction) = text
        .split_once('.')
        .map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let mut grouped = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(fraction) = fraction {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(15_000.4), "15,000");
        assert_eq!(number(0.0421), "0.042");
        assert_eq!(number(-166.66), "-166.7");
        assert_eq!(number(100.0), "100");
    }

    #[test]
    fn a_figure_below_what_it_should_reach_is_short() {
        let mut row = Row::new("submits", "x");

        row.aimed("rate", 19_999.0, "/s", Target::AtLeast(20_000.0));
        row.aimed("p99", 15.0, "ms", Target::AtMost(15.0));

        let verdicts: Vec<_> = row.figures.iter().map(|figure| figure.verdict).collect();
        assert_eq!(verdicts, [Some(Verdict::Short), Some(Verdict::Ok)]);
        assert!(row.agrees());
    }

    #[test]
    fn what_was_not_met_is_named_at_the_end() {
        let mut quota = Row::new("quota", "x");
        quota.aimed("share", 96.0, "%", Target::AtLeast(97.0));
        quota.count("calls", &[("we", 3), ("the provider", 3)]);
        let mut packing = Row::new("packing", "x");
        packing.aimed("calls", 50_000.0, "", Target::AtMost(66_666.0));
        packing.count("texts", &[("we", 3), ("the provider", 2)]);
        packing.error = Some("gone".into());

        let lines = summary_lines(&[quota, packing]);

        let expected = [
            "in all: 1 of 2 ran to their end, 1 of 2 targets met, 1 of 2 counts agree",
            "  SHORT: quota: share",
            "  DO NOT AGREE: packing: texts",
            "  did not run to its end: packing: gone",
        ];
        assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn counts_that_differ_are_said_to() {
        let mut row = Row::new("submits", "x");

        row.count(
            "texts",
            &[("acknowledged", 3), ("stored", 3), ("provider", 2)],
        );

        assert!(!row.agrees());
        assert!(row_lines(&row).contains("acknowledged 3 | stored 3 | provider 2  DO NOT AGREE"));
    }
}
