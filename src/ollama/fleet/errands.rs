//! Small things that a server is asked to do: compare, load, cancel, delete.

use super::Fleet;
use super::server::Compared;
use crate::base::model::ModelName;
use crate::base::seen::Failure;
use crate::kind::ollamamodel::plan::{Action, Wish};
use crate::ollama::client::Ollama;
use std::sync::Arc;
use std::time::Duration;

/// A server needs a moment to notice that nobody follows a pull any more.
const NOTICE: Duration = Duration::from_secs(1);

impl Fleet {
    pub(super) fn errand(self: &Arc<Self>, action: &Action, wish: &Wish) {
        let (fleet, wish) = (Arc::clone(self), wish.clone());
        let key = wish.name.key();
        match action {
            Action::Compare(id) => {
                let other = id.clone();
                self.send(id, &format!("compare/{key}"), &key, async move |server| {
                    fleet.compare(&other, &wish, &server).await
                });
            }
            Action::Load(id) => {
                let other = id.clone();
                self.send(id, &format!("load/{key}"), &key, async move |server| {
                    fleet.load(&other, &wish, &server).await
                });
            }
            // Work is started elsewhere.
            Action::Pull(..) | Action::Create(..) | Action::Copy(..) => {}
        }
    }

    /// Ends the work on a model. It may have come to its end just now, so what the server has is asked again.
    pub(super) fn cancel(self: &Arc<Self>, id: &str, model: &ModelName) {
        if let Some(known) = self.lock().servers.get_mut(id) {
            known.jobs.remove(&model.key());
            known.doubtful.insert(model.key());
        }
        tracing::info!(%model, server = id, "work on the model ended: nobody needs it any more");
        self.ask_soon(id, NOTICE);
        // Where nothing is deleted, nobody waits for that answer.
        self.tell(id, Some(&model.key()));
    }

    pub(super) fn delete(self: &Arc<Self>, id: &str, model: &ModelName) {
        let (fleet, name, key, other) = (Arc::clone(self), model.clone(), model.key(), id.to_string());
        self.send(id, &format!("delete/{key}"), &key, async move |server| {
            server.delete(&name.short()).await?;
            tracing::info!(model = %name, server = other, "model deleted");
            if let Some(known) = fleet.lock().servers.get_mut(&other) {
                known.jobs.remove(&name.key());
            }
            fleet.look(&other, &server).await;
            Ok(())
        });
    }

    /// Runs an errand, once at a time, and tells the model when it is over.
    fn send<F>(self: &Arc<Self>, id: &str, errand: &str, key: &str, run: impl FnOnce(Ollama) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), Failure>> + Send,
    {
        let url = {
            let mut state = self.lock();
            let Some(known) = state.servers.get_mut(id) else { return };
            if !known.errands.insert(errand.to_string()) {
                return;
            }
            known.address.url.clone()
        };
        let (fleet, id, errand, key) = (Arc::clone(self), id.to_string(), errand.to_string(), key.to_string());
        tokio::spawn(async move {
            let result = match url {
                Some(url) => run(fleet.server(url)).await,
                None => Ok(()),
            };
            if let Some(known) = fleet.lock().servers.get_mut(&id) {
                known.errands.remove(&errand);
            }
            match result {
                Ok(()) => fleet.tell(&id, Some(&key)),
                Err(failure) => {
                    tracing::warn!(
                        errand,
                        server = id,
                        reason = failure.reason.name(),
                        message = failure.message,
                        "not done"
                    );
                    // The server says more when it is asked for its models.
                    fleet.ask_soon(&id, NOTICE);
                    fleet.tell_after(id, key, super::TELL);
                }
            }
        });
    }

    async fn compare(&self, id: &str, wish: &Wish, server: &Ollama) -> Result<(), Failure> {
        let Some(derived) = &wish.derived else { return Ok(()) };
        let of = {
            let state = self.lock();
            let known = state.servers.get(id);
            let held = |key: &str| known.and_then(|k| k.held(key)).map(|h| h.digest.clone());
            (held(&wish.name.key()), held(&derived.base.key()))
        };
        let (Some(model), Some(base)) = of else { return Ok(()) };
        let (shown, below) = (
            server.show(&wish.name.short()).await?,
            server.show(&derived.base.short()).await?,
        );
        let compared = Compared {
            of: (derived.hash(), model, base),
            same: derived.is_shown(&shown, &below),
        };
        if let Some(known) = self.lock().servers.get_mut(id) {
            known.compared.insert(wish.name.key(), compared);
        }
        Ok(())
    }

    async fn load(&self, id: &str, wish: &Wish, server: &Ollama) -> Result<(), Failure> {
        let (key, keep_alive) = (wish.name.key(), wish.keep_alive.clone().unwrap_or_default());
        if !server.is_loaded(&key).await? {
            server.load(&wish.name.short(), &keep_alive).await?;
        }
        if let Some(known) = self.lock().servers.get_mut(id)
            && let Some(digest) = known.held(&key).map(|h| h.digest.clone())
        {
            known.loaded.insert(key, (keep_alive, digest));
        }
        Ok(())
    }
}
