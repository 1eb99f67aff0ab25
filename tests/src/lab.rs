//! A network of the test's own: a namespace of Linux with loopback and one pair of addresses, gone when the test is.
//!
//! Some telephones refuse a machine that has nothing but loopback, and a flood must not pass where others talk. In the
//! namespace every port is free, too.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::resume_unwind;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use dialroom_host::Clock;
use nix::sched::{CloneFlags, unshare};

/// Where the server stands.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
/// Where the telephone system that is believed stands.
pub const TRUNK: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 2));
/// Where strangers stand: this and the next addresses.
pub const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 100));
/// Where telephones stand that must not share the server's machine; see [`Far`].
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 3));
/// Another one there.
pub const FARTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 4));
/// The first of all interfaces besides loopback.
const INTERFACE: &str = "lab0";
/// Its other end.
const FAR_INTERFACE: &str = "lab1";
/// How many strangers there are.
pub const STRANGERS: u8 = 50;

/// What the machine's clock says.
#[must_use]
pub fn now() -> Instant {
    Clock::real().instant()
}

/// Lets so much time pass: telephones talk meanwhile.
pub async fn pause(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// A part of 1 in percent, to be printed.
#[must_use]
pub fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

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
    ip(&["link", "add", INTERFACE, "type", "veth", "peer", "name", FAR_INTERFACE]);
    let strangers = (0..STRANGERS).map(stranger);
    for address in [SERVER, TRUNK].into_iter().chain(strangers) {
        ip(&["address", "add", &format!("{address}/24"), "dev", INTERFACE]);
    }
    ip(&["link", "set", INTERFACE, "up"]);
    ip(&["link", "set", FAR_INTERFACE, "up"]);
}

/// Another machine at the other end of the wire: a namespace of its own. Some telephones send from whichever address is
/// nearest, and on the server's own machine that is the server's.
#[derive(Debug)]
pub struct Far {
    /// Holds the namespace.
    holder: Child,
}

impl Far {
    /// Puts the far end of the lab's wire into it. Once a test.
    #[must_use]
    pub fn new() -> Self {
        let mut holder = Command::new("setpriv");
        let holder = holder.args(["--pdeathsig", "KILL", "unshare", "-n", "sleep", "600"]);
        let far = Self { holder: holder.spawn().expect("the command setpriv") };
        // Until it has left our namespace, its own is ours.
        let own = std::fs::read_link("/proc/thread-self/ns/net").expect("a namespace");
        let theirs = format!("/proc/{}/ns/net", far.holder.id());
        while std::fs::read_link(&theirs).is_ok_and(|there| there == own) {
            std::thread::yield_now();
        }
        ip(&["link", "set", FAR_INTERFACE, "netns", &far.holder.id().to_string()]);
        for address in [FAR, FARTHER] {
            far.ip(&["address", "add", &format!("{address}/24"), "dev", FAR_INTERFACE]);
        }
        far.ip(&["link", "set", "lo", "up"]);
        far.ip(&["link", "set", FAR_INTERFACE, "up"]);
        far
    }

    /// A command that runs there.
    #[must_use]
    pub fn command(&self, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id())).arg(program);
        command
    }

    fn ip(&self, arguments: &[&str]) {
        let namespace = format!("--net=/proc/{}/ns/net", self.holder.id());
        let done =
            Command::new("nsenter").args([&namespace, "ip"]).args(arguments).output().expect("the command nsenter");
        assert!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
    }
}

impl Default for Far {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().expect("the command ip");
    assert!(done.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr));
}
