//! A message of SIP (RFC 3261): read, judged, answered, written and read again.
#![no_main]

mod support;

use mixer_signalling::message::{Message, Response, fault, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let message = match read(bytes) {
        Ok(message) => message,
        Err(unreadable) => {
            if let Some(answer) = unreadable.answer() {
                assert!(read(&answer).is_ok(), "our own answer cannot be read");
            }
            return;
        }
    };
    let headers = match &message {
        Message::Request(request) => {
            if let Some(fault) = fault(request) {
                assert!(read(&fault.response(request).write()).is_ok(), "our own refusal cannot be read");
            }
            let answer = Response::to(request, 200).tag("t").write();
            assert!(read(&answer).is_ok(), "our own answer cannot be read");
            let _ = (request.part("application/sdp"), request.required().count(), request.content_type());
            &request.headers
        }
        Message::Response(response) => &response.headers,
    };
    let _ = (headers.top_via(), headers.call_id(), headers.cseq(), headers.from(), headers.to(), headers.contact());
    let _ = (headers.max_forwards(), headers.from_tag(), headers.to_tag());
    // A Request-URI is kept as it came and never sent on.
    if matches!(&message, Message::Request(request) if request.uri.contains(|sign: char| sign.is_control())) {
        return;
    }
    // What we pass on means the same to the next who reads it.
    let written = message.write();
    let again = read(&written).expect("what was read and written can be read");
    assert_eq!(written, again.write());
});
