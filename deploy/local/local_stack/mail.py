"""A mail server that delivers nowhere: it keeps what it takes, and shows it. ``python -m local_stack.mail``

``MAILS_KEPT`` are so many of the last ones, 500 unless set.
"""

import asyncio
import html
import os
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

PAGE = """<!doctype html><html lang="fr"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Courrier</title><style>body{{font:16px/1.5 sans-serif;max-width:50rem;margin:1rem auto;padding:0 1rem}}
article{{border:1px solid #ccc;border-radius:8px;padding:1rem;margin:1rem 0}}pre{{white-space:pre-wrap}}
iframe{{width:100%;height:32rem;border:0;margin-top:.5rem}}</style>
<h1>Courrier</h1>{mails}</html>"""


class Catcher:
    """Takes mails; ``answer`` other than 250 is a fault switch."""

    def __init__(self, kept: int) -> None:
        self.answer, self._kept = "250 OK", kept
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer.startswith("250") and isinstance(envelope.content, bytes):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.mails = [*self.mails, message][-self._kept :]
        return self.answer

    def shown(self, mail: EmailMessage) -> dict[str, Any]:
        """A mail as JSON."""
        text, page = mail.get_body(("plain",)), mail.get_body(("html",))
        return {
            "message_id": mail["Message-ID"],
            "to": mail["To"],
            "subject": mail["Subject"],
            "text": text.get_content() if text else "",
            "html": page.get_content() if page else "",
            "attachments": [part.get_filename() for part in mail.iter_attachments()],
        }

    async def page(self, _request: web.Request) -> web.Response:
        mails = "".join(
            f"<article><b>{html.escape(each['subject'] or '')}</b><br>à {html.escape(each['to'] or '')}"
            f'<iframe sandbox srcdoc="{html.escape(each["html"] or each["text"])}"></iframe>'
            f"<details><summary>texte</summary><pre>{html.escape(each['text'])}</pre></details>"
            f"{html.escape(', '.join(map(str, each['attachments'])))}</article>"
            for each in map(self.shown, reversed(self.mails))
        )
        return web.Response(text=PAGE.format(mails=mails or "<p>Aucun mail.</p>"), content_type="text/html")

    async def list_mails(self, _request: web.Request) -> web.Response:
        return web.json_response([self.shown(mail) for mail in self.mails])

    async def set_answer(self, request: web.Request) -> web.Response:
        self.answer = str((await request.json())["answer"])
        return web.json_response({"answer": self.answer})


async def ready(_request: web.Request) -> web.Response:
    return web.json_response({"status": "ready"})


async def main() -> None:
    """Serve SMTP and the page until the end."""
    catcher, loop = Catcher(int(os.environ.get("MAILS_KEPT", "500"))), asyncio.get_running_loop()
    app = web.Application()
    app.add_routes([web.get("/", catcher.page), web.get("/health/ready", ready)])
    app.add_routes([web.get("/api/mails", catcher.list_mails)])
    app.add_routes([web.put("/api/answer", catcher.set_answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    host = os.environ.get("HTTP_HOST", "127.0.0.1")
    await loop.create_server(lambda: SMTP(catcher), host, int(os.environ["SMTP_PORT"]))
    await web.TCPSite(runner, host, int(os.environ["HTTP_PORT"])).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
