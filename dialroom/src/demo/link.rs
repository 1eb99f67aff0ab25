//! `demo.json`: everything a script needs to know of a running demo. And the way to its parts from this process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use dialroom_host::token_file;
use graph_simulator::Running;
use serde::{Deserialize, Serialize};

use crate::demo::endpoints::Addresses;
use crate::demo::folder::{Folder, default_path};
use crate::demo::people::{self, Guest};

/// Name of the file in the data folder.
const FILE: &str = "demo.json";

/// What the file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// `http://…` of console, planner and API.
    pub(crate) http: String,
    /// `ADDR:PORT`, UDP and TCP.
    pub(crate) sip: String,
    /// `http://…` of the mixer's control API.
    pub(crate) control: String,
    /// `http://…` of simulated login, Graph and its control.
    pub(crate) graph: String,
    /// `ADDR:PORT` of the mail server.
    pub(crate) smtp: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Logins of the console; this version has none.
    pub(crate) console_logins: Vec<String>,
    /// Bearer token of the connector's API.
    pub(crate) api_token: String,
    /// Bearer token of the mixer's control API.
    pub(crate) control_token: String,
    pub(crate) data: PathBuf,
    pub(crate) settings: PathBuf,
    pub(crate) mails: PathBuf,
    pub(crate) people: Vec<PersonFacts>,
    pub(crate) guest: Guest,
    /// What is dialled inside and outside.
    pub(crate) number: String,
    pub(crate) external_number: String,
    /// Process ids by name: `demo`, `connector`, `mixer`.
    pub(crate) pids: BTreeMap<String, u32>,
}

/// A person of the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PersonFacts {
    pub(crate) address: String,
    pub(crate) name: String,
    /// E.164.
    pub(crate) number: String,
}

/// The file, written whole whenever something in it changes.
#[derive(Clone, Debug)]
pub(crate) struct DemoFile(Arc<(PathBuf, Mutex<Facts>)>);

impl DemoFile {
    pub(crate) fn new(folder: &Folder, addresses: &Addresses, simulator: &Running, link: &Link) -> Self {
        let facts = Facts {
            http: link.http_url.clone(),
            sip: addresses.sip.to_string(),
            control: link.control_url.clone(),
            graph: simulator.base_url.clone(),
            smtp: addresses.smtp.to_string(),
            tenant: simulator.tenant.clone(),
            client_id: simulator.client_id.clone(),
            client_secret: simulator.client_secret.clone(),
            console_logins: Vec::new(),
            api_token: link.api_token.clone(),
            control_token: link.control_token.clone(),
            data: folder.path().to_owned(),
            settings: folder.settings(),
            mails: folder.mails(),
            people: people::facts(),
            guest: people::guest(),
            number: people::NUMBER.to_owned(),
            external_number: people::EXTERNAL_NUMBER.to_owned(),
            pids: [("demo".to_owned(), std::process::id())].into(),
        };
        Self(Arc::new((folder.file(FILE), Mutex::new(facts))))
    }

    /// Writes the file whole or not at all, for its owner's eyes.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let (path, facts) = &*self.0;
        let facts = facts.lock().unwrap_or_else(PoisonError::into_inner);
        let text = serde_json::to_vec_pretty(&*facts)?;
        let draft = path.with_extension("json.new");
        let write = || {
            let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&draft)?;
            std::io::Write::write_all(&mut file, &text)?;
            fs::rename(&draft, path)
        };
        write().with_context(|| format!("{} cannot be written", path.display()))
    }

    /// A child has started, perhaps again.
    pub(crate) fn set_pid(&self, name: &str, pid: u32) {
        let mut facts = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
        facts.pids.insert(name.to_owned(), pid);
        drop(facts);
        if let Err(why) = self.write() {
            tracing::error!(%why, "demo.json is out of date");
        }
    }
}

/// Reads the file of the demo in `data`, or in the default folder.
///
/// # Errors
/// When no demo has run there.
pub(crate) fn find(data: Option<PathBuf>) -> anyhow::Result<Facts> {
    let path = data.unwrap_or_else(default_path).join(FILE);
    let told =
        || format!("no demo runs here: {} cannot be read; start one, or name its folder with --data", path.display());
    let text = fs::read_to_string(&path).with_context(told)?;
    serde_json::from_str(&text).with_context(|| format!("{} is not from this version", path.display()))
}

/// The way to connector and mixer.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) http: reqwest::Client,
    pub(crate) http_url: String,
    pub(crate) control_url: String,
    pub(crate) graph_url: String,
    pub(crate) api_token: String,
    pub(crate) control_token: String,
    pub(crate) sip: String,
}

impl Link {
    /// Makes both tokens, so that they exist before anybody needs them.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub(crate) fn new(addresses: Addresses, folder: &Folder) -> anyhow::Result<Self> {
        Ok(Self {
            http: crate::http::client()?,
            http_url: format!("http://{}", addresses.http),
            control_url: format!("http://{}", addresses.control),
            graph_url: format!("http://{}", addresses.graph),
            api_token: token_file(&folder.file("api.token"))?,
            control_token: token_file(&folder.file("handoff.token"))?,
            sip: addresses.sip.to_string(),
        })
    }
}
