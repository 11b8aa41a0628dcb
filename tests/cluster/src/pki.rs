//! The certificates, keys and kubeconfigs of one cluster.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use crate::network;
use crate::state::State;

/// Common name, organisation and file name of every client.
const CLIENTS: [(&str, &str, &str); 8] = [
    ("admin", "system:masters", "admin"),
    // As an administrator: with an account per controller the first Pod waits 5 s longer.
    (
        "system:kube-controller-manager",
        "system:masters",
        "kube-controller-manager",
    ),
    ("system:kube-scheduler", "", "kube-scheduler"),
    (network::NODE_USER, "system:nodes", "kubelet"),
    ("system:kube-proxy", "", "kube-proxy"),
    ("coredns", "system:masters", "coredns"),
    ("local-path", "system:masters", "local-path-provisioner"),
    ("kwok", "system:masters", "kwok"),
];

/// Writes everything into `pki/` of the cluster's folder, and a kubeconfig beside it for each client.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(state: &State, port: u16) -> Result<()> {
    fs::create_dir_all(state.path("pki"))?;
    fs::set_permissions(state.path("pki"), fs::Permissions::from_mode(0o700))?;
    let (ca, issuer) = authority("llm-operator-test-ca")?;
    save(state, "ca", &ca, issuer.key())?;
    let (front, front_issuer) = authority("llm-operator-test-front-proxy-ca")?;
    save(state, "front-proxy-ca", &front, front_issuer.key())?;
    let (cert, key) = client("front-proxy-client", "", &front_issuer)?;
    save(state, "front-proxy-client", &cert, &key)?;
    let (cert, key) = server(&issuer)?;
    save(state, "apiserver", &cert, &key)?;
    for (common_name, organisation, file) in CLIENTS {
        let (cert, key) = client(common_name, organisation, &issuer)?;
        save(state, file, &cert, &key)?;
        let text = kubeconfig(state.name(), port, &ca.pem(), &cert.pem(), &key.serialize_pem());
        write_private(state, &format!("{file}.kubeconfig"), &text)?;
    }
    service_accounts(state)
}

/// The key pair that signs and checks service account tokens.
fn service_accounts(state: &State) -> Result<()> {
    let key = KeyPair::generate()?;
    write_private(state, "pki/sa.key", &key.serialize_pem())?;
    write_private(state, "pki/sa.pub", &key.public_key_pem())
}

fn authority(name: &str) -> Result<(Certificate, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::default();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert, Issuer::new(params, key)))
}

fn server(issuer: &Issuer<'_, KeyPair>) -> Result<(Certificate, KeyPair)> {
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        network::NODE_IP,
        network::API_SERVICE_IP,
    ];
    let params = CertificateParams::new(names.map(str::to_owned))?;
    leaf(
        params,
        "kube-apiserver",
        "",
        ExtendedKeyUsagePurpose::ServerAuth,
        issuer,
    )
}

fn client(common_name: &str, organisation: &str, issuer: &Issuer<'_, KeyPair>) -> Result<(Certificate, KeyPair)> {
    leaf(
        CertificateParams::default(),
        common_name,
        organisation,
        ExtendedKeyUsagePurpose::ClientAuth,
        issuer,
    )
}

fn leaf(
    mut params: CertificateParams,
    common_name: &str,
    organisation: &str,
    usage: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(Certificate, KeyPair)> {
    params.distinguished_name.remove(DnType::CommonName);
    if !organisation.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, organisation);
    }
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?, key))
}

fn save(state: &State, name: &str, cert: &Certificate, key: &KeyPair) -> Result<()> {
    write_private(state, &format!("pki/{name}.crt"), &cert.pem())?;
    write_private(state, &format!("pki/{name}.key"), &key.serialize_pem())
}

fn write_private(state: &State, file: &str, text: &str) -> Result<()> {
    fs::write(state.path(file), text)?;
    Ok(fs::set_permissions(
        state.path(file),
        fs::Permissions::from_mode(0o600),
    )?)
}

fn kubeconfig(cluster: &str, port: u16, ca: &str, cert: &str, key: &str) -> String {
    let (ca, cert, key) = (BASE64.encode(ca), BASE64.encode(cert), BASE64.encode(key));
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {cluster}\n  \
           cluster: {{server: \"https://127.0.0.1:{port}\", certificate-authority-data: {ca}}}\n\
         users:\n\
         - name: admin\n  \
           user: {{client-certificate-data: {cert}, client-key-data: {key}}}\n\
         contexts:\n\
         - name: {cluster}\n  \
           context: {{cluster: {cluster}, user: admin}}\n\
         current-context: {cluster}\n"
    )
}
