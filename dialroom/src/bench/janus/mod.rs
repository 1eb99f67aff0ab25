//! The AudioBridge of Janus (<https://janus.conf.meetecho.com/docs/audiobridge>) to be measured beside a mixer of ours.
//!
//! It speaks no SIP: rooms are made, and legs join them as participants over plain RTP, through its HTTP API. The program is
//! the system's own, with settings of the bench: this one plug-in and this one transport, on loopback alone.

mod answer;
mod api;
mod legs;

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};

use self::api::{Api, Session};
use self::legs::Legs;
use super::child::Server;
use super::folder::Folder;
use super::options::Plan;
use super::ports::{self, free_address};

/// Files and sockets that Janus holds for a participant: one for sound, a pipe to its thread, and one to spare.
pub(super) const LEG_FILES: u64 = 4;
/// Time to be ready; it makes a key and a certificate first.
const READY: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// Below the ports that legs take; one in two for each of the most legs that there can be.
const RTP_PORTS: (u16, u16) = (10_000, ports::FIRST - 1);
/// What Debian installs beside the AudioBridge and HTTP.
const OTHER_PLUGINS: &str = "libjanus_duktape.so,libjanus_echotest.so,libjanus_lua.so,libjanus_nosip.so,\
                             libjanus_recordplay.so,libjanus_sip.so,libjanus_streaming.so,libjanus_textroom.so,\
                             libjanus_videocall.so,libjanus_videoroom.so,libjanus_voicemail.so";
const OTHER_TRANSPORTS: &str = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,libjanus_rabbitmq.so,\
                                libjanus_websockets.so";

/// Where the program is installed.
///
/// # Errors
/// When it is not; the package is named.
pub(super) fn installed() -> anyhow::Result<PathBuf> {
    find_in(&std::env::var_os("PATH").unwrap_or_default())
}

fn find_in(path: &OsStr) -> anyhow::Result<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join("janus")).find(|file| file.is_file()).context(
        "--janus: no program of the name janus is in PATH; install it (on Debian the package janus: apt-get install janus)",
    )
}

/// A Janus that runs. Ends when dropped.
#[derive(Debug)]
pub(super) struct Janus {
    server: Server,
    /// Of its HTTP API.
    pub(super) address: SocketAddr,
    /// As it tells.
    pub(super) version: String,
    api: Api,
    folder: Folder,
}

impl Janus {
    /// Starts it on this core, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; the end of its log is told.
    pub(super) async fn start(core: Option<usize>, program: &Path) -> anyhow::Result<Self> {
        let (folder, address) = (Folder::make()?, free_address()?);
        for (name, text) in settings(address) {
            fs::write(folder.path().join(name), text).context("the settings of Janus cannot be written")?;
        }
        let (out, err) = (folder.make_log()?, folder.add_to_log()?);
        let mut command = Command::new(program);
        command.arg("--configs-folder").arg(folder.path()).stdout(Stdio::from(out)).stderr(Stdio::from(err));
        let mut server = Server::start_other(core, &mut command)?;
        let api = Api::at(address)?;
        let ready = async {
            while server.lives() {
                if let Ok(version) = api.version().await {
                    return Some(version);
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            None
        };
        let Some(version) = tokio::time::timeout(READY, ready).await.unwrap_or_default() else {
            bail!("{} does not start; the end of its log:\n{}", program.display(), folder.log_end());
        };
        Ok(Self { server, address, version, api, folder })
    }

    pub(super) fn pid(&self) -> u32 {
        self.server.pid()
    }

    pub(super) fn log_end(&self) -> String {
        self.folder.log_end()
    }

    /// Makes the rooms, whose participants are heard once so many packets wait (`default_prebuffering`).
    ///
    /// # Errors
    /// When Janus refuses one.
    pub(super) async fn open_rooms<'a>(&self, plan: &'a Plan, prebuffer: u32) -> anyhow::Result<Legs<'a>> {
        let session = Session::open(self.api.clone()).await?;
        let handle = session.attach().await?;
        for room in 0..plan.seating.rooms {
            session.make_room(handle, room, prebuffer).await?;
        }
        Ok(Legs::new(plan, session))
    }
}

/// The files of the folder: name and text.
fn settings(address: SocketAddr) -> [(&'static str, String); 3] {
    let (ip, port, (first, last)) = (address.ip(), address.port(), RTP_PORTS);
    [
        (
            "janus.jcfg",
            format!(
                "general: {{\n\tinterface = \"{ip}\"\n\tdebug_level = 2\n\tdebug_colors = false\n}}\n\
                 plugins: {{\n\tdisable = \"{OTHER_PLUGINS}\"\n}}\n\
                 transports: {{\n\tdisable = \"{OTHER_TRANSPORTS}\"\n}}\n\
                 loggers: {{\n\tdisable = \"libjanus_jsonlog.so\"\n}}\n"
            ),
        ),
        (
            "janus.transport.http.jcfg",
            format!(
                "general: {{\n\tjson = \"compact\"\n\tbase_path = \"{}\"\n\thttp = true\n\tip = \"{ip}\"\n\
                 \tport = {port}\n\thttps = false\n}}\nadmin: {{\n\tadmin_http = false\n}}\n",
                api::BASE_PATH
            ),
        ),
        (
            "janus.plugin.audiobridge.jcfg",
            format!("general: {{\n\trtp_port_range = \"{first}-{last}\"\n\tlocal_ip = \"{ip}\"\n}}\n"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_not_installed_the_package_is_named() {
        let error = find_in(OsStr::new("/no/such/folder:")).unwrap_err().to_string();
        assert!(error.contains("--janus") && error.contains("apt-get install janus"), "{error}");
    }

    #[test]
    fn it_listens_on_loopback_alone_and_there_are_ports_for_all_legs() {
        let all = settings("127.0.0.1:8088".parse().unwrap());
        let http = &all[1].1;
        assert!(http.contains("ip = \"127.0.0.1\"") && http.contains("port = 8088"), "{http}");
        assert!(all[2].1.contains("local_ip = \"127.0.0.1\""), "{}", all[2].1);
        let ports = usize::from(RTP_PORTS.1 - RTP_PORTS.0) + 1;
        assert!(ports / 2 >= super::super::options::LEGS_MAX);
    }
}
