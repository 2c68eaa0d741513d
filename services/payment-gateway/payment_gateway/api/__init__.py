"""payment-gateway's doors."""

from payment_gateway.api import payments, webhooks

ROUTES = (*payments.routes, *webhooks.routes)
