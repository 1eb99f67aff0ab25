//! What runs now and what happens (`/v1/conferences`, `/v1/events`).

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use mixer_conference::ConferenceView;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::oneshot;

use super::Control;
use super::problem::Problem;

/// Most listeners to events at a time; one connector needs one.
const MAX_LISTENERS: usize = 32;

/// `GET /v1/conferences`: the conferences that run, with who is in.
pub(crate) async fn list(State(control): State<Control>) -> Result<Json<Vec<ConferenceView>>, Problem> {
    let (answer, answered) = oneshot::channel();
    let asked = control.questions.send(answer).await.is_ok();
    match answered.await {
        Ok(conferences) if asked => Ok(Json(conferences)),
        Ok(_) | Err(_) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no calls are taken at present")),
    }
}

/// `GET /v1/events`: server-sent events, each the JSON of one event. A listener that falls behind is dropped: its stream
/// ends, and it asks `/v1/conferences` how things stand.
pub(crate) async fn events(
    State(control): State<Control>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    if control.events.receiver_count() >= MAX_LISTENERS {
        let detail = format!("{MAX_LISTENERS} listen already, the most there may be");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
    }
    let (receiver, metrics) = (control.events.subscribe(), control.metrics);
    let happened = stream::unfold((receiver, metrics), async |(mut receiver, metrics)| match receiver.recv().await {
        Ok(json) => Some((Ok(Event::default().data(&*json)), (receiver, metrics))),
        Err(RecvError::Lagged(_)) => {
            metrics.listeners_dropped.raise();
            None
        }
        Err(RecvError::Closed) => None,
    });
    Ok(Sse::new(happened.take_until(control.stop.cancelled_owned())).keep_alive(KeepAlive::default()))
}
