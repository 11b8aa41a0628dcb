//! Everything that the doctor looked at, at one moment.

use super::installation::Installation;
use super::needs::Need;
use crate::cli::selfcheck::Trial;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use std::collections::BTreeSet;

/// What came of a question; or why it was not answered, for people.
pub(super) type Answer<T> = Result<T, String>;

/// A right, and whether its verbs are allowed.
pub(super) struct Right {
    /// The right.
    pub need: Need,
    /// The verbs that are not.
    pub lacking: Answer<Vec<&'static str>>,
}

/// The answers.
pub(super) struct Picture {
    /// When they were given.
    pub now: Timestamp,
    /// The version of the API server, such as `v1.37.0`.
    pub server: String,
    /// Where everything is.
    pub installation: Installation,
    /// The Deployments of operators; more than one are several installations.
    pub deployments: Answer<Vec<Deployment>>,
    /// The pods of this one.
    pub pods: Answer<Vec<Pod>>,
    /// What each pod measures of itself, by its name.
    pub metrics: Vec<(String, Answer<String>)>,
    /// The Lease.
    pub lease: Answer<Option<Lease>>,
    /// Our definitions, by their names.
    pub definitions: Vec<(String, Answer<Option<CustomResourceDefinition>>)>,
    /// The mutating configuration.
    pub mutating: Answer<Option<MutatingWebhookConfiguration>>,
    /// The validating configuration.
    pub validating: Answer<Option<ValidatingWebhookConfiguration>>,
    /// The Secret of the certificate.
    pub secret: Answer<Option<Secret>>,
    /// What came of a good object and a bad one, and the namespace in which they were tried.
    pub trial: (String, Answer<Trial>),
    /// The rights of the operator.
    pub rights: Vec<Right>,
    /// Whether whoever asks may make stacks in that namespace.
    pub own: Answer<bool>,
    /// The storage classes.
    pub classes: Answer<Vec<StorageClass>>,
    /// The nodes.
    pub nodes: Answer<Vec<Node>>,
    /// The groups of the API that the cluster serves.
    pub groups: Answer<BTreeSet<String>>,
}
