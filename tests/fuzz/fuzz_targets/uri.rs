//! Addresses: SIP and tel URIs, `name-addr`, `Via`. What is written is read back as the same.
#![no_main]

mod support;

use mixer_signalling::message::{Address, Uri, Via};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let text = String::from_utf8_lossy(bytes);
    if let Some(uri) = Uri::parse(&text) {
        let again = Uri::parse(&uri.to_string()).expect("our own URI can be read");
        assert_eq!(uri.to_string(), again.to_string());
        let _ = (uri.ip(), uri.is_loose());
    }
    if let Some(address) = Address::parse(&text) {
        let again = Address::parse(&address.to_string()).expect("our own address can be read");
        assert_eq!(address.to_string(), again.to_string());
        let _ = address.tag();
    }
    if let Some(via) = Via::parse(&text) {
        let again = Via::parse(&via.to_string()).expect("our own Via can be read");
        assert_eq!(via.to_string(), again.to_string());
        let _ = (via.unique_branch(), via.ip(), via.received_ip());
    }
});
