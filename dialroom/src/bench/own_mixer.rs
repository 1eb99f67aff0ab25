//! A mixer of our own to be measured: settings of its own, and a booking for each room, handed over as the connector would.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chrono::TimeDelta;
use dialroom_booking::{
    BookingId, DialInWindow, E164, HandedCaller, HandedOver, HandedPin, HandedPins, HandedWindow, Language,
    OccurrenceState, Pin, RoomNumber,
};
use dialroom_host::Clock;

use super::child::Server;
use super::folder::Folder;
use super::ports::free_address;
use crate::http;

/// What is dialled before the room's number.
pub(super) const NUMBER: &str = "88";
/// Numbers of the company; who calls a room calls from this number with the room's behind it.
pub(super) const OWN_NUMBERS: &str = "+493023125";
/// Nobody keys it: everybody is known by his number.
const PIN: &str = "482915";
/// Time to be ready.
const READY: Duration = Duration::from_secs(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// The line is open for as long as a bench may take.
const OPEN_HOURS: i64 = 3;

/// A mixer that runs, with rooms booked. Ends when dropped.
#[derive(Debug)]
pub(super) struct OwnMixer {
    pub(super) server: Server,
    pub(super) sip: SocketAddr,
    control: SocketAddr,
    folder: Folder,
}

impl OwnMixer {
    /// Starts it on this core and waits until it takes calls; with `shared_port` it has one port for all sound.
    ///
    /// # Errors
    /// When it does not start; the end of its log is told.
    pub(super) async fn start(core: Option<usize>, shared_port: bool) -> anyhow::Result<Self> {
        let folder = Folder::make()?;
        let (sip, control) = (free_address()?, free_address()?);
        let settings = folder.path().join("dialroom.toml");
        fs::write(&settings, settings_text(sip, control, shared_port)).context("the settings cannot be written")?;
        let log = folder.make_log()?;
        let server = Server::start(core, |command| {
            command.arg("mixer").arg("--settings").arg(&settings).stdout(Stdio::null()).stderr(log);
        })?;
        let mut mixer = Self { server, sip, control, folder };
        mixer.until_ready().await?;
        Ok(mixer)
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        let (client, url) = (http::client()?, format!("http://{}/readyz", self.control));
        let ready = async {
            while self.server.lives() {
                if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                    return true;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
            false
        };
        if tokio::time::timeout(READY, ready).await.unwrap_or(false) {
            return Ok(());
        }
        bail!("the mixer does not start: {}", self.folder.log_end());
    }

    /// Books so many rooms, numbered from the first on, all open now.
    ///
    /// # Errors
    /// When the mixer refuses one.
    pub(super) async fn book(&self, first: usize, rooms: usize) -> anyhow::Result<()> {
        let client = http::client()?;
        let token = fs::read_to_string(self.folder.path().join("handoff.token")).context("the mixer made no token")?;
        for number in first..first + rooms {
            let booking = booking(number)?;
            let url = format!("http://{}/v1/bookings/{}", self.control, booking.id);
            let answer = client.put(url).bearer_auth(token.trim()).json(&booking).send().await;
            let answer = answer.map_err(reqwest::Error::without_url).context("the mixer does not answer")?;
            if !answer.status().is_success() {
                bail!("the mixer refuses room {number}: {}", answer.status());
            }
        }
        Ok(())
    }
}

fn settings_text(sip: SocketAddr, control: SocketAddr, shared_port: bool) -> String {
    format!(
        "[store]\ndata = \".\"\n\n[dial_in]\nnumber = \"{NUMBER}\"\n\n[conference]\nmax_participants = 5000\n\
         announce = \"none\"\n\n[account]\nmax_participants = 5000\n\n[handoff]\nlisten = \"{control}\"\n\n\
         [directory]\nhome_region = \"DE\"\n\n[sip]\nlisten = [\"{sip}\"]\n\n\
         [[trunk]]\nname = \"bench\"\naddresses = [\"{}\"]\nown_numbers = [\"{OWN_NUMBERS}\"]\n\
         shared_media_port = {shared_port}\n",
        sip.ip()
    )
}

fn booking(number: usize) -> anyhow::Result<HandedOver> {
    let begin = Clock::real().wall();
    let window =
        DialInWindow::new(begin, begin + TimeDelta::hours(OPEN_HOURS), TimeDelta::minutes(10), TimeDelta::minutes(10))?;
    let caller = HandedCaller {
        person: format!("room-{number}@bench.example"),
        name: None,
        numbers: vec![E164::international(&format!("{OWN_NUMBERS}{number}"))?],
        moderator: false,
        declined: false,
    };
    Ok(HandedOver {
        id: BookingId::parse(&format!("bench{number}"))?,
        revision: 1,
        uid: format!("bench{number}"),
        room: RoomNumber::parse(&number.to_string())?,
        pins: HandedPins { participant: Some(HandedPin(Pin::parse(PIN)?)), moderator: None },
        title: format!("Bench {number}"),
        account: String::new(),
        language: Language::En,
        time_zone: chrono_tz::Europe::Berlin,
        windows: vec![HandedWindow { original_start: begin, window, state: OccurrenceState::Scheduled }],
        callers: vec![caller],
        permanent: false,
    })
}
