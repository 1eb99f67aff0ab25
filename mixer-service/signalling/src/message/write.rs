//! Messages to bytes.

use super::{Headers, Name, Request, Response};

/// What a message without a body takes, roughly; more only grows.
const USUAL_BYTES: usize = 768;

pub(super) fn request(request: &Request) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES + request.body.len());
    put_line(&mut bytes, &[request.method.as_str(), " ", &request.uri, " SIP/2.0"]);
    rest(bytes, &request.headers, &request.body)
}

pub(super) fn response(response: &Response) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES + response.body.len());
    put_line(&mut bytes, &["SIP/2.0 ", &response.status.to_string(), " ", &response.reason]);
    rest(bytes, &response.headers, &response.body)
}

fn rest(mut bytes: Vec<u8>, headers: &Headers, body: &[u8]) -> Vec<u8> {
    for (name, value) in headers.iter() {
        // The length is counted, never believed.
        if *name != Name::ContentLength {
            put_line(&mut bytes, &[name.as_str(), ": ", value]);
        }
    }
    put_line(&mut bytes, &["Content-Length: ", &body.len().to_string()]);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn put_line(bytes: &mut Vec<u8>, parts: &[&str]) {
    let start = bytes.len();
    parts.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    // URI and reason are public fields: no text in them may end the line early.
    bytes[start..].iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
    bytes.extend_from_slice(b"\r\n");
}
