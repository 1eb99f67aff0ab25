//! Call records, for the connector to fetch and acknowledge (`/v1/records`).

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use dialroom_host::StoreError;
use serde::{Deserialize, Serialize};

use super::Control;
use super::problem::Problem;
use crate::records::Numbered;

/// Records in one answer where none is asked for.
const DEFAULT_LIMIT: usize = 100;
/// Most records in one answer.
const MAX_LIMIT: usize = 1000;

/// Which records.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// Some records, and the number of the last there is.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    records: Vec<Numbered>,
    last: u64,
}

/// `GET /v1/records?after=n&limit=m`: records behind number `n`, at most 1000, in order.
pub(crate) async fn list(
    State(control): State<Control>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let Query(wanted) = wanted.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "ask with ?after=n&limit=m"))?;
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let (records, last) = control.records.page(wanted.after, limit).map_err(|why| failed(&control, &why))?;
    Ok(Json(Page { records, last }))
}

/// Up to where records are known.
#[derive(Debug, Deserialize)]
pub(crate) struct Acknowledged {
    n: u64,
}

/// `POST /v1/records/ack {"n": …}`: records up to `n` need not be kept longer than the settings say.
pub(crate) async fn acknowledge(
    State(control): State<Control>,
    body: Result<Json<Acknowledged>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(Acknowledged { n }) =
        body.map_err(|why| Problem::new(why.status(), "send {\"n\": number} as application/json"))?;
    if control.records.acknowledge(n).await.map_err(|why| failed(&control, &why))? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("there is no record {n} yet")))
    }
}

fn failed(control: &Control, why: &StoreError) -> Problem {
    control.metrics.store_failures.raise();
    tracing::error!(%why, "call records cannot be served");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why.to_string())
}
