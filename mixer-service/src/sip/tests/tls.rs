//! Calls over TLS, with certificates made for the occasion.

use std::path::PathBuf;

use dialroom_settings::{CertificateFiles, SipTls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};

use super::*;

/// An authority, and a folder for what it signs.
struct Authority {
    folder: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { folder, issuer }
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Signs a certificate for these names.
    fn sign(&self, file: &str, names: &[&str]) -> CertificateFiles {
        let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |end: &str| self.folder.path().join(format!("{file}.{end}"));
        std::fs::write(path("pem"), certificate.pem()).unwrap();
        std::fs::write(path("key"), key.serialize_pem()).unwrap();
        CertificateFiles { certificate: path("pem"), key: path("key") }
    }
}

/// A side that listens for TLS, and asks those who connect for a certificate of this authority.
async fn server(authority: &Authority, names: &[&str]) -> Side {
    let tls = SipTls {
        certificate: Some(authority.sign("server", names)),
        client_ca_file: Some(authority.ca_file()),
        server_ca_file: None,
    };
    Side::with(|setup| {
        setup.listen.tls_addresses = vec!["127.0.0.1:0".parse().unwrap()];
        setup.listen.tls = tls;
    })
    .await
}

async fn client(certificate: Option<CertificateFiles>, believed: &Authority) -> Side {
    let tls = SipTls { certificate, client_ca_file: None, server_ca_file: Some(believed.ca_file()) };
    Side::with(|setup| setup.listen.tls = tls).await
}

#[tokio::test]
async fn a_call_over_tls_proves_both_ends() {
    let authority = Authority::new();
    let mut ours = server(&authority, &["127.0.0.1"]).await;
    let theirs = authority.sign("client", &["PBX.example.com", "*.example.net"]);
    let mut theirs = client(Some(theirs), &authority).await;
    let placed = theirs.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
    let SipEvent::Incoming { call, transport, tls_names, .. } = ours.next().await else { panic!("no call") };
    assert_eq!((transport, tls_names), (Transport::Tls, vec!["pbx.example.com".to_owned()]));
    ours.sip.answer(call, media(20_000));
    theirs.established().await;
    ours.established().await;
    theirs.sip.hang_up(placed, "done here");
    assert_eq!(ours.ended().await.text, "done here");
    assert_eq!(ours.sip.counters().read().handshakes, 1);
}

#[tokio::test]
async fn without_a_certificate_one_may_call_and_proves_no_name() {
    let authority = Authority::new();
    let mut ours = server(&authority, &["127.0.0.1"]).await;
    let theirs = client(None, &authority).await;
    theirs.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
    let SipEvent::Incoming { tls_names, .. } = ours.next().await else { panic!("no call") };
    assert!(tls_names.is_empty());
}

#[tokio::test]
async fn who_proves_another_name_or_no_authority_is_not_talked_to() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (names, believed) in [(&["192.0.2.1"][..], &authority), (&["127.0.0.1"], &other)] {
        let ours = server(&authority, names).await;
        let mut theirs = client(None, believed).await;
        theirs.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
        assert_eq!(theirs.ended().await.by, EndedBy::Silence, "{names:?}");
    }
    // Nor is a client with a certificate of somebody else's.
    let ours = server(&authority, &["127.0.0.1"]).await;
    let mut theirs = client(Some(other.sign("client", &["pbx.example.com"])), &authority).await;
    theirs.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
    assert_eq!(theirs.ended().await.by, EndedBy::Silence);
}

#[tokio::test]
async fn another_certificate_is_shown_to_new_connections_and_costs_no_call() {
    let (authority, next) = (Authority::new(), Authority::new());
    let mut ours = server(&authority, &["127.0.0.1"]).await;
    let mut theirs = client(None, &authority).await;
    let placed = theirs.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
    let call = ours.incoming().await;
    ours.sip.answer(call, media(20_000));
    theirs.established().await;
    ours.established().await;

    let renewed = next.sign("server", &["127.0.0.1"]);
    let old = authority.folder.path();
    std::fs::rename(renewed.key, old.join("server.key")).unwrap();
    std::fs::rename(renewed.certificate, old.join("server.pem")).unwrap();
    let mut others = client(None, &next).await;
    loop {
        // Until the files were looked at, the old certificate is shown, which these do not believe.
        others.call(ours.sip.tls_addresses()[0], Transport::Tls).await;
        tokio::select! {
            event = ours.next() => {
                assert!(matches!(event, SipEvent::Incoming { .. }), "{event:?}");
                break;
            }
            _ = others.ended() => {}
        }
    }
    theirs.sip.hang_up(placed, "still here");
    assert_eq!(ours.ended().await.text, "still here");
}

#[tokio::test]
async fn to_listen_for_tls_takes_a_certificate_that_can_be_read() {
    let start = async |tls: SipTls| {
        let mut setup = Setup::open(Listen::on("127.0.0.1:0".parse().unwrap()));
        setup.listen.tls_addresses = vec!["127.0.0.1:0".parse().unwrap()];
        setup.listen.tls = tls;
        format!("{:#}", SipEndpoint::start(setup).await.unwrap_err())
    };
    assert!(start(SipTls::default()).await.contains("certificate_file"));
    let authority = Authority::new();
    let CertificateFiles { certificate, key: _ } = authority.sign("one", &["127.0.0.1"]);
    let CertificateFiles { key, .. } = authority.sign("two", &["127.0.0.1"]);
    let two = SipTls { certificate: Some(CertificateFiles { certificate, key }), ..SipTls::default() };
    assert!(start(two).await.contains("do not belong together"));
    let gone = PathBuf::from("/nowhere/x.pem");
    let none =
        SipTls { certificate: Some(CertificateFiles { certificate: gone.clone(), key: gone }), ..SipTls::default() };
    assert!(start(none).await.contains("/nowhere/x.pem"));
}
