"""The built-in model with its weights in float32.

A 4-bit model also rounds its activations to 8 bits, so that adding in another order moves its
logits by up to 1, as much as a token missed. In float32 the same change moves them by a
thousandth, and a comparison can tell right from wrong.
"""

from pathlib import Path

import gguf
import numpy as np

_WRITTEN_BY_THE_WRITER = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}


def write_float_model(source: Path, target: Path) -> None:
    """Copy the GGUF at `source` to `target` with every tensor in float32."""
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for name, field in reader.fields.items():
        if name in _WRITTEN_BY_THE_WRITER or name in ("general.architecture", "general.file_type"):
            continue
        inner = field.types[1] if field.types[0] is gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], inner)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, np.ascontiguousarray(values, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
