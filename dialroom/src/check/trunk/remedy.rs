//! What to do about a final status: the words of RFC 3261 section 21 say what, not why.

/// What most often stands behind a status that a telephone system gave to a request of ours.
pub(super) const fn of_status(status: u16) -> &'static str {
    match status {
        401 | 407 => "user, auth_user or the password is wrong, or domain is not the realm that the other side expects",
        403 => "the other side knows us and does not let us: look for our address or user in its list of peers",
        404 | 484 | 604 => "the other side does not know this number or user: its route, or user and domain here",
        405 | 501 => "the other side does not have this request; that is no fault as long as calls arrive",
        408 | 504 => "somebody behind the other side does not answer: its route leads to nobody",
        415 | 488 | 606 => "no sound in common: codecs, or one side wants srtp and the other does not",
        420 | 421 => "the other side and we cannot agree on an extension; session_expires_seconds = 0 leaves ours out",
        480 => "the number is known, and nobody is registered for it",
        481 => "the other side lost the call in between; look for a restart there",
        482 | 483 => "the call goes in circles: the other side's route for our number leads back to itself",
        486 | 600 => "busy: lines here or there, or a call limit of the other side",
        487 => "given up before it was answered",
        500..=599 => "the other side has trouble of its own: its log says more",
        603 => "the other side declines: a rule there forbids the call",
        300..=399 => "the other side sends us elsewhere; only its own hosts are followed, so name the right server",
        _ => "the other side's log says why",
    }
}

/// What most often stands behind no answer at all.
pub(super) const NO_ANSWER: &str =
    "a firewall between, a wrong address or port, or a server that drops requests of peers it does not know";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_final_status_has_a_remedy() {
        assert!((300..700).all(|status| !of_status(status).is_empty()));
        assert!(of_status(401).contains("password") && of_status(488).contains("codecs"));
        assert_eq!(of_status(503), of_status(500));
    }
}
