//! When to end: what the operating system or the parent asks for.

use tokio::signal::unix::{SignalKind, signal};

/// Returns at SIGTERM or SIGINT.
///
/// # Errors
/// When no handler can be set.
pub async fn shutdown_asked() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
