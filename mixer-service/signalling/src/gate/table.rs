//! What is known of strangers, in a table that never grows: a source has eight places to stand, chosen by a keyed hash,
//! and the one not heard of for longest makes room.

use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, Ipv6Addr};

use super::bucket::Bucket;

/// Places of a source.
const WAYS: usize = 8;
/// No source: its low half is not zero, as that of every network is, and it is no IPv4 address.
const NOBODY: u128 = u128::MAX;
/// Whoever has an IPv6 address has the 2^64 beside it.
const NETWORK_MASK: u128 = !(u64::MAX as u128);

/// One source, as far as its manners go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    key: u128,
    heard_ns: u64,
    pub(super) requests: Bucket,
    pub(super) dialogs: Bucket,
    pub(super) answers: Bucket,
    /// Misses since `missed_since_ns`.
    pub(super) misses: u32,
    pub(super) missed_since_ns: u64,
    /// Zero: not banned.
    pub(super) banned_until_ns: u64,
    /// The miss that was one too many.
    pub(super) reason: &'static str,
}

/// A source's key, and the first of its places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    key: u128,
    first: usize,
}

/// The table.
pub(super) struct Sources {
    places: Vec<Source>,
    secret: u128,
}

impl Sources {
    /// Room for about `sources`, rounded up so that the sets are a power of two.
    pub(super) fn new(sources: usize, secret: u128) -> Self {
        let sets = sources.div_ceil(WAYS).max(1).next_power_of_two();
        Self { places: vec![Source::new(NOBODY, 0); sets * WAYS], secret }
    }

    /// Where a source belongs. Hashed once for all that is asked about it.
    pub(super) fn spot(&self, ip: IpAddr) -> Spot {
        let key = key(ip);
        let mut hash = DefaultHasher::new();
        hash.write_u128(self.secret);
        hash.write_u128(key);
        let sets = self.places.len() / WAYS;
        // The sets are a power of two, and far fewer than 2^32.
        let set = usize::try_from(hash.finish() & 0xffff_ffff).unwrap_or_default() & (sets - 1);
        Spot { key, first: set * WAYS }
    }

    /// What is known of the source, if anything.
    pub(super) fn find(&mut self, spot: Spot, now_ns: u64) -> Option<&mut Source> {
        let place = self.set(spot).iter_mut().find(|place| place.key == spot.key)?;
        place.heard_ns = now_ns;
        Some(place)
    }

    /// What is known of the source; a new one takes the place of whoever is missed least.
    pub(super) fn of(&mut self, spot: Spot, now_ns: u64) -> &mut Source {
        let places = self.set(spot);
        let known = places.iter().position(|place| place.key == spot.key);
        let place = &mut places[known.unwrap_or_else(|| least_missed(places, now_ns))];
        if known.is_none() {
            *place = Source::new(spot.key, now_ns);
        }
        place.heard_ns = now_ns;
        place
    }

    /// All that are banned at this moment.
    pub(super) fn banned(&self, now_ns: u64) -> impl Iterator<Item = (IpAddr, &Source)> {
        self.places.iter().filter(move |place| place.banned_until_ns > now_ns).map(|place| {
            let ip = Ipv6Addr::from(place.key);
            (IpAddr::V6(ip).to_canonical(), place)
        })
    }

    fn set(&mut self, spot: Spot) -> &mut [Source] {
        &mut self.places[spot.first..][..WAYS]
    }
}

/// Whoever is banned stays, so that no crowd can wash a ban away; of the others the one longest silent goes.
fn least_missed(places: &[Source], now_ns: u64) -> usize {
    let rank = |place: &Source| match place {
        place if place.key == NOBODY => (0, 0),
        place if place.banned_until_ns <= now_ns => (1, place.heard_ns),
        place => (2, place.banned_until_ns),
    };
    (0..places.len()).min_by_key(|&index| rank(&places[index])).unwrap_or_default()
}

impl Source {
    fn new(key: u128, now_ns: u64) -> Self {
        Self {
            key,
            heard_ns: now_ns,
            requests: Bucket::default(),
            dialogs: Bucket::default(),
            answers: Bucket::default(),
            misses: 0,
            missed_since_ns: 0,
            banned_until_ns: 0,
            reason: "",
        }
    }
}

fn key(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & NETWORK_MASK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn at(sources: &mut Sources, n: u32, now_ns: u64) -> &mut Source {
        let spot = sources.spot(v4(n));
        sources.of(spot, now_ns)
    }

    #[test]
    fn neighbours_in_six_are_one_and_four_is_four() {
        assert_eq!(key("2001:db8::1".parse().unwrap()), key("2001:db8::ffff:1".parse().unwrap()));
        assert_ne!(key("2001:db8::1".parse().unwrap()), key("2001:db8:0:1::1".parse().unwrap()));
        assert_eq!(key("::ffff:10.0.0.1".parse().unwrap()), key("10.0.0.1".parse().unwrap()));
        assert_ne!(key(v4(1)), key(v4(2)));
    }

    #[test]
    fn the_one_longest_silent_makes_room() {
        let mut sources = Sources::new(8, 1);
        for n in 0..8 {
            at(&mut sources, n, u64::from(n) + 1).misses = n + 1;
        }
        assert_eq!(at(&mut sources, 0, 20).misses, 1);
        at(&mut sources, 99, 21);
        assert_eq!(at(&mut sources, 0, 22).misses, 1, "heard of since");
        assert_eq!(sources.places.iter().filter(|place| place.misses == 2).count(), 0);
    }

    #[test]
    fn a_crowd_does_not_wash_a_ban_away() {
        let mut sources = Sources::new(64, 1);
        at(&mut sources, 0, 1).banned_until_ns = 1_000_000;
        for n in 1..10_000 {
            at(&mut sources, n, u64::from(n));
        }
        assert_eq!(sources.banned(20_000).map(|(ip, _)| ip).collect::<Vec<_>>(), [v4(0)]);
        assert_eq!(sources.places.len(), 64);
    }
}
