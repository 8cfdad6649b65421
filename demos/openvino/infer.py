# SPDX-License-Identifier: BSD-3-Clause
# Builds a convolutional model, saves it as IR, reads it again and infers. What it prints depends
# on every bit of the result.   infer.py THREADS ROUNDS FOLDER
import hashlib, os, sys, time
begin = time.time()
import numpy, openvino
from openvino import opset13 as op
print("time import", time.time() - begin, file=sys.stderr)
random = numpy.random.default_rng(1)
shape = [16, 3, 64, 64]

def layer(node, channels, before, stride):
    weights = random.standard_normal((channels, before, 3, 3), dtype=numpy.float32)
    return op.relu(op.convolution(node, op.constant(weights), [stride] * 2, [1, 1], [1, 1], [1, 1]))

x = op.parameter(shape, numpy.float32)
end = op.reduce_mean(layer(layer(x, 32, 3, 1), 64, 32, 2), op.constant([2, 3]), False)
path = os.path.join(sys.argv[3], "model-%d.xml" % os.getpid())
openvino.save_model(openvino.Model([end], [x]), path)
core = openvino.Core()
model = core.compile_model(core.read_model(path), "CPU",
                           {"INFERENCE_NUM_THREADS": int(sys.argv[1])})
data = random.standard_normal(shape, dtype=numpy.float32)
begin = time.time()
for _ in range(int(sys.argv[2])):
    out = model(data)[0]
print("time infer", time.time() - begin, file=sys.stderr)
print(core.available_devices, out.shape, hashlib.sha256(out.tobytes()).hexdigest())
