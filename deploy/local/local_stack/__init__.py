"""The one-command stack: private servers, the services, a demo town."""
