//! The demo: connector and mixer on loopback, with a simulated Microsoft 365 tenant, a mailbox and a page in this process.

mod banner;
mod calendar;
mod clock;
mod endpoints;
mod folder;
mod link;
mod mailbox;
mod page;
mod people;
mod settings;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use dialroom_host::{Clock, shutdown_asked};
use graph_simulator::{Simulator, SimulatorOptions};

use crate::children::{Kept, Program};
use crate::demo::clock::DemoClock;
use crate::demo::endpoints::{Endpoints, Wishes};
use crate::demo::folder::Folder;
use crate::demo::link::{DemoFile, Link};
use crate::demo::mailbox::Mailbox;

pub(crate) use crate::demo::clock::advance;
pub(crate) use crate::demo::link::find as find_demo;

/// Time in which all parts have to answer after their start.
const START_TIME: Duration = Duration::from_secs(60);
/// How often a part is asked whether it is ready.
const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// Folder for everything the demo keeps [default: dialroom-demo in your data folder]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    wishes: Wishes,
    /// Start without sample meetings
    #[arg(long)]
    empty: bool,
}

/// Runs until SIGINT or SIGTERM.
pub(crate) async fn run(arguments: DemoArgs) -> anyhow::Result<()> {
    let asked = shutdown_asked();
    tokio::pin!(asked);
    let folder = Folder::open(arguments.data)?;
    let endpoints = Endpoints::choose(&arguments.wishes)?;
    let addresses = endpoints.addresses;
    let clock = Arc::new(DemoClock::start(&folder.clock_offset())?);
    let mailbox = Mailbox::open(&folder.mails(), Arc::clone(&clock) as _)?;
    let sink = tokio::spawn(mailbox::serve(endpoints.smtp, mailbox.clone()));
    let link = Link::new(addresses, &folder)?;
    let mut options = SimulatorOptions::new(Arc::clone(&clock) as _);
    options.listener = Some(endpoints.graph);
    options.beside = page::router(link.clone(), mailbox, Arc::clone(&clock))?;
    let simulator = Simulator::start(options).await.context("the simulated tenant cannot start")?;
    settings::write(&folder, &addresses, &simulator)?;
    people::record_names(&folder.names())?;

    let file = DemoFile::new(&folder, &addresses, &simulator, &link);
    file.write()?;
    let mut arguments_of_both: Vec<OsString> = vec!["--settings".into(), folder.settings().into()];
    arguments_of_both.extend(["--clock-offset".into(), folder.clock_offset().into()]);
    let program = |name: &'static str, more: Vec<OsString>| Program {
        name,
        arguments: arguments_of_both.iter().cloned().chain(more).collect(),
        log: Some(folder.log(name)),
    };
    let keep = |program: Program| {
        let (file, name) = (file.clone(), program.name);
        Kept::start(program, move |pid| file.set_pid(name, pid))
    };
    let mixer = keep(program("mixer", Vec::new()))?;
    let connector = keep(program("connector", vec!["--demo".into(), simulator.base_url.clone().into()]))?;

    let outcome = async {
        tokio::select! {
            ready = all_ready(&link) => ready.with_context(|| format!("see the logs in {}", folder.path().display()))?,
            asked = &mut asked => return asked.context("signals cannot be heard"),
        }
        if !arguments.empty {
            calendar::book_samples(&simulator.base_url, clock.wall()).await.context("no sample meetings")?;
        }
        banner::print(&folder, &addresses, &endpoints.moved)?;
        asked.await.context("signals cannot be heard")
    }
    .await;
    // The connector first: it still hands over what it has decided.
    connector.end().await;
    mixer.end().await;
    sink.abort();
    drop(simulator);
    outcome
}

/// Asks connector and mixer until both answer.
async fn all_ready(link: &Link) -> anyhow::Result<()> {
    let clock = Clock::real();
    let deadline = clock.instant() + START_TIME;
    for (name, url) in
        [("mixer", format!("{}/readyz", link.control_url)), ("connector", format!("{}/readyz", link.http_url))]
    {
        loop {
            let answer = link.http.get(&url).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                break;
            }
            if clock.instant() >= deadline {
                bail!("the {name} does not get ready at {url}");
            }
            tokio::time::sleep(ASK_INTERVAL).await;
        }
    }
    Ok(())
}
