//! The questions to the API server. Nothing is changed: objects are read, rights asked about, and two dry runs sent.

use super::installation::{Installation, NAMESPACE};
use super::judge::definition_name;
use super::needs::{Need, needs};
use super::picture::{Answer, Picture, Right};
use crate::cli::selfcheck::Trial;
use crate::kind;
use anyhow::Context;
use axum::http::Request;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::time::Duration;
use tokio::time::timeout;

/// The operator's Deployments and pods have these.
const OPERATOR: &str = "app.kubernetes.io/name=llm-operator,app.kubernetes.io/component=controller-manager";
/// Where a pod answers with its metrics.
const METRICS: u16 = 8080;
/// A pod that cannot be reached is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Questions about rights that are under way at a time.
const ABREAST: usize = 16;

/// Asks everything. `namespace` is the operator's, where it was given.
///
/// # Errors
/// When there is no way to the API server.
pub(super) async fn picture(client: &Client, namespace: Option<&str>) -> anyhow::Result<Picture> {
    let version = client.apiserver_version().await;
    let server = version.context("no way to the API server")?.git_version;
    let deployments = deployments(client, namespace).await;
    let first = deployments.as_ref().ok().and_then(|all| all.first());
    let installation = Installation::of(first, namespace.unwrap_or(NAMESPACE))?;
    let place = installation.namespace().to_owned();
    let pods: Answer<Vec<Pod>> = listed(Api::namespaced(client.clone(), &place), OPERATOR).await;
    let names: Vec<String> = pods
        .iter()
        .flatten()
        .filter(|pod| runs(pod))
        .map(ResourceExt::name_any)
        .collect();
    let tried = installation.watched.first().unwrap_or(&place).clone();
    Ok(Picture {
        now: Timestamp::now(),
        server,
        metrics: metrics(client, &place, names).await,
        lease: found(Api::namespaced(client.clone(), &place), &installation.lease).await,
        definitions: definitions(client).await,
        mutating: found(Api::all(client.clone()), &installation.mutating).await,
        validating: found(Api::all(client.clone()), &installation.validating).await,
        secret: found(Api::namespaced(client.clone(), &place), &installation.secret).await,
        rights: rights(client, &installation).await,
        own: own(client, &tried).await,
        trial: trial(client, tried).await,
        classes: listed(Api::all(client.clone()), "").await,
        nodes: listed(Api::all(client.clone()), "").await,
        groups: groups(client).await,
        installation,
        deployments,
        pods,
    })
}

/// What the API server said in place of an answer.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message,
        other => other.to_string(),
    }
}

async fn found<K: Clone + Debug + DeserializeOwned>(api: Api<K>, name: &str) -> Answer<Option<K>> {
    api.get_opt(name).await.map_err(said)
}

async fn listed<K: Clone + Debug + DeserializeOwned>(api: Api<K>, labels: &str) -> Answer<Vec<K>> {
    let list = api.list(&ListParams::default().labels(labels)).await;
    list.map(|list| list.items).map_err(said)
}

/// Those of the namespace that was given, or all; where not all may be seen, those of the usual namespace.
async fn deployments(client: &Client, namespace: Option<&str>) -> Answer<Vec<Deployment>> {
    let inside = |namespace: &str| listed(Api::namespaced(client.clone(), namespace), OPERATOR);
    if let Some(namespace) = namespace {
        return inside(namespace).await;
    }
    match listed(Api::all(client.clone()), OPERATOR).await {
        Ok(all) => Ok(all),
        Err(_) => inside(NAMESPACE).await,
    }
}

fn runs(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    phase == Some("Running") && pod.metadata.deletion_timestamp.is_none()
}

/// Through the API server, so that it works from everywhere.
async fn metrics(client: &Client, namespace: &str, pods: Vec<String>) -> Vec<(String, Answer<String>)> {
    let mut all = vec![];
    for pod in pods {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{METRICS}/proxy/metrics");
        let answer = match Request::get(path).body(vec![]) {
            Err(error) => Err(error.to_string()),
            Ok(request) => match timeout(PATIENCE, client.request_text(request)).await {
                Ok(answer) => answer.map_err(said),
                Err(_) => Err(format!("its metrics did not come within {} s", PATIENCE.as_secs())),
            },
        };
        all.push((pod, answer));
    }
    all
}

async fn definitions(
    client: &Client,
) -> Vec<(
    String,
    Answer<Option<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>>,
)> {
    let mut all = vec![];
    for form in kind::all() {
        let name = definition_name(&form);
        let answer = found(Api::all(client.clone()), &name).await;
        all.push((name, answer));
    }
    all
}

async fn groups(client: &Client) -> Answer<BTreeSet<String>> {
    let list = client.list_api_groups().await.map_err(said)?;
    Ok(list.groups.into_iter().map(|group| group.name).collect())
}

async fn trial(client: &Client, namespace: String) -> (String, Answer<Trial>) {
    let Some(form) = kind::all().into_iter().next() else {
        return (namespace, Err("there is no kind".into()));
    };
    let tried = Trial::of(client, &namespace, &form).await;
    (namespace, tried.map_err(|error| format!("{error:#}")))
}

async fn own(client: &Client, namespace: &str) -> Answer<bool> {
    let form = kind::all().into_iter().next();
    let attributes = ResourceAttributes {
        group: form.map(|form| form.group.into()),
        resource: form.map(|form| form.plural.into()),
        namespace: Some(namespace.into()),
        verb: Some("create".into()),
        ..ResourceAttributes::default()
    };
    may(client, attributes, None).await
}

async fn rights(client: &Client, installation: &Installation) -> Vec<Right> {
    let user = installation.user();
    let needs = stream::iter(needs(installation));
    let asked = needs.map(|need| {
        let user = user.clone();
        async move {
            let lacking = lacking(client, &need, &user).await;
            Right { need, lacking }
        }
    });
    asked.buffered(ABREAST).collect().await
}

/// The verbs of a need that this user is not allowed.
async fn lacking(client: &Client, need: &Need, user: &str) -> Answer<Vec<&'static str>> {
    let (resource, subresource) = match need.resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (need.resource.as_str(), None),
    };
    let mut lacking = vec![];
    for verb in &need.verbs {
        let attributes = ResourceAttributes {
            group: Some(need.group.into()),
            resource: Some(resource.into()),
            subresource: subresource.clone(),
            namespace: need.namespace.clone(),
            name: need.name.clone(),
            verb: Some((*verb).into()),
            ..ResourceAttributes::default()
        };
        if !may(client, attributes, Some(user)).await? {
            lacking.push(*verb);
        }
    }
    Ok(lacking)
}

/// Whether a user may do something; without a user, whoever asks.
async fn may(client: &Client, attributes: ResourceAttributes, user: Option<&str>) -> Answer<bool> {
    let attributes = Some(attributes);
    let params = PostParams::default();
    let status = if let Some(user) = user {
        let spec = SubjectAccessReviewSpec {
            user: Some(user.into()),
            groups: Some(groups_of(user)),
            resource_attributes: attributes,
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview {
            spec,
            ..SubjectAccessReview::default()
        };
        let answer = Api::all(client.clone()).create(&params, &review).await;
        answer.map_err(said)?.status
    } else {
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: attributes,
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview {
            spec,
            ..SelfSubjectAccessReview::default()
        };
        let answer = Api::all(client.clone()).create(&params, &review).await;
        answer.map_err(said)?.status
    };
    Ok(status.is_some_and(|status| status.allowed))
}

/// The groups of a ServiceAccount, `system:serviceaccount:<namespace>:<name>`.
fn groups_of(user: &str) -> Vec<String> {
    let namespace = user.split(':').nth(2).unwrap_or_default();
    vec![
        "system:serviceaccounts".into(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".into(),
    ]
}
