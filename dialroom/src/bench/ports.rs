//! Sockets of the legs: an even port for the sound, and the odd one above it for reports (RFC 3550 section 11).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::bail;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The range that legs take their ports from: above the one that mixers on the same machine usually have.
pub(super) const FIRST: u16 = 30_000;
const LAST: u16 = 60_998;
/// Descriptors of a leg of ours: sound and reports.
pub(super) const LEG_SOCKETS: u64 = 2;
/// Descriptors that a bench needs beside those of its legs.
const OTHERS: u64 = 200;

/// Hands out pairs of ports, upwards.
#[derive(Debug)]
pub(super) struct Ports {
    local: IpAddr,
    next: u16,
}

impl Ports {
    pub(super) const fn new(local: IpAddr) -> Self {
        Self { local, next: FIRST }
    }

    /// The next pair that is free.
    ///
    /// # Errors
    /// When none is.
    pub(super) fn pair(&mut self) -> anyhow::Result<(UdpSocket, UdpSocket)> {
        let mut why = None;
        while self.next <= LAST {
            let bind = |port| UdpSocket::bind(SocketAddr::new(self.local, port));
            let pair = bind(self.next).and_then(|sound| Ok((sound, bind(self.next + 1)?)));
            self.next += 2;
            match pair {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    why = Some(error);
                    break;
                }
            }
        }
        let why = why.map_or_else(|| "all are taken".to_owned(), |why| why.to_string());
        bail!("no pair of UDP ports from {FIRST} to {LAST} on {}: {why}; make fewer calls at once", self.local)
    }
}

/// An address of loopback whose port is free for datagrams and streams.
///
/// # Errors
/// When none is found.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free on {}", Ipv4Addr::LOCALHOST)
}

/// Lets this process, and those it starts, hold as many files and sockets as so many legs need, at so many a leg.
///
/// # Errors
/// When the system's bound is lower.
pub(super) fn allow_sockets(legs: usize, each: u64) -> anyhow::Result<()> {
    let needed = each * u64::try_from(legs)? + OTHERS;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed || setrlimit(Resource::RLIMIT_NOFILE, needed, hard).is_err() {
        bail!("--legs {legs}: {needed} open files are needed, {hard} allowed; raise the limit (ulimit -Hn {needed})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_even_and_odd_and_never_twice() {
        let mut ports = Ports::new([127, 0, 0, 1].into());
        let pairs: Vec<_> = (0..3).map(|_| ports.pair().unwrap()).collect();
        let numbers: Vec<_> = pairs
            .iter()
            .map(|(sound, rtcp)| (sound.local_addr().unwrap().port(), rtcp.local_addr().unwrap().port()))
            .collect();
        assert!(numbers.iter().all(|(sound, rtcp)| sound.is_multiple_of(2) && *rtcp == sound + 1), "{numbers:?}");
        assert!(numbers.windows(2).all(|two| two[0].0 < two[1].0));
    }
}
