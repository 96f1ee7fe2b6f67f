"""django-post-office: mails of our size queued in PostgreSQL, then sent by its own command's function.

Arguments: database address, port of the relay, mails, files with the HTML part and the text part. Prints
{"per_s", "cpu_us"}.
"""

import json
import sys
from pathlib import Path
from time import perf_counter, process_time
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

url, port, mails, html_file, text_file = sys.argv[1:]
parts = urlsplit(url)
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": parts.path[1:],
            "USER": parts.username,
            "PASSWORD": parts.password,
            "HOST": parts.hostname or parse_qs(parts.query).get("host", [""])[0],
            "PORT": parts.port,
        }
    },
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "post_office"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    EMAIL_BACKEND="post_office.EmailBackend",
    EMAIL_HOST="127.0.0.1",
    EMAIL_PORT=int(port),
    POST_OFFICE={"BATCH_SIZE": 500, "THREADS_PER_PROCESS": 20, "LOG_LEVEL": 0, "LOCKFILE": f"/tmp/queued-{port}"},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    USE_TZ=True,
)
django.setup()

from django.core.management import call_command  # noqa: E402 - after the settings
from post_office import mail  # noqa: E402

call_command("migrate", verbosity=0)
html, text = Path(html_file).read_text(), Path(text_file).read_text()
queued = [
    {
        "recipients": [f"customer{number}@mail.example"],
        "sender": "Laden <laden@shop.example>",
        "subject": f"Ihr Warenkorb, Kundin {number}",
        "message": text.replace("NAME", f"Kundin {number}"),
        "html_message": html.replace("NAME", f"Kundin {number}"),
    }
    for number in range(int(mails))
]
began, used = perf_counter(), process_time()
for start in range(0, len(queued), 500):
    mail.send_many(queued[start : start + 500])
mail.send_queued_mail_until_done(f"/tmp/queued-{port}")
span = perf_counter() - began
print(json.dumps({"per_s": int(mails) / span, "cpu_us": (process_time() - used) / int(mails) * 1e6}))
