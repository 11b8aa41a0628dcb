//! The webhooks as the API server meets them: reviews into the router, and connections into the port.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

#[path = "webhook/bounds.rs"]
mod bounds;
#[path = "webhook/port.rs"]
mod port;
#[path = "webhook/reviews.rs"]
mod reviews;
#[path = "webhook/support.rs"]
mod support;
