//! A system that gives no descriptor any more: a new stream is refused with an error, and those that are open go on.
//!
//! A program of its own, for the limit (`RLIMIT_NOFILE`) holds for a whole process.

#![expect(clippy::expect_used, reason = "a test whose helper expects")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mixer_service::engine::{Clip, Codec, Engine, Remote, Report, Rtcp, StreamId};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc::Receiver;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Descriptors of the whole process: what the runtime has, and a few dozen streams.
const DESCRIPTORS: u64 = 64;
/// Nothing here takes so long, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

async fn played(reports: &mut Receiver<Report>, number: u64) {
    let wait =
        async { while reports.recv().await.expect("the engine stands") != Report::Played(StreamId(0), number) {} };
    tokio::time::timeout(PATIENCE, wait).await.expect("what plays was heard to its end");
}

#[tokio::test]
async fn a_stream_too_many_is_refused_and_the_others_go_on() {
    let (engine, mut reports) = Engine::start((0, 0), 46).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).unwrap();
    let port = engine.open(StreamId(0), LOOPBACK).unwrap();
    engine.connect(StreamId(0), Remote::plain((LOOPBACK, port).into(), Codec::ALaw));
    let refused = (1..=DESCRIPTORS).find_map(|n| engine.open(StreamId(n), LOOPBACK).err()).expect("they run out");
    assert_eq!(refused.raw_os_error(), Some(24), "too many open files: {refused}");
    // A port for reports is not to be had either; the call goes on without.
    let with_reports =
        Remote { rtcp: Rtcp::Address((LOOPBACK, 9).into()), ..Remote::plain((LOOPBACK, port).into(), Codec::ALaw) };
    engine.connect(StreamId(0), with_reports);
    engine.play(StreamId(0), vec![Clip::new(vec![500; 1600])], 7);
    played(&mut reports, 7).await;
    assert_eq!(engine.metrics().streams_without_reports, 1);
    // One gone is room for one.
    engine.close(StreamId(1), false);
    let wait = async { while !matches!(reports.recv().await, Some(Report::Closed(StreamId(1), _))) {} };
    tokio::time::timeout(PATIENCE, wait).await.expect("it closes");
    engine.open(StreamId(1000), LOOPBACK).unwrap();
}
