"""A private Dovecot: the mailbox that reports come back to."""

import asyncio
import grp
import imaplib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from local_stack.packages import dovecot
from local_stack.ports import claim_any
from local_stack.unprivileged import private_folder, run_as

START_SECONDS_MAX = 60
USER, PASSWORD = "retours@saint-aubin.example", "the mailbox's secret"

COMMON = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
auth_failure_delay = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
"""
OF_2_3 = """
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail
passdb {{
  driver = passwd-file
  args = scheme=plain {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home
}}
"""
"""Debian 12's."""
VERSION_2_4 = "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
OF_2_4 = """
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = {folder}/mail
passdb passwd-file {{
  passwd_file_path = {folder}/users
}}
userdb static {{
  fields {{
    uid = {uid}
    gid = {gid}
    home = {folder}/home
  }}
}}
"""
"""Debian 13's; the version of the configuration stands before everything else."""


def configuration(version: str) -> str:
    """The settings as this version of Dovecot writes them: 2.4 renamed many."""
    if version.startswith("2.3."):
        return COMMON + OF_2_3
    return VERSION_2_4 + COMMON + OF_2_4


class ImapServer:
    """A real IMAP server with one mailbox."""

    def __init__(self) -> None:
        self.port = claim_any()
        self._who = run_as("dovecot")
        self._folder = private_folder(Path(tempfile.mkdtemp(prefix="preau-imap-")), self._who)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = await asyncio.to_thread(dovecot)
        uid = self._who.uid if self._who.uid is not None else os.getuid()
        gid = self._who.gid if self._who.gid is not None else os.getgid()
        user, group = pwd.getpwuid(uid).pw_name, grp.getgrgid(gid).gr_name
        folder = self._folder
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: ASYNC221
        text = configuration(version).format(folder=folder, user=user, group=group, uid=uid, gid=gid, port=self.port)
        (folder / "dovecot.conf").write_text(text)
        (folder / "users").write_text(f"{USER}:{{PLAIN}}{PASSWORD}\n")
        for name in ("dovecot.conf", "users"):
            self._who.own(folder / name)
        self._process = await asyncio.create_subprocess_exec(
            *(str(program), "-F", "-c", str(folder / "dovecot.conf")), **self._who.arguments()
        )
        await self._answers()

    async def _answers(self) -> None:
        async with asyncio.timeout(START_SECONDS_MAX):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.1)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        """End it, and remove its folder."""
        if self._process and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        shutil.rmtree(self._folder)

    def opened(self) -> imaplib.IMAP4:
        server = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        server.login(USER, PASSWORD)
        return server

    def receives(self, *mails: bytes) -> None:
        """Deliver mails into the mailbox."""
        with self.opened() as server:
            for mail in mails:
                assert server.append("INBOX", "", "", mail)[0] == "OK"

    def made_anew(self) -> None:
        """What a provider does that moves mailboxes: the same mails under other UIDs."""
        for file in (self._folder / "mail").glob("dovecot*"):
            file.unlink()
