"""The device of --device with its fast twins, and the cores of this process."""

import os


def choose_device(name: str, loops: bool = True) -> str:
    """The device of --device, cpu, cuda or auto; DeviceError if it is not there. Switches its fast twins on."""
    from autograd.arrays import best_device, device_module
    from minigan import accelerate
    from minigan.ranks import world

    world().one_gpu()
    device = name
    if name == "auto":
        device = "cuda" if set(world().all(best_device())) == {"cuda"} else "cpu"
    xp = device_module(device)
    if device == "cuda":
        world().use_nccl(xp)
    accelerate.use(None if device == "cpu" and not loops else device)
    return device


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def refuse_tf32_on_cpu(tf32: bool, device: str) -> None:
    """InputError if `tf32` is asked for where there is no GPU to do it."""
    from minigan.errors import InputError

    if tf32 and device == "cpu":
        raise InputError("--tf32 is a way to multiply matrices on a GPU, and this is to run on the CPU")
