//! Whether admission works in a cluster: a server-side dry run of a good object and of a bad one, of each kind of stack.

use crate::base::object::STACKS;
use crate::kind::{self, Form};
use anyhow::Context;
use kube::api::PostParams;
use kube::core::{DynamicObject, Status};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::process::ExitCode;

/// What the bad object holds, and the field at which it is refused. No schema knows this rule: who refuses it has asked
/// a webhook.
const BAD: (&str, &str) = ("not a model", "spec.ollama.models[0]");

/// Arguments of `selfcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The namespace in which the objects are tried; nothing is stored.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    namespace: String,
    /// Try the older names of LMDeployment as well.
    #[arg(long)]
    legacy_names: bool,
}

/// What the API server said of a good object and of a bad one.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// Their kind.
    pub kind: &'static str,
    /// The good one as it would be stored, or the refusal.
    pub good: Result<Value, Box<Status>>,
    /// The same of the bad one.
    pub bad: Result<Value, Box<Status>>,
}

/// Why admission does not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// Whoever asks may not make such objects, so it cannot be seen.
    #[error("a {0} could not be tried: {1}")]
    NotAllowed(&'static str, String),
    /// The API server could not ask a webhook.
    #[error("a good {0} was not admitted: {1}")]
    Unreachable(&'static str, String),
    /// Something else refuses what is good.
    #[error("a good {0} was not admitted: {1}")]
    Refused(&'static str, String),
    /// The mutating webhook was not asked.
    #[error("a good {0} was admitted, but not filled: spec.ollama.replicas is {1}")]
    Unfilled(&'static str, Value),
    /// No webhook was asked.
    #[error("a {0} with the model {bad:?} was admitted", bad = BAD.0)]
    Admitted(&'static str),
    /// Somebody else refused it first.
    #[error("a {0} with the model {bad:?} was refused for another cause: {1}", bad = BAD.0)]
    OtherCause(&'static str, String),
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(check_all(args))?;
    println!("admission works: a good object is admitted and filled, a bad one is refused with its cause");
    Ok(ExitCode::SUCCESS)
}

async fn check_all(args: &Args) -> anyhow::Result<()> {
    let client = Client::try_default().await.context("no way to the API server")?;
    for form in kind::all() {
        let is_stack = form.kind == STACKS[0] || args.legacy_names && STACKS.contains(&form.kind);
        if is_stack {
            Trial::of(&client, &args.namespace, &form).await?.verdict()?;
        }
    }
    Ok(())
}

impl Trial {
    /// Tries objects of a kind.
    ///
    /// # Errors
    /// When the API server cannot be asked.
    pub async fn of(client: &Client, namespace: &str, form: &Form) -> anyhow::Result<Self> {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &form.resource());
        Ok(Self {
            kind: form.kind,
            good: tried(&api, form, "llama3.2:1b").await?,
            bad: tried(&api, form, BAD.0).await?,
        })
    }

    /// Whether both were treated as they should be.
    ///
    /// # Errors
    /// The first thing that was not so.
    pub fn verdict(&self) -> Result<(), Flaw> {
        let kind = self.kind;
        match &self.good {
            Ok(object) if object["spec"]["ollama"]["replicas"] != 1 => {
                return Err(Flaw::Unfilled(kind, object["spec"]["ollama"]["replicas"].clone()));
            }
            Ok(_) => {}
            Err(status)
                if status.code == 403 && status.reason == "Forbidden" && !status.message.contains("webhook") =>
            {
                return Err(Flaw::NotAllowed(kind, status.message.clone()));
            }
            Err(status) if status.message.contains("failed calling webhook") => {
                return Err(Flaw::Unreachable(kind, status.message.clone()));
            }
            Err(status) => return Err(Flaw::Refused(kind, status.message.clone())),
        }
        match &self.bad {
            Ok(_) => Err(Flaw::Admitted(kind)),
            Err(status) if status.code == 422 && status.message.contains(BAD.1) => Ok(()),
            Err(status) => Err(Flaw::OtherCause(kind, status.message.clone())),
        }
    }
}

/// Sends an object with this model as a dry run.
async fn tried(api: &Api<DynamicObject>, form: &Form, model: &str) -> anyhow::Result<Result<Value, Box<Status>>> {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(json!({
        "apiVersion": form.resource().api_version, "kind": form.kind,
        "metadata": {"generateName": "selfcheck-"}, "spec": {"ollama": {"models": [model]}},
    }))?;
    match api.create(&dry, &object).await {
        Ok(object) => Ok(Ok(json!(object))),
        Err(kube::Error::Api(status)) => Ok(Err(status)),
        Err(error) => Err(error).with_context(|| format!("a {} could not be tried", form.kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, message: &str) -> Box<Status> {
        let status = json!({"status": "Failure", "code": code, "reason": reason, "message": message});
        Box::new(serde_json::from_value(status).unwrap())
    }

    fn trial(good: Result<Value, Box<Status>>, bad: Result<Value, Box<Status>>) -> Result<(), Flaw> {
        let kind = "LMDeployment";
        Trial { kind, good, bad }.verdict()
    }

    fn filled() -> Value {
        json!({"spec": {"ollama": {"replicas": 1}}})
    }

    #[test]
    fn admission_works_where_the_good_one_is_filled_and_the_bad_one_refused_at_its_field() {
        let refused = "LMDeployment is invalid: spec.ollama.models[0]: Invalid value";
        assert_eq!(trial(Ok(filled()), Err(status(422, "Invalid", refused))), Ok(()));
    }

    #[test]
    fn each_flaw_is_told_from_the_others() {
        let bad = || Err(status(422, "Invalid", "spec.ollama.models[0]: no"));
        let bare = Ok(json!({"spec": {"ollama": {}}}));
        assert_eq!(trial(bare, bad()), Err(Flaw::Unfilled("LMDeployment", Value::Null)));
        assert_eq!(trial(Ok(filled()), Ok(filled())), Err(Flaw::Admitted("LMDeployment")));
        let failed = "Internal error occurred: failed calling webhook \"checks.llm.geeper.io\": connection refused";
        let flaw = trial(Err(status(500, "InternalError", failed)), bad()).unwrap_err();
        assert!(
            matches!(&flaw, Flaw::Unreachable(_, why) if why.contains("checks.llm.geeper.io")),
            "{flaw}"
        );
        let forbidden = "lmdeployments.llm.geeper.io is forbidden: User \"x\" cannot create resource";
        let flaw = trial(Err(status(403, "Forbidden", forbidden)), bad()).unwrap_err();
        assert!(matches!(flaw, Flaw::NotAllowed(..)), "{flaw}");
        let flaw = trial(Ok(filled()), Err(status(422, "Invalid", "spec.ollama.replicas: no"))).unwrap_err();
        assert!(matches!(flaw, Flaw::OtherCause(..)), "{flaw}");
        let missing = trial(
            Err(status(
                404,
                "NotFound",
                "the server could not find the requested resource",
            )),
            bad(),
        );
        assert!(matches!(missing.unwrap_err(), Flaw::Refused(..)));
    }
}
