//! How the parts of the connector are put together, before any of them runs: for the program and for simulations.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use dialroom_host::Clock;
use dialroom_settings::Settings;
use tokio::sync::{Notify, mpsc, watch};

use crate::DemoLink;
use crate::chance::Chance;
use crate::console::{self, Console};
use crate::directory::Directory;
use crate::handoff::Mixer;
use crate::metrics::Metrics;
use crate::mixer_link::MixerLink;
use crate::outbox::{Outbox, Post, Posted};
use crate::pipeline::{self, Shared, Worker};
use crate::shelf::Shelf;
use crate::source::graph::{Doorbells, GraphClient, Watching, mailboxes};
use crate::store::{Keep, KeepError};
use crate::trace::Passed;

/// What the world gives.
pub(crate) struct World {
    pub(crate) keep: Keep,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) settings: watch::Receiver<Arc<Settings>>,
    pub(crate) graph: Option<GraphClient>,
    pub(crate) mixer: Mixer,
    pub(crate) post: Arc<dyn Post>,
    /// What whoever uses the API must show.
    pub(crate) token: String,
    pub(crate) http: reqwest::Client,
    pub(crate) demo: Option<DemoLink>,
}

/// What then runs.
pub(crate) struct Parts {
    pub(crate) worker: Worker,
    pub(crate) outbox: Outbox,
    /// Goes into [`Outbox::run`].
    pub(crate) posted: mpsc::UnboundedReceiver<Posted>,
    pub(crate) link: MixerLink,
    pub(crate) console: Console,
    /// `None` without a Graph tenant.
    pub(crate) watching: Option<Watching>,
}

/// Puts them together from what is stored.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn assemble(world: World) -> Result<Parts, KeepError> {
    let World { keep, clock, chance, metrics, settings, graph, mixer, post, token, http, demo } = world;
    let (shelf, doorbells, hand_offs) = (Arc::<Shelf>::default(), Arc::<Doorbells>::default(), Arc::new(Notify::new()));
    let passed = Arc::<Passed>::default();
    let unread = Arc::new(AtomicUsize::new(mailboxes(&settings.borrow()).len()));
    let (mails, posted) = mpsc::unbounded_channel();
    let outbox = Outbox::open(keep.clone(), clock.clone(), Arc::clone(&metrics), post)?;
    let (pipeline, worker) = pipeline::open(Shared {
        keep: keep.clone(),
        settings: settings.clone(),
        clock: clock.clone(),
        chance,
        shelf: Arc::clone(&shelf),
        metrics: Arc::clone(&metrics),
        mails,
        hand_offs: Arc::clone(&hand_offs),
        passed: Arc::clone(&passed),
    })?;
    let directory = Directory::new(clock.clone(), graph.clone());
    let link = MixerLink {
        mixer,
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
        passed,
        unread: Arc::clone(&unread),
        token,
        http,
        demo,
    }));
    let watching = graph.map(|graph| Watching {
        graph,
        pipeline,
        directory,
        shelf,
        keep,
        settings,
        clock,
        metrics,
        doorbells,
        unread,
    });
    Ok(Parts { worker, outbox, posted, link, console, watching })
}
