//! Names of headers: one name, however it is spelt.

use std::convert::Infallible;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

macro_rules! names {
    ($($variant:ident $long:literal $($compact:literal)?: $doc:literal;)*) => {
        /// The name of a header. Equal whatever the case (RFC 3261 section 7.3.1) and whether compact or long (section
        /// 7.3.3): `v`, `VIA` and `Via` are all [`Name::Via`]. Read it with [`Name::from`], which knows the spellings.
        #[derive(Clone, Debug)]
        pub enum Name {
            $(#[doc = $doc] $variant,)*
            /// A name without a variant of its own, in the sender's case.
            Other(Box<str>),
        }

        impl Name {
            /// The long form.
            #[must_use]
            pub const fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $long,)*
                    Self::Other(name) => name,
                }
            }

            fn known(text: &str) -> Option<Self> {
                $(
                    if text.eq_ignore_ascii_case($long) $(|| text.eq_ignore_ascii_case($compact))? {
                        return Some(Self::$variant);
                    }
                )*
                None
            }

            /// Every name that has a variant, in long form and in compact form where there is one.
            #[cfg(test)]
            pub(crate) const ALL: &'static [(&'static str, Option<&'static str>)] =
                &[$(($long, names!(@compact $($compact)?))),*];
        }
    };
    (@compact $compact:literal) => { Some($compact) };
    (@compact) => { None };
}

names! {
    Via "Via" "v": "The way a request took, RFC 3261 section 20.42.";
    From "From" "f": "Who asks, section 20.20.";
    To "To" "t": "Who was asked, section 20.39.";
    CallId "Call-ID" "i": "Which call, section 20.8.";
    CSeq "CSeq": "Which request of it, section 20.16.";
    Contact "Contact" "m": "Where to reach the sender, section 20.10.";
    MaxForwards "Max-Forwards": "Hops left, section 20.22.";
    Route "Route": "The way a request has to take, section 20.34.";
    RecordRoute "Record-Route": "Proxies that stay in the way, section 20.30.";
    ContentLength "Content-Length" "l": "Bytes of the body, section 20.14.";
    ContentType "Content-Type" "c": "What the body is, section 20.15.";
    Supported "Supported" "k": "Extensions the sender has, section 20.37.";
    Allow "Allow": "Methods the sender knows, section 20.5.";
    UserAgent "User-Agent": "The sender's product, section 20.41.";
    Server "Server": "The answerer's product, section 20.35.";
    Accept "Accept": "Bodies the sender reads, section 20.1.";
    AcceptEncoding "Accept-Encoding": "Encodings the sender reads, section 20.2.";
    Require "Require": "Extensions the sender insists on, section 20.32.";
    ProxyRequire "Proxy-Require": "Extensions he insists on along the way, section 20.29.";
    Unsupported "Unsupported": "Extensions that are missing, section 20.40.";
    ContentEncoding "Content-Encoding" "e": "How the body is encoded, section 20.12.";
    ContentDisposition "Content-Disposition": "What the body is for, section 20.11.";
    Authorization "Authorization": "Proof for an endpoint, section 20.7.";
    ProxyAuthorization "Proxy-Authorization": "Proof for a proxy, section 20.28.";
    WwwAuthenticate "WWW-Authenticate": "An endpoint's challenge, section 20.44.";
    ProxyAuthenticate "Proxy-Authenticate": "A proxy's challenge, section 20.27.";
    AuthenticationInfo "Authentication-Info": "The server's own proof, section 20.6.";
    Expires "Expires": "Seconds until something ends, section 20.19.";
    MinExpires "Min-Expires": "The fewest seconds a registrar takes, section 20.23.";
    SessionExpires "Session-Expires" "x": "Session timer, RFC 4028 section 4.";
    MinSe "Min-SE": "The shortest session timer, RFC 4028 section 5.";
    RSeq "RSeq": "Number of a reliable provisional response, RFC 3262 section 7.1.";
    RAck "RAck": "Which of them is confirmed, RFC 3262 section 7.2.";
    Reason "Reason": "Why a call ends, RFC 3326.";
    RetryAfter "Retry-After": "Seconds until one may ask again, RFC 3261 section 20.33.";
    ReferTo "Refer-To" "r": "Whom to call instead, RFC 3515 section 2.1.";
    ReferredBy "Referred-By" "b": "Who said so, RFC 3892.";
    Replaces "Replaces": "Which call this one takes over, RFC 3891.";
    PAssertedIdentity "P-Asserted-Identity": "The caller as a trusted peer knows him, RFC 3325.";
    PCalledPartyId "P-Called-Party-ID": "The number that was dialled, RFC 7315 section 4.2.";
    Privacy "Privacy": "What the caller wants withheld, RFC 3323.";
    Date "Date": "The sender's clock, RFC 3261 section 20.17.";
    Event "Event" "o": "Which event package, RFC 6665 section 8.2.1.";
    SubscriptionState "Subscription-State": "How long events will come, RFC 6665 section 8.2.3.";
    AllowEvents "Allow-Events" "u": "Event packages the sender knows, RFC 6665 section 8.2.2.";
    Subject "Subject" "s": "What it is about, RFC 3261 section 20.36.";
    Timestamp "Timestamp": "When it was sent, section 20.38.";
    Warning "Warning": "More about a failure, section 20.43.";
    Path "Path": "The way to a registered contact, RFC 3327.";
    ServiceRoute "Service-Route": "The way a registrar wants calls to take, RFC 3608.";
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        if let Self::Other(name) = self {
            name.bytes().for_each(|byte| byte.to_ascii_lowercase().hash(state));
        }
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::known(text).unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl FromStr for Name {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::from(text))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_the_same_name() {
        for (long, compact) in Name::ALL {
            let name = Name::from(*long);
            assert_eq!(name.as_str(), *long);
            assert!(!matches!(name, Name::Other(_)));
            assert_eq!(name, Name::from(long.to_ascii_uppercase().as_str()));
            assert_eq!(name, Name::from(long.to_ascii_lowercase().as_str()));
            for short in compact.iter() {
                assert_eq!(name, Name::from(*short));
                assert_eq!(name, Name::from(short.to_ascii_uppercase().as_str()));
            }
        }
        assert_eq!(Name::from("X-Odd"), Name::from("x-oDD"));
        assert_ne!(Name::from("X-Odd"), Name::from("X-Even"));
        assert_ne!(Name::from("X-Odd"), Name::Via);
    }

    #[test]
    fn no_compact_form_means_two_names() {
        let mut compact: Vec<_> = Name::ALL.iter().filter_map(|(_, compact)| *compact).collect();
        compact.sort_unstable();
        assert!(compact.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(compact.concat(), "bcefiklmorstuvx");
    }
}
