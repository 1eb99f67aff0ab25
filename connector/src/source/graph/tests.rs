//! The client against a Graph that answers as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dialroom_host::Clock;
use dialroom_settings::Graph;
use tokio::net::TcpListener;

use super::client::{GraphClient, GraphError};
use crate::metrics::Metrics;

/// What was asked for, and when.
type Asked = Arc<Mutex<Vec<(String, Instant)>>>;
/// Status, header and body of an answer.
type Told<T> = (u16, Option<(&'static str, &'static str)>, T);
/// Those to come; 200 when there are no more.
type Answers = Arc<Mutex<VecDeque<Told<String>>>>;

#[derive(Clone, Default)]
struct Script {
    asked: Asked,
    answers: Answers,
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    if request.uri().path().ends_with("/token") {
        let count = script.asked.lock().unwrap().iter().filter(|(what, _)| what == "token").count();
        script.asked.lock().unwrap().push(("token".to_owned(), Clock::real().instant()));
        let token = format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"token-{count}"}}"#);
        return ([("content-type", "application/json")], token).into_response();
    }
    let header = |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert!(header("prefer").contains("ImmutableId") && header("prefer").contains("UTC"));
    script.asked.lock().unwrap().push((header("authorization"), Clock::real().instant()));
    match script.answers.lock().unwrap().pop_front() {
        None => "{}".into_response(),
        Some((status, header, body)) => {
            let status = StatusCode::from_u16(status).unwrap();
            header.map_or_else(
                || (status, body.clone()).into_response(),
                |header| (status, [header], body.clone()).into_response(),
            )
        }
    }
}

async fn graph(answers: &[Told<&str>]) -> (GraphClient, Script, tempfile::TempDir) {
    let script = Script::default();
    let owned = answers.iter().map(|(status, header, body)| (*status, *header, (*body).to_owned()));
    script.answers.lock().unwrap().extend(owned);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let client_secret_file = folder.path().join("secret");
    std::fs::write(&client_secret_file, "the client secret").unwrap();
    let settings = Graph {
        login_url: url.clone(),
        base_url: url,
        tenant: "contoso.example".to_owned(),
        client_id: "client".to_owned(),
        client_secret_file,
        mailboxes: Vec::new(),
        resource_mailbox: None,
        resource_organizers: Vec::new(),
        notifications: false,
        poll_seconds: 60,
        adopt: false,
    };
    (GraphClient::new(&settings, Clock::real(), Arc::<Metrics>::default()).unwrap(), script, folder)
}

fn whats(script: &Script) -> Vec<String> {
    script.asked.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let refused = (401, None, r#"{"error":{"code":"InvalidAuthenticationToken"}}"#);
    let (graph, script, _folder) = graph(&[refused]).await;
    graph.get("m", graph.url(&["users"], &[])).await.unwrap();
    assert_eq!(whats(&script), ["token", "Bearer token-0", "token", "Bearer token-1"]);
    script.answers.lock().unwrap().extend([(401, None, String::new()), (401, None, String::new())]);
    assert!(matches!(graph.get("m", graph.url(&["users"], &[])).await, Err(GraphError::Denied(_))));
    assert_eq!(whats(&script)[4..], ["Bearer token-1", "token", "Bearer token-2"]);
}

#[tokio::test]
async fn many_who_need_a_token_fetch_one() {
    let (graph, script, _folder) = graph(&[]).await;
    let requests = (0..12).map(|number| {
        let graph = graph.clone();
        async move { graph.get(&format!("m{number}"), graph.url(&["users"], &[])).await.unwrap() }
    });
    futures_util::future::join_all(requests).await;
    assert_eq!(whats(&script).iter().filter(|what| *what == "token").count(), 1);
}

#[tokio::test]
async fn a_secret_that_is_refused_is_not_offered_by_everybody() {
    let (graph, script, folder) = graph(&[]).await;
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let told = |error: GraphError| error.to_string();
    let first = told(graph.get("m1", graph.url(&["users"], &[])).await.unwrap_err());
    std::fs::write(folder.path().join("secret"), "the client secret").unwrap();
    for mailbox in ["m1", "m2"] {
        assert_eq!(told(graph.get(mailbox, graph.url(&["users"], &[])).await.unwrap_err()), first);
    }
    assert!(first.contains("client_secret_file") && whats(&script).is_empty());
}

#[tokio::test]
async fn nothing_is_sent_before_the_pause_is_over() {
    let (graph, script, _folder) = graph(&[(429, Some(("retry-after", "0.3")), "")]).await;
    let ask = |mailbox| graph.get(mailbox, graph.url(&["users"], &[]));
    let (first, second) = tokio::join!(ask("m"), async {
        // The second one of this mailbox begins while the first rests.
        while script.answers.lock().unwrap().len() == 1 {
            tokio::task::yield_now().await;
        }
        ask("m").await
    });
    first.and(second).unwrap();
    let asked = script.asked.lock().unwrap().clone();
    let (refused, rest) = (asked[1].1, &asked[2..]);
    let early = rest.iter().filter(|(_, at)| at.duration_since(refused) < Duration::from_millis(300)).count();
    assert!(early <= 1, "at most the one that was under way already: {early}");
    assert!(rest.iter().any(|(_, at)| at.duration_since(refused) >= Duration::from_millis(300)));
}

#[tokio::test]
async fn a_pause_beyond_patience_fails_at_once_and_rests_the_mailbox_alone() {
    let (graph, script, _folder) = graph(&[(429, Some(("retry-after", "1800")), "")]).await;
    let ask = |mailbox| graph.get(mailbox, graph.url(&["users"], &[]));
    for _ in 0..2 {
        assert!(matches!(ask("m").await, Err(GraphError::Throttled { wait }) if wait > Duration::from_secs(1700)));
    }
    ask("other").await.unwrap();
    assert_eq!(whats(&script).len(), 3, "token, the refused one, the other mailbox");
}

#[tokio::test]
async fn refusals_are_told_apart_by_code() {
    let body =
        |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"x","innerError":{{"request-id":"r1"}}}}}}"#);
    for (status, code, wanted) in [
        (404, "ErrorItemNotFound", "no such item"),
        (404, "MailboxNotEnabledForRESTAPI", "no mailbox"),
        (403, "ErrorAccessDenied", "denies access"),
        (410, "", "forgot"),
        (400, "SyncStateNotFound", "forgot"),
        (400, "ErrorInvalidRequest", "refuses"),
    ] {
        let (graph, _script, _folder) = graph(&[(status, None, &body(code))]).await;
        let told = graph.get("m", graph.url(&["users"], &[])).await.unwrap_err().to_string();
        assert!(told.contains(wanted) && told.contains("r1"), "{status} {code}: {told}");
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let (graph, script, _folder) = graph(&[]).await;
    let own = graph.url(&["users", "a/b+c=", "events"], &[("$filter", "id eq 'x y'")]);
    assert!(own.as_str().ends_with("/v1.0/users/a%2Fb+c=/events?$filter=id%20eq%20%27x%20y%27"), "{own}");
    assert_eq!(graph.link(own.as_str()).unwrap(), own);
    let port = own.port().unwrap();
    for foreign in [
        format!("https://127.0.0.1:{port}/v1.0/x"),
        format!("http://127.0.0.1.evil.example:{port}/"),
        "http://127.0.0.1:1/".into(),
        "/x".into(),
    ] {
        assert!(graph.link(&foreign).is_err(), "{foreign}");
    }
    assert!(whats(&script).is_empty());
}

#[tokio::test]
async fn neither_secret_nor_token_is_printed() {
    let (graph, _, folder) = graph(&[(500, None, ""), (403, None, "{}")]).await;
    let error = graph.get("m", graph.url(&["users"], &[])).await.unwrap_err();
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let printed = format!("{graph:?} {error:?} {error}");
    assert!(!printed.contains("token-") && !printed.contains("the client secret"), "{printed}");
}
