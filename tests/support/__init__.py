"""What the tests share: a service to call, stand-ins, valid and invalid requests, waiting."""
