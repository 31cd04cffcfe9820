"""The part of the command line that Podman and Docker share."""

from __future__ import annotations

from sandbox.isolation.spec import LABEL, STATE_LABEL, TMP, USER, Spec


def container_name(run: str) -> str:
    return f"voice-sandbox-{run}"


def shared(spec: Spec, state: str, seccomp: str, tmpfs_more: str = "") -> list[str]:
    """Options in the order of ISOLATION.md; nothing in them depends on anybody's words but the spec's."""
    return [
        "--network=none", "--ipc=private", f"--shm-size={spec.shm_bytes}", "--read-only",
        f"--tmpfs={TMP}:rw,noexec,nosuid,nodev,size={spec.tmpfs_bytes},mode=1777{tmpfs_more}",
        "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--security-opt=seccomp={seccomp}",
        f"--user={USER}:{USER}", f"--cpus={spec.cpus:g}", f"--pids-limit={spec.pids}",
        f"--memory={spec.memory_bytes}", f"--memory-swap={spec.memory_bytes}",
        "--ulimit=core=0:0", f"--ulimit=nofile={spec.nofile}:{spec.nofile}",
        f"--ulimit=nproc={spec.nproc}:{spec.nproc}", "--ulimit=memlock=0:0",
        "--cgroupns=private", "--hostname=run", "--pull=never", "--log-driver=none", "--no-healthcheck",
        "--interactive", "--attach=stdin", "--rm", f"--name={container_name(spec.run)}",
        f"--label={LABEL}={spec.run}", f"--label={STATE_LABEL}={state}",
    ]  # fmt: skip


INSPECTED = "{{.Id}} {{.State.Pid}}"
