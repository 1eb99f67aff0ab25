//! The table that people read.

use std::fmt::Write as _;

use super::figures::Figures;
use super::histogram::Histogram;

/// What is printed, echoes first. `load` are the system's load averages.
pub(super) fn table(runs: &[Figures], load: &str) -> String {
    let (echoes, servers): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.seating.echo);
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(words.trim_end());
        text.push('\n');
    };
    line(HEAD.trim_end().to_owned());
    for run in runs {
        line(row(run, echoes.first().copied()));
    }
    for run in &servers {
        line(String::new());
        for words in details(run, &echoes) {
            line(words);
        }
    }
    for run in runs.iter().filter(|run| !run.keeps_pace()) {
        line(String::new());
        line(format!("{}: NOT TO BE TRUSTED: the bench came too late with its own packets", run.name));
        line(
            "  Let the machine do nothing else, make fewer calls, or give the bench more cores with --cpus.".to_owned(),
        );
    }
    line(String::new());
    line(format!("load average at the end: {load}"));
    text
}

/// Threads that use less are left out.
const SEEN_MS: f64 = 0.001;
/// The part of a core that is planned with: beyond it packets begin to be late.
const PLANNED: f64 = 0.7;

const HEAD: &str = "                           legs  CPU ms/leg·s  × echo  legs/core  KiB/leg  threads    lost     jitter ms \
                    p50/p99/max   mouth-to-ear ms p50/p99/max";

fn row(run: &Figures, echo: Option<&Figures>) -> String {
    let ratio = run.cpu_ms().zip(echo.and_then(Figures::cpu_ms)).map(|(ms, echo)| ms / echo);
    let server = run.spent.server.as_ref();
    format!(
        "{:25} {:>5}  {:>12}  {:>6}  {:>9}  {:>7}  {:>7}  {:>6}  {:>24}  {:>28}",
        run.name,
        run.calls.up,
        number(run.cpu_ms(), 3),
        number(ratio, 2),
        number(run.legs_per_core(), 0),
        number(run.memory_kib().filter(|_| !run.seating.echo), 1),
        server.map_or_else(|| "–".to_owned(), |server| server.threads.to_string()),
        format!("{:.2} %", run.loss() * 100.0),
        three(&run.sound.jitter, 2),
        three(&run.sound.mouth_to_ear, 1),
    )
}

/// What does not fit into a row.
fn details(run: &Figures, echoes: &[&Figures]) -> Vec<String> {
    let (heard, voices) = run.voices();
    let mut lines = vec![
        format!(
            "{}: {} of {} calls up in {} rooms, {} talkers each; answered in {} ms (p50/p99/max){}{}",
            run.name,
            run.calls.up,
            run.seating.legs,
            run.seating.rooms,
            run.seating.talkers,
            three(&run.calls.set_up, 1),
            run.calls.refused.iter().fold(String::new(), |mut text, (why, count)| {
                // Writing to text cannot fail.
                let _ = write!(text, "; refused {why}: {count}");
                text
            }),
            if run.calls.dropped > 0 { format!("; ended too early: {}", run.calls.dropped) } else { String::new() },
        ),
        format!(
            "  heard: {heard} of {voices} voices; {} hear themselves, {} hear another room",
            run.hear_themselves(),
            run.hear_strangers(),
        ),
        format!(
            "  packets in {:.1} s: {} sent, {} received of {:.0} expected, {} lost, {} late, {} twice",
            run.spent.time.as_secs_f64(),
            run.sound.sent,
            run.sound.received,
            run.expected(),
            run.sound.lost,
            run.sound.late,
            run.sound.repeated,
        ),
    ];
    let busy = run.cpu_ms_by_thread().into_iter().filter(|(_, ms)| *ms >= SEEN_MS);
    let threads: Vec<_> = busy.map(|(name, ms)| format!("{name} {ms:.3}")).collect();
    if !threads.is_empty() {
        lines.push(format!("  CPU ms/leg·s: {}", threads.join(", ")));
    }
    let ratio = |echo: &&Figures| Some(format!("{:.2} × {}", run.cpu_ms()? / echo.cpu_ms()?, echo.name));
    let ratios: Vec<_> = echoes.iter().filter_map(ratio).collect();
    if !ratios.is_empty() {
        lines.push(format!("  in all {}", ratios.join(", ")));
    }
    if let Some(legs) = run.legs_per_core() {
        lines.push(format!(
            "  at that price one core carries {legs:.0} such calls; plan with {:.0}, so that it is never full",
            legs * PLANNED
        ));
    }
    let own_ms = run.spent.own.as_secs_f64() * 1_000.0 / (run.calls.up as f64 * run.spent.time.as_secs_f64()).max(1.0);
    lines.push(format!(
        "  the bench itself: {own_ms:.3} CPU ms/leg·s, sends {} ms late (p50/p99/max)",
        three(&run.sound.lateness, 2)
    ));
    lines
}

fn number(value: Option<f64>, places: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.places$}"))
}

fn three(of: &Histogram, places: usize) -> String {
    match (of.quantile_ms(0.5), of.quantile_ms(0.99), of.longest_ms()) {
        (Some(half), Some(most), Some(longest)) => format!("{half:.places$} / {most:.places$} / {longest:.places$}"),
        _ => "–".to_owned(),
    }
}
