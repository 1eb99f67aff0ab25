//! From the calendar to the sound, with the real programs: book, get the invitation, dial in, be let in and heard.
//!
//! Voices are tones of different pitch; listening is measuring pitches.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use dialroom_host::Clock;
use dialroom_tests::house::{House, SOON, eventually, keys, meeting, p99, time};
use serde_json::{Value, json};

const ANNA: &str = "+493023125001";
const BERND: &str = "+493023125002";
const CLARA: &str = "+493023125003";
const DAVID: &str = "+493023125004";
const EVA: &str = "+447700900123";
const EVERYBODY: [&str; 3] = ["bernd@contoso.example", "clara@contoso.example", "eva@fabrikam.example"];

/// A meeting that starts in five minutes: its line is open.
async fn open_meeting(house: &House, subject: &str) -> (Value, Value) {
    let start = house.now().await + TimeDelta::minutes(5);
    let event = house.book(meeting(subject, start, 30, &EVERYBODY)).await;
    (event, house.handed_over(subject).await)
}

fn mail_to<'a>(mails: &'a [Value], address: &str) -> &'a Value {
    let to = |mail: &&Value| mail["headers"]["To"].as_str().is_some_and(|to| to.contains(address));
    mails.iter().find(to).unwrap_or_else(|| panic!("no mail to {address}"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn instant(value: &Value) -> DateTime<Utc> {
    text(value).parse().expect("RFC 3339")
}

fn seconds(span: TimeDelta) -> f64 {
    span.as_seconds_f64()
}

/// Milliseconds from the end of the words to the begin of a steady tone, in a recording of 8 kHz and 16 bits.
fn pause_before_tone_ms(recording: &std::path::Path, hz: u32) -> u64 {
    const BLOCK_MS: u64 = 20;
    let samples = samples_of(recording);
    let blocks: Vec<(f64, f64)> =
        samples.chunks_exact(160).map(|block| (energy(block), energy_at(block, hz))).collect();
    let is_tone = |(all, tone): &(f64, f64)| *all > 1e5 && *tone > 0.8 * all;
    // Five blocks in a row: no syllable is so pure for so long.
    let tone = blocks.windows(5).position(|five| five.iter().all(is_tone)).expect("the tone is heard");
    // The block before it may hold the tone's first half.
    let last_word =
        blocks[..tone.saturating_sub(1)].iter().rposition(|(all, _)| *all > 1e4).map_or(0, |block| block + 1);
    (tone - last_word.min(tone)) as u64 * BLOCK_MS
}

/// Mean square of every 20 ms of a recording of 8 kHz and 16 bits.
fn loudness_of_blocks(recording: &std::path::Path) -> Vec<f64> {
    samples_of(recording).chunks_exact(160).map(energy).collect()
}

fn samples_of(recording: &std::path::Path) -> Vec<f64> {
    let bytes = std::fs::read(recording).expect("a recording");
    bytes[44..].chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]]))).collect()
}

/// Lengths of all that was spoken, tones left out: a sentence lasts a second or longer, 700 ms of silence end it.
fn sentences_ms(loudness: &[f64]) -> Vec<usize> {
    let (mut sentences, mut begun, mut silent) = (Vec::new(), None, 0);
    for (block, mean_square) in loudness.iter().chain(std::iter::repeat_n(&0.0, 40)).enumerate() {
        silent = if *mean_square > 1e4 { 0 } else { silent + 1 };
        match begun {
            None if silent == 0 => begun = Some(block),
            Some(from) if silent == 35 => {
                sentences.push((block - silent + 1 - from) * 20);
                begun = None;
            }
            None | Some(_) => {}
        }
    }
    sentences.retain(|len_ms| *len_ms >= 1000);
    sentences
}

/// Mean square.
fn energy(block: &[f64]) -> f64 {
    block.iter().map(|sample| sample * sample).sum::<f64>() / block.len() as f64
}

/// Mean square of one pitch alone.
fn energy_at(block: &[f64], hz: u32) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, sample) in block.iter().enumerate() {
        let angle = std::f64::consts::TAU * f64::from(hz) * n as f64 / 8000.0;
        (re, im) = (re + sample * angle.cos(), im + sample * angle.sin());
    }
    2.0 * (re * re + im * im) / (block.len() as f64).powi(2)
}

fn has_part(mail: &Value, kind: &str) -> bool {
    mail["parts"].as_array().expect("parts").iter().any(|part| part["type"] == kind)
}

#[tokio::test]
async fn a_booked_meeting_is_written_to_everybody_and_dialled_by_name_and_by_pin() {
    let house = House::open().await;
    let (_, booking) = open_meeting(&house, "Budget review").await;
    let (room, pin) = (text(&booking["room"]), text(&booking["pins"]["participant"]));

    let mails = house.mails(4).await;
    for address in EVERYBODY {
        let mail = mail_to(&mails, address);
        let calendar = &mail["calendars"][0];
        let event = &calendar["events"][0];
        assert_eq!((text(&calendar["method"]), event["sequence"].as_i64()), ("REQUEST", Some(0)), "{address}");
        assert!(has_part(mail, "application/ics") && !has_part(mail, "text/calendar"), "an attachment, no invitation");
        assert_eq!(text(&event["summary"]), "Budget review");
        assert!(text(&event["organizer"]).eq_ignore_ascii_case("mailto:anna@contoso.example"), "{event:#}");
        assert!(text(&event["conference"]).starts_with("tel:"), "{event:#}");
        let plain = text(&mail["text"]);
        assert!(plain.contains("+49 30 23125 88") && plain.contains(room) && plain.contains("tel:"), "{plain}");
        assert!(plain.replace(' ', "").contains(pin), "{plain}");
        for place in [&mail["headers"]["Subject"], &event["summary"], &event["location"]] {
            assert!(!text(place).replace(' ', "").contains(pin), "no PIN in {place}");
        }
        assert!(!mail.to_string().replace(' ', "").contains(text(&booking["pins"]["moderator"])), "not his PIN");
    }
    assert!(text(&mail_to(&mails, "bernd")["text"]).contains("you need no PIN"), "Bernd is recognized");
    assert!(text(&mail_to(&mails, "clara")["text"]).contains("brauchen Sie keine PIN"), "Clara reads German");
    assert!(!text(&mail_to(&mails, "eva")["text"]).contains("no PIN"), "Eva is not");
    let anna = mail_to(&mails, "anna@contoso.example");
    assert!(text(&anna["text"]).replace(' ', "").contains(text(&booking["pins"]["moderator"])), "{anna:#}");
    assert_eq!(anna["calendars"].as_array().map(Vec::len), Some(0), "no ICS for the organizer");

    let hears = ["--expect-no-tone", "440", "--expect-tone", "650", "--expect-tone", "900"];
    let bernd = house.call(&[&["--from", BERND, "--tone", "440", "88"], &hears[..]].concat());
    house.until_in("Budget review", 1).await;
    let keyed = keys(&booking);
    let eva = house.call(&[
        "--from",
        EVA,
        "--keys",
        &keyed,
        "--tone",
        "650",
        "--expect-tone",
        "440",
        "--expect-tone",
        "900",
        "--expect-no-tone",
        "650",
        "88",
    ]);
    let clara = house.call(&[
        "--from",
        CLARA,
        "--tone",
        "900",
        "--expect-tone",
        "440",
        "--expect-tone",
        "650",
        "--expect-no-tone",
        "900",
        "88",
    ]);
    let inside = house.until_in("Budget review", 3).await;
    let by: Vec<_> = inside.iter().map(|one| text(&one["admission"])).collect();
    assert_eq!(by.iter().filter(|by| **by == "number").count(), 2, "{inside:#?}");
    tokio::time::sleep(Duration::from_secs(4)).await; // they talk
    let (bernd, eva, clara) = tokio::join!(bernd.hang_up(), eva.hang_up(), clara.hang_up());
    for (who, own, report) in [("Bernd", 440, bernd), ("Eva", 650, eva), ("Clara", 900, clara)] {
        let report = report.expect(who);
        let others: Vec<f64> =
            [440, 650, 900].into_iter().filter(|hz| *hz != own).map(|hz| report.heard(hz).1).collect();
        println!(
            "figure: {who}: others at {others:?} dB, own voice {:?}, {} packets lost",
            report.heard(own),
            report.report["packets_lost"]
        );
    }
    let records =
        eventually("three call records", SOON, async || Some(house.calls().await).filter(|calls| calls.len() == 3))
            .await;
    for record in &records {
        assert!(instant(&record["joined"]) < instant(&record["ended"]), "{record:#}");
        assert_eq!(text(&record["end_reason"]), "caller-hung-up");
    }
    house.close().await;
}

#[tokio::test]
async fn a_known_number_is_in_without_keys_and_soon() {
    let house = House::open().await;
    open_meeting(&house, "Quick").await;
    let first = house.call(&["--from", ANNA, "--tone", "600", "88"]);
    house.until_in("Quick", 1).await;
    let inside = house.participants("Quick").await;
    assert_eq!(inside[0]["moderator"], true, "the organizer's number is moderator");
    let heard = house.data().join("heard.wav");
    let file = heard.to_str().expect("text");
    let flags = ["--from", BERND, "--expect-tone", "600", "--for", "8", "--record", file, "88"];
    let second = house.call(&flags).report().await.expect("Bernd");
    let first_word_ms = second.report["first_sound_after_ms"].as_u64().expect("a number");
    let pause_ms = pause_before_tone_ms(&heard, 600);
    println!(
        "figure: known number: answered after {} ms, first word after {first_word_ms} ms, from the last word to the talk \
         {pause_ms} ms: {} ms beside the greeting (asked: 300 ms)",
        second.report["answered_after_ms"],
        first_word_ms + pause_ms
    );
    let _ = first.hang_up().await;
    house.close().await;
}

#[tokio::test]
async fn a_number_counts_only_from_a_trunk() {
    let house = House::open().await;
    let (_, booking) = open_meeting(&house, "Trust").await;
    let stranger = house.call(&["--local", "127.0.0.2", "--from", BERND, "--for", "6", "88"]);
    let claimed = stranger.report().await;
    assert_eq!(claimed.report["status"], Value::Null, "answered, asked for room and PIN");
    assert!(house.participants("Trust").await.is_empty());
    let keyed = keys(&booking);
    let stranger = house.call(&["--local", "127.0.0.2", "--from", BERND, "--keys", &keyed, "88"]);
    let inside = house.until_in("Trust", 1).await;
    assert_eq!(text(&inside[0]["admission"]), "pin");
    let _ = stranger.hang_up().await;
    house.close().await;
}

#[tokio::test]
async fn three_wrong_entries_end_the_call_and_one_may_be_repeated() {
    let house = House::open().await;
    let (_, booking) = open_meeting(&house, "Guess").await;
    let (room, right) = (text(&booking["room"]).to_owned(), keys(&booking));
    let wrong = format!("{room}#000000#");
    let thrice = format!("{wrong},,,,{wrong},,,,{wrong}");
    let guesser = house.call(&["--from", EVA, "--keys", &thrice, "--expect-end", "", "88"]).report().await;
    assert_eq!(text(&guesser.report["ended_by"]), "the other side", "{:#}", guesser.report);
    assert!(house.participants("Guess").await.is_empty());
    let once = format!("{wrong},,,,{right}");
    let clumsy = house.call(&["--from", EVA, "--keys", &once, "88"]);
    house.until_in("Guess", 1).await;
    let _ = clumsy.hang_up().await;
    let ends =
        eventually("both records", SOON, async || Some(house.calls().await).filter(|calls| calls.len() == 2)).await;
    assert_eq!(text(&ends[0]["end_reason"]), "wrong-entries", "{ends:#?}");
    house.close().await;
}

#[tokio::test]
async fn who_calls_early_is_told_or_waits() {
    let house = House::open().await;
    let start = house.now().await + TimeDelta::minutes(60);
    house.book(meeting("Later", start, 30, &EVERYBODY)).await;
    let booking = house.handed_over("Later").await;
    let keyed = keys(&booking);
    let early = house.call(&["--from", EVA, "--keys", &keyed, "--expect-end", "", "88"]).report().await;
    assert_eq!(text(&early.report["ended_by"]), "the other side", "told when the line opens: {:#}", early.report);
    let told = eventually("the record", SOON, async || house.calls().await.into_iter().next()).await;
    assert_eq!(text(&told["end_reason"]), "not-open");
    assert_eq!(told["joined"], Value::Null);

    // Four minutes before the line opens he waits with music, and is let in when it opens.
    let opens = instant(&booking["windows"][0]["opens"]);
    house.advance_to(opens - TimeDelta::minutes(4)).await;
    let waiting = house.call(&["--from", BERND, "--tone", "500", "88"]);
    let heard = house.data().join("heard.wav");
    let file = heard.to_str().expect("text");
    let flags = ["--from", CLARA, "--expect-no-tone", "500", "--for", "14", "--record", file, "88"];
    let _ = house.call(&flags).report().await.expect("waiting, nobody hears another");
    let loudness = loudness_of_blocks(&heard);
    let music = loudness[loudness.len() - 100..].iter().filter(|mean_square| **mean_square > 1e3).count();
    println!("figure: music while waiting: heard in {music} of the last 100 blocks of 20 ms");
    assert!(music > 50, "silence instead of music");
    assert!(house.participants("Later").await.is_empty());
    house.advance_to(opens + TimeDelta::seconds(1)).await;
    house.until_in("Later", 1).await;
    let _ = waiting.hang_up().await;
    house.close().await;
}

#[tokio::test]
async fn a_moved_meeting_moves_its_line_and_a_deleted_one_ends_its_calls() {
    let house = House::open().await;
    let (event, booking) = open_meeting(&house, "Moving").await;
    house.mails(4).await;
    let later = instant(&booking["windows"][0]["start"]) + TimeDelta::minutes(90);
    house.change(&event, json!({ "start": time(later), "end": time(later + TimeDelta::minutes(30)) })).await;
    let moved = house.conference("Moving", |one| instant(&one["windows"][0]["start"]) == later).await;
    assert_eq!((&moved["room"], &moved["pins"]), (&booking["room"], &booking["pins"]), "room and PIN stay");
    let mails = house.mails(8).await;
    for mail in &mails[4..] {
        let told = text(&mail["text"]);
        assert!(mail["calendars"].as_array().is_none_or(|all| all.iter().all(|one| one["method"] != "CANCEL")));
        assert!(told.contains(&later.with_timezone(&chrono_tz::Europe::Berlin).format("%-H:%M").to_string()), "{told}");
    }
    house.advance_to(later).await;
    house.handed_over("Moving").await;
    let bernd = house.call(&["--from", BERND, "--expect-end", "", "88"]);
    house.until_in("Moving", 1).await;
    house.delete(&event).await;
    let report = bernd.report().await.expect("ended by the house");
    assert_eq!(text(&report.report["ended_by"]), "the other side");
    assert_eq!(house.mail_files().len(), 8, "the calendar tells them that it is cancelled");
    let records =
        eventually("the record", SOON, async || Some(house.calls().await).filter(|calls| !calls.is_empty())).await;
    assert_eq!(text(&records[0]["end_reason"]), "cancelled");
    house.close().await;
}

#[tokio::test]
async fn the_line_closes_with_a_warning_and_then_ends_everybody() {
    let house = House::open().await;
    let (_, booking) = open_meeting(&house, "Ending").await;
    let closes = instant(&booking["windows"][0]["closes"]);
    let heard = house.data().join("heard.wav");
    let file = heard.to_str().expect("text");
    let bernd = house.call(&["--from", BERND, "--expect-end", "", "--record", file, "88"]);
    let clara = house.call(&["--from", CLARA, "--expect-end", "", "88"]);
    house.until_in("Ending", 2).await;
    tokio::time::sleep(Duration::from_secs(2)).await; // silence behind the tone of her joining
    house.advance_to(closes - TimeDelta::minutes(2) - TimeDelta::seconds(1)).await;
    tokio::time::sleep(Duration::from_secs(4)).await; // the warning is spoken
    assert_eq!(house.participants("Ending").await.len(), 2, "warned, not ended");
    house.advance_to(closes).await;
    let (bernd, clara) = tokio::join!(bernd.report(), clara.report());
    let (bernd, clara) = (bernd.expect("Bernd"), clara.expect("Clara"));
    assert_eq!(
        (text(&bernd.report["ended_by"]), text(&clara.report["ended_by"])),
        ("the other side", "the other side")
    );
    let sentences = sentences_ms(&loudness_of_blocks(&heard));
    println!("figure: what Bernd heard, in ms: {sentences:?}");
    assert_eq!(sentences.len(), 3, "the greeting, the warning, the end: {sentences:?}");
    let records =
        eventually("both records", SOON, async || Some(house.calls().await).filter(|calls| calls.len() == 2)).await;
    for record in &records {
        assert_eq!(text(&record["end_reason"]), "window-closed");
        assert!(record["person"].is_string() && instant(&record["joined"]) < instant(&record["ended"]), "{record:#}");
    }
    let late = house.call(&["--from", DAVID, "--for", "3", "88"]).report().await;
    assert!(late.report["answered_after_ms"].is_u64());
    house.close().await;
}

#[tokio::test]
async fn a_conference_without_a_calendar_gets_the_full_invitation() {
    let house = House::open().await;
    let start = house.now().await + TimeDelta::minutes(30);
    let wanted = json!({
        "title": "Überblick, Kosten; \"Plan\"",
        "start": time(start),
        "end": time(start + TimeDelta::minutes(30)),
        "organizer": "anna@contoso.example",
        "attendees": ["eva@fabrikam.example"],
    });
    let made = house.api(reqwest::Method::POST, "/api/v1/conferences", Some(wanted)).await.expect("booked");
    assert!(made["room"].is_string() && made["pins"]["participant"].is_string(), "{made:#}");
    let mails =
        eventually("the invitation", SOON, async || Some(house.mail_files()).filter(|files| files.len() >= 2)).await;
    let mails = dialroom_tests::house::read_mails(&mails).await;
    let eva = mail_to(&mails, "eva@fabrikam.example");
    assert!(text(&eva["headers"]["From"]).contains("Anna Albrecht"), "the directory knows her: {:#}", eva["headers"]);
    assert!(has_part(eva, "text/calendar") && has_part(eva, "application/ics"), "{:#}", eva["parts"]);
    let part = eva["parts"].as_array().expect("parts").iter().find(|part| part["type"] == "text/calendar");
    assert_eq!(text(&part.expect("it is there")["method"]), "REQUEST");
    for calendar in eva["calendars"].as_array().expect("two") {
        assert_eq!(text(&calendar["method"]), "REQUEST");
        assert_eq!(text(&calendar["events"][0]["summary"]), "Überblick, Kosten; \"Plan\"");
        assert_eq!(text(&calendar["events"][0]["uid"]), text(&made["uid"]));
    }
    house.close().await;
}

#[tokio::test]
async fn no_secret_reaches_a_log_a_metric_or_a_store() {
    let house = House::open_with("trace").await;
    let (event, booking) = open_meeting(&house, "Canary").await;
    let keyed = keys(&booking);
    let room = text(&booking["room"]);
    let guesses = format!("{room}#739164#,,,,{keyed}");
    let eva = house.call(&["--from", EVA, "--keys", &guesses, "88"]);
    let bernd = house.call(&["--from", BERND, "88"]);
    house.until_in("Canary", 2).await;
    let (_, _) = tokio::join!(eva.hang_up(), bernd.hang_up());
    house.change(&event, json!({ "attendees": ["clara@contoso.example"] })).await;
    let _ = house.api(reqwest::Method::POST, "/api/v1/conferences", Some(json!({ "title": keyed }))).await;
    house.delete(&event).await;
    house.conference("Canary", |one| one["state"] != "active").await;

    let facts = house.facts();
    let secrets: Vec<(&str, String)> = [
        ("participant PIN", &booking["pins"]["participant"]),
        ("moderator PIN", &booking["pins"]["moderator"]),
        ("API token", &facts["api_token"]),
        ("control token", &facts["control_token"]),
        ("client secret", &facts["client_secret"]),
    ]
    .map(|(name, value)| (name, text(value).to_owned()))
    .into();
    let wrong_pin = ("wrong PIN", "739164".to_owned());
    let numbers = [BERND, EVA].map(|number| ("telephone number", number.trim_start_matches('+').to_owned()));

    let mut told = vec![];
    for (part, program) in [("http", "connector"), ("control", "mixer")] {
        told.push((format!("{program}'s metrics"), house.page(part, "/metrics").await));
        let log = std::fs::read(house.data().join(format!("{program}.log"))).expect("a log");
        assert!(log.len() > 2_000, "{program} logs at trace: {} bytes", log.len());
        told.push((format!("{program}.log"), String::from_utf8_lossy(&log).into_owned()));
    }
    for (place, words) in &told {
        for (name, secret) in secrets.iter().chain([&wrong_pin]).chain(&numbers) {
            if let Some(at) = words.find(secret.as_str()) {
                let from = words[..at].rfind('\n').map_or(0, |end| end + 1);
                panic!("the {name} stands in {place}: {}", words[from..].lines().next().unwrap_or_default());
            }
        }
    }
    for program in ["connector", "mixer"] {
        for file in files_below(&house.data().join(program).join("store")) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            for (name, secret) in &secrets {
                let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
                assert!(!found, "the {name} stands in {}", file.display());
            }
        }
    }
    house.close().await;
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").filter_map(|entry| Some(entry.ok()?.path()));
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn a_mail_follows_a_change_within_a_second() {
    let house = House::open().await;
    let bookings = if dialroom_tests::seed::is_long() { 1000 } else { 200 };
    let start = house.now().await + TimeDelta::minutes(60);
    let mut sent = Vec::new();
    for n in 0..bookings {
        let subject = format!("Load {n}");
        let begun = Clock::real().wall();
        house.book(meeting(&subject, start + TimeDelta::minutes(n), 15, &["eva@fabrikam.example"])).await;
        sent.push((subject, begun));
        tokio::time::sleep(Duration::from_millis(25)).await; // forty changes a second
    }
    let wanted = 2 * sent.len();
    let files = eventually("all mails", Duration::from_secs(60), async || {
        Some(house.mail_files()).filter(|files| files.len() >= wanted)
    })
    .await;
    let mut delays: Vec<f64> = Vec::new();
    for mail in dialroom_tests::house::read_mails(&files).await {
        let subject = text(&mail["headers"]["Subject"]);
        let (_, begun) =
            sent.iter().find(|(sent, _)| subject.ends_with(sent.as_str())).unwrap_or_else(|| panic!("{subject}"));
        let accepted = std::fs::metadata(text(&mail["file"])).and_then(|file| file.modified()).expect("a time");
        delays.push(seconds(DateTime::<Utc>::from(accepted) - *begun));
    }
    assert_eq!(delays.len(), wanted, "one mail a person");
    println!("figure: change -> mail accepted: p99 {:.3} s of {} mails (asked: 1 s)", p99(&mut delays), delays.len());
    house.close().await;
}

#[tokio::test]
async fn where_no_notification_can_come_polling_finds_it() {
    const POLL_SECONDS: f64 = 5.0;
    let house = House::open().await;
    house.change_settings(|text| text.replace("notifications = true", "notifications = false\npoll_seconds = 5"));
    house.faults(json!({ "lost_notifications": 1.0 })).await;
    tokio::time::sleep(Duration::from_secs(4)).await; // the running connector takes up the settings
    let mut delays = Vec::new();
    for n in 1..=6 {
        let begun = Clock::real().wall();
        let start = house.now().await + TimeDelta::minutes(5);
        house.book(meeting("Silent", start, 30, &["eva@fabrikam.example"])).await;
        eventually("the mails", SOON, async || Some(()).filter(|()| house.mail_files().len() == 2 * n)).await;
        delays.push(seconds(Clock::real().wall() - begun));
    }
    let longest = delays.iter().copied().fold(0.0, f64::max);
    println!(
        "figure: change -> mail by polling every {POLL_SECONDS} s: at most {longest:.1} s of 6 (asked: {} s)",
        POLL_SECONDS + 1.0
    );
    house.close().await;
}

#[tokio::test]
async fn twenty_in_one_conference_and_four_of_five_hear_all_others_and_never_themselves() {
    let house = House::open().await;
    let start = house.now().await + TimeDelta::minutes(5);
    // Twenty pitches, none a multiple of another's, with room between them; five of them serve each room of five.
    let pitches: Vec<u32> = (0..20).map(|n| 330 + 145 * n).collect();
    for (subject, rooms, each) in [("Twenty", 1, 20), ("Five", 4, 5)] {
        let mut phones = Vec::new();
        for room in 0..rooms {
            let subject = format!("{subject} {room}");
            house.book(meeting(&subject, start, 30, &["eva@fabrikam.example"])).await;
            let keyed = keys(&house.handed_over(&subject).await);
            for &own in &pitches[..each] {
                let (own, mut flags) = (own.to_string(), Vec::new());
                let others: Vec<String> = pitches[..each].iter().map(u32::to_string).filter(|hz| *hz != own).collect();
                let tone = format!("{own}@{}", if each > 5 { -30 } else { -18 });
                flags.extend(["--keys", &keyed, "--tone", &tone, "--expect-no-tone", &own]);
                others.iter().for_each(|hz| flags.extend(["--expect-tone", hz]));
                flags.push("88");
                phones.push((own.clone(), subject.clone(), house.call(&flags)));
            }
        }
        for room in 0..rooms {
            house.until_in(&format!("{subject} {room}"), each).await;
        }
        tokio::time::sleep(Duration::from_secs(6)).await; // all of them talk
        let (mut lost, mut quietest, mut loudest) = (0, f64::INFINITY, f64::NEG_INFINITY);
        let reports = futures_util::future::join_all(
            phones.into_iter().map(|(own, room, phone)| async move { (own, room, phone.hang_up().await) }),
        );
        for (own, room, report) in reports.await {
            let report = report.expect(&format!("{own} Hz in {room}"));
            lost += report.report["packets_lost"].as_i64().unwrap_or_default();
            for hz in pitches[..each].iter().filter(|hz| hz.to_string() != own) {
                let (_, level) = report.heard(*hz);
                (quietest, loudest) = (quietest.min(level), loudest.max(level));
            }
        }
        println!(
            "figure: {rooms} x {each} legs: others heard at {quietest:.1} to {loudest:.1} dB, {lost} packets lost"
        );
    }
    house.close().await;
}
