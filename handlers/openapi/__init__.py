"""What describes the API: OpenAPI, AsyncAPI, their examples and the reference page."""
