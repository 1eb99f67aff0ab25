//! `dialroom bench`: how many calls a conference server carries, and how they sound.
//!
//! A load generator for any SIP server, for a mixer that it starts itself, and for the AudioBridge of Janus. SIP is
//! `mixer_service::sip`'s; the sound is made and heard by code of few instructions, for a bench must not need more than what
//! it measures. Beside the server it measures two bare UDP echoes, on the same core and in the same minute: what the figures
//! of one machine say on another one is told by the ratio to those alone.

mod calls;
mod child;
mod codec;
mod echo;
mod figures;
mod folder;
mod histogram;
mod janus;
mod load;
mod options;
mod own_mixer;
mod ports;
mod process;
mod report;
mod sound;
mod tones;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use mixer_service::sip::Codec;
use serde_json::json;
use tokio::sync::watch;

use self::calls::SipCalls;
use self::child::Server as Child;
use self::echo::{EchoArgs, Style};
use self::figures::{Figures, Window};
use self::janus::Janus;
use self::load::{Carrier, Counts, TALK_BEFORE, asked_to_stop, measure};
pub(crate) use self::options::BenchArgs;
use self::options::{Plan, Server};
use self::own_mixer::OwnMixer;
use self::ports::Ports;
use self::process::Snapshot;
use self::sound::{Keys, Line, Seating, Sound};

/// `dialroom bench` and what stands below it.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct BenchCommand {
    #[command(subcommand)]
    action: Option<BenchAction>,
    #[command(flatten)]
    arguments: BenchArgs,
}

#[derive(Debug, clap::Subcommand)]
enum BenchAction {
    /// The bare echoes that a server is compared with
    Echo(EchoArgs),
}

/// Measures and prints.
///
/// # Errors
/// When an option is out of its bounds, a server does not start or nothing can be called.
pub(crate) async fn run(command: BenchCommand) -> anyhow::Result<ExitCode> {
    if let Some(BenchAction::Echo(arguments)) = command.action {
        echo::run(&arguments)?;
        return Ok(ExitCode::SUCCESS);
    }
    let plan = command.arguments.plan()?;
    let janus = if plan.janus_prebuffers.is_empty() { None } else { Some(janus::installed()?) };
    let files_of_a_leg = if janus.is_some() { janus::LEG_FILES } else { ports::LEG_SOCKETS };
    ports::allow_sockets(plan.seating.legs, files_of_a_leg)?;
    if let Some(cores) = &plan.cores.calls {
        process::keep_on(std::process::id(), cores)?;
    }
    let (stopper, mut stop) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            // Nobody listens any more when the bench is over.
            let _ = stopper.send(true);
        } else {
            std::future::pending::<()>().await;
        }
    });
    let mut runs = Vec::new();
    if plan.echoes {
        for style in [Style::Sockets, Style::Shared] {
            if !*stop.borrow() {
                runs.push(against_echo(&plan, style, &mut stop).await?);
            }
        }
    }
    if !*stop.borrow() {
        runs.push(match &plan.server {
            Some(server) => against(&plan, "server", server, &mut stop).await?,
            None => against_own_mixer(&plan, &mut stop).await?,
        });
    }
    for prebuffer in &plan.janus_prebuffers {
        if let Some(program) = janus.as_ref().filter(|_| !*stop.borrow()) {
            runs.push(against_janus(&plan, program, *prebuffer, &mut stop).await?);
        }
    }
    print(&runs, command.arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

fn print(runs: &[Figures], as_json: bool) -> anyhow::Result<()> {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    let mut out = std::io::stdout().lock();
    if as_json {
        let (echoes, _): (Vec<_>, Vec<_>) = (0..runs.len()).partition(|run| runs[*run].seating.echo);
        let echoes = &runs[..echoes.len()];
        let all: Vec<_> = runs.iter().map(|run| run.json(echoes)).collect();
        writeln!(out, "{:#}", json!({ "load_average": load, "runs": all }))?;
    } else {
        write!(out, "{}", report::table(runs, &load))?;
    }
    Ok(())
}

/// Loads an echo, which everybody hears himself from.
async fn against_echo(plan: &Plan, style: Style, stop: &mut watch::Receiver<bool>) -> anyhow::Result<Figures> {
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let legs = plan.seating.legs.to_string();
    let arguments = ["bench", "echo", "--style", style.as_str(), "--legs", &legs];
    let mut echo = Child::start(plan.cores.server, |command| {
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit());
    })?;
    let mut line = String::new();
    let told = echo.child.stdout.take().context("the echo says nothing")?;
    BufReader::new(told).read_line(&mut line).context("the echo says nothing")?;
    let there: Vec<u16> = serde_json::from_str(&line).context("the echo does not start")?;
    let seating = Seating { echo: true, ..plan.seating };
    let name = format!("echo, {}", if style == Style::Sockets { "a socket per leg" } else { "one socket" });
    progress(&format!("{name}: {} s", plan.seconds));
    let mut sound = Sound::start(seating, Codec::Pcma, plan.sound_threads())?;
    let (idle, mut ports) = (Snapshot::take(echo.pid())?, Ports::new(local));
    for (leg, port) in there.into_iter().enumerate() {
        let (socket, _) = ports.pair()?;
        socket.connect((local, port))?;
        let line = Line { socket, rtcp: None, payload_type: 8, event_type: None, keys: Keys::default() };
        sound.add(leg, line)?;
    }
    sound.talk();
    pause(TALK_BEFORE, stop).await;
    let window = Window::open(&sound, Some(echo.pid()))?;
    pause(Duration::from_secs(plan.seconds.into()), stop).await;
    let spent = window.close(&sound, Some(&idle))?;
    let calls = Counts { up: seating.legs, ..Counts::default() };
    Ok(Figures { name, seating, calls, spent, sound: sound.finish() })
}

async fn against_own_mixer(plan: &Plan, stop: &mut watch::Receiver<bool>) -> anyhow::Result<Figures> {
    let mixer = OwnMixer::start(plan.cores.server, plan.shared_port).await?;
    mixer.book(plan.first_room, plan.seating.rooms).await?;
    let server = Server {
        address: mixer.sip,
        local: mixer.sip.ip(),
        pid: Some(mixer.server.pid()),
        number: format!("{}{{room}}", own_mixer::NUMBER),
        from: Some(format!("{}{{room}}", own_mixer::OWN_NUMBERS)),
    };
    let name = if plan.shared_port { "dialroom mixer, one port" } else { "dialroom mixer" };
    against(plan, name, &server, stop).await
}

/// Loads a SIP server.
async fn against(
    plan: &Plan,
    name: &str,
    server: &Server,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Figures> {
    if let (Some(pid), Some(core), Some(_)) = (server.pid, plan.cores.server, &plan.server) {
        process::keep_on(pid, &[core])?;
    }
    let idle = |pid| anyhow::Ok((pid, Snapshot::take(pid)?));
    let carrier = Carrier {
        name: name.to_owned(),
        place: server.address.to_string(),
        local: server.local,
        process: server.pid.map(idle).transpose()?,
    };
    measure(plan, carrier, SipCalls::new(plan, server).await?, stop).await
}

/// Loads the AudioBridge of a Janus, whose participants wait for so many packets.
async fn against_janus(
    plan: &Plan,
    program: &Path,
    prebuffer: u32,
    stop: &mut watch::Receiver<bool>,
) -> anyhow::Result<Figures> {
    let janus = Janus::start(plan.cores.server, program).await?;
    let carrier = Carrier {
        name: format!("Janus {}, prebuffer {prebuffer}", janus.version),
        place: format!("{} ({})", janus.address, program.display()),
        local: janus.address.ip(),
        // Before its rooms, for they are threads and codecs; one of ours is but a booking until the first call.
        process: Some((janus.pid(), Snapshot::take(janus.pid())?)),
    };
    let measured = async {
        let calls = janus.open_rooms(plan, prebuffer).await?;
        measure(plan, carrier, calls, stop).await
    };
    measured.await.with_context(|| format!("Janus; the end of its log:\n{}", janus.log_end()))
}

/// Waits so long, or until it is time to stop.
async fn pause(duration: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = asked_to_stop(stop) => {}
        () = tokio::time::sleep(duration) => {}
    }
}

#[expect(clippy::print_stderr, reason = "a bench takes long, and its table stands alone on standard output")]
fn progress(words: &str) {
    eprintln!("{words}");
}
