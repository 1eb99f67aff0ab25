//! The gate before the parser: no answer is longer than what was asked, and nobody who is trusted is turned away.
#![no_main]

mod support;

use std::time::Duration;

use mixer_signalling::{Admission, Budgets, Gate};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let mut now = support::start();
    let budgets = Budgets { requests_per_second: 1, request_burst: 3, sources: 16, ..Budgets::default() };
    let mut gate = Gate::new(now, budgets, [7; 16]);
    for step in bytes.split(|byte| *byte == 0xff) {
        let Some((&first, message)) = step.split_first() else { continue };
        now += Duration::from_millis(u64::from(first >> 4));
        let (source, trusted) = (support::address(first % 8), first & 8 != 0);
        match gate.admit(now, source, trusted, message) {
            Admission::Pass => {}
            Admission::Answer(answer) => {
                assert!(!trusted, "whoever is trusted is let through");
                assert!(answer.len() <= message.len(), "{} bytes for {}", answer.len(), message.len());
            }
            Admission::Drop(_) => {}
        }
        if first & 3 == 3 {
            let _ = gate.miss(now, source, "malformed");
        }
    }
    assert!(gate.banned(now).len() <= 16);
});
