"""HTTP clients of the services, with the signed token of the person for whom a call is made."""
