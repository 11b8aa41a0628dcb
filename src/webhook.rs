//! The admission webhooks: AdmissionReview in, AdmissionReview out, over TLS.

pub mod tls;
