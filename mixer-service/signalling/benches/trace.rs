//! What it costs to keep a message for whoever asks later.

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use mixer_signalling::{TraceBounds, Traces, Transport, Way};

const INVITE: &str = "INVITE sip:88123456@198.51.100.1;transport=udp SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK776asdhds;rport\r\nMax-Forwards: 70\r\n\
    From: \"Anna\" <sip:+493023125002@192.0.2.7;user=phone>;tag=1928301774\r\nTo: <sip:88123456@198.51.100.1>\r\n\
    Call-ID: a84b4c76e66710@192.0.2.7\r\nCSeq: 314159 INVITE\r\nContact: <sip:anna@192.0.2.7>\r\n\
    P-Asserted-Identity: <tel:+493023125002>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nSupported: timer, 100rel\r\n\
    Content-Type: application/sdp\r\n\r\n\
    v=0\r\no=anna 1 2 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";

#[expect(clippy::disallowed_methods, reason = "an Instant can be had in no other way")]
fn start() -> Instant {
    Instant::now()
}

fn trace(bench: &mut Criterion) {
    let (start, peer) = (start(), ([192, 0, 2, 7], 5060).into());
    bench.bench_function("keep an INVITE, each of another call", |bench| {
        let mut traces = Traces::new(TraceBounds::default());
        let mut n = 0_u32;
        bench.iter(|| {
            n += 1;
            let invite = INVITE.replace("a84b4c76e66710", &n.to_string());
            traces.note(start, Way::In, peer, Transport::Udp, black_box(invite.as_bytes()));
        });
    });
    bench.bench_function("keep an INVITE, always of the same call", |bench| {
        let mut traces = Traces::new(TraceBounds::default());
        bench.iter(|| traces.note(start, Way::In, peer, Transport::Udp, black_box(INVITE.as_bytes())));
    });
}

criterion_group!(benches, trace);
criterion_main!(benches);
