# A model served from a container; see "In a container" in docs/how-to.md. It needs only the wheel:
#   pip wheel --no-deps --wheel-dir dist . && docker build --tag pellucid .
# The model folder is at /model and the token in the file /run/secrets/token.
FROM python:3.13-slim-trixie
COPY dist/pellucid-*.whl /tmp/
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        "$(echo /tmp/pellucid-*.whl)[serve]" \
    && rm /tmp/pellucid-*.whl
# a number, because that is how an orchestrator knows that it is not root
USER 10001:10001
# the root may be read-only; without a writable /tmp, nothing is cached
ENV HOME=/tmp PORT=8000
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/v2/health/ready')"]
# further words of `docker run`, such as --workers 2, are further flags
ENTRYPOINT ["sh", "-c", "exec pellucid serve /model --host 0.0.0.0 --port \"$PORT\" --token-file /run/secrets/token \"$@\"", "pellucid"]
