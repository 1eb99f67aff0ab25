//! `dialroom serve`: connector and mixer side by side, kept running until somebody ends it.

use std::path::PathBuf;

use anyhow::Context as _;
use dialroom_host::shutdown_asked;
use dialroom_settings::Settings;

use crate::children::{Kept, Program};

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = "dialroom.toml")]
    settings: PathBuf,
}

/// Runs until SIGINT or SIGTERM. Settings are read once before anything starts: with a mistake in them, nothing does.
///
/// # Errors
/// When the settings have problems, or a program cannot be started at all.
pub(crate) async fn run(arguments: ServeArgs) -> anyhow::Result<()> {
    let settings = std::path::absolute(&arguments.settings).context("no current folder")?;
    drop(Settings::load(&settings)?);
    let program = |name| Program { name, arguments: vec!["--settings".into(), settings.clone().into()], log: None };
    let started = |name: &'static str| move |pid: u32| tracing::info!(program = name, pid, "started");
    let mixer = Kept::start(program("mixer"), started("mixer"))?;
    let connector = Kept::start(program("connector"), started("connector"))?;
    let asked = shutdown_asked().await.context("signals cannot be heard");
    // The connector first: it still hands over what it has decided.
    connector.end().await;
    mixer.end().await;
    asked
}
