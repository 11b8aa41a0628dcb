//! Would a call of the API server succeed? Asked before a replica says for the first time that it is ready, so that
//! whoever waits for that can apply objects at once.

use crate::pki::cluster::Seen;
use crate::pki::configuration::Configuration;
use crate::pki::dial::dial;
use crate::pki::keeper::Config;
use crate::pki::leaves::{AHEAD, Leaves};
use crate::pki::x509;
use jiff::Timestamp;
use rustls::sign::CertifiedKey;

/// Verifies the serving certificate against what both configurations trust at this moment, now and in an hour, and
/// then makes the connection.
///
/// # Errors
/// Why a call would fail, as `/readyz` says it.
pub async fn prove(config: &Config, leaves: &Leaves, seen: &Seen) -> Result<(), String> {
    let certified = leaves.certified().ok_or("nothing is served yet")?;
    let names = &config.names;
    let both = [
        ("ValidatingWebhookConfiguration", &names.validating, &seen.validating),
        ("MutatingWebhookConfiguration", &names.mutating, &seen.mutating),
    ];
    for (kind, name, configuration) in both {
        let configuration = configuration
            .as_ref()
            .ok_or_else(|| format!("{kind} {name} does not exist"))?;
        prove_one(config, &certified, configuration)
            .await
            .map_err(|e| format!("{kind} {name}: {e}"))?;
    }
    Ok(())
}

async fn prove_one(config: &Config, certified: &CertifiedKey, configuration: &Configuration) -> Result<(), String> {
    let service = &config.names.service;
    let host = service.host();
    if configuration.webhooks.is_empty() {
        return Err(format!("no webhook in it calls the Service of {host}"));
    }
    let now = Timestamp::now();
    for webhook in &configuration.webhooks {
        for at in [now, now + AHEAD] {
            let verdict = x509::verify(certified, service, &webhook.trusted, at);
            verdict.map_err(|e| format!("webhook {} does not trust this replica: {e}", webhook.name))?;
        }
        dial(config.dial, service, &webhook.trusted)
            .await
            .map_err(|e| format!("calling {host}: {e}"))?;
    }
    Ok(())
}
