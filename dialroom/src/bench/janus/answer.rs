//! What Janus answers, read (<https://janus.conf.meetecho.com/docs/rest.html>, "Plain HTTP REST interface", and the
//! documentation of its AudioBridge). Whatever is missing or of the wrong kind is named by where it should be.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// What is shown of others' words, in characters.
const WORDS_MAX: usize = 200;
/// A version is shown in a column.
const VERSION_MAX: usize = 8;
/// Payload types have seven bits (RFC 3550 section 5.1).
const PAYLOAD_TYPE_MAX: u8 = 127;

/// Something that happened in the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The participant whose joining had this transaction is in the room, and sends its sound there.
    Joined { transaction: String, sound: SocketAddr, payload_type: u8 },
    /// It is not.
    Refused { transaction: String, why: String },
    /// The participant of this handle is out.
    Gone { handle: u64 },
    /// Janus forgot the session.
    Over,
    /// Nothing that a bench wants to know, as that others joined.
    Other,
}

/// The version that tells itself.
pub(super) fn version(text: &[u8]) -> anyhow::Result<String> {
    let answer = parse(text)?;
    expect(&answer, "server_info")?;
    Ok(words(&answer, "/version_string")?.chars().take(VERSION_MAX).collect())
}

/// The number of a new session or handle.
pub(super) fn identifier(text: &[u8]) -> anyhow::Result<u64> {
    let answer = parse(text)?;
    expect(&answer, "success")?;
    number(&answer, "/data/id", u64::MAX)
}

/// That a room was made.
pub(super) fn room_made(text: &[u8]) -> anyhow::Result<()> {
    let answer = parse(text)?;
    expect(&answer, "success")?;
    match words(&answer, "/plugindata/data/audiobridge")? {
        "created" => Ok(()),
        other => bail!("the AudioBridge makes no room: {}", refusal(&answer).unwrap_or_else(|| short(other))),
    }
}

/// That a message was taken, and an event will follow.
pub(super) fn acknowledged(text: &[u8]) -> anyhow::Result<()> {
    expect(&parse(text)?, "ack")
}

/// What happened, in order.
pub(super) fn events(text: &[u8]) -> anyhow::Result<Vec<Event>> {
    match parse(text)? {
        Value::Array(all) => all.iter().map(event).collect(),
        one => Ok(vec![event(&one)?]),
    }
}

fn event(value: &Value) -> anyhow::Result<Event> {
    match words(value, "/janus")? {
        "event" => of_the_bridge(value),
        "detached" | "hangup" => Ok(Event::Gone { handle: number(value, "/sender", u64::MAX)? }),
        "timeout" => Ok(Event::Over),
        "error" => bail!("Janus: {}", error(value)),
        _ => Ok(Event::Other),
    }
}

/// Only what was asked for has a transaction: others in the room are told of without one.
fn of_the_bridge(value: &Value) -> anyhow::Result<Event> {
    let Some(transaction) = value.pointer("/transaction").and_then(Value::as_str).map(short) else {
        return Ok(Event::Other);
    };
    match words(value, "/plugindata/data/audiobridge")? {
        "joined" if value.pointer("/plugindata/data/rtp").is_none() => {
            Ok(Event::Refused { transaction, why: "no port for its sound".to_owned() })
        }
        "joined" => {
            let ip = words(value, "/plugindata/data/rtp/ip")?;
            let ip: IpAddr = ip.parse().ok().with_context(|| wrong("/plugindata/data/rtp/ip", ip, "an address"))?;
            let port = match number(value, "/plugindata/data/rtp/port", u16::MAX)? {
                0 => bail!(wrong("/plugindata/data/rtp/port", "0", "a port")),
                port => port,
            };
            let payload_type = number(value, "/plugindata/data/rtp/payload_type", PAYLOAD_TYPE_MAX)?;
            Ok(Event::Joined { transaction, sound: SocketAddr::new(ip, port), payload_type })
        }
        _ => Ok(match refusal(value) {
            Some(why) => Event::Refused { transaction, why },
            None => Event::Other,
        }),
    }
}

fn parse(text: &[u8]) -> anyhow::Result<Value> {
    serde_json::from_slice(text)
        .with_context(|| format!("Janus answers no JSON: {:?}", short(&String::from_utf8_lossy(text))))
}

fn expect(answer: &Value, kind: &str) -> anyhow::Result<()> {
    match words(answer, "/janus")? {
        told if told == kind => Ok(()),
        "error" => bail!("Janus refuses: {}", error(answer)),
        other => bail!("Janus answers {:?} where {kind} was expected", short(other)),
    }
}

/// What is behind `error` of Janus itself.
fn error(answer: &Value) -> String {
    answer.pointer("/error/reason").and_then(Value::as_str).map_or_else(|| "it does not say why".to_owned(), short)
}

/// What is behind `error` of the plug-in.
fn refusal(answer: &Value) -> Option<String> {
    answer.pointer("/plugindata/data/error").and_then(Value::as_str).map(short)
}

fn words<'a>(answer: &'a Value, place: &str) -> anyhow::Result<&'a str> {
    let value = answer.pointer(place).with_context(|| missing(place))?;
    value.as_str().with_context(|| wrong(place, &value.to_string(), "text"))
}

/// A whole number from 0 to `most`.
fn number<T>(answer: &Value, place: &str, most: T) -> anyhow::Result<T>
where
    T: TryFrom<u64> + Into<u64> + Copy + std::fmt::Display,
{
    let value = answer.pointer(place).with_context(|| missing(place))?;
    let fits = value.as_u64().filter(|value| *value <= most.into());
    fits.and_then(|value| T::try_from(value).ok())
        .with_context(|| wrong(place, &value.to_string(), &format!("a number from 0 to {most}")))
}

fn missing(place: &str) -> String {
    format!("the answer of Janus has no {}; is it version 1.1 or later?", dotted(place))
}

fn wrong(place: &str, value: &str, expected: &str) -> String {
    format!("the answer of Janus has {} {}, where {expected} was expected", dotted(place), short(value))
}

/// `/a/b` as people write it.
fn dotted(place: &str) -> String {
    place.trim_start_matches('/').replace('/', ".")
}

fn short(words: &str) -> String {
    words.chars().take(WORDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOINED: &str = r#"[{"janus":"event","session_id":1,"transaction":"7","sender":5,"plugindata":{
        "plugin":"janus.plugin.audiobridge","data":{"audiobridge":"joined","room":1,"id":9,"participants":[],
        "rtp":{"ip":"127.0.0.1","port":10002,"payload_type":8}}}}]"#;

    fn why<T: std::fmt::Debug>(read: anyhow::Result<T>) -> String {
        format!("{:#}", read.unwrap_err())
    }

    #[test]
    fn who_joined_sends_there() {
        let joined =
            Event::Joined { transaction: "7".to_owned(), sound: "127.0.0.1:10002".parse().unwrap(), payload_type: 8 };
        assert_eq!(events(JOINED.as_bytes()).unwrap(), [joined]);
    }

    #[test]
    fn the_other_things_that_happen() {
        let text = br#"[
            {"janus":"event","sender":5,"plugindata":{"data":{"audiobridge":"joined","participants":[{"id":2}]}}},
            {"janus":"event","transaction":"8","plugindata":{"data":{"audiobridge":"event","error":"No such room"}}},
            {"janus":"event","transaction":"9","plugindata":{"data":{"audiobridge":"joined","id":3}}},
            {"janus":"detached","sender":6}, {"janus":"timeout"}, {"janus":"media","receiving":true}]"#;
        let refused =
            |transaction: &str, why: &str| Event::Refused { transaction: transaction.to_owned(), why: why.to_owned() };
        assert_eq!(
            events(text).unwrap(),
            [
                Event::Other,
                refused("8", "No such room"),
                refused("9", "no port for its sound"),
                Event::Gone { handle: 6 },
                Event::Over,
                Event::Other
            ]
        );
        assert_eq!(events(br#"{"janus":"keepalive"}"#).unwrap(), [Event::Other]);
    }

    #[test]
    fn what_is_missing_or_wrong_in_an_event_is_named() {
        for (from, to, words) in [
            (r#""janus":"event","#, "", "no janus;"),
            (r#""janus":"event","#, r#""janus":7,"#, "janus 7, where text"),
            (r#""audiobridge":"joined","#, "", "no plugindata.data.audiobridge"),
            (r#""ip":"127.0.0.1","#, "", "no plugindata.data.rtp.ip"),
            (r#""127.0.0.1""#, r#""here""#, "rtp.ip here, where an address"),
            ("10002", "0", "rtp.port 0, where a port"),
            ("10002", "70000", "rtp.port 70000, where a number from 0 to 65535"),
            ("10002", "-1", "rtp.port -1"),
            ("10002", r#""10002""#, "rtp.port \"10002\""),
            (r#","payload_type":8"#, "", "no plugindata.data.rtp.payload_type"),
            (r#""payload_type":8"#, r#""payload_type":128"#, "rtp.payload_type 128, where a number from 0 to 127"),
        ] {
            let text = JOINED.replace(from, to);
            assert_ne!(text, JOINED, "{from}");
            let told = why(events(text.as_bytes()));
            assert!(told.contains(words), "{to}: {told}");
        }
        assert!(why(events(br#"{"janus":"detached"}"#)).contains("no sender"));
    }

    #[test]
    fn answers_to_requests() {
        assert_eq!(identifier(br#"{"janus":"success","data":{"id":61744}}"#).unwrap(), 61_744);
        assert_eq!(version(br#"{"janus":"server_info","version_string":"1.1.2"}"#).unwrap(), "1.1.2");
        acknowledged(br#"{"janus":"ack"}"#).unwrap();
        room_made(br#"{"janus":"success","plugindata":{"data":{"audiobridge":"created"}}}"#).unwrap();
    }

    #[test]
    fn answers_that_help_nobody_are_told_as_what_they_are() {
        let refused = br#"{"janus":"error","error":{"code":460,"reason":"No such plugin 'x'"}}"#;
        assert!(why(identifier(refused)).contains("No such plugin 'x'"));
        assert!(why(acknowledged(br#"{"janus":"error"}"#)).contains("does not say why"));
        assert!(why(identifier(br#"{"janus":"success"}"#)).contains("no data.id"));
        assert!(why(identifier(br#"{"janus":"success","data":{"id":-3}}"#)).contains("data.id -3"));
        assert!(why(version(br#"{"janus":"ack"}"#)).contains("\"ack\" where server_info"));
        assert!(why(version(b"<html>")).contains("no JSON: \"<html>\""));
        let taken =
            br#"{"janus":"success","plugindata":{"data":{"audiobridge":"event","error":"Room 1 already exists"}}}"#;
        assert!(why(room_made(taken)).contains("Room 1 already exists"));
        let long = format!(r#"{{"janus":"{}"}}"#, "x".repeat(100_000));
        assert!(why(acknowledged(long.as_bytes())).len() < 2 * WORDS_MAX);
        assert!(why(events("[".repeat(100_000).as_bytes())).contains("no JSON"));
    }

    #[test]
    fn no_answer_is_a_panic() {
        for cut in 0..JOINED.len() {
            for byte in [0, b'"', b'{', b']', b'9', b'-', 0xff] {
                let mut text = JOINED.as_bytes().to_vec();
                text[cut] = byte;
                let _ = (events(&text), events(&text[..cut]), identifier(&text), version(&text), room_made(&text));
            }
        }
    }
}
