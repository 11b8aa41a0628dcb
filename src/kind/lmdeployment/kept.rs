//! Data that outlives the part of the stack that made it: what is kept, which is said in the status, and what is not.

use super::LMDeployment;
use super::chat::Database;
use super::trouble::block as path;
use crate::base::issue::{Concern, Review};
use crate::base::object::{Object, RETAINED_FOR, all, find};
use crate::base::seen::Seen;
use crate::component::common::Common;
use crate::component::common::persistence::{Persistence, Volume};
use crate::component::ollama::OllamaSpec;
use crate::component::{ollama, openwebui, pipelines, postgres, redis, tabby};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::ResourceExt;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that no part of the stack uses now, and that the next one of its name finds again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retained {
    /// PersistentVolumeClaim, or Secret for what opens one.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The part of the stack whose data it is.
    pub component: String,
    /// The size of a claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
}

/// A part with one claim.
struct Single<'a> {
    component: &'static str,
    /// The block of the manifest, whether the part is on or not.
    spec: Option<&'a Persistence>,
    size: &'static str,
    on: bool,
    /// It keeps its data unless it is told not to.
    always: bool,
}

impl Single<'_> {
    fn uses_claim(&self) -> bool {
        let said = self.spec.and_then(|spec| spec.enabled);
        let ours = self.spec.is_none_or(|spec| spec.existing_claim.is_none());
        self.on && ours && said.unwrap_or(self.always)
    }
}

impl LMDeployment {
    /// Given where the accounts are.
    fn singles(&self, accounts: Option<Database>) -> [Single<'_>; 5] {
        let chat = self.chat();
        let block = self.spec.openwebui.as_ref();
        let database = block.and_then(|c| c.database.as_ref()?.persistence.as_ref());
        let single = |component, spec, size, on, always| Single {
            component,
            spec,
            size,
            on,
            always,
        };
        let code = self.spec.tabby.as_ref().and_then(|t| t.persistence.as_ref());
        let pipes = block.and_then(|c| c.pipelines.as_ref()?.persistence.as_ref());
        let cache = block.and_then(|c| c.redis.as_ref()?.persistence.as_ref());
        let web = block.and_then(|c| c.web.persistence.as_ref());
        let runs_database = accounts == Some(Database::Postgres);
        [
            single(openwebui::NAME, web, openwebui::SIZE, chat.is_some(), true),
            single(postgres::NAME, database, postgres::SIZE, runs_database, true),
            single(
                redis::NAME,
                cache,
                redis::SIZE,
                chat.is_some_and(|c| c.redis().is_some()),
                false,
            ),
            single(
                pipelines::NAME,
                pipes,
                pipelines::SIZE,
                chat.is_some_and(|c| c.pipelines().is_some()),
                false,
            ),
            single(tabby::NAME, code, tabby::SIZE, self.tabby().is_some(), false),
        ]
    }

    /// What is kept and not used, in the order of its names.
    pub(super) fn retained(&self, seen: &Seen<'_>) -> Vec<Retained> {
        let singles = self.singles(self.chat().map(|c| self.database(c, seen)));
        let reference = seen.owner.reference();
        let unused = |live: &&DynamicObject| {
            let component = live.labels().get("app.kubernetes.io/component");
            let single = singles.iter().find(|s| component.is_some_and(|c| c == s.component));
            let used = match (single, is_claim(live)) {
                (Some(single), true) => single.uses_claim(),
                (Some(single), false) => single.on,
                (None, _) => self.uses_server_claim(&live.name_any(), seen),
            };
            is_kept(live, &reference) && !used
        };
        let claims = all::<PersistentVolumeClaim>(seen.live);
        let mut kept: Vec<Retained> = claims
            .chain(all::<Secret>(seen.live))
            .filter(unused)
            .map(retained)
            .collect();
        kept.sort();
        kept
    }

    /// True for the claim of a server of Ollama that is asked for.
    fn uses_server_claim(&self, name: &str, seen: &Seen<'_>) -> bool {
        let prefix = format!("data-{}-{}-", seen.owner.name, ollama::NAME);
        let number = name.strip_prefix(&prefix).and_then(|n| n.parse::<i32>().ok());
        let Some(ollama) = self.ollama().filter(|o| o.volume().is_some_and(|v| v.is_ours())) else {
            return false;
        };
        number.is_some_and(|number| number < ollama.most())
    }

    /// A change that takes data away says so.
    pub(super) fn warn_of_loss(&self, old: &Self, review: &mut Review) {
        let accounts = |stack: &Self| stack.chat().map(|c| c.database(stack.known_database()));
        let (now, before) = (self.singles(accounts(self)), old.singles(accounts(old)));
        let goes = |before: &Single<'_>| before.uses_claim() && before.spec.is_some_and(|spec| !spec.retains());
        let stays = |now: &Single<'_>| now.uses_claim() || now.spec.is_some_and(Persistence::retains);
        let lost = before
            .iter()
            .zip(&now)
            .filter(|(before, now)| goes(before) && !stays(now));
        let mut paths: Vec<&str> = lost.map(|(before, _)| path(before.component)).collect();
        let servers = |stack: &Self| {
            let volume = stack.ollama().and_then(OllamaSpec::volume).filter(Volume::is_ours);
            volume.map(|v| v.spec.retains())
        };
        if servers(old) == Some(false) && servers(self).is_none() {
            paths.push(path(ollama::NAME));
        }
        for path in paths {
            let text = format!("{path}: persistence.retain was false, so its claim is deleted now, with its data");
            review.warn(Concern::DataLoss, text);
        }
    }

    /// Claims of parts that are off, which were to go with their part, and which the manifest now says to keep: they are
    /// made to stay before anything is removed.
    pub(super) fn spared(&self, seen: &Seen<'_>) -> Vec<Object> {
        static PLAIN: std::sync::LazyLock<Common> = std::sync::LazyLock::new(Common::default);
        let spared = |single: &Single<'_>| {
            let spec = single.spec.filter(|spec| spec.retains() && !single.uses_claim())?;
            let name = format!("{}-{}-data", seen.owner.name, single.component);
            let live = find::<PersistentVolumeClaim>(seen.live, &name)?;
            let goes = live.owner_references().iter().any(|o| o.uid == seen.owner.uid);
            let spec = &Persistence {
                existing_claim: None,
                size: Some(live.data["spec"]["resources"]["requests"]["storage"].clone()),
                ..spec.clone()
            };
            let volume = Volume {
                spec,
                common: &PLAIN,
                size: single.size,
            };
            goes.then(|| volume.object(seen, single.component, &name)).flatten()
        };
        let accounts = self.chat().map(|c| self.database(c, seen));
        self.singles(accounts).iter().filter_map(spared).collect()
    }
}

/// Kept by what it says of itself, and by nobody's ownership: what is owned goes with its owner.
#[must_use]
pub fn is_kept(live: &DynamicObject, reference: &str) -> bool {
    let said = live.annotations().get(RETAINED_FOR).is_some_and(|of| of == reference);
    said && live.owner_references().is_empty() && live.metadata.deletion_timestamp.is_none()
}

fn is_claim(live: &DynamicObject) -> bool {
    live.types.as_ref().is_some_and(|t| t.kind == "PersistentVolumeClaim")
}

fn retained(live: &DynamicObject) -> Retained {
    Retained {
        kind: live.types.as_ref().map(|t| t.kind.clone()).unwrap_or_default(),
        name: live.name_any(),
        component: live
            .labels()
            .get("app.kubernetes.io/component")
            .cloned()
            .unwrap_or_default(),
        size: live.data["spec"]["resources"]["requests"]["storage"]
            .as_str()
            .map(str::to_string),
    }
}
