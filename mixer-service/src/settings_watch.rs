//! Looks whether the settings file was changed, and hands on what is good in it. Calls notice nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dialroom_host::FileWatch;
use dialroom_settings::Settings;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::metrics::Metrics;

/// Reads the file at `path` again when `file` tells a change, and at SIGHUP, until nobody listens any more. A file with
/// problems is told in the log, line by line, and changes nothing.
///
/// # Errors
/// When no handler for SIGHUP can be set.
pub(crate) async fn watch(
    path: PathBuf,
    mut file: FileWatch,
    settings: watch::Sender<Arc<Settings>>,
    metrics: Arc<Metrics>,
) -> std::io::Result<()> {
    let mut asked = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            () = settings.closed() => return Ok(()),
            () = file.changed() => {}
            _ = asked.recv() => {}
        }
        match read(&path) {
            Ok(new) => {
                for key in keys_that_need_a_restart(&settings.borrow(), &new) {
                    tracing::warn!(key, "changed in the settings; takes effect when the mixer is started again");
                }
                tracing::info!(file = %path.display(), "settings read again");
                settings.send_replace(Arc::new(new));
            }
            Err(why) => {
                metrics.settings_refused.raise();
                tracing::error!("the changed settings are not used:\n{why}");
            }
        }
    }
}

/// Reads a settings file.
///
/// # Errors
/// When it cannot be read, or has problems: all of them.
pub(crate) fn read(path: &Path) -> anyhow::Result<Settings> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| anyhow::anyhow!("the settings file {} cannot be read: {why}", path.display()))?;
    Ok(Settings::read(path, &text)?)
}

/// Keys that are looked at once, at start.
fn keys_that_need_a_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let keys = [
        ("sip.listen", old.sip.listen != new.sip.listen),
        ("sip.tls_listen", old.sip.tls_listen != new.sip.tls_listen),
        ("sip.tls", old.sip.tls != new.sip.tls),
        ("media.rtp_ports", old.media.rtp_ports != new.media.rtp_ports),
        ("media.dscp", old.media.dscp != new.media.dscp),
        ("store.data", old.store.data != new.store.data),
        ("handoff.listen", old.hand_off.listen != new.hand_off.listen),
        ("handoff.token_file", old.hand_off.token_file != new.hand_off.token_file),
        ("prompts.folder", old.prompts.folder != new.prompts.folder),
        ("prompts.names", old.prompts.names != new.prompts.names),
        ("conference.music_on_hold", old.conference.music_on_hold != new.conference.music_on_hold),
    ];
    keys.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_needs_a_restart_says_so() {
        let read = |text| Settings::read(Path::new("/etc/dialroom.toml"), text).unwrap();
        let old = read("[dial_in]\nnumber = \"88\"\n");
        let new =
            read("[dial_in]\nnumber = \"89\"\n[sip]\nlisten = [\"127.0.0.1:5070\"]\n[conference]\nenabled = false\n");
        assert_eq!(keys_that_need_a_restart(&old, &new), ["sip.listen"]);
        assert!(keys_that_need_a_restart(&old, &old).is_empty());
    }
}
