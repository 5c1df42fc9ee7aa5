//! The report as a page that needs nothing beside itself.

use std::fmt::Write as _;

use anyhow::Context as _;
use charts_rs::{Bullet, BulletChart, HorizontalBarChart};

use super::report::{Figure, Report, Row, Target, machine_line, number};

/// The width of a chart.
const WIDTH: f32 = 1_100.0;

/// The height that each bar of a chart gets.
const BAR_HEIGHT: f32 = 56.0;

/// The height that the title of a chart gets.
const TITLE_HEIGHT: f32 = 70.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.2rem .6rem;border-bottom:1px solid #ddd}\
td.number{text-align:right;font-variant-numeric:tabular-nums}.short{color:#b00020;font-weight:600}.ok{color:#1b6e2c}\
svg{max-width:100%;height:auto}";

/// Returns the page.
pub(super) fn html(report: &Report) -> anyhow::Result<String> {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>babelfeed benchmark</title><style>{STYLE}</style>\
         <h1>babelfeed {} benchmark</h1><p>{}<br>{}</p>",
        escaped(report.version),
        escaped(&report.at),
        escaped(&machine_line(&report.machine)),
    );
    for row in &report.rows {
        write_row(&mut page, row)?;
    }
    page.push_str("</html>\n");
    Ok(page)
}

/// Returns the charts of a benchmark that have something to show, as SVG: its targets, and what is
/// of one unit beside each other.
fn charts(row: &Row) -> anyhow::Result<Vec<String>> {
    let mut charts = Vec::new();
    for (title, is_more_better) in [("more is better", true), ("less is better", false)] {
        let bullets = bullets(row, is_more_better);
        if !bullets.is_empty() {
            charts.push(bullet_chart(&format!("{}: {title}", row.name), bullets)?);
        }
    }
    let mut units: Vec<&str> = row.figures.iter().map(|figure| figure.unit).collect();
    units.sort_unstable();
    units.dedup();
    for unit in units {
        let figures: Vec<&Figure> = row
            .figures
            .iter()
            .filter(|figure| figure.unit == unit)
            .collect();
        if figures.len() > 1 {
            charts.push(unit_chart(row.name, unit, &figures)?);
        }
    }
    Ok(charts)
}

fn bullets(row: &Row, is_more_better: bool) -> Vec<Bullet> {
    let mut bullets = Vec::new();
    for figure in &row.figures {
        if let Some(target) = figure.target
            && matches!(target, Target::AtLeast(_)) == is_more_better
        {
            let (Target::AtLeast(wanted) | Target::AtMost(wanted)) = target;
            let name = format!("{} ({})", figure.name, figure.unit);
            bullets.push((name.as_str(), figure.value as f32, wanted as f32).into());
        }
    }
    bullets
}

fn bullet_chart(title: &str, bullets: Vec<Bullet>) -> anyhow::Result<String> {
    let height = TITLE_HEIGHT + BAR_HEIGHT * bullets.len() as f32;
    let mut chart = BulletChart::new(bullets);
    chart.width = WIDTH;
    chart.height = height;
    chart.title.text = title.to_owned();
    chart.label_show = true;
    chart.svg().context("drawing a chart of targets")
}

fn unit_chart(name: &str, unit: &str, figures: &[&Figure]) -> anyhow::Result<String> {
    let values: Vec<f32> = figures.iter().map(|figure| figure.value as f32).collect();
    let names = figures.iter().map(|figure| figure.name.clone()).collect();
    let mut chart = HorizontalBarChart::new(vec![(unit, values).into()], names);
    chart.width = WIDTH;
    chart.height = TITLE_HEIGHT + BAR_HEIGHT * figures.len() as f32;
    chart.title.text = format!("{name}, in {unit}");
    chart.svg().context("drawing a chart of figures")
}

fn write_row(page: &mut String, row: &Row) -> anyhow::Result<()> {
    write!(
        page,
        "<h2>{}</h2><p>{}<br><small>{}</small></p><table><tr><th>figure<th>value<th>unit<th>target<th>verdict</tr>",
        escaped(row.name),
        escaped(row.about),
        escaped(&row.conditions)
    )?;
    for figure in &row.figures {
        let target = figure.target.map(|target| target.to_string());
        let verdict = figure.verdict.map(|verdict| verdict.to_string());
        let verdict = verdict.unwrap_or_default();
        write!(
            page,
            "<tr><td>{}<td class=\"number\">{}<td>{}<td>{}<td class=\"{}\">{verdict}</tr>",
            escaped(&figure.name),
            number(figure.value),
            escaped(figure.unit),
            target.unwrap_or_default(),
            verdict.to_lowercase()
        )?;
    }
    page.push_str("</table><ul>");
    for counts in &row.counts {
        let class = if counts.agrees { "ok" } else { "short" };
        write!(
            page,
            "<li class=\"{class}\">{}</li>",
            escaped(&counts.to_string())
        )?;
    }
    page.push_str("</ul>");
    for chart in charts(row)? {
        page.push_str(&chart);
    }
    if let Some(error) = &row.error {
        write!(
            page,
            "<p class=\"short\">did not run to its end: {}</p>",
            escaped(error)
        )?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::benchmark::machine::Machine;

    fn report(error: Option<String>) -> Report {
        let mut row = Row::new("submits", "durable submits");
        row.aimed("rate", 25_000.0, "/s", Target::AtLeast(20_000.0));
        row.aimed("p99", 16.0, "ms", Target::AtMost(15.0));
        row.figure("scale", 11_100.0, "/s");
        row.count("texts", &[("acknowledged", 3), ("stored", 2)]);
        row.error = error;
        Report {
            version: "0.1.0",
            at: "2026-01-01T00:00:00Z".into(),
            machine: Machine {
                processor: "one".into(),
                cores: 2,
                memory_mib: 1,
                kernel: "6".into(),
                fdatasync_ms: 0.1,
                wake_up_us: 5.0,
                build: "release",
            },
            rows: vec![row],
        }
    }

    #[test]
    fn a_page_shows_charts_verdicts_and_counts_and_loads_nothing() {
        let page = html(&report(None)).unwrap();

        assert_eq!(
            page.matches("<svg").count(),
            3,
            "more, less, and what is per second"
        );
        assert!(page.contains("<td class=\"short\">SHORT"));
        assert!(page.contains("acknowledged 3 | stored 2"));
        for loaded in ["src=", "<script", "@import", "<link"] {
            assert!(!page.contains(loaded), "{loaded}");
        }
    }

    #[test]
    fn an_error_is_shown_as_text() {
        let page = html(&report(Some("<b>ended</b>".into()))).unwrap();

        assert!(page.contains("&lt;b&gt;ended&lt;/b&gt;"));
    }
}
