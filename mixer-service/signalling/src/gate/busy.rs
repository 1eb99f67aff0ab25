//! The answer that costs nothing: 503, made of the request's own lines and forgotten at once (RFC 3261 section 8.2.7).
//!
//! It is never longer than what it answers: whoever sends in another's name gains nothing by us. So it also leaves
//! `received` out, which is for proxies on the way; the datagram goes where the request came from.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hasher};

use super::scan::{RawLine, lines};

/// When to come back.
const RETRY_AFTER_S: u32 = 5;
/// `Via` lines of a request that is answered; more have only loops.
const MAX_VIAS: usize = 8;

/// The answer to a request; `None` where it lacks what every request has, or would be shorter than its answer.
pub(super) fn answer(request: &[u8], secret: u128) -> Option<Vec<u8>> {
    let mut vias = [None; MAX_VIAS];
    let mut count = 0;
    let [mut from, mut to, mut call_id, mut cseq] = [None; 4];
    for line in lines(request) {
        if line.is(b"via", b'v') {
            *vias.get_mut(count)? = Some(line);
            count += 1;
        } else if line.is(b"from", b'f') {
            once(&mut from, line)?;
        } else if line.is(b"to", b't') {
            once(&mut to, line)?;
        } else if line.is(b"call-id", b'i') {
            once(&mut call_id, line)?;
        } else if line.name.eq_ignore_ascii_case(b"cseq") {
            once(&mut cseq, line)?;
        }
    }
    vias[0]?;
    let mut answer = Vec::with_capacity(request.len());
    answer.extend_from_slice(b"SIP/2.0 503 Service Unavailable\r\n");
    for via in vias.into_iter().flatten() {
        append(&mut answer, b"Via", via.value);
    }
    append(&mut answer, b"From", from?.value);
    append(&mut answer, b"Call-ID", call_id?.value);
    append(&mut answer, b"CSeq", cseq?.value);
    append(&mut answer, b"To", to?.value);
    answer.truncate(answer.len() - 2);
    let mut end = String::new();
    let tag = tag(call_id?.value, secret);
    let _ = write!(end, ";tag={tag:08x}\r\nRetry-After: {RETRY_AFTER_S}\r\nContent-Length: 0\r\n\r\n");
    answer.extend_from_slice(end.as_bytes());
    (answer.len() <= request.len()).then_some(answer)
}

/// Two of a header that comes once: no answer, whichever of them is meant.
fn once<'a>(place: &mut Option<RawLine<'a>>, line: RawLine<'a>) -> Option<()> {
    place.replace(line).is_none().then_some(())
}

fn append(answer: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    answer.extend_from_slice(name);
    answer.extend_from_slice(b": ");
    answer.extend_from_slice(value);
    answer.extend_from_slice(b"\r\n");
}

/// The same for every copy of a request, as an answer without memory must have it.
fn tag(call_id: &[u8], secret: u128) -> u64 {
    let mut hash = DefaultHasher::new();
    hash.write_u128(secret);
    hash.write(call_id);
    hash.finish() & 0xffff_ffff
}
