//! The settings of the moment: read again when the file changes or on SIGHUP.
//!
//! A file with a mistake changes nothing; every mistake is logged. What a running program cannot change is named.

use std::path::PathBuf;
use std::sync::Arc;

use dialroom_host::FileWatch;
use dialroom_settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Follows the file until nobody reads the settings any more.
pub(crate) async fn follow(file: PathBuf, sender: watch::Sender<Arc<Settings>>) {
    let mut changes = FileWatch::new(file.clone());
    let mut hang_up = signal(SignalKind::hangup()).ok();
    while !sender.is_closed() {
        tokio::select! {
            () = changes.changed() => {}
            () = async {
                match &mut hang_up {
                    Some(hang_up) => drop(hang_up.recv().await),
                    None => std::future::pending().await,
                }
            } => {}
        }
        match Settings::load(&file) {
            Ok(read) => {
                let held = Arc::clone(&sender.borrow());
                for key in needs_restart(&held, &read) {
                    tracing::warn!(key, "this change takes effect at the next start");
                }
                tracing::info!("settings read again");
                sender.send_replace(Arc::new(read));
            }
            Err(problems) => tracing::error!(%problems, "settings have mistakes, the former stay"),
        }
    }
}

/// Keys that were changed and that only a start takes up.
fn needs_restart(held: &Settings, read: &Settings) -> Vec<&'static str> {
    let tenant = |settings: &Settings| {
        settings.graph.as_ref().map(|graph| {
            let urls = (graph.login_url.clone(), graph.base_url.clone());
            (urls, graph.tenant.clone(), graph.client_id.clone(), graph.client_secret_file.clone())
        })
    };
    let http = |settings: &Settings| (settings.http.listen, settings.http.token_file.clone());
    let hand_off = |settings: &Settings| (settings.hand_off.url.clone(), settings.hand_off.token_file.clone());
    let mut keys = Vec::new();
    if tenant(held) != tenant(read) {
        keys.push("graph.login_url, base_url, tenant, client_id or client_secret_file");
    }
    if http(held) != http(read) {
        keys.push("http.listen or token_file");
    }
    if hand_off(held) != hand_off(read) {
        keys.push("handoff.url or token_file");
    }
    if held.store.data != read.store.data {
        keys.push("store.data");
    }
    keys
}
