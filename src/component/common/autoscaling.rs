//! How many replicas a component has where load decides: the fields, their rules, and the autoscaler.

use super::pod::Pod;
use crate::base::crd;
use crate::base::issue::Issue;
use crate::base::object::{Counted, Object, find};
use crate::base::seen::Seen;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use validator::Validate;

/// How many replicas run where load decides.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema, Validate)]
#[serde(rename_all = "camelCase")]
pub struct AutoscalingSpec {
    /// Whether load decides how many replicas run, in place of `replicas`. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The fewest replicas. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1))]
    pub min_replicas: Option<i32>,
    /// The most replicas, within the bounds of `replicas`. Required when enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[validate(range(min = 1))]
    pub max_replicas: Option<i32>,
    /// What is measured (autoscaling/v2 MetricSpec). Default: CPU, 80 % of what the pods request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crd::objects")]
    pub metrics: Option<Vec<Value>>,
}

/// What can be measured: the type, and the field that says more of it.
const METRICS: [(&str, &str); 5] = [
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
    ("Pods", "pods"),
    ("Object", "object"),
    ("External", "external"),
];

const NO_MAXIMUM: &str = "autoscaling needs the most replicas that may run; give maxReplicas, or set enabled to false";

impl AutoscalingSpec {
    /// The block, where it is on.
    #[must_use]
    pub fn on(block: Option<&Self>) -> Option<&Self> {
        block.filter(|block| block.enabled == Some(true))
    }

    /// The fewest replicas.
    #[must_use]
    pub fn least(&self) -> i32 {
        self.min_replicas.unwrap_or(1)
    }

    /// The most replicas.
    #[must_use]
    pub fn most(&self) -> i32 {
        self.max_replicas.unwrap_or(1).max(self.least())
    }

    /// Replicas that are asked for now: what the workload says, since load decides.
    #[must_use]
    pub fn count(&self, live: Option<&DynamicObject>) -> i32 {
        let asked = live.and_then(|live| live.data["spec"]["replicas"].as_i64());
        asked.and_then(|n| i32::try_from(n).ok()).unwrap_or(0).max(self.least())
    }

    /// Who counts the replicas of a workload, which begins with as many as the one that it follows had.
    #[must_use]
    pub fn counted(&self, former: Option<&DynamicObject>) -> Counted {
        Counted {
            least: self.least(),
            most: self.most(),
            start: self.count(former).min(self.most()),
        }
    }

    /// Every rule on the block where it is on; `highest` is the bound of the component's `replicas`.
    #[must_use]
    pub fn check(block: Option<&Self>, path: &str, highest: i32) -> Vec<Issue> {
        let Some(block) = Self::on(block) else {
            return vec![];
        };
        let at = |field: &str| format!("{path}.autoscaling.{field}");
        let mut issues = vec![];
        let Some(most) = block.max_replicas else {
            issues.push(Issue::required(at("maxReplicas"), "autoscaling", NO_MAXIMUM).fatal());
            issues.extend(block.check_metrics(&at("metrics")));
            return issues;
        };
        if most > highest {
            let detail = format!("must be 1 to {highest}");
            issues.push(Issue::invalid(at("maxReplicas"), "bounds", most, detail));
        }
        if block.least() > most {
            let detail = format!("must not be above maxReplicas, which is {most}; lower one or raise the other");
            issues.push(Issue::invalid(at("minReplicas"), "autoscaling", block.least(), detail).fatal());
        }
        issues.extend(block.check_metrics(&at("metrics")));
        issues
    }

    fn check_metrics(&self, path: &str) -> Vec<Issue> {
        let each = self.metrics.iter().flatten().enumerate();
        each.filter_map(|(i, metric)| {
            let kind = metric["type"].as_str().unwrap_or_default();
            let Some((_, field)) = METRICS.iter().find(|(name, _)| *name == kind) else {
                let known = METRICS.map(|(name, _)| name);
                return Some(Issue::unsupported(format!("{path}[{i}].type"), "metric", kind, &known));
            };
            let detail = format!("a metric of type {kind} is described there");
            let at = format!("{path}[{i}].{field}");
            (!metric[field].is_object()).then(|| Issue::required(at, "metric", detail))
        })
        .collect()
    }

    /// The autoscaler of the pods' workload, which is of that kind; with `alone` it keeps to one replica.
    #[must_use]
    pub fn object(&self, pod: &Pod<'_>, kind: &str, alone: bool) -> Object {
        let cpu = json!([{
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
        }]);
        let given = self.metrics.as_ref().filter(|list| !list.is_empty());
        let (least, most) = if alone { (1, 1) } else { (self.least(), self.most()) };
        pod.object::<HorizontalPodAutoscaler>(json!({"spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": kind, "name": pod.name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": given.map_or(cpu, |list| json!(list)),
        }}))
    }
}

/// What the autoscaler of a workload cannot do, in its own words.
#[must_use]
pub fn trouble(seen: &Seen<'_>, workload: &str) -> Option<String> {
    let live = find::<HorizontalPodAutoscaler>(seen.live, workload)?;
    let conditions = live.data["status"]["conditions"].as_array()?;
    let wrong = |c: &&Value| ["AbleToScale", "ScalingActive"].iter().any(|t| c["type"] == *t) && c["status"] == "False";
    let message = conditions.iter().find(wrong)?["message"].as_str().unwrap_or_default();
    Some(format!("HorizontalPodAutoscaler {workload}: {message}"))
}

/// The most replicas there may be, in CEL, given what a component without autoscaling may be told.
#[must_use]
pub fn several(on: &str) -> String {
    let scaled = "(has(self.autoscaling) && has(self.autoscaling.enabled) && self.autoscaling.enabled)";
    let most = "(has(self.autoscaling.maxReplicas) && self.autoscaling.maxReplicas > 1)";
    format!("{on} && ({scaled} ? {most} : (has(self.replicas) && self.replicas > 1))")
}

/// The rules on the block in CEL; `on` says that the component is.
#[must_use]
pub fn rules(on: &str, highest: i32) -> Vec<Value> {
    let on = format!("{on} && has(self.autoscaling) && has(self.autoscaling.enabled) && self.autoscaling.enabled");
    let (least, most) = ("self.autoscaling.minReplicas", "self.autoscaling.maxReplicas");
    let missing = format!("{on} && !has({most})");
    let above = format!("{on} && has({most}) && {most} > {highest}");
    let crossed = format!("{on} && has({least}) && has({most}) && {least} > {most}");
    vec![
        crd::rule(&missing, ".autoscaling", NO_MAXIMUM),
        crd::rule(
            &above,
            ".autoscaling.maxReplicas",
            &format!("maxReplicas must be 1 to {highest}"),
        ),
        crd::rule(
            &crossed,
            ".autoscaling.minReplicas",
            "minReplicas must not be above maxReplicas",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(fields: Value) -> AutoscalingSpec {
        serde_json::from_value(fields).unwrap()
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let spec = block(
            json!({"enabled": true, "minReplicas": 12, "maxReplicas": 11, "metrics": [{"type": "Cpu"}, {"type": "Pods"}]}),
        );
        let issues = AutoscalingSpec::check(Some(&spec), "spec.ollama", 10);
        let paths: Vec<&str> = issues.iter().map(|i| i.path.as_str()).collect();
        let at = |field: &str| format!("spec.ollama.autoscaling.{field}");
        assert_eq!(
            paths,
            [
                at("maxReplicas"),
                at("minReplicas"),
                at("metrics[0].type"),
                at("metrics[1].pods")
            ]
        );
    }

    #[test]
    fn a_block_that_is_off_is_not_looked_at() {
        for fields in [json!({}), json!({"enabled": false, "minReplicas": 9, "maxReplicas": 2})] {
            let spec = block(fields);
            assert_eq!(AutoscalingSpec::check(Some(&spec), "spec.ollama", 10), []);
            assert_eq!(AutoscalingSpec::on(Some(&spec)), None);
        }
        let spec = block(json!({"enabled": true}));
        assert_eq!(
            AutoscalingSpec::check(Some(&spec), "spec.ollama", 10)[0].rule,
            "autoscaling"
        );
    }

    #[test]
    fn a_workload_begins_with_what_the_former_had_within_the_bounds() {
        let spec = block(json!({"enabled": true, "minReplicas": 2, "maxReplicas": 4}));
        let former = |n: i64| {
            let object = json!({"metadata": {}, "spec": {"replicas": n}});
            serde_json::from_value::<DynamicObject>(object).unwrap()
        };
        let starts = [0, 3, 9].map(|n| spec.counted(Some(&former(n))).start);
        assert_eq!(starts, [2, 3, 4]);
        assert_eq!(spec.counted(None).start, 2);
        assert_eq!(spec.count(Some(&former(9))), 9);
    }
}
