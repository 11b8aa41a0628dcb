//! Making, reading and verifying certificates. Everything that rcgen would choose by itself is set here: its defaults
//! are valid until 4096, take the serial from the key, and leave out who signed.

use crate::pki::book::{Authority, Certificate, Key, Terms};
use crate::pki::plan::Leaf;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use x509_parser::parse_x509_certificate;

/// A common name may have 64 characters; the generation follows.
const LONGEST_TITLE: usize = 40;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Unmade {
    /// The certificate library refused.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library does not take what was made.
    #[error("cannot serve the certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// The clock shows a time that certificates cannot express.
    #[error("the time {0} does not fit into a certificate")]
    Time(Timestamp),
}

/// The Service that the API server calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace: the operator's own.
    pub namespace: String,
}

impl Service {
    /// The one name that the API server asks for.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc", self.name, self.namespace)
    }

    /// That name, and the longer one that people use.
    fn hosts(&self) -> [String; 2] {
        [self.host(), format!("{}.cluster.local", self.host())]
    }
}

/// A new authority that can vouch for this Service and for nothing else.
///
/// # Errors
/// See [`Unmade`].
pub fn authority(service: &Service, generation: u64, now: Timestamp, terms: &Terms) -> Result<Authority, Unmade> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    // A name for each generation: the API server's complaint about a wrong one then says which.
    let title: String = service.name.chars().take(LONGEST_TITLE).collect();
    let (not_before, not_after) = (now - terms.skew, now + terms.authority);
    let mut params = params(&format!("{title}-ca-{generation}"), not_before, not_after)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: service.hosts().map(GeneralSubtree::DnsName).to_vec(),
        excluded_subtrees: vec![],
    });
    let der = params.self_signed(&key)?.der().to_vec();
    let certificate = Certificate {
        der,
        not_before: seconds(not_before)?,
        not_after: seconds(not_after)?,
    };
    Ok(Authority {
        certificate,
        key: Key(key.serialize_der()),
    })
}

/// A new key and certificate to serve, which live in this process only.
///
/// # Errors
/// See [`Unmade`].
pub fn leaf(
    authority: &Authority,
    service: &Service,
    now: Timestamp,
    terms: &Terms,
) -> Result<(Arc<CertifiedKey>, Leaf), Unmade> {
    let issuer = &authority.certificate;
    let signer = KeyPair::try_from(&PrivatePkcs8KeyDer::from(authority.key.0.as_slice()))?;
    let signer = Issuer::from_ca_cert_der(&CertificateDer::from(issuer.der.as_slice()), signer)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let not_after = (now + terms.leaf).min(issuer.not_after);
    let mut params = params(
        &service.host().chars().take(64).collect::<String>(),
        now - terms.skew,
        not_after,
    )?;
    params.subject_alt_names = CertificateParams::new(service.hosts())?.subject_alt_names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params.signed_by(&key, &signer)?.der().clone();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let certified = CertifiedKey::from_der(vec![certificate], private, &ring::default_provider())?;
    let leaf = Leaf {
        issuer: issuer.clone(),
        not_before: seconds(now - terms.skew)?,
        not_after: seconds(not_after)?,
    };
    Ok((Arc::new(certified), leaf))
}

fn params(name: &str, not_before: Timestamp, not_after: Timestamp) -> Result<CertificateParams, Unmade> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    (params.not_before, params.not_after) = (date(not_before)?, date(not_after)?);
    Ok(params)
}

fn date(time: Timestamp) -> Result<OffsetDateTime, Unmade> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).map_err(|_| Unmade::Time(time))
}

/// The time as a certificate holds it.
fn seconds(time: Timestamp) -> Result<Timestamp, Unmade> {
    Timestamp::from_second(time.as_second()).map_err(|_| Unmade::Time(time))
}

/// Whether the API server would accept the certificate under that name at that time, if it trusted these.
///
/// # Errors
/// The verifier's words.
pub fn verify(leaf: &CertifiedKey, service: &Service, trusted: &[Certificate], at: Timestamp) -> Result<(), String> {
    let roots = roots(trusted)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let verifier = verifier.map_err(|e| e.to_string())?;
    let name = ServerName::try_from(service.host()).map_err(|e| e.to_string())?;
    let second = u64::try_from(at.as_second()).map_err(|e| e.to_string())?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(second));
    let (leaf, chain) = leaf.cert.split_first().ok_or("no certificate")?;
    verifier
        .verify_server_cert(leaf, chain, &name, &[], at)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

/// The certificates as a TLS client trusts them.
///
/// # Errors
/// When one of them cannot be trusted by anyone.
pub fn roots(trusted: &[Certificate]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted {
        roots
            .add(CertificateDer::from(certificate.der.as_slice()))
            .map_err(|e| e.to_string())?;
    }
    Ok(roots)
}

/// Reads an authority, and proves that it can vouch for the Service: it signs a certificate, and that is verified.
///
/// # Errors
/// What is wrong with it, for people. Whether its time has come or gone is not looked at.
pub fn read_authority(certificate: &[u8], key: &[u8], service: &Service, terms: &Terms) -> Result<Authority, String> {
    let certificate = read_bundle(certificate)
        .into_iter()
        .next()
        .ok_or("no certificate that can be read")?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(key).map_err(|e| format!("the key cannot be read: {e:?}"))?;
    if !may_sign(&certificate.der) {
        return Err("the certificate is not one of an authority".into());
    }
    let authority = Authority {
        certificate,
        key: Key(key.secret_pkcs8_der().to_vec()),
    };
    let start = authority.certificate.not_before + terms.skew;
    let (proof, _) = leaf(&authority, service, start, terms).map_err(|e| e.to_string())?;
    let trusted = std::slice::from_ref(&authority.certificate);
    verify(&proof, service, trusted, start).map_err(|e| format!("it cannot vouch for {}: {e}", service.host()))?;
    Ok(authority)
}

/// Reads a certificate with the chain to its authority, and its key; also when it ends.
///
/// # Errors
/// What is wrong with them, for people. Whether its time has come or gone is not looked at.
pub fn read_pair(chain: &[u8], key: &[u8]) -> Result<(Arc<CertifiedKey>, Timestamp), String> {
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let chain = chain.map_err(|e| format!("its tls.crt cannot be read: {e:?}"))?;
    let first = chain.first().and_then(|der| read_certificate(der));
    let end = first
        .ok_or("its tls.crt holds no certificate that can be read")?
        .not_after;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| format!("its tls.key cannot be read: {e:?}"))?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
    let certified = certified.map_err(|e| format!("its tls.key does not go with its tls.crt: {e}"))?;
    Ok((Arc::new(certified), end))
}

/// Our verifier does not ask this of a certificate that it is told to trust, but the API server does.
fn may_sign(der: &[u8]) -> bool {
    parse_x509_certificate(der).is_ok_and(|(_, certificate)| {
        let usage = certificate.key_usage().ok().flatten();
        certificate.is_ca() && usage.is_none_or(|usage| usage.value.key_cert_sign())
    })
}

/// The certificates in a bundle; what cannot be read is left out.
#[must_use]
pub fn read_bundle(pem: &[u8]) -> Vec<Certificate> {
    CertificateDer::pem_slice_iter(pem)
        .filter_map(|der| read_certificate(&der.ok()?))
        .collect()
}

fn read_certificate(der: &[u8]) -> Option<Certificate> {
    let (rest, certificate) = parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp()).ok();
    let (not_before, not_after) = (time(validity.not_before)?, time(validity.not_after)?);
    rest.is_empty().then(|| Certificate {
        der: der.to_vec(),
        not_before,
        not_after,
    })
}

/// The certificates as a bundle.
#[must_use]
pub fn write_bundle(certificates: &[Certificate]) -> String {
    certificates.iter().map(|c| write_pem("CERTIFICATE", &c.der)).collect()
}

/// The key as it is stored.
#[must_use]
pub fn write_key(key: &Key) -> String {
    write_pem("PRIVATE KEY", &key.0)
}

fn write_pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = more;
    }
    pem + &format!("-----END {label}-----\n")
}
