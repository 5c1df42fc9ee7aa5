//! What the machine is and what its processes use, as the kernel says.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;

use super::cores;
use super::statistics::quantile;

/// Ticks a second in `/proc/PID/stat`: `USER_HZ`, which is 100 on every Linux.
const TICKS_A_SECOND: f64 = 100.0;

const N_SYNCS: usize = 200;
const SYNC_SIZE: usize = 4_096;

/// The conditions that figures stand beside.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    /// The model of the processor.
    pub(super) processor: String,
    /// How many cores this program may use.
    pub(super) cores: usize,
    /// Memory in MiB.
    pub(super) memory_mib: u64,
    /// The release of the kernel.
    pub(super) kernel: String,
    /// Median of appending 4 KiB and `fdatasync` in the data folder, in milliseconds.
    pub(super) fdatasync_ms: f64,
    /// Median time from waking up a thread until it runs on a core that was idle, in microseconds.
    pub(super) wake_up_us: f64,
    /// The profile that this program was built with.
    pub(super) build: &'static str,
}

impl Machine {
    /// Describes this machine and the disk under `folder`.
    pub(super) fn describe(folder: &Path) -> anyhow::Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Ok(Self {
            processor: field(&processors, "model name")
                .unwrap_or("unknown")
                .to_owned(),
            cores: std::thread::available_parallelism().map_or(1, |n| n.get()),
            memory_mib: field(&memory, "MemTotal").and_then(kibibytes).unwrap_or(0) / 1_024,
            kernel: kernel.trim().to_owned(),
            fdatasync_ms: fdatasync_ms(folder)?,
            wake_up_us: cores::wake_up_us(),
            build: if cfg!(debug_assertions) {
                "development"
            } else {
                "release"
            },
        })
    }
}

/// What a process holds, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Resident now.
    pub(super) resident: u64,
    /// The most that was resident.
    pub(super) peak: u64,
}

/// Returns what process `id` holds.
pub(super) fn memory_of(id: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{id}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let bytes = |name: &str| {
        field(&status, name)
            .and_then(kibibytes)
            .map(|kibibytes| kibibytes * 1_024)
            .with_context(|| format!("expected {name} in {path}"))
    };
    Ok(Memory {
        resident: bytes("VmRSS")?,
        peak: bytes("VmHWM")?,
    })
}

/// Returns the seconds of processor time that process `id` used; `self` is an id too.
pub(super) fn processor_seconds_of(id: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    ticks(&stat)
        .map(|ticks| ticks as f64 / TICKS_A_SECOND)
        .with_context(|| format!("expected times in {path}"))
}

/// Returns `utime` and `stime` together; see proc_pid_stat(5).
fn ticks(stat: &str) -> Option<u64> {
    // The name of the program stands in parentheses and may hold blanks.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn field<'a>(lines: &'a str, name: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim())
    })
}

fn kibibytes(value: &str) -> Option<u64> {
    value.strip_suffix("kB")?.trim().parse().ok()
}

/// Returns the median time of an append of 4 KiB with its `fdatasync`.
fn fdatasync_ms(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("fdatasync");
    let mut file =
        fs::File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let block = [0x5a; SYNC_SIZE];
    let mut times = Vec::with_capacity(N_SYNCS);
    for _ in 0..N_SYNCS {
        let started = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    fs::remove_file(&path)?;
    Ok(quantile(&mut times, 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_blanks() {
        let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100";

        assert_eq!(ticks(stat), Some(300));
    }

    #[test]
    fn this_process_holds_memory_and_peaks_no_lower() {
        let memory = memory_of(std::process::id()).unwrap();

        assert!(memory.resident > 0);
        assert!(memory.peak >= memory.resident);
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(memory_of(u32::MAX).is_err());
        assert!(processor_seconds_of("4294967295").is_err());
    }

    #[test]
    fn the_disk_takes_some_time() {
        let folder = tempfile::tempdir().unwrap();

        let machine = Machine::describe(folder.path()).unwrap();

        assert!(machine.fdatasync_ms > 0.0);
        assert!(machine.memory_mib > 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
