"""The contracts between services: events, requests and responses, money and dates."""
