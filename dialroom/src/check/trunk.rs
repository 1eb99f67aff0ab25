//! `dialroom check trunk`: goes the whole way to a telephone system and says, step by step, what works and what to do.
//!
//! What is asked of the network is asked by `mixer_service::trial`; here are the order of the questions and the words.

mod paper;
mod remedy;
mod words;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use dialroom_host::Clock;
use dialroom_settings::{Settings, SipServer, Trunk};
use mixer_service::sip::{PeerId, Transport};
use mixer_service::trial::Trial;
use mixer_service::trunks::{peer_id, setup, target};

use super::report::{Outcome, Report, Step};

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TrunkArgs {
    /// The trunk to check; without a name, every trunk
    name: Option<String>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Checks the trunks and prints the report; the exit status is 1 when a step failed.
///
/// # Errors
/// When the settings cannot be used, or name no such trunk.
#[expect(clippy::print_stdout, reason = "the report is the command's output")]
pub(crate) async fn run(file: &Path, arguments: &TrunkArgs) -> anyhow::Result<ExitCode> {
    let settings = Arc::new(Settings::load(file)?);
    let mut reports = Vec::new();
    for trunk in chosen(&settings, arguments.name.as_deref())? {
        let report = examine(&settings, trunk).await;
        if !arguments.json {
            println!("{report}");
        }
        reports.push(report);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    Ok(if reports.iter().all(Report::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen<'a>(settings: &'a Settings, name: Option<&str>) -> anyhow::Result<Vec<&'a Trunk>> {
    let chosen: Vec<_> = settings.trunks.iter().filter(|trunk| name.is_none_or(|name| trunk.name == name)).collect();
    if chosen.is_empty() {
        let known: Vec<_> = settings.trunks.iter().map(|trunk| format!("{:?}", trunk.name)).collect();
        match name {
            Some(name) if !known.is_empty() => bail!("no trunk has the name {name:?}; there are {}", known.join(", ")),
            _ => bail!("the settings have no [[trunk]]; mixer-service/trunks has examples"),
        }
    }
    Ok(chosen)
}

async fn examine(settings: &Arc<Settings>, trunk: &Trunk) -> Report {
    let mut steps = vec![paper::step(settings, trunk)];
    match (&trunk.server, peer_id(settings, &trunk.name)) {
        (Some(server), Some(peer)) => ask(settings, trunk, server, peer, &mut steps).await,
        (None, _) | (_, None) => {
            let why = "the trunk has no server: it calls us, and we know no way back; name server to have it tried";
            steps.extend(
                ["DNS", "transport", "OPTIONS", "registration", "test call"].map(|step| Step::skipped(step, why)),
            );
        }
    }
    Report { trunk: trunk.name.clone(), steps, callers: super::who_gets_in(settings, trunk) }
}

/// All that needs the network. A step that cannot be without an earlier one is skipped when that failed.
async fn ask(settings: &Arc<Settings>, trunk: &Trunk, server: &SipServer, peer: PeerId, steps: &mut Vec<Step>) {
    let sound = (settings.media.rtp_ports, settings.media.dscp);
    let mut trial = match Trial::start(setup(settings), peer, sound, trunk.in_band_digits).await {
        Ok(trial) => trial,
        Err(why) => {
            let remedy = "sip.listen must be addresses of this machine, and the files of [sip.tls] fit each other";
            return steps.push(Step::failed("start", format!("{why:#}"), remedy));
        }
    };
    let reached = way(&trial, trunk, server, steps).await;
    let Some(place) = reached else {
        let why = "there is no way to the server";
        steps.extend(["OPTIONS", "registration", "test call"].map(|step| Step::skipped(step, why)));
        return trial.finish().await;
    };
    steps.push(words::options(&trial.options(target(server, trunk.transport)).await));
    let registration = registration(&mut trial, trunk).await;
    let may_call = registration.outcome != Outcome::Failed;
    steps.push(registration);
    steps.push(if may_call {
        test_call(&mut trial, settings, trunk, place).await
    } else {
        Step::skipped("test call", "a trunk that is not registered carries no call")
    });
    trial.finish().await;
}

/// Name and connection: where the first hop of a request is.
async fn way(trial: &Trial, trunk: &Trunk, server: &SipServer, steps: &mut Vec<Step>) -> Option<SocketAddr> {
    let hop = trunk.outbound_proxy.as_ref().unwrap_or(server);
    let wanted = target(hop, trunk.transport).transport;
    let places = trial.endpoint().look_up(hop.host(), hop.port(), Some(wanted)).await;
    steps.push(words::names(hop, &places));
    let Some(&(transport, first)) = places.first() else {
        steps.push(Step::skipped("transport", "the server has no address"));
        return None;
    };
    if transport == Transport::Udp {
        let told = format!("UDP to {first} needs no connection; OPTIONS tells whether anybody is there");
        steps.push(Step::passed("transport", told));
        return Some(first);
    }
    // As a call would: the next place where one does not answer.
    let mut last = None;
    for &(transport, place) in &places {
        match trial.endpoint().reach(transport, place, hop.host()).await {
            Ok(reached) => {
                steps.push(words::reached(transport, place, &reached, Clock::real().wall()));
                return Some(place);
            }
            Err(why) => last = Some((place, why)),
        }
    }
    let (place, why) = last?;
    steps.push(words::not_reached(transport, place, &why));
    None
}

async fn registration(trial: &mut Trial, trunk: &Trunk) -> Step {
    if !trunk.register {
        return Step::skipped("registration", "register = false");
    }
    if !trial.holds_our_ports() {
        let why = "the mixer runs and keeps its own registration; its log and /metrics (sip_registrations) tell of it";
        return Step::skipped("registration", why);
    }
    words::registration(&trial.registered().await)
}

async fn test_call(trial: &mut Trial, settings: &Settings, trunk: &Trunk, place: SocketAddr) -> Step {
    let number = own_number(settings, trunk);
    let ours = trial.holds_our_ports();
    words::test_call(&number, ours, &trial.call(&number, place).await)
}

/// Our number as the other side knows it: what the trunk says, else the number outside for a trunk that is registered
/// elsewhere, else the one inside.
fn own_number(settings: &Settings, trunk: &Trunk) -> String {
    let outside = || {
        let written = settings.dial_in.external_number.as_deref().filter(|_| trunk.register)?;
        Some(written.chars().filter(|sign| sign.is_ascii_digit() || *sign == '+').collect())
    };
    trunk.numbers.first().cloned().or_else(outside).unwrap_or_else(|| settings.dial_in.number.clone())
}

#[cfg(test)]
mod tests;
