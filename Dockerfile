# fastrot on NVIDIA's PyTorch image. The image's torch, CUDA and cuDNN are kept.
#   docker build -t fastrot .
#   docker build -t fastrot --build-arg BASE=IMAGE --build-arg DALI=cuda12 .       for drivers older than 580;
#       IMAGE needs torch 2.10 or newer for CUDA 12
#   docker run --rm --gpus all --ipc host -v /data:/data fastrot fastrot doctor
#   docker run --rm --gpus all --ipc host -v /data:/data -v "$PWD":/workspace fastrot fastrot pretrain ...
ARG BASE=nvcr.io/nvidia/pytorch:25.12-py3
FROM ${BASE}

# The DALI build that matches the image's CUDA: cuda12 or cuda13. Only one can be installed.
ARG DALI=cuda13
# A commit or tag of NVIDIA's apex to build for FusedSGD. If empty, the image's apex is used, if it has one.
ARG APEX=

# video enables NVDEC, for stores in h264 and vp9.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    OMP_WAIT_POLICY=PASSIVE

RUN if [ -n "${APEX}" ]; then \
        git clone --filter=blob:none https://github.com/NVIDIA/apex.git /tmp/apex \
        && git -C /tmp/apex checkout --quiet "${APEX}" \
        && APEX_CPP_EXT=1 APEX_CUDA_EXT=1 \
            pip install -v --no-build-isolation --no-cache-dir --no-deps /tmp/apex \
        && rm -rf /tmp/apex; \
    fi

COPY setup.cfg pyproject.toml README.md LICENSE /opt/fastrot/
COPY configs /opt/fastrot/configs
COPY pipelines /opt/fastrot/pipelines
COPY benchmarks /opt/fastrot/benchmarks
COPY fastrot /opt/fastrot/fastrot

# Constrain torch to the image's version: pip would otherwise replace NVIDIA's build with the one from PyPI.
# PIP_CONSTRAINT is the image's own list, which may pin an older DALI.
RUN python -c "import torch; print('torch==' + torch.__version__)" > /tmp/keep.txt \
    && PIP_CONSTRAINT= pip install --no-cache-dir -c /tmp/keep.txt \
        "/opt/fastrot[${DALI},safetensors,tensorboard]" \
    && python -c "import torch; print('torch==' + torch.__version__)" | diff - /tmp/keep.txt \
    && fastrot --version

# Mount a folder here: otherwise the runs (in runs/) are deleted with the container.
WORKDIR /workspace
CMD ["fastrot", "--help"]
