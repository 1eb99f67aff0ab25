//! Logs to standard error, without what libraries would blab.

use tracing_subscriber::EnvFilter;

/// Libraries that write whole messages, credentials or numbers into their finer logs, and how far they may speak.
const CAPPED: [(&str, &str); 8] = [
    ("hickory_resolver", "info"),
    ("lettre", "info"), // the SMTP dialogue, AUTH included
    ("hyper", "info"),
    ("hyper_util", "info"),
    ("reqwest", "info"),
    ("rustls", "info"),
    ("graph_http", "info"),
    ("graph_oauth", "info"),
];

/// Starts logging: `DIALROOM_LOG` (as in `info,connector=debug`) or else `default_filter`. May be called once; a second
/// call changes nothing.
pub fn start_logs(default_filter: &str) {
    let wanted = std::env::var("DIALROOM_LOG").unwrap_or_else(|_| default_filter.to_owned());
    let subscriber = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(capped(&wanted));
    if subscriber.try_init().is_err() {
        tracing::debug!("logs run already");
    }
}

fn capped(wanted: &str) -> EnvFilter {
    let allowed = wanted.split(',').filter(|part| !CAPPED.iter().any(|(library, _)| part.trim().starts_with(library)));
    let mut text = allowed.collect::<Vec<_>>().join(",");
    for (library, level) in CAPPED {
        text.push_str(&format!(",{library}={level}"));
    }
    EnvFilter::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_wish_opens_what_is_capped() {
        for wish in ["trace", "lettre=trace", "info,hyper::proto=debug , lettre=trace", ""] {
            let filter = capped(wish).to_string();
            assert!(filter.contains("hyper=info") && filter.contains("lettre=info"), "{filter}");
            assert!(!filter.contains("lettre=trace") && !filter.contains("hyper::"), "{filter}");
        }
    }
}
