//! Admission: the two configurations, whom they trust, and what came of trying it.

use crate::cli::doctor::finding::Finding;
use crate::cli::doctor::installation::{Installation, Keeper};
use crate::cli::doctor::picture::{Answer, Picture};
use crate::cli::selfcheck::{Flaw, Trial};
use crate::pki::book::{Certificate, Terms};
use crate::pki::configuration::Configuration;
use crate::pki::{secret, x509};
use k8s_openapi::api::core::v1::Secret;

const PART: &str = "webhooks";

pub(super) fn findings(picture: &Picture) -> Vec<Finding> {
    let installation = &picture.installation;
    let service = &installation.service;
    let mutating = picture.mutating.as_ref();
    let mutating = mutating.map(|found| found.as_ref().map(|object| Configuration::mutating(object, service)));
    let validating = picture.validating.as_ref();
    let validating = validating.map(|found| found.as_ref().map(|object| Configuration::validating(object, service)));
    let mut found = vec![
        configuration(
            "MutatingWebhookConfiguration",
            &installation.mutating,
            mutating,
            picture,
        ),
        configuration(
            "ValidatingWebhookConfiguration",
            &installation.validating,
            validating,
            picture,
        ),
    ];
    found.extend(lenient(picture));
    found.push(trial(installation, &picture.trial));
    found
}

fn configuration(kind: &str, name: &str, answer: Result<Option<Configuration>, &String>, picture: &Picture) -> Finding {
    let object = format!("{kind} {name}");
    let installation = &picture.installation;
    let configuration = match answer {
        Err(why) => return Finding::unseen(PART, object, why),
        Ok(None) => {
            return Finding::problem(PART, object, "is not there: nothing is filled in or checked by it")
                .at("metadata.name", name)
                .remedy(format!("{} brings it back", installation.upgrade()));
        }
        Ok(Some(configuration)) => configuration,
    };
    if configuration.webhooks.is_empty() {
        return Finding::problem(
            PART,
            object,
            format!("calls no Service {}", installation.service.host()),
        )
        .at("webhooks[].clientConfig.service", "another, or none")
        .remedy(format!("{} brings it back", installation.upgrade()));
    }
    let secret = picture.secret.as_ref().ok().and_then(Option::as_ref);
    for webhook in &configuration.webhooks {
        let field = format!("webhooks[{}].clientConfig.caBundle", webhook.name);
        if webhook.trusted.is_empty() {
            return Finding::problem(PART, object, "trusts nobody: the API server cannot call it")
                .at(field, "empty")
                .remedy(filled(installation.keeper));
        }
        if let Err(why) = trusts(&webhook.trusted, secret, picture) {
            let ends = webhook
                .trusted
                .iter()
                .map(|certificate| certificate.not_after.to_string());
            let ends: Vec<String> = ends.collect();
            return Finding::problem(PART, object, format!("does not trust what is served: {why}"))
                .at(field, format!("{} certificates, until {}", ends.len(), ends.join(", ")))
                .remedy(filled(installation.keeper));
        }
    }
    Finding::ok(
        PART,
        object,
        if secret.is_some() {
            "is there and trusts what is served"
        } else {
            "is there and trusts somebody"
        },
    )
}

fn filled(keeper: Keeper) -> &'static str {
    match keeper {
        Keeper::Operator => "a running operator writes it within a minute: look at its pods, its log and its rights",
        Keeper::Other => {
            "see that the Secret has a ca.crt, that cert-manager's cainjector runs where it keeps the trust, or give webhook.tls.caBundle"
        }
    }
}

/// Whether these vouch for what the Secret has served.
fn trusts(trusted: &[Certificate], secret: Option<&Secret>, picture: &Picture) -> Result<(), String> {
    let Some(object) = secret else { return Ok(()) };
    let service = &picture.installation.service;
    if picture.installation.keeper == Keeper::Operator {
        let stored = secret::read(Some(object), service, &Terms::default());
        // Without a book there is nothing to compare with; that is told of the Secret.
        let Some(book) = stored.book() else { return Ok(()) };
        let known = trusted.contains(&book.active.certificate);
        return if known {
            Ok(())
        } else {
            Err("the authority in the Secret is not in it".into())
        };
    }
    let (chain, key) = (secret::field(object, "tls.crt"), secret::field(object, "tls.key"));
    let Ok((leaf, _)) = x509::read_pair(chain, key) else {
        return Ok(());
    };
    x509::verify(&leaf, service, trusted, picture.now)
}

/// Objects that pass unchecked while nobody answers.
fn lenient(picture: &Picture) -> Option<Finding> {
    let object = picture.validating.as_ref().ok()?.as_ref()?;
    let webhook = object
        .webhooks
        .as_deref()
        .unwrap_or_default()
        .iter()
        .find(|webhook| webhook.failure_policy.as_deref() == Some("Ignore"))?;
    let name = format!("ValidatingWebhookConfiguration {}", picture.installation.validating);
    let message = "objects pass unchecked while no operator answers; it checks them again when it is back";
    Some(
        Finding::note(PART, name, message)
            .at(format!("webhooks[{}].failurePolicy", webhook.name), "Ignore")
            .remedy("the chart value webhook.failurePolicy.validating: Fail"),
    )
}

fn trial(installation: &Installation, (place, tried): &(String, Answer<Trial>)) -> Finding {
    let object = format!("LMDeployment, tried in the namespace {place}");
    let tried = match tried {
        Err(why) => return Finding::unseen(PART, object, why),
        Ok(tried) => tried,
    };
    let flaw = match tried.verdict() {
        Ok(()) => {
            return Finding::ok(
                PART,
                object,
                "a good one is admitted and filled, a bad one refused with its cause",
            );
        }
        Err(flaw) => flaw,
    };
    let text = flaw.to_string();
    match flaw {
        Flaw::NotAllowed(_, why) => Finding::unseen(PART, object, &why),
        Flaw::Unreachable(..) => Finding::problem(PART, object, text).remedy(format!(
            "see that the pods of the operator are ready, and that the API server reaches TCP 10250 of them; \
             without any operator: kubectl delete validatingwebhookconfiguration {}",
            installation.validating
        )),
        Flaw::Unfilled(_, value) => Finding::problem(PART, object, text)
            .at("spec.ollama.replicas", value)
            .remedy(format!(
                "the mutating webhook was not asked or not reached: {}",
                installation.upgrade()
            )),
        Flaw::Admitted(_) => Finding::problem(PART, object, text)
            .at("spec.ollama.models[0]", "\"not a model\"")
            .remedy(format!("no webhook was asked: {}", installation.upgrade())),
        Flaw::Refused(..) | Flaw::OtherCause(..) => Finding::problem(PART, object, text)
            .remedy("see whose words these are: a definition that is missing or old, a policy, or another webhook"),
    }
}
