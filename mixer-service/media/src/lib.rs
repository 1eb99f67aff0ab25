//! From datagram to sound and back: RTP, jitter buffer, codecs, digits, mixing, prompts.
