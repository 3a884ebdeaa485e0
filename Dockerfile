# syntax=docker/dockerfile:1
# docker build -t genrestore .                              PyTorch for processors
# docker build -t genrestore:gpu --build-arg TORCH=cuda .   PyTorch for NVIDIA GPUs, 5.7 GB

ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
ARG TORCH=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
# A layer of its own: it is most of the image and changes least.
RUN case "$TORCH" in \
      cpu) pip install torch torchvision --index-url https://download.pytorch.org/whl/cpu ;; \
      cuda) pip install torch torchvision ;; \
      *) echo "TORCH is cpu or cuda, not $TORCH" >&2; exit 1 ;; \
    esac
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY weights weights
COPY genrestore genrestore
RUN pip install .

FROM python:${PYTHON}-slim
RUN useradd --uid 1000 --create-home genrestore && install --directory --owner=genrestore --group=genrestore /data
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GENRESTORE_HOME=/data/genrestore \
    HF_HOME=/data/huggingface
USER genrestore
WORKDIR /home/genrestore
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/gradio_api/app_id', timeout=8)"]
ENTRYPOINT ["genrestore", "app", "--no-browser"]
CMD ["--public"]
