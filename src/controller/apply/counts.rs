//! Workloads whose replicas load decides: the count goes to another manager before ours stops sending it.

use super::{Error, Job};
use crate::base::object::{Counted, Object};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use kube::core::DynamicObject;
use serde_json::{Value, json};

/// The manager that owns the replicas of workloads that are scaled by load, until an autoscaler has changed them.
const COUNTS: &str = "llm-operator/replicas";
/// How often a workload that changes all the time is read anew.
const TRIES: usize = 5;

impl Job<'_> {
    /// A field that an apply leaves out is gone where nobody else owns it, and `spec.replicas` is then 1: every pod but
    /// one would stop. So the count first gets another manager that owns it too, until an autoscaler changes it.
    pub(super) async fn hand_over(&self, counted: Counted) -> Result<(), Error> {
        let parameters = PatchParams::apply(COUNTS).force();
        let mut tries = 0;
        loop {
            let found = self.api().get_opt(&self.object.name).await;
            let Some(live) = found.map_err(|e| self.failed("read", e))? else {
                return Ok(());
            };
            let Some(body) = handed_over(&live, self.object, self.manager, counted) else {
                return Ok(());
            };
            match self
                .api()
                .patch(&self.object.name, &parameters, &Patch::Apply(&body))
                .await
            {
                Ok(_) => return Ok(()),
                // It has changed since it was read, as workloads do.
                Err(kube::Error::Api(status)) if status.code == 409 && tries < TRIES => tries += 1,
                Err(error) => return Err(self.failed("hand over the replicas of", error)),
            }
        }
    }
}

/// What gives the count of a workload to another manager, where ours still owns it: as many as there are, within the
/// bounds of the autoscaler, which stands still at 0.
fn handed_over(live: &DynamicObject, object: &Object, manager: &str, counted: Counted) -> Option<Value> {
    let ours = live.managed_fields().iter().any(|entry| {
        let owns = |fields: &FieldsV1| !fields.0["f:spec"]["f:replicas"].is_null();
        entry.manager.as_deref() == Some(manager) && entry.fields_v1.as_ref().is_some_and(owns)
    });
    let asked = live.data["spec"]["replicas"].as_i64().unwrap_or_default();
    ours.then(|| {
        json!({
            "apiVersion": object.resource.api_version,
            "kind": object.resource.kind,
            "metadata": {
                "name": object.name, "uid": live.metadata.uid, "resourceVersion": live.metadata.resource_version,
            },
            "spec": {"replicas": asked.clamp(counted.least.into(), counted.most.into())},
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::object::Owner;
    use k8s_openapi::api::apps::v1::Deployment;

    const OURS: &str = "llm-operator/lmdeployment";

    fn asked(manager: &str, replicas: i32) -> Option<Value> {
        let fields = json!({"f:spec": {"f:replicas": {}}});
        let live = json!({
            "metadata": {"name": "chat-ollama", "uid": "u2", "resourceVersion": "7", "managedFields": [
                {"manager": manager, "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": fields},
            ]},
            "spec": {"replicas": replicas},
        });
        let owner = Owner::sample();
        let counted = Counted {
            least: 2,
            most: 5,
            start: 2,
        };
        let object = owner
            .object::<Deployment>("ollama", "chat-ollama", json!({"spec": {}}))
            .counted(counted);
        handed_over(&serde_json::from_value(live).unwrap(), &object, OURS, counted)
    }

    #[test]
    fn as_many_as_there_are_are_handed_over_within_the_bounds() {
        let counts = [0, 4, 9].map(|n| asked(OURS, n).unwrap()["spec"]["replicas"].clone());
        assert_eq!(counts, [2, 4, 5]);
        assert_eq!(asked(OURS, 4).unwrap()["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn what_an_autoscaler_counts_is_left_alone() {
        assert_eq!(asked("kube-controller-manager", 4), None);
    }
}
