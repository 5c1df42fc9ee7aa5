//! The figures on a whole terminal, until `q` is pressed.

use std::time::Instant;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table, Wrap};
use ratatui::{DefaultTerminal, Frame};

use super::client::Client;
use super::options::Exit;
use super::performance::{EVERY, Figures, machine_line, overall_line};
use super::status::service_lines;
use crate::control::wire::Service;

/// Shows the figures until somebody ends it.
pub(super) fn show(client: &Client) -> anyhow::Result<Exit> {
    // The first answer comes before the terminal changes, so that an error stays readable.
    let figures = Figures::ask(client)?;
    let mut terminal = ratatui::try_init()?;
    let shown = go_on(&mut terminal, client, figures);
    ratatui::restore();
    shown.map(|()| Exit::Done)
}

fn go_on(
    terminal: &mut DefaultTerminal,
    client: &Client,
    mut figures: Figures,
) -> anyhow::Result<()> {
    loop {
        terminal.draw(|frame| draw(frame, &figures))?;
        let due = Instant::now() + EVERY;
        while let Some(left) = due.checked_duration_since(Instant::now()) {
            if event::poll(left)? {
                match event::read()? {
                    event if is_end(&event) => return Ok(()),
                    Event::Resize(..) => {
                        terminal.draw(|frame| draw(frame, &figures))?;
                    }
                    _ => (),
                }
            }
        }
        figures = Figures::ask(client)?;
    }
}

fn is_end(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let interrupts =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press
        && (interrupts || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

fn draw(frame: &mut Frame, figures: &Figures) {
    let n_services = u16::try_from(figures.metrics.services.len()).unwrap_or(u16::MAX);
    let areas = Layout::vertical([
        Constraint::Length(5),
        Constraint::Max(n_services.saturating_add(3)),
        Constraint::Min(3),
    ])
    .split(frame.area());
    frame.render_widget(overall(figures), areas[0]);
    frame.render_widget(services(&figures.metrics.services), areas[1]);
    frame.render_widget(service(figures), areas[2]);
}

fn overall(figures: &Figures) -> Paragraph<'static> {
    let tasks = &figures.metrics.tasks;
    let lines = vec![
        Line::from(overall_line(&figures.metrics)),
        Line::from(machine_line(&figures.metrics)),
        Line::from(format!(
            "tasks: {} submitted, {} completed, {} failed",
            tasks.submitted, tasks.completed, tasks.failed
        )),
    ];
    Paragraph::new(lines).block(Block::bordered().title(" babelfeed: q ends "))
}

fn services(services: &[Service]) -> Table<'static> {
    let names = [
        "service", "calls", "errors", "per s", "p50 ms", "p90 ms", "p99 ms", "max ms",
    ];
    let header = Row::new(names).style(Style::new().add_modifier(Modifier::BOLD));
    let widths = [
        Constraint::Min(12),
        Constraint::Length(10),
        Constraint::Length(8),
        Constraint::Length(8),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(9),
    ];
    Table::new(services.iter().map(service_row), widths)
        .header(header)
        .block(Block::bordered().title(" services "))
}

fn service_row(service: &Service) -> Row<'static> {
    let milliseconds = [
        service.p50_ms,
        service.p90_ms,
        service.p99_ms,
        service.max_ms,
    ];
    let mut cells = vec![
        service.name.clone(),
        service.calls.to_string(),
        service.errors.to_string(),
        format!("{:.1}", service.rate),
    ];
    cells.extend(milliseconds.map(|ms| format!("{ms:.1}")));
    let style = if service.errors > 0 {
        Style::new().fg(Color::Yellow)
    } else {
        Style::new()
    };
    Row::new(cells).style(style)
}

fn service(figures: &Figures) -> Paragraph<'static> {
    let lines: Vec<Line> = service_lines(&figures.status)
        .into_iter()
        .map(Line::from)
        .collect();
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .block(Block::bordered().title(" service "))
}
