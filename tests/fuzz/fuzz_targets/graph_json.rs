//! An event of Microsoft Graph, and a page of a delta feed.
#![no_main]

mod support;

use chrono::DateTime;
use connector_calendar::{GraphContext, appointment_from_graph, read_delta_page};
use dialroom_booking::{EmailAddress, Person};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _watch = support::Watch::start();
    let _ = read_delta_page(bytes);
    let address = EmailAddress::parse("anna@contoso.example").expect("an address");
    let owner = Person { address, name: None };
    let horizon = DateTime::from_timestamp(1_900_000_000, 0).expect("a time");
    let context =
        GraphContext { mailbox: "anna@contoso.example", owner: &owner, home_zone: chrono_tz::Europe::Berlin, horizon };
    let (event, instances) = bytes.split_at(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
    if let Ok((appointment, _)) = appointment_from_graph(event, &[instances], &context) {
        let _ = format!("{appointment:?}");
    }
});
