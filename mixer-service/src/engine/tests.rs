//! The real engine among real sockets on loopback. The telephones are a second engine, whose streams play and listen.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use mixer_media::{BEAT, FRAME_SAMPLES, Tone, pitch_level_db};

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn engine() -> (Engine, mpsc::Receiver<Report>) {
    Engine::start((0, 0), 46).unwrap()
}

fn remote(port: u16, codec: Codec) -> Remote {
    Remote { comfort_noise: Some(13), ..Remote::plain(SocketAddr::new(LOOPBACK, port), codec) }
}

/// A stream of ours and one of the telephones, talking to each other.
fn call(ours: &Engine, telephones: &Engine, n: u64) -> StreamId {
    let id = StreamId(n);
    let codec = if n.is_multiple_of(2) { Codec::ALaw } else { Codec::MuLaw };
    let ports = [ours, telephones].map(|engine| engine.open(id, LOOPBACK).unwrap());
    ours.connect(id, remote(ports[1], codec));
    telephones.connect(id, remote(ports[0], codec));
    id
}

fn clip(pitch_hz: f64, len: usize) -> Clip {
    Clip::new(Tone::new(pitch_hz, -30.0).take(len))
}

/// The next report that is wanted, within ten seconds of the system's time.
fn wait_for(reports: &mut mpsc::Receiver<Report>, wanted: impl Fn(&Report) -> bool) -> Vec<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut seen = Vec::new();
    runtime.block_on(async {
        let all = async {
            while let Some(report) = reports.recv().await {
                let done = wanted(&report);
                seen.push(report);
                if done {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), all).await.expect("the report never came");
    });
    seen
}

fn listen_for(ear: &mut mpsc::Receiver<Frame>, frames: usize) -> Vec<i16> {
    (0..frames).flat_map(|_| ear.blocking_recv().expect("the engine stands")).collect()
}

fn pitch(n: u64) -> f64 {
    f64::from(u32::try_from(n * 70 + 310 + n * n * 11 % 31).unwrap())
}

/// Twenty legs in rooms of this size: each hears all others of his room and neither himself nor another room.
fn everyone_hears_all_others(legs_per_room: u64, workers: usize) {
    let ((ours, mut reports), (telephones, _theirs)) = (Engine::with_workers(workers, (0, 0), 46).unwrap(), engine());
    let ids: Vec<_> = (0..20).map(|n| call(&ours, &telephones, n)).collect();
    for id in &ids {
        telephones.music(*id, clip(pitch(id.0), 8000));
        ours.join(*id, RoomKey(id.0 / legs_per_room));
    }
    let mut ears: Vec<_> = ids.iter().map(|id| telephones.listen(*id)).collect();
    // All listen at once, lest the later ones lose frames: one second to settle, two to hear.
    let heard: Vec<Vec<i16>> = thread::scope(|scope| {
        let listening: Vec<_> =
            ears.iter_mut().map(|ear| scope.spawn(|| listen_for(ear, 150).split_off(50 * FRAME_SAMPLES))).collect();
        listening.into_iter().map(|listening| listening.join().unwrap()).collect()
    });
    ids.iter().for_each(|id| ours.close(*id, false));
    let (mut lost, mut received, mut concealed) = (0, 0, 0);
    for _ in &ids {
        let seen = wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
        let Some(Report::Closed(_, statistics)) = seen.last() else { panic!() };
        lost += statistics.packets_lost + statistics.packets_late;
        received += statistics.packets_received;
        concealed += statistics.frames_concealed;
    }
    let (mut softest, mut loudest_wrong) = (f64::MAX, f64::MIN);
    for (listener, heard) in (0..).zip(&heard) {
        for speaker in 0..20 {
            let level = pitch_level_db(heard, pitch(speaker)) + 30.0;
            if listener != speaker && listener / legs_per_room == speaker / legs_per_room {
                softest = softest.min(level);
            } else {
                loudest_wrong = loudest_wrong.max(level);
            }
        }
    }
    let metrics = ours.metrics();
    println!(
        "rooms of {legs_per_room}, {workers} workers: others at least {softest:+.2} dB, own and strangers at most {loudest_wrong:.1} dB; \
         {received} packets, {lost} lost or late, {concealed} frames concealed; beats late by {:?} of {:?} us, at most {}",
        metrics.lateness, LATENESS_BOUNDS_US, metrics.lateness_max_us
    );
    assert!(softest > -6.0, "somebody is not heard: {softest} dB");
    assert!(loudest_wrong < -30.0, "somebody is heard who should not be: {loudest_wrong} dB");
}

#[test]
fn twenty_in_one_room() {
    everyone_hears_all_others(20, 1);
}

#[test]
fn four_rooms_of_five() {
    everyone_hears_all_others(5, 1);
}

#[test]
fn rooms_of_several_workers() {
    everyone_hears_all_others(5, 3);
}

/// Five rooms of four in which half the legs share a port: each hears all others, whichever way his sound passes.
#[test]
fn calls_that_share_a_port_are_told_apart() {
    let ((ours, mut reports), (telephones, _theirs)) = (Engine::with_workers(2, (0, 0), 46).unwrap(), engine());
    let ids: Vec<_> = (0..20).map(StreamId).collect();
    let mut shared = std::collections::BTreeSet::new();
    for &id in &ids {
        let port = if id.0.is_multiple_of(2) {
            let port = ours.open_shared(id, LOOPBACK).unwrap();
            shared.insert(port);
            port
        } else {
            ours.open(id, LOOPBACK).unwrap()
        };
        let theirs = telephones.open(id, LOOPBACK).unwrap();
        ours.connect(id, remote(theirs, Codec::ALaw));
        telephones.connect(id, remote(port, Codec::ALaw));
        telephones.music(id, clip(pitch(id.0), 8000));
        ours.join(id, RoomKey(id.0 / 4));
    }
    assert_eq!(shared.len(), 1);
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    for _ in 0..100 {
        stranger.send_to(&[0x80; 172], (LOOPBACK, *shared.first().unwrap())).unwrap();
    }
    let mut ears: Vec<_> = ids.iter().map(|id| telephones.listen(*id)).collect();
    let heard: Vec<Vec<i16>> = thread::scope(|scope| {
        let listening: Vec<_> =
            ears.iter_mut().map(|ear| scope.spawn(|| listen_for(ear, 100).split_off(50 * FRAME_SAMPLES))).collect();
        listening.into_iter().map(|listening| listening.join().unwrap()).collect()
    });
    for (listener, heard) in (0..).zip(&heard) {
        for speaker in 0..20 {
            let level = pitch_level_db(heard, pitch(speaker)) + 30.0;
            let hears = listener != speaker && listener / 4 == speaker / 4;
            assert!(if hears { level > -6.0 } else { level < -20.0 }, "{speaker} to {listener}: {level} dB");
        }
    }
    assert_eq!(ours.metrics().packets_stray, 100);
    ids.iter().for_each(|id| ours.close(*id, false));
    for _ in &ids {
        wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
    }
    assert_eq!(ours.metrics().packets_unsent, 0);
}

/// Whatever is ordered while a stream is on its way to another worker is done, in order.
#[test]
fn a_stream_that_moves_loses_no_order() {
    let (ours, mut reports) = Engine::with_workers(2, (0, 0), 46).unwrap();
    let (telephones, _theirs) = engine();
    let ids: Vec<_> = (0..8).map(|n| call(&ours, &telephones, n)).collect();
    for round in 0..50 {
        for id in &ids {
            ours.join(*id, RoomKey((id.0 + round) % 2));
            ours.pressed(*id, char::from_digit((round % 10) as u32, 10).unwrap());
        }
    }
    for id in &ids {
        ours.play(*id, vec![clip(500.0, 160)], id.0);
        ours.close(*id, true);
    }
    let mut keys = HashMap::<StreamId, Vec<char>>::new();
    let (mut played, mut closed) = (0, 0);
    while closed < ids.len() {
        for report in wait_for(&mut reports, |_| true) {
            match report {
                Report::Digit(id, key) => keys.entry(id).or_default().push(key),
                Report::Played(..) => played += 1,
                Report::Closed(..) => closed += 1,
                Report::Keyed(_) | Report::Silent(..) => {}
            }
        }
    }
    // Keys of signalling that follow each other too fast for a hand are bounded; none may come twice or in another order.
    for keys in keys.values() {
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "{keys:?}");
    }
    assert_eq!((played, keys.len()), (ids.len(), ids.len()));
    assert_eq!(ours.metrics().streams, 0);
    assert!(ours.registry().places.of(ids[0]).is_none());
}

#[test]
fn a_machine_that_is_busy_takes_no_more() {
    let (ours, _reports) = engine();
    ours.open(StreamId(1), LOOPBACK).unwrap();
    (0..500).for_each(|_| ours.workers[0].counters.worked(BEAT));
    let refused = ours.open(StreamId(2), LOOPBACK).unwrap_err();
    assert!(refused.kind() == io::ErrorKind::QuotaExceeded && refused.to_string().contains("beat"), "{refused}");
    ours.workers[0].counters.idle();
    ours.open(StreamId(2), LOOPBACK).unwrap();
}

#[test]
fn keys_prompts_and_farewell_are_reported_in_their_order() {
    let ((ours, mut reports), (telephones, mut theirs)) = (engine(), engine());
    let id = call(&ours, &telephones, 1);
    telephones.key(id, "4711#");
    wait_for(&mut theirs, |report| *report == Report::Keyed(id));
    let keyed = wait_for(&mut reports, |report| *report == Report::Digit(id, '#'));
    assert_eq!(keyed, ['4', '7', '1', '1', '#'].map(|key| Report::Digit(id, key)));
    ours.play(id, vec![clip(500.0, 800), clip(600.0, 800)], 7);
    ours.close(id, true);
    let seen = wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
    assert!(matches!(seen[..], [Report::Played(_, 7), Report::Closed(_, statistics)] if statistics.packets_sent >= 10));
    assert_eq!(ours.metrics().streams, 0);
}

#[test]
fn a_voice_is_shaped_where_that_is_asked_for() {
    let ((ours, _reports), (telephones, _theirs)) = (engine(), engine());
    let [talker, listener] = [0, 1].map(|n| call(&ours, &telephones, n));
    [talker, listener].into_iter().for_each(|id| ours.join(id, RoomKey(1)));
    // Noise of −65 dB that never rests: a gate that has heard a second of it shuts it out.
    telephones.music(talker, Clip::new(Tone::new(700.0, -62.0).take(8000)));
    let mut ear = telephones.listen(listener);
    let before = pitch_level_db(&listen_for(&mut ear, 60)[30 * FRAME_SAMPLES..], 700.0);
    ours.level(talker, Levels { normalise: false, gate: true });
    let after = pitch_level_db(&listen_for(&mut ear, 100)[60 * FRAME_SAMPLES..], 700.0);
    println!("{before:.1} dB, behind the gate {after:.1} dB");
    assert!(before > -65.0 && after < -80.0);
}

#[test]
fn a_key_of_signalling_is_told_once() {
    let ((ours, mut reports), (telephones, _theirs)) = (engine(), engine());
    let id = call(&ours, &telephones, 1);
    for key in ['4', '#'] {
        ours.pressed(id, key);
    }
    let keyed = wait_for(&mut reports, |report| *report == Report::Digit(id, '#'));
    assert_eq!(keyed, ['4', '#'].map(|key| Report::Digit(id, key)));
}

#[test]
fn reports_leave_and_arrive_by_the_port_above_the_sounds() {
    // A range outside the one that the system gives ports from; the next port is then free as a rule.
    let start = || Engine::start((21_000, 24_999), 46).unwrap();
    let ((ours, mut reports), (telephones, mut theirs)) = (start(), start());
    let id = StreamId(1);
    let ports = [&ours, &telephones].map(|engine| engine.open(id, LOOPBACK).unwrap());
    for (engine, port) in [(&ours, ports[1]), (&telephones, ports[0])] {
        let rtcp = Rtcp::Address(SocketAddr::new(LOOPBACK, port + 1));
        engine.connect(id, Remote { rtcp, ..remote(port, Codec::ALaw) });
    }
    ours.play(id, vec![clip(500.0, 3200)], 1);
    wait_for(&mut reports, |report| matches!(report, Report::Played(..)));
    ours.close(id, false);
    wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
    // Until then the goodbye was taken from its port.
    telephones.play(id, vec![clip(500.0, 3200)], 1);
    wait_for(&mut theirs, |report| matches!(report, Report::Played(..)));
    telephones.close(id, false);
    let seen = wait_for(&mut theirs, |report| matches!(report, Report::Closed(..)));
    let Some(Report::Closed(_, statistics)) = seen.last() else { panic!() };
    assert_eq!(ours.metrics().streams_without_reports + telephones.metrics().streams_without_reports, 0);
    assert!(statistics.packets_rtcp >= 1 && statistics.rtcp_goodbyes == 1, "{statistics:?}");
}

#[test]
fn an_engine_without_streams_does_not_beat() {
    let (ours, mut reports) = engine();
    ours.open(StreamId(1), LOOPBACK).unwrap();
    ours.close(StreamId(1), false);
    wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
    let beats = ours.metrics().beats;
    // Five beats' time passes on a socket where nothing comes.
    let nothing = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    nothing.set_read_timeout(Some(BEAT * 5)).unwrap();
    assert!(nothing.recv(&mut [0]).is_err());
    assert_eq!(ours.metrics().beats, beats);
}

#[test]
fn garbage_from_strangers_disturbs_nobody() {
    let ((ours, mut reports), (telephones, _theirs)) = (engine(), engine());
    let port = ours.open(StreamId(1), LOOPBACK).unwrap();
    let theirs = telephones.open(StreamId(1), LOOPBACK).unwrap();
    ours.connect(StreamId(1), remote(theirs, Codec::ALaw));
    telephones.connect(StreamId(1), remote(port, Codec::ALaw));
    let stranger = UdpSocket::bind((LOOPBACK, 0)).unwrap();
    for len in 0..=1472 {
        stranger.send_to(&vec![0x80; len], (LOOPBACK, port)).unwrap();
    }
    ours.play(StreamId(1), vec![clip(500.0, 8000)], 1);
    wait_for(&mut reports, |report| matches!(report, Report::Played(..)));
    ours.close(StreamId(1), false);
    let seen = wait_for(&mut reports, |report| matches!(report, Report::Closed(..)));
    let Some(Report::Closed(_, statistics)) = seen.last() else { panic!() };
    assert!(statistics.packets_stray > 0 && statistics.packets_received > 40, "{statistics:?}");
    assert!(
        stranger.set_read_timeout(Some(BEAT)).is_ok() && stranger.recv(&mut [0; 99]).is_err(),
        "nothing goes to strangers"
    );
}

/// Mouth to ear, printed and not asserted: from sending the packet that begins a tone to the instant its onset would sound if
/// each packet were played on arrival. Ten pairs, spread over the beat.
#[test]
fn mouth_to_ear_is_printed() {
    let (ours, _reports) = engine();
    let clock = Clock::real();
    let start = clock.instant() + BEAT;
    let mut delays_ms: Vec<f64> = thread::scope(|scope| {
        let pairs: Vec<_> = (0..10u64)
            .map(|n| {
                let (ours, clock) = (&ours, &clock);
                scope.spawn(move || onsets(ours, clock, n, start + Duration::from_millis(n * 2)))
            })
            .collect();
        pairs.into_iter().flat_map(|pair| pair.join().unwrap()).collect()
    });
    delays_ms.sort_by(f64::total_cmp);
    let at =
        |percent: usize| delays_ms.get(delays_ms.len().saturating_sub(1) * percent / 100).copied().unwrap_or(f64::NAN);
    println!("mouth to ear over {} onsets: p50 {:.1} ms, p99 {:.1} ms", delays_ms.len(), at(50), at(99));
    assert!(delays_ms.len() >= 50, "onsets were heard");
}

/// A talker and a listener in a room of two; the talker speaks for 100 ms in every 400. Gives the delays of the onsets.
fn onsets(ours: &Engine, clock: &Clock, n: u64, start: Instant) -> Vec<f64> {
    let sockets = [(); 2].map(|()| UdpSocket::bind((LOOPBACK, 0)).unwrap());
    let ids = [StreamId(n * 2), StreamId(n * 2 + 1)];
    let mut ports = [0; 2];
    for ((id, socket), port) in ids.iter().zip(&sockets).zip(&mut ports) {
        *port = ours.open(*id, LOOPBACK).unwrap();
        ours.connect(*id, remote(socket.local_addr().unwrap().port(), Codec::MuLaw));
        ours.join(*id, RoomKey(n));
    }
    let (mut begun, mut quiet, mut delays) = (None::<Instant>, true, Vec::new());
    for beat in 0..125u16 {
        let due = start + BEAT * u32::from(beat);
        // The listener's socket is the clock: what comes before the next packet is due is listened to.
        while let Some(left) = due.checked_duration_since(clock.instant()).filter(|left| !left.is_zero()) {
            sockets[1].set_read_timeout(Some(left)).unwrap();
            let mut datagram = [0; 172];
            let Ok(172) = sockets[1].recv(&mut datagram) else { continue };
            let arrival = clock.instant();
            let loud = datagram[12..172].iter().position(|code| code & 0x7f < 0x40);
            if let (Some(sample), true, Some(sent)) = (loud, quiet, begun) {
                let sample = u32::try_from(sample).unwrap();
                delays.push((arrival - sent).as_secs_f64() * 1000.0 + f64::from(sample) / 8.0);
                begun = None;
            }
            quiet = loud.is_none();
        }
        let speaks = beat % 20 >= 15;
        let mut datagram = [if speaks { 0x80 } else { 0xff }; 172];
        datagram[..4].copy_from_slice(&[0x80, 0, 0, 0]);
        datagram[2..4].copy_from_slice(&beat.to_be_bytes());
        datagram[4..8].copy_from_slice(&(u32::from(beat) * 160).to_be_bytes());
        datagram[8..12].copy_from_slice(&[1, 2, 3, 4]);
        if beat % 20 == 15 {
            begun = Some(clock.instant());
        }
        sockets[0].send_to(&datagram, (LOOPBACK, ports[0])).unwrap();
    }
    delays
}
