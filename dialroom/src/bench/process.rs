//! A process seen from outside: what proc(5) says of its processor time, memory and threads, and on which cores it may run.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// A second, in the ticks of `/proc/…/stat`.
const TICKS_PER_SECOND: u64 = 100;

/// A process at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// Threads by id: name, and processor time so far.
    threads: BTreeMap<i32, (String, Duration)>,
    /// Resident memory.
    pub(super) memory_kib: u64,
}

impl Snapshot {
    /// Takes it.
    ///
    /// # Errors
    /// When there is no such process, or its files cannot be read.
    pub(super) fn take(pid: u32) -> anyhow::Result<Self> {
        let why = || format!("process {pid} cannot be looked at; is it running, and on this machine?");
        let mut threads = BTreeMap::new();
        for task in tasks(pid).with_context(why)? {
            // A thread may end while we look.
            if let Some(seen) = thread(pid, task) {
                threads.insert(task, seen);
            }
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(why)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let memory_kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        Ok(Self { threads, memory_kib })
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Processor time since an earlier look, by the names of threads. What threads used that ended meanwhile is not seen.
    pub(super) fn since(&self, earlier: &Self) -> BTreeMap<String, Duration> {
        let mut used = BTreeMap::new();
        for (id, (name, time)) in &self.threads {
            let before = earlier.threads.get(id).map(|(_, before)| *before).unwrap_or_default();
            *used.entry(name.clone()).or_default() += time.saturating_sub(before);
        }
        used
    }
}

fn tasks(pid: u32) -> std::io::Result<Vec<i32>> {
    let names = fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

fn thread(pid: u32, task: i32) -> Option<(String, Duration)> {
    let folder = PathBuf::from(format!("/proc/{pid}/task/{task}"));
    let name = kind(fs::read_to_string(folder.join("comm")).ok()?.trim());
    // Nanoseconds, where the kernel counts them; hundredths of a second everywhere.
    let exact = fs::read_to_string(folder.join("schedstat")).ok().and_then(|text| of_schedstat(&text));
    let time = match exact {
        Some(time) => time,
        None => of_stat(&fs::read_to_string(folder.join("stat")).ok()?)?,
    };
    Some((name, time))
}

/// A thread's name without its numbers: programs name threads by room and participant, and those are of one kind.
fn kind(name: &str) -> String {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    name.split(' ').map(|word| if is_number(word) { "#" } else { word }).collect::<Vec<_>>().join(" ")
}

/// The first field of `schedstat`.
fn of_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Fields 14 and 15 of `stat`; the name before them may hold anything but ends with a bracket.
fn of_stat(text: &str) -> Option<Duration> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The cores that this process may use.
///
/// # Errors
/// When the system does not tell.
pub(super) fn own_cores() -> anyhow::Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("the system does not tell on which cores we may run")?;
    Ok((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect())
}

/// Keeps every thread of a process, and those it starts from here on, on these cores.
///
/// # Errors
/// When a core does not exist, or the process is somebody else's.
pub(super) fn keep_on(pid: u32, cores: &[usize]) -> anyhow::Result<()> {
    let set = set_of(cores)?;
    for task in tasks(pid).with_context(|| format!("process {pid} cannot be looked at"))? {
        let kept = sched_setaffinity(Pid::from_raw(task), &set);
        kept.with_context(|| format!("process {pid} cannot be kept on the cores {cores:?}"))?;
    }
    Ok(())
}

/// Keeps the calling thread, and what it starts, on these cores.
///
/// # Errors
/// When a core does not exist.
pub(super) fn keep_this_thread_on(cores: &[usize]) -> anyhow::Result<()> {
    let kept = sched_setaffinity(Pid::from_raw(0), &set_of(cores)?);
    kept.with_context(|| format!("nothing can be kept on the cores {cores:?}"))
}

fn set_of(cores: &[usize]) -> anyhow::Result<CpuSet> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core).with_context(|| format!("there is no core {core}"))?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_thread_is_read_in_both_ways() {
        assert_eq!(of_schedstat("1500000 20 3\n"), Some(Duration::from_micros(1_500)));
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 90 0 0 0 12 5 0 0 20 0 1 0 100 200 300";
        assert_eq!(of_stat(stat), Some(Duration::from_millis(170)));
        assert_eq!((of_schedstat("0 x"), of_stat("7 (a")), (Some(Duration::ZERO), None));
    }

    #[test]
    fn threads_of_many_rooms_are_of_one_kind() {
        assert_eq!(kind("mixer 1001 3958"), kind("mixer 7 12"));
        assert_eq!((kind("mixer 7"), kind("media-0"), kind("")), ("mixer #".into(), "media-0".into(), String::new()));
    }

    #[test]
    fn this_process_has_a_thread_and_memory() {
        let seen = Snapshot::take(std::process::id()).unwrap();
        assert!(seen.threads() >= 1 && seen.memory_kib > 0);
        assert!(Snapshot::take(u32::MAX).is_err());
    }

    #[test]
    fn only_what_was_used_since_counts() {
        let at = |ms: &[(i32, u64)]| Snapshot {
            threads: ms.iter().map(|(id, ms)| (*id, ("media".to_owned(), Duration::from_millis(*ms)))).collect(),
            memory_kib: 0,
        };
        let used = at(&[(1, 50), (3, 4)]).since(&at(&[(1, 20), (2, 900)]));
        assert_eq!(used["media"], Duration::from_millis(34));
    }
}
