# SPDX-License-Identifier: BSD-3-Clause
# Keras training, a SavedModel written and read again, TensorFlow Lite. What it prints depends on
# every bit of the outputs.   train.py EPOCHS FOLDER
import contextlib, hashlib, os, sys, time, warnings
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
warnings.simplefilter("ignore")
begin = time.time()
import numpy, tensorflow as tf
print("time import", time.time() - begin, file=sys.stderr)
tf.keras.utils.set_random_seed(1)
tf.config.experimental.enable_op_determinism()
random = numpy.random.default_rng(1)
x = random.standard_normal((1024, 16, 16, 1), dtype=numpy.float32)
y = (x.mean((1, 2, 3)) > 0).astype(numpy.int32)
layers = tf.keras.layers
model = tf.keras.Sequential([layers.Input((16, 16, 1)), layers.Conv2D(16, 3, activation="relu"),
                             layers.MaxPooling2D(), layers.Flatten(), layers.Dense(2)])
model.compile("adam", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
begin = time.time()
history = model.fit(x, y, epochs=int(sys.argv[1]), batch_size=64, verbose=0)
print("time train", time.time() - begin, file=sys.stderr)
print("loss", ["%.6f" % v for v in history.history["loss"]])
folder = os.path.join(sys.argv[2], "saved-%d" % os.getpid())
with contextlib.redirect_stdout(sys.stderr):
    model.export(folder)
loaded = tf.saved_model.load(folder)
serve = loaded.serve
begin = time.time()
for _ in range(20):
    out = serve(x).numpy()
print("time infer", time.time() - begin, file=sys.stderr)
print("SavedModel", hashlib.sha256(out.tobytes()).hexdigest())
lite = tf.lite.Interpreter(
    model_content=tf.lite.TFLiteConverter.from_saved_model(folder).convert(), num_threads=1)
lite.allocate_tensors()
lite.set_tensor(lite.get_input_details()[0]["index"], x[:1])
lite.invoke()
small = lite.get_tensor(lite.get_output_details()[0]["index"])
print("Lite agrees:", numpy.allclose(small, out[:1], atol=1e-5))
