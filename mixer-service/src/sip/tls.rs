//! TLS for SIP (RFC 3261 section 26.3): our certificate, whose certificates we believe, and both changed while calls run.
//!
//! TLS 1.2 at least, by `ring`. Those who connect are asked for a certificate where `client_ca_file` says whose; they may
//! come without one, and are then known by their address like anybody else. Names count only out of a certificate that was
//! verified.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context, bail};
use dialroom_host::FileWatch;
use dialroom_settings::{CertificateFiles, SipTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, CommonState, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

/// Names kept of one certificate; of more the rest names nobody.
const MAX_NAMES: usize = 64;

/// What is needed to speak TLS; new connections see a change of the files, running ones do not.
#[derive(Debug)]
pub(super) struct Tls {
    files: SipTls,
    server: RwLock<Option<Arc<ServerConfig>>>,
    /// Made when the first connection of ours wants it: reading what the system believes takes a while.
    client: Mutex<Option<Arc<ClientConfig>>>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or used; the message names the key of the settings and the file.
    pub(super) fn new(files: SipTls) -> anyhow::Result<Self> {
        let server = files.certificate.as_ref().map(|ours| server_config(ours, files.client_ca_file.as_deref()));
        Ok(Self { server: RwLock::new(server.transpose()?.map(Arc::new)), client: Mutex::new(None), files })
    }

    /// For those who connect; `None` without a certificate of ours.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let server = self.server.read().unwrap_or_else(PoisonError::into_inner);
        server.clone().map(TlsAcceptor::from)
    }

    /// For those we connect to, with the name that their certificate must have.
    ///
    /// # Errors
    /// When a file cannot be used, or the name can stand in no certificate.
    pub(super) fn connector(&self, name: &str) -> anyhow::Result<(TlsConnector, ServerName<'static>)> {
        let name = ServerName::try_from(name.trim_end_matches('.').to_owned())
            .with_context(|| format!("{name} is no name of a host"))?;
        let mut held = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let config = match &*held {
            Some(config) => config.clone(),
            None => held.insert(Arc::new(client_config(&self.files)?)).clone(),
        };
        Ok((config.into(), name))
    }

    /// Reads the files again. What cannot be used is told, and the old stays.
    fn reload(&self) {
        if let Some(ours) = &self.files.certificate {
            match server_config(ours, self.files.client_ca_file.as_deref()) {
                Ok(config) => {
                    *self.server.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(config));
                    tracing::info!("the certificate was read again; new connections see it");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "the certificate cannot be used; the old one stays");
                }
            }
        }
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let ours = self.files.certificate.iter().flat_map(|ours| [ours.certificate.clone(), ours.key.clone()]);
        ours.chain(self.files.client_ca_file.clone()).chain(self.files.server_ca_file.clone())
    }
}

/// Looks after the files until the end. A certificate and its key are two files: between both changes they do not fit, the
/// old ones stay, and the second change brings both.
pub(super) fn watch(tls: &Arc<Tls>, stop: &CancellationToken) {
    for path in tls.paths() {
        let (tls, stop) = (tls.clone(), stop.clone());
        let mut file = FileWatch::new(path);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = file.changed() => tls.reload(),
                }
            }
        });
    }
}

/// The names in the certificate that the other end proved to hold (RFC 5922 section 7.1: hosts, and domains as `sip:` URI).
pub(super) fn names_of(connection: &CommonState) -> Vec<String> {
    let Some(certificate) = connection.peer_certificates().and_then(<[_]>::first) else {
        return Vec::new();
    };
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let domains = certificate.valid_uri_names().filter_map(|uri| uri.strip_prefix("sip:"));
    // A name with a wildcard is no name of a telephone system, and one in a URI may have a user part.
    let names = certificate.valid_dns_names().chain(domains).filter(|name| !name.contains(['*', '@']));
    names.take(MAX_NAMES).map(str::to_ascii_lowercase).collect()
}

fn server_config(ours: &CertificateFiles, client_ca: Option<&Path>) -> anyhow::Result<ServerConfig> {
    let (chain, key) = identity(ours)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        Some(file) => {
            let mut roots = RootCertStore::empty();
            believe(&mut roots, "sip.tls.client_ca_file", file)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .with_context(|| format!("sip.tls.client_ca_file: {}", file.display()))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    builder.with_single_cert(chain, key).with_context(|| {
        let (certificate, key) = (ours.certificate.display(), ours.key.display());
        format!("sip.tls: {certificate} and {key} do not belong together")
    })
}

fn client_config(files: &SipTls) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    if let Some(error) = system.errors.first() {
        tracing::warn!(%error, "not all certificates that the system believes can be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(file) = &files.server_ca_file {
        believe(&mut roots, "sip.tls.server_ca_file", file)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = builder.with_root_certificates(roots);
    match &files.certificate {
        Some(ours) => {
            let (chain, key) = identity(ours)?;
            builder.with_client_auth_cert(chain, key).context("sip.tls: our certificate cannot be shown to servers")
        }
        None => Ok(builder.with_no_client_auth()),
    }
}

fn identity(ours: &CertificateFiles) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = certificates("sip.tls.certificate_file", &ours.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&ours.key);
    let key = key.with_context(|| format!("sip.tls.key_file: {} cannot be read as a PEM key", ours.key.display()))?;
    Ok((chain, key))
}

fn believe(roots: &mut RootCertStore, setting: &str, file: &Path) -> anyhow::Result<()> {
    for certificate in certificates(setting, file)? {
        roots.add(certificate).with_context(|| format!("{setting}: {} is no authority's", file.display()))?;
    }
    Ok(())
}

fn certificates(setting: &str, file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.with_context(|| format!("{setting}: {} cannot be read as PEM", file.display()))?;
    if found.is_empty() {
        bail!("{setting}: {} holds no certificate", file.display());
    }
    Ok(found)
}
