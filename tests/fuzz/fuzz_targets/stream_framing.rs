//! A stream cut into messages: the same cuts whether it comes byte by byte or at once, and never without end.
#![no_main]

mod support;

use mixer_signalling::message::framing::{Framed, Framer};

/// What is cut off a stream that comes in pieces of this length.
fn cuts(bytes: &[u8], piece: usize) -> (Vec<usize>, bool) {
    let (mut framer, mut buffer, mut cuts) = (Framer::new(), Vec::new(), Vec::new());
    for piece in bytes.chunks(piece.max(1)) {
        buffer.extend(piece);
        loop {
            match framer.next(&buffer) {
                Framed::Message(len) => {
                    assert!(0 < len && len <= buffer.len(), "a message of {len} in {}", buffer.len());
                    let _ = mixer_signalling::message::read(&buffer[..len]);
                    cuts.push(len);
                    buffer.drain(..len);
                }
                Framed::KeepAlive(len, _) => {
                    assert!(0 < len && len <= buffer.len(), "a keep-alive of {len} in {}", buffer.len());
                    buffer.drain(..len);
                }
                Framed::Partial => break,
                Framed::Hopeless => return (cuts, true),
            }
        }
    }
    (cuts, false)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let Some((&piece, stream)) = bytes.split_first() else { return };
    let whole = cuts(stream, stream.len());
    let pieces = cuts(stream, usize::from(piece) + 1);
    // Where it is given up may differ; what came before may not.
    let common = whole.0.len().min(pieces.0.len());
    assert_eq!(whole.0[..common], pieces.0[..common], "cut otherwise in pieces");
});
