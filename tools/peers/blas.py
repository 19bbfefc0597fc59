"""Which kernels OpenBLAS takes, in a process that calls it itself or through PyTorch.

It decides when it is loaded: by the processor, if it knows that one, or by what OPENBLAS_CORETYPE says. Its choice is not always the
fastest, so a peer runs with every setting, each in a process of its own, and the best time counts.
"""
import collections
import os
import pathlib
import re

# The flags of /proc/cpuinfo that a core type's kernels need.
CORES = {"SkylakeX": {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}, "Haswell": {"avx2", "fma"}}


def cores():
    """Core types whose kernels run here; the first is the choice of OpenBLAS, "own"."""
    found = re.search(r"^flags\s*:(.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return ["own", *(core for core, needed in CORES.items() if needed <= flags)]


def environment(core):
    """This process's, but for what it says of OpenBLAS."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    return plain if core == "own" else {**plain, "OPENBLAS_CORETYPE": core}


# PyTorch ---------------------------------------------------------------------------------------------------------------

Setting = collections.namedtuple("Setting", "core waiting")     # whose kernels; how OpenMP's idle threads wait


def torch_settings():
    return [Setting(core, waiting) for core in cores() for waiting in ("default", "passive")]


def torch_environment(setting, threads):
    found = {**environment(setting.core), "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    found.pop("OMP_WAIT_POLICY", None)
    return found if setting.waiting == "default" else {**found, "OMP_WAIT_POLICY": setting.waiting}
