//! Would a call of the API server succeed? Asked before a replica says for the first time that it is ready, so that
//! whoever waits for that can apply objects at once.

use crate::health::Gate;
use crate::pki::cluster::Seen;
use crate::pki::configuration::Configuration;
use crate::pki::dial::dial;
use crate::pki::keeper::Config;
use crate::pki::serving::Serving;
use crate::pki::x509;
use jiff::Timestamp;
use rustls::sign::CertifiedKey;

/// Whether the API server may be sent to this replica.
pub(super) struct Readiness {
    gate: Gate,
    /// An API server could have called us once. From then on the configurations may come and go: they are the
    /// administrator's, and taking every replica out would only make things worse.
    proven: bool,
}

impl Readiness {
    pub(super) fn new(gate: Gate) -> Self {
        Self { gate, proven: false }
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven
    }

    /// Before the first proof, what failed is the best reason that can be given.
    pub(super) fn failed(&self, error: &str) {
        if !self.proven {
            self.gate.close(error);
        }
    }

    /// Opens the gate when an API server could call us: once that was proven, for as long as the certificate lives.
    /// `end` is when that is, or why there is none.
    pub(super) async fn judge(
        &mut self,
        config: &Config,
        serving: &Serving,
        end: Result<Timestamp, String>,
        seen: &Seen,
    ) {
        let verdict = match end {
            Err(why) => Err(why),
            Ok(end) if end <= config.clock.now() => Err("the serving certificate has ended".into()),
            Ok(_) if self.proven => Ok(()),
            Ok(_) => prove(config, serving, seen).await,
        };
        match verdict {
            Ok(()) => {
                self.proven = true;
                self.gate.open();
            }
            Err(reason) => self.gate.close(reason),
        }
    }
}

/// Verifies the serving certificate against what both configurations trust at this moment, now and in an hour, and
/// then makes the connection.
///
/// # Errors
/// Why a call would fail, as `/readyz` says it.
async fn prove(config: &Config, serving: &Serving, seen: &Seen) -> Result<(), String> {
    let certified = serving.current().ok_or("nothing is served yet")?;
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
    let now = config.clock.now();
    for webhook in &configuration.webhooks {
        for at in [now, now + config.terms.ahead] {
            let verdict = x509::verify(certified, service, &webhook.trusted, at);
            verdict.map_err(|e| format!("webhook {} does not trust this replica: {e}", webhook.name))?;
        }
        dial(config.dial, service, &webhook.trusted, now)
            .await
            .map_err(|e| format!("calling {host}: {e}"))?;
    }
    Ok(())
}
