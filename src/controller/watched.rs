//! How objects are watched that there may be many of.

use super::packed::Parcel;
use super::targets::Reached;
use kube::runtime::watcher;
use tokio::sync::watch;

/// Objects that are listed at a time: what a page takes is the most that a start needs beyond what is kept.
const PAGE: u32 = 50;

/// How what there may be many of is watched.
pub(super) fn paged() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

/// The event with another form of its object.
pub(super) fn each<A, B>(event: watcher::Event<A>, form: impl FnOnce(A) -> B) -> watcher::Event<B> {
    use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
    match event {
        Apply(object) => Apply(form(object)),
        Delete(object) => Delete(form(object)),
        InitApply(object) => InitApply(form(object)),
        Init => Init,
        InitDone => InitDone,
    }
}

/// Says in the log that a watch failed. A kind that is not installed is said once: it may be on purpose, and is looked for
/// again at the pace of failed watches.
pub(super) fn heed<K: Reached>(
    event: &Result<watcher::Event<Parcel<K>>, watcher::Error>,
    absent: &watch::Sender<bool>,
) {
    let kind = K::kind(&());
    match event {
        // A list begins whether or not there is something to list.
        Ok(watcher::Event::Init) => {}
        Ok(_) => {
            absent.send_if_modified(std::mem::take);
        }
        Err(
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)),
        ) if status.code == 404 => {
            if !absent.send_replace(true) {
                tracing::info!(%kind, "not installed, so not looked after");
            }
        }
        Err(error) => {
            // Whoever waits to know all objects must not wait for those of a kind that nobody lets us see.
            if matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403) {
                absent.send_replace(true);
            }
            tracing::warn!(%kind, %error, "watch failed; it is tried again");
        }
    }
}
