//! A simulator with a clock that only moves when told, a client that validates every answer, and a subscriber.

use std::sync::{Arc, Mutex};

use axum::extract::{Query, State};
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use graph_simulator::{Running, Simulator, SimulatorClock, SimulatorOptions};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

pub(crate) struct TestClock(Mutex<DateTime<Utc>>);

impl SimulatorClock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }

    fn advance(&self, by: TimeDelta) -> Result<(), String> {
        *self.0.lock().unwrap() += by;
        Ok(())
    }
}

pub(crate) struct World {
    pub(crate) simulator: Running,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
    schemas: Value,
}

/// An answer, already held against its schema.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl World {
    pub(crate) async fn start() -> Self {
        let clock = Arc::new(TestClock(Mutex::new("2026-11-23T08:00:00.1234567Z".parse().unwrap())));
        let simulator = Simulator::start(SimulatorOptions::new(clock)).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let schemas = serde_json::from_str(include_str!("../../../graph-schemas.json")).unwrap();
        let mut world = Self { simulator, http, token: String::new(), schemas };
        let (status, body) = world.login(&world.simulator.client_secret, "https://graph.microsoft.com/.default").await;
        assert_eq!(status, StatusCode::OK, "{body}");
        world.token = body["access_token"].as_str().unwrap().to_owned();
        world.faults(json!({"empty_pages": 0.0})).await;
        world
    }

    pub(crate) async fn login(&self, secret: &str, scope: &str) -> (StatusCode, Value) {
        let url = format!("{}/{}/oauth2/v2.0/token", self.simulator.base_url, self.simulator.tenant);
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.simulator.client_id),
            ("client_secret", secret),
            ("scope", scope),
        ];
        let answer = self.http.post(url).form(&form).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// A request to Graph, by path below `/v1.0` or by a whole link.
    pub(crate) async fn send(&self, method: Method, path: &str, prefer: &str, body: Option<Value>) -> Answer {
        let link = path.starts_with("http");
        let url = if link { path.to_owned() } else { format!("{}/v1.0{path}", self.simulator.base_url) };
        let mut request = self.http.request(method, url).bearer_auth(&self.token);
        if !prefer.is_empty() {
            request = request.header("prefer", prefer);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.json().await.unwrap_or(Value::Null);
        self.hold_against_schema(path, status, &body);
        Answer { status, headers, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.send(Method::GET, path, "", None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        answer.body
    }

    pub(crate) async fn control(&self, method: Method, path: &str, body: Value) -> Value {
        let url = format!("{}/control{path}", self.simulator.base_url);
        let answer = self.http.request(method, url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap_or(Value::Null)
    }

    pub(crate) async fn faults(&self, faults: Value) {
        self.control(Method::POST, "/faults", faults).await;
    }

    pub(crate) async fn advance(&self, seconds: i64) {
        self.control(Method::POST, "/clock", json!({"advance_seconds": seconds})).await;
    }

    /// Anna books a meeting; `more` adds to it or replaces.
    pub(crate) async fn book(&self, more: Value) -> Value {
        let mut wanted = json!({
            "mailbox": "anna@contoso.example",
            "subject": "Budget review",
            "start": "2026-11-26T09:00:00Z",
            "end": "2026-11-26T09:30:00Z",
            "attendees": ["bernd@contoso.example", "clara@contoso.example", "eva@fabrikam.example"],
            "categories": ["Telephone conference"],
        });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        self.control(Method::POST, "/events", wanted).await
    }

    pub(crate) async fn journal(&self, kind: &str) -> Vec<Value> {
        self.control(Method::GET, "/journal", Value::Null).await[kind].as_array().unwrap().clone()
    }

    /// Follows a delta round to its end; gives what it told and the delta link.
    pub(crate) async fn round(&self, path: &str) -> (Vec<Value>, String) {
        let (mut told, mut path) = (Vec::new(), path.to_owned());
        loop {
            let page = self.get(&path).await;
            told.extend(page["value"].as_array().unwrap().clone());
            if let Some(link) = page["@odata.deltaLink"].as_str() {
                return (told, link.to_owned());
            }
            path = page["@odata.nextLink"].as_str().unwrap().to_owned();
        }
    }

    fn hold_against_schema(&self, path: &str, status: StatusCode, body: &Value) {
        let path = path.split('?').next().unwrap();
        let parts: Vec<_> = path.rsplit("/v1.0").next().unwrap().trim_matches('/').split('/').collect();
        let kind = match parts.as_slice() {
            _ if !status.is_success() => "odata.error",
            _ if status == StatusCode::NO_CONTENT => return,
            ["users"] | ["users", _] => "microsoft.graph.user",
            ["users", _, "mailboxSettings"] => "microsoft.graph.mailboxSettings",
            ["subscriptions", ..] => "microsoft.graph.subscription",
            ["users", ..] => "microsoft.graph.event",
            _ => panic!("no schema for {path}"),
        };
        let list = body["value"].as_array().cloned();
        for one in list.unwrap_or_else(|| vec![body.clone()]) {
            self.check(kind, &one);
        }
    }

    pub(crate) fn check(&self, kind: &str, value: &Value) {
        let mut schema = self.schemas.clone();
        schema["$ref"] = json!(format!("#/$defs/{kind}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{kind}: {problems:?} in {value:#}");
    }
}

/// Somebody who subscribes: echoes the handshake, hands on what comes, answers with what it is told to.
pub(crate) struct Subscriber {
    pub(crate) url: String,
    pub(crate) inbox: tokio::sync::mpsc::UnboundedReceiver<Value>,
    pub(crate) answers: Arc<Mutex<Vec<u16>>>,
}

type Door = (tokio::sync::mpsc::UnboundedSender<Value>, Arc<Mutex<Vec<u16>>>);

impl Subscriber {
    /// `answers` are given in turn; after the last one, 202.
    pub(crate) async fn start(answers: &[u16]) -> Self {
        let answers = Arc::new(Mutex::new(answers.to_vec()));
        let (tell, inbox) = tokio::sync::mpsc::unbounded_channel();
        let door: Door = (tell, Arc::clone(&answers));
        let app = Router::new().route("/hook", post(knock)).with_state(door);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, inbox, answers }
    }
}

async fn knock(
    State((tell, answers)): State<Door>,
    Query(query): Query<std::collections::HashMap<String, String>>,
    body: String,
) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    if let Some(token) = query.get("validationToken") {
        return ([("content-type", "text/plain")], token.clone()).into_response();
    }
    let status = {
        let mut answers = answers.lock().unwrap();
        if answers.is_empty() { 202 } else { answers.remove(0) }
    };
    if (200..300).contains(&status) {
        tell.send(serde_json::from_str(&body).unwrap()).unwrap();
    }
    (StatusCode::from_u16(status).unwrap(), Json(json!({}))).into_response()
}
