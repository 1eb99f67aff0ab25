//! Hostile mails through a real SMTP dialogue, heard by a sink that takes every octet at its word.

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use dialroom_settings::{Mail, MailTls};

use super::*;
use crate::mail::{Mailer, SendError};

/// Runs of the property; each is a dialogue.
const CASES: u32 = 300;

/// What the sink heard: commands apart from messages. Only `CRLF . CRLF` ends a message.
#[derive(Debug, Default)]
struct Heard {
    commands: Vec<String>,
    messages: Vec<Vec<u8>>,
}

fn sink() -> (u16, Arc<Mutex<Heard>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Heard>>::default());
    let taken = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The client hangs up when it wants.
            let _ = converse(BufReader::new(stream.unwrap()), &taken);
        }
    });
    (port, heard)
}

fn converse(mut stream: BufReader<TcpStream>, heard: &Mutex<Heard>) -> std::io::Result<()> {
    stream.get_mut().write_all(b"220 sink\r\n")?;
    loop {
        let command = String::from_utf8(until(&mut stream, b"\r\n")?).unwrap();
        let begins_message = command == "DATA\r\n";
        heard.lock().unwrap().commands.push(command.trim_end().to_owned());
        if begins_message {
            stream.get_mut().write_all(b"354 go on\r\n")?;
            let message = until(&mut stream, b"\r\n.\r\n")?;
            heard.lock().unwrap().messages.push(message);
        }
        stream.get_mut().write_all(b"250 ok\r\n")?;
    }
}

fn until(stream: &mut BufReader<TcpStream>, end: &[u8]) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(end) {
        stream.read_exact(&mut byte)?;
        bytes.push(byte[0]);
    }
    Ok(bytes)
}

#[test]
fn a_hostile_mail_is_one_mail_to_one_recipient_on_the_wire() {
    let (port, heard) = sink();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mailer = Mailer::new(&Mail { port, tls: MailTls::None, ..settings("").mail.unwrap() }).unwrap();
    let texts = (hostile(), hostile(), hostile(), hostile());
    proptest!(ProptestConfig::with_cases(CASES), |((title, name, description, local) in texts)| {
        let mut booking = single();
        (booking.title, booking.description, booking.organizer.name) = (title, description, Some(name.clone()));
        booking.invitees[0].person.name = Some(name);
        if let Ok(address) = EmailAddress::parse(&format!("{local}@fabrikam.example")) {
            booking.invitees[0].person.address = address;
        }
        let to = &booking.invitees[0].person;
        let mail = composed(&booking, &letter(to, LetterKind::Invitation, IcsKind::FullRequest, Language::En));
        let sent = runtime.block_on(mailer.send(&mail));
        let Heard { commands, messages } = std::mem::take(&mut *heard.lock().unwrap());
        if !mail.to.as_str().is_ascii() {
            // This sink offers no SMTPUTF8.
            let refused = matches!(sent, Err(SendError::Permanent { .. }));
            prop_assert!(refused && messages.is_empty());
            return Ok(());
        }
        prop_assert_eq!(sent, Ok(()));
        let commands: Vec<_> = commands.into_iter().filter(|one| one != "QUIT" && !one.starts_with("EHLO")).collect();
        let to = format!("RCPT TO:<{}>", mail.to);
        prop_assert_eq!(commands, ["MAIL FROM:<dialroom@contoso.example>", &to, "DATA"]);
        let wire = String::from_utf8(messages.concat()).unwrap();
        let read = wire.strip_suffix(".\r\n").unwrap().replace("\r\n..", "\r\n.");
        prop_assert_eq!(read.as_bytes(), mail.message);
    });
}
