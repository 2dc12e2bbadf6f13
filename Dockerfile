# A server of one library: `docker compose up`, see compose.yaml and docs/serving.md.
FROM python:3.12-slim

# numbers of the user are fixed, so that mounted folders can be given to it
RUN useradd --uid 10001 --create-home sora && install -d -o sora -g sora /data
WORKDIR /app
COPY --chown=root:root . /app
# torch for processors alone comes with --build-arg TORCH_INDEX and the address of its index
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -c constraints.txt '.[imagenet,serve]'
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# the token, labels and previews lie beside the library, in /data
ENTRYPOINT ["sora", "serve", "/data/library", "--host", "0.0.0.0", "--videos", "/media"]
