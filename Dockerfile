# docker build -t tokenscope .                              torch of the default package index, for CPU and GPU
# docker build --build-arg TORCH_INDEX=<index of builds> .  torch from another index: for the CPU only, or for another CUDA
# docker run --read-only --tmpfs /tmp -p 7860:7860 tokenscope
FROM python:3.12-slim
ARG TORCH_INDEX=
RUN useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user/tokenscope
# Files written at run time go to /tmp, so that the root may be read-only; weights come from a volume.
ENV PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRADIO_TEMP_DIR=/tmp/gradio \
    MPLCONFIGDIR=/tmp/matplotlib \
    XDG_CACHE_HOME=/tmp/cache \
    HF_HOME=/home/user/huggingface \
    HF_HUB_DISABLE_TELEMETRY=1
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt
COPY --chown=user . .
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"
CMD ["python", "-m", "app", "demo", "--host", "0.0.0.0", "--port", "7860"]
