//! Every rule on a stack, whatever its kind is called.

use super::{LMDeployment, NO_ENGINE};
use crate::base::issue::{Concern, Issue, Review};
use crate::base::settings::Settings;
use crate::kind::check_name;

impl LMDeployment {
    /// Everything that is wrong with the stack, or unwise, whatever its kind is called.
    pub(in crate::kind) fn review(&self, old: Option<&Self>, settings: &Settings) -> Review {
        let mut review = Review {
            issues: check_name(self),
            warnings: vec![],
        };
        let allow_unsafe = settings.policy.allow_unsafe_pods;
        if let Some(ollama) = self.ollama() {
            review.extend(ollama.check("spec.ollama", old.and_then(Self::ollama), allow_unsafe));
            if self.listed().is_empty() {
                review.warn(
                    Concern::NoEffect,
                    "spec.ollama.models is empty: nothing is pulled, so nothing answers",
                );
            }
            self.warn_of_never(&mut review);
        }
        if let Some(chat) = self.chat() {
            review.extend(self.check_chat(chat, old, allow_unsafe));
        }
        if let Some(tabby) = self.tabby() {
            let (listed, own) = (self.listed_names(), self.ollama_service());
            review.extend(tabby.check("spec.tabby", &listed, &own, old.and_then(Self::tabby), allow_unsafe));
        }
        let elsewhere = self.chat().is_some_and(|c| c.web.ollama_urls.is_some());
        if self.ollama().is_none() && self.other_ollama().is_none() && !elsewhere {
            let issue = Issue::invalid("spec.ollama.enabled", "engine", false, NO_ENGINE);
            review.issues.push(issue.fatal());
        }
        if let Some(old) = old {
            self.warn_of_loss(old, &mut review);
        }
        self.warn_of_legacy(&mut review);
        review
    }
}
