"""A small IMAP server: folders of mails by number, and what it was told to get wrong."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field

LITERAL = re.compile(rb"\{(\d+)\}\r\n$")


@dataclass
class Mail:
    raw: bytes
    flags: set[str] = field(default_factory=set)
    old: bool = False
    """Arrived longer ago than anybody asks for by date."""


class MailServer:
    """`validity` by folder. `drops_at`: the command at which it hangs up, once. `can`: further capabilities.
    `spoilt`: mails, by number, that it refuses to give out ("no") or hangs up at each time ("drops")."""

    def __init__(self) -> None:
        self.folders: dict[str, dict[int, Mail]] = {"INBOX": {}}
        self.validity = {"INBOX": 7}
        self.can = "MOVE UIDPLUS"
        self.password = "geheim"
        self.drops_at = ""
        self.spoilt: dict[int, str] = {}
        self.heard: list[str] = []
        self.port = 0
        self.next = 1
        self.server: asyncio.Server | None = None

    async def start(self) -> int:
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        assert self.server is not None
        self.server.close()

    def arrives(self, raw: bytes, folder: str = "INBOX", *, old: bool = False) -> int:
        self.next += 1
        self.folders.setdefault(folder, {})[self.next] = Mail(raw, old=old)
        return self.next

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        chosen = ""
        while line := await reader.readline():
            tag, _, words = line.decode().strip().partition(" ")
            self.heard.append(words.partition(" ")[0] if not words.startswith("UID") else " ".join(words.split()[:2]))
            if self.drops_at and self.drops_at in words:
                self.drops_at = ""
                break
            fetched = re.match(r"UID FETCH (\d+)", words)
            fault = self.spoilt.get(int(fetched[1])) if fetched else None
            if fault == "drops":
                break
            if fault == "no":
                writer.write(f"{tag} NO [SERVERBUG] this mail is broken\r\n".encode())
                continue
            chosen = self.obey(writer, tag, words, chosen)
            await writer.drain()
        writer.close()

    def obey(self, writer: asyncio.StreamWriter, tag: str, words: str, chosen: str) -> str:
        verb, _, rest = words.partition(" ")
        if verb == "CAPABILITY":
            writer.write(f"* CAPABILITY IMAP4REV1 {self.can}\r\n".encode())
        elif verb == "LOGIN" and self.password not in rest:
            writer.write(f"{tag} NO wrong\r\n".encode())
            return chosen
        elif verb == "SELECT":
            chosen = rest.strip('"')
            if chosen not in self.folders:
                writer.write(f"{tag} NO no such folder\r\n".encode())
                return ""
            writer.write(f"* {len(self.folders[chosen])} EXISTS\r\n".encode())
            writer.write(f"* OK [UIDVALIDITY {self.validity.get(chosen, 1)}] fine\r\n".encode())
        elif verb == "CREATE":
            self.folders[rest.strip('"')] = {}
        elif verb == "UID" and not self.by_number(writer, rest, chosen):
            writer.write(f"{tag} NO [TRYCREATE] no such folder\r\n".encode())
            return chosen
        writer.write(f"{tag} OK done\r\n".encode())
        return chosen

    def by_number(self, writer: asyncio.StreamWriter, words: str, chosen: str) -> bool:
        verb, _, rest = words.partition(" ")
        mails = self.folders[chosen]
        if verb == "SEARCH":
            first = re.match(r"UID (\d+):\*", rest)
            wanted = [no for no, mail in mails.items() if (no >= int(first[1]) if first else not mail.old)]
            found = wanted or (list(mails)[-1:] if first else [])
            writer.write(f"* SEARCH {' '.join(map(str, found))}\r\n".encode())
            return True
        number, _, what = rest.partition(" ")
        mail = mails.get(int(number))
        if verb == "FETCH" and mail is not None:
            most = int(re.findall(r"<0\.(\d+)>", what)[0])
            octets = (mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if "HEADER" in what else mail.raw)[:most]
            writer.write(f"* 1 FETCH (UID {number} BODY[]<0> {{{len(octets)}}}\r\n".encode() + octets + b")\r\n")
        elif verb == "STORE" and mail is not None:
            mail.flags |= set(re.findall(r"\\\w+", what))
        elif verb in ("MOVE", "COPY") and mail is not None:
            folder = what.strip('"')
            if folder not in self.folders:
                return False
            self.arrives(mail.raw, folder)
            if verb == "MOVE":
                del mails[int(number)]
        elif verb == "EXPUNGE" and mail is not None:
            del mails[int(number)]
        return True
