//! Nonces that prove themselves: the time they were made and a keyed sum over it, the asker's address and the realm.
//! None is remembered before somebody uses it with the right password, so that asking costs nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use subtle::ConstantTimeEq;

/// How long a nonce is good for; a client then gets the next with `stale=true` and asks nobody for the password again.
const LIFE: Duration = Duration::from_secs(300);
/// Used nonces remembered: a hundred telephones, each with forty of them in five minutes. Beyond it the oldest is
/// forgotten, and everything as old with it is stale.
const MAX_USED: usize = 4096;
const TIME_BYTES: usize = 8;
const SERIAL_BYTES: usize = 4;
/// The sum is cut to 128 bits: nobody guesses those in five minutes.
const SUM_BYTES: usize = 16;

/// Makes nonces and knows which of them were used.
pub(super) struct Nonces {
    key: hmac::Key,
    start: Instant,
    serial: u32,
    /// The highest count seen of each nonce in use, the oldest first.
    used: BTreeMap<Id, u32>,
    /// Up to here nonces may have been forgotten.
    forgotten: Option<Id>,
}

/// When a nonce was made, in milliseconds of this program's life, and its serial number.
type Id = (u64, u32);

/// A nonce that we made for this source and realm and that is not too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Genuine(Id);

impl Nonces {
    pub(super) fn new(now: Instant, secret: &[u8; 32]) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret),
            start: now,
            serial: 0,
            used: BTreeMap::new(),
            forgotten: None,
        }
    }

    /// A new one.
    pub(super) fn draw(&mut self, now: Instant, source: IpAddr, realm: &str) -> String {
        self.serial = self.serial.wrapping_add(1);
        let id = (self.age_of_program_ms(now), self.serial);
        let mut bytes = head(id).to_vec();
        bytes.extend_from_slice(&self.sum(id, source, realm));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Whether a nonce is one of ours, for this source and realm, and young enough.
    pub(super) fn check(&self, now: Instant, source: IpAddr, realm: &str, nonce: &str) -> Option<Genuine> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (time, rest) = bytes.split_first_chunk::<TIME_BYTES>()?;
        let (serial, sum) = rest.split_first_chunk::<SERIAL_BYTES>()?;
        let id = (u64::from_be_bytes(*time), u32::from_be_bytes(*serial));
        let genuine: bool = self.sum(id, source, realm).ct_eq(sum).into();
        let age_ms = self.age_of_program_ms(now).checked_sub(id.0)?;
        (genuine && u128::from(age_ms) < LIFE.as_millis()).then_some(Genuine(id))
    }

    /// Marks this use; `false` if it, or a later one, was seen before.
    pub(super) fn spend(&mut self, now: Instant, nonce: Genuine, count: u32) -> bool {
        self.forget_old(now);
        let id = nonce.0;
        if let Some(highest) = self.used.get_mut(&id) {
            let fresh = count > *highest;
            *highest = (*highest).max(count);
            return fresh;
        }
        if count == 0 || self.forgotten.is_some_and(|forgotten| id <= forgotten) {
            return false;
        }
        if self.used.len() == MAX_USED {
            self.forgotten = self.used.pop_first().map(|(id, _)| id).max(self.forgotten);
        }
        self.used.insert(id, count);
        true
    }

    /// Those too old are refused for their age; nothing need be known of them.
    fn forget_old(&mut self, now: Instant) {
        let now_ms = u128::from(self.age_of_program_ms(now));
        while let Some(oldest) = self.used.first_entry() {
            if now_ms < u128::from(oldest.key().0) + LIFE.as_millis() {
                return;
            }
            oldest.remove();
        }
    }

    fn age_of_program_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    fn sum(&self, id: Id, source: IpAddr, realm: &str) -> [u8; SUM_BYTES] {
        let mut sum = hmac::Context::with_key(&self.key);
        sum.update(&head(id));
        let source = match source.to_canonical() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        sum.update(&source.octets());
        sum.update(realm.as_bytes());
        let whole = sum.sign();
        let mut cut = [0; SUM_BYTES];
        cut.copy_from_slice(&whole.as_ref()[..SUM_BYTES]);
        cut
    }
}

fn head((time_ms, serial): Id) -> [u8; TIME_BYTES + SERIAL_BYTES] {
    let mut head = [0; TIME_BYTES + SERIAL_BYTES];
    head[..TIME_BYTES].copy_from_slice(&time_ms.to_be_bytes());
    head[TIME_BYTES..].copy_from_slice(&serial.to_be_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn what_may_have_been_used_and_forgotten_is_refused() {
        let now = crate::some_instant();
        let mut nonces = Nonces::new(now, &[1; 32]);
        let mut genuine = || {
            let nonce = nonces.draw(now, SOURCE, "here");
            nonces.check(now, SOURCE, "here", &nonce).unwrap()
        };
        let drawn: Vec<_> = (0..=MAX_USED + 1).map(|_| genuine()).collect();
        let (unused, rest) = drawn.split_first().unwrap();
        for nonce in rest {
            assert!(nonces.spend(now, *nonce, 1));
        }
        assert_eq!(nonces.used.len(), MAX_USED);
        assert!(!nonces.spend(now, rest[0], 2), "forgotten, so that its first use could not be told from its second");
        assert!(!nonces.spend(now, *unused, 1), "as old as one that was forgotten");
        assert!(nonces.spend(now, rest[1], 2));
    }
}
