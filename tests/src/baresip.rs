//! baresip as a caller: without a screen or a sound card, speaking a tone from a file and recording what it hears.
//!
//! It refuses a machine that has only loopback, and sends sound from whichever address is nearest: it runs in
//! [`crate::lab::Far`].

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use crate::lab::Far;
use crate::program::Program;
use crate::sound::read_wav;

/// Where Debian keeps its modules.
const MODULES: &str = "/usr/lib/baresip/modules";
/// How long the file with its voice lasts; longer than any call.
const VOICE_SECONDS: u32 = 40;

/// How it calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its number, behind `sip:` in From.
    pub number: String,
    /// Its address.
    pub local: IpAddr,
    /// One codec as baresip names it: `PCMA`, `PCMU`, `G722/16000/1`, `opus/48000/2`.
    pub codec: &'static str,
    /// The pitch it speaks.
    pub hz: u32,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'static str,
    /// `mediaenc` of the account: `srtp`, `srtp-mand`; `None` in clear.
    pub encryption: Option<&'static str>,
    /// Whose certificates are believed.
    pub authorities: Option<PathBuf>,
    /// Its own certificate and key in one file.
    pub certificate: Option<PathBuf>,
    /// How long it stays before it hangs up.
    pub stay: Duration,
}

/// A baresip in a call.
#[derive(Debug)]
pub struct Baresip {
    program: Program,
    folder: tempfile::TempDir,
}

impl Caller {
    /// Dials a number at that server.
    #[must_use]
    pub fn dial(&self, far: &Far, number: &str, server: SocketAddr) -> Baresip {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
        self.write_voice(&folder.path().join("voice.wav"));
        std::fs::create_dir(folder.path().join("heard")).expect("a folder");
        write("config", &self.config(folder.path()));
        write("contacts", "");
        let Self { number: own, local, codec, transport, .. } = self;
        let encryption = self.encryption.map(|name| format!(";mediaenc={name}")).unwrap_or_default();
        write(
            "accounts",
            &format!("<sip:{own}@{local};transport={transport}>;regint=0;audio_codecs={codec}{encryption}\n"),
        );
        let mut command = far.command("baresip");
        command.args(["-4", "-n", &local.to_string(), "-t", &self.stay.as_secs().to_string(), "-f"]).arg(folder.path());
        command.args(["-e", &format!("/dial sip:{number}@{server}")]);
        Baresip { program: Program::start("baresip", &mut command), folder }
    }

    /// Sampling rate and channels that the codec's encoder wants of its source.
    fn format(&self) -> (u32, u32) {
        match self.codec.split('/').next() {
            Some("opus") => (48_000, 2),
            Some("G722") => (16_000, 1),
            _ => (8_000, 1),
        }
    }

    fn config(&self, folder: &Path) -> String {
        static CALLERS: AtomicU16 = AtomicU16::new(0);
        let (rate, _) = self.format();
        let number = CALLERS.fetch_add(1, Ordering::Relaxed);
        let port = 5_200 + 4 * number;
        let mut text = format!(
            "sip_listen {}:{port}\naudio_source aufile,{}\naudio_player aufile,/dev/null\nausrc_srate {rate}\n\
             rtp_ports {}-{}\nrtp_stats yes\nmodule_path {MODULES}\nsnd_path {}\n",
            self.local,
            folder.join("voice.wav").display(),
            30_000 + number * 20,
            30_019 + number * 20,
            folder.join("heard").display(),
        );
        if let Some(file) = &self.authorities {
            let _ = writeln!(text, "sip_cafile {}", file.display());
        }
        if let Some(file) = &self.certificate {
            let _ = writeln!(text, "sip_certificate {}", file.display());
        }
        for module in ["g711", "g722", "opus", "aufile", "sndfile", "srtp"] {
            let _ = writeln!(text, "module {module}.so");
        }
        for module in ["account", "contact", "menu"] {
            let _ = writeln!(text, "module_app {module}.so");
        }
        text
    }

    fn write_voice(&self, file: &Path) {
        let (rate, channels) = self.format();
        let step = TAU * f64::from(self.hz) / f64::from(rate);
        let samples = (0..rate * VOICE_SECONDS).map(|n| ((f64::from(n) * step).sin() * 8_230.0) as i16);
        let data: Vec<u8> =
            samples.flat_map(|sample| std::iter::repeat_n(sample.to_le_bytes(), channels as usize)).flatten().collect();
        let mut wav = Vec::with_capacity(44 + data.len());
        wav.extend(b"RIFF");
        wav.extend((36 + data.len() as u32).to_le_bytes());
        wav.extend(b"WAVEfmt ");
        wav.extend(16u32.to_le_bytes());
        wav.extend(1u16.to_le_bytes());
        wav.extend((channels as u16).to_le_bytes());
        wav.extend(rate.to_le_bytes());
        wav.extend((rate * channels * 2).to_le_bytes());
        wav.extend((channels as u16 * 2).to_le_bytes());
        wav.extend(16u16.to_le_bytes());
        wav.extend(b"data");
        wav.extend((data.len() as u32).to_le_bytes());
        wav.extend(data);
        std::fs::write(file, wav).expect("a file");
    }
}

impl Baresip {
    /// Waits until it has hung up; answers what it said and the recording of all that it heard, with its sampling rate.
    pub async fn end(mut self, limit: Duration) -> (String, u32, Vec<i16>) {
        let (_, words) = self.program.wait(limit).await;
        let heard = std::fs::read_dir(self.folder.path().join("heard")).expect("a folder");
        let mut files = heard.filter_map(|entry| Some(entry.ok()?.path()));
        let recording = files.find(|file| file.to_string_lossy().ends_with("-dec.wav"));
        let (rate, samples) = recording.map_or((8_000, Vec::new()), |file| read_wav(&file));
        (words, rate, samples)
    }
}
