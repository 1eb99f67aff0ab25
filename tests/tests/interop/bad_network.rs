//! A bad network between the telephones and the mixer: PINs are still read right, and calls still come up.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dialroom_tests::house::eventually;
use dialroom_tests::mixer::{BERND, GUEST, KEYS, Mixer, Setup};
use dialroom_tests::relay::{Relay, Weather};
use dialroom_tests::seed::is_long;
use futures_util::future::join_all;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SEED: u64 = 20_261_124;

/// So many guests key room and PIN through this weather; answers how many got in at their first try.
async fn keyed(weather: Weather, calls: usize) -> (usize, f64) {
    let mixer = Mixer::open(Setup::loopback()).await;
    mixer.book("Storm").await;
    let relay = Relay::start(LOOPBACK, mixer.sip(), SEED, Weather::CALM, weather).await;
    let flags = ["--from", GUEST, "--keys", KEYS, "--for", "9", "88"];
    let phones: Vec<_> = (0..calls).map(|_| mixer.call_via(relay.address(), &flags)).collect();
    join_all(phones.into_iter().map(|phone| phone.report())).await;
    let records = eventually("a record of each call", Duration::from_secs(20), async || {
        Some(mixer.records().await).filter(|records| records.len() == calls)
    })
    .await;
    let right = records.iter().filter(|record| record.to_string().contains("\"admission\":\"pin\"")).count();
    let (taken, lost) = (relay.sound.taken.load(Ordering::Relaxed), relay.sound.lost.load(Ordering::Relaxed));
    mixer.close().await;
    (right, lost as f64 / taken as f64)
}

#[tokio::test]
async fn a_pin_is_read_right_through_loss() {
    let calls = if is_long() { 100 } else { 20 };
    let rough = Weather { jitter: Duration::from_millis(40), reorder: 0.05, duplicate: 0.03, ..Weather::losing(0.05) };
    for (what, weather, least) in [
        ("5 % loss, 40 ms jitter, 5 % reordered, 3 % doubled", rough, calls),
        ("20 % loss", Weather::losing(0.2), calls - calls / 100),
        ("10 % loss in rows of 4", Weather { burst_len: 4.0, ..Weather::losing(0.1) }, calls - calls / 20),
    ] {
        let (right, lost) = keyed(weather, calls).await;
        println!(
            "figure: PIN through {what}: {right} of {calls} read right at the first try ({:.1} % lost)",
            lost * 100.0
        );
        assert!(right >= least, "{what}: {right} of {calls}");
    }
}

#[tokio::test]
async fn calls_come_up_and_end_through_lost_signalling() {
    let calls = 10;
    let mixer = Mixer::open(Setup::loopback()).await;
    mixer.book("Storm").await;
    let weather = Weather { duplicate: 0.1, jitter: Duration::from_millis(50), ..Weather::losing(0.3) };
    let relay = Relay::start(LOOPBACK, mixer.sip(), SEED, weather, Weather::CALM).await;
    let flags = ["--from", BERND, "--for", "3", "88"];
    let phones: Vec<_> = (0..calls).map(|_| mixer.call_via(relay.address(), &flags)).collect();
    let reports = join_all(phones.into_iter().map(|phone| phone.report())).await;
    let mut after: Vec<_> = reports.iter().filter_map(|one| one.report["answered_after_ms"].as_u64()).collect();
    after.sort_unstable();
    println!("figure: calls through 30 % lost signalling: {} of {calls} up, after {after:?} ms", after.len());
    assert_eq!(after.len(), calls, "{reports:#?}");
    // Whose BYE is lost for good is found by its silence. Who never confirmed leaves no record, and no trace either.
    eventually("every call ends", Duration::from_secs(70), async || {
        let left = mixer.metric("dialroom_mixer_legs").await + mixer.metric("dialroom_mixer_sip_calls").await;
        (left == 0.0).then_some(())
    })
    .await;
    assert!((1..=calls).contains(&mixer.records().await.len()));
    mixer.close().await;
}
