//! What strangers may, and who has to make room.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::sip::Budgets;

fn guarded(setup: &mut Setup) {
    setup.budgets =
        Some(Budgets { requests_per_second: 1, request_burst: 10, ban_after_misses: 5, ..Budgets::default() });
}

fn counted(counts: &[(&'static str, u64)], reason: &str) -> u64 {
    counts.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count)
}

#[tokio::test]
async fn beyond_his_budget_a_stranger_is_told_to_come_later_or_nothing_at_all() {
    let ours = Side::with(guarded).await;
    let hand = Hand::new(ours.address()).await;
    for seq in 1..=40 {
        hand.send(hand.request("OPTIONS", &seq.to_string(), "", "")).await;
    }
    let counts = || ours.sip.counters().read();
    until("all are counted", || counts().received + counts().dropped.iter().map(|(_, n)| n).sum::<u64>() == 40).await;
    let (received, dropped) = (counts().received, counts().dropped);
    assert!((10..=12).contains(&received), "{received} were read");
    let (told, silent) = (counted(&dropped, "busy_answered"), counted(&dropped, "source_budget"));
    assert!((1..=6).contains(&told) && told + silent + received == 40, "{dropped:?}");
    // His answers to calls of his own are others.
    let other = Hand::new(ours.address()).await;
    other.send(other.request("BYE", "1", ";tag=nobody", "")).await;
    assert!(other.answer().await.starts_with("SIP/2.0 481 "));
}

#[tokio::test]
async fn who_searches_is_banned_and_a_peer_never_is() {
    let ours = Side::with(guarded).await;
    let hand = Hand::new(ours.address()).await;
    for seq in 1..=5 {
        hand.send(hand.request("REGISTER", &seq.to_string(), "", "")).await;
        assert!(hand.answer().await.starts_with("SIP/2.0 405 "));
    }
    until("he is banned", || counted(&ours.sip.counters().read().banned, "method") == 1).await;
    hand.send(hand.request("OPTIONS", "6", "", "")).await;
    until("he is not heard", || counted(&ours.sip.counters().read().dropped, "banned") == 1).await;

    let ours = Side::with(|setup| {
        guarded(setup);
        known(setup);
    })
    .await;
    let hand = Hand::new(ours.address()).await;
    for seq in 1..=20 {
        hand.send(hand.request("REGISTER", &seq.to_string(), "", "")).await;
        assert!(hand.answer().await.starts_with("SIP/2.0 405 "));
    }
}

#[tokio::test]
async fn wrong_numbers_are_misses_too() {
    let ours = Side::with(guarded).await;
    let hand = Hand::new(ours.address()).await;
    for _ in 0..5 {
        ours.sip.missed(hand.socket.local_addr().unwrap());
    }
    until("he is banned", || counted(&ours.sip.counters().read().banned, "wrong_number") == 1).await;
}

#[tokio::test]
async fn slow_streams_make_room_for_one_that_speaks() {
    let ours = Side::with(|setup| (setup.max_streams, setup.max_streams_per_source) = (20, 10)).await;
    let mut slow = Vec::new();
    for _ in 0..30 {
        let mut stream = TcpStream::connect(ours.address()).await.unwrap();
        // The beginning of a message that never ends; some of them are closed before they can say so much.
        let _ = stream.write_all(b"INVITE sip:88@127.0.0.1 SIP/2.0\r\nVia:").await;
        slow.push(stream);
    }
    let hand = Hand::new(ours.address()).await;
    let options = hand.request("OPTIONS", "1", "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let mut stream = TcpStream::connect(ours.address()).await.unwrap();
    stream.write_all(options.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"SIP/2.0 200 ");
    assert!(ours.sip.counters().read().streams_refused >= 20);
}

#[tokio::test]
async fn a_peer_who_does_not_read_is_closed_and_holds_up_nobody() {
    let ours = Side::with(known).await;
    let hand = Hand::new(ours.address()).await;
    let options = hand.request("OPTIONS", "1", "", "").replace("SIP/2.0/UDP", "SIP/2.0/TCP");
    let mut deaf = TcpStream::connect(ours.address()).await.unwrap();
    let mut seq = 0;
    while deaf.write_all(options.replace("CSeq: 1 ", &format!("CSeq: {seq} ")).as_bytes()).await.is_ok() {
        seq += 1;
        assert!(seq < 1_000_000, "never closed");
    }
    hand.send(hand.request("OPTIONS", "2", "", "")).await;
    assert!(hand.answer().await.starts_with("SIP/2.0 200 "));
    assert!(ours.sip.counters().read().unsent >= 1);
}
