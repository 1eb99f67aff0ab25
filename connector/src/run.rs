//! Puts the connector together and runs it until it is asked to stop.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::serve::ListenerExt;
use dialroom_host::{Clock, Store, seal_key_file, shutdown_asked, token_file};
use dialroom_settings::Settings;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::console::{self, Console};
use crate::directory::Directory;
use crate::handoff::Mixer;
use crate::metrics::Metrics;
use crate::mixer_link::MixerLink;
use crate::outbox::Outbox;
use crate::pipeline::{self, Shared};
use crate::post::Postman;
use crate::settings_watch;
use crate::shelf::Shelf;
use crate::source::graph::{Doorbells, GraphClient, Watching, mailboxes, watch as watch_graph};
use crate::store::Keep;

/// How long requests under way may take at the end.
const GRACE: Duration = Duration::from_secs(3);
/// Reaching the mixer or the demo, both near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the connector is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// `dialroom.toml`.
    pub settings: PathBuf,
    /// The clock; in the demo one that may jump forward.
    pub clock: Clock,
    /// The demo's page, if this is one.
    pub demo: Option<DemoLink>,
}

/// Where the demo process answers.
#[derive(Clone, Debug)]
pub struct DemoLink {
    /// Its base URL on loopback; `/demo` and `/demo/*` are passed on to it.
    pub url: String,
}

/// Runs the connector until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start (settings, store, keys, port), or the store fails under way: then only a new start helps.
pub async fn run(options: Options) -> anyhow::Result<()> {
    run_until(options, async { shutdown_asked().await.context("cannot listen for signals") }).await
}

/// Runs the connector until `stop` ends.
pub(crate) async fn run_until(
    options: Options,
    stop: impl Future<Output = anyhow::Result<()>> + Send,
) -> anyhow::Result<()> {
    let Options { settings: file, clock, demo } = options;
    let read = Arc::new(Settings::load(&file)?);
    let (sender, settings) = watch::channel(Arc::clone(&read));
    let folder = read.store.data.join("connector");
    let seal = seal_key_file(&folder.join("seal.key"))?;
    let keep = Keep::new(Store::open(&folder.join("store"))?, seal);
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .no_proxy()
        .build()?;
    let listener =
        TcpListener::bind(read.http.listen).await.with_context(|| format!("http.listen {}", read.http.listen))?;

    let (metrics, shelf, doorbells) = (Arc::<Metrics>::default(), Arc::<Shelf>::default(), Arc::<Doorbells>::default());
    let (hand_offs, unread) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(mailboxes(&read).len())));
    let (mails, posted) = mpsc::unbounded_channel();
    let postman = Arc::new(Postman::new(settings.clone(), clock.clone()));
    let outbox = Outbox::open(keep.clone(), clock.clone(), Arc::clone(&metrics), postman)?;
    let (pipeline, worker) = pipeline::open(Shared {
        keep: keep.clone(),
        settings: settings.clone(),
        clock: clock.clone(),
        shelf: Arc::clone(&shelf),
        metrics: Arc::clone(&metrics),
        mails,
        hand_offs: Arc::clone(&hand_offs),
    })?;
    let graph = match &read.graph {
        Some(graph) => Some(GraphClient::new(graph, clock.clone(), Arc::clone(&metrics))?),
        None => None,
    };
    let directory = Directory::new(clock.clone(), graph.clone());
    let link = MixerLink {
        mixer: Mixer::new(http.clone(), &read.hand_off.url, token_file(&read.hand_off.token_file)?),
        keep: keep.clone(),
        shelf: Arc::clone(&shelf),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        waiting: hand_offs,
    };
    let console = Console(Arc::new(console::Parts {
        keep: keep.clone(),
        shelf: Arc::clone(&shelf),
        pipeline: pipeline.clone(),
        directory: directory.clone(),
        settings: settings.clone(),
        clock: clock.clone(),
        metrics: Arc::clone(&metrics),
        doorbells: Arc::clone(&doorbells),
        unread: Arc::clone(&unread),
        token: token_file(&read.http.token_file)?,
        http,
        demo,
    }));

    let stopping = CancellationToken::new();
    let mut sending = tokio::spawn(outbox.run(posted, stopping.clone()));
    let mut tasks: JoinSet<anyhow::Result<()>> = JoinSet::new();
    // The listener first: Graph calls it while the first subscription is being made.
    let mut server = tokio::spawn({
        let stopping = stopping.clone();
        let serving = axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), console::router(console));
        async move { serving.with_graceful_shutdown(stopping.cancelled_owned()).await }
    });
    tasks.spawn(async move { Ok(worker.run().await?) });
    tasks.spawn({
        let link = link.clone();
        async move { Ok(link.run_hand_offs().await?) }
    });
    tasks.spawn(async move { Ok(link.run_records().await?) });
    tasks.spawn(async move {
        settings_watch::follow(file, sender).await;
        Ok(())
    });
    if let Some(graph) = graph {
        let watching = Watching {
            graph,
            pipeline,
            directory,
            shelf,
            keep,
            settings,
            clock: clock.clone(),
            metrics,
            doorbells,
            unread,
        };
        tasks.spawn(async move { Ok(watch_graph(watching).await?) });
    }
    tracing::info!(address = %read.http.listen, "connector ready");

    let ended = tokio::select! {
        asked = stop => asked,
        Some(ended) = tasks.join_next() => ended.map_err(anyhow::Error::from).and_then(|ended| {
            ended.and_then(|()| Err(anyhow::anyhow!("a part of the connector ended by itself")))
        }),
        ended = &mut sending => ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)),
        ended = &mut server => Err(anyhow::anyhow!("the listener ended by itself: {ended:?}")),
    };
    stopping.cancel();
    // A page's event stream never ends by itself, nor a mail server's silence; neither may keep us from ending.
    let by = clock.instant() + GRACE;
    tokio::join!(end_by(&clock, by, server), end_by(&clock, by, sending));
    // Whatever is cut off here is found again in the store at the next start.
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    ended
}

/// Waits for the end of a task that was asked to end, and ends it at `by`.
async fn end_by<T>(clock: &Clock, by: Instant, mut task: JoinHandle<T>) {
    if !task.is_finished() {
        tokio::select! {
            _ = &mut task => {}
            () = clock.sleep_until(by) => task.abort(),
        }
    }
}
