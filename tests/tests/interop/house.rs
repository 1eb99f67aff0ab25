//! SIPp calls into the whole house, from the calendar on: by number, by room and PIN, writing carelessly.

use std::time::Duration;

use chrono::TimeDelta;
use dialroom_tests::house::{House, SOON, eventually, keys, meeting};
use dialroom_tests::mixer::{BERND, GUEST};
use dialroom_tests::sipp::{Run, Scenario};

async fn open_meeting(house: &House, subject: &str) -> serde_json::Value {
    let start = house.now().await + TimeDelta::minutes(5);
    house.book(meeting(subject, start, 30, &["bernd@contoso.example", "eva@fabrikam.example"])).await;
    house.handed_over(subject).await
}

#[tokio::test]
async fn sipp_calls_by_number_and_by_keys_over_udp_and_tcp() {
    let house = House::open().await;
    let booking = open_meeting(&house, "Interop").await;
    let server = house.facts()["sip"].as_str().expect("an address").parse().expect("an address");
    let by_number = Scenario::new("a call by number").call().pause(5_500).bye();
    let by_keys = Scenario::new("a call by room and PIN").call().pause(500).key(&keys(&booking)).pause(8_000).bye();
    let mut expected = 0;
    for transport in ["udp", "tcp"] {
        let run = Run { transport, ..Run::of(server) };
        Run { calls: 2, from: BERND, ..run.clone() }.expect(&by_number).await;
        Run { calls: 2, from: GUEST, ..run }.expect(&by_keys).await;
        expected += 4;
    }
    Run::of(server).expect_file("uac_careless.xml", "careless telephone").await;
    expected += 1;
    let calls = eventually("a record of each call", SOON, async || {
        Some(house.calls().await).filter(|calls| calls.len() == expected)
    })
    .await;
    let by_pin = calls.iter().filter(|call| call["admission"] == "pin").count();
    assert_eq!(by_pin, 4, "keyed by SIPp, read by us: {calls:#?}");
    assert!(calls.iter().any(|call| call["admission"] == "number"), "{calls:#?}");
    house.close().await;
}

#[tokio::test]
async fn rubbish_disturbs_no_call_that_runs() {
    let house = House::open().await;
    open_meeting(&house, "Calm").await;
    let talker = house.call(&["--from", "+493023125002", "--tone", "700", "88"]);
    house.until_in("Calm", 1).await;
    let flags = ["--from", "+493023125001", "--expect-tone", "700", "--expect-no-tone", "440", "--tone", "440", "88"];
    let listener = house.call(&flags);
    house.until_in("Calm", 2).await;
    throw_rubbish(&house).await;
    assert_eq!(house.participants("Calm").await.len(), 2, "nobody was thrown out");
    let report = listener.hang_up().await.expect("it hears the other all the time");
    let (longest_ms, _) = report.heard(700);
    println!("figure: steady tone during rubbish: {longest_ms} ms, {} packets lost", report.report["packets_lost"]);
    assert!(longest_ms >= 3_500, "the tone broke: {:#}", report.report);
    let _ = talker.hang_up().await;
    house.close().await;
}

/// Four seconds of what no standard allows, at every edge.
async fn throw_rubbish(house: &House) {
    let facts = house.facts();
    let sip = facts["sip"].as_str().expect("an address");
    let socket = tokio::net::UdpSocket::bind("127.0.0.3:0").await.expect("a socket");
    let lines = [
        "\0\0\0\0",
        "INVITE",
        "INVITE sip:88 SIP/2.0\r\n\r\n",
        "SIP/2.0 200 OK\r\n\r\n",
        "\r\n\r\n\r\n\r\n",
        "BYE sip:x SIP/9.9\r\nVia: x\r\nContent-Length: -1\r\n\r\n",
    ];
    // No connection is used twice: who was answered with a closed door must not be asked through it again.
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().expect("a client");
    for round in 0..200u32 {
        let line = lines[round as usize % lines.len()];
        socket.send_to(line.as_bytes(), sip).await.expect("sent");
        socket.send_to(&vec![b'A'; 200 + round as usize * 40], sip).await.expect("sent");
        // Somebody tries the sound's ports.
        for port in [20_000, 20_002, 20_004 + round as u16 * 2] {
            socket.send_to(&[0x80, 0xff, 0, 1, 2, 3], ("127.0.0.1", port)).await.expect("sent");
        }
        for (part, path) in
            [("http", "/api/v1/conferences"), ("http", "/graph/notifications"), ("control", "/v1/bookings/x")]
        {
            let url = format!("{}{path}", facts[part].as_str().expect("a URL"));
            if round % 20 == 0 {
                let answer = client.put(&url).body("{\"value\":[{\"clientState\":7}]").send().await.expect("an answer");
                assert!(answer.status().is_client_error(), "{url}: {}", answer.status());
                // Who answers before he has read it all may close; that is an answer too.
                if let Ok(answer) = client.post(&url).body(vec![b'['; 100_000]).send().await {
                    assert!(!answer.status().is_server_error(), "{url}: {}", answer.status());
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
