//! The command of Dialroom: reads the command line and hands over. Without an argument it runs the demo.

mod api;
#[cfg(target_os = "linux")]
mod bench;
mod book;
mod check;
mod children;
mod demo;
mod http;
mod list;
mod phone;
mod serve;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use dialroom_host::{Clock, start_logs};

/// You book a meeting; Dialroom gives it a telephone line.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: demo::DemoArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: a simulated company on this machine (also without any argument)
    Demo(DemoCommand),
    /// Run the product: connector and mixer, restarted should they fail
    Serve(serve::ServeArgs),
    /// Read the settings and what they name; say what is wrong and who gets in without a PIN
    Check(check::CheckArgs),
    /// Watch calendars, allocate, invite, hand over
    Connector(ChildArgs),
    /// Answer calls, ask for PINs, mix
    Mixer(ChildArgs),
    /// Book a conference that no calendar knows
    Book(book::BookArgs),
    /// List what is booked
    List(list::ListArgs),
    /// Show what was said on the wire in a call, with secrets hidden
    Trace(trace::TraceArgs),
    /// A telephone on the command line
    Phone(Box<phone::PhoneArgs>),
    /// Measure how many calls a conference server carries, and how they sound
    #[cfg(target_os = "linux")]
    Bench(Box<bench::BenchCommand>),
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct DemoCommand {
    #[command(subcommand)]
    command: Option<DemoAction>,
    #[command(flatten)]
    arguments: demo::DemoArgs,
}

#[derive(Debug, Subcommand)]
enum DemoAction {
    /// Move the running demo's time forward: +90s, +5m, +2h, +1d
    Clock {
        #[arg(allow_hyphen_values = true)]
        by: String,
        /// Data folder of the demo that is meant
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

/// How a program of the pair is started.
#[derive(Debug, clap::Args)]
struct ChildArgs {
    /// The settings file
    #[arg(long, value_name = "FILE", default_value = "dialroom.toml")]
    settings: PathBuf,
    /// File with milliseconds that time runs ahead; the demo's
    #[arg(long, value_name = "FILE", hide = true)]
    clock_offset: Option<PathBuf>,
    /// Where the demo process answers
    #[arg(long, value_name = "URL", hide = true)]
    demo: Option<String>,
    /// End when standard input closes: the parent is gone
    #[arg(long, hide = true)]
    with_parent: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments).await {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command speaks to people")]
fn complain(error: &anyhow::Error) {
    eprintln!("{}: {error:#}", Arguments::command().get_name());
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        None => run_demo(arguments.demo).await?,
        Some(Command::Demo(DemoCommand { command: None, arguments })) => run_demo(arguments).await?,
        Some(Command::Demo(DemoCommand { command: Some(DemoAction::Clock { by, data }), .. })) => {
            say(&format!("It is now {} in the demo.", demo::advance(data, &by).await?));
        }
        Some(Command::Serve(arguments)) => {
            start_logs("info");
            serve::run(arguments).await?;
        }
        Some(Command::Check(arguments)) => return check::run(&arguments).await,
        Some(Command::Connector(arguments)) => {
            let clock = child(&arguments)?;
            let demo = arguments.demo.map(|url| connector::DemoLink { url });
            connector::run(connector::Options { settings: arguments.settings, clock, demo }).await?;
        }
        Some(Command::Mixer(arguments)) => {
            let clock = child(&arguments)?;
            mixer_service::run(mixer_service::Options { settings: arguments.settings, clock }).await?;
        }
        Some(Command::Book(arguments)) => book::run(arguments).await?,
        Some(Command::List(arguments)) => list::run(arguments).await?,
        Some(Command::Trace(arguments)) => trace::run(arguments).await?,
        Some(Command::Phone(arguments)) => {
            start_logs("warn");
            return phone::run(*arguments).await;
        }
        #[cfg(target_os = "linux")]
        Some(Command::Bench(command)) => {
            start_logs("warn");
            return bench::run(*command).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn run_demo(arguments: demo::DemoArgs) -> anyhow::Result<()> {
    start_logs("warn");
    demo::run(arguments).await
}

/// What both programs of the pair do first.
fn child(arguments: &ChildArgs) -> anyhow::Result<Clock> {
    start_logs("info");
    if arguments.with_parent {
        children::end_with_parent()?;
    }
    Ok(arguments.clock_offset.clone().map_or_else(Clock::real, Clock::following))
}

#[expect(clippy::print_stdout, reason = "the command speaks to people")]
fn say(words: &str) {
    println!("{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_demo_runs_with_or_without_its_name() {
        for line in [
            &["dialroom", "--empty"][..],
            &["dialroom", "demo", "--empty"],
            &["dialroom"],
            &["dialroom", "demo", "clock", "+5m"],
        ] {
            Arguments::try_parse_from(line).unwrap();
        }
        assert!(Arguments::try_parse_from(["dialroom", "demo", "--http", "nowhere"]).is_err());
    }
}
