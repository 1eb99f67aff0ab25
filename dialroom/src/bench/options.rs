//! What `dialroom bench` is asked for, and the bounds within which it can be done.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, bail};
use mixer_service::sip::Codec;

use super::process;
use super::sound::{Keys, Seating};

/// Calls of one bench; several benches make more.
pub(super) const LEGS_MAX: usize = 5_000;
/// Talkers of one room: their beginnings must lie apart.
const TALKERS_MAX: usize = 8;
const SECONDS_MAX: u32 = 3_600;
const RAMP_MAX: u32 = 2_000;
const THREADS_MAX: usize = 64;
/// Packets that the AudioBridge waits for at most (`MAX_PREBUFFERING` of Janus 1.1).
const PREBUFFER_MAX: u32 = 50;
/// Runs of Janus in one bench.
const JANUS_RUNS_MAX: usize = 4;
/// Legs of a room where nothing else is asked for.
const ROOM_OF: usize = 5;

/// Measure how many calls a conference server carries, and how they sound.
///
/// Makes calls, lets some of each room talk and all of them listen, and prints processor time, memory, loss, jitter and
/// mouth-to-ear delay beside two bare UDP echoes on the same core. Without --server it starts a mixer of its own for that.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// SIP server to call, over UDP; without it a mixer is started on this machine
    #[arg(long, value_name = "IP:PORT")]
    pub(super) server: Option<SocketAddr>,
    /// Calls
    #[arg(long, default_value_t = 300)]
    pub(super) legs: usize,
    /// Rooms that they meet in; by default one for each five of them
    #[arg(long)]
    rooms: Option<usize>,
    /// How many of each room talk; the others send silence
    #[arg(long, default_value_t = 3)]
    talkers: usize,
    /// Codec of all calls
    #[arg(long, value_enum, default_value_t = CodecName::Pcma)]
    codec: CodecName,
    /// Seconds to measure, after all calls are up
    #[arg(long, default_value_t = 10)]
    pub(super) seconds: u32,
    /// Calls begun a second
    #[arg(long, default_value_t = 100)]
    pub(super) ramp: u32,
    /// Seconds from the last answer and key to the beginning of what is measured
    #[arg(long, default_value_t = 4)]
    pub(super) settle: u32,
    /// Number to dial; {room} and {leg} stand for numbers from --first-room, and from 1
    #[arg(long, value_name = "PATTERN", requires = "server")]
    number: Option<String>,
    /// Number to call from, with the same words; without it calls are anonymous
    #[arg(long, value_name = "PATTERN", requires = "server")]
    from: Option<String>,
    /// Keys to press once answered, as telephone events, with the same words; a comma waits a second
    #[arg(long, value_name = "PATTERN")]
    digits: Option<String>,
    /// Number of the first room in such words
    #[arg(long, default_value_t = 1001)]
    first_room: usize,
    /// Our address; by default the one that reaches the server
    #[arg(long, value_name = "IP")]
    local: Option<IpAddr>,
    /// Process of the server, to read its processor time and memory from /proc
    #[arg(long, requires = "server")]
    pid: Option<u32>,
    /// Core on which the server is kept, and the echoes
    #[arg(long, value_name = "CORE")]
    server_cpu: Option<usize>,
    /// Cores on which the calls are made
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    cpus: Vec<usize>,
    /// Let the mixer take all sound on one port, as the setting shared_media_port does
    #[arg(long, conflicts_with = "server")]
    shared_port: bool,
    /// Measure the AudioBridge of Janus too, where the program janus is installed
    #[arg(long)]
    janus: bool,
    /// Packets that it waits for before a participant is heard; several measure it once with each
    #[arg(long, value_name = "PACKETS", value_delimiter = ',', default_value = "6", requires = "janus")]
    janus_prebuffer: Vec<u32>,
    /// Leave the echoes out
    #[arg(long)]
    no_echo: bool,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// `--codec`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum CodecName {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

/// All of it, within its bounds.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seating: Seating,
    pub(super) codec: Codec,
    pub(super) seconds: u32,
    pub(super) ramp: u32,
    pub(super) settle: u32,
    pub(super) server: Option<Server>,
    pub(super) digits: Option<String>,
    pub(super) first_room: usize,
    /// Whether a mixer of ours has one port for all sound.
    pub(super) shared_port: bool,
    /// A run of Janus for each, with so many packets to wait for.
    pub(super) janus_prebuffers: Vec<u32>,
    /// Whether the echoes are measured too.
    pub(super) echoes: bool,
    pub(super) cores: Cores,
}

/// A server that runs already.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) local: IpAddr,
    pub(super) pid: Option<u32>,
    pub(super) number: String,
    pub(super) from: Option<String>,
}

/// Who runs where; `None`: wherever the system likes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores {
    pub(super) server: Option<usize>,
    pub(super) calls: Option<Vec<usize>>,
}

impl BenchArgs {
    /// Reads the options.
    ///
    /// # Errors
    /// Names the option, its value and what to do.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let rooms = self.rooms.unwrap_or_else(|| self.legs.div_ceil(ROOM_OF));
        within("--legs", self.legs, 1, LEGS_MAX, "run several at once for more")?;
        within("--rooms", rooms, 1, self.legs, "a room has a call at least")?;
        within("--talkers", self.talkers, 0, TALKERS_MAX, "their tones must not begin together")?;
        within("--seconds", self.seconds, 1, SECONDS_MAX, "run it again for longer")?;
        within("--settle", self.settle, 0, SECONDS_MAX, "servers settle sooner")?;
        within("--ramp", self.ramp, 1, RAMP_MAX, "more are no telephone system's")?;
        self.keys(0)?;
        let server = self.server.map(|address| self.running_server(address)).transpose()?;
        let local = self.janus || server.as_ref().is_none_or(|server| server.pid.is_some());
        Ok(Plan {
            seating: Seating { legs: self.legs, rooms, talkers: self.talkers, echo: false },
            codec: match self.codec {
                CodecName::Pcma => Codec::Pcma,
                CodecName::Pcmu => Codec::Pcmu,
                CodecName::G722 => Codec::G722,
                CodecName::Opus => Codec::Opus,
            },
            seconds: self.seconds,
            ramp: self.ramp,
            settle: self.settle,
            server,
            digits: self.digits.clone(),
            first_room: self.first_room,
            shared_port: self.shared_port,
            janus_prebuffers: if self.janus { self.janus_prebuffers()? } else { Vec::new() },
            echoes: local && !self.no_echo,
            cores: self.cores(local)?,
        })
    }

    fn running_server(&self, address: SocketAddr) -> anyhow::Result<Server> {
        let number =
            self.number.clone().context("--number: say what to dial at --server, as in --number '60{room}'")?;
        Ok(Server {
            address,
            local: self.local.map_or_else(|| reaches(address), Ok)?,
            pid: self.pid,
            number,
            from: self.from.clone(),
        })
    }

    fn janus_prebuffers(&self) -> anyhow::Result<Vec<u32>> {
        let codec = match self.codec {
            CodecName::Pcma | CodecName::Pcmu => None,
            CodecName::G722 => Some("g722"),
            CodecName::Opus => Some("opus"),
        };
        if let Some(codec) = codec {
            bail!("--codec {codec}: Janus is measured with pcma or pcmu; take one of them, or leave --janus out");
        }
        let all = &self.janus_prebuffer;
        within("--janus-prebuffer: number of values", all.len(), 1, JANUS_RUNS_MAX, "each is a run of its own")?;
        for packets in all {
            within("--janus-prebuffer", *packets, 1, PREBUFFER_MAX, "the AudioBridge waits for no more")?;
        }
        Ok(all.clone())
    }

    /// A server on this machine has a core of its own where there are two.
    fn cores(&self, local: bool) -> anyhow::Result<Cores> {
        let all = process::own_cores()?;
        if let Some(missing) = self.server_cpu.iter().chain(&self.cpus).find(|core| !all.contains(core)) {
            bail!("--server-cpu, --cpus: core {missing} is not ours; there are {all:?}");
        }
        within("--cpus", self.cpus.len(), 0, THREADS_MAX, "one thread a core is started")?;
        let server = self.server_cpu.or_else(|| all.first().copied().filter(|_| local && all.len() > 1));
        let others = || all.iter().copied().filter(|core| Some(*core) != server).collect::<Vec<_>>();
        let calls = if self.cpus.is_empty() { server.map(|_| others()) } else { Some(self.cpus.clone()) };
        Ok(Cores { server, calls: calls.filter(|cores| !cores.is_empty()) })
    }

    fn keys(&self, leg: usize) -> anyhow::Result<Keys> {
        keys(self.digits.as_deref(), leg, leg, self.first_room)
    }
}

impl Plan {
    /// The keys that a leg presses.
    ///
    /// # Errors
    /// When one of them is none.
    pub(super) fn keys(&self, leg: usize) -> anyhow::Result<Keys> {
        keys(self.digits.as_deref(), leg, self.seating.room(leg), self.first_room)
    }

    /// A pattern for one leg.
    pub(super) fn filled(&self, pattern: &str, leg: usize) -> String {
        filled(pattern, leg, self.seating.room(leg), self.first_room)
    }

    /// Threads that make the sound.
    pub(super) fn sound_threads(&self) -> usize {
        self.cores.calls.as_ref().map_or(1, Vec::len).min(self.seating.rooms)
    }
}

fn keys(pattern: Option<&str>, leg: usize, room: usize, first_room: usize) -> anyhow::Result<Keys> {
    pattern.map_or_else(|| Ok(Keys::default()), |pattern| filled(pattern, leg, room, first_room).parse())
}

fn filled(pattern: &str, leg: usize, room: usize, first_room: usize) -> String {
    pattern.replace("{room}", &(first_room + room).to_string()).replace("{leg}", &(leg + 1).to_string())
}

fn within<T: PartialOrd + std::fmt::Display>(
    option: &str,
    value: T,
    least: T,
    most: T,
    remedy: &str,
) -> anyhow::Result<()> {
    if value < least || value > most {
        bail!("{option} {value}: it takes {least} to {most}; {remedy}");
    }
    Ok(())
}

/// The address of ours from which a packet to there would go.
fn reaches(there: SocketAddr) -> anyhow::Result<IpAddr> {
    let any: SocketAddr = if there.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any).context("no socket")?;
    let connected = socket.connect(there).and_then(|()| socket.local_addr());
    Ok(connected.with_context(|| format!("--server {there}: no way leads there"))?.ip())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: BenchArgs,
    }

    fn plan(line: &str) -> anyhow::Result<Plan> {
        Line::try_parse_from(["bench"].into_iter().chain(line.split_whitespace()))?.arguments.plan()
    }

    #[test]
    fn alone_it_needs_nothing_and_rooms_are_of_five() {
        let plan = plan("--legs 12").unwrap();
        assert_eq!((plan.seating.rooms, plan.seating.talkers, plan.echoes), (3, 3, true));
        assert!(plan.server.is_none());
    }

    #[test]
    fn what_is_beyond_a_bound_names_option_value_and_remedy() {
        for (line, words) in [
            ("--legs 5001", ["--legs 5001", "1 to 5000", "several"]),
            ("--legs 0", ["--legs 0", "1 to 5000", "several"]),
            ("--legs 4 --rooms 5", ["--rooms 5", "1 to 4", "a room has a call"]),
            ("--talkers 9", ["--talkers 9", "0 to 8", "together"]),
            ("--seconds 3601", ["--seconds 3601", "1 to 3600", "again"]),
            ("--ramp 0", ["--ramp 0", "1 to 2000", "telephone system"]),
            ("--digits 12x", ["--digits 12x", "0 to 9", "comma"]),
            ("--server 127.0.0.1:5060", ["--number", "--server", "60{room}"]),
            ("--server-cpu 9999", ["--server-cpu", "9999", "there are"]),
            ("--janus --codec g722", ["--codec g722", "pcma or pcmu", "--janus"]),
            ("--janus --janus-prebuffer 51", ["--janus-prebuffer 51", "1 to 50", "no more"]),
            ("--janus --janus-prebuffer 1,2,3,4,5", ["--janus-prebuffer", "1 to 4", "a run of its own"]),
            ("--janus-prebuffer 1", ["--janus", "required", "--janus-prebuffer"]),
        ] {
            let error = plan(line).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{line}: {error}");
        }
    }

    #[test]
    fn janus_is_measured_once_for_each_prebuffer_and_only_when_asked_for() {
        let prebuffers = |line| plan(line).unwrap().janus_prebuffers;
        assert!(prebuffers("").is_empty());
        assert_eq!((prebuffers("--janus"), prebuffers("--janus --janus-prebuffer 6,1")), (vec![6], vec![6, 1]));
        let beside = plan("--janus --server 127.0.0.1:5060 --number 60").unwrap();
        assert!(beside.echoes, "the processor time of Janus is known");
    }

    #[test]
    fn words_stand_for_room_and_leg() {
        let line = "--server 127.0.0.1:5060 --number 60{room} --from +4930{leg} --digits {room}# --legs 4 --rooms 2 \
                    --first-room 10";
        let plan = plan(line).unwrap();
        let server = plan.server.clone().unwrap();
        assert_eq!(
            (plan.filled(&server.number, 3), plan.filled(&server.from.unwrap(), 3)),
            ("6011".into(), "+49304".into())
        );
        assert_eq!(plan.keys(2).unwrap(), "10#".parse().unwrap());
        assert_eq!(server.local, IpAddr::from([127, 0, 0, 1]));
        assert!(!plan.echoes, "its processor time is not known");
    }
}
