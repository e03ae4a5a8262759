# torch is what the default package index gives; --build-arg TORCH_INDEX=<index> adds one with other builds (CPU only, CUDA).
FROM python:3.12-slim
ARG TORCH_INDEX=
RUN useradd --create-home --uid 1000 user
USER user
WORKDIR /home/user/tokenscope
ENV PATH=/home/user/.local/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HF_HUB_DISABLE_TELEMETRY=1
COPY --chown=user requirements.txt .
RUN pip install --no-cache-dir --user ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r requirements.txt
COPY --chown=user . .
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD python -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/')"
CMD ["python", "-m", "app", "demo", "--host", "0.0.0.0", "--port", "7860"]
