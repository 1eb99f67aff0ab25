//! A network of the test's own: a namespace of Linux with loopback and one pair of addresses, gone when the test is.
//!
//! Some telephones refuse a machine that has nothing but loopback, and a flood must not pass where others talk. In the
//! namespace every port is free, too.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::resume_unwind;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

/// Where the server stands.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
/// Where the telephone system that is believed stands.
pub const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));
/// Where strangers stand: this and the next addresses.
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100));
/// The first of all interfaces besides loopback.
pub const INTERFACE: &str = "lab0";
/// How many strangers there are.
pub const STRANGERS: u8 = 50;

/// The stranger of that number, from 0.
///
/// # Panics
/// From [`STRANGERS`] on.
#[must_use]
pub fn stranger(number: u8) -> IpAddr {
    assert!(number < STRANGERS, "no such stranger");
    IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100 + number))
}

/// Runs a test in a network of its own, with a runtime of its own. Where that is not allowed the test says so and passes:
/// `tests/run` then shows its group as skipped.
pub fn in_lab<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send) {
    let entered = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if let Err(why) = unshare(CloneFlags::CLONE_NEWNET) {
                eprintln!("skipped: no network of its own ({why}); it needs root");
                return;
            }
            furnish();
            // One thread: sockets and programs belong to the namespace of the thread that opens them.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(test());
        });
        thread.join()
    });
    entered.unwrap_or_else(|panic| resume_unwind(panic));
}

fn furnish() {
    ip(&["link", "set", "lo", "up"]);
    ip(&["link", "add", INTERFACE, "type", "veth", "peer", "name", "lab1"]);
    let strangers = (0..STRANGERS).map(stranger);
    for address in [SERVER, TRUNK].into_iter().chain(strangers) {
        ip(&["address", "add", &format!("{address}/24"), "dev", INTERFACE]);
    }
    ip(&["link", "set", INTERFACE, "up"]);
    ip(&["link", "set", "lab1", "up"]);
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("the command ip");
    assert!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
}
