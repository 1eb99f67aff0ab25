//! What a usual INVITE costs: reading, judging, answering, writing.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mixer_signalling::message::{Message, Request, Response, fault, read};

const INVITE: &[u8] = b"INVITE sip:88@pbx.contoso.example;user=phone SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.33:5062;rport;branch=z9hG4bK1f2e3d4c\r\n\
    Max-Forwards: 70\r\n\
    From: \"Anna\" <sip:+493023125001@pbx.contoso.example>;tag=as6f2d8\r\n\
    To: <sip:88@pbx.contoso.example>\r\n\
    Contact: <sip:+493023125001@192.0.2.33:5062>\r\n\
    Call-ID: 3c1b2a9f@192.0.2.33\r\n\
    CSeq: 102 INVITE\r\n\
    User-Agent: Telephone 1.0\r\n\
    Date: Fri, 14 Jun 2024 08:00:00 GMT\r\n\
    Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, SUBSCRIBE, NOTIFY, INFO, PUBLISH\r\n\
    Supported: replaces, timer\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 134\r\n\r\n\
    v=0\r\no=anna 1 1 IN IP4 192.0.2.33\r\ns=-\r\nc=IN IP4 192.0.2.33\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:101 telephone-event/8000\r\n";

fn invite() -> Request {
    match read(INVITE) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Response(_)) | Err(_) => Request::new("INVITE".into(), "sip:nobody"),
    }
}

fn message(criterion: &mut Criterion) {
    let invite = invite();
    criterion.bench_function("read an INVITE", |bencher| bencher.iter(|| read(black_box(INVITE))));
    criterion.bench_function("judge it", |bencher| bencher.iter(|| fault(black_box(&invite))));
    criterion.bench_function("write it", |bencher| bencher.iter(|| black_box(&invite).write()));
    criterion.bench_function("answer it", |bencher| {
        bencher.iter(|| Response::to(black_box(&invite), 200).tag("b7e1").write());
    });
}

criterion_group!(benches, message);
criterion_main!(benches);
