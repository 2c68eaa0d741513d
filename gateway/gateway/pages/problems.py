"""What people read when something cannot be done, and the headers of every answer."""

from aiohttp import web
from aiohttp.typedefs import Handler

from chassis.http import Problem
from gateway.pages.rendering import page, see
from gateway.services import SignedOut, SignInUnfinished, Told
from gateway.settings import SETTINGS

SENTENCES = {
    "not_found": ("Page introuvable", "Cette page n'existe pas, ou elle n'est pas à vous."),
    "forbidden": ("Ce n'est pas permis", "Rechargez la page, puis recommencez."),
    "invalid": ("Il manque quelque chose", "Ce qui a été envoyé n'a pas pu être lu. Rien n'a été enregistré."),
    "unreadable": ("Un caractère ne se lit pas", "Retapez le texte au lieu de le coller. Rien n'a été enregistré."),
    "too_many": ("Un peu trop vite", "Attendez un instant, puis recommencez."),
    "body_too_large": ("C'est trop long", "Ce qui a été envoyé est trop volumineux. Rien n'a été enregistré."),
    "unavailable": ("Le service est momentanément indisponible", "Rien n'est perdu. Réessayez dans une minute."),
    "bank_unreachable": ("La banque ne répond pas", "Aucun paiement n'a commencé. Réessayez dans quelques minutes."),
    "bank_refused": ("La banque n'a pas ouvert le paiement", "Aucun paiement n'a commencé. Contactez la mairie."),
    "payer_email_missing": ("Il manque votre adresse email", "La banque en a besoin. Donnez-la à la mairie."),
    "already_paid": ("Cette facture est déjà réglée", "Il n'y a plus rien à payer."),
    "checkout_over": ("Ce paiement est terminé", "Retournez à vos factures pour voir ce qui reste à régler."),
    "payment_unresolved": (
        "Ce paiement est en cours à la banque",
        "Terminez-le ou abandonnez-le sur la page de la banque : vos factures seront libres dès qu'elle l'aura dit.",
    ),
    "idempotency_key_reused": ("Cette page a déjà servi", "Rechargez la page, puis recommencez."),
    "tariff_missing": ("Il manque un tarif", "Rien n'a été publié. Sans tarif : {activities}."),
    "not_booked": ("Cet enfant n'est pas inscrit", "Marquez-le présent sans réservation. Rien n'a été enregistré."),
    "is_booked": ("Cet enfant est inscrit", "Marquez-le présent. Rien n'a été enregistré."),
    "day_to_come": ("Ce jour n'est pas encore venu", "On ne marque une présence que le jour même, ou après."),
    "nothing_to_undo": ("Il n'y a rien à annuler", "Cette modification n'existe pas, ou elle n'a plus d'effet."),
    "tariff_used": ("Ce tarif a déjà servi", "Il a fait une facture : il ne peut que prendre fin, un autre le suivra."),
    "run_moved": ("Ces factures ont avancé entre-temps", "Rechargez la page pour voir où elles en sont."),
    "no_such_certificate": ("Pas d'attestation", "Rien n'a été payé pour la garde de cet enfant cette année-là."),
    "wrong_period": ("Cette période ne se lit pas", "Elle commence avant de finir et dure trois mois au plus."),
    "no_account": ("Ce compte bancaire n'est plus là", "Il n'est plus configuré ici. Contactez la mairie."),
    "link_over": ("Ce lien ne sert plus", "Il a déjà servi, ou il est trop ancien. Demandez-en un autre."),
    "codes_on_already": (
        "Ces codes sont déjà en service",
        "Mettez-les d'abord hors service.",
    ),
    "household_moved": ("Ce foyer a changé", "Quelqu'un l'a modifié entre-temps. Rechargez la page."),
    "import_not_ready": ("Ce fichier n'est pas prêt", "Il est en cours de lecture, ou il a été refusé."),
    "no_ticket": ("Pas encore de ticket", "Le ticket existe dès que la banque a confirmé le paiement."),
}
BY_STATUS = {403: "forbidden", 404: "not_found", 413: "body_too_large", 422: "invalid", 429: "too_many"}
DEFECT = ("Quelque chose n'a pas marché", "L'incident est noté. Rien n'est perdu ; réessayez dans une minute.")


async def problem_page(request: web.Request, problem: Problem) -> web.StreamResponse:
    """A page that says what happened and what to do, with the right status."""
    named = SENTENCES.get(problem.code) or SENTENCES.get(BY_STATUS.get(problem.status, ""))
    title, text = named or (SENTENCES["unavailable"] if problem.status == 503 else DEFECT)
    activities = ", ".join(map(str, problem.facts.get("activities", [])))
    text = text.format(activities=activities)
    response = page(request, "problem.html", status=problem.status, title=title, text=text)
    response.headers.update(problem.headers())
    return response


@web.middleware
async def one_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pages live at one address: a cookie or a return from the bank to another name of this machine would be lost."""
    public_host = request.app[SETTINGS].public_host
    is_page = request.method in {"GET", "HEAD"} and not request.path.startswith(("/health/", "/webhooks/"))
    if is_page and request.host != public_host:
        return see(f"{request.app[SETTINGS].public_url}{request.rel_url}")
    return await handler(request)


@web.middleware
async def signed_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send who is not signed in to the sign-in page, and show what a service refused."""
    try:
        return await handler(request)
    except SignedOut:
        return see("/connexion?fin=1" if request.cookies else "/connexion")
    except SignInUnfinished:
        return see("/premiere-connexion")
    except Told as told:
        return await problem_page(request, told.problem)


async def with_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Only our own scripts, styles and forms; the bank's page is the one place a form may lead to."""
    banks = request.app[SETTINGS].bank_origins
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; form-action 'self' {banks}; base-uri 'none'; frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.app[SETTINGS].is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
