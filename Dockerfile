# CPU by default; for a GPU, build with --build-arg TORCH_INDEX=<the index of the CUDA wheels>.
FROM python:3.12-slim
ARG TORCH_INDEX=
RUN apt-get update \
    && apt-get install -y --no-install-recommends ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user/tokenscope
ENV PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    HF_HUB_DISABLE_TELEMETRY=1
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt
COPY --chown=user . .
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/')"
CMD ["python", "-m", "app", "demo", "--host", "0.0.0.0", "--port", "7860"]
