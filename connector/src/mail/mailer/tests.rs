//! A server on loopback that follows a script; what it was told is the expectation.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Where the server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// This reply to a command.
    Reply(&'static str, &'static str),
    /// The connection ends instead of the reply to a command; `.` is the message.
    Close(&'static str),
}

/// Serves connections one after the other, each with its fault, and gives what was said to it.
async fn serve(listener: TcpListener, faults: Vec<Fault>) -> Vec<String> {
    let mut heard = Vec::new();
    for fault in faults {
        let (stream, _) = listener.accept().await.unwrap();
        heard.push(converse(stream, fault).await);
    }
    heard
}

async fn converse(stream: TcpStream, fault: Fault) -> String {
    let mut stream = BufReader::new(stream);
    let mut heard = String::new();
    stream.write_all(b"220 test\r\n").await.unwrap();
    let mut in_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return heard;
        }
        heard.push_str(&line);
        if in_message && line != ".\r\n" {
            continue;
        }
        let verb = if in_message { "." } else { line.get(..4).unwrap_or("") };
        let reply = match (fault, verb) {
            (Fault::Close(at), verb) if at == verb => return heard,
            (Fault::Reply(at, reply), verb) if at == verb => reply,
            (_, "EHLO") => "250-test\r\n250 AUTH PLAIN LOGIN",
            (_, "AUTH") => "235 in",
            (_, "DATA") => "354 go on",
            (_, "QUIT") => "221 bye",
            (Fault::None | Fault::Reply(..) | Fault::Close(_), _) => "250 ok",
        };
        in_message = verb == "DATA" && reply.starts_with("354");
        stream.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
    }
}

fn settings(port: u16) -> Mail {
    Mail {
        host: "127.0.0.1".to_owned(),
        port,
        tls: MailTls::None,
        username: None,
        password_file: None,
        from: EmailAddress::parse("dialroom@contoso.example").unwrap(),
    }
}

fn mail(body: &str) -> ComposedMail {
    ComposedMail {
        from: EmailAddress::parse("dialroom@contoso.example").unwrap(),
        to: EmailAddress::parse("bernd@contoso.example").unwrap(),
        message_id: "m1@contoso.example".to_owned(),
        message: format!("Subject: x\r\n\r\n{body}").into_bytes(),
    }
}

/// Sends mails one after the other to a server with these faults, one per connection.
async fn outcome(faults: Vec<Fault>, mails: &[&str]) -> (Vec<Result<(), SendError>>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = Mailer::new(&settings(listener.local_addr().unwrap().port())).unwrap();
    let server = tokio::spawn(serve(listener, faults));
    let mut results = Vec::new();
    for body in mails {
        results.push(mailer.send(&mail(body)).await);
    }
    drop(mailer);
    (results, server.await.unwrap())
}

#[test]
fn a_message_ends_where_it_ends() {
    let long = "x".repeat(100_000);
    for (message, on_the_wire) in [
        ("a\r\n", "a\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        ("", "\r\n.\r\n"),
        (".", "..\r\n.\r\n"),
        ("a\r\n.\r\n", "a\r\n..\r\n.\r\n"),
        ("..a\r\n.b\r\n", "...a\r\n..b\r\n.\r\n"),
        ("a\r\n\r\n", "a\r\n\r\n.\r\n"),
        ("a\n.\nMAIL FROM:<x@evil.example>\r\n", "a\r\n..\r\nMAIL FROM:<x@evil.example>\r\n.\r\n"),
        ("a\r.\r\nb", "a\r\n..\r\nb\r\n.\r\n"),
        (&format!(".{long}\r\n"), &format!("..{long}\r\n.\r\n")),
    ] {
        assert_eq!(Whole(message.as_bytes()).to_string(), on_the_wire, "{message:.40?}");
    }
}

#[tokio::test]
async fn two_mails_share_a_connection() {
    let (results, heard) = outcome(vec![Fault::None], &["one", ".\r\ntwo\r\n.two"]).await;
    assert_eq!(results, [Ok(()), Ok(())]);
    assert_eq!(heard[0].matches("MAIL FROM:<dialroom@contoso.example>").count(), 2);
    assert_eq!(heard[0].matches("RCPT TO:<bernd@contoso.example>").count(), 2);
    assert!(heard[0].contains("\r\n..\r\ntwo\r\n..two\r\n.\r\n"), "dots are doubled: {}", heard[0]);
}

#[tokio::test]
async fn each_failure_is_told_apart() {
    for (fault, expected) in [
        (Fault::Reply("RCPT", "550 no such user"), "permanent"),
        (Fault::Reply("MAIL", "553 not you"), "permanent"),
        (Fault::Reply(".", "554 spam"), "permanent"),
        (Fault::Reply("RCPT", "450 later"), "temporary"),
        (Fault::Reply(".", "451 later"), "temporary"),
        (Fault::Reply("DATA", "421 closing"), "temporary"),
        (Fault::Close("EHLO"), "temporary"),
        (Fault::Close("RCPT"), "temporary"),
        (Fault::Close("DATA"), "temporary"),
        (Fault::Close("."), "after data"),
    ] {
        let (results, _) = outcome(vec![fault], &["text"]).await;
        let told = match &results[0] {
            Ok(()) => "accepted",
            Err(SendError::Permanent { .. }) => "permanent",
            Err(SendError::Temporary { .. }) => "temporary",
            Err(SendError::AfterData { .. }) => "after data",
        };
        assert_eq!(told, expected, "{fault:?}: {:?}", results[0]);
    }
}

#[tokio::test]
async fn a_connection_that_went_away_costs_nothing() {
    // The server hangs up when the second mail begins on the old connection; the mail goes over a fresh one.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mailer = Mailer::new(&settings(listener.local_addr().unwrap().port())).unwrap();
    let server = tokio::spawn(async move {
        let (first, _) = listener.accept().await.unwrap();
        let mut first = BufReader::new(first);
        first.write_all(b"220 test\r\n").await.unwrap();
        for reply in ["250 test", "250 ok", "250 ok", "354 go on"] {
            first.read_line(&mut String::new()).await.unwrap();
            first.write_all(format!("{reply}\r\n").as_bytes()).await.unwrap();
        }
        let mut message = Vec::new();
        while !message.ends_with(b"\r\n.\r\n") {
            message.push(first.read_u8().await.unwrap());
        }
        first.write_all(b"250 ok\r\n").await.unwrap();
        drop(first);
        serve(listener, vec![Fault::None]).await
    });
    assert_eq!(mailer.send(&mail("one")).await, Ok(()));
    assert_eq!(mailer.send(&mail("two")).await, Ok(()));
    drop(mailer);
    assert!(server.await.unwrap()[0].contains("two"));
}

#[tokio::test]
async fn a_refused_recipient_does_not_cost_the_next_mail_its_connection() {
    let (results, heard) = outcome(vec![Fault::Reply("RCPT", "550 no")], &["one", "two"]).await;
    assert!(results.iter().all(|result| matches!(result, Err(SendError::Permanent { .. }))), "{results:?}");
    assert_eq!(heard[0].matches("RSET").count(), 2);
}

#[tokio::test]
async fn login_fails_without_repeating_the_password() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "canary-password\n").unwrap();
    let settings = Mail {
        username: Some("dialroom".to_owned()),
        password_file: Some(file),
        ..settings(listener.local_addr().unwrap().port())
    };
    let mailer = Mailer::new(&settings).unwrap();
    assert!(!format!("{mailer:?}").contains("canary"));
    let server = tokio::spawn(serve(listener, vec![Fault::Reply("AUTH", "535 canary-password is wrong")]));
    let error = mailer.send(&mail("one")).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { step: "AUTH", .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("canary"));
    drop(mailer);
    assert!(server.await.unwrap()[0].contains("AUTH PLAIN"));
}

#[tokio::test]
async fn starttls_is_required_not_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Mail { tls: MailTls::StartTls, ..settings(listener.local_addr().unwrap().port()) };
    let mailer = Mailer::new(&settings).unwrap();
    let server = tokio::spawn(serve(listener, vec![Fault::None]));
    let error = mailer.send(&mail("secret")).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { step: "STARTTLS", .. }), "{error:?}");
    assert!(!server.await.unwrap()[0].contains("MAIL"));
}

#[tokio::test]
async fn nobody_listening_is_temporary() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let error = Mailer::new(&settings(port)).unwrap().send(&mail("one")).await.unwrap_err();
    assert!(matches!(error, SendError::Temporary { step: "connect", .. }), "{error:?}");
}
