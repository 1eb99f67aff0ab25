//! The thread that speaks and hears for many legs: cheap, so that one core loads another one fully.
//!
//! Each leg has its millisecond of the 20 at which it sends. What comes in is left to the kernel, which notes when it came,
//! and is fetched many packets at a time. So a packet costs a system call to send and a third of one to hear.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use dialroom_host::Clock;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, MultiHeaders, recvmmsg};
use nix::sys::time::TimeSpec;

use super::ear::{DATAGRAM_MAX, Ear};
use super::mouth::Mouth;
use super::tally::Tally;
use crate::bench::tones::Tones;

/// The thread looks at its watch so often.
const TICK: Duration = Duration::from_millis(1);
/// Ticks from one packet of a leg to its next.
pub(super) const SLOTS: usize = 20;
/// Ticks from one look at a leg's socket to the next; three packets wait then.
const LOOKS: usize = 60;
/// Datagrams fetched at once.
const BATCH: usize = 8;
/// Batches fetched from one socket at once; a flood is for the kernel to drop.
const BATCHES_MAX: usize = 8;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Add(Box<Leg>),
    /// The talkers talk.
    Talk,
    /// What was counted so far does not count.
    Begin,
    /// What comes from here on does not count.
    End,
}

/// One leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) socket: UdpSocket,
    /// The port beside it, where reports arrive that nobody reads.
    pub(super) _rtcp: Option<UdpSocket>,
    pub(super) mouth: Mouth,
    pub(super) ear: Ear,
    /// Which talker it is, over all rooms.
    pub(super) talker: Option<usize>,
    /// Which of the [`SLOTS`] it sends in.
    pub(super) slot: usize,
}

/// The thread's own.
pub(super) struct Thread {
    pub(super) clock: Clock,
    pub(super) orders: Receiver<Order>,
    pub(super) tones: std::sync::Arc<Tones>,
    /// When each talker began his last tone, in nanoseconds of the wall; 0: never.
    pub(super) began_ns: Vec<i64>,
}

impl Thread {
    /// Works until nobody holds the other end of its orders, and tells what it came to.
    pub(super) fn run(self) -> Tally {
        let Self { clock, orders, tones, began_ns } = self;
        let mut work = Work { clock, tones, began_ns, legs: Legs::default(), talking: false, tally: Tally::default() };
        let (mut ended, mut mailbox) = (None, Mailbox::new());
        let begun = work.clock.instant();
        for tick in 0usize.. {
            let due = begun + TICK * u32::try_from(tick).unwrap_or(u32::MAX);
            loop {
                let left = due.saturating_duration_since(work.clock.instant());
                match orders.recv_timeout(left) {
                    Ok(Order::End) => ended = Some(work.conclude()),
                    Ok(order) => work.obey(order),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return ended.unwrap_or_else(|| work.conclude()),
                }
            }
            work.speak(tick, due);
            work.hear(tick, &mut mailbox);
        }
        work.conclude()
    }
}

struct Work {
    clock: Clock,
    tones: std::sync::Arc<Tones>,
    began_ns: Vec<i64>,
    legs: Legs,
    talking: bool,
    tally: Tally,
}

/// By the slot they send in, so that a tick touches only the legs it sends for.
#[derive(Default)]
struct Legs {
    all: Vec<Leg>,
    by_slot: [Vec<usize>; SLOTS],
}

impl Work {
    fn obey(&mut self, order: Order) {
        match order {
            Order::Add(mut leg) => {
                if self.talking {
                    leg.mouth.talk();
                }
                self.legs.by_slot[leg.slot % SLOTS].push(self.legs.all.len());
                self.legs.all.push(*leg);
            }
            Order::Talk => {
                self.talking = true;
                for leg in &mut self.legs.all {
                    leg.mouth.talk();
                }
            }
            Order::Begin => {
                self.tally = Tally::default();
                for leg in &mut self.legs.all {
                    leg.ear.begin();
                }
            }
            Order::End => {}
        }
    }

    /// All counts so far, and who heard whom.
    fn conclude(&self) -> Tally {
        let mut tally = self.tally.clone();
        tally.heard = self.legs.all.iter().map(|leg| leg.ear.heard()).collect();
        tally
    }

    fn speak(&mut self, tick: usize, due: Instant) {
        let slot = &self.legs.by_slot[tick % SLOTS];
        if slot.is_empty() {
            return;
        }
        self.tally.lateness.add(self.clock.instant().saturating_duration_since(due));
        for leg in slot {
            let leg = &mut self.legs.all[*leg];
            let now_ns = if leg.mouth.is_to_begin() { wall_ns(&self.clock) } else { 0 };
            let sent = leg.mouth.speak(&leg.socket);
            if let Some(began) = leg.talker.and_then(|talker| self.began_ns.get_mut(talker))
                && sent.begins_tone
            {
                *began = now_ns;
            }
            self.tally.sent += u64::from(sent.taken);
            self.tally.unsent += u64::from(!sent.taken);
        }
    }

    /// Looks at every [`LOOKS`]th socket.
    fn hear(&mut self, tick: usize, mailbox: &mut Mailbox) {
        let Self { clock, tones, began_ns, legs, tally, talking: _ } = self;
        for leg in legs.all.iter_mut().skip(tick % LOOKS).step_by(LOOKS) {
            let ear = &mut leg.ear;
            for _ in 0..BATCHES_MAX {
                let fetched = mailbox.fetch(&leg.socket, |arrival_ns, datagram| {
                    let arrival_ns = arrival_ns.unwrap_or_else(|| wall_ns(clock));
                    ear.hear(arrival_ns, datagram, tones, began_ns, tally);
                });
                if fetched < BATCH {
                    break;
                }
            }
        }
    }
}

fn wall_ns(clock: &Clock) -> i64 {
    clock.wall().timestamp_nanos_opt().unwrap_or_default()
}

/// Room for a batch of datagrams.
struct Mailbox {
    datagrams: Box<[[u8; DATAGRAM_MAX]; BATCH]>,
    headers: MultiHeaders<()>,
}

impl Mailbox {
    fn new() -> Self {
        let headers = MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(TimeSpec)));
        Self { datagrams: Box::new([[0; DATAGRAM_MAX]; BATCH]), headers }
    }

    /// Fetches what waits, at most a batch, and hands it on with the time at which the kernel took it; says how many.
    fn fetch(&mut self, socket: &UdpSocket, mut take: impl FnMut(Option<i64>, &[u8])) -> usize {
        let mut parts = self.datagrams.each_mut().map(|datagram| [IoSliceMut::new(datagram)]);
        let fetched = recvmmsg(socket.as_raw_fd(), &mut self.headers, parts.iter_mut(), MsgFlags::MSG_DONTWAIT, None);
        // Nothing there, or a message of the network about an earlier packet: nothing to hear.
        let Ok(fetched) = fetched else { return 0 };
        let mut count = 0;
        for message in fetched {
            count += 1;
            let time = message.cmsgs().ok().and_then(|mut all| {
                all.find_map(|one| match one {
                    ControlMessageOwned::ScmTimestampns(time) => Some(time.tv_sec() * 1_000_000_000 + time.tv_nsec()),
                    _ => None,
                })
            });
            take(time, message.iovs().next().unwrap_or_default());
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};

    use super::*;

    #[test]
    fn datagrams_are_fetched_with_the_time_of_their_arrival() {
        let (here, there) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        setsockopt(&there, ReceiveTimestampns, &true).unwrap();
        there.set_nonblocking(true).unwrap();
        let (clock, mut mailbox) = (Clock::real(), Mailbox::new());
        for round in 0..3u8 {
            let before = wall_ns(&clock);
            for n in 0..10 {
                here.send_to(&[round, n], there.local_addr().unwrap()).unwrap();
            }
            let mut seen = Vec::new();
            while mailbox.fetch(&there, |time, datagram| seen.push((time, datagram.to_vec()))) > 0 {}
            assert_eq!(seen.len(), 10);
            for (n, (time, datagram)) in seen.iter().enumerate() {
                assert_eq!(*datagram, [round, u8::try_from(n).unwrap()]);
                assert!(time.is_some_and(|time| time >= before && time <= wall_ns(&clock)), "{time:?}");
            }
        }
    }
}
