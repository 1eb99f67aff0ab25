//! A simulated Microsoft Graph tenant: real HTTP, a seed, a journal, and the caller's clock.
//!
//! It is nasty where the real one is: ids hold `/`, `+` and `=` and differ only in case, times have seven decimals and no
//! offset, delta says `@removed` of living events, notifications come twice or never, and the fifth request at a time is
//! refused. Facts: Microsoft's documentation of Graph v1.0; behaviours carry numbers (T1, D3 …) that name the tests.
//!
//! ```text
//! /{tenant}/oauth2/v2.0/token    the login: client credentials
//! /v1.0/…                        Graph: events, calendarView, delta, subscriptions, users
//! /control/…                     tests and the demo page: what people do, clock, faults, journal
//! ```

mod answer;
mod change;
mod control;
mod delta;
mod dice;
mod events;
mod faults;
mod gate;
mod item;
mod journal;
mod login;
mod notify;
mod people;
mod query;
mod subscription;
mod tenant;
mod throttle;
mod users;
mod wire;
mod world;
mod zone;

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

pub use crate::people::{Person, demo_people};
pub use crate::world::SimulatorClock;

use crate::tenant::Tenant;
use crate::world::{Shared, World};

/// Most bytes of one request's body.
const MAX_BODY: usize = 4 * 1024 * 1024;

/// How the simulator starts.
pub struct SimulatorOptions {
    /// Where it listens; `None`: a free port of 127.0.0.1.
    pub listener: Option<TcpListener>,
    /// The same seed gives the same ids, secrets and faults.
    pub seed: u64,
    /// The tenant's clock.
    pub clock: Arc<dyn SimulatorClock>,
    /// Who has a mailbox.
    pub people: Vec<Person>,
    /// Served beside the simulator's own paths; the demo page lives there.
    pub beside: Router,
}

impl SimulatorOptions {
    /// A tenant of [`demo_people`] on a free port, with seed 1.
    #[must_use]
    pub fn new(clock: Arc<dyn SimulatorClock>) -> Self {
        Self { listener: None, seed: 1, clock, people: demo_people(), beside: Router::new() }
    }
}

impl fmt::Debug for SimulatorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorOptions")
            .field("seed", &self.seed)
            .field("people", &self.people)
            .finish_non_exhaustive()
    }
}

/// The simulator.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts it; it answers when this returns, and until [`Running`] is dropped.
    ///
    /// # Errors
    /// When it cannot listen, or no HTTP client can be built for its notifications.
    pub async fn start(options: SimulatorOptions) -> Result<Running, StartError> {
        let listener = match options.listener {
            Some(listener) => listener,
            None => TcpListener::bind(("127.0.0.1", 0)).map_err(StartError::Listen)?,
        };
        listener.set_nonblocking(true).map_err(StartError::Listen)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(StartError::Listen)?;
        let base_url = format!("http://{}", listener.local_addr().map_err(StartError::Listen)?);
        // Notifications go where they were subscribed to, not where a proxy or a redirect sends them.
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(StartError::Client)?;
        let tenant = Tenant::new(options.seed, options.people);
        let (tenant_id, client_id) = (tenant.tenant_id.clone(), tenant.client_id.clone());
        let client_secret = tenant.client_secret.clone();
        let world: Shared = Arc::new(World::new(tenant, options.clock, http, base_url.clone()));
        let app = router(&world).merge(options.beside);
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "the simulated tenant stopped");
            }
        });
        let delivery = tokio::spawn(notify::deliver(world));
        Ok(Running { base_url, tenant: tenant_id, client_id, client_secret, tasks: [server, delivery] })
    }
}

/// A simulator that runs; dropping it ends it.
pub struct Running {
    /// `http://127.0.0.1:8090`; login, Graph and control lie below it.
    pub base_url: String,
    /// GUID of the tenant.
    pub tenant: String,
    /// Id of the one application it knows.
    pub client_id: String,
    /// That application's secret.
    pub client_secret: String,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("base_url", &self.base_url)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken or not ours.
    #[error("the simulated tenant cannot listen")]
    Listen(#[source] std::io::Error),
    /// No HTTP client for notifications.
    #[error("no HTTP client can be built")]
    Client(#[source] reqwest::Error),
}

fn router(world: &Shared) -> Router {
    let graph = Router::new()
        .route("/users", get(users::list))
        .route("/users/{user}", get(users::get))
        .route("/users/{user}/mailboxSettings", get(users::mailbox_settings))
        .route("/users/{user}/events", get(events::list).post(events::create))
        .route("/users/{user}/calendar/events", get(events::list).post(events::create))
        .route("/users/{user}/events/{id}", get(events::get).patch(events::patch).delete(events::delete))
        .route("/users/{user}/events/{id}/instances", get(events::instances))
        .route("/users/{user}/calendarView", get(events::calendar_view))
        .route("/users/{user}/calendarView/delta", get(delta::delta))
        .route("/users/{user}/calendarView/delta()", get(delta::delta))
        .route("/subscriptions", get(subscription::list).post(subscription::create))
        .route("/subscriptions/{id}", get(subscription::get).patch(subscription::renew).delete(subscription::delete))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(world), gate::gate));
    let control = Router::new()
        .route("/clock", get(control::now).post(control::clock))
        .route("/faults", post(control::faults))
        .route("/journal", get(control::journal))
        .route("/events", post(control::create))
        .route("/events/{id}", axum::routing::patch(control::change).delete(control::delete))
        .route("/calendar", get(control::calendar));
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(login::token))
        .nest("/v1.0", graph)
        .nest("/control", control)
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
        .with_state(Arc::clone(world))
}
