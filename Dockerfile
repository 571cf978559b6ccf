# The images of the app and of the understanding server (`--target nlu`): the same steps as `make run`, without
# the tools that only building needs.
ARG PYTHON_IMAGE=python:3.11-slim-trixie
ARG NLU_PYTHON_IMAGE=python:3.10-slim-trixie

FROM ${PYTHON_IMAGE} AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY Makefile requirements.lock requirements-uv.lock ./
RUN make setup

# The model is trained here, so the image holds the one that belongs to its code.
FROM ${NLU_PYTHON_IMAGE} AS nlu-build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY Makefile requirements-uv.lock ./
COPY nlu/server/requirements.lock nlu/server/requirements.lock
RUN make nlu-setup
COPY config.yml ./
COPY nlu nlu
RUN make nlu-train MODEL=model/understanding.tar.gz

FROM ${NLU_PYTHON_IMAGE} AS nlu
WORKDIR /app
RUN useradd --system --uid 10002 --no-create-home --home-dir /tmp rasa
COPY --from=nlu-build /app/nlu nlu
COPY --from=nlu-build /app/model model
COPY bot/nlu_server/container.py serve.py
ENV HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONWARNINGS=ignore \
    RASA_TELEMETRY_ENABLED=false \
    LOG_LEVEL_LIBRARIES=ERROR \
    TF_CPP_MIN_LOG_LEVEL=3 \
    SQLALCHEMY_SILENCE_UBER_WARNING=1 \
    CUDA_VISIBLE_DEVICES=-1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    SANIC_WORKERS=1
USER 10002
EXPOSE 5005
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=6s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 5005, timeout=5); c.request('GET', '/'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["nlu/server/.venv/bin/python", "serve.py"]

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
