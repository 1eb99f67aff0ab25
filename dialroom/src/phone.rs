//! `dialroom phone`: a telephone on the command line that says what it heard, and whether that was expected.
//!
//! All that a telephone does is in `mixer_service::telephone`; here are its flags, its report and its exit status.

mod flags;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use dialroom_settings::SipServer;
use mixer_service::sip::{Cause, EndedBy, Target};
use mixer_service::telephone::{CallReport, Dial, Hearing, Line, Pitch, Telephone, pitches, read_wav, write_wav};
use serde::Serialize;

use self::flags::LineArgs;

/// Call a number or be called, press keys, play a tone, and tell what was heard.
///
/// The exit status is 0 when all expectations held, 1 when one did not, 2 when there was no call.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PhoneArgs {
    /// The number to dial.
    #[arg(required_unless_present = "answer")]
    number: Option<String>,
    /// Wait so many seconds for a call and answer it, instead of dialling.
    #[arg(long, value_name = "SECONDS", conflicts_with = "number")]
    answer: Option<f64>,
    /// The number to call from, as in +493023125002; without it the call is anonymous.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    from: Option<String>,
    /// Folder of a running demo, to learn its server from.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    #[command(flatten)]
    line: LineArgs,
    /// Keys to press once answered; a comma waits a second.
    #[arg(long, value_name = "KEYS")]
    keys: Option<String>,
    /// Seconds from the answer to the first key.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.5)]
    keys_after: f64,
    /// Speak a tone, for example 440 or 440@-20; its level is in dB, -12 by default.
    #[arg(long, value_name = "HZ[@DB]")]
    tone: Option<Voice>,
    /// Speak a recording (WAV, 8 kHz, mono, 16 bit).
    #[arg(long, value_name = "FILE", conflicts_with = "tone")]
    play: Option<PathBuf>,
    /// Write what is heard to a WAV file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Hold the call so many seconds after the answer, for example 2, or 2+3 to take it back three seconds later.
    #[arg(long, value_name = "SECONDS[+SECONDS]")]
    hold: Option<Hold>,
    /// Hang up so many seconds after the answer; by default when the other side does.
    #[arg(long = "for", value_name = "SECONDS")]
    duration: Option<f64>,
    /// Expect to hear this pitch for a second or longer.
    #[arg(long, value_name = "HZ")]
    expect_tone: Vec<u32>,
    /// Expect not to hear this pitch for a second or longer.
    #[arg(long, value_name = "HZ")]
    expect_no_tone: Vec<u32>,
    /// Expect the other side to press these keys.
    #[arg(long, value_name = "KEYS")]
    expect_keys: Option<String>,
    /// Expect the other side to end the call, with this status or with a reason that holds these words.
    #[arg(long, value_name = "STATUS|WORDS")]
    expect_end: Option<String>,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// `--hold`: after so many seconds, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Hold {
    after: Duration,
    lasts: Option<Duration>,
}

/// `--tone`: pitch in Hz and level in dB against a full-scale sine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Voice {
    hz: u32,
    level_db: f64,
}

const DEFAULT_SERVER: &str = "127.0.0.1:5060";
const DEFAULT_LEVEL_DB: f64 = -12.0;
/// How long a telephone rings before it is answered.
const RINGING: Duration = Duration::from_millis(500);
const CALL_FAILED: u8 = 2;

/// Makes the call and prints its report.
///
/// # Errors
/// When there was no call to make: a flag that holds no sense, no server, no port.
pub(crate) async fn run(args: PhoneArgs) -> anyhow::Result<ExitCode> {
    let server = server_of(&args)?;
    let named = named(&server);
    let clip = args.play.as_deref().map(read_wav).transpose()?;
    let telephone = match begin(&args, server).await {
        Ok(telephone) => telephone,
        Err(error) => return Ok(no_call(&error, &named)),
    };
    if telephone.answered().await.is_ok() {
        if let Some(Voice { hz, level_db }) = args.tone {
            telephone.tone(Some((hz, level_db)));
        }
        if let Some(clip) = clip {
            telephone.speak(clip);
        }
        talk(&telephone, &args).await?;
    }
    let report = telephone.hang_up().await;
    if let Some(file) = &args.record {
        write_wav(file, &report.heard)?;
    }
    let verdict = Verdict::of(&args, &named, &report);
    print(&verdict, args.json)?;
    Ok(verdict.exit_code())
}

/// Dials, or waits for a call.
async fn begin(args: &PhoneArgs, server: Target) -> anyhow::Result<Telephone> {
    let line = args.line.setup(server)?;
    let registers = line.account.as_ref().is_some_and(|account| account.register.is_some());
    if let (false, Some(number)) = (registers, &args.number) {
        let (number, from) = (number.clone(), args.from.as_deref().map(compact));
        return Telephone::place(Dial { line, number, from }).await;
    }
    let line = Line::start(line).await?;
    if registers && let Err((status, why)) = line.registered().await {
        let status = status.map(|status| format!("{status} ")).unwrap_or_default();
        bail!("not registered: {status}{why}");
    }
    if let Some(number) = &args.number {
        return line.call(number, args.from.as_deref().map(compact));
    }
    let patience = seconds_of(args.answer.unwrap_or_default());
    let called = tokio::time::timeout(patience, line.next_call()).await.context("nobody called")??;
    // A person needs a moment, and whoever confirms the ringing (PRACK) can do so before the answer overtakes it.
    tokio::time::sleep(RINGING).await;
    line.answer(&called)
}

#[expect(clippy::print_stderr, reason = "the command's own error")]
fn no_call(error: &anyhow::Error, server: &str) -> ExitCode {
    eprintln!("no call: {error:#}\n{}", remedy(server));
    ExitCode::from(CALL_FAILED)
}

/// What to do about a server that is not there.
fn remedy(server: &str) -> String {
    format!("Does a server run at {server}? Another one is named by --via ADDRESS:PORT, a demo by --data FOLDER.")
}

/// Presses the keys and stays for as long as was asked, or until the other side or the user ends the call.
async fn talk(telephone: &Telephone, args: &PhoneArgs) -> anyhow::Result<()> {
    let stay = async {
        match args.duration {
            Some(seconds) => tokio::time::sleep(seconds_of(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let keys = async {
        if let Some(keys) = &args.keys {
            tokio::time::sleep(seconds_of(args.keys_after)).await;
            telephone.press(keys).await?;
        }
        std::future::pending::<anyhow::Result<()>>().await
    };
    let hold = async {
        if let Some(Hold { after, lasts }) = args.hold {
            tokio::time::sleep(after).await;
            telephone.hold(true);
            if let Some(lasts) = lasts {
                tokio::time::sleep(lasts).await;
                telephone.hold(false);
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stay => Ok(()),
        () = hold => Ok(()),
        failed = keys => failed,
        _ = telephone.ended() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn seconds_of(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// People write numbers with spaces; the wire has none.
fn compact(number: &str) -> String {
    number.chars().filter(|sign| !matches!(sign, ' ' | '-' | '.' | '/' | '(' | ')')).collect()
}

fn server_of(args: &PhoneArgs) -> anyhow::Result<Target> {
    let server = match (&args.line.via, &args.data) {
        (Some(server), _) => server.clone(),
        (None, Some(folder)) => demo_server(folder)?,
        (None, None) => server(DEFAULT_SERVER)?,
    };
    let (host, port) = (server.host().to_owned(), server.port());
    Ok(Target { host, port, transport: args.line.transport() })
}

fn named(server: &Target) -> String {
    let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
    server.port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"))
}

fn server(text: &str) -> anyhow::Result<SipServer> {
    text.parse().map_err(anyhow::Error::msg)
}

/// The demo writes its addresses into its folder.
fn demo_server(folder: &Path) -> anyhow::Result<SipServer> {
    #[derive(serde::Deserialize)]
    struct Demo {
        sip: String,
    }
    let file = folder.join("demo.json");
    let text = std::fs::read(&file).with_context(|| format!("reading {}; is the demo running?", file.display()))?;
    let demo: Demo = serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?;
    let address = demo.sip.strip_prefix("sip:").unwrap_or(&demo.sip);
    server(address).with_context(|| format!("{}: sip: {address} is no address and port", file.display()))
}

impl FromStr for Hold {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let seconds = |text: &str| -> anyhow::Result<Duration> {
            let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            seconds.context("seconds, as in 2 or 2+3")
        };
        Ok(match text.split_once('+') {
            Some((after, lasts)) => Self { after: seconds(after)?, lasts: Some(seconds(lasts)?) },
            None => Self { after: seconds(text)?, lasts: None },
        })
    }
}

impl FromStr for Voice {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (hz, level_db) = match text.split_once('@') {
            Some((hz, level)) => (hz, level.parse().context("the level is a number of dB, as in 440@-20")?),
            None => (text, DEFAULT_LEVEL_DB),
        };
        let hz = hz.parse().context("the pitch is a whole number of Hz")?;
        if !(100..=3_400).contains(&hz) || !(-90.0..=0.0).contains(&level_db) {
            bail!("a telephone carries 100 to 3400 Hz, and levels from -90 to 0 dB");
        }
        Ok(Self { hz, level_db })
    }
}

/// What the call came to, and what was expected of it.
#[derive(Debug, Serialize)]
struct Verdict {
    answered_after_ms: Option<u128>,
    first_sound_after_ms: Option<u128>,
    packets_sent: Option<u64>,
    packets_received: Option<u64>,
    packets_lost: Option<u64>,
    jitter_ms: Option<f32>,
    /// Pitches that stood out when the call ended.
    heard_last: Vec<HeardPitch>,
    /// Keys that the other side pressed.
    keys_heard: String,
    /// Pitches that were asked for.
    listened_for: Vec<HeardVoice>,
    ended_by: &'static str,
    status: Option<u16>,
    reason: String,
    /// What was expected and did not come true; empty when all is well.
    failed: Vec<String>,
    /// What to do about a call that nobody answered.
    remedy: Option<String>,
    /// A refusal that was asked for is no failed call.
    #[serde(skip)]
    end_was_expected: bool,
}

#[derive(Debug, Serialize)]
struct HeardPitch {
    hz: u32,
    level_db: f64,
}

#[derive(Debug, Serialize)]
struct HeardVoice {
    hz: u32,
    longest_ms: u128,
    level_db: f64,
}

impl Verdict {
    fn of(args: &PhoneArgs, server: &str, report: &CallReport) -> Self {
        let own = args.tone.map(|voice| voice.hz);
        let mut asked: Vec<u32> = args.expect_tone.iter().chain(&args.expect_no_tone).copied().chain(own).collect();
        asked.sort_unstable();
        asked.dedup();
        let hearings: Vec<Hearing> = asked.iter().map(|hz| Hearing::of(&report.heard, *hz)).collect();
        let statistics = report.statistics.as_ref();
        Self {
            answered_after_ms: report.answered_after.map(|after| after.as_millis()),
            first_sound_after_ms: report.first_sound_after.map(|after| after.as_millis()),
            packets_sent: statistics.map(|counts| counts.packets_sent),
            packets_received: statistics.map(|counts| counts.packets_received),
            packets_lost: statistics.map(|counts| counts.packets_lost),
            jitter_ms: statistics.map(|counts| counts.jitter_ms),
            heard_last: pitches(&report.heard).into_iter().map(HeardPitch::from).collect(),
            keys_heard: report.keys.clone(),
            failed: failures(args, &hearings, report),
            listened_for: hearings.into_iter().map(HeardVoice::from).collect(),
            ended_by: match report.cause.by {
                EndedBy::Us => "us",
                EndedBy::Peer => "the other side",
                EndedBy::Silence => "silence",
            },
            status: report.cause.status,
            reason: report.cause.text.clone(),
            remedy: (report.answered_after.is_none() && report.cause.by == EndedBy::Silence).then(|| remedy(server)),
            end_was_expected: args.expect_end.is_some(),
        }
    }

    fn exit_code(&self) -> ExitCode {
        match (self.failed.is_empty(), self.answered_after_ms.is_some() || self.end_was_expected) {
            (false, _) => ExitCode::FAILURE,
            (true, false) => ExitCode::from(CALL_FAILED),
            (true, true) => ExitCode::SUCCESS,
        }
    }
}

fn failures(args: &PhoneArgs, hearings: &[Hearing], report: &CallReport) -> Vec<String> {
    let cause = &report.cause;
    let steady = |hz: &u32| hearings.iter().any(|hearing| hearing.hz == *hz && hearing.is_steady());
    let missing = args.expect_tone.iter().filter(|hz| !steady(hz)).map(|hz| format!("{hz} Hz was not heard"));
    let unwanted = args.expect_no_tone.iter().filter(|hz| steady(hz)).map(|hz| format!("{hz} Hz was heard"));
    let end = args
        .expect_end
        .iter()
        .filter(|expected| !is_end(cause, expected))
        .map(|expected| format!("the end was to be {expected}; it was: {cause}"));
    let keys = args
        .expect_keys
        .iter()
        .filter(|expected| **expected != report.keys)
        .map(|expected| format!("{expected} was to be keyed; it was: {}", report.keys));
    missing.chain(unwanted).chain(end).chain(keys).collect()
}

/// Whether a call that the other side ended did so with this status or these words.
fn is_end(cause: &Cause, expected: &str) -> bool {
    let by_words = || cause.text.to_lowercase().contains(&expected.to_lowercase());
    cause.by == EndedBy::Peer && (expected.parse().is_ok_and(|status: u16| cause.status == Some(status)) || by_words())
}

impl From<Pitch> for HeardPitch {
    fn from(pitch: Pitch) -> Self {
        Self { hz: pitch.hz, level_db: tenths(pitch.level_db) }
    }
}

impl From<Hearing> for HeardVoice {
    fn from(hearing: Hearing) -> Self {
        Self { hz: hearing.hz, longest_ms: hearing.longest.as_millis(), level_db: tenths(hearing.level_db) }
    }
}

fn tenths(level_db: f64) -> f64 {
    (level_db * 10.0).round() / 10.0
}

#[expect(clippy::print_stdout, reason = "the command's report is its output")]
fn print(verdict: &Verdict, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(verdict)?);
    } else {
        print!("{}", told(verdict));
    }
    Ok(())
}

/// The report for people.
fn told(verdict: &Verdict) -> String {
    let mut lines = Vec::new();
    match verdict.answered_after_ms {
        Some(ms) => lines.push(format!("answered     after {ms} ms")),
        None => lines.push("answered     no".to_owned()),
    }
    if let Some(ms) = verdict.first_sound_after_ms {
        lines.push(format!("first sound  after {ms} ms"));
    }
    if let (Some(sent), Some(received), Some(lost), Some(jitter)) =
        (verdict.packets_sent, verdict.packets_received, verdict.packets_lost, verdict.jitter_ms)
    {
        lines.push(format!("packets      {sent} sent, {received} received, {lost} lost, jitter {jitter:.1} ms"));
    }
    for voice in &verdict.listened_for {
        let seconds = voice.longest_ms / 100;
        lines.push(format!(
            "{:<12} {}.{} s at {:.1} dB",
            format!("{} Hz", voice.hz),
            seconds / 10,
            seconds % 10,
            voice.level_db
        ));
    }
    if !verdict.heard_last.is_empty() {
        let pitches = verdict.heard_last.iter().map(|pitch| format!("{} Hz {:.1} dB", pitch.hz, pitch.level_db));
        lines.push(format!("heard last   {}", pitches.collect::<Vec<_>>().join(", ")));
    }
    if !verdict.keys_heard.is_empty() {
        lines.push(format!("keys heard   {}", verdict.keys_heard));
    }
    let status = verdict.status.map(|status| format!(", {status}")).unwrap_or_default();
    let reason = if verdict.reason.is_empty() { String::new() } else { format!(", {}", verdict.reason) };
    lines.push(format!("ended        by {}{status}{reason}", verdict.ended_by));
    lines.extend(verdict.failed.iter().map(|failed| format!("FAILED       {failed}")));
    lines.extend(verdict.remedy.clone());
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        phone: PhoneArgs,
    }

    /// The verdict on a call that ended like this, with these flags.
    fn verdict(flags: &[&str], answered: bool, by: EndedBy, status: Option<u16>) -> Verdict {
        let args = Command::parse_from(["phone", "88"].iter().chain(flags)).phone;
        let report = CallReport {
            answered_after: answered.then_some(Duration::from_millis(3)),
            first_sound_after: None,
            cause: Cause { by, status, text: String::new() },
            statistics: None,
            keys: String::new(),
            heard: Vec::new(),
        };
        Verdict::of(&args, DEFAULT_SERVER, &report)
    }

    #[test]
    fn the_exit_status_tells_a_failed_expectation_from_no_call() {
        for (flags, answered, by, status, code) in [
            (&[][..], true, EndedBy::Us, None, ExitCode::SUCCESS),
            (&["--expect-no-tone", "440"], true, EndedBy::Peer, None, ExitCode::SUCCESS),
            (&["--expect-end", "403"], false, EndedBy::Peer, Some(403), ExitCode::SUCCESS),
            (&["--expect-tone", "440"], true, EndedBy::Us, None, ExitCode::FAILURE),
            (&["--expect-end", "403"], false, EndedBy::Peer, Some(503), ExitCode::FAILURE),
            (&["--expect-end", "403"], false, EndedBy::Silence, None, ExitCode::FAILURE),
            (&[], false, EndedBy::Peer, Some(503), ExitCode::from(CALL_FAILED)),
            (&[], false, EndedBy::Silence, None, ExitCode::from(CALL_FAILED)),
        ] {
            assert_eq!(verdict(flags, answered, by, status).exit_code(), code, "{flags:?} {by:?} {status:?}");
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_named_with_what_to_do() {
        let told = told(&verdict(&[], false, EndedBy::Silence, None));
        assert!(told.contains("127.0.0.1:5060") && told.contains("--via"), "{told}");
        assert!(!super::told(&verdict(&[], false, EndedBy::Peer, Some(503))).contains("--via"));
    }

    #[test]
    fn a_tone_has_a_pitch_and_a_level() {
        assert_eq!("440".parse::<Voice>().unwrap(), Voice { hz: 440, level_db: -12.0 });
        assert_eq!("1000@-20".parse::<Voice>().unwrap(), Voice { hz: 1_000, level_db: -20.0 });
        for wrong in ["", "a", "440@", "9000", "440@3"] {
            assert!(wrong.parse::<Voice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_end_is_known_by_status_or_words_and_only_from_the_other_side() {
        let cause = |by, status, text: &str| Cause { by, status, text: text.to_owned() };
        assert!(is_end(&cause(EndedBy::Peer, Some(403), "Forbidden"), "403"));
        assert!(is_end(&cause(EndedBy::Peer, None, "The line closes"), "line closes"));
        assert!(!is_end(&cause(EndedBy::Us, None, "line closes"), "line closes"));
        assert!(!is_end(&cause(EndedBy::Peer, Some(486), "Busy"), "403"));
    }

    #[test]
    fn a_hold_has_a_beginning_and_perhaps_an_end() {
        let seconds = Duration::from_secs;
        assert_eq!("2".parse::<Hold>().unwrap(), Hold { after: seconds(2), lasts: None });
        assert_eq!("2+3".parse::<Hold>().unwrap(), Hold { after: seconds(2), lasts: Some(seconds(3)) });
        assert!("x".parse::<Hold>().is_err() && "-1".parse::<Hold>().is_err());
    }

    #[test]
    fn a_telephone_dials_or_waits() {
        for line in [&["phone"][..], &["phone", "88", "--answer", "5"], &["phone", "88", "--register"]] {
            assert!(Command::try_parse_from(line).is_err(), "{line:?}");
        }
        for line in [
            &["phone", "88", "--via", "sip.example.com"][..],
            &["phone", "--answer", "5", "--register", "--user", "100", "--password-file", "f", "--codec", "opus,PCMA"],
        ] {
            Command::try_parse_from(line).unwrap();
        }
    }
}
