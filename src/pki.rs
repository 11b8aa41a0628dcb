//! The certificate that the webhooks serve, and the trust that the API server has in it.
