//! One address, or a block of them, in CIDR notation (RFC 4632, RFC 4291 section 2.3).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The shortest prefix that may be written: a larger block is most of the world, and none of it deserves trust.
const MIN_PREFIX_BITS: u8 = 8;

/// Addresses that belong together: `192.0.2.10`, `192.0.2.0/24`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Whether `address` is one of them; an IPv4 address mapped into IPv6 counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && first_of(address, self.prefix_bits) == self.first
    }

    /// Leading bits that all addresses share; the more, the more closely the block was meant.
    #[must_use]
    pub const fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// The address, where the block is one address alone.
    #[must_use]
    pub fn only_address(&self) -> Option<IpAddr> {
        (self.prefix_bits == width(self.first)).then_some(self.first)
    }
}

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix_bits: width(first) }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "write an address as in 192.0.2.10, or a block as in 192.0.2.0/24";
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let written: IpAddr = address.parse().map_err(|_| SHAPE.to_owned())?;
        let address = written.to_canonical();
        if address.is_unspecified() || address.is_multicast() {
            return Err("no request comes from such an address".to_owned());
        }
        let Some(bits) = bits else { return Ok(address.into()) };
        let width = width(address);
        if address != written {
            return Err(format!("write the block in IPv4: {address}/…"));
        }
        let prefix_bits = bits.parse().ok().filter(|bits| *bits <= width).ok_or(SHAPE)?;
        if prefix_bits < MIN_PREFIX_BITS {
            return Err(format!("trusts too many addresses; the shortest block is /{MIN_PREFIX_BITS}"));
        }
        let first = first_of(address, prefix_bits);
        if first == address { Ok(Self { first, prefix_bits }) } else { Err(format!("write {first}/{prefix_bits}")) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.only_address() {
            Some(address) => address.fmt(f),
            None => write!(f, "{}/{}", self.first, self.prefix_bits),
        }
    }
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with everything behind the prefix set to zero.
fn first_of(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let hidden = u32::from(width(address).saturating_sub(prefix_bits));
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(hidden).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(hidden).unwrap_or(0)).into()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(network: &str, address: &str, inside: bool) {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), inside, "{address} in {network}");
    }

    #[test]
    fn what_is_inside() {
        check("192.0.2.10", "192.0.2.10", true);
        check("192.0.2.10", "192.0.2.11", false);
        check("192.0.2.10", "::ffff:192.0.2.10", true);
        check("::ffff:192.0.2.10", "192.0.2.10", true);
        check("192.0.2.0/24", "192.0.2.0", true);
        check("192.0.2.0/24", "192.0.2.255", true);
        check("192.0.2.0/24", "192.0.3.0", false);
        check("192.0.2.64/26", "192.0.2.63", false);
        check("192.0.2.64/26", "192.0.2.127", true);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::", false);
        // The block of 32 zero bits in IPv6 is no place of all IPv4.
        check("2001:db8::1", "192.0.2.10", false);
    }

    #[test]
    fn what_is_no_block_says_what_to_write() {
        for (text, told) in [
            ("192.0.2.10/24", "write 192.0.2.0/24"),
            ("0.0.0.0/0", "no request comes"),
            ("128.0.0.0/1", "trusts too many"),
            ("192.0.2.0/33", "write an address"),
            ("192.0.2.0/x", "write an address"),
            ("pbx.example.com", "write an address"),
            ("224.0.0.1", "no request comes"),
            ("::ffff:192.0.2.0/120", "write the block in IPv4"),
            ("", "write an address"),
        ] {
            let why = text.parse::<Network>().unwrap_err();
            assert!(why.contains(told), "{text}: {why}");
        }
    }

    proptest! {
        #[test]
        fn printed_and_read_again_it_is_the_same(bits: u32, prefix in 8u8..=32) {
            let address = IpAddr::V4(bits.into());
            if let Ok(network) = format!("{}/{prefix}", first_of(address, prefix)).parse::<Network>() {
                prop_assert_eq!(network.to_string().parse::<Network>().unwrap(), network);
                prop_assert!(network.contains(address));
            }
        }
    }
}
