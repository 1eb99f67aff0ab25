//! A telephone of few lines that shares no code with the product: SIP written as text over one UDP socket, sound over
//! another, and both can be made to misbehave.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dialroom_host::Clock;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::ports::free_port;
use crate::sound::{BEAT, Heard, Voice};

/// How long an answer may take before the request is sent again (RFC 3261, timer A).
const T1: Duration = Duration::from_millis(500);
/// How often a request is sent.
const ATTEMPTS: u32 = 5;
/// Longest datagram.
const MAX_DATAGRAM: usize = 65_535;

/// Makes every call of a test run another one.
static CALLS: AtomicU32 = AtomicU32::new(1);

/// What one call has to remember to write its next message.
#[derive(Clone, Debug)]
pub struct Slip {
    /// Where we listen.
    pub local: SocketAddr,
    /// Whom we call.
    pub server: SocketAddr,
    /// The number we say we have.
    pub number: String,
    /// Whom we ask for.
    pub called: String,
    /// Names the call.
    pub call_id: String,
    from_tag: String,
    to: String,
    target: String,
    cseq: u32,
    invited: u32,
    branch: u32,
}

impl Slip {
    /// A call not yet begun.
    #[must_use]
    pub fn new(local: SocketAddr, server: SocketAddr, number: &str, called: &str) -> Self {
        let unique = CALLS.fetch_add(1, Ordering::Relaxed);
        let target = format!("sip:{called}@{server}");
        Self {
            local,
            server,
            number: number.to_owned(),
            called: called.to_owned(),
            call_id: format!("bare-{unique}-{}@{}", std::process::id(), local.ip()),
            from_tag: format!("f{unique}"),
            to: format!("<{target}>"),
            target,
            cseq: 0,
            invited: 0,
            branch: 0,
        }
    }

    /// The INVITE that begins the call, or a further one once it is up.
    pub fn invite(&mut self, sdp: &str) -> String {
        let text = self.request("INVITE", "", ("application/sdp", sdp));
        self.invited = self.cseq;
        text
    }

    /// A request with these header lines more, each ended by CRLF, and a body of this kind.
    pub fn request(&mut self, method: &str, headers: &str, body: (&str, &str)) -> String {
        self.cseq += 1;
        self.branch += 1;
        self.write(method, self.cseq, headers, body)
    }

    /// The ACK of a 2xx: a transaction of its own.
    pub fn ack(&mut self) -> String {
        self.branch += 1;
        self.write("ACK", self.invited, "", ("", ""))
    }

    /// The ACK of a refusal and the CANCEL: on the INVITE's own branch.
    #[must_use]
    pub fn same_branch(&self, method: &str) -> String {
        self.write(method, self.invited, "", ("", ""))
    }

    /// The INVITE once more, as it was.
    #[must_use]
    pub fn repeated_invite(&self, sdp: &str) -> String {
        self.write("INVITE", self.invited, "", ("application/sdp", sdp))
    }

    /// The last request without a body once more, as it was.
    #[must_use]
    pub fn same_request(&self, method: &str) -> String {
        self.write(method, self.cseq, "", ("", ""))
    }

    fn write(&self, method: &str, cseq: u32, headers: &str, (kind, body): (&str, &str)) -> String {
        let Self { local, number, call_id, from_tag, to, target, branch, .. } = self;
        let kind = if kind.is_empty() { String::new() } else { format!("Content-Type: {kind}\r\n") };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {local};rport;branch=z9hG4bK{from_tag}x{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@{local}>;tag={from_tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:bare@{local}>\r\nP-Asserted-Identity: <sip:{number}@{local}>\r\n\
             {headers}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    /// Keeps the tag and the Contact of a 2xx.
    pub fn learn(&mut self, answer: &Answer) {
        self.to = answer.header("To").unwrap_or(&self.to).to_owned();
        let contact = answer.header("Contact").and_then(|value| value.split(['<', '>']).nth(1));
        if answer.status < 300
            && let Some(contact) = contact
        {
            self.target = contact.to_owned();
        }
    }
}

/// A response, as far as a caller reads it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// All of it.
    pub text: String,
}

impl Answer {
    /// Reads a datagram; `None` for a request or rubbish.
    #[must_use]
    pub fn read(datagram: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(datagram).into_owned();
        let status = text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
        Some(Self { status, text })
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'_ str| {
            let (key, value) = line.split_once(':')?;
            let place = value.as_ptr() as usize - line.as_ptr() as usize;
            key.trim().eq_ignore_ascii_case(name).then_some(place)
        };
        self.text.lines().take_while(|line| !line.is_empty()).find_map(|line| value(line).map(|at| line[at..].trim()))
    }

    /// Where it wants its sound.
    #[must_use]
    pub fn sound(&self) -> Option<SocketAddr> {
        let line = |start: &str| self.text.lines().find_map(|line| line.strip_prefix(start));
        let ip: IpAddr = line("c=IN IP4 ").or_else(|| line("c=IN IP6 "))?.trim().parse().ok()?;
        let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
        (port != 0).then(|| SocketAddr::new(ip, port))
    }
}

/// A description of A-law and telephone events at this address.
#[must_use]
pub fn sdp(at: SocketAddr, direction: &str) -> String {
    let (ip, port) = (at.ip(), at.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    format!(
        "v=0\r\no=bare 1 1 IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={direction}\r\n"
    )
}

/// A telephone in use.
#[derive(Debug)]
pub struct Bare {
    /// Its call.
    pub slip: Slip,
    /// Its signalling.
    pub socket: UdpSocket,
    /// Its sound.
    pub line: Line,
    clock: Clock,
}

impl Bare {
    /// A telephone at this address, on the hook.
    pub async fn new(local: IpAddr, server: SocketAddr, number: &str) -> Self {
        let socket = UdpSocket::bind((local, 0)).await.expect("an address of ours");
        let slip = Slip::new(socket.local_addr().expect("bound"), server, number, "88");
        Self { slip, socket, line: Line::open(local).await, clock: Clock::real() }
    }

    /// Calls and says ACK; answers after how long it was up. The sound goes on as [`Line::speak`] says.
    pub async fn call(&mut self) -> Duration {
        let begun = self.clock.instant();
        let invite = self.slip.invite(&sdp(self.line.address(), "sendrecv"));
        let answer = self.exchange(&invite).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.confirm(&answer).await;
        self.clock.instant() - begun
    }

    /// Says ACK to a 200 and learns from it where the sound goes.
    pub async fn confirm(&mut self, answer: &Answer) {
        self.slip.learn(answer);
        let ack = self.slip.ack();
        self.send(&ack).await;
        if let Some(sound) = answer.sound() {
            self.line.toward(sound);
        }
    }

    /// Says BYE and waits for the answer.
    pub async fn hang_up(mut self) -> Heard {
        let bye = self.slip.request("BYE", "", ("", ""));
        let answer = self.exchange(&bye).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        self.line.heard()
    }

    /// Sends a request until it is answered; answers the final response.
    ///
    /// # Panics
    /// When none comes.
    pub async fn exchange(&self, request: &str) -> Answer {
        self.exchange_within(request, T1 * ATTEMPTS).await.expect("an answer")
    }

    /// The same; `None` when no final response comes in that time.
    pub async fn exchange_within(&self, request: &str, limit: Duration) -> Option<Answer> {
        let begun = self.clock.instant();
        let cseq = header_of(request, "CSeq").expect("a CSeq").to_owned();
        while self.clock.instant() < begun + limit {
            self.send(request).await;
            let heard = async {
                loop {
                    let answer = self.answer().await;
                    let ours =
                        answer.header("CSeq") == Some(&cseq) && answer.header("Call-ID") == Some(&self.slip.call_id);
                    if ours && answer.status >= 200 {
                        return answer;
                    }
                }
            };
            if let Ok(answer) = tokio::time::timeout(T1.min(limit), heard).await {
                return Some(answer);
            }
        }
        None
    }

    /// Sends a message once.
    pub async fn send(&self, message: &str) {
        self.socket.send_to(message.as_bytes(), self.slip.server).await.expect("sent");
    }

    /// The next response of whatever request.
    pub async fn answer(&self) -> Answer {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            let (len, _) = self.socket.recv_from(&mut buffer).await.expect("a datagram");
            if let Some(answer) = Answer::read(&buffer[..len]) {
                return answer;
            }
        }
    }
}

/// A guest's call through the telephone system, in milliseconds until it is up; `None` when it is not within four seconds.
pub async fn legitimate_call(mixer: &crate::mixer::Mixer) -> Option<f64> {
    let mut bare = Bare::new(crate::lab::TRUNK, mixer.sip(), crate::mixer::GUEST).await;
    let clock = Clock::real();
    let begun = clock.instant();
    let invite = bare.slip.invite(&sdp(bare.line.address(), "sendrecv"));
    let answer = bare.exchange_within(&invite, Duration::from_secs(4)).await?;
    if answer.status != 200 {
        println!("a legitimate call is refused: {}", answer.text);
        return None;
    }
    let took = (clock.instant() - begun).as_secs_f64() * 1000.0;
    bare.confirm(&answer).await;
    let bye = bare.slip.request("BYE", "", ("", ""));
    bare.exchange_within(&bye, Duration::from_secs(4)).await?;
    Some(took)
}

fn header_of<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// The sound of a telephone: one socket, a task that speaks and one that listens.
#[derive(Debug)]
pub struct Line {
    socket: Arc<UdpSocket>,
    toward: Arc<Mutex<Option<SocketAddr>>>,
    heard: Arc<Mutex<Heard>>,
    muted: Arc<AtomicBool>,
    voice: Arc<Mutex<Option<Voice>>>,
    tasks: [JoinHandle<()>; 2],
}

impl Line {
    /// A line that hears, and says nothing yet.
    pub async fn open(local: IpAddr) -> Self {
        Self::going_on(local, None).await
    }

    /// A line that goes on with a voice that spoke on another one.
    pub async fn going_on(local: IpAddr, voice: Option<Voice>) -> Self {
        let socket = Arc::new(UdpSocket::bind((local, free_port(local))).await.expect("an address of ours"));
        let toward = Arc::new(Mutex::new(None));
        let heard = Arc::new(Mutex::new(Heard::default()));
        let (muted, voice) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(voice)));
        let speaking = speak(Arc::clone(&socket), Arc::clone(&toward), Arc::clone(&voice), Arc::clone(&muted));
        let hearing = hear(Arc::clone(&socket), Arc::clone(&heard));
        Self { socket, toward, heard, muted, voice, tasks: [tokio::spawn(speaking), tokio::spawn(hearing)] }
    }

    /// Where it hears.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("bound")
    }

    /// Where it speaks to.
    pub fn toward(&self, address: SocketAddr) {
        *self.toward.lock().expect("no thread died") = Some(address);
    }

    /// Where it speaks to now.
    #[must_use]
    pub fn target(&self) -> Option<SocketAddr> {
        *self.toward.lock().expect("no thread died")
    }

    /// Speaks with this voice from now on.
    pub fn speak(&self, voice: Voice) {
        *self.voice.lock().expect("no thread died") = Some(voice);
    }

    /// Sends nothing at all, or goes on.
    pub fn mute(&self, muted: bool) {
        self.muted.store(muted, Ordering::Relaxed);
    }

    /// The voice, taken away: this line is silent from now on.
    #[must_use]
    pub fn take_voice(&self) -> Option<Voice> {
        self.voice.lock().expect("no thread died").take()
    }

    /// Looks at what has been heard so far.
    pub fn with_heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().expect("no thread died"))
    }

    /// All that was heard.
    #[must_use]
    pub fn heard(self) -> Heard {
        std::mem::take(&mut *self.heard.lock().expect("no thread died"))
    }
}

/// A line that is dropped is cut.
impl Drop for Line {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn speak(
    socket: Arc<UdpSocket>,
    toward: Arc<Mutex<Option<SocketAddr>>>,
    voice: Arc<Mutex<Option<Voice>>>,
    muted: Arc<AtomicBool>,
) {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        beat.tick().await;
        let toward = *toward.lock().expect("no thread died");
        let packet = voice.lock().expect("no thread died").as_mut().map(Voice::packet);
        if let (Some(toward), Some(packet), false) = (toward, packet, muted.load(Ordering::Relaxed)) {
            // A port that closed this moment answers by ICMP: an error of the next send, and no news.
            let _ = socket.send_to(&packet, toward).await;
        }
    }
}

async fn hear(socket: Arc<UdpSocket>, heard: Arc<Mutex<Heard>>) {
    let clock = Clock::real();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        if let Ok((len, _)) = socket.recv_from(&mut buffer).await {
            heard.lock().expect("no thread died").take(clock.instant(), &buffer[..len]);
        }
    }
}

/// Time that passed, in whole milliseconds, for figures.
#[must_use]
pub fn ms(from: Instant, to: Instant) -> u128 {
    to.saturating_duration_since(from).as_millis()
}
