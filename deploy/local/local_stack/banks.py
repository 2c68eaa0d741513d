"""The banks of the demo town: what each account's settings are, and what the stand-in bank knows of it."""

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as read_key

LYRA_TILL, PAYBOX_TILL, STRIPE_TILL = "REGIE-LYRA", "REGIE-PAYBOX", "REGIE-STRIPE"
"""The tills whose parents do not pay at PayFiP."""
LYRA_SHOP = "12345678"
CONTRACT = {"site": "1999888", "rank": "32", "identifier": "107904482"}
ACCOUNT = {"account": "acct_1DemoTown"}
WEBHOOKS = ("payfip", "lyra-12345678", "paybox-1999888-32", "stripe-demo")
SECRETS = ("lyra_key", "lyra_rest", "paybox_key", "paybox_door", "stripe_key", "stripe_webhook")


def bank_key() -> str:
    """A new key with which the stand-in Paybox signs, as PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")


def known_at_bank(secrets: dict[str, str], webhooks_url: str) -> dict[str, str]:
    """The stand-in bank's settings."""
    paybox = {"key": secrets["paybox_key"], "private_key": secrets["paybox_bank"]}
    paybox["ipn_url"] = f"{webhooks_url}/{WEBHOOKS[2]}?door={secrets['paybox_door']}"
    stripe = {"secret_key": f"sk_test_{secrets['stripe_key']}", "webhook_secret": f"whsec_{secrets['stripe_webhook']}"}
    stripe["webhook_url"] = f"{webhooks_url}/{WEBHOOKS[3]}"
    lyra = {"key": secrets["lyra_key"], "rest_password": secrets["lyra_rest"]}
    return {
        "LYRA_SHOPS": json.dumps([{"site_id": LYRA_SHOP, **lyra}]),
        "PAYBOX_CONTRACTS": json.dumps([CONTRACT | paybox]),
        "STRIPE_ACCOUNTS": json.dumps([ACCOUNT | stripe]),
    }


def accounts(secrets: dict[str, str], bank_url: str) -> dict[str, str]:
    """payment-gateway's settings."""
    public = read_key(secrets["paybox_bank"].encode("ascii"), None).public_key()
    lyra: dict[str, Any] = {"mode": "TEST", "key": secrets["lyra_key"], "rest_password": secrets["lyra_rest"]}
    lyra |= {"form_url": f"{bank_url}/vads-payment/", "rest_url": bank_url, "tills": [LYRA_TILL]}
    paybox: dict[str, Any] = {"mode": "TEST", "key": secrets["paybox_key"], "door": secrets["paybox_door"]}
    paybox["public_key"] = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    paybox |= {"form_url": f"{bank_url}/cgi/FramepagepaiementRWD.cgi", "status_url": f"{bank_url}/load.html"}
    paybox |= {"tills": [PAYBOX_TILL], "zip_code": "00000", "city": "Saint-Aubin"}
    stripe: dict[str, Any] = {"label": "demo", "api_url": bank_url, "tills": [STRIPE_TILL]}
    stripe["secret_key"] = f"sk_test_{secrets['stripe_key']}"
    stripe["webhook_secret"] = f"whsec_{secrets['stripe_webhook']}"
    return {
        "PAYFIP_SERVICE_URL": f"{bank_url}/tpa/services/securite",
        "PAYFIP_PAYER_URL": f"{bank_url}/tpa/paiementws.web",
        "PAYFIP_NUMCLI": "123456",
        "PAYFIP_SAISIE": "T",
        "LYRA_ACCOUNTS": json.dumps([{"site_id": LYRA_SHOP, **lyra}]),
        "PAYBOX_ACCOUNTS": json.dumps([CONTRACT | paybox]),
        "STRIPE_ACCOUNTS": json.dumps([ACCOUNT | stripe]),
    }
