//! The webhooks as the API server meets them: AdmissionReviews into the router, and connections into the port.

#[path = "webhook/port.rs"]
mod port;
#[path = "webhook/reviews.rs"]
mod reviews;
