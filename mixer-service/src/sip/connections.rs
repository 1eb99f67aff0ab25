//! How many streams there may be, whose they are, and who has to make room.
//!
//! A stream that has not brought a whole message yet is worth little, and there is no telling a slow peer from one that
//! only holds the place. So at a bound the oldest such stream makes room for the new one (2000 slow streams keep nobody
//! out), and only where every stream has proved its worth is the new one turned away. A telephone system of ours, or a
//! server that we connect to, is never turned away for strangers: their oldest stream makes room for it.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// How many streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamLimits {
    /// In all.
    pub(super) all: usize,
    /// Of one source that is no telephone system of ours.
    pub(super) per_source: usize,
}

/// The streams that are open.
#[derive(Debug)]
pub(super) struct Connections {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    limits: StreamLimits,
    next: u64,
    all: HashMap<u64, Entry>,
    /// Those that have brought nothing yet, oldest first.
    unproven: BTreeSet<u64>,
    /// Those of nobody we know, oldest first.
    strange: BTreeSet<u64>,
    by_source: HashMap<IpAddr, Source>,
}

#[derive(Debug)]
struct Entry {
    source: IpAddr,
    close: CancellationToken,
}

#[derive(Debug, Default)]
struct Source {
    count: usize,
    unproven: BTreeSet<u64>,
}

/// A place; dropping it gives it free.
#[derive(Debug)]
pub(super) struct Seat {
    connections: Arc<Connections>,
    id: u64,
    /// Cancelled when the stream has to go.
    pub(super) close: CancellationToken,
}

impl Connections {
    pub(super) fn new(limits: StreamLimits) -> Self {
        let table = Table {
            limits,
            next: 0,
            all: HashMap::new(),
            unproven: BTreeSet::new(),
            strange: BTreeSet::new(),
            by_source: HashMap::new(),
        };
        Self { table: Mutex::new(table) }
    }

    /// Other bounds; streams that are open stay.
    pub(super) fn set_limits(&self, limits: StreamLimits) {
        self.table().limits = limits;
    }

    /// Streams that are open.
    pub(super) fn len(&self) -> usize {
        self.table().all.len()
    }

    /// Takes a place for a stream from there; `None` when all are taken by streams that have proved their worth. `known`:
    /// it is one of ours or of a telephone system of ours.
    pub(super) fn seat(self: &Arc<Self>, source: IpAddr, known: bool) -> Option<Seat> {
        let source = network_of(source);
        let mut table = self.table();
        let of_source = table.by_source.get(&source);
        let crowded = of_source.is_some_and(|of_source| of_source.count >= table.limits.per_source) && !known;
        if crowded {
            let oldest = of_source.and_then(|of_source| of_source.unproven.first().copied());
            table.turn_out(oldest?);
        } else if table.all.len() >= table.limits.all {
            let oldest = table.unproven.first().or_else(|| table.strange.first().filter(|_| known)).copied();
            table.turn_out(oldest?);
        }
        let id = table.next;
        table.next += 1;
        let close = CancellationToken::new();
        table.all.insert(id, Entry { source, close: close.clone() });
        table.unproven.insert(id);
        if !known {
            table.strange.insert(id);
        }
        let of_source = table.by_source.entry(source).or_default();
        of_source.count += 1;
        of_source.unproven.insert(id);
        drop(table);
        Some(Seat { connections: self.clone(), id, close })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table stays whole even if a thread died holding it: each change is a few calls of maps that cannot fail.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn turn_out(&mut self, id: u64) {
        if let Some(entry) = self.remove(id) {
            entry.close.cancel();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        self.unproven.remove(&id);
        self.strange.remove(&id);
        if let Some(of_source) = self.by_source.get_mut(&entry.source) {
            of_source.count -= 1;
            of_source.unproven.remove(&id);
            if of_source.count == 0 {
                self.by_source.remove(&entry.source);
            }
        }
        Some(entry)
    }
}

impl Seat {
    /// The stream has brought a whole message: it makes room for nobody any more.
    pub(super) fn prove(&self) {
        let mut table = self.connections.table();
        table.unproven.remove(&self.id);
        let source = table.all.get(&self.id).map(|entry| entry.source);
        if let Some(of_source) = source.and_then(|source| table.by_source.get_mut(&source)) {
            of_source.unproven.remove(&self.id);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.connections.table().remove(self.id);
    }
}

/// Whoever has one IPv6 address has the whole /64 it is in.
fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(four) => four.into(),
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(all: usize, per_source: usize) -> Arc<Connections> {
        Arc::new(Connections::new(StreamLimits { all, per_source }))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn at_a_sources_bound_its_own_oldest_silent_stream_makes_room() {
        let all = connections(100, 2);
        let other = all.seat(ip("192.0.2.1"), false).unwrap();
        let (first, second) = (all.seat(ip("192.0.2.9"), false).unwrap(), all.seat(ip("192.0.2.9"), false).unwrap());
        first.prove();
        let third = all.seat(ip("192.0.2.9"), false).unwrap();
        assert!(second.close.is_cancelled() && !first.close.is_cancelled() && !other.close.is_cancelled());
        third.prove();
        assert!(all.seat(ip("192.0.2.9"), false).is_none(), "all have proved their worth");
        assert!(all.seat(ip("192.0.2.9"), true).is_some(), "a telephone system has no such bound");
        drop(first);
        assert!(all.seat(ip("192.0.2.9"), false).is_some());
    }

    #[test]
    fn at_the_bound_of_all_the_oldest_silent_stream_makes_room_whosever_it_is() {
        let all = connections(2, 2);
        let (first, second) = (all.seat(ip("192.0.2.1"), false).unwrap(), all.seat(ip("192.0.2.2"), true).unwrap());
        second.prove();
        let third = all.seat(ip("192.0.2.3"), false).unwrap();
        assert!(first.close.is_cancelled() && all.len() == 2);
        // Turned out already; its end must not give free what it no longer has.
        drop(first);
        assert_eq!(all.len(), 2);
        drop((second, third));
        assert_eq!(all.len(), 0);
        assert!(all.table().by_source.is_empty() && all.table().unproven.is_empty());
    }

    #[test]
    fn strangers_who_hold_every_place_make_room_for_a_telephone_system() {
        let all = connections(2, 2);
        let (first, second) = (all.seat(ip("192.0.2.1"), false).unwrap(), all.seat(ip("192.0.2.2"), false).unwrap());
        first.prove();
        second.prove();
        assert!(all.seat(ip("192.0.2.3"), false).is_none(), "a third stranger finds no place");
        let trunk = all.seat(ip("198.51.100.1"), true).unwrap();
        trunk.prove();
        assert!(first.close.is_cancelled() && !second.close.is_cancelled());
        let another = all.seat(ip("198.51.100.1"), true).unwrap();
        another.prove();
        assert!(second.close.is_cancelled());
        assert!(all.seat(ip("198.51.100.1"), true).is_none(), "nor does one of ours where all are");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let all = connections(10, 1);
        let first = all.seat(ip("2001:db8::1"), false).unwrap();
        first.prove();
        assert!(all.seat(ip("2001:db8::ffff"), false).is_none());
        assert!(all.seat(ip("2001:db8:0:1::1"), false).is_some());
        let mapped = all.seat(ip("::ffff:192.0.2.1"), false).unwrap();
        mapped.prove();
        assert!(all.seat(ip("192.0.2.1"), false).is_none());
    }
}
