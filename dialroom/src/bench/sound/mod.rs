//! The sound of a load: threads that speak and hear for all its legs.

mod ear;
mod keys;
mod mouth;
mod onset;
mod tally;
mod thread;

use std::collections::HashMap;
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use anyhow::Context as _;
use dialroom_host::Clock;
use mixer_service::sip::Codec;
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};

use ear::{Ear, Listening};
pub(super) use keys::Keys;
use mouth::{Mouth, Speaking};
pub(super) use tally::Tally;
use thread::{Leg, Order, SLOTS, Thread};

use super::codec::{Decoder, PERIOD, Score, ticks_per_packet};
use super::tones::{TONES, Tone, Tones};

/// Ears of which every packet is listened to, about.
const WATCHED: usize = 200;

/// Who sits where: legs fill the rooms in turn, and the first of each room talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seating {
    pub(super) legs: usize,
    pub(super) rooms: usize,
    /// Talkers of each room.
    pub(super) talkers: usize,
    /// Everybody hears himself alone, as at an echo.
    pub(super) echo: bool,
}

impl Seating {
    pub(super) const fn room(&self, leg: usize) -> usize {
        leg % self.rooms
    }

    /// Which talker this is, over all rooms.
    pub(super) const fn talker(&self, leg: usize) -> Option<usize> {
        let seat = leg / self.rooms;
        if seat < self.talkers { Some(self.room(leg) * self.talkers + seat) } else { None }
    }

    /// The talkers that this leg should hear.
    fn voices(&self, leg: usize) -> Vec<usize> {
        let own = self.talker(leg);
        if self.echo {
            return own.into_iter().collect();
        }
        let (room, rooms) = (self.room(leg), self.rooms);
        // A room that is not full has fewer of them.
        let seated = (0..self.talkers).filter(|seat| seat * rooms + room < self.legs);
        seated.map(|seat| room * self.talkers + seat).filter(|talker| Some(*talker) != own).collect()
    }

    fn is_watched(&self, leg: usize) -> bool {
        leg.is_multiple_of(self.legs.div_ceil(WATCHED))
    }
}

/// Where a leg's sound goes, and how.
#[derive(Debug)]
pub(super) struct Line {
    /// Bound; connected to the far end.
    pub(super) socket: UdpSocket,
    pub(super) rtcp: Option<UdpSocket>,
    pub(super) payload_type: u8,
    pub(super) event_type: Option<u8>,
    pub(super) keys: Keys,
}

/// The threads at work. They end when it is dropped or [`finish`](Self::finish)ed.
#[derive(Debug)]
pub(super) struct Sound {
    seating: Seating,
    codec: Codec,
    tones: Arc<Tones>,
    scores: HashMap<Option<usize>, Arc<Score>>,
    law: Option<Decoder>,
    threads: Vec<(Sender<Order>, JoinHandle<Tally>)>,
}

impl Sound {
    /// Starts this many threads.
    ///
    /// # Errors
    /// When the system refuses a thread, or a codec its work.
    pub(super) fn start(seating: Seating, codec: Codec, threads: usize) -> anyhow::Result<Self> {
        let tones = Arc::new(Tones::new());
        let law = Decoder::new(codec)?;
        let mut sound = Self {
            seating,
            codec,
            tones: Arc::clone(&tones),
            scores: HashMap::new(),
            law: Some(law).filter(|law| !law.remembers()),
            threads: Vec::new(),
        };
        // Now, for encoding takes its time, and calls that come up shall not wait for it.
        let talkers = seating.rooms * seating.talkers;
        for talker in std::iter::once(None).chain((0..talkers.min(TONES)).map(Some)) {
            sound.score(talker)?;
        }
        for _ in 0..threads.max(1) {
            let (sender, orders) = channel();
            let began_ns = vec![0; talkers];
            let thread = Thread { clock: Clock::real(), orders, tones: Arc::clone(&tones), began_ns };
            let started = std::thread::Builder::new().name("bench sound".to_owned()).spawn(move || thread.run());
            sound.threads.push((sender, started.context("no thread for the sound")?));
        }
        Ok(sound)
    }

    /// Lets a leg speak and hear from here on.
    ///
    /// # Errors
    /// When its socket cannot be used.
    pub(super) fn add(&mut self, leg: usize, line: Line) -> anyhow::Result<()> {
        let Line { socket, rtcp, payload_type, event_type, keys } = line;
        socket.set_nonblocking(true).context("a socket that waits")?;
        setsockopt(&socket, ReceiveTimestampns, &true).context("a socket without times of arrival")?;
        let (seating, ticks_per_packet) = (self.seating, ticks_per_packet(self.codec));
        let talker = seating.talker(leg);
        let (room, watched) = (seating.room(leg), seating.is_watched(leg));
        let mouth = Mouth::new(Speaking {
            ssrc: u32::try_from(leg).unwrap_or_default().wrapping_mul(0x9E37_79B9) | 1,
            payload_type,
            event_type,
            ticks_per_packet,
            silence: self.score(None)?,
            voice: talker.map(|talker| self.score(Some(talker))).transpose()?,
            first_place: first_place(talker.unwrap_or_default(), seating.talkers, room),
            keys,
        });
        let ear = Ear::new(Listening {
            voices: seating.voices(leg),
            own: talker.filter(|_| !seating.echo),
            decoder: self.decoder(watched)?,
            watched,
            payload_type,
            ticks_per_packet,
        });
        let slot = (room * 3 + leg / seating.rooms * 7) % SLOTS;
        let leg = Box::new(Leg { socket, _rtcp: rtcp, mouth, ear, talker, slot });
        // A room is one thread's, which knows when its talkers began.
        let (thread, _) = &self.threads[room % self.threads.len()];
        thread.send(Order::Add(leg)).ok().context("the sound has ended")
    }

    /// The talkers talk.
    pub(super) fn talk(&self) {
        self.tell(|| Order::Talk);
    }

    /// Counting begins.
    pub(super) fn begin(&self) {
        self.tell(|| Order::Begin);
    }

    /// Counting ends.
    pub(super) fn end(&self) {
        self.tell(|| Order::End);
    }

    /// Ends the threads; what was counted between begin and end.
    pub(super) fn finish(self) -> Tally {
        let mut tally = Tally::default();
        for (orders, thread) in self.threads {
            drop(orders);
            if let Ok(counted) = thread.join() {
                tally.merge(counted);
            }
        }
        tally
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for (thread, _) in &self.threads {
            // A thread that is gone has panicked, and its counts will be missing.
            let _ = thread.send(order());
        }
    }

    /// Talkers with the same tone share what they send.
    fn score(&mut self, talker: Option<usize>) -> anyhow::Result<Arc<Score>> {
        let key = talker.map(|talker| talker % TONES);
        if let Some(score) = self.scores.get(&key) {
            return Ok(Arc::clone(score));
        }
        let score = Arc::new(Score::write(self.codec, &self.tones, talker.map(Tone::of_talker))?);
        self.scores.insert(key, Arc::clone(&score));
        Ok(score)
    }

    /// G.711 is cheap enough to listen to everybody.
    fn decoder(&self, watched: bool) -> anyhow::Result<Option<Decoder>> {
        match &self.law {
            Some(Decoder::Law(table)) => Ok(Some(Decoder::Law(Arc::clone(table)))),
            Some(Decoder::G722(_) | Decoder::Opus(_)) | None if watched => Decoder::new(self.codec).map(Some),
            Some(Decoder::G722(_) | Decoder::Opus(_)) | None => Ok(None),
        }
    }
}

/// Talkers of a room begin one after the other over the period, and rooms not all at once.
fn first_place(talker: usize, talkers: usize, room: usize) -> usize {
    let seat = talker % talkers.max(1);
    (PERIOD * seat / talkers.max(1) + room * 37) % PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEATING: Seating = Seating { legs: 11, rooms: 3, talkers: 2, echo: false };

    #[test]
    fn rooms_fill_in_turn_and_the_first_talk() {
        let rooms: Vec<_> = (0..11).map(|leg| SEATING.room(leg)).collect();
        assert_eq!(rooms, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1]);
        let talkers: Vec<_> = (0..11).filter_map(|leg| SEATING.talker(leg)).collect();
        assert_eq!(talkers, [0, 2, 4, 1, 3, 5]);
    }

    #[test]
    fn one_hears_the_others_of_the_room_and_at_an_echo_oneself() {
        assert_eq!((SEATING.voices(0), SEATING.voices(3), SEATING.voices(6)), (vec![1], vec![0], vec![0, 1]));
        let echo = Seating { echo: true, ..SEATING };
        assert_eq!((echo.voices(3), echo.voices(6)), (vec![1], vec![]));
        let empty_seats = Seating { legs: 3, ..SEATING };
        assert!(empty_seats.voices(0).is_empty());
    }

    #[test]
    fn talkers_of_a_room_do_not_begin_when_another_begins_or_ends() {
        use super::super::codec::PAUSE;
        for talkers in 1..=8 {
            let places: Vec<_> = (0..talkers).map(|talker| first_place(talker, talkers, 5)).collect();
            for (n, one) in places.iter().enumerate() {
                for other in places.iter().skip(n + 1) {
                    let apart = one.abs_diff(*other).min(PERIOD - one.abs_diff(*other));
                    assert!(apart >= 2 && apart.abs_diff(PAUSE) >= 1, "{talkers}: {places:?}");
                }
            }
        }
    }
}
