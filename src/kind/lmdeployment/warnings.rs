//! Warnings about a stack as a whole: models that nothing pulls, and older fields.

use super::{LMDeployment, chat};
use crate::base::issue::{Concern, Review, WARNING_LENGTH};
use crate::component::common::{PullPolicy, check};

impl LMDeployment {
    pub(super) fn warn_of_never(&self, review: &mut Review) {
        for item in self
            .listed()
            .iter()
            .filter(|i| i.pull_policy == Some(PullPolicy::Never))
        {
            review.warn(
                Concern::NoEffect,
                format!(
                    "{} has pullPolicy Never: something else must bring it to the servers",
                    item.name
                ),
            );
        }
    }

    pub(super) fn warn_of_legacy(&self, review: &mut Review) {
        let ollama = self.ollama().map(|o| check::legacy("spec.ollama", &o.common));
        let tabby = self.tabby().map(|t| check::legacy("spec.tabby", &t.common));
        let chat = self.chat().map(|c| {
            let pipelines = c
                .pipelines()
                .map(|p| check::legacy("spec.openwebui.pipelines", &p.common));
            let mut used = check::legacy(chat::PATH, &c.web.common);
            used.extend(pipelines.into_iter().flatten());
            used
        });
        let mut used: Vec<String> = [ollama, chat, tabby].into_iter().flatten().flatten().collect();
        used.extend(
            self.tabby()
                .filter(|t| t.model_name.is_some())
                .map(|_| "spec.tabby.modelName".into()),
        );
        if let Some(text) = legacy_warning(&used) {
            review.warn(Concern::Legacy, text);
        }
    }
}

/// As many of the fields as fit, and how many more.
fn legacy_warning(used: &[String]) -> Option<String> {
    let text = |shown: usize| {
        let more = match used.len() - shown {
            0 => String::new(),
            n => format!(" and {n} more"),
        };
        format!("older fields, see docs/upgrade.md: {}{more}", used[..shown].join(", "))
    };
    let fits = |shown: &usize| text(*shown).chars().count() <= WARNING_LENGTH;
    (1..=used.len()).rev().find(fits).map(text)
}
