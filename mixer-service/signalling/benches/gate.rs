//! What a message of a flood costs at the gate.

use std::hint::black_box;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use mixer_signalling::{Admission, Budgets, Gate};

fn invite() -> Vec<u8> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n";
    format!(
        "INVITE sip:88@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK776asdhds\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.7>;tag=1928301774\r\nTo: <sip:88@198.51.100.1>\r\n\
         Call-ID: a84b4c76e66710@192.0.2.7\r\nCSeq: 314159 INVITE\r\nContact: <sip:a@192.0.2.7>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
    .into_bytes()
}

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
fn start() -> Instant {
    Instant::now()
}

fn source(n: u32) -> IpAddr {
    std::net::Ipv4Addr::from_bits(0x0a00_0000 | n & 0x00ff_ffff).into()
}

fn gate(bench: &mut Criterion) {
    let (start, invite) = (start(), invite());
    let build = |budgets| Gate::new(start, budgets, [3; 16]);
    let strict = Budgets { requests_per_second: 1, request_burst: 1, answers_per_second: 1, ..Budgets::default() };

    bench.bench_function("drop a banned source", |bench| {
        let mut gate = build(Budgets { ban_after_misses: 1, ..Budgets::default() });
        gate.miss(start, source(1), "number");
        bench.iter(|| black_box(gate.admit(start, source(1), false, black_box(&invite))));
    });
    bench.bench_function("drop beyond the budget of a source", |bench| {
        let mut gate = build(strict);
        for _ in 0..10 {
            gate.admit(start, source(1), false, &invite);
        }
        bench.iter(|| {
            let admission = gate.admit(start, source(1), false, black_box(&invite));
            assert!(matches!(admission, Admission::Drop(_)));
        });
    });
    bench.bench_function("drop of a crowd, each of another source", |bench| {
        let mut gate = build(Budgets { all_requests_per_second: 1, answers_per_second: 1, ..Budgets::default() });
        let mut n = 0;
        bench.iter(|| {
            n = u32::wrapping_add(n, 7919);
            black_box(gate.admit(start, source(n), false, black_box(&invite)))
        });
    });
    bench.bench_function("pass", |bench| {
        let mut gate = build(Budgets { all_requests_per_second: u32::MAX, ..Budgets::default() });
        let mut n = 0;
        bench.iter(|| {
            n = u32::wrapping_add(n, 1);
            let now = start + Duration::from_millis(n.into());
            black_box(gate.admit(now, source(n % 1024), false, black_box(&invite)))
        });
    });
    bench.bench_function("answer 503", |bench| {
        let mut gate = build(Budgets {
            answers_per_second: u32::MAX,
            request_burst: 1,
            requests_per_second: 1,
            ..Budgets::default()
        });
        let mut n = 0;
        bench.iter(|| {
            n = u32::wrapping_add(n, 1);
            let now = start + Duration::from_millis(u64::from(n) * 500);
            gate.admit(now, source(1), false, black_box(&invite));
            black_box(gate.admit(now, source(1), false, black_box(&invite)))
        });
    });
}

criterion_group!(benches, gate);
criterion_main!(benches);
