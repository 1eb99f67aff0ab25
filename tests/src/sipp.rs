//! SIPp's scenarios, written by a few words each, and SIPp run with them.
//!
//! A scenario in SIPp's own XML repeats every header of every message; what a reader wants to see is who says what when.
//! The XML that a test ran with is left in `tests/output/sipp/`, to be run again by hand.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicU16, Ordering};

use futures_util::future::join_all;
use tokio::process::Command;

use crate::ports::{free_port, until_taken};
use crate::program::Program;

/// Seconds after which SIPp gives up on all its calls.
const LIMIT_SECONDS: u32 = 110;

/// What a call does, step by step.
#[derive(Clone, Debug)]
pub struct Scenario {
    name: String,
    steps: String,
    cseq: u32,
    /// Versions of our description of the session (`o=`).
    described: u32,
    /// CSeq of the last INVITE, for its ACK, PRACK and CANCEL.
    invited: u32,
    /// Steps so far, and which of them that INVITE was: SIPp counts back to find its branch.
    steps_so_far: u32,
    invited_at: u32,
    /// Variables that checks have used.
    checks: u32,
}

/// A description of the session to send along.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// None.
    None,
    /// A-law and telephone events, with this direction.
    Sound(&'a str),
    /// A-law on another port than so far, with `sendrecv`.
    SoundAt(&'a str),
    /// `Content-Type` and body, lines ended by `\n`.
    Other(&'a str, &'a str),
}

impl Scenario {
    /// Nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            steps: String::new(),
            cseq: 0,
            described: 0,
            invited: 0,
            steps_so_far: 0,
            invited_at: 0,
            checks: 0,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The INVITE that begins the call, with these header lines more.
    #[must_use]
    pub fn invite(self, headers: &[&str], body: Body<'_>) -> Self {
        self.begin("INVITE", headers, body)
    }

    /// A request outside of any call.
    #[must_use]
    pub fn begin(mut self, method: &str, headers: &[&str], body: Body<'_>) -> Self {
        self.cseq += 1;
        (self.invited, self.invited_at) = (self.cseq, self.steps_so_far);
        let identity = format!("P-Asserted-Identity: <sip:[from]@[local_ip]>\n{}", lines(headers));
        let uri = "sip:[service]@[remote_ip]:[remote_port]";
        self.request(method, uri, "[branch]", "", &identity, body);
        self
    }

    /// A request within the call.
    #[must_use]
    pub fn send(mut self, method: &str, headers: &[&str], body: Body<'_>) -> Self {
        self.cseq += 1;
        if method == "INVITE" {
            (self.invited, self.invited_at) = (self.cseq, self.steps_so_far);
        }
        self.request(method, "[next_url]", "[branch]", "[peer_tag_param]", &lines(headers), body);
        self
    }

    /// The CANCEL of the INVITE that is under way: the same branch, no tag (RFC 3261 section 9.1).
    #[must_use]
    pub fn cancel(mut self) -> Self {
        let cseq = std::mem::replace(&mut self.cseq, self.invited);
        let branch = self.branch_of_invite();
        self.request("CANCEL", "sip:[service]@[remote_ip]:[remote_port]", &branch, "", "", Body::None);
        self.cseq = cseq;
        self
    }

    /// The ACK of a 2xx.
    #[must_use]
    pub fn ack(mut self, body: Body<'_>) -> Self {
        let cseq = std::mem::replace(&mut self.cseq, self.invited);
        self.request("ACK", "[next_url]", "[branch]", "[peer_tag_param]", "", body);
        self.cseq = cseq;
        self
    }

    /// The ACK of a refusal: on the branch of what was refused (RFC 3261 section 17.1.1.3).
    #[must_use]
    pub fn ack_refusal(mut self) -> Self {
        let cseq = std::mem::replace(&mut self.cseq, self.invited);
        let branch = self.branch_of_invite();
        self.request("ACK", "sip:[service]@[remote_ip]:[remote_port]", &branch, "[peer_tag_param]", "", Body::None);
        self.cseq = cseq;
        self
    }

    /// Waits for the final answer; each of `holds` must match it (regular expressions), none of `lacks`.
    #[must_use]
    pub fn expect(self, status: u16, holds: &[&str], lacks: &[&str]) -> Self {
        self.provisional(100).provisional(180).answer(status, holds, lacks)
    }

    /// Waits for this answer and lets no provisional one come before.
    #[must_use]
    pub fn answer(mut self, status: u16, holds: &[&str], lacks: &[&str]) -> Self {
        let actions = self.actions(holds, lacks);
        self.step(&format!("<recv response=\"{status}\" rrs=\"true\">{actions}</recv>"));
        self
    }

    /// This answer may come.
    #[must_use]
    pub fn provisional(mut self, status: u16) -> Self {
        self.step(&format!("<recv response=\"{status}\" optional=\"true\"/>"));
        self
    }

    /// Waits for this request in the call, however often it comes before the next step; it is answered by nobody.
    #[must_use]
    pub fn may_come(mut self, method: &str) -> Self {
        self.step(&format!("<recv request=\"{method}\" optional=\"true\"/>"));
        self
    }

    /// Waits for a reliable provisional answer (RFC 3262) and acknowledges it.
    #[must_use]
    pub fn expect_reliable(mut self, status: u16) -> Self {
        self = self.provisional(100);
        self.step(&format!(
            "<recv response=\"{status}\" rrs=\"true\"><action>\n    <ereg regexp=\"RSeq: *([0-9]+)\" search_in=\"msg\" \
             check_it=\"true\" assign_to=\"whole,rseq\"/>\n    <ereg regexp=\"Require:.*100rel\" search_in=\"msg\" \
             check_it=\"true\" assign_to=\"whole\"/>\n    <log message=\"[$whole]\"/>\n  </action></recv>"
        ));
        self
    }

    /// The PRACK of the reliable answer that came last.
    #[must_use]
    pub fn prack(self) -> Self {
        let rack = format!("RAck: [$rseq] {} INVITE", self.invited);
        self.send("PRACK", &[&rack], Body::None)
    }

    /// Waits for a request of the other side; each of `holds` must match it.
    #[must_use]
    pub fn receive(mut self, method: &str, holds: &[&str]) -> Self {
        let actions = self.actions(holds, &[]);
        self.step(&format!("<recv request=\"{method}\">{actions}</recv>"));
        self
    }

    /// Waits for the INVITE of a call to SIPp and keeps what its answers must repeat.
    #[must_use]
    pub fn be_invited(mut self, holds: &[&str]) -> Self {
        let kept: String = ["Via", "CSeq"]
            .map(|name| {
                format!("\n    <ereg regexp=\".*\" search_in=\"hdr\" header=\"{name}:\" assign_to=\"{name}\"/>")
            })
            .concat();
        let actions = self.actions(holds, &[]).replace("</action>", "");
        let begin = if actions.is_empty() { "<action>" } else { &actions };
        self.step(&format!("<recv request=\"INVITE\" rrs=\"true\">{begin}{kept}\n  </action></recv>"));
        self
    }

    /// Answers the INVITE that was kept, with a tag of ours.
    #[must_use]
    pub fn reply_to_invite(mut self, status: &str, headers: &[&str], body: Body<'_>) -> Self {
        let lasts = "Via:[$Via]\n[last_From:]\n[last_Call-ID:]\nCSeq:[$CSeq]\nTo: <sip:sipp@[local_ip]>;tag=[pid]uas[call_number]\n";
        let accepts = status.starts_with(['1', '2']);
        let contact = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n";
        let contact = if accepts { contact } else { "" };
        let body = self.body(body);
        let message = format!("SIP/2.0 {status}\n{lasts}{contact}{}{body}", lines(headers));
        self.message(&message, false);
        self
    }

    /// Answers the request that came last.
    #[must_use]
    pub fn reply(mut self, status: &str, headers: &[&str], body: Body<'_>) -> Self {
        let lasts = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n";
        let contact = "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n";
        let body = self.body(body);
        let message = format!("SIP/2.0 {status}\n{lasts}{contact}{}{body}", lines(headers));
        self.message(&message, false);
        self
    }

    /// Waits.
    #[must_use]
    pub fn pause(mut self, ms: u32) -> Self {
        self.step(&format!("<pause milliseconds=\"{ms}\"/>"));
        self
    }

    /// Keys digits by telephone events. SIPp 3.6 sends payload type 96 whatever was agreed, so 96 is what we offer.
    #[must_use]
    pub fn key(mut self, keys: &str) -> Self {
        self.step(&format!("<nop><action><exec play_dtmf=\"{keys}\"/></action></nop>"));
        self
    }

    /// Hangs up.
    #[must_use]
    pub fn bye(self) -> Self {
        self.send("BYE", &[], Body::None).expect(200, &[], &[])
    }

    /// A whole call with sound: INVITE, 200, ACK.
    #[must_use]
    pub fn call(self) -> Self {
        self.invite(&[], Body::Sound("sendrecv")).expect(200, &["m=audio [1-9]"], &[]).ack(Body::None)
    }

    fn request(&mut self, method: &str, uri: &str, branch: &str, to_tag: &str, headers: &str, body: Body<'_>) {
        let cseq = self.cseq;
        let contact = if matches!(method, "ACK" | "BYE" | "CANCEL" | "PRACK") {
            ""
        } else {
            "Contact: <sip:sipp@[local_ip]:[local_port];transport=[transport]>\n"
        };
        // What the way back taught us goes along within the call.
        let routes = if to_tag.is_empty() { "" } else { "[routes]\n" };
        let body = self.body(body);
        let message = format!(
            "{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch={branch}\n{routes}\
             Max-Forwards: 70\nFrom: \"SIPp\" <sip:[from]@[local_ip]:[local_port]>;tag=[pid]-[call_number]\n\
             To: <sip:[service]@[remote_ip]:[remote_port]>{to_tag}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
             {contact}{headers}{body}"
        );
        self.message(&message, method != "ACK");
    }

    fn message(&mut self, message: &str, again: bool) {
        let retransmit = if again { " retrans=\"500\"" } else { "" };
        self.step(&format!("<send{retransmit}><![CDATA[\n\n{message}\n  ]]></send>"));
    }

    fn step(&mut self, xml: &str) {
        self.steps_so_far += 1;
        let _ = writeln!(self.steps, "  {xml}");
    }

    fn branch_of_invite(&self) -> String {
        format!("[branch-{}]", self.steps_so_far - self.invited_at)
    }

    /// `Content-Type`, `Content-Length`, an empty line and the body.
    fn body(&mut self, body: Body<'_>) -> String {
        let (port, direction) = match body {
            Body::None => return "Content-Length: 0\n".to_owned(),
            Body::Other(kind, text) => return format!("Content-Type: {kind}\nContent-Length: [len]\n\n{text}"),
            Body::Sound(direction) => ("[media_port]", direction),
            Body::SoundAt(port) => (port, "sendrecv"),
        };
        self.described += 1;
        let version = self.described;
        format!(
            "Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=sipp 1 {version} IN IP[local_ip_type] [local_ip]\n\
             s=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\nm=audio {port} RTP/AVP 8 96\na=rtpmap:8 PCMA/8000\n\
             a=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15\na={direction}\n"
        )
    }

    fn actions(&mut self, holds: &[&str], lacks: &[&str]) -> String {
        if holds.is_empty() && lacks.is_empty() {
            return String::new();
        }
        let mut actions = String::from("<action>");
        for (pattern, check) in
            holds.iter().map(|one| (one, "check_it")).chain(lacks.iter().map(|one| (one, "check_it_inverse")))
        {
            self.checks += 1;
            let name = format!("check{}", self.checks);
            // SIPp warns of a variable that nobody reads.
            let _ = write!(
                actions,
                "\n    <ereg regexp=\"{pattern}\" search_in=\"msg\" {check}=\"true\" assign_to=\"{name}\"/>\n    \
                 <log message=\"[${name}]\"/>"
            );
        }
        actions + "\n  </action>"
    }

    fn xml(&self) -> String {
        let Self { name, steps, .. } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<!DOCTYPE scenario SYSTEM \"sipp.dtd\">\n\
             <scenario name=\"{name}\">\n{steps}</scenario>\n"
        )
    }
}

fn lines(headers: &[&str]) -> String {
    headers.iter().map(|header| format!("{header}\n")).collect()
}

/// How SIPp is run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whom it calls.
    pub server: SocketAddr,
    /// Over `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// Where it takes TLS, and the file of its certificate.
    pub tls: Option<(SocketAddr, PathBuf)>,
    /// The number it says it has.
    pub from: &'static str,
    /// Calls, one after the other.
    pub calls: u32,
    /// Whom it asks for.
    pub service: &'static str,
}

impl Run {
    /// One call by Bernd over UDP.
    #[must_use]
    pub fn of(server: SocketAddr) -> Self {
        Self { server, transport: "udp", tls: None, from: crate::mixer::BERND, calls: 1, service: "88" }
    }

    /// The same over TCP.
    #[must_use]
    pub fn over_tcp(self) -> Self {
        Self { transport: "tcp", ..self }
    }

    /// Runs the scenario. Every call must go as it says.
    pub async fn expect(&self, scenario: &Scenario) {
        self.attempt(scenario).await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// The same with a file of `tests/interop/` that is no UTF-8, or says what [`Scenario`] has no words for.
    pub async fn expect_file(&self, file: &str, name: &str) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(file);
        self.attempt_file(&file, name).await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Runs all scenarios beside each other, over UDP, TCP and, where the server takes it, TLS; tells of every one that went
    /// wrong.
    pub async fn expect_over_each(&self, scenarios: &[Scenario]) {
        let transports = ["udp", "tcp", "tls"].into_iter().filter(|name| *name != "tls" || self.tls.is_some());
        let runs: Vec<_> = transports.map(|transport| Self { transport, ..self.clone() }).collect();
        let all = scenarios.iter().flat_map(|scenario| runs.iter().map(|run| run.attempt(scenario)));
        let wrong: Vec<_> = join_all(all).await.into_iter().filter_map(Result::err).collect();
        assert!(
            wrong.is_empty(),
            "{} of {} went wrong\n{}",
            wrong.len(),
            runs.len() * scenarios.len(),
            wrong.join("\n")
        );
    }

    /// Lets SIPp wait for a call; answers where, and the program, which ends well when the call went as the scenario says.
    pub async fn await_call(&self, scenario: &Scenario) -> (Program, SocketAddr) {
        let file = self.write(scenario);
        let here = SocketAddr::new(self.server.ip(), free_port(self.server.ip()));
        let (ip, port) = (here.ip().to_string(), here.port().to_string());
        let mut command = Command::new("sipp");
        command.arg("-sf").arg(file).args(["-t", if self.transport == "tcp" { "t1" } else { "u1" }]);
        command.args(["-i", &ip, "-mi", &ip, "-p", &port, "-mp", &media_port().to_string(), "-m", "1", "-nostdin"]);
        command.args(["-timeout", "60", "-timeout_error", "-trace_err", "-error_file", "/dev/stderr"]);
        let program = Program::start("SIPp", &mut command);
        until_taken(here.port(), self.transport == "udp").await;
        (program, here)
    }

    fn write(&self, scenario: &Scenario) -> PathBuf {
        let stem = format!("{}-{}", scenario.name, self.transport).replace(|c: char| !c.is_alphanumeric(), "-");
        let file = output_folder().join(stem + ".xml");
        // The program between puts what SIPp sends over TCP into TLS; the words must say so.
        let xml = if self.transport == "tls" { scenario.xml().replace("[transport]", "TLS") } else { scenario.xml() };
        std::fs::write(&file, xml).expect("tests/output can be written");
        file
    }

    async fn attempt(&self, scenario: &Scenario) -> Result<(), String> {
        self.attempt_file(&self.write(scenario), &scenario.name).await
    }

    async fn attempt_file(&self, file: &Path, name: &str) -> Result<(), String> {
        let (output, errors) = self.run(file).await;
        let (status, over) = (output.status, self.transport.to_uppercase());
        if !status.success() {
            return Err(format!("--- SIPp, {name} over {over}: {status}\n{errors}"));
        }
        println!("figure: SIPp, {name}, {over}: {} of {} as expected", self.calls, self.calls);
        Ok(())
    }

    async fn run(&self, file: &Path) -> (Output, String) {
        let work = tempfile::tempdir().expect("a folder");
        let own = self.server.ip();
        let tunnel = self.tls_tunnel().await;
        let server = tunnel.as_ref().map_or(self.server, |(_, here)| *here);
        let mut command = Command::new("sipp");
        command.current_dir(work.path()).arg("-sf").arg(file).arg(server.to_string());
        let transport = if self.transport == "udp" { "u1" } else { "t1" };
        let (port, media) = (free_port(own).to_string(), media_port().to_string());
        command.args(["-t", transport, "-i", &own.to_string(), "-mi", &own.to_string(), "-p", &port, "-mp", &media]);
        command.args(["-s", self.service, "-key", "from", self.from, "-m", &self.calls.to_string(), "-l", "1"]);
        command.args([
            "-nostdin",
            "-timeout",
            &LIMIT_SECONDS.to_string(),
            "-timeout_error",
            "-trace_err",
            "-trace_msg",
        ]);
        let output = command.kill_on_drop(true).output().await.expect("SIPp");
        let logs = std::fs::read_dir(work.path()).expect("its folder");
        let logs: String = logs.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok()).collect();
        (output, logs)
    }
}

impl Run {
    /// The distribution's SIPp knows no TLS: socat carries its TCP over TLS, and looks at the certificate.
    async fn tls_tunnel(&self) -> Option<(Program, SocketAddr)> {
        let (server, certificate) = self.tls.as_ref().filter(|_| self.transport == "tls")?;
        let here = SocketAddr::new(self.server.ip(), free_port(self.server.ip()));
        let mut command = Command::new("socat");
        command.arg(format!("TCP-LISTEN:{},bind={},fork", here.port(), here.ip()));
        command.arg(format!("OPENSSL:{server},verify=1,cafile={}", certificate.display()));
        let program = Program::start("socat", &mut command);
        until_taken(here.port(), false).await;
        Some((program, here))
    }
}

/// A port for sound: SIPp takes those for pictures too, two and four further on. Below the ports that sockets get by chance.
fn media_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    6_000 + NEXT.fetch_add(8, Ordering::Relaxed) % 12_000
}

fn output_folder() -> PathBuf {
    let named = std::env::var_os("DIALROOM_TEST_OUTPUT").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("output")).join("sipp");
    std::fs::create_dir_all(&folder).expect("tests/output can be written");
    folder
}
