//! Sends speech over a bad line into a room, and writes down what a listener in the room hears.
//!
//! `bad_line SPEECH.raw CODEC LOSSES SEEDS OUT` with 16-bit samples of 8 kHz in, `alaw`, `mulaw`, `g722` or `opus`, losses in
//! percent (`0,5,20`), a number of seeds, and a folder for `ours-LOSS-SEED.raw`; for G.711 also `plain-LOSS-SEED.raw`, the
//! same packets heard by the plain pitch repeater. One line of counts for each is printed. What is lost and at which
//! moment between two beats packets come depends on the seed alone, so two programs can be compared loss by loss.
//!
//! `opus=PACKETS` for the codec sends what another Opus made of the speech, lead included: packets of 20 ms, each behind two
//! bytes with its length, low byte first.

mod plain;

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use mixer_media::{
    BEAT, Bridge, Clip, Codec, Command, FRAME_SAMPLES, G711, Input, Output, Remote, RoomKey, Rtcp, StreamId,
};
use plain::Repeater;

const TALKER: StreamId = StreamId(1);
const LISTENER: StreamId = StreamId(2);
const ROOM: RoomKey = RoomKey(1);
const MIXER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);
const TELEPHONES: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5000);
/// So much of the speech is sent ahead and not judged: reports of loss come every five seconds, and Opus waits for one.
const LEAD_FRAMES: usize = 400;
/// Heard after the speech is over, for the delay.
const TAIL_FRAMES: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [speech, codec, losses, seeds, out] = arguments.as_slice() else {
        return Err("usage: bad_line SPEECH.raw CODEC LOSSES SEEDS OUT".into());
    };
    let speech = read(Path::new(speech))?;
    let (codec, packets) = match codec.split_once('=') {
        Some((codec, packets)) => (codec, Some(read_packets(Path::new(packets))?)),
        None => (codec.as_str(), None),
    };
    let codec = match codec {
        "alaw" => Codec::ALaw,
        "mulaw" => Codec::MuLaw,
        "g722" => Codec::G722,
        "opus" => Codec::Opus,
        other => return Err(format!("{other} is no codec").into()),
    };
    for loss in losses.split(',') {
        let loss_percent: u64 = loss.parse()?;
        for seed in 0..seeds.parse()? {
            let call = Call { packets: packets.clone(), ..Call::new(codec, loss_percent, seed) };
            let (heard, told) = call.speak(&speech)?;
            write(&Path::new(out).join(format!("ours-{loss}-{seed}.raw")), &heard)?;
            #[expect(clippy::print_stdout, reason = "a program for the command line")]
            {
                println!("{loss} % seed {seed}: {told}");
            }
            if let Some(law) = law(codec) {
                let heard = plain_call(law, &speech, loss_percent, seed);
                write(&Path::new(out).join(format!("plain-{loss}-{seed}.raw")), &heard)?;
            }
        }
    }
    Ok(())
}

fn law(codec: Codec) -> Option<G711> {
    match codec {
        Codec::ALaw => Some(G711::ALaw),
        Codec::MuLaw => Some(G711::MuLaw),
        Codec::G722 | Codec::Opus => None,
    }
}

/// Which packets are lost, each on its own.
struct Chance {
    state: u64,
    loss_percent: u64,
}

impl Chance {
    fn new(loss_percent: u64, seed: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ loss_percent.rotate_left(32), loss_percent }
    }

    fn draw(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea and Flood 2014).
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn loses(&mut self) -> bool {
        self.draw() % 10_000 < self.loss_percent * 100
    }
}

/// A talker and a listener in a room, on virtual time.
struct Call {
    mixer: Bridge,
    telephones: Bridge,
    now: Instant,
    /// How long after the mixer's beat the telephones' is.
    phase: Duration,
    chance: Chance,
    /// What the talker sends, where his telephone is another's, and how much of it was sent.
    packets: Option<Vec<Vec<u8>>>,
    sent: usize,
}

impl Call {
    fn new(codec: Codec, loss_percent: u64, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "time passes as the packets do; this is where it begins")]
        let now = Instant::now();
        let phase = Duration::from_millis(Chance::new(1, seed).draw() % 20);
        let chance = Chance::new(loss_percent, seed);
        let mut call =
            Self { mixer: Bridge::new(1), telephones: Bridge::new(2), now, phase, chance, packets: None, sent: 0 };
        for (id, codec) in [(TALKER, codec), (LISTENER, Codec::ALaw)] {
            let side = |bridge: &mut Bridge, now, address| {
                let remote = Remote { rtcp: Rtcp::Mux, ..Remote::plain(address, codec) };
                bridge.handle(now, Input::Command(Command::Open(id)));
                bridge.handle(now, Input::Command(Command::Connect(id, remote)));
            };
            side(&mut call.mixer, now, TELEPHONES);
            side(&mut call.telephones, now + phase, MIXER);
            call.mixer.handle(now, Input::Command(Command::Join(id, ROOM)));
        }
        call
    }

    /// Speaks, with a lead, and gives what is heard of the speech itself, and the counts.
    fn speak(mut self, speech: &[i16]) -> Result<(Vec<i16>, String), Box<dyn Error>> {
        let mut spoken: Vec<i16> = speech.iter().copied().cycle().take(LEAD_FRAMES * FRAME_SAMPLES).collect();
        spoken.extend(speech);
        let frames = spoken.len() / FRAME_SAMPLES;
        self.telephones
            .handle(self.now + self.phase, Input::Command(Command::Play(TALKER, vec![Clip::new(spoken)], 1)));
        let mut heard = Vec::new();
        for _ in 0..frames + TAIL_FRAMES {
            self.beat();
            heard.extend(self.telephones.heard(LISTENER).ok_or("the listener is gone")?);
        }
        let counts = self.mixer.statistics(TALKER).ok_or("the talker is gone")?;
        let told = format!("{} packets, {} lost", counts.packets_received, counts.packets_lost);
        Ok((heard.split_off(LEAD_FRAMES * FRAME_SAMPLES), told))
    }

    fn beat(&mut self) {
        self.now += BEAT;
        self.mixer.handle(self.now, Input::Beat);
        loop {
            match self.mixer.poll() {
                Output::Send(id, _, bytes) => self.telephones.handle(self.now, Input::Datagram(id, MIXER, bytes)),
                Output::Wait(_) => break,
                Output::Take(_)
                | Output::SendRtcp(..)
                | Output::Digit(..)
                | Output::Played(..)
                | Output::Keyed(_)
                | Output::Silent(..)
                | Output::Closed(..) => {}
            }
        }
        let later = self.now + self.phase;
        self.send_others(later);
        self.telephones.handle(later, Input::Beat);
        loop {
            match self.telephones.poll() {
                // Reports are spared: they are no sound.
                Output::Send(id, _, bytes) => {
                    let is_report = bytes.get(1).is_some_and(|kind| (200..=204).contains(kind));
                    let others = id == TALKER && self.packets.is_some();
                    if !others && (is_report || id != TALKER || !self.chance.loses()) {
                        self.mixer.handle(later, Input::Datagram(id, TELEPHONES, bytes));
                    }
                }
                Output::Wait(_) => break,
                Output::Take(_)
                | Output::SendRtcp(..)
                | Output::Digit(..)
                | Output::Played(..)
                | Output::Keyed(_)
                | Output::Silent(..)
                | Output::Closed(..) => {}
            }
        }
    }
}

impl Call {
    /// Sends the next packet of another's telephone (RFC 3550 section 5.1, RFC 7587 section 4.1).
    fn send_others(&mut self, now: Instant) {
        let Some(payload) = self.packets.as_ref().and_then(|packets| packets.get(self.sent)) else { return };
        let [.., high, low] = self.sent.to_be_bytes();
        let timestamp = u32::from(u16::from_be_bytes([high, low])) * 960;
        let mut datagram = vec![0x80, Codec::Opus.usual_payload_type(), high, low];
        datagram.extend(timestamp.to_be_bytes());
        datagram.extend([0, 0, 0, 77]);
        datagram.extend(payload);
        self.sent += 1;
        if !self.chance.loses() {
            self.mixer.handle(now, Input::Datagram(TALKER, TELEPHONES, &datagram));
        }
    }
}

/// The same line into the plain repeater, coded as often as on the whole path.
fn plain_call(law: G711, speech: &[i16], loss_percent: u64, seed: u64) -> Vec<i16> {
    let (mut chance, mut repeater, mut heard) = (Chance::new(loss_percent, seed), Repeater::default(), Vec::new());
    // The lead takes its chances too, so that the same packets of the speech are lost.
    (0..LEAD_FRAMES).for_each(|_| _ = chance.loses());
    let coded = |samples: &mut [i16; FRAME_SAMPLES]| {
        let mut payload = [0; FRAME_SAMPLES];
        law.encode(samples, &mut payload);
        law.decode(&payload, samples);
    };
    for chunk in speech.as_chunks::<FRAME_SAMPLES>().0 {
        let mut frame = *chunk;
        coded(&mut frame);
        let mut frame = repeater.hear((!chance.loses()).then_some(&frame));
        coded(&mut frame);
        heard.extend(frame);
    }
    heard
}

fn read(path: &Path) -> Result<Vec<i16>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes.as_chunks::<2>().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect())
}

fn read_packets(path: &Path) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut rest, mut packets) = (bytes.as_slice(), Vec::new());
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let (packet, after) = after.split_at_checked(u16::from_le_bytes(*len).into()).ok_or("a packet is cut off")?;
        packets.push(packet.to_vec());
        rest = after;
    }
    Ok(packets)
}

fn write(path: &Path, samples: &[i16]) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
}
