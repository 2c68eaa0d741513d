"""payment-gateway's doors."""

from payment_gateway.api import journal, payments, remittances, till, webhooks

ROUTES = (*payments.routes, *till.routes, *remittances.routes, *journal.routes, *webhooks.routes)
