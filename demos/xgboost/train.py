# SPDX-License-Identifier: BSD-3-Clause
# Trains and predicts; what it prints depends on every bit of the result.
import hashlib, sys, time
begin = time.time()
import numpy, xgboost
print("time import", time.time() - begin, file=sys.stderr)
threads, rows, trees = (int(a) for a in sys.argv[1:4])
random = numpy.random.default_rng(1)
x = random.random((rows, 30))
y = (x[:, 0] + x[:, 1] * x[:, 2] + random.random(rows) * 0.1 > 0.8).astype(int)
data = xgboost.DMatrix(x, label=y)
begin = time.time()
model = xgboost.train({"max_depth": 6, "objective": "binary:logistic", "tree_method": "hist",
                       "nthread": threads}, data, trees)
print("time train", time.time() - begin, file=sys.stderr)
begin = time.time()
for _ in range(20):
    p = model.predict(data)
print("time predict", time.time() - begin, file=sys.stderr)
print("right:", ((p > 0.5) == y).mean(), "sha256:", hashlib.sha256(p.tobytes()).hexdigest())
