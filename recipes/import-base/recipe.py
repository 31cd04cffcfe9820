"""A published ``.pth`` becomes a sealed base: nothing that it names is called, and only its tensors are kept."""

from sandbox.training import bases


def main(run):
    published = run.file("file")
    tensors = bases.read(published)
    told = bases.told(run.parameters, published)
    if "config" in run.inputs:
        told["config"] = bases.configuration(run.file("config"))
    run.log("tensors", 0, len(tensors))
    run.log("weights", 0, sum(tensor.numel() for tensor in tensors.values()))
    run.save("base.safetensors", 0, tensors, told)
