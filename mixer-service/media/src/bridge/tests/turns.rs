//! Whose turn it is on a beat: everybody's once, and what is handed in then is heard on that beat.

use super::*;
use crate::rtp::Packet;
use crate::{FRAME_SAMPLES, G711};

/// On one beat: whom the bridge asked for, and to whom it sent.
fn beat(bridge: &mut Bridge, now: Instant, mut taken: impl FnMut(&mut Bridge, StreamId)) -> (Vec<u64>, Vec<u64>) {
    bridge.handle(now, Input::Beat);
    let (mut asked, mut sent) = (Vec::new(), Vec::new());
    loop {
        match bridge.poll() {
            Output::Take(id) => {
                asked.push(id.0);
                taken(bridge, id);
            }
            Output::Send(id, ..) => sent.push(id.0),
            Output::Wait(_) => break,
            _ => {}
        }
    }
    asked.sort_unstable();
    sent.sort_unstable();
    (asked, sent)
}

fn open(bridge: &mut Bridge, now: Instant, n: u64) {
    let remote = Remote::plain(TELEPHONES, Codec::ALaw);
    bridge.handle(now, Input::Command(Command::Open(StreamId(n))));
    bridge.handle(now, Input::Command(Command::Connect(StreamId(n), remote)));
}

proptest! {
    /// Rooms of any size and any number beside it, some gone again: each of those left has one turn on each beat.
    #[test]
    fn everybody_has_one_turn(rooms in prop::collection::vec(0..5u64, 0..200), gone in prop::collection::vec(0..200u64, 0..20)) {
        let (mut bridge, now) = (Bridge::new(1), some_instant());
        let mut here: Vec<u64> = (0..).take(rooms.len()).collect();
        for (&n, &room) in here.iter().zip(&rooms) {
            open(&mut bridge, now, n);
            // Room 0 is none.
            if room > 0 {
                bridge.handle(now, Input::Command(Command::Join(StreamId(n), RoomKey(room))));
            }
        }
        for n in gone {
            bridge.handle(now, Input::Command(Command::Close(StreamId(n), false)));
            here.retain(|&left| left != n);
        }
        for beats in 1..3 {
            let (asked, sent) = beat(&mut bridge, now + BEAT * beats, |_, _| {});
            prop_assert_eq!(&asked, &here);
            prop_assert_eq!(&sent, &here);
        }
    }
}

#[test]
fn what_is_handed_in_at_ones_turn_is_heard_on_that_beat() {
    let (mut bridge, mut now) = (Bridge::new(1), some_instant());
    for n in 0..2 {
        open(&mut bridge, now, n);
        bridge.handle(now, Input::Command(Command::Join(StreamId(n), RoomKey(1))));
    }
    let (mut tone, mut heard) = (Tone::new(440.0, -10.0), 0);
    for sequence in 0..10u16 {
        now += BEAT;
        let (mut frame, mut payload) = ([0; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        tone.fill(&mut frame);
        G711::ALaw.encode(&frame, &mut payload);
        let timestamp = u32::from(sequence) * 160;
        let packet = Packet { marker: false, payload_type: 8, sequence, timestamp, ssrc: 1, payload: &payload };
        let mut datagram = [0; 172];
        packet.write(&mut datagram).unwrap();
        // It came long enough before, and waits in its socket.
        let arrival = now - BEAT / 2;
        beat(&mut bridge, now, |bridge, id| {
            if id == StreamId(0) {
                bridge.handle(arrival, Input::Datagram(id, TELEPHONES, &datagram));
            }
        });
        heard += u32::from(level_dbov(bridge.heard(StreamId(0)).unwrap()) > -20.0);
    }
    assert_eq!(heard, 10, "each on its own beat");
}
