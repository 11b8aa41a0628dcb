//! The names of an installation, as the arguments of its Deployment say them.

use crate::base::settings::Settings;
use crate::cli::run;
use crate::pki::Service;
use anyhow::Context;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::PodSpec;
use kube::ResourceExt;

/// The namespace of the documents.
pub(super) const NAMESPACE: &str = "llm-operator-system";

/// The annotation of the pods that holds the settings file.
const SETTINGS: &str = "llm.geeper.io/settings";

/// Who keeps the certificate of the webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keeper {
    /// The operator: the Secret holds its authority.
    Operator,
    /// Somebody else: the Secret holds the certificate itself.
    Other,
}

/// Where everything of one installation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Installation {
    /// The release of Helm.
    pub release: String,
    /// The Deployment.
    pub deployment: String,
    /// The ServiceAccount.
    pub account: String,
    /// Whether the older names of LMDeployment are looked after.
    pub legacy: bool,
    /// The Service of the webhooks; its namespace is the operator's.
    pub service: Service,
    /// The Lease.
    pub lease: String,
    /// The Secret of the certificate.
    pub secret: String,
    /// Who keeps it.
    pub keeper: Keeper,
    /// Whether the operator tells the API server whom to trust.
    pub injects: bool,
    /// The mutating configuration.
    pub mutating: String,
    /// The validating configuration.
    pub validating: String,
    /// The namespaces that are looked after; none means all.
    pub watched: Vec<String>,
}

impl Installation {
    /// The installation of a Deployment; without one, what the chart makes in that namespace.
    ///
    /// # Errors
    /// When an argument of its container cannot be read.
    pub fn of(deployment: Option<&Deployment>, namespace: &str) -> anyhow::Result<Self> {
        let labels = deployment.map(ResourceExt::labels);
        let label = labels.and_then(|labels| labels.get("app.kubernetes.io/instance"));
        let release = label.map_or("llm-operator", String::as_str).to_owned();
        let pod = deployment.and_then(|d| d.spec.as_ref()?.template.spec.as_ref());
        let found = deployment.and_then(ResourceExt::namespace);
        let namespace = found.unwrap_or_else(|| namespace.to_owned());
        let args =
            run::Args::read(&arguments(pod, &namespace)).context("the arguments of the operator's Deployment")?;
        let account = pod.and_then(|pod| pod.service_account_name.clone());
        let name = deployment.map(ResourceExt::name_any);
        Ok(Self {
            deployment: name.unwrap_or_else(|| "llm-operator-controller-manager".into()),
            account: account.unwrap_or_else(|| "llm-operator".into()),
            legacy: settings(deployment).unwrap_or_default().kinds.legacy_names,
            service: Service {
                name: args.service_name,
                namespace,
            },
            lease: args.lease,
            injects: args.inject_ca,
            keeper: match args.certificate_secret {
                Some(_) => Keeper::Other,
                None => Keeper::Operator,
            },
            secret: args.certificate_secret.unwrap_or(args.ca_secret),
            mutating: args.mutating_webhook,
            validating: args.validating_webhook,
            watched: args.watch_namespaces,
            release,
        })
    }

    /// The operator's namespace.
    pub fn namespace(&self) -> &str {
        &self.service.namespace
    }

    /// The name under which the operator asks the API server.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace(), self.account)
    }

    /// What brings back what the chart makes.
    pub fn upgrade(&self) -> String {
        format!(
            "helm upgrade {} charts/llm-operator --namespace {} --reuse-values",
            self.release,
            self.namespace()
        )
    }
}

/// What the container says after `run`, with the namespace in place of its variable.
fn arguments(pod: Option<&PodSpec>, namespace: &str) -> Vec<String> {
    let container = pod.and_then(|pod| pod.containers.first());
    let given = container
        .and_then(|container| container.args.as_deref())
        .unwrap_or_default();
    let after = given.iter().skip_while(|word| *word != "run").skip(1);
    after.map(|word| word.replace("$(POD_NAMESPACE)", namespace)).collect()
}

/// What the chart has put beside the container.
fn settings(deployment: Option<&Deployment>) -> Option<Settings> {
    let pod = deployment?.spec.as_ref()?.template.metadata.as_ref()?;
    let text = pod.annotations.as_ref()?.get(SETTINGS)?;
    serde_saphyr::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_those_of_the_arguments() {
        let deployment = json!({"metadata": {"name": "mine-controller-manager", "namespace": "ml",
            "labels": {"app.kubernetes.io/instance": "mine"}},
            "spec": {"selector": {}, "template": {"metadata": {"annotations": {SETTINGS: "kinds: {legacyNames: false}"}},
            "spec": {"serviceAccountName": "robot",
            "containers": [{"name": "manager", "args": ["run", "--namespace=$(POD_NAMESPACE)", "--service-name=mine-webhook",
                "--certificate-secret=mine-tls", "--inject-ca=false", "--lease=mine-leader", "--mutating-webhook=ml-mine-mutating",
                "--validating-webhook=ml-mine-validating", "--watch-namespace=a", "--watch-namespace=b", "--from-the-future=1"]}]}}}});
        let deployment = serde_json::from_value(deployment).unwrap();
        let found = Installation::of(Some(&deployment), "elsewhere").unwrap();
        assert_eq!(found.namespace(), "ml");
        assert_eq!((found.release.as_str(), found.account.as_str()), ("mine", "robot"));
        assert_eq!((found.lease.as_str(), found.legacy), ("mine-leader", false));
        assert_eq!((found.secret.as_str(), found.keeper), ("mine-tls", Keeper::Other));
        assert!(!found.injects, "the chart tells the API server whom to trust");
        assert_eq!(
            (found.mutating.as_str(), found.validating.as_str()),
            ("ml-mine-mutating", "ml-mine-validating")
        );
        assert_eq!(found.watched, ["a", "b"]);
        assert_eq!(found.service.host(), "mine-webhook.ml.svc");
        assert_eq!(found.user(), "system:serviceaccount:ml:robot");
    }

    #[test]
    fn without_a_deployment_the_names_are_the_charts() {
        let found = Installation::of(None, NAMESPACE).unwrap();
        assert_eq!(found.service.host(), "llm-operator-webhook.llm-operator-system.svc");
        assert_eq!(
            (found.secret.as_str(), found.keeper),
            ("llm-operator-webhook-ca", Keeper::Operator)
        );
        assert_eq!(found.validating, "llm-operator-system-llm-operator-validating");
        assert_eq!(found.watched, [""; 0]);
    }
}
