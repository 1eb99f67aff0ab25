//! A bad network between telephones and the mixer: loss, bursts, jitter, reordering and duplication, from a seed.
//!
//! [`Sky`] decides about one datagram after the other and knows neither socket nor clock. [`Relay`] stands between: to the
//! telephones it is the server, to the server it is the telephones, as a gateway that writes addresses in SIP and SDP anew.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::ports::free_port;

/// Longest datagram.
const MAX_DATAGRAM: usize = 65_535;
/// How much later a datagram comes that others overtake.
const OVERTAKEN: Duration = Duration::from_millis(45);

/// How bad a way is; parts of one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weather {
    /// Part of all datagrams that never arrive.
    pub loss: f64,
    /// Mean length of a row of losses (Gilbert's model); below 2 each datagram is lost or not by itself.
    pub burst_len: f64,
    /// Longest time that a datagram takes; it is anything between none and this.
    pub jitter: Duration,
    /// Part that two or more others overtake.
    pub reorder: f64,
    /// Part that comes twice.
    pub duplicate: f64,
}

impl Weather {
    /// Nothing ever happens.
    pub const CALM: Self = Self { loss: 0.0, burst_len: 1.0, jitter: Duration::ZERO, reorder: 0.0, duplicate: 0.0 };

    /// Only loss, each datagram by itself.
    #[must_use]
    pub const fn losing(loss: f64) -> Self {
        Self { loss, ..Self::CALM }
    }
}

/// Decides about one datagram after the other.
#[derive(Debug)]
pub struct Sky {
    weather: Weather,
    chance: ChaCha8Rng,
    /// Within a row of losses.
    bad: bool,
}

impl Sky {
    /// The same seed, the same fates.
    #[must_use]
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self { weather, chance: ChaCha8Rng::seed_from_u64(seed), bad: false }
    }

    /// When the next datagram arrives, counted from its departure: never, once or twice.
    pub fn fate(&mut self) -> Vec<Duration> {
        let Weather { jitter, reorder, duplicate, .. } = self.weather;
        // Drawn in one order whatever comes of it: a fate depends on the seed and the datagram's number alone.
        let (lost, delay) = (self.is_lost(), jitter.mul_f64(self.draw()));
        let delay = if self.draw() < reorder { delay + OVERTAKEN } else { delay };
        let (twice, second) = (self.draw() < duplicate, jitter.mul_f64(self.draw()));
        match (lost, twice) {
            (true, _) => Vec::new(),
            (false, false) => vec![delay],
            (false, true) => vec![delay, second],
        }
    }

    fn is_lost(&mut self) -> bool {
        let Weather { loss, burst_len, .. } = self.weather;
        let draw = self.draw();
        if burst_len < 2.0 {
            return draw < loss;
        }
        self.bad = if self.bad { draw >= 1.0 / burst_len } else { draw < loss / (burst_len * (1.0 - loss)) };
        self.bad
    }

    /// From 0 to 1, 1 not included.
    fn draw(&mut self) -> f64 {
        self.chance.next_u32() as f64 / (f64::from(u32::MAX) + 1.0)
    }
}

/// What happened to the datagrams of one kind.
#[derive(Debug, Default)]
pub struct Counts {
    /// Taken in.
    pub taken: AtomicU64,
    /// Lost.
    pub lost: AtomicU64,
}

/// A relay at work. Ends with the test.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    /// SIP.
    pub sip: Arc<Counts>,
    /// Sound.
    pub sound: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Stands at a free port of this address, before that server.
    pub async fn start(local: IpAddr, server: SocketAddr, seed: u64, sip: Weather, sound: Weather) -> Self {
        let front = Arc::new(UdpSocket::bind((local, free_port(local))).await.expect("an address of ours"));
        let address = front.local_addr().expect("bound");
        let counts = [Arc::<Counts>::default(), Arc::default()];
        let house = Arc::new(House {
            front,
            server,
            local,
            sip: Sieve { sky: Mutex::new(Sky::new(sip, seed)), counts: Arc::clone(&counts[0]) },
            sound: Sieve { sky: Mutex::new(Sky::new(sound, seed ^ 1)), counts: Arc::clone(&counts[1]) },
            calls: Mutex::default(),
        });
        let [sip, sound] = counts;
        Self { address, sip, sound, task: tokio::spawn(serve(house)) }
    }

    /// Where telephones take it for the server.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct House {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    local: IpAddr,
    sip: Sieve,
    sound: Sieve,
    /// By Call-ID.
    calls: Mutex<HashMap<String, Arc<Strait>>>,
}

/// One weather for all that is of one kind.
#[derive(Debug)]
struct Sieve {
    sky: Mutex<Sky>,
    counts: Arc<Counts>,
}

impl Sieve {
    /// Sends a datagram on as the weather has it.
    fn pass(&self, socket: &Arc<UdpSocket>, toward: SocketAddr, datagram: Vec<u8>) {
        let fate = self.sky.lock().expect("no thread died").fate();
        self.counts.taken.fetch_add(1, Ordering::Relaxed);
        if fate.is_empty() {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
        for delay in fate {
            let (socket, datagram) = (Arc::clone(socket), datagram.clone());
            tokio::spawn(async move {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                // Who has hung up meanwhile does not hear it.
                let _ = socket.send_to(&datagram, toward).await;
            });
        }
    }
}

/// The sound of one call: a socket that the telephone sees and one that the server sees.
#[derive(Debug)]
struct Strait {
    near: Arc<UdpSocket>,
    far: Arc<UdpSocket>,
    caller: Mutex<Option<SocketAddr>>,
    server: Mutex<Option<SocketAddr>>,
}

async fn serve(house: Arc<House>) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    // Aborted with this task.
    let mut tasks = tokio::task::JoinSet::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((len, caller)) = house.front.recv_from(&mut buffer).await else { continue };
        let back = match backs.get(&caller) {
            Some(back) => Arc::clone(back),
            None => {
                let back = Arc::new(UdpSocket::bind((house.local, 0)).await.expect("a port"));
                tasks.spawn(backward(Arc::clone(&house), Arc::clone(&back), caller));
                backs.insert(caller, Arc::clone(&back));
                back
            }
        };
        let us = back.local_addr().expect("bound");
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        let text = replace_address(&text, caller, us);
        let text = replace_address(&text, house.front.local_addr().expect("bound"), house.server);
        let text = match (sound_of(&text), call_id(&text)) {
            (Some(sound), Some(call)) => {
                let strait = strait(&house, &mut tasks, &call).await;
                *strait.caller.lock().expect("no thread died") = Some(sound);
                with_sound_at(&text, strait.far.local_addr().expect("bound"))
            }
            _ => text,
        };
        house.sip.pass(&back, house.server, text.into_bytes());
    }
}

/// From the server to one caller.
async fn backward(house: Arc<House>, back: Arc<UdpSocket>, caller: SocketAddr) {
    let (us, front) = (back.local_addr().expect("bound"), house.front.local_addr().expect("bound"));
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((len, _)) = back.recv_from(&mut buffer).await else { continue };
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        let text = replace_address(&text, us, caller);
        let text = replace_address(&text, house.server, front);
        let known = call_id(&text).and_then(|call| house.calls.lock().expect("no thread died").get(&call).cloned());
        let text = match (sound_of(&text), known) {
            (Some(sound), Some(strait)) => {
                *strait.server.lock().expect("no thread died") = Some(sound);
                with_sound_at(&text, strait.near.local_addr().expect("bound"))
            }
            _ => text,
        };
        house.sip.pass(&house.front, caller, text.into_bytes());
    }
}

async fn strait(house: &Arc<House>, tasks: &mut tokio::task::JoinSet<()>, call: &str) -> Arc<Strait> {
    if let Some(strait) = house.calls.lock().expect("no thread died").get(call) {
        return Arc::clone(strait);
    }
    let socket = async || Arc::new(UdpSocket::bind((house.local, free_port(house.local))).await.expect("a port"));
    let (near, far) = (socket().await, socket().await);
    let strait = Arc::new(Strait { near, far, caller: Mutex::default(), server: Mutex::default() });
    let [one, other] = [(); 2].map(|()| (Arc::clone(house), Arc::clone(&strait)));
    tasks.spawn(async move { sound(&one.0.sound, &one.1.near, &one.1.far, &one.1.server).await });
    tasks.spawn(async move { sound(&other.0.sound, &other.1.far, &other.1.near, &other.1.caller).await });
    house.calls.lock().expect("no thread died").insert(call.to_owned(), Arc::clone(&strait));
    strait
}

async fn sound(sieve: &Sieve, from: &UdpSocket, by: &Arc<UdpSocket>, toward: &Mutex<Option<SocketAddr>>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((len, _)) = from.recv_from(&mut buffer).await else { continue };
        let toward = *toward.lock().expect("no thread died");
        if let Some(toward) = toward {
            sieve.pass(by, toward, buffer[..len].to_vec());
        }
    }
}

/// Writes one address for another, wherever it stands whole.
fn replace_address(text: &str, from: SocketAddr, to: SocketAddr) -> String {
    let (from, to) = (from.to_string(), to.to_string());
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(&from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let longer = after.starts_with(|sign: char| sign.is_ascii_digit())
            || before.ends_with(|sign: char| sign.is_ascii_digit() || sign == '.');
        written += before;
        written += if longer { &from } else { &to };
        rest = after;
    }
    written + rest
}

fn call_id(text: &str) -> Option<String> {
    let name = |line: &str| {
        let (name, value) = line.split_once(':')?;
        matches!(name.trim().to_ascii_lowercase().as_str(), "call-id" | "i").then(|| value.trim().to_owned())
    };
    text.lines().take_while(|line| !line.is_empty()).find_map(name)
}

/// Where the description of the session wants its sound.
fn sound_of(text: &str) -> Option<SocketAddr> {
    let (_, body) = text.split_once("\r\n\r\n")?;
    let line = |start: &str| body.lines().find_map(|line| line.strip_prefix(start));
    let ip = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?.trim().parse().ok()?;
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    (port != 0).then(|| SocketAddr::new(ip, port))
}

/// The same message with its sound at another address, and its length right.
fn with_sound_at(text: &str, at: SocketAddr) -> String {
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return text.to_owned() };
    let body: String = body
        .split_inclusive("\r\n")
        .map(|line| match line {
            line if line.starts_with("c=IN IP") => format!("{}{}\r\n", &line[..9], at.ip()),
            line if line.starts_with("m=audio ") => {
                let after = line["m=audio ".len()..].split_once(' ').map_or("", |(_, after)| after);
                format!("m=audio {} {after}", at.port())
            }
            line => line.to_owned(),
        })
        .collect();
    let head: Vec<_> = head
        .split("\r\n")
        .map(|line| match line.split_once(':') {
            Some((name, _)) if matches!(name.trim().to_ascii_lowercase().as_str(), "content-length" | "l") => {
                format!("Content-Length: {}", body.len())
            }
            Some(_) | None => line.to_owned(),
        })
        .collect();
    head.join("\r\n") + "\r\n\r\n" + &body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(weather: Weather, seed: u64) -> Vec<bool> {
        let mut sky = Sky::new(weather, seed);
        (0..10_000).map(|_| sky.fate().is_empty()).collect()
    }

    fn part(lost: &[bool]) -> f64 {
        lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64
    }

    #[test]
    fn as_many_are_lost_as_asked_and_a_seed_repeats_itself() {
        for loss in [0.0, 0.05, 0.2, 0.3] {
            let weather = Weather::losing(loss);
            let first = lost(weather, 7);
            assert!((part(&first) - loss).abs() < 0.015, "{loss}: {}", part(&first));
            assert_eq!(first, lost(weather, 7));
        }
        assert_ne!(lost(Weather::losing(0.2), 7), lost(Weather::losing(0.2), 8));
    }

    #[test]
    fn losses_come_in_rows_of_the_asked_length() {
        let lost = lost(Weather { burst_len: 5.0, ..Weather::losing(0.1) }, 3);
        let rows = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        let mean = lost.iter().filter(|lost| **lost).count() as f64 / rows as f64;
        assert!((part(&lost) - 0.1).abs() < 0.03 && (mean - 5.0).abs() < 1.0, "{} in rows of {mean}", part(&lost));
    }

    #[test]
    fn a_datagram_may_come_late_or_twice() {
        let weather = Weather { jitter: Duration::from_millis(60), reorder: 0.05, duplicate: 0.03, ..Weather::CALM };
        let mut sky = Sky::new(weather, 1);
        let fates: Vec<_> = (0..10_000).map(|_| sky.fate()).collect();
        let count = |holds: &dyn Fn(&Vec<Duration>) -> bool| fates.iter().filter(|fate| holds(fate)).count();
        assert!((200..400).contains(&count(&|fate| fate.len() == 2)));
        assert!(count(&|fate| fate[0] > Duration::from_millis(60)) > 200);
        assert_eq!(count(&|fate| fate.is_empty()), 0);
    }

    #[test]
    fn an_address_is_replaced_only_where_it_stands_whole() {
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let text = "Via: SIP/2.0/UDP 127.0.0.1:506;branch=a\r\nContact: <sip:x@127.0.0.1:5060>, <sip:y@127.0.0.1:506>";
        let written = replace_address(text, at("127.0.0.1:506"), at("10.0.0.1:7"));
        let expected = "Via: SIP/2.0/UDP 10.0.0.1:7;branch=a\r\nContact: <sip:x@127.0.0.1:5060>, <sip:y@10.0.0.1:7>";
        assert_eq!(written, expected);
    }

    #[test]
    fn the_sound_is_told_elsewhere_and_the_length_is_right() {
        let body = "v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 8 101\r\na=sendrecv\r\n";
        let text = format!("INVITE sip:88@a SIP/2.0\r\nCall-ID: 7\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert_eq!((sound_of(&text), call_id(&text)), (Some("127.0.0.1:4000".parse().unwrap()), Some("7".to_owned())));
        let written = with_sound_at(&text, "127.0.0.12:40000".parse().unwrap());
        let body = "v=0\r\nc=IN IP4 127.0.0.12\r\nm=audio 40000 RTP/AVP 8 101\r\na=sendrecv\r\n";
        assert!(
            written.ends_with(body) && written.contains(&format!("Content-Length: {}\r\n", body.len())),
            "{written}"
        );
    }
}
