//! What memory and processor time the process uses, from `/proc`.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Clock ticks a second in `/proc/self/stat`: `USER_HZ`, 100 on every architecture that Linux
/// serves today; see `proc_pid_stat(5)`.
const TICKS_PER_SECOND: f64 = 100.0;
/// Over less than this, ticks of 10 ms say nothing about a share.
const SHORTEST: Duration = Duration::from_millis(500);

/// Looks at the process; clones look together.
#[derive(Clone, Debug)]
pub struct Process(Arc<Mutex<Looks>>);

/// What the process uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Resident memory in bytes.
    pub rss_bytes: Figure,
    /// Processor time, where 100 is one core.
    pub cpu_percent: Figure,
    /// Processor time since the process began, in seconds.
    pub cpu_seconds: f64,
}

/// A figure over time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figure {
    /// Its latest value.
    pub now: f64,
    /// The mean since the start.
    pub average: f64,
    /// The highest since the start.
    pub max: f64,
}

#[derive(Debug)]
struct Looks {
    started: Instant,
    cpu_at_start: f64,
    last: Instant,
    cpu_at_last: f64,
    rss_sum: f64,
    n_looks: u64,
    figures: Figures,
}

impl Process {
    /// Averages count from now on.
    pub fn new() -> Self {
        let now = Instant::now();
        let cpu = cpu_seconds().unwrap_or(0.0);
        let mut looks = Looks {
            started: now,
            cpu_at_start: cpu,
            last: now,
            cpu_at_last: cpu,
            rss_sum: 0.0,
            n_looks: 0,
            figures: Figures::default(),
        };
        looks.look_at_memory();
        Self(Arc::new(Mutex::new(looks)))
    }

    /// Looks again, unless that was done a moment ago; zeros where there is no `/proc`.
    pub fn sample(&self) -> Figures {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(looks.last) >= SHORTEST {
            looks.look_at_memory();
            looks.look_at_processor(now, cpu_seconds().unwrap_or(0.0));
        }
        looks.figures
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}

impl Looks {
    fn look_at_memory(&mut self) {
        let Some((now, max)) = memory() else { return };
        self.rss_sum += now;
        self.n_looks += 1;
        self.figures.rss_bytes = Figure {
            now,
            average: self.rss_sum / self.n_looks as f64,
            max,
        };
    }

    fn look_at_processor(&mut self, at: Instant, cpu: f64) {
        let share = |cpu: f64, since: Duration| 100.0 * cpu / since.as_secs_f64();
        let now = share(cpu - self.cpu_at_last, at.duration_since(self.last));
        self.figures.cpu_percent = Figure {
            now,
            average: share(cpu - self.cpu_at_start, at.duration_since(self.started)),
            max: self.figures.cpu_percent.max.max(now),
        };
        self.figures.cpu_seconds = cpu;
        (self.last, self.cpu_at_last) = (at, cpu);
    }
}

/// Resident memory now and at its highest, in bytes.
fn memory() -> Option<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some((bytes(&status, "VmRSS:")?, bytes(&status, "VmHWM:")?))
}

/// A line of `/proc/self/status`, which counts in KiB.
fn bytes(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Processor time of all threads, also of those that have ended, in seconds.
fn cpu_seconds() -> Option<f64> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?).map(|ticks| ticks / TICKS_PER_SECOND)
}

/// User and system time; the fields are counted from behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_confuses_nobody() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 900 0 0";
        assert_eq!(ticks(stat), Some(300.0));
    }

    #[test]
    fn memory_is_counted_in_bytes() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(bytes(status, "VmRSS:"), Some(1_048_576.0));
        assert_eq!(bytes(status, "VmHWM:"), Some(2_097_152.0));
        assert_eq!(bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn shares_are_of_one_core() {
        let process = Process::new();
        let mut looks = process.0.lock().expect("nobody else");
        let (start, cpu) = (looks.started, looks.cpu_at_start);
        looks.look_at_processor(start + Duration::from_secs(2), cpu + 3.0);
        looks.look_at_processor(start + Duration::from_secs(4), cpu + 4.0);
        let figure = looks.figures.cpu_percent;
        assert!((figure.now - 50.0).abs() < 1e-9);
        assert!((figure.max - 150.0).abs() < 1e-9);
        assert!((figure.average - 100.0).abs() < 1e-9);
    }
}
