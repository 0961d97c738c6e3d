"""The edge of HTTP: routes, envelope, forms, strict JSON, and the protocol of the server."""
