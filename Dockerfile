# A model served from a container. Needs only the wheel: pip wheel --no-deps --wheel-dir dist .
# Run it with the model folder at /model and the token in the file /token; see docs/how-to.md.
FROM python:3.12-slim
COPY dist/pellucid-*.whl /tmp/
RUN pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        "$(echo /tmp/pellucid-*.whl)[serve]" \
    && rm /tmp/pellucid-*.whl \
    && useradd --create-home serve
USER serve
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://localhost:8000/v2/health/ready')"]
ENTRYPOINT ["pellucid", "serve", "/model", "--host", "0.0.0.0", "--token-file", "/token"]
