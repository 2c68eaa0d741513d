"""payment-gateway's doors."""

from payment_gateway.api import payments, till, webhooks

ROUTES = (*payments.routes, *till.routes, *webhooks.routes)
