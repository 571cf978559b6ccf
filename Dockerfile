# The image of the app: the same steps as `make run`, without the tools that only building needs.
ARG PYTHON_IMAGE=python:3.11-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY Makefile requirements.lock requirements-uv.lock ./
RUN make setup

FROM ${PYTHON_IMAGE} AS app
WORKDIR /app
RUN useradd --system --uid 10001 --no-create-home --home-dir /app huiyin \
    && install -d -o huiyin -m 0700 var
COPY --from=build /app/.venv .venv
COPY bot bot
COPY console console
COPY desk desk
COPY nlu nlu
COPY storage storage
RUN .venv/bin/python -m compileall -q bot console desk nlu storage
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HUIYIN_LISTEN=0.0.0.0:8080
USER 10001
VOLUME /app/var
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8080, timeout=5); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["huiyin"]
CMD ["serve"]
