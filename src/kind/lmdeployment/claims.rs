//! What the manifest says against what the claims of the stack are: with the webhooks off, or a claim kept from a former
//! stack, nobody has compared them before.

use super::LMDeployment;
use crate::base::issue::Issue;
use crate::base::object::all;
use crate::base::seen::Seen;
use crate::component::common::Persistence;
use crate::component::{ollama, openwebui, pipelines, postgres, redis, tabby};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;

impl LMDeployment {
    /// An issue for each field that claims with data cannot follow; the stack goes on with them as they are.
    pub(super) fn check_claims(&self, seen: &Seen<'_>) -> Vec<Issue> {
        let chat = self.chat();
        let stack = &seen.owner.name;
        let single = |component: &str| format!("{stack}-{component}-data");
        let web = chat.and_then(|c| c.web.persistence.as_ref());
        let pipes = chat.and_then(|c| c.pipelines.as_ref()?.persistence.as_ref());
        let cache = chat.and_then(|c| c.redis.as_ref()?.persistence.as_ref());
        let database = chat.and_then(|c| c.database.as_ref()?.persistence.as_ref());
        let servers = self.ollama().and_then(|o| o.persistence.as_ref());
        let code = self.tabby().and_then(|t| t.persistence.as_ref());
        let parts = [
            ("spec.ollama", servers, format!("data-{stack}-{}-", ollama::NAME)),
            ("spec.openwebui", web, single(openwebui::NAME)),
            ("spec.openwebui.pipelines", pipes, single(pipelines::NAME)),
            ("spec.openwebui.redis", cache, single(redis::NAME)),
            ("spec.openwebui.database", database, single(postgres::NAME)),
            ("spec.tabby", code, single(tabby::NAME)),
        ];
        let compared = |(path, spec, name): (&str, Option<&Persistence>, String)| {
            let spec = spec.filter(|spec| spec.enabled != Some(false) && spec.existing_claim.is_none())?;
            let mut claims = all::<PersistentVolumeClaim>(seen.live).filter(|c| c.name_any().starts_with(&name));
            claims.find_map(|claim| spec.compared(path, claim))
        };
        parts.into_iter().filter_map(compared).collect()
    }
}
