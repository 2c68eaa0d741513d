"""What people read when something cannot be done, and the headers of every answer."""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from chassis.http import Problem, problem_json
from chassis.request_bodies import is_received
from contracts.failures import Refusal, Unavailable
from contracts.identity import Role
from gateway.clients.services import SERVICES, ServiceDefect, SignedOut, SignInUnfinished, UpstreamError
from gateway.forms.fields import FormRefused, error_messages
from gateway.languages import N_, _
from gateway.pages.shared.rendering import FormOfAnotherSession, cookie_name, redirect, render
from gateway.pages.shared.return_path import requested_path, with_return_path
from gateway.settings import SETTINGS

SENTENCES = {
    "not_found": (N_("Page introuvable"), N_("Cette page n'existe pas, ou vous n'y avez pas accès.")),
    "forbidden": (
        N_("Accès réservé"),
        N_("Cette page est réservée {roles}."),
    ),
    "foreign_form": (
        N_("Ce formulaire ne vient pas du portail"),
        N_("Rien n'a été enregistré. Ouvrez la page depuis le portail, puis recommencez."),
    ),
    "form_of_another_session": (
        N_("Votre session a changé entre-temps"),
        N_("Vous vous êtes reconnecté dans un autre onglet. Rien n'a été enregistré : reprenez cette page."),
    ),
    "body_too_slow": (
        N_("L'envoi a pris trop de temps"),
        N_("Rien n'a été enregistré. Vérifiez votre connexion à internet, puis recommencez."),
    ),
    "invalid": (N_("Formulaire incomplet"), N_("Votre saisie n'a pas pu être lue. Rien n'a été enregistré.")),
    FormRefused.code: (N_("Ce formulaire n'a pas pu être lu"), N_("Rien n'a été enregistré. {fields}")),
    "unreadable": (
        N_("Un caractère n'est pas reconnu"),
        N_("Retapez le texte au lieu de le coller. Rien n'a été enregistré."),
    ),
    "too_many": (N_("Trop de demandes"), N_("Attendez un instant, puis recommencez.")),
    "body_too_large": (
        N_("Envoi trop volumineux"),
        N_("Le texte ou le fichier envoyé est trop volumineux. Rien n'a été enregistré."),
    ),
    "unavailable": (
        N_("Le service est momentanément indisponible"),
        N_("Rien n'est perdu. Réessayez dans une minute."),
    ),
    "bank_unreachable": (
        N_("La banque ne répond pas"),
        N_("Aucun paiement n'a commencé. Réessayez dans quelques minutes."),
    ),
    "bank_refused": (
        N_("La banque n'a pas ouvert le paiement"),
        N_("Aucun paiement n'a commencé. Contactez la mairie."),
    ),
    "payer_email_unusable": (
        N_("La banque n'accepte pas votre adresse email"),
        N_("Elle est trop longue ou contient un caractère non accepté. Donnez une autre adresse à la mairie."),
    ),
    "payer_email_missing": (N_("Il manque votre adresse email"), N_("La banque en a besoin. Donnez-la à la mairie.")),
    "payment_under_way": (
        N_("Un paiement est en cours de vérification"),
        N_("La mairie vérifie avec la banque un paiement de cette facture. Vous n'avez rien à refaire."),
    ),
    "already_paid": (N_("Cette facture est déjà réglée"), N_("Il n'y a plus rien à payer.")),
    "checkout_over": (N_("Ce paiement est terminé"), N_("Retournez à vos factures pour voir ce qui reste à régler.")),
    "payment_unresolved": (
        N_("Ce paiement est en cours à la banque"),
        N_("Terminez-le ou abandonnez-le sur la page de la banque, puis attendez sa réponse pour régler vos factures."),
    ),
    "idempotency_key_reused": (N_("Ce formulaire a déjà été envoyé"), N_("Rechargez la page, puis recommencez.")),
    "tariff_missing": (N_("Il manque un tarif"), N_("Rien n'a été publié. Sans tarif : {activities}.")),
    "not_booked": (
        N_("Cet enfant n'est pas inscrit"),
        N_("Marquez-le présent sans réservation. Rien n'a été enregistré."),
    ),
    "is_booked": (N_("Cet enfant est inscrit"), N_("Marquez-le présent. Rien n'a été enregistré.")),
    "day_to_come": (N_("Cette date est à venir"), N_("Le pointage se fait le jour même ou après.")),
    "nothing_to_undo": (
        N_("Il n'y a rien à annuler"),
        N_("Cette modification n'existe pas, ou elle n'a plus d'effet."),
    ),
    "tariff_used": (
        N_("Ce tarif a déjà été utilisé"),
        N_("Il a servi à une facture : donnez-lui un dernier jour, puis créez un autre tarif."),
    ),
    "run_moved": (N_("Ces factures ont changé entre-temps"), N_("Rechargez la page pour voir leur état actuel.")),
    "no_such_certificate": (
        N_("Pas d'attestation"),
        N_("Rien n'a été payé pour la garde de cet enfant cette année-là."),
    ),
    "wrong_period": (
        N_("Période incorrecte"),
        N_("Le premier jour vient avant le dernier, et la période dure trois mois au plus."),
    ),
    "no_account": (
        N_("Ce compte bancaire n'est plus disponible"),
        N_("Il n'est plus configuré ici. Contactez la mairie."),
    ),
    "link_over": (N_("Ce lien n'est plus valable"), N_("Il a déjà été utilisé ou a expiré. Demandez-en un autre.")),
    "codes_on_already": (N_("Ces codes sont déjà activés"), N_("Désactivez-les d'abord.")),
    "household_moved": (N_("Ce foyer a changé"), N_("Quelqu'un l'a modifié entre-temps. Rechargez la page.")),
    "left_out": (
        N_("Une partie du formulaire manque"),
        N_("Une personne du foyer n'y figure pas. Rien n'a été enregistré : rechargez la page."),
    ),
    "import_not_ready": (N_("Ce fichier n'est pas prêt"), N_("Il est en cours de lecture, ou il a été refusé.")),
    "no_ticket": (N_("Pas encore de ticket"), N_("Le ticket existe dès que la banque a confirmé le paiement.")),
}
AWAY = {
    "auth": N_("La connexion est momentanément indisponible"),
    "planning": N_("Le planning est momentanément indisponible"),
    "billing": N_("Les factures sont momentanément indisponibles"),
    "payment-gateway": N_("Le paiement en ligne est momentanément indisponible"),
    "notifier": N_("Les messages et les mails sont momentanément indisponibles"),
}
"""By the service that is."""
ROLES = {
    Role.PARENT: N_("aux familles"),
    Role.CLERK: N_("à l'accueil de la mairie"),
    Role.CASHIER: N_("à la régie"),
    Role.ADMINISTRATOR: N_("aux administrateurs"),
    Role.OPERATOR: N_("à l'exploitation du portail"),
}
"""To whom something is reserved."""
SOMEBODY_ELSE = N_("à d'autres personnes")
AGAIN = {FormOfAnotherSession.code}
"""What can be tried again from the page, which then is another."""
BY_STATUS = {403: "forbidden", 404: "not_found", 413: "body_too_large", 422: "invalid", 429: "too_many"}
DEFECT = (
    N_("Une erreur est survenue"),
    N_("L'incident est enregistré. Rien n'est perdu ; réessayez dans une minute."),
)


async def problem(request: web.Request, problem: Problem) -> web.StreamResponse:
    """What a program reads, or what a person does."""
    if not request.path.startswith(("/api/v1/", "/webhooks/")):
        return await problem_page(request, problem)
    response = await problem_json(request, problem)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


async def problem_page(request: web.Request, problem: Problem) -> web.StreamResponse:
    """A page that says what happened and what to do, with the right status."""
    named = SENTENCES.get(problem.code) or SENTENCES.get(BY_STATUS.get(problem.status, ""))
    is_away = problem.status == HTTPStatus.SERVICE_UNAVAILABLE and problem.code != ServiceDefect.code
    title, text = named or (SENTENCES["unavailable"] if is_away else DEFECT)
    if problem.code == Unavailable.code:
        title = AWAY.get(str(problem.facts.get("service")), title)
    activities = ", ".join(map(str, problem.facts.get("activities", [])))
    roles = ", ".join(_(ROLES[each]) for each in ROLES if each in problem.facts.get("roles", [])) or _(SOMEBODY_ELSE)
    fields = error_messages(problem.facts["errors"]) if problem.code == FormRefused.code else ""
    known = request.app[SERVICES].kept(request.cookies.get(cookie_name(request.app[SETTINGS]), ""), "planning")
    response = render(
        request,
        "shared/problem.html",
        known.identity if known else None,
        status=problem.status,
        title=_(title),
        text=_(text, activities=activities, roles=roles, fields=fields),
        again=await _again(request) if problem.status == 503 or problem.code in AGAIN else None,
    )
    response.headers.update(problem.headers())
    return response


async def _again(request: web.Request) -> str | None:
    """The page from which it can be tried again, with the days that were ticked on it; none for a form that may never
    come to its end."""
    if not is_received(request):
        return None
    try:
        return await requested_path(request)
    except (Refusal, web.HTTPException):
        return None


@web.middleware
async def one_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pages live at one address: a cookie or a return from the bank to another name of this machine would be lost."""
    public_host = request.app[SETTINGS].public_host
    is_page = request.method in {"GET", "HEAD"} and not request.path.startswith(("/health/", "/webhooks/", "/api/"))
    if is_page and request.host != public_host:
        return redirect(f"{request.app[SETTINGS].public_url}{request.rel_url}")
    return await handler(request)


@web.middleware
async def signed_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Send who is not signed in to the sign-in page, and show what a service refused."""
    try:
        return await handler(request)
    except SignedOut:
        was_signed_in = cookie_name(request.app[SETTINGS]) in request.cookies
        return redirect(await with_return_path("/connexion?fin=1" if was_signed_in else "/connexion", request))
    except SignInUnfinished:
        return redirect(await with_return_path("/premiere-connexion", request))
    except UpstreamError as error:
        return await problem(request, error.problem)


async def with_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Only our own scripts, styles and forms; the bank's page is the one place a form may lead to. Nothing is kept."""
    banks = request.app[SETTINGS].bank_origins
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; form-action 'self' {banks}; base-uri 'none'; frame-ancestors 'none'",
    )
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.app[SETTINGS].is_secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
