"""The path of a message - accepted, stored, delivered - beside a bare server and a common stack."""
