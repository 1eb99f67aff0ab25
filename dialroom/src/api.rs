//! The APIs of both programs as the command's other parts call them.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use dialroom_host::read_secret;
use dialroom_settings::Settings;
use serde_json::Value;

use crate::{demo, http};

/// Which connector, or which mixer, is meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Which {
    /// Its settings; without them the running demo is meant
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Data folder of the demo that is meant
    #[arg(long, value_name = "DIR", conflicts_with = "settings")]
    data: Option<PathBuf>,
}

/// A program that answers.
#[derive(Debug)]
pub(crate) struct Api {
    /// `connector` or `mixer`.
    program: &'static str,
    client: reqwest::Client,
    url: String,
    token: String,
}

impl Api {
    /// Finds the connector's address and token in settings or in the demo's file.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn find(which: Which) -> anyhow::Result<Self> {
        let client = http::client()?;
        let Some(file) = which.settings else {
            let demo = demo::find_demo(which.data)?;
            return Ok(Self { program: "connector", client, url: demo.http, token: demo.api_token });
        };
        let settings = Settings::load(&file)?;
        let token =
            read_secret(&settings.http.token_file).context("the token is made when the connector first starts")?;
        // A wildcard address is one to listen on, not one to call.
        let ip = Some(settings.http.listen.ip()).filter(|ip| !ip.is_unspecified());
        let ip = ip.unwrap_or_else(|| [127, 0, 0, 1].into());
        let address = std::net::SocketAddr::from((ip, settings.http.listen.port()));
        Ok(Self { program: "connector", client, url: format!("http://{address}"), token })
    }

    /// Finds the mixer's address and token in settings or in the demo's file.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn mixer(which: Which) -> anyhow::Result<Self> {
        let client = http::client()?;
        let Some(file) = which.settings else {
            let demo = demo::find_demo(which.data)?;
            return Ok(Self { program: "mixer", client, url: demo.control, token: demo.control_token });
        };
        let hand_off = Settings::load(&file)?.hand_off;
        let token = read_secret(&hand_off.token_file).context("the token is made when the mixer first starts")?;
        Ok(Self { program: "mixer", client, url: hand_off.url.trim_end_matches('/').to_owned(), token })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.client.get(format!("{}{path}", self.url))).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.client.post(format!("{}{path}", self.url)).json(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let answer = request.bearer_auth(&self.token).send().await;
        let answer = answer.map_err(reqwest::Error::without_url);
        let answer = answer.with_context(|| format!("no {} answers at {}; is it running?", self.program, self.url))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if !status.is_success() {
            let why = body["detail"].as_str().or_else(|| body["title"].as_str()).unwrap_or("no reason given");
            bail!("{status}: {why}");
        }
        Ok(body)
    }
}
